// Many tabs and one connection, on a channel, a lock and a clock of paper.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EVENTS_MAX, Recent, TEXT_MAX } from '../../web/js/core/recent.js';
import { settle } from './paper.js';
import { Browser, assertComplete, seqs } from './paper_tabs.js';

const timeout = 30_000;
const upTo = (first, last) => Array.from({ length: last - first + 1 }, (_, n) => first + n);

test('the tabs of a person have one connection, and each sees each event once', { timeout }, async () => {
  const browser = new Browser();
  const tabs = [await browser.open(), await browser.open(), await browser.open()];
  await browser.append(3);
  assert.equal(browser.server.connections.size, 1);
  assert.deepEqual(tabs.map((tab) => tab.link.leads), [true, false, false]);
  for (const tab of tabs) assert.deepEqual(seqs(tab), [1, 2, 3]);
});

test('a leader that is closed hands over, and what comes meanwhile is caught up by the new one', { timeout }, async () => {
  const browser = new Browser();
  const [ann, bob, cho] = [await browser.open(), await browser.open(), await browser.open()];
  await browser.append(2);
  ann.link.stop();
  browser.server.append();
  await settle();
  await browser.append();
  assert.equal(browser.server.connections.size, 1);
  assert.equal(bob.link.leads, true);
  for (const tab of [bob, cho]) {
    assertComplete(browser, tab);
    assert.equal(tab.resets, 0, 'nothing had to be loaded again');
  }
  assert.deepEqual(seqs(ann), [1, 2]);
});

test('a follower that missed messages between the tabs asks for them, and gets each once', { timeout }, async () => {
  const browser = new Browser();
  await browser.open();
  const bob = await browser.open();
  await browser.append(2);
  browser.air.loses = (message, to) => to === bob.name && message.kind === 'event';
  await browser.append(3);
  assert.deepEqual(seqs(bob), [1, 2]);
  browser.air.loses = () => false;
  await browser.append(2);
  assert.deepEqual(seqs(bob), upTo(1, 7));
});

test('events that come while a join is under way are neither lost nor doubled, and ask no second time', { timeout }, async () => {
  const browser = new Browser();
  await browser.open();
  const bob = await browser.open();
  const joins = [];
  browser.air.loses = (message, to) => {
    if (message.kind === 'join') joins.push(message);
    return to === bob.name && message.kind === 'event' && message.event.seq === 1;
  };
  browser.server.append();
  for (let n = 0; n < 5; n += 1) browser.server.append();
  await settle();
  assert.deepEqual(seqs(bob), upTo(1, 6));
  assert.equal(joins.length, 1);
});

test('a newcomer whose snapshot is older than the last events is told those', { timeout }, async () => {
  const browser = new Browser();
  await browser.open();
  await browser.append(4);
  const bob = await browser.open(2);
  assert.deepEqual(seqs(bob), [3, 4]);
  assert.equal(bob.link.cursor, 4);
});

test('a newcomer that missed more than is kept is told to load again, and goes on from there', { timeout }, async () => {
  const browser = new Browser();
  await browser.open();
  await browser.append(EVENTS_MAX + 10);
  const bob = await browser.open(3);
  assert.deepEqual(bob.events.map((event) => [event.type, event.seq]), [['reset', EVENTS_MAX + 10]]);
  await browser.append();
  assertComplete(browser, bob);
  const cho = await browser.open(20);
  assert.equal(cho.resets, 0);
  assertComplete(browser, cho);
});

test('who takes over can still tell the others what came before', { timeout }, async () => {
  const browser = new Browser();
  const ann = await browser.open();
  await browser.open();
  const cho = await browser.open();
  browser.air.loses = (message, to) => to === cho.name;
  await browser.append(3);
  browser.air.loses = () => false;
  ann.link.stop();
  await settle();
  assert.deepEqual([seqs(cho), cho.resets], [[1, 2, 3], 0]);
});

test('a server\'s reset reaches every tab', { timeout }, async () => {
  const browser = new Browser();
  const ann = await browser.open(900);
  const bob = await browser.open(900);
  browser.connectionOf(ann).reset(10);
  await settle();
  for (const tab of [ann, bob]) assert.deepEqual([tab.resets, tab.link.cursor], [1, 10]);
  browser.server.append(11);
  await settle();
  for (const tab of [ann, bob]) assert.deepEqual(seqs(tab), [10, 11]);
});

test('a visible follower takes the place of a leader that does not answer; a hidden one keeps asking', { timeout }, async () => {
  const browser = new Browser();
  const ann = await browser.open();
  const bob = await browser.open(0, { visible: false });
  await browser.append(2);
  browser.freeze(ann);
  browser.server.append();
  bob.link.nudge();
  await browser.clock.turn(10_000);
  assert.equal(bob.link.leads, false);
  assert.deepEqual(seqs(bob), [1, 2]);
  bob.visible = true;
  await browser.clock.turn(2_500);
  assert.equal(bob.link.leads, true);
  assertComplete(browser, bob);
});

test('a leader that wakes up without its lock follows, and neither tab sees anything twice', { timeout }, async () => {
  for (const late of [false, true]) {
    const browser = new Browser();
    const ann = await browser.open();
    const bob = await browser.open();
    const cho = await browser.open();
    await browser.append(2);
    browser.freeze(ann);
    await browser.append(2);
    bob.link.nudge();
    await browser.clock.turn(2_500);
    assert.equal(bob.link.leads, true);
    await browser.append(2);
    await browser.thaw(ann, { late });
    await browser.append(2);
    assert.deepEqual([ann, bob, cho].map((tab) => tab.link.leads), [false, true, false]);
    assert.equal(browser.server.connections.size, 1);
    for (const tab of [ann, bob, cho]) {
      assertComplete(browser, tab);
      assert.equal(tab.resets, 0);
      assert.equal(tab.link.live, 'websocket', `${tab.name} knows that there is a connection`);
    }
  }
});

test('what a leader says that leads no more is put right as soon as it notices', { timeout }, async () => {
  const browser = new Browser();
  const [ann, bob, cho] = [await browser.open(), await browser.open(), await browser.open()];
  const old = browser.connectionOf(ann);
  browser.freeze(ann);
  bob.link.nudge();
  await browser.clock.turn(2_500);
  old.live = null;
  old.options.on.change();
  await settle();
  await browser.thaw(ann);
  assert.equal(cho.link.live, 'websocket');
});

test('a follower asks a new leader at once for what it missed under the old one', { timeout }, async () => {
  const browser = new Browser();
  const [ann, bob, cho] = [await browser.open(), await browser.open(), await browser.open()];
  browser.air.loses = (message, to) => to === cho.name && message.kind === 'event';
  await browser.append(2);
  browser.freeze(ann);
  bob.link.nudge();
  await browser.clock.turn(2_500);
  assert.deepEqual([bob.link.leads, seqs(cho)], [true, [1, 2]]);
});

test('a lock that goes to and fro leaves one request of each tab, and one leader', { timeout }, async () => {
  const browser = new Browser();
  const tabs = [await browser.open(), await browser.open(), await browser.open()];
  for (let n = 0; n < 12; n += 1) {
    const [leader, next] = [tabs.find((tab) => tab.link.leads), tabs[n % 3]];
    if (leader === next) continue;
    browser.freeze(leader);
    next.link.nudge();
    await browser.clock.turn(2_500);
    await browser.thaw(leader);
    await browser.append();
    assert.equal(tabs.filter((tab) => tab.link.leads).length, 1);
    assert.equal(tabs.find((tab) => tab.link.leads), next);
    assert.ok(browser.lock.queue.length <= 3, `${browser.lock.queue.length} wait for the lock`);
  }
  for (const tab of tabs) assertComplete(browser, tab);
});

test('a stop is told to all, and a stopped tab takes no lock and opens no connection', { timeout }, async () => {
  const browser = new Browser();
  const tabs = [await browser.open(), await browser.open(), await browser.open()];
  browser.connectionOf(tabs[0]).end('signed out');
  await settle();
  for (const tab of tabs) assert.deepEqual(tab.stops, ['signed out'], tab.name);
  const { opened } = browser.server;
  await browser.clock.turn(600_000);
  for (const tab of tabs) tab.link.nudge();
  await browser.append();
  await browser.clock.turn(600_000);
  assert.ok(opened <= 2, 'at most the one that the lock reached before the word did');
  assert.equal(browser.server.opened, opened);
  assert.equal(browser.server.connections.size, 0);
  assert.equal(browser.lock.holder, null);
  assert.deepEqual([browser.lock.queue.length, browser.air.open.length, browser.clock.pending], [0, 0, 0]);
});

test('a tab that was stopped leaves nothing: no channel, lock, request, timer or connection', { timeout }, async () => {
  const browser = new Browser();
  const ann = await browser.open();
  const bob = await browser.open();
  bob.link.stop();
  await settle();
  assert.equal(browser.lock.queue.length, 0, 'a follower gives its place in the queue up');
  ann.link.stop();
  await settle();
  await browser.append();
  await browser.clock.turn(600_000);
  assert.deepEqual([seqs(ann), seqs(bob)], [[], []]);
  assert.equal(browser.server.opened, 1, 'the follower opened none');
  assert.equal(browser.lock.holder, null);
  assert.deepEqual([browser.lock.queue.length, browser.air.open.length, browser.clock.pending], [0, 0, 0]);
});

test('a stop by who leads no more is not obeyed', { timeout }, async () => {
  const browser = new Browser();
  const ann = await browser.open();
  const bob = await browser.open();
  const cho = await browser.open();
  const old = browser.connectionOf(ann);
  browser.freeze(ann);
  bob.link.nudge();
  await browser.clock.turn(2_500);
  await browser.append();
  old.end('signed out');
  await settle();
  assert.deepEqual([bob.stops, cho.stops], [[], []]);
});

test('a newcomer is told who is online, also by a leader that has just taken over', { timeout }, async () => {
  const browser = new Browser();
  const ann = await browser.open();
  const bob = await browser.open();
  const { on } = browser.connectionOf(ann).options;
  on.signal({ type: 'presence', user: 'bob', online: true });
  on.signal({ type: 'presence', user: 'ann', online: false });
  await settle();
  const present = (tab) => tab.signals.filter((one) => one.type === 'presence').at(-1);
  assert.deepEqual(present(bob), { type: 'presence', user: 'ann', online: false });
  browser.server.up = false;
  ann.link.stop();
  await settle();
  assert.equal(bob.link.leads, true);
  const cho = await browser.open();
  assert.deepEqual(present(cho), { type: 'presence', online: ['bob'] });
});

test('what answers a frame answers the tab that sent it, other signals are for all', { timeout }, async () => {
  const browser = new Browser();
  const ann = await browser.open();
  const bob = await browser.open();
  const { on } = browser.connectionOf(ann).options;
  for (const type of ['ack', 'error', 'pong', 'typing']) on.signal({ type });
  await settle();
  const types = (tab) => tab.signals.map((one) => one.type).filter((type) => type !== 'presence' && type !== 'hello');
  assert.deepEqual([types(ann), types(bob)], [['ack', 'error', 'pong', 'typing'], ['typing']]);
});

test('tabs that began at the present, without a cursor, lose nothing when the leader changes', { timeout }, async () => {
  const browser = new Browser();
  browser.server.append(5);
  browser.server.up = false;
  const ann = await browser.open(null);
  const bob = await browser.open(null);
  const cho = await browser.open(5);
  // They know who leads, and still wait for what that one does not know yet.
  bob.link.choose(['poll']);
  await settle();
  browser.server.up = true;
  for (const one of browser.server.connections) one.catchUp();
  await settle();
  for (const tab of [ann, bob, cho]) assert.deepEqual([tab.link.cursor, seqs(tab)], [5, []], tab.name);
  ann.link.stop();
  browser.server.append();
  await settle();
  for (const tab of [bob, cho]) assert.deepEqual(seqs(tab), [6], tab.name);
});

test('a transport chosen in one tab is the leader\'s, and stays when the leader changes', { timeout }, async () => {
  const browser = new Browser();
  const ann = await browser.open();
  const bob = await browser.open();
  bob.link.choose(['poll']);
  await settle();
  assert.deepEqual([ann.link.rungs, bob.link.rungs], [['poll'], ['poll']]);
  ann.link.stop();
  await settle();
  assert.deepEqual(browser.connectionOf(bob).rungs, ['poll']);
});

test('where no lock can be had each tab has a connection of its own', { timeout }, async () => {
  const browser = new Browser();
  browser.lock.broken = true;
  const tabs = [await browser.open(), await browser.open()];
  await browser.append(2);
  for (const tab of tabs) assertComplete(browser, tab);
  for (const tab of tabs) tab.link.stop();
  await settle();
  assert.deepEqual([browser.server.connections.size, browser.clock.pending], [0, 0]);
});

test('a connection that was given up is not heard any more', { timeout }, async () => {
  const browser = new Browser();
  const ann = await browser.open();
  const { on } = browser.connectionOf(ann).options;
  ann.link.stop();
  on.event({ type: 'message', seq: 1, at: 1, from: { id: 'ann' }, to: null, text: 'late' });
  on.stop('late');
  assert.deepEqual([ann.events, ann.stops], [[], []]);
});

test('what a tab keeps for the others is bounded in events and in text', { timeout }, () => {
  const recent = new Recent();
  assert.equal(recent.after(0), null);
  recent.startAt(0);
  for (let seq = 1; seq <= EVENTS_MAX + 1; seq += 1) recent.add({ type: 'message', seq, text: 'x' });
  assert.equal(recent.after(0), null);
  assert.equal(recent.after(1).length, EVENTS_MAX);
  for (let seq = 1001; seq <= 1100; seq += 1) recent.add({ type: 'message', seq, text: 'x'.repeat(4000) });
  const kept = recent.after(1050 + 1);
  assert.ok(kept.length <= TEXT_MAX / 4000 && recent.after(1000) === null);
  recent.add({ type: 'reset', seq: 7 });
  assert.deepEqual([recent.after(7), recent.after(6)], [[], null]);
});
