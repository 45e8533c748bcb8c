// What stands between the page and the network: the page's own files, kept so that it opens without the
// server, and calls that come while no page is open. Nothing private is kept here. The server puts in
// which version this is and which files belong to it.

const SHELL = 'chat-shell-[[digest]]';
const STATIC = '/static/[[digest]]/';
const FILES = JSON.parse('[[files]]');
/** What the page has said: who is signed in, and the words for a call. */
const SAID = 'chat-said';
const SIGN_OUT = ['/api/logout', '/classic/logout', '/classic/leave'];
/** So long the server may take for the page; then the kept one is shown. */
const PAGE_MS = 4000;

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(SHELL)
    .then((cache) => cache.addAll(['/', ...FILES.map((name) => STATIC + name)]))
    .then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names
      .filter((name) => name.startsWith('chat-shell-') && name !== SHELL)
      .map((name) => caches.delete(name))))
    .then(() => self.clients.claim()));
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (origin !== self.location.origin) return;
  // Also by a page that has no script, or an older one: from here on nobody is known.
  if (request.method === 'POST' && SIGN_OUT.includes(pathname)) event.waitUntil(caches.delete(SAID));
  if (request.method !== 'GET') return;
  if (request.mode === 'navigate' && pathname === '/') event.respondWith(page(request));
  else if (pathname.startsWith(STATIC)) event.respondWith(file(request));
});

/** What is kept helps, and no more: where a browser can keep nothing (a full disk), the page is the network's. */
async function kept(what) {
  try {
    return await (await caches.open(SHELL)).match(what, { ignoreVary: true });
  } catch {
    return undefined;
  }
}

async function keep(what, answer) {
  try {
    await (await caches.open(SHELL)).put(what, answer);
  } catch {
    // It is asked for again another time.
  }
}

/** The server's, or the kept one where there is no answer. */
async function page(request) {
  const old = await kept('/');
  try {
    const asked = fetch(request);
    const answer = await (old ? Promise.race([asked, late(asked)]) : asked);
    if (answer.status >= 500 && old) return old;
    if (answer.ok) await keepPage(answer.clone());
    return answer;
  } catch {
    return old ?? Response.error();
  }
}

/** A page of another version names files that are not here: it is kept by its own worker. */
async function keepPage(answer) {
  const text = await answer.clone().text();
  if (text.includes(STATIC)) await keep('/', answer);
}

const late = (asked) => new Promise((_, reject) => {
  asked.catch(() => {
    // The race has heard it.
  });
  setTimeout(() => reject(new Error('late')), PAGE_MS);
});

async function file(request) {
  const old = await kept(request);
  if (old) return old;
  const answer = await fetch(request);
  if (answer.ok) await keep(request, answer.clone());
  return answer;
}

self.addEventListener('push', (event) => {
  event.waitUntil(called(event.data));
});

self.addEventListener('message', (event) => {
  if (event.data?.kind === 'skip') self.skipWaiting();
});

async function said() {
  const kept = await (await caches.open(SAID)).match('/said');
  return kept ? kept.json() : {};
}

/** The classic pages, and others, call nobody. */
const isChat = ({ url }) => new URL(url).pathname === '/';

/** Whoever looks at the page is not called; one who is not signed in here is told nothing of anybody. */
async function called(data) {
  let told = {};
  try {
    told = data.json();
  } catch {
    // A call without words.
  }
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  if (pages.some((one) => one.focused && isChat(one))) return;
  const { account, name = '', message = '' } = await said();
  const mine = Boolean(account) && account === told.user;
  const title = mine ? told.name : name;
  await self.registration.showNotification(title || 'Chat', {
    body: (mine && told.text) || message,
    tag: `chat-${mine ? told.with ?? '' : 'other'}`,
    renotify: true,
    icon: `${STATIC}icon-192.png`,
    data: { hash: mine ? `#/chat/${encodeURIComponent(told.with ?? '')}` : '' },
  });
}

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.hash ?? ''));
});

/** In a page that is open, or a new one. */
async function open(hash) {
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const found = pages.find(isChat);
  if (!found) return self.clients.openWindow(`/${hash}`);
  found.postMessage({ kind: 'open', hash });
  return found.focus();
}
