// Random walks: what people, browsers and networks do to many tabs, in any order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from './paper.js';
import { Browser, assertComplete } from './paper_tabs.js';

/** Numbers that come the same each time (mulberry32). */
function randoms(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One thing that people, browsers and networks do. */
async function something(browser, tabs, random) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const dice = random();
  const awake = tabs.filter((tab) => !tab.asleep);
  // What happens to the leader matters most.
  const one = random() < 0.6 ? awake.find((tab) => tab.link.leads) ?? pick(awake) : pick(awake);
  if (dice < 0.4) for (let n = 0; n < 1 + random() * 3; n += 1) browser.server.append();
  else if (dice < 0.5 && tabs.length < 5) tabs.push(await browser.open());
  else if (dice < 0.6 && awake.length > 1) {
    const [closed] = tabs.splice(tabs.indexOf(one), 1);
    closed.link.stop();
  } else if (dice < 0.7 && awake.length > 1) {
    browser.freeze(one);
  } else if (dice < 0.8 && awake.length < tabs.length) {
    await browser.thaw(pick(tabs.filter((tab) => tab.asleep)), { late: random() < 0.5 });
  } else if (dice < 0.85) browser.server.up = !browser.server.up;
  else if (dice < 0.9) {
    const deaf = pick(tabs).name;
    browser.air.loses = (message, to) => to === deaf && message.kind === 'event';
  } else {
    browser.air.loses = () => false;
    for (const tab of awake) tab.link.nudge();
    await browser.clock.turn(random() * 3_000);
  }
  if (random() < 0.5) await settle();
}

test('whatever tabs do, each sees each event once, or is told to load again', { timeout: 60_000 }, async () => {
  let handovers = 0;
  let resets = 0;
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = randoms(seed);
    const browser = new Browser();
    const tabs = [await browser.open(), await browser.open()];
    for (let n = 0; n < 40; n += 1) await something(browser, tabs, random);
    // In the end all wake up, the network is there, and everyone asks.
    browser.server.up = true;
    browser.air.loses = () => false;
    for (const tab of tabs) if (tab.asleep) await browser.thaw(tab);
    for (const one of browser.server.connections) one.catchUp();
    for (const tab of tabs) tab.link.nudge();
    await browser.clock.turn(40_000);
    await browser.append();
    for (const tab of tabs) assertComplete(browser, tab);
    assert.equal(tabs.filter((tab) => tab.link.leads).length, 1, `seed ${seed}: one leader`);
    assert.equal(browser.server.connections.size, 1, `seed ${seed}: one connection`);
    handovers += browser.server.opened - 1;
    for (const tab of tabs) resets += tab.resets;
    for (const tab of tabs) tab.link.stop();
    await settle();
    assert.deepEqual([browser.server.connections.size, browser.clock.pending, browser.air.open.length], [0, 0, 0]);
  }
  assert.ok(handovers > 300, `${handovers} hand-overs are no test`);
  assert.ok(resets < handovers / 10, `${resets} resets in ${handovers} hand-overs`);
});
