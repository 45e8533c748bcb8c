// The laboratory's arithmetic: pure.

/**
 * @param {number[]} values in any order
 * @param {number} share 0 to 1
 * @returns {number | null} the value that this share of them does not exceed; null of none
 */
export function quantile(values, share) {
  if (!values.length) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** Bounds of the distribution's bars, milliseconds: each is about the double of the one before. */
export const BAR_BOUNDS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, Infinity];

/** @param {number[]} values milliseconds @returns {number[]} how many fall under each bound */
export function distribution(values) {
  const bars = BAR_BOUNDS_MS.map(() => 0);
  for (const value of values) bars[BAR_BOUNDS_MS.findIndex((bound) => value <= bound)] += 1;
  return bars;
}

/**
 * What one lane has got of the numbered messages of a run.
 */
export class Tally {
  /** @type {Map<number, number>} message number to times seen */
  #seen = new Map();
  /** @type {number[]} */
  latencies = [];

  /** @param {number} number @param {number} latencyMs */
  record(number, latencyMs) {
    const times = this.#seen.get(number) ?? 0;
    this.#seen.set(number, times + 1);
    if (!times) this.latencies.push(latencyMs);
  }

  get seen() {
    return this.#seen.size;
  }

  get doubled() {
    let doubled = 0;
    for (const times of this.#seen.values()) doubled += times - 1;
    return doubled;
  }

  /** @param {Iterable<number>} numbers acknowledged messages @returns {number} those not seen here */
  missing(numbers) {
    let missing = 0;
    for (const number of numbers) if (!this.#seen.has(number)) missing += 1;
    return missing;
  }
}

/**
 * @param {(string | number | null)[][]} rows
 * @returns {string} CSV after RFC 4180
 */
export function toCsv(rows) {
  const field = (/** @type {string | number | null} */ value) => {
    const text = value === null ? '' : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(field).join(',') + '\r\n').join('');
}
