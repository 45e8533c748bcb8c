// The list of conversations: what stands in a row, in which order, and what a filter leaves. Pure.

import { BROADCASTS, direct, keyOf } from './conversation.js';
import { writtenAt } from './outbox.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {import('./types.js').MessageEvent} MessageEvent */
/** @typedef {import('./types.js').Outgoing} Outgoing */
/** @typedef {import('./people.js').Friend} Friend */

/**
 * @typedef {object} Row
 * @property {string} key
 * @property {Conversation} conversation
 * @property {Friend | null} friend null: the broadcasts, or somebody who is no friend any more
 * @property {string | null} left the name of somebody who is no friend any more
 * @property {number} unread
 * @property {'draft' | 'failed' | 'waiting' | 'message' | ''} kind what `line` is; '' where nothing was said
 * @property {string} line what was written last, on one line
 * @property {string} from whose line it is, where that is not clear: a name; '' where it is the friend's
 * @property {boolean} own
 * @property {number} at when that was, milliseconds; 0 where nothing was said
 */

/**
 * @typedef {object} Known what the page knows
 * @property {string} me
 * @property {Iterable<Friend>} friends
 * @property {Iterable<{id: string, name: string}>} left who is no friend any more, and something unsent to them is here
 * @property {(conversation: Conversation) => number} unreadIn
 * @property {(conversation: Conversation) => MessageEvent | null} lastOf
 * @property {(conversation: Conversation) => string} draftOf
 * @property {readonly Outgoing[]} outgoing
 * @property {(id: string, name: string) => string} nameOf the name as it is now
 */

/** More than a row shows. */
const LINE_CHARS = 160;

/** From so many conversations on there is a filter without being called. */
export const FILTER_FROM = 10;

/** @param {string} text @returns {string} on one line, and no longer than a row can show */
export const onOneLine = (text) => text.slice(0, LINE_CHARS * 2).replace(/\s+/gu, ' ').trim().slice(0, LINE_CHARS);

/** @param {Known} known @returns {Row[]} the newest first; where nothing was said, all friends and then by name */
export function rowsOf(known) {
  const rows = [rowOf(known, BROADCASTS, null)];
  for (const friend of known.friends) rows.push(rowOf(known, direct(friend.id), friend));
  for (const { id, name } of known.left) rows.push(rowOf(known, direct(id), null, name));
  return rows.sort((one, other) => other.sent - one.sent || other.order - one.order || byName(one.row, other.row))
    .map(({ row }) => row);
}

/** @param {Row} row @returns {string} '' of the broadcasts */
export const rowName = ({ friend, left }) => friend?.name ?? left ?? '';

/** @param {Row} one @param {Row} other */
const byName = (one, other) => Number(one.key !== '') - Number(other.key !== '')
  || rowName(one).localeCompare(rowName(other)) || (one.key < other.key ? -1 : 1);

/**
 * @param {Known} known @param {Conversation} conversation @param {Friend | null} friend @param {string | null} [left]
 * @returns {{row: Row, sent: number, order: number}} what is on its way stands before all, by its time; the rest by
 *   place in the server's order, whatever the clocks say
 */
function rowOf(known, conversation, friend, left = null) {
  const key = keyOf(conversation);
  const last = known.lastOf(conversation);
  const outgoing = known.outgoing.filter((entry) => keyOf(entry.conversation) === key).at(-1);
  const draft = onOneLine(known.draftOf(conversation));
  /** @type {Row} */
  const row = { key, conversation, friend, left, unread: known.unreadIn(conversation), kind: '', line: '', from: '', own: false, at: 0 };
  if (last) {
    const own = last.from.id === known.me;
    const from = own || friend ? '' : known.nameOf(last.from.id, last.from.name);
    Object.assign(row, { kind: 'message', line: onOneLine(last.text), from, own, at: last.at });
  }
  if (outgoing) {
    const kind = outgoing.status === 'failed' ? 'failed' : 'waiting';
    Object.assign(row, { kind, line: onOneLine(outgoing.text), from: '', own: true, at: writtenAt(outgoing) });
  }
  if (draft) Object.assign(row, { kind: 'draft', line: draft, from: '', own: false });
  return { row, sent: outgoing ? 1 : 0, order: outgoing ? outgoing.at : last?.seq ?? 0 };
}

/** As names are compared: without case, accents and compatibility forms. @param {string} text */
const folded = (text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

/**
 * @param {string} name @param {string} query
 * @returns {boolean} whether each word of the query begins a word of the name, or stands in a name that has no words apart
 */
export function matches(name, query) {
  const words = folded(name).split(/[^\p{L}\p{N}]+/u);
  const whole = folded(name);
  return folded(query).split(/\s+/u).filter(Boolean).every((wanted) =>
    words.some((word) => word.startsWith(wanted)) || (!/^[\p{Script=Latin}\p{N}]+$/u.test(wanted) && whole.includes(wanted)));
}

const segments = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** @param {string} word */
const firstOf = (word) => segments.segment(word)[Symbol.iterator]().next().value?.segment ?? '';

/**
 * Of a name one or two letters for a disc: the first of the first and of the last word; of Chinese, Japanese and Korean
 * names, which have no words apart, the first alone.
 * @param {string} name
 */
export function initialsOf(name) {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const first = firstOf(words[0] ?? '').slice(0, 8);
  if (words.length < 2 || /\p{Script=Han}|\p{Script=Hangul}|\p{Script=Hiragana}|\p{Script=Katakana}/u.test(first)) return first.toUpperCase();
  return (first + firstOf(words[words.length - 1]).slice(0, 8)).toUpperCase();
}

/**
 * Where a key leads from one of `count` places; null: it is no key of a list.
 * @param {string} key @param {number} at -1: none @param {number} count
 */
export function placeAfterKey(key, at, count) {
  if (!count) return null;
  if (key === 'ArrowDown') return Math.min(count - 1, at + 1);
  if (key === 'ArrowUp') return Math.max(0, at < 0 ? 0 : at - 1);
  if (key === 'Home') return 0;
  if (key === 'End') return count - 1;
  return null;
}
