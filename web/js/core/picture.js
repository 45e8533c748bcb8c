// All that the page knows of the service: people, conversations, what is unread. It is made of the
// server's answers (each true at its `seq`) and of the stream (each event at its own), and they are
// merged by `seq`, never by arrival: an answer is taken, and the events after its place come on top of
// it again; an event that an answer holds already counts once. Pure: no request, no timer.

import { BROADCASTS, between, keyOf, ofKey } from './conversation.js';
import { Known } from './known.js';
import { Lasts } from './lasts.js';
import { People } from './people.js';
import { Reads } from './reads.js';
import { Recent } from './recent.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {import('./types.js').ChatEvent} ChatEvent */
/** @typedef {import('./types.js').FriendEvent} FriendEvent */
/** @typedef {import('./types.js').MessageEvent} MessageEvent */
/** @typedef {import('./types.js').Sender} Sender */
/** @typedef {import('./types.js').User} User */
/** @typedef {import('./people.js').PeopleList} PeopleList */
/** @typedef {import('./reads.js').ReadList} ReadList */
/** @typedef {import('./lasts.js').LastsList} LastsList */
/** @typedef {{messages: MessageEvent[], more: boolean, seq: number}} Page what `GET /api/messages` answers */
/**
 * Noted before something is asked for: what the page had been told by then.
 * @typedef {{epoch: number, turn: number, profiles: number}} Asked
 */
/** @typedef {{people: boolean, reads: boolean, lasts: boolean, arrived: boolean}} Told what to ask for, and what is new */

export class Picture {
  /** Counted up by each reset: an answer to what was asked before it is of another order. */
  #epoch = 0;
  /** So far the stream has come; Infinity: nothing is followed yet. */
  #position = Infinity;
  /** What came before the page began is no arrival. */
  #startSeq = 0;
  /** The last events, to come on top of an answer that is older than they. */
  #recent = new Recent();
  /** Counts what was told of the own profile. */
  #profiles = 0;
  /** @type {Map<string, Known>} by the conversation's key */
  #known = new Map();

  /** @param {User} me */
  constructor(me) {
    this.me = me;
    this.people = new People();
    this.lasts = new Lasts(me.id);
    this.reads = new Reads(me.id, (key, after, upTo) => this.known(ofKey(key)).live.count(after, upTo, me.id));
  }

  /** Whether the stream is followed. */
  get begun() {
    return this.#position !== Infinity;
  }

  /** @returns {Asked} */
  get asked() {
    return { epoch: this.#epoch, turn: this.people.turn, profiles: this.#profiles };
  }

  /** @param {Conversation} conversation @returns {Known} */
  known(conversation) {
    const key = keyOf(conversation);
    let found = this.#known.get(key);
    if (!found) {
      found = new Known(conversation, this.reads, this.#position);
      this.#known.set(key, found);
    }
    return found;
  }

  /** The seq of the newest message that is here. */
  get lastSeq() {
    return Math.max(0, ...[...this.#known.values()].map((one) => one.timeline.lastSeq ?? 0));
  }

  /** Whether one can write there: to all friends, or to one of them. @param {Conversation} conversation */
  isOpen(conversation) {
    return conversation.kind !== 'direct' || this.people.friends.has(conversation.user);
  }

  /** @param {Conversation} conversation */
  unreadIn(conversation) {
    return this.isOpen(conversation) ? this.reads.unread(keyOf(conversation)) : 0;
  }

  get unread() {
    return this.reads.keys.reduce((sum, key) => sum + this.unreadIn(ofKey(key)), 0);
  }

  /** The user as known now, or as an event told. @param {Sender} user @returns {Sender} */
  current(user) {
    return user.id === this.me.id ? this.me : this.people.friends.get(user.id) ?? user;
  }

  /**
   * The first answers. Each is true at its own place.
   * @param {PeopleList} people @param {Page} page of the broadcasts @param {ReadList} reads @param {LastsList} lasts
   * @param {Asked} asked
   * @returns {number} where the stream is to be followed from: nothing is missed, and nothing counts twice
   */
  begin(people, page, reads, lasts, asked) {
    this.#position = Math.min(people.seq, page.seq, reads.seq, lasts.seq);
    this.#startSeq = reads.seq;
    this.#recent.startAt(this.#position);
    this.people.adopt(people, [], asked.turn);
    this.reads.adopt(reads, []);
    this.lasts.adopt(lasts, []);
    for (const known of this.#known.values()) known.begin(this.#position);
    this.known(BROADCASTS).adopt(page.messages, page.more, page.seq);
    return this.#position;
  }

  /**
   * What was there at an earlier visit, until the server answers: shown, and taken for nothing else.
   * @param {import('./people.js').Friend[]} friends @param {[Conversation, MessageEvent[]][]} talks
   */
  recall(friends, talks) {
    const offline = friends.map((friend) => ({ ...friend, online: false }));
    this.people.adopt({ friends: offline, incoming: [], outgoing: [], seq: -1 }, [], this.people.turn);
    const conversations = talks.map(([conversation, messages]) => (
      { with: keyOf(conversation) || null, last: messages[messages.length - 1] ?? null }));
    this.lasts.adopt({ conversations, seq: -1 }, []);
    for (const [conversation, messages] of talks) this.known(conversation).recall(messages);
  }

  /** @param {ChatEvent} event the next one of the stream @returns {Told} */
  apply(event) {
    this.#position = event.seq;
    this.#recent.add(event);
    if (event.type === 'message') this.add(event);
    if (event.type === 'profile' && event.user.id === this.me.id) this.#profile(event.user);
    if (hides(event)) this.#hide(event);
    const arrived = event.type === 'message' && event.from.id !== this.me.id && event.seq > this.#startSeq;
    return { people: this.people.apply(event), reads: this.reads.apply(event), lasts: this.lasts.apply(event), arrived };
  }

  /** A message of the stream, or an own one that the server has. @param {MessageEvent} message */
  add(message) {
    this.known(between(message.from.id, message.to, this.me.id)).add(message);
    this.lasts.add(message);
  }

  /** Something may have been missed: all of it is to be asked for, and what is here stays until then. @param {number} seq */
  reset(seq) {
    this.#epoch += 1;
    this.#position = seq;
    this.#recent.startAt(seq);
    this.people.reset(seq);
    this.reads.reset(seq);
    this.lasts.reset(seq);
    for (const known of this.#known.values()) known.reset(seq);
  }

  /** @param {PeopleList} list @param {Asked} asked @returns {boolean} false: it is of no use, ask again */
  takePeople(list, asked) {
    const later = this.#after(list.seq, asked);
    if (later) this.people.adopt(list, later, asked.turn);
    return later !== null;
  }

  /** @param {ReadList} list @param {Asked} asked @returns {boolean} false: it does not tell all, ask again */
  takeReads(list, asked) {
    const later = this.#after(list.seq, asked);
    return later !== null && this.reads.adopt(list, later);
  }

  /** @param {LastsList} list @param {Asked} asked @returns {boolean} false: it does not tell all, ask again */
  takeLasts(list, asked) {
    const later = this.#after(list.seq, asked);
    return later !== null && this.lasts.adopt(list, later);
  }

  /**
   * The own profile, which has no place in the order: where the stream has told another one since it
   * was asked for, the stream goes on telling.
   * @param {User} user @param {Asked} asked
   */
  takeMe(user, asked) {
    if (asked.profiles === this.#profiles) this.me = { ...this.me, ...user };
  }

  /**
   * @param {import('./timeline.js').Timeline} timeline
   * @param {Page} page
   * @param {number | null} before what it was asked to lie before; null: the newest
   * @param {Asked} asked
   * @returns {boolean} false: it does not join what stands here
   */
  takePage(timeline, { messages, more, seq }, before, asked) {
    const later = this.#after(seq, asked);
    if (!later || !timeline.addPage(messages, more, before === null ? seq : before - 1)) return false;
    for (const event of later) if (hides(event)) timeline.remove(event.user.id, event.seq);
    return true;
  }

  /** @param {number} seq @param {Asked} asked @returns {ChatEvent[] | null} what came after an answer's place */
  #after(seq, { epoch }) {
    return epoch === this.#epoch ? this.#recent.after(seq) : null;
  }

  /** @param {FriendEvent} event */
  #hide({ user, seq }) {
    for (const known of this.#known.values()) known.remove(user.id, seq);
    this.#known.get(user.id)?.clear(seq);
  }

  /** @param {User} user */
  #profile(user) {
    this.#profiles += 1;
    this.me = { ...this.me, ...user };
  }
}

/** @param {ChatEvent} event @returns {event is FriendEvent} what the other wrote before it is not shown any more */
const hides = (event) => event.type === 'friend' && (event.relation === 'friend' || event.relation === 'none');
