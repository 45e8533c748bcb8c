// Who is whose friend, as far as the page was told: the last list of the server, and the events after
// it. Pure. An event changes what stands here at once, whether or not a list is on its way; a list
// replaces what stands here, and the events that are later than it come on top again.

import { Presence } from './presence.js';

/** @typedef {import('./types.js').ChatEvent} ChatEvent */
/** @typedef {import('./types.js').User} User */
/**
 * `endsIn`: for so many seconds one may take back that the friendship ends.
 * @typedef {User & {online: boolean, lastSeen: number | null, endsIn?: number}} Friend
 */
/**
 * What `GET /api/friends` answers. `incoming` are the oldest requests, `incomingCount` is how many there are.
 * @typedef {{friends: Friend[], incoming: User[], incomingCount?: number, outgoing: User[], seq: number}} PeopleList
 */

/** @param {readonly User[]} users @param {User} user */
const without = (users, user) => users.filter(({ id }) => id !== user.id);

export class People {
  /** @type {Map<string, Friend>} */
  friends = new Map();
  /** @type {User[]} */
  incoming = [];
  incomingCount = 0;
  /** @type {User[]} */
  outgoing = [];
  /** Up to here everything is in what stands here. */
  #seq = -1;
  /** @type {Map<string, string>} the names of those who were friends, as far as this browser knows, by id */
  former = new Map();
  #presence = new Presence();

  /** To be noted before a list is asked for. */
  get turn() {
    return this.#presence.turn;
  }

  /** The turn in which the whole presence was told last. */
  get wholeTurn() {
    return this.#presence.wholeTurn;
  }

  /** Names from an earlier visit. @param {Iterable<[string, string]>} names */
  knew(names) {
    for (const [id, name] of names) this.former.set(id, name);
  }

  /** The order begins anew at `seq`: what comes is later than what stands here. @param {number} seq */
  reset(seq) {
    this.#seq = seq;
  }

  /**
   * @param {PeopleList} list
   * @param {readonly ChatEvent[]} later the events after `list.seq` that have come already
   * @param {number} asked the turn in which it was asked for
   */
  adopt({ friends, incoming, incomingCount, outgoing, seq }, later, asked) {
    this.#presence.adopt(friends, asked);
    for (const { id, name } of this.friends.values()) this.former.set(id, name);
    this.friends = new Map(friends.map((friend) => [friend.id, { ...friend, ...this.#presence.of(friend.id) }]));
    this.incoming = incoming;
    this.incomingCount = incomingCount ?? incoming.length;
    this.outgoing = outgoing;
    this.#seq = seq;
    for (const event of later) this.apply(event);
  }

  /**
   * @param {ChatEvent} event
   * @returns {boolean} whether a list would say more than the event did
   */
  apply(event) {
    if (event.seq <= this.#seq) return false;
    this.#seq = event.seq;
    if (event.type === 'profile') this.#profile(event.user);
    if (event.type !== 'friend') return false;
    this.#relate(event.user, event.relation);
    return true;
  }

  /** @param {import('./presence.js').Told} signal */
  tell(signal) {
    this.#presence.tell(signal);
    const about = 'user' in signal ? [signal.user] : [...this.friends.keys()];
    for (const id of about) {
      const friend = this.friends.get(id);
      if (friend) this.friends.set(id, { ...friend, ...this.#presence.of(id) });
    }
  }

  /** @param {User} user @param {import('./types.js').Relation} relation */
  #relate(user, relation) {
    const asked = this.incoming.some(({ id }) => id === user.id);
    this.incoming = without(this.incoming, user);
    this.outgoing = without(this.outgoing, user);
    if (asked) this.incomingCount -= 1;
    if (relation === 'incoming') {
      this.incoming.push(user);
      this.incomingCount += 1;
    } else if (relation === 'outgoing') this.outgoing.push(user);
    if (relation === 'friend') this.friends.set(user.id, { ...user, ...this.#presence.of(user.id) });
    else {
      const left = this.friends.get(user.id);
      if (left) this.former.set(user.id, left.name);
      this.friends.delete(user.id);
    }
    if (relation === 'none') this.#presence.forget(user.id);
  }

  /** @param {User} user */
  #profile(user) {
    const friend = this.friends.get(user.id);
    if (friend) this.friends.set(user.id, { ...friend, ...user });
    const renamed = (/** @type {User} */ one) => (one.id === user.id ? { ...one, ...user } : one);
    this.incoming = this.incoming.map(renamed);
    this.outgoing = this.outgoing.map(renamed);
  }
}
