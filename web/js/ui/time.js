// Days and times on the page: in the browser's zone, as its country writes them, and kept true while the page stays open.

import { Calendar } from '../core/days.js';
import { locale, t } from '../words.js';

/** How often what is said of the past is looked at. A minute is the finest thing that is said. */
const TICK_MS = 15_000;

const zoneNow = () => new Intl.DateTimeFormat().resolvedOptions().timeZone;
let zone = zoneNow();
let calendar = new Calendar(locale);
/** How much later it is at the server than by this computer's clock, milliseconds. */
let serverAheadMs = 0;

/** The server has said what time it is. @param {number} at */
export function hearTime(at) {
  serverAheadMs = at - Date.now();
}

/** What time it is, as the server's messages have it. */
export const now = () => Date.now() + serverAheadMs;

/** How much later it is at the server than by this computer's clock, as far as it has said, milliseconds. */
export const aheadMs = () => serverAheadMs;

/** The day in full: the same for all that was written on it. @param {number} at */
export const dayOf = (at) => calendar.dayOf(at);

/** The day as it is said today. @param {number} at */
export function dayWords(at) {
  const days = calendar.daysAgo(at, now());
  return days === 0 ? t('day.today') : days === 1 ? t('day.yesterday') : dayOf(at);
}

/** @param {number} at */
export const timeOf = (at) => calendar.timeOf(at);

/** @param {number} at */
export const momentOf = (at) => calendar.momentOf(at);

/** How long since, in words. @param {number} at */
export function agoOf(at) {
  const ago = calendar.ago(at, now());
  if (ago.kind === 'minutes') return t('ago.minutes', { count: ago.count });
  if (ago.kind === 'now') return t('ago.now');
  if (ago.kind === 'date') return momentOf(at);
  return t(ago.kind === 'time' ? 'ago.today' : 'ago.yesterday', { time: timeOf(at) });
}

/** In a list: the time of today, else the day. @param {number} at */
export function shortOf(at) {
  const days = calendar.daysAgo(at, now());
  return days === 0 ? timeOf(at) : days === 1 ? t('day.yesterday') : calendar.shortOf(at);
}

/**
 * Call again and again while the page is seen, because what was "today" is "yesterday" now, or the reader has
 * gone to another zone.
 * @param {() => void} draw
 * @param {AbortSignal} signal ends it
 */
export function asTimePasses(draw, signal) {
  const look = () => {
    if (zone !== zoneNow()) {
      zone = zoneNow();
      calendar = new Calendar(locale);
    }
    if (document.visibilityState === 'visible') draw();
  };
  const timer = setInterval(look, TICK_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
  document.addEventListener('visibilitychange', look, { signal });
}
