// How far everybody has read, and how much is unread: the server's last answer, the events after it,
// and what was read here and the server has not confirmed yet. Pure. A count is exact, or `apply` says
// that the server has to be asked: that a message is not in memory does not mean that there is none.

import { keyOf, ofKey, ofWith } from './conversation.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {import('./types.js').ChatEvent} ChatEvent */
/**
 * What `GET /api/read` answers.
 * @typedef {{read: {with: string | null, upTo: number}[], peers: {user: string, upTo: number}[],
 *   unread: {with: string | null, count: number}[], seq: number}} ReadList
 */
/**
 * How many messages of others stand after `after`, up to `upTo`; null: memory does not reach so far back.
 * @typedef {(key: string, after: number, upTo: number) => number | null} Counter
 */

/** The server counts so far. */
export const COUNT_MAX = 1000;

export class Reads {
  #me;
  #count;
  /** @type {Map<string, number>} by the conversation's key: how far, as the server has it */
  #positions = new Map();
  /** @type {Map<string, number>} what was read here beyond that */
  #marks = new Map();
  /** @type {Map<string, number>} messages of others after the server's position */
  #counts = new Map();
  /** @type {Map<string, number>} how far a friend has read the conversation with me */
  peers = new Map();
  #seq = -1;

  /** @param {string} me @param {Counter} count */
  constructor(me, count) {
    this.#me = me;
    this.#count = count;
  }

  /** Up to here every message is counted. */
  get seq() {
    return this.#seq;
  }

  /** The order begins anew at `seq`: what comes is later than what stands here. @param {number} seq */
  reset(seq) {
    this.#seq = seq;
  }

  /** How far a conversation has been read. @param {string} key */
  position(key) {
    return Math.max(this.#positions.get(key) ?? 0, this.#marks.get(key) ?? 0);
  }

  /** @param {string} key */
  unread(key) {
    const mark = this.#marks.get(key);
    const rest = mark === undefined ? null : this.#count(key, mark, Infinity);
    return rest === null ? this.#counts.get(key) ?? 0 : Math.min(COUNT_MAX, rest);
  }

  /** All conversations of which something is unread, or may be. */
  get keys() {
    return [...this.#counts.keys()];
  }

  /** @param {string} key @param {number} upTo @returns {boolean} whether that is further than before */
  mark(key, upTo) {
    if (upTo <= this.position(key)) return false;
    this.#marks.set(key, upTo);
    return true;
  }

  /** @returns {{conversation: Conversation, upTo: number}[]} what the server has not confirmed */
  get unconfirmed() {
    return [...this.#marks].map(([key, upTo]) => ({ conversation: ofKey(key), upTo }));
  }

  /** @param {ReadList} list @param {readonly ChatEvent[]} later the events after `list.seq` that have come already */
  adopt({ read, peers, unread, seq }, later) {
    this.#positions = new Map(read.map((one) => [keyOf(ofWith(one.with)), one.upTo]));
    this.#counts = new Map(unread.map((one) => [keyOf(ofWith(one.with)), one.count]));
    this.peers = new Map(peers.map((one) => [one.user, one.upTo]));
    this.#seq = seq;
    let exact = true;
    for (const event of later) exact = !this.apply(event) && exact;
    for (const key of [...this.#marks.keys()]) this.#settle(key, true);
    return exact;
  }

  /**
   * After the message stands in memory, or the former friend's messages have left it.
   * @param {ChatEvent} event
   * @returns {boolean} whether the server has to be asked
   */
  apply(event) {
    if (event.seq <= this.#seq) return false;
    this.#seq = event.seq;
    if (event.type === 'message') return this.#message(event);
    if (event.type === 'read') return this.#read(event);
    return event.type === 'friend' && this.#friend(event);
  }

  /** @param {import('./types.js').MessageEvent} event */
  #message({ from, to }) {
    if (from.id === this.#me) return false;
    const key = to === null ? '' : from.id;
    this.#counts.set(key, Math.min(COUNT_MAX, (this.#counts.get(key) ?? 0) + 1));
    return false;
  }

  /** @param {import('./types.js').ReadEvent} event */
  #read({ user, with: other, upTo, seq }) {
    if (user !== this.#me) {
      this.peers.set(user, Math.max(upTo, this.peers.get(user) ?? 0));
      return false;
    }
    const key = keyOf(ofWith(other));
    if (upTo <= (this.#positions.get(key) ?? 0)) return false;
    this.#positions.set(key, upTo);
    this.#settle(key, false);
    return this.#recount(key, seq);
  }

  /** What somebody wrote before is not shown any more, so it is not unread. @param {import('./types.js').FriendEvent} event */
  #friend({ user, relation, seq }) {
    if (relation !== 'friend' && relation !== 'none') return false;
    this.#counts.delete(user.id);
    // A page of messages may have been ahead of the stream, and read already.
    if ((this.#marks.get(user.id) ?? 0) <= seq) this.#marks.delete(user.id);
    this.peers.delete(user.id);
    this.#recount('', seq);
    return true;
  }

  /** @param {string} key @param {number} seq the event's, after which others are counted one by one */
  #recount(key, seq) {
    if (!this.#counts.get(key)) return false;
    const count = this.#count(key, this.#positions.get(key) ?? 0, seq);
    if (count !== null) this.#counts.set(key, Math.min(COUNT_MAX, count));
    return count === null;
  }

  /** @param {string} key @param {boolean} listed the server was asked, so what it has not is not on its way */
  #settle(key, listed) {
    const mark = this.#marks.get(key) ?? 0;
    const position = this.#positions.get(key) ?? 0;
    // A position that passes no message changes nothing, and the server keeps the older one.
    if (position >= mark || (listed && !this.#counts.get(key))) this.#marks.delete(key);
  }
}
