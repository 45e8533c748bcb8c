// The pure parts: outbox, timeline, links, colours, waits, the laboratory's arithmetic.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { climbWaitMs, retryWaitMs } from '../../web/js/core/backoff.js';
import { BROADCASTS } from '../../web/js/core/conversation.js';
import { contrast, readable } from '../../web/js/core/color.js';
import { splitLinks } from '../../web/js/core/links.js';
import { OUTBOX_MAX, Outbox } from '../../web/js/core/outbox.js';
import { Tally, distribution, quantile, toCsv } from '../../web/js/core/stats.js';
import { Timeline } from '../../web/js/core/timeline.js';

const timeout = 10_000;
const message = (seq, from = 'ann', at = seq * 1000) =>
  ({ type: 'message', seq, at, from: { id: from, name: from, color: '#000000' }, to: null, text: `t${seq}` });

test('the wait before a retry lies between zero and a bound that doubles and ends', { timeout }, () => {
  for (let failures = 1; failures < 50; failures += 1) {
    assert.equal(retryWaitMs(failures, 0), 0);
    assert.ok(retryWaitMs(failures, 0.999) <= 30_000);
  }
  assert.ok(retryWaitMs(3, 0.9) > retryWaitMs(1, 0.9));
  assert.ok(climbWaitMs(1, 0) >= 45_000);
  assert.ok(climbWaitMs(50, 1) <= 900_000);
});

test('a confirmed message leaves the outbox once, by ack or by its event', { timeout }, () => {
  const outbox = new Outbox();
  outbox.add({ clientId: 'a', text: 'x', conversation: BROADCASTS, at: 1 });
  assert.equal(outbox.confirm('a'), true);
  assert.equal(outbox.confirm('a'), false);
  assert.equal(outbox.next, null);
});

test('the outbox gives its messages in the order in which they were written', { timeout }, () => {
  const outbox = new Outbox();
  for (const clientId of ['a', 'b', 'c']) outbox.add({ clientId, text: clientId, conversation: BROADCASTS, at: 1 });
  outbox.fail('a', 'too long');
  assert.equal(outbox.next.clientId, 'b');
  outbox.retry('a');
  assert.equal(outbox.next.clientId, 'a');
  assert.equal(outbox.next.error, undefined);
});

test('only a failed message can be given up', { timeout }, () => {
  const outbox = new Outbox([{ clientId: 'a', text: 'x', conversation: BROADCASTS, at: 1, status: 'pending' }]);
  outbox.discard('a');
  assert.equal(outbox.entries.length, 1);
  outbox.fail('a', 'no');
  outbox.discard('a');
  assert.equal(outbox.entries.length, 0);
});

test('the outbox is bounded', { timeout }, () => {
  const outbox = new Outbox();
  for (let n = 0; n < OUTBOX_MAX; n += 1) outbox.add({ clientId: `${n}`, text: 'x', conversation: BROADCASTS, at: 1 });
  assert.throws(() => outbox.add({ clientId: 'one more', text: 'x', conversation: BROADCASTS, at: 1 }), RangeError);
});

test('messages stand once and in order however they come', { timeout }, () => {
  const timeline = new Timeline();
  for (const seq of [5, 9, 7, 5, 1, 9, 8]) timeline.add(message(seq));
  timeline.addPage([1, 2, 3, 5].map((seq) => message(seq)), false);
  assert.deepEqual(timeline.messages.map((one) => one.seq), [1, 2, 3, 5, 7, 8, 9]);
  assert.equal(timeline.add(message(7)), false);
});

test('a trimmed timeline knows that there is more', { timeout }, () => {
  const timeline = new Timeline();
  timeline.addPage([1, 2, 3].map((seq) => message(seq)), false);
  timeline.trim(2);
  assert.equal(timeline.firstSeq, 2);
  assert.equal(timeline.more, true);
});

test('rows have day separators, one new-message line before a message of others, and notes in place', { timeout }, () => {
  const timeline = new Timeline();
  timeline.add(message(1, 'ann'));
  timeline.add(message(2, 'me'));
  timeline.add(message(3, 'bob', 90_000_000));
  timeline.add(message(4, 'bob', 90_000_001));
  const rows = timeline.rows({
    dayOf: (at) => `d${Math.floor(at / 86_400_000)}`, readUpTo: 1, me: 'me',
    outgoing: [{ clientId: 'x', text: 'x', conversation: BROADCASTS, at: 1, status: 'pending' }],
    notes: [{ id: 1, text: 'Connected!', afterSeq: 3 }, { id: 2, text: 'Disconnected!', afterSeq: 4 }],
  });
  assert.deepEqual(rows.map((row) => row.key),
    ['day-m-1', 'm-1', 'm-2', 'day-m-3', 'new', 'm-3', 'note-1', 'm-4', 'note-2', 'own-x']);
});

test('an own message keeps its row, its place and its name while it is sent', { timeout }, () => {
  const timeline = new Timeline();
  timeline.add(message(1, 'me'));
  const entry = (clientId, at) => ({ clientId, text: clientId, conversation: BROADCASTS, at, status: 'pending' });
  const shown = (outgoing, notes) => timeline.rows({ dayOf: () => 'd', me: 'me', outgoing, notes })
    .map((row) => [row.key, row.follows]);
  const notes = [{ id: 1, text: 'Disconnected!', afterSeq: 1 }];
  const pending = shown([entry('a', 0), entry('b', 0)], notes);
  assert.deepEqual(pending.slice(-2), [['own-a', false], ['own-b', true]]);
  timeline.add({ ...message(2, 'me'), clientId: 'a' });
  // The outbox of another tab may still have it: it stands there once.
  assert.deepEqual(shown([entry('a', 0), entry('b', 0)], notes), pending);
  timeline.add({ ...message(3, 'me'), clientId: 'b' });
  assert.deepEqual(shown([], notes), pending);
});

test('messages of one writer in a row stand under one name, until a while has passed', { timeout }, () => {
  const timeline = new Timeline();
  timeline.add(message(1, 'ann', 0));
  timeline.add(message(2, 'ann', 1000));
  timeline.add(message(3, 'ann', 400_000));
  const rows = timeline.rows({ dayOf: () => 'd' }).filter((row) => row.kind === 'message');
  assert.deepEqual(rows.map((row) => row.follows), [false, true, false]);
});

test('rows have no key twice', { timeout }, () => {
  const timeline = new Timeline();
  for (let seq = 1; seq < 50; seq += 1) timeline.add(message(seq, `u${seq % 3}`, seq * 10_000_000));
  const keys = timeline.rows({ dayOf: (at) => `${Math.floor(at / 86_400_000)}`, readUpTo: 20 }).map((row) => row.key);
  assert.equal(new Set(keys).size, keys.length);
});

test('addresses become links without the marks around them', { timeout }, () => {
  const cases = [
    ['see https://a.example/x.', ['https://a.example/x']],
    ['(https://a.example/b_(c))', ['https://a.example/b_(c)']],
    ['<https://a.example>', ['https://a.example']],
    ['http://a.example/?q=1&r=2, https://b.example!', ['http://a.example/?q=1&r=2', 'https://b.example']],
    ['javascript:alert(1) data:text/html,x ftp://a', []],
    ['https://bank.example@evil.example', []],
    ['https://', []],
    ['https://a.example/\u202egpj.exe', ['https://a.example/']],
  ];
  for (const [text, links] of cases) {
    const parts = splitLinks(text);
    assert.equal(parts.map((part) => part.text).join(''), text);
    assert.deepEqual(parts.filter((part) => part.href).map((part) => part.text), links, text);
    for (const { href } of parts) if (href) assert.match(href, /^https?:\/\//);
  }
});

test('a link in a long text takes no long time to find', { timeout: 2000 }, () => {
  splitLinks(`https://a.example/${'('.repeat(50_000)}${')'.repeat(50_000)}!`);
  splitLinks(`https://a.example/${'.'.repeat(100_000)}x`.repeat(2));
});

test('every colour becomes readable on dark and on light, and stays when it is', { timeout }, () => {
  for (let value = 0; value < 0xffffff; value += 0x01234b) {
    const color = `#${value.toString(16).padStart(6, '0')}`;
    for (const background of ['#16181d', '#ffffff', '#f6f7f9']) {
      const mixed = readable(color, background);
      assert.ok(contrast(mixed, background) >= 4.5, `${color} on ${background}`);
      if (contrast(color, background) >= 4.5) assert.equal(mixed, color);
    }
  }
  assert.match(readable('red; background: url(x)', '#ffffff'), /^#[0-9a-f]{6}$/);
});

test('quantiles are values that were measured', { timeout }, () => {
  assert.equal(quantile([], 0.5), null);
  assert.equal(quantile([3, 1, 2], 0.5), 2);
  assert.equal(quantile([3, 1, 2], 0), 1);
  assert.equal(quantile([3, 1, 2, 10], 0.99), 10);
  assert.equal(distribution([0.4, 3, 9000]).reduce((sum, bar) => sum + bar), 3);
});

test('a tally tells missed and doubled apart', { timeout }, () => {
  const tally = new Tally();
  tally.record(1, 5);
  tally.record(1, 9);
  tally.record(3, 7);
  assert.deepEqual([tally.seen, tally.doubled, tally.missing([1, 2, 3])], [2, 1, 1]);
  assert.deepEqual(tally.latencies, [5, 7]);
});

test('CSV fields with marks of their own are quoted', { timeout }, () => {
  assert.equal(toCsv([['a', 1, null], ['x,"y"', '', 2]]), 'a,1,\r\n"x,""y""",,2\r\n');
});
