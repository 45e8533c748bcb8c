// One lane: a reader of the visitor's own account over one transport, with the means to disturb it.

import { CLASSES, ChatClient } from '../client.js';
import { Tally } from '../core/stats.js';
import { TRANSPORTS } from '../core/transports.js';

/** @typedef {import('../core/transports.js').Rung} Rung */
/** @typedef {{number: number, sentMs: number, latencyMs: number}} Sighting */

/**
 * @typedef {object} Run what all lanes share
 * @property {string} id
 * @property {string} user whose laboratory it is
 * @property {Map<number, number>} sent message number to the time it was sent, milliseconds
 * @property {Map<number, number>} acknowledged message number to its seq
 * @property {number} pollMs
 */

export class Lane {
  tally = new Tally();
  /** @type {Sighting[]} */
  sightings = [];
  delayMs = 0;
  requests = 0;
  bytesUp = 0;
  bytesDown = 0;

  /** @param {string} name @param {Run} run */
  constructor(name, run) {
    this.name = name;
    this.run = run;
    this.client = `lab-${run.id}-${name.toLowerCase().replace(/[^a-z]+/g, '')}`;
  }

  /** @param {string} text a message's */
  see(text) {
    const match = /^lab ([0-9a-f]+) (\d+)$/.exec(text);
    if (!match || match[1] !== this.run.id) return;
    const number = Number(match[2]);
    const sentMs = this.run.sent.get(number) ?? performance.now();
    const latencyMs = performance.now() - sentMs;
    this.tally.record(number, latencyMs);
    this.sightings.push({ number, sentMs, latencyMs });
  }

  /** @param {number | null} position @returns {number} messages at or before it that this lane has not seen */
  missedAt(position) {
    const due = [];
    for (const [number, seq] of this.run.acknowledged) {
      if (position !== null && seq <= position) due.push(number);
    }
    return this.tally.missing(due);
  }
}

/**
 * Between the transport and the client stands the disturbance: everything that arrives waits for
 * the lane's delay, in order, and a cut ends it without a word to the server.
 */
class Disturbance {
  #inner;
  #lane;
  #ended = false;
  #dueMs = 0;

  /** @param {StreamLane} lane @param {Rung} rung @param {import('../core/types.js').TransportOptions} options */
  constructor(lane, rung, options) {
    const { on } = options;
    this.#lane = lane;
    this.#inner = new CLASSES[rung]({
      ...options,
      get pollMs() {
        return lane.run.pollMs;
      },
      on: {
        ready: () => this.#later(on.ready),
        item: (item) => this.#later(() => on.item(item)),
        cursor: (cursor) => this.#later(() => on.cursor(cursor)),
        alive: () => this.#later(on.alive),
        end: (end) => this.#later(() => on.end(end)),
      },
    });
    this.end = () => on.end({ reason: 'cut here', stable: true });
  }

  /** @param {() => void} call */
  #later(call) {
    const now = performance.now();
    this.#dueMs = Math.max(this.#dueMs, now + this.#lane.delayMs);
    if (this.#dueMs <= now) call();
    else setTimeout(() => this.#ended || call(), this.#dueMs - now);
  }

  close() {
    this.#ended = true;
    this.#inner.close();
  }

  /** @param {object} frame */
  send(frame) {
    return this.#inner.send?.(frame) ?? false;
  }

  probe() {
    this.#inner.probe?.();
  }

  cut() {
    this.close();
    this.end();
  }
}

/** WebSocket, SSE, long-polling or polling: a ChatClient that may use this one transport only. */
export class StreamLane extends Lane {
  /** @type {Disturbance | null} */
  #current = null;

  /** @param {Run} run @param {Rung} rung */
  constructor(run, rung) {
    super(TRANSPORTS[rung].label, run);
    this.rung = rung;
    const lane = this;
    class Disturbed extends Disturbance {
      /** @param {import('../core/types.js').TransportOptions} options */
      constructor(options) {
        super(lane, rung, options);
        lane.#current = this;
      }
    }
    const memory = { get: () => null, set: () => {} };
    this.chat = new ChatClient({
      user: run.user, client: this.client, rungs: [rung], transports: { [rung]: Disturbed }, memory,
    });
    this.chat.addEventListener('event', ({ detail }) => {
      if (detail.type === 'message') this.see(detail.text);
    });
  }

  get state() {
    return this.chat.state;
  }

  get missed() {
    return this.missedAt(this.chat.cursor);
  }

  start() {
    this.chat.connect();
  }

  stop() {
    this.chat.disconnect();
  }

  cut() {
    this.#current?.cut();
  }
}

/** The pages made by the server, fetched again and again as a browser without script would. */
export class ClassicLane extends Lane {
  #ended = false;
  /** @type {Set<string>} */
  #known = new Set();
  #position = /** @type {number | null} */ (null);
  #abort = new AbortController();
  state = 'idle';

  /** @param {string} name @param {Run} run */
  constructor(name, run) {
    super(name, run);
    performance.setResourceTimingBufferSize(5000);
  }

  get missed() {
    return this.missedAt(this.#position);
  }

  start() {
    this.#loop().catch((error) => {
      this.state = String(error.message);
    });
  }

  stop() {
    this.#ended = true;
    this.#abort.abort();
    this.state = 'idle';
  }

  cut() {
    this.#abort.abort();
  }

  async #loop() {
    while (!this.#ended) {
      this.#abort = new AbortController();
      try {
        const url = `/classic?client=${this.client}`;
        const response = await fetch(url, { cache: 'no-store', signal: this.#abort.signal });
        const page = await response.text();
        if (this.delayMs) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
        this.state = response.ok ? 'connected' : `answered ${response.status}`;
        this.#read(page);
      } catch {
        this.state = 'disconnected';
      }
      await new Promise((resolve) => setTimeout(resolve, this.run.pollMs));
    }
  }

  /** @param {string} page */
  #read(page) {
    for (const [text, number] of page.matchAll(new RegExp(`lab ${this.run.id} (\\d+)`, 'g'))) {
      if (this.#known.has(text)) continue;
      this.#known.add(text);
      this.see(text);
      this.#position = Math.max(this.#position ?? 0, this.run.acknowledged.get(Number(number)) ?? 0);
    }
  }
}
