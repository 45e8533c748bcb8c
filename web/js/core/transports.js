// What is true of each transport: pure, and the only place that says it. The order is the ladder,
// best first. The classes stand in `transports/classes.js`, under the same names.

/**
 * @typedef {object} TransportFacts
 * @property {string} label what a person reads
 * @property {string} suffix of the reader's name: a trial must not end the live one, and long-polling
 *   and polling are one reader at the server
 * @property {boolean} streams the server speaks by itself, with a heartbeat: silence tells that it is dead
 * @property {boolean} carriesFrames frames go up on it; what has no way up goes over HTTP
 * @property {boolean} canBeAsked it answers a probe
 * @property {boolean} holds the server may hold a request until there is something
 */

const facts = {
  websocket: {
    label: 'WebSocket', suffix: '.w', streams: true, carriesFrames: true, canBeAsked: true, holds: false,
  },
  sse: {
    label: 'Server-Sent Events', suffix: '.s', streams: true, carriesFrames: false, canBeAsked: false, holds: false,
  },
  longpoll: {
    label: 'Long-polling', suffix: '.p', streams: false, carriesFrames: false, canBeAsked: true, holds: true,
  },
  poll: {
    label: 'Polling', suffix: '.p', streams: false, carriesFrames: false, canBeAsked: true, holds: false,
  },
};

/** @typedef {keyof typeof facts} Rung a transport, as a step of the ladder */

export const TRANSPORTS = Object.freeze(/** @type {Record<Rung, Readonly<TransportFacts>>} */ (facts));

/** All transports, best first. */
export const LADDER = Object.freeze(/** @type {Rung[]} */ (Object.keys(facts)));

/** The surest: through any proxy its first answer comes within one round trip. */
export const SUREST = /** @type {Rung} */ ('longpoll');
