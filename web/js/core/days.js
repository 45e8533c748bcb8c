// Days and times as the reader's clock on the wall has them: pure. The zone, the locale and what time it is
// now are arguments.

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** @typedef {{kind: 'now' | 'time' | 'yesterday' | 'date'} | {kind: 'minutes', count: number}} Ago how long since, as it is said */

export class Calendar {
  #parts;
  #day;
  #time;
  #moment;
  #short;

  /** @param {string} locale how a country writes them @param {string} [zone] an IANA name; absent: where the browser is */
  constructor(locale, zone) {
    const here = { timeZone: zone };
    this.#parts = new Intl.DateTimeFormat('en', { ...here, calendar: 'gregory', year: 'numeric', month: 'numeric', day: 'numeric' });
    this.#day = new Intl.DateTimeFormat(locale, { ...here, weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
    this.#time = new Intl.DateTimeFormat(locale, { ...here, hour: '2-digit', minute: '2-digit' });
    this.#moment = new Intl.DateTimeFormat(locale, { ...here, dateStyle: 'medium', timeStyle: 'short' });
    this.#short = new Intl.DateTimeFormat(locale, { ...here, dateStyle: 'short' });
  }

  /** The day in full. @param {number} at */
  dayOf(at) {
    return this.#day.format(at);
  }

  /** @param {number} at */
  timeOf(at) {
    return this.#time.format(at);
  }

  /** Day and time. @param {number} at */
  momentOf(at) {
    return this.#moment.format(at);
  }

  /** The day in a few signs. @param {number} at */
  shortOf(at) {
    return this.#short.format(at);
  }

  /** Days since 1970 by the calendar, so that a day of 23 or 25 hours counts as one. @param {number} at */
  number(at) {
    /** @type {Record<string, number>} */
    const found = {};
    for (const { type, value } of this.#parts.formatToParts(at)) found[type] = Number(value);
    return Date.UTC(found.year, found.month - 1, found.day) / DAY_MS;
  }

  /** How many days ago; negative in the days to come. @param {number} at @param {number} now */
  daysAgo(at, now) {
    return this.number(now) - this.number(at);
  }

  /** How long since, in the words that one uses. @param {number} at @param {number} now @returns {Ago} */
  ago(at, now) {
    const passed = now - at;
    // A clock that is a little behind makes nothing happen in the future.
    if (Math.abs(passed) < MINUTE_MS) return { kind: 'now' };
    if (passed > 0 && passed < 60 * MINUTE_MS) return { kind: 'minutes', count: Math.floor(passed / MINUTE_MS) };
    const days = this.daysAgo(at, now);
    return { kind: days === 0 ? 'time' : days === 1 ? 'yesterday' : 'date' };
  }
}
