// The last message of each conversation: the server's list, and the messages after it, merged by `seq`,
// never by arrival. Pure. Where an event hides what stands here, `apply` says that the server has to be asked.

import { between, keyOf, ofWith } from './conversation.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {import('./types.js').ChatEvent} ChatEvent */
/** @typedef {import('./types.js').MessageEvent} MessageEvent */
/**
 * What `GET /api/conversations` answers.
 * @typedef {{conversations: {with: string | null, last: MessageEvent | null}[], seq: number}} LastsList
 */

export class Lasts {
  #me;
  /** @type {Map<string, MessageEvent>} by the conversation's key */
  #lasts = new Map();
  /** Up to here everything is in what stands here. */
  #seq = -1;

  /** @param {string} me */
  constructor(me) {
    this.#me = me;
  }

  /** @param {Conversation} conversation */
  of(conversation) {
    return this.#lasts.get(keyOf(conversation)) ?? null;
  }

  /** The order begins anew at `seq`: what comes is later than what stands here. @param {number} seq */
  reset(seq) {
    this.#seq = seq;
  }

  /**
   * @param {LastsList} list
   * @param {readonly ChatEvent[]} later the events after `list.seq` that have come already
   * @returns {boolean} false: an event among them hides something, ask again
   */
  adopt({ conversations, seq }, later) {
    // An own message may be here before its event: the server has acknowledged it.
    const ahead = [...this.#lasts.values()].filter((one) => one.seq > seq && one.from.id === this.#me);
    this.#lasts = new Map();
    for (const one of conversations) if (one.last) this.#lasts.set(keyOf(ofWith(one.with)), one.last);
    this.#seq = seq;
    let whole = true;
    for (const event of later) whole = !this.apply(event) && whole;
    for (const message of ahead) this.add(message);
    return whole;
  }

  /** A message of the stream, or an own one that the server has. @param {MessageEvent} message */
  add(message) {
    const key = keyOf(between(message.from.id, message.to, this.#me));
    if (message.seq > (this.#lasts.get(key)?.seq ?? -1)) this.#lasts.set(key, message);
  }

  /**
   * @param {ChatEvent} event
   * @returns {boolean} whether the server has to be asked what is the last one now
   */
  apply(event) {
    if (event.seq <= this.#seq) return false;
    this.#seq = event.seq;
    if (event.type === 'message') this.add(event);
    if (event.type !== 'friend') return false;
    // Of a friendship that begins, one's own messages of before are shown; of one that ended, nothing.
    if (event.relation === 'friend') return true;
    if (event.relation !== 'none') return false;
    this.#lasts.delete(event.user.id);
    if (this.#lasts.get('')?.from.id !== event.user.id) return false;
    this.#lasts.delete('');
    return true;
  }
}
