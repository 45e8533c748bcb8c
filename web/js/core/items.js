// Telling events from signals: pure.

/** @typedef {import('./types.js').Item} Item */

/** Signals that name a position and are not at it. */
const NOT_AT_SEQ = ['hello', 'ack'];

/**
 * Whether it has a place in the order. One of a type that this page does not know has one too, and
 * moves the cursor.
 * @param {Item} item
 * @returns {item is import('./types.js').ChatEvent}
 */
export const isEvent = (item) =>
  'seq' in item && Number.isSafeInteger(item.seq) && !NOT_AT_SEQ.includes(item.type);
