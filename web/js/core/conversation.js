// Whom something is written to: a value, the same as the server's. Pure, and the only place that
// knows how a conversation is spelled on the wire, in a Map and in an address.

/**
 * @typedef {{readonly kind: 'broadcasts'}} Broadcasts to all of one's friends
 * @typedef {{readonly kind: 'direct', readonly user: string}} Direct with one friend
 * @typedef {Broadcasts | Direct} Conversation
 */

/** @type {Broadcasts} */
export const BROADCASTS = Object.freeze({ kind: 'broadcasts' });

/** @param {string} user the friend's id @returns {Direct} */
export const direct = (user) => Object.freeze({ kind: 'direct', user });

/**
 * Two values of one conversation have one key: for a `Map`, an address, the draft's name.
 * @param {Conversation} conversation
 * @returns {string} '' of the broadcasts
 */
export const keyOf = (conversation) => (conversation.kind === 'direct' ? conversation.user : '');

/** @param {string} key what `keyOf` made @returns {Conversation} */
export const ofKey = (key) => (key ? direct(key) : BROADCASTS);

/** @param {Conversation} one @param {Conversation} other */
export const same = (one, other) => keyOf(one) === keyOf(other);

/** @param {string | null} user the wire's `with`: a friend's id, or null @returns {Conversation} */
export const ofWith = (user) => (user === null ? BROADCASTS : direct(user));

/** @param {Conversation} conversation @returns {{with?: string}} for a query or a body */
export const withOf = (conversation) => (conversation.kind === 'direct' ? { with: conversation.user } : {});

/** @param {Conversation} conversation @returns {{to?: string}} for a body or a frame */
export const toOf = (conversation) => (conversation.kind === 'direct' ? { to: conversation.user } : {});

/**
 * Where something stands for me that one person wrote to another, or to all.
 * @param {string} from the writer's id
 * @param {string | null} to the wire's `to`: a friend's id, or null
 * @param {string} me the reader's id
 * @returns {Conversation}
 */
export function between(from, to, me) {
  if (to === null) return BROADCASTS;
  return direct(from === me ? to : from);
}

/** @param {Conversation} conversation @returns {string} the view's address */
export const addressOf = (conversation) => `#/chat/${encodeURIComponent(keyOf(conversation))}`;
