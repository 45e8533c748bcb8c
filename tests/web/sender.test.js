// Messages find the way that lives: transports of paper, a clock that the test turns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatClient, direct } from '../../web/js/client.js';
import { LADDER, TRANSPORTS } from '../../web/js/core/transports.js';

const timeout = 10_000;

const settle = async () => {
  for (let n = 0; n < 5; n += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** A client on paper. `answers` is shifted for each request; 'silence' never answers, absent: refused at once. */
function chat(t, options = {}, start = 'websocket') {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const opened = [];
  const sent = [];
  const posts = [];
  const answers = [];
  const transports = Object.fromEntries(LADDER.map((rung) => [rung, class {
    constructor({ cursor, on }) {
      Object.assign(this, { rung, cursor, on, closed: false, probes: 0 });
      opened.push(this);
    }
    close() { this.closed = true; }
    send(frame) {
      if (TRANSPORTS[rung].carriesFrames) sent.push(frame);
      return TRANSPORTS[rung].carriesFrames;
    }
    probe() { this.probes += 1; }
  }]));
  t.mock.method(globalThis, 'fetch', (url, { body, signal }) => new Promise((resolve, reject) => {
    posts.push({ path: String(url), ...JSON.parse(body) });
    const answer = answers.shift();
    signal?.addEventListener('abort', () => reject(signal.reason));
    if (answer === 'silence') return;
    if (!answer) reject(new TypeError('network'));
    else resolve(new Response(JSON.stringify(answer.body ?? {}), { status: answer.status ?? 200 }));
  }));
  const client = new ChatClient({ transports, memory: { get: () => start, set() {} }, user: 'me', ...options });
  client.connect(0);
  return { client, opened, sent, posts, answers, tick: (ms) => t.mock.timers.tick(ms) };
}

const live = (transport) => {
  transport.on.ready();
  transport.on.item({ type: 'hello', seq: 0, heartbeat: 25, user: { id: 'me' } });
};
const message = (seq, clientId) => ({ type: 'message', seq, at: 1, from: { id: 'me', name: 'Me', color: '#000000' }, to: null, text: 'x', clientId });

test('a missing acknowledgement makes the socket prove that it lives, and the message takes the next one', { timeout }, async (t) => {
  const { client, opened, sent, tick } = chat(t);
  live(opened[0]);
  const clientId = client.send('one');
  let ms = 0;
  while (sent.length < 2 && ms < 60_000) {
    tick(250);
    ms += 250;
    if (opened.length === 2 && !client.transport) live(opened[1]);
  }
  assert.deepEqual([opened[0].probes, opened[0].closed], [1, true]);
  assert.deepEqual(sent.map((frame) => frame.clientId), [clientId, clientId]);
  assert.ok(ms <= 12_000, `it took ${ms} ms`);
});

test('a socket that lives and does not acknowledge is passed by over HTTP', { timeout }, async (t) => {
  const { client, opened, posts, answers, tick } = chat(t);
  live(opened[0]);
  const clientId = client.send('one');
  answers.push({ body: { clientId, seq: 3, at: 1 } });
  tick(4_000);
  opened[0].on.item({ type: 'pong' });
  tick(8_000);
  await settle();
  assert.deepEqual([opened[0].closed, posts.map((post) => post.clientId), client.outbox], [false, [clientId], []]);
});

test('a request without an answer is given up for another, and the connection is asked whether it lives', { timeout }, async (t) => {
  const { client, opened, posts, answers, tick } = chat(t, {}, 'longpoll');
  opened[0].on.ready();
  opened[1].on.end({ reason: 'no WebSocket' });
  opened[2].on.end({ reason: 'no event stream' });
  answers.push('silence');
  const clientId = client.send('one');
  answers.push({ body: { clientId, seq: 3, at: 1 } });
  await settle();
  tick(4_000);
  assert.equal(opened[0].probes, 1);
  tick(1_000);
  await settle();
  tick(500);
  await settle();
  assert.deepEqual([posts.length, client.outbox], [2, []]);
});

test('a socket that is new is tried at once, whatever has failed before', { timeout }, async (t) => {
  const { client, opened, sent, posts, tick } = chat(t, { rungs: ['websocket'] });
  live(opened[0]);
  opened[0].on.end({ reason: 'broke', stable: true });
  const clientId = client.send('one');
  for (let n = 0; n < 8; n += 1) {
    await settle();
    tick(30_000);
  }
  assert.ok(posts.length > 3, 'it was tried over HTTP meanwhile');
  client.tryNow();
  live(opened.at(-1));
  await settle();
  tick(500);
  assert.deepEqual(sent.map((frame) => frame.clientId), [clientId]);
});

test('an own message that was posted and does not come back ends the stream that should have brought it', { timeout }, async (t) => {
  const { client, opened, answers, tick } = chat(t, { rungs: ['sse'] }, 'sse');
  live(opened[0]);
  answers.push({ body: { seq: 3, at: 1 } }, { body: { seq: 4, at: 1 } });
  const clientId = client.send('one');
  await settle();
  opened[0].on.item(message(3, clientId));
  tick(6_000);
  assert.equal(opened[0].closed, false);
  client.send('two');
  await settle();
  tick(6_000);
  assert.equal(opened[0].closed, true);
});

test('an answer that does not come to any request has the connection asked', { timeout }, async (t) => {
  const { client, opened } = chat(t, {}, 'longpoll');
  opened[0].on.ready();
  client.typing();
  await settle();
  assert.equal(opened[0].probes, 1);
});

test('a position that went up on a connection which died is told again on the next one, and no longer once it came back', { timeout }, async (t) => {
  const { client, opened, posts, answers, tick } = chat(t);
  live(opened[0]);
  client.read(direct('bob'), 7);
  client.read(direct('cho'), 8);
  opened[0].on.item({ type: 'read', seq: 9, at: 1, user: 'me', with: 'cho', upTo: 8 });
  opened[0].on.end({ reason: 'broke', stable: true });
  tick(1_000);
  answers.push({ status: 200 });
  live(opened[1]);
  await settle();
  assert.deepEqual(posts, [{ path: '/api/read', with: 'bob', upTo: 7 }]);
  opened[1].on.end({ reason: 'broke', stable: true });
  tick(1_000);
  live(opened[2]);
  await settle();
  assert.equal(posts.length, 1);
});

test('what another tab wrote is left to that one for a while', { timeout }, async (t) => {
  const now = Date.now();
  let later = 0;
  t.mock.method(Date, 'now', () => now + later);
  const old = { clientId: 'old', text: 'old', conversation: direct('bob'), at: now - 60_000, status: 'pending', by: 'gone' };
  const { client, opened, sent, posts, tick } = chat(t, { writer: 'here', outbox: [old, { ...old, clientId: 'new', at: now }] });
  assert.deepEqual(posts.map((post) => post.clientId), ['old'], 'there is no socket yet');
  await settle();
  live(opened[0]);
  assert.deepEqual(sent.map((frame) => frame.clientId), ['old']);
  opened[0].on.item({ type: 'ack', clientId: 'old', seq: 4, at: 1 });
  await settle();
  const own = client.send('own');
  assert.deepEqual(sent.map((frame) => frame.clientId), ['old', own]);
  opened[0].on.item({ type: 'ack', clientId: own, seq: 5, at: 1 });
  await settle();
  later = 10_000;
  tick(10_000);
  assert.deepEqual(sent.map((frame) => frame.clientId), ['old', own, 'new']);
  client.adopt({ ...old, clientId: 'more' });
  client.forgo('more');
  assert.deepEqual(client.outbox.map((entry) => entry.clientId), ['new']);
});

test('what the server would refuse is mended before it is sent', { timeout }, (t) => {
  const { client, opened, sent } = chat(t);
  live(opened[0]);
  client.send('a\u2028b\u0007c\ud800');
  assert.equal(sent[0].text, 'a\nbc');
});

test('a greeting to somebody else stops the page before anything of it is shown', { timeout }, async (t) => {
  const { client, opened } = chat(t);
  const seen = [];
  client.addEventListener('event', ({ detail }) => seen.push(detail));
  client.addEventListener('stop', ({ detail }) => seen.push(detail));
  opened[0].on.ready();
  opened[0].on.item({ type: 'hello', seq: 0, user: { id: 'ann' } });
  opened[0].on.item(message(3));
  assert.deepEqual(seen, ['another account']);
  assert.deepEqual([client.state, opened[0].closed], ['stopped', true]);
});
