// How long to wait before the next try. Pure: the random number is an argument.

/** The first try may come within this time; a page reload's worth, so that a blip goes unnoticed. */
const BASE_MS = 500;
/** A server that has been away for long is asked about twice a minute and page. */
const CAP_MS = 30_000;

/**
 * The wait before a retry, with full jitter: anything between zero and a doubling bound, so that
 * thousands of pages that lost the same server do not come back in the same moment.
 *
 * @param {number} failures tries that have failed in a row, from 1
 * @param {number} random from 0 to below 1
 * @returns {number} milliseconds
 */
export function retryWaitMs(failures, random) {
  const boundMs = Math.min(CAP_MS, BASE_MS * 2 ** Math.max(0, failures - 1));
  return Math.round(random * boundMs);
}

/**
 * The wait before a better transport is tried again beside the one that works. It grows from one
 * minute to a quarter of an hour: a proxy that blocks WebSocket seldom changes its mind, and what
 * does change (another network, a laptop opened) arrives as a nudge and does not wait.
 *
 * @param {number} climbs climbs that have failed, from 1
 * @param {number} random from 0 to below 1
 * @returns {number} milliseconds
 */
export function climbWaitMs(climbs, random) {
  const boundMs = Math.min(15 * 60_000, 60_000 * 2 ** Math.max(0, climbs - 1));
  return Math.round(boundMs * (0.75 + random / 4));
}
