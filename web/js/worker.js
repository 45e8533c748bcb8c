// The page's side of the service worker: it is registered, told who is signed in and in which words to
// call, and subscribed to Web Push where the person wants to be called.

import { lastSeen } from './last.js';
import { t } from './words.js';

/** What the worker reads, as the page last said it. */
const SAID = 'chat-said';

/** @returns {Promise<ServiceWorkerRegistration | null>} null: this browser has none here (plain http, or private browsing) */
export async function registration() {
  try {
    return await navigator.serviceWorker?.getRegistration('/') ?? null;
  } catch {
    return null;
  }
}

/** For whoever is signed in. @param {string} account */
export async function beginWorker(account) {
  const { serviceWorker } = navigator;
  const kept = globalThis.caches;
  if (!serviceWorker || !kept) return;
  const words = { account, name: t('name'), message: t('calls.message') };
  const said = await kept.open(SAID);
  await said.put('/said', new Response(JSON.stringify(words)));
  await serviceWorker.register('/sw.js', { scope: '/' });
}

/** What was last there, of whoever is signed in here as far as is known: a page without script may have signed out. */
export async function lastKnown() {
  const last = lastSeen();
  const answer = last && await (await globalThis.caches?.open(SAID))?.match('/said').catch(() => undefined);
  return answer && (await answer.json()).account === last?.me.id ? last : null;
}

/** Nobody calls for this account any more, and nothing is known of it; another one has nothing to do with that. @param {string} account */
export async function forgetAccount(account) {
  const kept = globalThis.caches;
  const answer = await (await kept?.open(SAID))?.match('/said');
  // The worker has seen the sign-out itself, and forgotten already.
  if (answer && (await answer.json()).account !== account) return;
  await kept?.delete(SAID);
  const found = await registration();
  for (const shown of await found?.getNotifications() ?? []) shown.close();
  const subscription = await found?.pushManager?.getSubscription();
  await subscription?.unsubscribe();
}

/** @param {string} key base64url */
function bytes(key) {
  const text = atob(key.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(text, (sign) => sign.charCodeAt(0));
}

/** @param {ArrayBuffer | null | undefined} buffer */
const encoded = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer ?? new ArrayBuffer(0))))
  .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

/**
 * Let this browser be called while no page is open.
 * @param {import('./api.js').Api} api
 * @param {string} key the server's
 * @returns {Promise<boolean>} false: this browser has no push service
 */
export async function subscribe(api, key) {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return false;
  const { pushManager } = await serviceWorker.ready;
  if (!pushManager || !key) return false;
  const options = { userVisibleOnly: true, applicationServerKey: bytes(key) };
  let subscription = await pushManager.getSubscription();
  const own = encoded(subscription?.options.applicationServerKey) === key;
  if (subscription && !own) {
    await subscription.unsubscribe();
    subscription = null;
  }
  subscription ??= await pushManager.subscribe(options);
  const { endpoint } = subscription;
  const [p256dh, auth] = [encoded(subscription.getKey('p256dh')), encoded(subscription.getKey('auth'))];
  await api.put('/api/push', { endpoint, p256dh, auth });
  return true;
}

/** This browser is not to be called any more. @param {import('./api.js').Api} api */
export async function unsubscribe(api) {
  const subscription = await (await registration())?.pushManager?.getSubscription();
  if (!subscription) return;
  await subscription.unsubscribe();
  await api.delete('/api/push', { endpoint: subscription.endpoint });
}
