// Transports 3 and 4: long-polling, and polling, which is the same and never waits.
// The cursor in the next request is the acknowledgement, so a lost answer costs nothing.

import { endOfBye, stopOfRefusal } from '../core/endings.js';
import { TRANSPORTS } from '../core/transports.js';
import { readerUrl } from './address.js';

/** @typedef {import('../core/types.js').TransportOptions} TransportOptions */
/** @typedef {{cursor: number, events: import('../core/types.js').Item[], more: boolean, timeout?: number}} Answer */

/** How long the server may hold a poll, seconds; below the 60 that proxies allow. */
const HOLD_S = 25;
/** What an answer may take beside the hold, milliseconds; the server's `timeout` replaces it. */
const ANSWER_MS = 10_000;
/** How often plain polling asks, milliseconds. */
const POLL_MS = 3_000;
/** An empty answer to a held poll sooner than this is no hold; milliseconds. */
const HASTY_MS = 1_000;

const HURRY = new Error('asked again');

class Refused extends Error {
  /** @param {string} message @param {import('../core/types.js').TransportEnd} end */
  constructor(message, end) {
    super(message);
    this.end = end;
  }
}

export class LongpollTransport {
  /** @type {import('../core/transports.js').Rung} */
  static rung = 'longpoll';
  #options;
  #cursor;
  /** @type {AbortController | null} the request under way */
  #request = null;
  #hurried = false;
  #ended = false;
  #answers = 0;
  #timeoutMs = ANSWER_MS;
  /** @type {(() => void) | null} */
  #wake = null;

  /** @param {TransportOptions} options */
  constructor(options) {
    this.#options = options;
    this.#cursor = options.cursor;
    this.#run().catch((error) => this.#fail(error));
  }

  get #holds() {
    return TRANSPORTS[/** @type {typeof LongpollTransport} */ (this.constructor).rung].holds;
  }

  close() {
    this.#ended = true;
    this.#request?.abort();
    this.#wake?.();
  }

  /** Ask now: a held request may hang on a network that is gone, so it is given up and repeated. */
  probe() {
    this.#hurried = true;
    this.#wake?.();
    this.#request?.abort(HURRY);
  }

  async #run() {
    while (!this.#ended) {
      const startedAt = performance.now();
      // The first never waits: its answer shows at once that this way works.
      const holds = this.#holds && this.#answers > 0 && !this.#hurried;
      this.#hurried = false;
      const answer = await this.#ask(holds);
      if (this.#ended) return;
      if (answer === null) continue;
      this.#take(answer);
      if (this.#ended || answer.more) continue;
      const took = performance.now() - startedAt;
      if (!this.#holds) await this.#pause(this.#options.pollMs ?? POLL_MS);
      else if (holds && !answer.events.length && took < HASTY_MS) await this.#pause(HASTY_MS);
    }
  }

  /** @param {boolean} holds @returns {Promise<Answer | null>} null: given up to ask again */
  async #ask(holds) {
    const url = readerUrl('/poll', this.#options, this.#cursor);
    url.searchParams.set('wait', String(holds ? HOLD_S : 0));
    const limitMs = holds ? Math.max(this.#timeoutMs, HOLD_S * 1000 + ANSWER_MS) : ANSWER_MS;
    const request = new AbortController();
    this.#request = request;
    const timer = setTimeout(() => request.abort(new Error('no answer in time')), limitMs);
    try {
      const response = await fetch(url, {
        credentials: 'include', cache: 'no-store', signal: request.signal,
      });
      if (!response.ok) throw await refusal(response);
      return await response.json();
    } catch (error) {
      if (request.signal.reason === HURRY) return null;
      throw error;
    } finally {
      clearTimeout(timer);
      this.#request = null;
    }
  }

  /** @param {Answer} answer */
  #take(answer) {
    const { on } = this.#options;
    this.#answers += 1;
    // Who began at the present knows now where that is; what is opened beside this goes on from there.
    if (this.#cursor === null) on.cursor(answer.cursor);
    if (typeof answer.timeout === 'number') this.#timeoutMs = answer.timeout;
    if (this.#answers === 1) on.ready();
    else on.alive();
    for (const item of answer.events) {
      if (this.#ended) return;
      if (item.type === 'bye') this.#finish(endOfBye(item));
      else on.item(item);
    }
    if (this.#ended) return;
    this.#cursor = answer.cursor;
    on.cursor(answer.cursor);
  }

  /** @param {number} ms @returns {Promise<void>} */
  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#finish(error instanceof Refused ? error.end : { reason: 'the request failed' });
  }

  /** @param {import('../core/types.js').TransportEnd} end */
  #finish(end) {
    if (this.#ended) return;
    this.close();
    // One answer to a held poll shows that nothing on the way cuts them.
    this.#options.on.end({ ...end, stable: this.#answers > 1 });
  }
}

/** The same requests with `wait=0`, one every few seconds. */
export class PollTransport extends LongpollTransport {
  /** @type {import('../core/transports.js').Rung} */
  static rung = 'poll';
}

/** @param {Response} response @returns {Promise<Refused>} */
async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const reason = problem.detail || problem.title || `the server answered ${response.status}`;
  const stop = stopOfRefusal({ status: response.status, code: problem.code });
  if (stop) return new Refused(reason, { reason, stop });
  const afterS = Number(response.headers.get('Retry-After')) || problem.retryAfter;
  const retryMs = afterS ? afterS * 1000 : undefined;
  return new Refused(reason, { reason, retryMs });
}
