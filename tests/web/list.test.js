// The list of conversations: what stands in a row, in which order, what a filter leaves; and the last message of each,
// whatever order answers and events come in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROADCASTS, direct, keyOf } from '../../web/js/core/conversation.js';
import { Lasts } from '../../web/js/core/lasts.js';
import { initialsOf, matches, onOneLine, placeAfterKey, rowsOf } from '../../web/js/core/list.js';

const timeout = 10_000;
const message = (seq, from, to = null, text = `m${seq}`) => (
  { seq, type: 'message', at: seq, from: { id: from, name: from, color: '#000000' }, to, text });
const friend = (id, name = id) => ({ id, name, color: '#225588', online: false, lastSeen: null });
const friendEvent = (seq, id, relation) => ({ seq, type: 'friend', at: seq, user: { id, name: id }, relation });
const known = (more) => ({
  me: 'me', friends: [], left: [], unreadIn: () => 0, lastOf: () => null, draftOf: () => '', outgoing: [],
  nameOf: (id, name) => name, ...more,
});
const of = (lasts) => (conversation) => lasts[keyOf(conversation)] ?? null;

test('the newest message comes first, then all friends and who has said nothing by name', { timeout }, () => {
  const friends = ['zoe', 'bob', 'cho', 'ann'].map((id) => friend(id));
  const lasts = { bob: message(5, 'me', 'bob'), cho: message(9, 'cho', 'me') };
  assert.deepEqual(rowsOf(known({ friends, lastOf: of(lasts) })).map((row) => row.key), ['cho', 'bob', '', 'ann', 'zoe']);
  lasts[''] = message(7, 'ann');
  assert.deepEqual(rowsOf(known({ friends, lastOf: of(lasts) })).map((row) => row.key), ['cho', '', 'bob', 'ann', 'zoe']);
});

test('the order is that of the server, whatever the clocks say', { timeout }, () => {
  const lasts = { ann: { ...message(5, 'ann', 'me'), at: 900 }, bob: { ...message(6, 'bob', 'me'), at: 100 } };
  const rows = rowsOf(known({ friends: [friend('ann'), friend('bob')], lastOf: of(lasts) }));
  assert.deepEqual(rows.map((row) => row.key), ['bob', 'ann', '']);
});

test('a row says whose line it is where that is not clear, under the name of now', { timeout }, () => {
  const friends = [friend('ann'), friend('bob')];
  const rows = (lasts) => new Map(rowsOf(known({
    friends, lastOf: of(lasts), nameOf: (id) => `${id} now` })).map((row) => [row.key, row]));
  const shown = rows({ '': message(1, 'ann'), ann: message(2, 'ann', 'me'), bob: message(3, 'me', 'bob') });
  assert.deepEqual(['', 'ann', 'bob'].map((key) => [shown.get(key).from, shown.get(key).own]),
    [['ann now', false], ['', false], ['', true]]);
});

test('what is on its way stands first, what failed says so, and a draft stands in its place', { timeout }, () => {
  const friends = [friend('ann'), friend('bob')];
  const lasts = { ann: message(50, 'ann', 'me'), bob: message(60, 'bob', 'me') };
  const entry = (user, status) => ({ clientId: user, text: ' on\nits  way ', conversation: direct(user), at: 10, status });
  const list = (more) => rowsOf(known({ friends, lastOf: of(lasts), ...more })).map((row) => [row.key, row.kind, row.line]);
  assert.deepEqual(list({ outgoing: [entry('ann', 'pending')] })[0], ['ann', 'waiting', 'on its way']);
  assert.deepEqual(list({ outgoing: [entry('ann', 'failed')] })[0], ['ann', 'failed', 'on its way']);
  // A draft is marked and moves nothing: the row would run away from who writes in it.
  assert.deepEqual(list({ draftOf: (one) => (keyOf(one) === 'ann' ? 'half a\nthought' : '') }),
    [['bob', 'message', 'm60'], ['ann', 'draft', 'half a thought'], ['', '', '']]);
});

test('a filter takes the beginnings of words, without case and accents, and any part of a Chinese name', { timeout }, () => {
  const names = ['Zoë Ångström', 'Jean-Luc Marais', "Ann O'Neil", '王小明', 'Иван Петров'];
  const found = (query) => names.filter((name) => matches(name, query));
  assert.deepEqual(found('zoe ang'), ['Zoë Ångström']);
  assert.deepEqual(found('ANGS'), ['Zoë Ångström']);
  assert.deepEqual(found('luc'), ['Jean-Luc Marais']);
  assert.deepEqual(found('neil'), ["Ann O'Neil"]);
  assert.deepEqual(found('小明'), ['王小明']);
  assert.deepEqual(found('пет'), ['Иван Петров']);
  assert.deepEqual(found('eil'), []);
  assert.deepEqual(found(' '), names);
});

test('initials are whole letters, one of a Chinese name, and never more than a disc holds', { timeout }, () => {
  assert.deepEqual(['Ann Lind', 'ann', 'Ann Maria de Lind', '王小明', '李 雷', '👩‍💻 Dev', 'é x', ''].map(initialsOf),
    ['AL', 'A', 'AL', '王', '李', '👩‍💻D', 'ÉX', '']);
  assert.ok(initialsOf(`a${'\u0301'.repeat(200)} b`).length <= 16);
});

test('a line of the list has no line ends and an end', { timeout }, () => {
  assert.equal(onOneLine(' a\n\n b\tc '), 'a b c');
  assert.ok(onOneLine('x'.repeat(4000)).length <= 160);
});

test('the arrows move through the list and stop at its ends', { timeout }, () => {
  assert.deepEqual([['ArrowDown', -1], ['ArrowDown', 2], ['ArrowUp', 0], ['ArrowUp', 2], ['Home', 2], ['End', 0], ['a', 1]]
    .map(([key, at]) => placeAfterKey(key, at, 3)), [0, 2, 0, 1, 0, 2, null]);
  assert.equal(placeAfterKey('ArrowDown', -1, 0), null);
});

// The last messages.

const list = (seq, lasts) => ({
  seq, conversations: Object.entries(lasts).map(([key, last]) => ({ with: key || null, last })) });

test('a list that is older than the stream does not put an older message in place of a newer one', { timeout }, () => {
  const lasts = new Lasts('me');
  const later = [message(8, 'ann', 'me')];
  lasts.apply(later[0]);
  assert.equal(lasts.adopt(list(5, { ann: message(4, 'ann', 'me'), '': null }), later), true);
  assert.equal(lasts.of(direct('ann')).seq, 8);
  // An event that the list holds already changes nothing.
  assert.equal(lasts.adopt(list(9, { ann: message(9, 'me', 'ann') }), []), true);
  lasts.apply(message(8, 'ann', 'me'));
  assert.equal(lasts.of(direct('ann')).seq, 9);
});

test('an own message that the server has acknowledged stays, though the list is older', { timeout }, () => {
  const lasts = new Lasts('me');
  lasts.add(message(12, 'me', 'ann'));
  lasts.adopt(list(10, { ann: message(3, 'ann', 'me') }), []);
  assert.equal(lasts.of(direct('ann')).seq, 12);
  lasts.adopt(list(20, { ann: null }), []);
  assert.equal(lasts.of(direct('ann')), null);
});

test('what an end hides is gone, and the server is asked what is the last one then', { timeout }, () => {
  const lasts = new Lasts('me');
  lasts.adopt(list(5, { '': message(4, 'ann'), ann: message(5, 'ann', 'me'), bob: message(3, 'bob', 'me') }), []);
  assert.equal(lasts.apply(friendEvent(6, 'bob', 'none')), false);
  assert.equal(lasts.of(direct('bob')), null);
  assert.equal(lasts.of(BROADCASTS).seq, 4);
  assert.equal(lasts.apply(friendEvent(7, 'ann', 'none')), true);
  assert.equal(lasts.of(BROADCASTS), null);
  assert.equal(lasts.adopt(list(6, { '': message(4, 'ann') }), [friendEvent(7, 'ann', 'none')]), false);
  assert.equal(lasts.of(BROADCASTS), null);
  // Friends again: what oneself had written is shown again, which only the server knows.
  assert.equal(lasts.apply(friendEvent(9, 'ann', 'friend')), true);
  assert.equal(lasts.apply(friendEvent(10, 'cho', 'incoming')), false);
});
