// One connection to the server: carries out what the negotiator's table says, keeps the cursor,
// and passes on each event once, whichever transports brought it.

import { climbWaitMs, retryWaitMs } from './core/backoff.js';
import { isEvent } from './core/items.js';
import { initialState, step } from './core/negotiator.js';
import { LADDER, TRANSPORTS } from './core/transports.js';
import { CLASSES } from './transports/classes.js';

/** @typedef {import('./core/transports.js').Rung} Rung */
/** @typedef {import('./core/types.js').Transport} Transport */
/** @typedef {import('./core/types.js').TransportEnd} TransportEnd */
/** @typedef {import('./core/types.js').TransportEvents} TransportEvents */
/** @typedef {import('./core/negotiator.js').Happening} Happening */
/** @typedef {import('./core/negotiator.js').Effect} Effect */

/**
 * @typedef {object} LinkEvents
 * @property {(event: import('./core/types.js').ChatEvent) => void} event in order, each once
 * @property {(signal: import('./core/types.js').Signal) => void} signal
 * @property {() => void} change `live`, `phase` or `reason` is another
 * @property {(reason: string) => void} stop it will not come back by itself
 */

/** A stream must deliver its first frame within this time, else something on the way drops it. */
const FIRST_FRAME_MS = 3_000;
/** What may pass beyond the heartbeat before a silent stream counts as dead. */
const SILENCE_GRACE_MS = 20_000;
/** The server's heartbeat until `hello` says another one. */
const HEARTBEAT_MS = 25_000;
/** How long the answer to a probe may take. */
const PROBE_MS = 4_000;

/** @typedef {{number: number, rung: Rung, transport: Transport | null, aliveAt: number}} Attempt */

export class Connection {
  #options;
  #on;
  #state;
  #attempts = 0;
  /** @type {Attempt | null} */
  #live = null;
  /** @type {Attempt | null} */
  #trial = null;
  /** @type {number | null} */
  #cursor = null;
  #heartbeatMs = HEARTBEAT_MS;
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #timers = new Map();
  /** Events that arrived again: normal while two transports overlap. */
  duplicates = 0;

  /**
   * @param {object} options
   * @param {string} options.base
   * @param {string} options.client the reader's name, kept while the page lives
   * @param {string} [options.user] whose page it is
   * @param {LinkEvents} options.on
   * @param {readonly Rung[]} [options.rungs] transports that may be used, best first
   * @param {Record<Rung, import('./core/types.js').TransportClass>} [options.transports]
   * @param {number} [options.pollMs]
   * @param {{get: () => string | null, set: (rung: Rung) => void}} [options.memory] where it last worked
   */
  constructor(options) {
    this.#options = options;
    this.#on = options.on;
    this.#state = initialState(options.rungs ?? LADDER);
  }

  get phase() {
    return this.#state.phase;
  }

  /** @returns {Rung | null} the transport that delivers */
  get live() {
    return this.#state.live;
  }

  get reason() {
    return this.#state.reason;
  }

  get rungs() {
    return this.#state.rungs;
  }

  get cursor() {
    return this.#cursor;
  }

  /** @param {number | null} cursor null: from the present on */
  start(cursor) {
    this.#cursor = cursor;
    const start = /** @type {Rung | null} */ (this.#options.memory?.get() ?? null);
    this.#dispatch({ type: 'connect', start });
  }

  stop() {
    this.#dispatch({ type: 'disconnect' });
  }

  /** @param {readonly Rung[]} rungs transports that may be used, best first */
  choose(rungs) {
    this.#dispatch({ type: 'choose', rungs });
  }

  /** Something has changed for the better or worse: the network, the page's visibility. */
  nudge() {
    this.#dispatch({ type: 'nudge' });
  }

  /** Ask the live transport for a sign of life; without one it is dropped. */
  probe() {
    const attempt = this.#live;
    // One question at a time: to ask again and again would put the verdict off for ever.
    if (!attempt || this.#timers.has('probe')) return;
    const askedAt = performance.now();
    attempt.transport?.probe?.();
    const { canBeAsked } = TRANSPORTS[attempt.rung];
    if (!canBeAsked && askedAt - attempt.aliveAt < this.#heartbeatMs + PROBE_MS) return;
    this.#after('probe', PROBE_MS, () => {
      if (this.#live === attempt && attempt.aliveAt < askedAt) this.#lose(attempt, 'no sign of life');
    });
  }

  /** @param {import('./core/types.js').Doubt} what */
  ask(what) {
    if (what === 'probe') this.probe();
    else if (what === 'doubt') this.#doubt();
    else if (what === 'tryNow') this.#tryNow();
  }

  /** Something that should have come is missing: ask, and where it cannot be asked, give it up. */
  #doubt() {
    const attempt = this.#live;
    if (attempt && !TRANSPORTS[attempt.rung].canBeAsked) this.#lose(attempt, 'what was sent did not come back');
    else this.probe();
  }

  /** Somebody does not want to wait for the next try, whatever the server has said. */
  #tryNow() {
    this.#dispatch({ type: 'retry' });
    this.nudge();
  }

  /** @param {object} frame @returns {boolean} false: nothing live carries frames up */
  send(frame) {
    if (!this.#live || !TRANSPORTS[this.#live.rung].carriesFrames) return false;
    return this.#live.transport?.send?.(frame) ?? false;
  }

  /** @param {Happening} event */
  #dispatch(event) {
    const [state, effects] = step(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#carryOut(effect);
    this.#on.change();
    if (event.type === 'stop') this.#on.stop(event.reason);
  }

  /** @param {Effect} effect */
  #carryOut(effect) {
    if (effect.do === 'open') this.#open(effect.rung);
    else if (effect.do === 'promote') this.#promote();
    else if (effect.do === 'close') this.#close(effect.which);
    else if (effect.do === 'probe') this.probe();
    else if (effect.do === 'stopTimers') this.#stopTimers();
    else if (effect.do === 'retryLater') {
      const ms = effect.ms ?? retryWaitMs(effect.failures, Math.random());
      this.#after('retry', ms, () => this.#dispatch({ type: 'retry' }));
    } else if (effect.do === 'climbLater') {
      const ms = climbWaitMs(effect.climbs, Math.random());
      this.#after('climb', ms, () => this.#dispatch({ type: 'climb' }));
    }
  }

  /** @param {Rung} rung */
  #open(rung) {
    const number = ++this.#attempts;
    /** @type {Attempt} */
    const attempt = { number, rung, transport: null, aliveAt: performance.now() };
    this.#trial = attempt;
    // A transport speaks with its attempt's number in mind: what a dropped one says is not heard.
    const heard = () => this.#live === attempt || this.#trial === attempt;
    /** @type {TransportEvents} */
    const on = {
      ready: () => this.#trial === attempt && this.#dispatch({ type: 'ready' }),
      item: (item) => heard() && this.#receive(attempt, item),
      cursor: (cursor) => heard() && this.#adopt(cursor),
      alive: () => heard() && this.#sign(attempt),
      end: (end) => this.#ended(attempt, end),
    };
    const { base, client, user, pollMs, transports = CLASSES } = this.#options;
    const name = this.#state.rungs.length === 1 ? client : client + TRANSPORTS[rung].suffix;
    try {
      attempt.transport = new transports[rung]({ base, cursor: this.#cursor, client: name, user, pollMs, on });
    } catch (error) {
      // A browser without this transport, or one that forbids it here.
      const reason = `this browser has no ${rung}: ${error instanceof Error ? error.message : error}`;
      queueMicrotask(() => this.#ended(attempt, { reason }));
    }
    if (TRANSPORTS[rung].streams) {
      this.#after('first', FIRST_FRAME_MS, () => {
        if (this.#trial === attempt) this.#lose(attempt, `nothing arrived in ${FIRST_FRAME_MS / 1000} s`);
      });
    }
  }

  #promote() {
    this.#live?.transport?.close();
    this.#live = this.#trial;
    this.#trial = null;
    for (const name of ['first', 'silence', 'probe']) this.#cancel(name);
    if (!this.#live) return;
    this.#sign(this.#live);
    this.#options.memory?.set(this.#live.rung);
  }

  /** @param {'live' | 'trial'} which */
  #close(which) {
    const attempt = which === 'live' ? this.#live : this.#trial;
    attempt?.transport?.close();
    this.#leave(which);
  }

  /** @param {'live' | 'trial'} which */
  #leave(which) {
    if (which === 'live') this.#live = null;
    else this.#trial = null;
    for (const name of which === 'live' ? ['silence', 'probe'] : ['first']) this.#cancel(name);
  }

  /** @param {Attempt} attempt @param {string} reason */
  #lose(attempt, reason) {
    attempt.transport?.close();
    // Silence of one that had delivered is the network's, not the transport's, fault.
    this.#ended(attempt, { reason, stable: true });
  }

  /** @param {Attempt} attempt @param {TransportEnd} end */
  #ended(attempt, end) {
    const wasLive = this.#live === attempt;
    if (!wasLive && this.#trial !== attempt) return;
    this.#leave(wasLive ? 'live' : 'trial');
    if (end.stop) this.#dispatch({ type: 'stop', reason: end.stop });
    else if (wasLive) {
      const { reason, retryMs, stable = false } = end;
      this.#dispatch({ type: 'drop', reason, stable, retryMs });
    } else this.#dispatch({ type: 'fail', reason: end.reason });
  }

  /** @param {Attempt} attempt */
  #sign(attempt) {
    attempt.aliveAt = performance.now();
    if (attempt !== this.#live || !TRANSPORTS[attempt.rung].streams) return;
    const silenceMs = this.#heartbeatMs + SILENCE_GRACE_MS;
    this.#after('silence', silenceMs, () => {
      if (this.#live === attempt) this.#lose(attempt, 'the connection fell silent');
    });
  }

  /** @param {Attempt} attempt @param {import('./core/types.js').Item} item */
  #receive(attempt, item) {
    this.#sign(attempt);
    if (!isEvent(item)) {
      if (item.type === 'hello') {
        if (item.heartbeat) this.#heartbeatMs = item.heartbeat * 1000;
        this.#cursor ??= item.seq;
      }
      this.#on.signal(item);
    } else if (item.type !== 'reset' && this.#cursor !== null && item.seq <= this.#cursor) {
      this.duplicates += 1;
    } else {
      this.#cursor = item.seq;
      this.#on.event(item);
    }
  }

  /** @param {number} cursor */
  #adopt(cursor) {
    if (this.#cursor === null || cursor > this.#cursor) this.#cursor = cursor;
  }

  /** @param {string} name @param {number} ms @param {() => void} callback */
  #after(name, ms, callback) {
    this.#cancel(name);
    this.#timers.set(name, setTimeout(() => {
      this.#timers.delete(name);
      callback();
    }, ms));
  }

  /** @param {string} name */
  #cancel(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  #stopTimers() {
    for (const name of ['retry', 'climb']) this.#cancel(name);
  }
}
