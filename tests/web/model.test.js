// The page's model and its one client, in a browser of paper.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ChatClient } from '../../web/js/client.js';
import { Api } from '../../web/js/api.js';
import { BROADCASTS, direct } from '../../web/js/core/conversation.js';
import { Model } from '../../web/js/ui/model.js';
import { PaperAir, PaperLock, settle } from './paper.js';

const timeout = 10_000;

// A ghost that a test has found would keep this process alive.
after(() => setTimeout(() => process.exit(), 1000).unref());
const ME = { id: 'me', name: 'Me', color: '#000000' };
const BOB = { id: 'bob', name: 'Bob', color: '#000000', online: true, lastSeen: null };

const SNAPSHOTS = {
  '/api/friends': { friends: [BOB], incoming: [], outgoing: [], seq: 7 },
  '/api/messages': { messages: [], more: false, seq: 7 },
  '/api/read': { read: [], peers: [], unread: [], seq: 7 },
  '/api/conversations': { conversations: [], seq: 7 },
};

const paperStorage = (kept) => ({
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => kept.set(key, String(value)),
  removeItem: (key) => kept.delete(key),
  key: (n) => [...kept.keys()][n] ?? null,
  get length() { return kept.size; },
});

/** What a browser of paper keeps of the outbox of `me`. */
const waiting = (stored) => [...stored].filter(([key]) => key.startsWith('chat.outbox:me:')).map(([, json]) => JSON.parse(json));

/** Puts what a page needs of a browser in place until the test ends. */
function browser(t, answer = () => ({})) {
  const air = new PaperAir();
  const lock = new PaperLock();
  const asked = [];
  const stored = new Map();
  const put = (name, value) => {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    t.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  };
  put('BroadcastChannel', function open() { return air.channel('this tab'); });
  put('navigator', { locks: lock.locks('this tab') });
  put('document', Object.assign(new EventTarget(), { visibilityState: 'hidden' }));
  put('location', { href: 'http://chat.example/' });
  const old = new Map();
  put('localStorage', paperStorage(stored));
  put('sessionStorage', paperStorage(old));
  put('fetch', (url, { headers = {}, signal, body } = {}) => new Promise((resolve, reject) => {
    const { pathname, searchParams } = new URL(url, location.href);
    asked.push({ pathname, user: headers['X-Chat-User'] ?? searchParams.get('user'), body });
    const given = answer(pathname) ?? {};
    const json = given.body ?? SNAPSHOTS[pathname];
    signal?.addEventListener('abort', () => reject(signal.reason));
    if (json || given.status) resolve(new Response(JSON.stringify(json ?? {}), { status: given.status ?? 200 }));
  }));
  return { air, lock, asked, stored, old };
}

/** Whatever a test finds, nothing of it goes on. */
function makeModel(t) {
  const model = new Model(new Api('', 'me'), ME);
  t.after(() => model.stop());
  return model;
}

function makeClient(t) {
  const client = new ChatClient({ share: 'me' });
  t.after(() => client.disconnect());
  return client;
}

test('making a model or a client opens nothing', { timeout }, async (t) => {
  const { air, lock, asked } = browser(t);
  const model = makeModel(t);
  const client = makeClient(t);
  await settle();
  assert.deepEqual([air.open.length, lock.queue.length, lock.holder, asked], [0, 0, null, []]);
  assert.deepEqual([model.chat.state, client.state, client.transport, client.cursor], ['idle', 'idle', null, null]);
});

test('a page is one tab among the others, and none after it has signed out', { timeout }, async (t) => {
  const { air, lock, asked } = browser(t);
  const model = makeModel(t);
  const { chat } = model;
  await model.start();
  await settle();
  assert.equal(model.chat, chat);
  assert.deepEqual([air.open.length, chat.cursor], [1, 7]);
  assert.ok(lock.holder);
  assert.equal(asked.filter(({ pathname }) => pathname === '/poll').length, 1);
  model.stop();
  await settle();
  assert.deepEqual([air.open.length, lock.queue.length, lock.holder], [0, 0, null]);
});

test('a model that was stopped while it loaded connects no more', { timeout }, async (t) => {
  const { air, lock } = browser(t);
  const model = makeModel(t);
  const started = model.start();
  model.stop();
  await started;
  await settle();
  assert.deepEqual([air.open.length, lock.holder, model.chat.state], [0, null, 'idle']);
});

test('a client goes on where it stood when it is connected again', { timeout }, async (t) => {
  const { air, lock } = browser(t, (pathname) => (pathname === '/poll'
    ? { body: { cursor: 8, events: [], more: false } } : {}));
  const client = makeClient(t);
  client.connect(5);
  client.connect(9);
  assert.equal(client.cursor, 5, 'it is connected already');
  await settle();
  assert.deepEqual([client.cursor, client.state], [8, 'connected']);
  client.disconnect();
  assert.deepEqual([client.cursor, client.state, client.transport], [8, 'idle', null]);
  client.connect();
  assert.equal(client.cursor, 8);
  await settle();
  assert.equal(air.open.length, 1);
  client.disconnect();
  client.connect(9);
  assert.equal(client.cursor, 9);
  client.disconnect();
  await settle();
  assert.deepEqual([air.open.length, lock.holder], [0, null]);
});

test('every request of a page says whose it is', { timeout }, async (t) => {
  const { asked } = browser(t);
  const model = makeModel(t);
  await model.start();
  await settle();
  model.chat.read(BROADCASTS, 3);
  model.chat.read(direct('bob'), 4);
  model.chat.send('x', direct('bob'));
  await settle();
  assert.deepEqual([...new Set(asked.map(({ pathname }) => pathname))].sort(),
    ['/api/conversations', '/api/friends', '/api/me', '/api/messages', '/api/read', '/poll']);
  assert.deepEqual(asked.filter(({ user }) => user !== 'me'), []);
  const bodies = asked.filter(({ body }) => body).map(({ body }) => JSON.parse(body));
  assert.deepEqual(bodies.slice(0, 2), [{ upTo: 3 }, { with: 'bob', upTo: 4 }]);
  assert.deepEqual([bodies[2].text, bodies[2].to], ['x', 'bob']);
});

for (const refused of ['/poll', '/api/read', '/api/messages']) {
  test(`another account in the browser, told by ${refused}, stops the page and keeps what was written`, { timeout }, async (t) => {
    let another = false;
    const { air, lock, stored } = browser(t, (pathname) => (another && pathname === refused
      ? { status: 409, body: { code: 'another_account', detail: 'Not yours.' } } : {}));
    const model = makeModel(t);
    const stops = [];
    model.addEventListener('stop', ({ detail }) => stops.push(detail));
    another = refused === '/poll';
    await model.start();
    another = true;
    model.chat.send('kept');
    model.chat.read(BROADCASTS, 9);
    await settle();
    assert.deepEqual(stops, ['another account']);
    assert.deepEqual([model.chat.state, model.chat.reason], ['stopped', 'another account']);
    assert.deepEqual(waiting(stored).map((one) => [one.text, one.status]), [['kept', 'pending']]);
    assert.deepEqual([air.open.length, lock.holder], [0, null]);
  });
}

test('what an older page had left in the outbox is sent where it belongs', { timeout }, async (t) => {
  const { stored, old } = browser(t);
  old.set('outbox:me', JSON.stringify([{ clientId: 'a', text: 'x', to: 'bob', at: 1, status: 'pending' }]));
  const model = makeModel(t);
  assert.deepEqual(model.chat.outbox[0].conversation, direct('bob'));
  assert.deepEqual([waiting(stored).length, old.has('outbox:me')], [1, false]);
});
