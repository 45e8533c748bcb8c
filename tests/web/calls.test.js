// When somebody is called; what was last there, and that it is nobody else's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_WISHES, calls, clock, isQuiet, minuteIn, minuteOf } from '../../web/js/core/calls.js';
import { BROADCASTS, direct } from '../../web/js/core/conversation.js';
import { Picture } from '../../web/js/core/picture.js';
import { claimLast, forgetLast, keepLast, lastSeen, talksOf } from '../../web/js/last.js';

const timeout = 5000;
const message = (seq, from = 'ann', to = null) =>
  ({ type: 'message', seq, at: seq, from: { id: from, name: from, color: '#000000' }, to, text: `m${seq}` });

test('quiet hours may pass midnight, and equal ends are none', { timeout }, () => {
  const night = { quietFrom: 22 * 60, quietTo: 7 * 60 };
  assert.deepEqual([0, 419, 420, 1319, 1320].map((minute) => isQuiet(night, minute)), [true, true, false, false, true]);
  for (const minute of [0, 720, 1439]) assert.equal(isQuiet(NO_WISHES, minute), false);
  assert.equal(isQuiet({ quietFrom: 60, quietTo: 120 }, 60), true);
});

test('quiet hours are of the day where the account is, and an unknown place is none', { timeout }, () => {
  const at = Date.UTC(2026, 0, 1, 23, 30);
  assert.deepEqual(['UTC', 'Asia/Shanghai', '', 'Nowhere/Here'].map((zone) => minuteIn(at, zone)),
    [23 * 60 + 30, 7 * 60 + 30, 23 * 60 + 30, 23 * 60 + 30]);
  for (const minute of [0, 61, 1439]) assert.equal(minuteOf(clock(minute)), minute);
  assert.equal(minuteOf(''), 0);
});

test('own messages, muted conversations and quiet hours call nobody', { timeout }, () => {
  const now = Date.UTC(2026, 0, 1, 12);
  const called = (event, wishes = {}) => calls({ ...NO_WISHES, ...wishes }, event, 'me', now);
  assert.equal(called(message(1)), true);
  assert.equal(called(message(1, 'me')), false);
  assert.equal(called(message(1), { muted: [''] }), false);
  assert.equal(called(message(1, 'ann', 'me'), { muted: [''] }), true);
  assert.equal(called(message(1, 'ann', 'me'), { muted: ['ann'] }), false);
  assert.equal(called(message(1), { quietFrom: 11 * 60, quietTo: 13 * 60 }), false);
});

/** A storage, until the test ends. */
function storage(t) {
  const kept = new Map();
  globalThis.localStorage = {
    getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key),
  };
  t.after(() => delete globalThis.localStorage);
  return kept;
}

/** What `keepLast` needs of a model. */
function model(me, count) {
  const picture = new Picture({ id: me, name: me, color: '#000000' });
  const talk = (conversation, messages) => picture.known(conversation).recall(messages);
  picture.people.adopt({ friends: [{ id: 'ann', name: 'Ann', color: '#000000', online: true, lastSeen: null }], incoming: [], outgoing: [], seq: 1 }, [], 0);
  talk(BROADCASTS, Array.from({ length: count }, (_, n) => message(n + 1)));
  talk(direct('ann'), [message(count + 1, 'ann', me)]);
  const { friends, former } = picture.people;
  return { me: picture.me, friends, former, written: { conversations: [] }, known: picture.known.bind(picture) };
}

test('what was last there comes back bounded, with nobody online, and gives way to the server', { timeout }, (t) => {
  storage(t);
  const me = model('me', 100);
  claimLast(me.me);
  keepLast(me);
  const last = lastSeen();
  assert.deepEqual(last.talks.map(({ key, messages }) => [key, messages.length]), [['', 30], ['ann', 1]]);
  const picture = new Picture(last.me);
  picture.recall(last.friends, talksOf(last));
  assert.deepEqual([picture.people.friends.get('ann').online, picture.begun], [false, false]);
  assert.equal(picture.known(BROADCASTS).timeline.lastSeq, 100);
  // The server's word: messages that are gone are gone, and what was recalled of others stays until they are asked for.
  const people = { friends: [{ id: 'ann', name: 'Ann', color: '#000000', online: true, lastSeen: null }], incoming: [], outgoing: [], seq: 200 };
  picture.begin(people, { messages: [message(99)], more: true, seq: 201 }, { read: [], peers: [], unread: [], seq: 200 }, { conversations: [], seq: 200 }, picture.asked);
  assert.deepEqual(picture.known(BROADCASTS).timeline.messages.map(({ seq }) => seq), [99]);
  assert.deepEqual([picture.known(direct('ann')).timeline.length, picture.known(direct('ann')).empty], [1, true]);
});

test('what was last there goes with the account, and another account takes nothing over', { timeout }, (t) => {
  const kept = storage(t);
  const me = model('me', 3);
  keepLast(me);
  assert.equal(lastSeen(), null, 'nobody has signed in here');
  claimLast(me.me);
  keepLast(me);
  claimLast({ id: 'other', name: 'Other', color: '#000000' });
  assert.equal([...kept.values()].join().includes('m1'), false);
  keepLast(me);
  assert.equal(lastSeen().me.id, 'other', 'a tab of the account that left keeps nothing more');
  forgetLast('me');
  assert.equal(lastSeen().me.id, 'other');
  forgetLast('other');
  assert.equal(lastSeen(), null);
  kept.set('chat.last', '{"me":1}');
  assert.equal(lastSeen(), null);
});
