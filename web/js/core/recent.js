// The last events, for tabs that join or slept: pure.

/** @typedef {import('./types.js').ChatEvent} ChatEvent */

/** A tab that missed more than this reads everything again, which is one page for each conversation. */
export const EVENTS_MAX = 500;
/** In characters of text: 500 long messages would be ten times as many. */
export const TEXT_MAX = 200_000;

/** @param {ChatEvent} event */
const sizeOf = (event) => (event.type === 'message' ? event.text.length : 0);

export class Recent {
  /** @type {ChatEvent[]} */
  #events = [];
  #textSize = 0;
  /** @type {number | null} every event after it, up to the last one, is here */
  #floor = null;

  /** Nothing is known of what stands at `seq` or before. @param {number} seq */
  startAt(seq) {
    this.#events = [];
    this.#textSize = 0;
    this.#floor = seq;
  }

  /** @param {ChatEvent} event later than all before it; a `reset` begins anew at its place */
  add(event) {
    if (event.type === 'reset') {
      this.startAt(event.seq);
      return;
    }
    this.#floor ??= event.seq - 1;
    this.#events.push(event);
    this.#textSize += sizeOf(event);
    while (this.#events.length > EVENTS_MAX || this.#textSize > TEXT_MAX) {
      const oldest = /** @type {ChatEvent} */ (this.#events.shift());
      this.#textSize -= sizeOf(oldest);
      this.#floor = oldest.seq;
    }
  }

  /** @param {number} cursor @returns {ChatEvent[] | null} null: some of them may be missing */
  after(cursor) {
    if (this.#floor === null || cursor < this.#floor) return null;
    return this.#events.filter((event) => event.seq > cursor);
  }
}
