// The throw-away account of the laboratory: one for each tab, which ends with the page. A browser may drop what a
// page asks for while it is left (behind a service worker it does), so the account is forgotten only when the
// server has answered, and the next page of the tab asks again.

const KEPT = 'lab.account';
const END_MS = 5_000;

/** @returns {{id: string, password: string, token: string} | null} */
export function throwAway() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? 'null');
  } catch {
    return null;
  }
}

/** @param {{id: string, password: string, token: string}} account */
export const keepThrowAway = (account) => sessionStorage.setItem(KEPT, JSON.stringify(account));

/** The account goes, if there is one. Without an answer it stays, and may be ended by the next page. */
export async function endThrowAway() {
  const account = throwAway();
  if (!account) return;
  const { password, token } = account;
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` };
  // By the token: the answer to a page that is gone must not take the cookie of whoever has signed in meanwhile.
  const { ok, status } = await fetch('/api/me', {
    method: 'DELETE', headers, credentials: 'omit', keepalive: true, body: JSON.stringify({ password }), signal: AbortSignal.timeout(END_MS),
  });
  // A token that is not known any more says that the account has ended.
  if (ok || status === 401) sessionStorage.removeItem(KEPT);
}

/**
 * Ends what the last page of this tab has left.
 * @param {import('./core/types.js').User | null} visitor whoever is signed in
 * @returns {Promise<import('./core/types.js').User | null>} whoever is signed in then
 */
export async function withoutThrowAway(visitor) {
  const account = throwAway();
  if (!account) return visitor;
  // Nobody is signed in: it has ended, and to ask again would only fill the console with a refusal.
  if (visitor) await endThrowAway();
  else sessionStorage.removeItem(KEPT);
  return visitor?.id === account.id ? null : visitor;
}
