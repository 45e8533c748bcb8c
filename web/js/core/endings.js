// Which endings are for good, and the words in which a client stops: pure. docs/protocol.md has the codes.

/** @typedef {import('./types.js').TransportEnd} TransportEnd */

/** The two stops after which a page has something to do; any other is only for reading. */
export const SIGNED_OUT = 'signed out';
export const ANOTHER_ACCOUNT = 'another account';

/** What the server calls them in `bye`, as a problem's code, and as a close code. */
const STOPS = new Map(/** @type {[string | number, string][]} */ ([
  ['signed out', SIGNED_OUT], ['session expired', SIGNED_OUT], ['unauthenticated', SIGNED_OUT],
  [4501, SIGNED_OUT], [4502, SIGNED_OUT],
  ['another account', ANOTHER_ACCOUNT], ['another_account', ANOTHER_ACCOUNT], [4503, ANOTHER_ACCOUNT],
]));

const CLOSES = new Map([
  [1006, 'the connection broke'], [1012, 'the server restarts'], [4000, 'replaced by a newer connection'],
  [4008, 'too slow'], [4029, 'too many connections'], [4500, 'bad frames'], [4501, 'signed out'],
  [4502, 'the session expired'], [4503, 'the browser is signed in to another account'],
]);

/**
 * @param {{status: number, code?: string}} refusal of a request
 * @returns {string | undefined} in which words to stop; undefined: no reason to
 */
export function stopOfRefusal({ status, code = '' }) {
  return status === 401 ? SIGNED_OUT : STOPS.get(code);
}

/** @param {import('./types.js').Bye} bye @returns {TransportEnd} */
export function endOfBye({ reason, reconnectIn, retry }) {
  return retry === false ? { reason, stop: STOPS.get(reason) ?? reason } : { reason, retryMs: reconnectIn };
}

/**
 * The end of a WebSocket. The code alone counts where a proxy swallowed the `bye`.
 * @param {number} code
 * @param {string} words the close frame's
 * @param {import('./types.js').Bye | null} bye what came before it
 * @returns {TransportEnd}
 */
export function endOfClose(code, words, bye) {
  const reason = bye?.reason || words || CLOSES.get(code) || `closed with code ${code}`;
  const final = code === 4000 || (code >= 4500 && code <= 4999) || bye?.retry === false;
  if (final) return { reason, stop: STOPS.get(code) ?? STOPS.get(reason) ?? reason };
  return { reason, retryMs: bye?.reconnectIn };
}
