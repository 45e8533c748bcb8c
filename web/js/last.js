// What was last there, kept in the browser for one account, so that a reload without the server shows it.
// It goes with the sign-out, and as soon as another account signs in. The newest messages only: it is a view
// of yesterday, not a copy of the history.

import { BROADCASTS, direct, keyOf, ofKey } from './core/conversation.js';

/** @typedef {import('./core/types.js').MessageEvent} MessageEvent */
/** @typedef {import('./core/types.js').User} User */
/** @typedef {import('./core/people.js').Friend} Friend */
/** @typedef {{me: User, friends: Friend[], former?: [string, string][], talks: {key: string, messages: MessageEvent[]}[]}} Last */

const KEY = 'chat.last';
/** Messages of a conversation, and conversations beside the broadcasts. */
const MESSAGES = 30;
const TALKS = 20;
/** Names of those who are no friends any more. */
const FORMER = 100;
/** Characters in all: browsers give a site some five million. */
const SIZE_MAX = 400_000;

/** Without an answer for so long, what was last there is shown. */
export const LAST_MS = 4000;

/**
 * @template Answer
 * @param {Promise<Answer>} asked
 * @param {number} ms @returns {Promise<Answer>} rejected where the answer takes longer
 */
export function soon(asked, ms) {
  if (ms === Infinity) return asked;
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('late')), ms);
    asked.then(resolve, reject);
  });
}

/** @returns {Last | null} */
export function lastSeen() {
  try {
    const last = JSON.parse(localStorage.getItem(KEY) ?? 'null');
    return typeof last?.me?.id === 'string' && Array.isArray(last.friends) && Array.isArray(last.talks) ? last : null;
  } catch {
    return null;
  }
}

/** Nothing is kept any more: of this account, or of anybody. @param {string} [id] */
export function forgetLast(id) {
  try {
    if (!id || lastSeen()?.me.id === id) localStorage.removeItem(KEY);
  } catch {
    // Then nothing was kept.
  }
}

/** Of whoever is signed in now. @param {User} me */
export function claimLast(me) {
  if (lastSeen()?.me.id !== me.id) keep({ me, friends: [], talks: [] });
}

/**
 * What the page shows now. Does nothing where somebody else, or nobody, is signed in by now in another tab.
 * @param {import('./ui/model.js').Model} model
 */
export function keepLast(model) {
  if (lastSeen()?.me.id !== model.me.id) return;
  const talks = [BROADCASTS, ...[...model.friends.keys()].map(direct)]
    .map((conversation) => ({ key: keyOf(conversation), messages: model.known(conversation).timeline.messages.slice(-MESSAGES) }))
    .filter(({ messages }) => messages.length)
    .sort((one, other) => newest(other) - newest(one))
    .slice(0, TALKS);
  keep({ me: model.me, friends: [...model.friends.values()], former: formerOf(model), talks });
}

/** Those to whom something is not sent come last, so that they stay. @param {import('./ui/model.js').Model} model @returns {[string, string][]} */
function formerOf({ former, friends, written }) {
  const unsent = new Set(written.conversations.map(keyOf));
  const left = [...former].filter(([id]) => !friends.has(id));
  return [...left.filter(([id]) => !unsent.has(id)), ...left.filter(([id]) => unsent.has(id))].slice(-FORMER);
}

/** Who stood here when it was last kept: they may have left since. @param {string} me @returns {[string, string][]} */
export function lastNames(me) {
  const last = lastSeen();
  if (last?.me.id !== me) return [];
  const friends = last.friends.map(({ id, name }) => /** @type {[string, string]} */ ([id, name]));
  return [...Array.isArray(last.former) ? last.former : [], ...friends];
}

/** @param {Last['talks'][number]} talk */
const newest = ({ key, messages }) => (key ? messages[messages.length - 1].seq : Infinity);

/** @param {Last} last */
function keep(last) {
  let text = JSON.stringify(last);
  // The oldest conversations first.
  while (text.length > SIZE_MAX && last.talks.length) {
    last.talks.pop();
    text = JSON.stringify(last);
  }
  try {
    localStorage.setItem(KEY, text);
  } catch {
    // The browser forbids it, or is full.
  }
}

/** @param {Last} last @returns {[import('./core/conversation.js').Conversation, MessageEvent[]][]} */
export const talksOf = (last) => last.talks.map(({ key, messages }) => [ofKey(key), messages]);
