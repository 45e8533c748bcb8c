// Days and times as people see them, by clocks of paper: zones, summer time, clocks that step.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Calendar } from '../../web/js/core/days.js';
import { Timeline } from '../../web/js/core/timeline.js';
import { agoOf, aheadMs, dayWords, hearTime, now, shortOf } from '../../web/js/ui/time.js';

const timeout = 5_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const at = (text) => Date.parse(text);

function timeline(...times) {
  const found = new Timeline();
  times.forEach((text, index) => found.add({
    type: 'message', seq: index + 1, at: at(text), from: { id: 'ann', name: 'Ann', color: '#000000' }, to: null, text: `t${index}`,
  }));
  return found;
}

const daysIn = (line, zone) => {
  const calendar = new Calendar('en', zone);
  return line.rows({ dayOf: (time) => calendar.dayOf(time) })
    .map((row) => (row.kind === 'day' ? calendar.shortOf(row.at) : row.kind === 'message' ? row.event.seq : row.kind));
};

test('a separator stands at each change of day and nowhere else, also where the clock stepped back', { timeout }, () => {
  const line = timeline('2026-11-27T23:59:00Z', '2026-11-28T00:01:00Z', '2026-11-27T23:58:00Z', '2026-11-27T23:59:30Z', '2026-11-28T00:00:30Z');
  assert.deepEqual(daysIn(line, 'UTC'), ['11/27/26', 1, '11/28/26', 2, '11/27/26', 3, 4, '11/28/26', 5]);
  const keys = line.rows({ dayOf: (time) => new Date(time).toISOString().slice(0, 10) }).map((row) => row.key);
  assert.equal(new Set(keys).size, keys.length, 'each row has a key of its own, so none takes the place of another');
});

test('the day changes at midnight of the reader\'s zone, on days of 23 and of 25 hours too', { timeout }, () => {
  assert.deepEqual(daysIn(timeline('2026-03-08T04:59:00Z', '2026-03-08T05:01:00Z', '2026-03-09T03:59:00Z', '2026-03-09T04:01:00Z'), 'America/New_York'),
    ['3/7/26', 1, '3/8/26', 2, 3, '3/9/26', 4]);
  assert.deepEqual(daysIn(timeline('2026-11-01T03:59:00Z', '2026-11-01T04:01:00Z', '2026-11-02T04:59:00Z', '2026-11-02T05:01:00Z'), 'America/New_York'),
    ['10/31/26', 1, '11/1/26', 2, 3, '11/2/26', 4]);
  assert.deepEqual(daysIn(timeline('2026-11-27T18:14:00Z', '2026-11-27T18:16:00Z'), 'Asia/Kathmandu'), ['11/27/26', 1, '11/28/26', 2]);
});

test('yesterday is the day before by the calendar, however long it was', { timeout }, () => {
  const calendar = new Calendar('en', 'Europe/Zurich');
  // 25 October 2026 has 25 hours: 24 h 30 min before its end is the same day still.
  assert.equal(calendar.daysAgo(at('2026-10-24T22:10:00Z'), at('2026-10-25T22:50:00Z')), 0);
  assert.equal(calendar.daysAgo(at('2026-10-24T21:50:00Z'), at('2026-10-24T22:10:00Z')), 1);
  assert.equal(calendar.daysAgo(at('2026-12-31T12:00:00Z'), at('2027-01-01T12:00:00Z')), 1);
  assert.equal(calendar.daysAgo(at('2028-02-28T12:00:00Z'), at('2028-03-01T12:00:00Z')), 2);
});

test('how long since is said as people say it', { timeout }, () => {
  const calendar = new Calendar('en', 'UTC');
  const noon = at('2026-11-28T12:00:00Z');
  for (const [ago, said] of [[0, 'now'], [59_000, 'now'], [-30_000, 'now'], [MINUTE, 'minutes'], [59 * MINUTE, 'minutes'],
    [HOUR, 'time'], [11 * HOUR, 'time'], [13 * HOUR, 'yesterday'], [35 * HOUR, 'yesterday'], [37 * HOUR, 'date'], [-48 * HOUR, 'date']]) {
    assert.equal(calendar.ago(noon - ago, noon).kind, said, `${ago / MINUTE} minutes`);
  }
  assert.deepEqual(calendar.ago(noon - 5.9 * MINUTE, noon), { kind: 'minutes', count: 5 });
});

test('what is said of a time changes as time passes, by the server\'s clock', { timeout }, (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: new Date(2026, 10, 28, 23, 50).getTime() });
  const written = Date.now();
  assert.deepEqual([dayWords(written), agoOf(written)], ['Today', 'just now']);
  t.mock.timers.setTime(written + 5 * MINUTE);
  assert.equal(agoOf(written), '5 minutes ago');
  t.mock.timers.setTime(written + 20 * MINUTE);
  assert.deepEqual([dayWords(written), agoOf(written)], ['Yesterday', '20 minutes ago']);
  t.mock.timers.setTime(written + 3 * HOUR);
  assert.match(agoOf(written), /^yesterday at 11:50/);
  assert.equal(shortOf(written), 'Yesterday');
  t.mock.timers.setTime(written + 48 * HOUR);
  assert.equal(dayWords(written), 'Saturday, November 28, 2026');
  // This computer's clock is two days ahead of the server's.
  hearTime(written);
  assert.equal(now(), written);
  assert.equal(dayWords(written), 'Today');
  assert.equal(Date.now() + aheadMs(), written, 'what is written now stands on the server\'s day too');
  hearTime(Date.now());
});
