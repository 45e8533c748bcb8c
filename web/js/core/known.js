// What the page knows of one conversation: its messages, and how much of it is unread. Pure.
// After a reset its messages may have a gap that nobody can see. They stay on the screen until the
// newest page has come, and beside them grows what will take their place.

import { keyOf } from './conversation.js';
import { Timeline } from './timeline.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {import('./types.js').MessageEvent} MessageEvent */

export class Known {
  #reads;
  #key;
  /** @type {Timeline | null} */
  #next = null;
  /** Requests for pages, counted by the timeline that they are for. @type {Timeline | null} */
  #loading = null;

  /**
   * @param {Conversation} conversation
   * @param {import('./reads.js').Reads} reads
   * @param {number} position from there on the stream is followed; Infinity: it is not yet
   */
  constructor(conversation, reads, position) {
    this.conversation = conversation;
    this.#key = keyOf(conversation);
    this.#reads = reads;
    this.timeline = new Timeline(position);
  }

  get unread() {
    return this.#reads.unread(this.#key);
  }

  get readUpTo() {
    return this.#reads.position(this.#key);
  }

  /** What pages are for, and what counts are made of. */
  get live() {
    return this.#next ?? this.timeline;
  }

  /** A page is on its way to where it belongs. */
  get loading() {
    return this.#loading === this.live;
  }

  /** The newest page has not come yet. */
  get empty() {
    return !this.live.loaded;
  }

  /** @param {MessageEvent} message */
  add(message) {
    this.timeline.add(message);
    this.#next?.add(message);
  }

  /** @param {string} writer @param {number} seq */
  remove(writer, seq) {
    this.timeline.remove(writer, seq);
    this.#next?.remove(writer, seq);
  }

  /** Nothing of it is shown any more. @param {number} position */
  clear(position) {
    this.timeline = new Timeline(position);
    this.#next = null;
  }

  /** What was there at an earlier visit. @param {MessageEvent[]} messages */
  recall(messages) {
    this.timeline = new Timeline();
    this.timeline.addPage(messages, false);
  }

  /** The stream is followed from here on; what was recalled stays until the newest page has come. @param {number} position */
  begin(position) {
    if (this.timeline.loaded) this.reset(position);
    else this.timeline.followFrom(position);
  }

  /** The newest page. @param {MessageEvent[]} messages @param {boolean} more @param {number} seq */
  adopt(messages, more, seq) {
    const { live } = this;
    live.addPage(messages, more, seq);
    this.timeline = live;
    this.#next = null;
  }

  /** The order begins anew. @param {number} position */
  reset(position) {
    this.#next = null;
    if (this.timeline.loaded) this.#next = new Timeline(position);
    else this.timeline = new Timeline(position);
  }

  /**
   * One page at a time, for what stands here now: after a reset an older request does not count.
   * @template Page
   * @param {(before: number | null) => Promise<Page>} ask
   * @param {(timeline: Timeline, page: Page, before: number | null) => boolean} take
   * @returns {Promise<boolean>} whether a page was taken
   */
  async load(ask, take) {
    const { live } = this;
    if (this.#loading === live) return false;
    this.#loading = live;
    try {
      const before = live.loaded ? live.before : null;
      const page = await ask(before);
      if (live !== this.live || !take(live, page, before)) return false;
      this.timeline = live;
      this.#next = null;
      return true;
    } finally {
      if (this.#loading === live) this.#loading = null;
    }
  }
}
