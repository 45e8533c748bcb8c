// The table of transports, and the classes that must be as it says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endOfBye, endOfClose, stopOfRefusal } from '../../web/js/core/endings.js';
import { LADDER, SUREST, TRANSPORTS } from '../../web/js/core/transports.js';
import { CLASSES } from '../../web/js/transports/classes.js';

const timeout = 5_000;

test('each transport of the table has a class that can do what the table says', { timeout }, () => {
  assert.deepEqual(Object.keys(CLASSES), [...LADDER]);
  for (const rung of LADDER) {
    const { carriesFrames, canBeAsked } = TRANSPORTS[rung];
    assert.equal('send' in CLASSES[rung].prototype, carriesFrames, `${rung} carries frames`);
    assert.equal('probe' in CLASSES[rung].prototype, canBeAsked, `${rung} can be asked`);
  }
});

test('readers that may live side by side have different names', { timeout }, () => {
  const streams = LADDER.filter((rung) => TRANSPORTS[rung].streams);
  const names = new Set([...streams, SUREST].map((rung) => TRANSPORTS[rung].suffix));
  assert.equal(names.size, streams.length + 1);
});

test('what the server refuses for good stops the client in words that the page knows', { timeout }, () => {
  const stops = [
    endOfClose(4501, '', null), endOfClose(4502, '', null), endOfClose(4503, '', null),
    endOfBye({ type: 'bye', reason: 'session expired', retry: false }),
    endOfBye({ type: 'bye', reason: 'another account', retry: false }),
  ].map(({ stop }) => stop);
  assert.deepEqual(stops, ['signed out', 'signed out', 'another account', 'signed out', 'another account']);
  assert.equal(stopOfRefusal({ status: 409, code: 'another_account' }), 'another account');
  assert.equal(stopOfRefusal({ status: 409, code: 'conflict' }), undefined);
  assert.equal(stopOfRefusal({ status: 401 }), 'signed out');
});

test('other endings say when to come back, the server\'s word before our own', { timeout }, () => {
  const bye = { type: 'bye', reason: 'restarting', reconnectIn: 700 };
  assert.deepEqual(endOfClose(1012, '', bye), { reason: 'restarting', retryMs: 700 });
  assert.deepEqual(endOfBye(bye), { reason: 'restarting', retryMs: 700 });
  assert.deepEqual(endOfClose(1006, '', null), { reason: 'the connection broke', retryMs: undefined });
  assert.equal(endOfClose(4000, '', null).stop, 'replaced by a newer connection');
});

test('a poll that began at the present says where that is before anything is opened beside it', { timeout }, async (t) => {
  Object.defineProperty(globalThis, 'location', { value: { href: 'http://chat.example/' }, configurable: true });
  t.after(() => delete globalThis.location);
  t.mock.method(globalThis, 'fetch', async () => new Response(JSON.stringify({ cursor: 8, events: [], more: false })));
  const told = [];
  await new Promise((resolve) => {
    const on = {
      ready: () => told.push('ready'), item() {}, alive() {}, end() {},
      cursor(cursor) {
        told.push(cursor);
        if (told.length === 3) resolve();
      },
    };
    const transport = new CLASSES.longpoll({ base: '', cursor: null, client: 'c', on });
    t.after(() => transport.close());
  });
  assert.deepEqual(told, [8, 'ready', 8]);
});
