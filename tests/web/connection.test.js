// The connection with transports made of paper and a clock that the test turns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatClient } from '../../web/js/client.js';
import { Connection } from '../../web/js/connection.js';
import { LADDER, TRANSPORTS } from '../../web/js/core/transports.js';

const timeout = 10_000;

/** Records what was opened; the test speaks for the server through `on`. */
function paper() {
  const opened = [];
  const sent = [];
  const make = (rung) => class {
    constructor({ cursor, client, on }) {
      Object.assign(this, { rung, cursor, client, on, closed: false, carries: TRANSPORTS[rung].carriesFrames });
      opened.push(this);
    }
    close() { this.closed = true; }
    send(frame) {
      if (this.carries) sent.push(frame);
      return this.carries;
    }
    probe() { this.probed = true; }
  };
  return { opened, sent, transports: Object.fromEntries(LADDER.map((rung) => [rung, make(rung)])) };
}

function connection(t, start = null) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { opened, sent, transports } = paper();
  const events = [];
  const stops = [];
  const made = new Connection({
    base: '', client: 'c', transports, memory: { get: () => start, set: (rung) => { made.worked = rung; } },
    on: {
      event: (event) => events.push(event), signal: () => {}, change: () => {},
      stop: (reason) => stops.push(reason),
    },
  });
  return { made, opened, sent, events, stops };
}

const hello = (seq) => ({ type: 'hello', seq, heartbeat: 25, user: { id: 'me' } });
const message = (seq) => ({ type: 'message', seq, at: 1, from: { id: 'ann' }, to: null, text: 'x' });

test('the upgrade states the cursor, and the old transport is closed only after the first frame', { timeout }, (t) => {
  const { made, opened } = connection(t);
  made.start(7);
  const [longpoll] = opened;
  longpoll.on.ready();
  longpoll.on.item(message(9));
  const websocket = opened[1];
  assert.deepEqual([websocket.rung, websocket.cursor], ['websocket', 7]);
  assert.equal(longpoll.closed, false);
  websocket.on.ready();
  websocket.on.item(hello(7));
  assert.equal(longpoll.closed, true);
  assert.equal(made.live, 'websocket');
  assert.equal(made.worked, 'websocket');
});

test('the trial has another reader name than the live transport, which it must not end', { timeout }, (t) => {
  const { made, opened } = connection(t);
  made.start(7);
  opened[0].on.ready();
  assert.notEqual(opened[0].client, opened[1].client);
});

test('what both transports bring is passed on once', { timeout }, (t) => {
  const { made, opened, events } = connection(t);
  made.start(0);
  const [longpoll] = opened;
  longpoll.on.ready();
  longpoll.on.item(message(1));
  longpoll.on.item(message(2));
  const websocket = opened[1];
  websocket.on.ready();
  for (const seq of [1, 2, 3]) websocket.on.item(message(seq));
  longpoll.on.item(message(3));
  assert.deepEqual(events.map((event) => event.seq), [1, 2, 3]);
  assert.equal(made.duplicates, 2);
});

test('a transport that was dropped is not heard any more', { timeout }, (t) => {
  const { made, opened, events } = connection(t);
  made.start(0);
  opened[0].on.ready();
  opened[1].on.ready();
  opened[0].on.item(message(1));
  opened[0].on.end({ reason: 'late' });
  assert.deepEqual(events, []);
  assert.equal(made.live, 'websocket');
});

test('a WebSocket that opens and stays mute is given up, and long-polling goes on meanwhile', { timeout }, (t) => {
  const { made, opened } = connection(t);
  made.start(0);
  opened[0].on.ready();
  t.mock.timers.tick(3000);
  assert.equal(opened[1].closed, true);
  assert.equal(opened[0].closed, false);
  assert.equal(opened[2].rung, 'sse');
  t.mock.timers.tick(3000);
  assert.equal(made.live, 'longpoll');
  assert.match(made.reason, /nothing arrived/);
});

test('a better transport is tried again after a while, and at once when something has changed', { timeout }, (t) => {
  const { made, opened } = connection(t);
  made.start(0);
  opened[0].on.ready();
  t.mock.timers.tick(3000);
  t.mock.timers.tick(3000);
  const before = opened.length;
  t.mock.timers.tick(60_000);
  assert.ok(opened.length > before, 'climbed by the clock');
  t.mock.timers.tick(3000);
  t.mock.timers.tick(3000);
  const between = opened.length;
  made.nudge();
  assert.equal(opened.length, between + 1);
});

test('a stream that is silent past its heartbeat is dead', { timeout }, (t) => {
  const { made, opened } = connection(t, 'websocket');
  made.start(0);
  opened[0].on.ready();
  opened[0].on.item(hello(0));
  t.mock.timers.tick(30_000);
  opened[0].on.item({ type: 'ping', at: 1 });
  t.mock.timers.tick(44_000);
  assert.equal(made.live, 'websocket');
  t.mock.timers.tick(2000);
  assert.equal(opened[0].closed, true);
});

test('a probe without an answer ends the connection, one with an answer does not', { timeout }, (t) => {
  const { made, opened } = connection(t, 'websocket');
  made.start(0);
  opened[0].on.ready();
  made.probe();
  opened[0].on.item({ type: 'pong' });
  t.mock.timers.tick(4500);
  assert.equal(made.live, 'websocket');
  const real = performance.now();
  t.mock.method(performance, 'now', () => real + 60_000);
  made.probe();
  t.mock.timers.tick(4500);
  assert.equal(opened[0].closed, true);
});

test('a goodbye is obeyed to the millisecond', { timeout }, (t) => {
  const { made, opened } = connection(t, 'websocket');
  made.start(5);
  opened[0].on.ready();
  opened[0].on.end({ reason: 'restart', retryMs: 2000, stable: true });
  t.mock.timers.tick(1999);
  assert.equal(opened.length, 1);
  t.mock.timers.tick(1);
  assert.deepEqual([opened.length, opened[1].cursor], [2, 5]);
});

test('the reset position is adopted, even a lower one', { timeout }, (t) => {
  const { made, opened, events } = connection(t);
  made.start(900);
  opened[0].on.ready();
  opened[0].on.item({ type: 'reset', seq: 10, lost: 'all', reason: 'beyond the head' });
  opened[0].on.item(message(11));
  assert.deepEqual(events.map((event) => event.seq), [10, 11]);
  assert.equal(made.cursor, 11);
});

test('signed out means stop, with nothing left open', { timeout }, (t) => {
  const { made, opened, stops } = connection(t);
  made.start(0);
  opened[0].on.ready();
  opened[1].on.end({ reason: 'signed out', stop: 'signed out' });
  assert.deepEqual(stops, ['signed out']);
  assert.ok(opened[0].closed);
  t.mock.timers.tick(1_000_000);
  assert.equal(opened.length, 2);
});

test('a browser without WebSocket stays on what it has, and says why', { timeout }, async (t) => {
  const { transports, opened } = paper();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const missing = class { constructor() { throw new ReferenceError('WebSocket is not defined'); } };
  const made = new Connection({
    base: '', client: 'c', transports: { ...transports, websocket: missing },
    on: { event() {}, signal() {}, change() {}, stop() {} },
  });
  made.start(0);
  opened[0].on.ready();
  await Promise.resolve();
  assert.equal(opened[1].rung, 'sse');
  opened[1].on.ready();
  assert.equal(made.live, 'sse');
  assert.match(made.reason, /no websocket/);
});

function chat(t, options = {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { opened, sent, transports } = paper();
  const posts = [];
  const answers = [];
  t.mock.method(globalThis, 'fetch', async (url, { body }) => {
    posts.push(JSON.parse(body));
    const answer = answers.shift();
    if (!answer) throw new TypeError('network');
    return new Response(JSON.stringify(answer.body), { status: answer.status });
  });
  const client = new ChatClient({ transports, memory: { get: () => 'websocket', set() {} }, ...options });
  client.connect(0);
  return { client, opened, sent, posts, answers };
}

const settle = async () => {
  for (let n = 0; n < 20; n += 1) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
};

test('messages go out one after another, each after the ack of the one before', { timeout }, async (t) => {
  const { client, opened, sent } = chat(t);
  opened[0].on.ready();
  const ids = [client.send('one'), client.send('two')];
  assert.deepEqual(sent.map((frame) => frame.text), ['one']);
  opened[0].on.item({ type: 'ack', clientId: ids[0], seq: 5, at: 1 });
  await settle();
  assert.deepEqual(sent.map((frame) => frame.text), ['one', 'two']);
  assert.equal(client.outbox.length, 1);
});

test('an ack moves no cursor: what came before it is still to come', { timeout }, async (t) => {
  const { client, opened } = chat(t);
  const events = [];
  client.addEventListener('event', ({ detail }) => events.push(detail.seq));
  opened[0].on.ready();
  const id = client.send('one');
  opened[0].on.item({ type: 'ack', clientId: id, seq: 5, at: 1 });
  opened[0].on.item(message(4));
  opened[0].on.item({ ...message(5), from: { id: 'me' }, clientId: id });
  assert.deepEqual(events, [4, 5]);
});

test('a message whose socket died is sent again under its clientId', { timeout }, async (t) => {
  const { client, opened, sent, posts, answers } = chat(t);
  opened[0].on.ready();
  const id = client.send('one');
  assert.equal(sent.length, 1);
  answers.push({ status: 200, body: { clientId: id, seq: 3, at: 1 } });
  opened[0].on.end({ reason: 'broke', stable: true });
  await settle();
  assert.deepEqual(posts.map((body) => body.clientId), []);
  t.mock.timers.tick(1000);
  opened[1].carries = false;
  opened[1].on.ready();
  await settle();
  assert.deepEqual(posts.map((body) => body.clientId), [id]);
  assert.equal(client.outbox.length, 0);
});

test('a network failure is tried again, a refusal is told and can be tried again by hand', { timeout }, async (t) => {
  const { client, posts, answers } = chat(t, { rungs: ['longpoll'] });
  const id = client.send('one');
  await settle();
  assert.equal(client.outbox[0].status, 'pending');
  answers.push({ status: 403, body: { code: 'forbidden', detail: 'Not a friend.' } });
  t.mock.timers.tick(60_000);
  await settle();
  assert.deepEqual([client.outbox[0].status, client.outbox[0].error], ['failed', 'Not a friend.']);
  answers.push({ status: 201, body: { clientId: id, seq: 3, at: 1 } });
  client.retry(id);
  await settle();
  assert.deepEqual(posts.map((body) => body.clientId), [id, id, id]);
  assert.equal(client.outbox.length, 0);
});

test('the rate limit is waited for', { timeout }, async (t) => {
  const { client, posts, answers } = chat(t, { rungs: ['longpoll'] });
  answers.push({ status: 429, body: { code: 'rate_limited', retryAfter: 3 } });
  client.send('one');
  await settle();
  t.mock.timers.tick(2999);
  await settle();
  assert.equal(posts.length, 1);
  answers.push({ status: 201, body: { seq: 3, at: 1 } });
  t.mock.timers.tick(600);
  await settle();
  assert.equal(posts.length, 2);
});

test('401 stops the client and keeps what was written', { timeout }, async (t) => {
  const saved = [];
  const { client, answers } = chat(t, { rungs: ['longpoll'], save: (entries) => saved.push(entries) });
  const stops = [];
  client.addEventListener('stop', ({ detail }) => stops.push(detail));
  answers.push({ status: 401, body: { code: 'unauthenticated' } });
  client.send('one');
  await settle();
  assert.deepEqual(stops, ['signed out']);
  assert.deepEqual(saved.at(-1).map((entry) => [entry.text, entry.status]), [['one', 'pending']]);
});
