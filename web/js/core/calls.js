// When somebody is to be called, and what for: pure.

import { between, keyOf } from './conversation.js';

/** @typedef {import('./types.js').MessageEvent} MessageEvent */
/**
 * What `GET /api/alerts` answers: minutes are of the day in `zone`; equal ones: never quiet.
 * @typedef {{text: boolean, quietFrom: number, quietTo: number, zone: string, muted: string[], key: string}} Wishes
 */

/** @type {Wishes} */
export const NO_WISHES = { text: false, quietFrom: 0, quietTo: 0, zone: '', muted: [], key: '' };

/** @param {Wishes} wishes @param {number} minute of the day */
export function isQuiet({ quietFrom, quietTo }, minute) {
  if (quietFrom <= quietTo) return quietFrom <= minute && minute < quietTo;
  return minute >= quietFrom || minute < quietTo;
}

/** @param {number} at @param {string} zone an IANA name; '' or an unknown one: UTC @returns {number} the minute of the day */
export function minuteIn(at, zone) {
  try {
    const parts = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone || 'UTC', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
    }).formatToParts(at);
    const of = (/** @type {string} */ type) => Number(parts.find((one) => one.type === type)?.value);
    return of('hour') * 60 + of('minute');
  } catch {
    return minuteIn(at, '');
  }
}

/**
 * Whether a message is worth a call, where nobody looks.
 * @param {Wishes} wishes @param {MessageEvent} event @param {string} me @param {number} now
 */
export function calls(wishes, event, me, now) {
  if (event.from.id === me) return false;
  if (wishes.muted.includes(keyOf(between(event.from.id, event.to, me)))) return false;
  return !isQuiet(wishes, minuteIn(now, wishes.zone));
}

/** @param {number} minute @returns {string} as an input for a time has it */
export const clock = (minute) =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;

/** @param {string} text what an input for a time has @returns {number} the minute of the day; 0 where it is none */
export function minuteOf(text) {
  const found = /^(\d\d):(\d\d)/.exec(text);
  return found ? (Number(found[1]) * 60 + Number(found[2])) % 1440 : 0;
}
