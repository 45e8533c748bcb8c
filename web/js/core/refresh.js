// Asking again: one request at a time, and whoever wants it while one is on its way gets another
// after it, because the answer to the first may be older than the wish. Pure: timers are given.

import { retryWaitMs } from './backoff.js';

/**
 * @typedef {object} RefreshEffects
 * @property {(callback: () => void, ms: number) => any} setTimer
 * @property {(timer: any) => void} clearTimer
 * @property {() => number} random
 */

export class Refresh {
  #ask;
  #effects;
  /** @type {Promise<void> | null} */
  #running = null;
  /** @type {Promise<void> | null} */
  #next = null;
  #failures = 0;
  /** @type {any} */
  #timer;
  #stopped = false;

  /**
   * @param {() => Promise<boolean>} ask false: the answer was of no use, ask again. What it throws is no answer
   * @param {RefreshEffects} effects
   */
  constructor(ask, effects) {
    this.#ask = ask;
    this.#effects = effects;
  }

  /** Resolves when a request that was made after this call has ended, well or badly; it is tried again by itself. */
  want() {
    if (this.#stopped) return Promise.resolve();
    if (!this.#running) return this.#run();
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      return this.#run();
    });
    return this.#next;
  }

  stop() {
    this.#stopped = true;
    this.#effects.clearTimer(this.#timer);
  }

  /** @returns {Promise<void>} */
  #run() {
    if (this.#stopped) return Promise.resolve();
    this.#effects.clearTimer(this.#timer);
    this.#running = this.#ask().catch(() => false).then((done) => {
      this.#running = null;
      this.#failures = done ? 0 : this.#failures + 1;
      if (!done && !this.#next) this.#later();
    });
    return this.#running;
  }

  #later() {
    if (this.#stopped) return;
    const waitMs = retryWaitMs(this.#failures, this.#effects.random());
    this.#timer = this.#effects.setTimer(() => {
      this.want().catch(() => {
        // It never rejects; a failure sets the timer again.
      });
    }, waitMs);
  }
}
