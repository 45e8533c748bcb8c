// The table walked whole: every state that can be reached, and a way out of each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TABLE, initialState, step } from '../../web/js/core/negotiator.js';
import { LADDER } from '../../web/js/core/transports.js';

const timeout = 20_000;

const LISTS = [LADDER, LADDER.slice(1), LADDER.slice(2), LADDER.slice(3), ['websocket'], ['sse']];

/** What can be told in a state: transports speak only where there is one. */
function happenings(state) {
  const events = [
    { type: 'connect', start: 'websocket' }, { type: 'connect', start: null },
    { type: 'disconnect' }, { type: 'stop', reason: 'signed out' },
    { type: 'retry' }, { type: 'climb' }, { type: 'nudge' },
    ...LISTS.map((rungs) => ({ type: 'choose', rungs })),
  ];
  if (state.trial) events.push({ type: 'ready' }, { type: 'fail', reason: 'r' });
  if (state.live) {
    events.push(
      { type: 'drop', reason: 'r', stable: true }, { type: 'drop', reason: 'r', stable: false },
      { type: 'drop', reason: 'r', stable: true, retryMs: 5 });
  }
  return events;
}

const keyOf = (state) => JSON.stringify({ ...state, reason: Boolean(state.reason) });

function walk() {
  const states = new Map();
  const steps = [];
  const queue = [initialState()];
  states.set(keyOf(queue[0]), queue[0]);
  while (queue.length) {
    const state = queue.pop();
    for (const event of happenings(state)) {
      const [next, effects] = step(state, event);
      steps.push({ state, event, next, effects });
      const key = keyOf(next);
      if (!states.has(key)) {
        states.set(key, next);
        queue.push(next);
      }
    }
    assert.ok(states.size < 100_000, 'the counters are bounded, so the states are');
  }
  return { states: [...states.values()], steps };
}

const { states, steps } = walk();

test('every phase answers every event', { timeout }, () => {
  const types = Object.keys(TABLE.idle).sort();
  for (const row of Object.values(TABLE)) assert.deepEqual(Object.keys(row).sort(), types);
});

test('every phase can be reached', { timeout }, () => {
  assert.deepEqual([...new Set(states.map((state) => state.phase))].sort(), Object.keys(TABLE).sort());
});

test('each phase holds exactly the transports that its name says', { timeout }, () => {
  const holds = {
    idle: [false, false], stopped: [false, false], waiting: [false, false],
    opening: [false, true], settled: [true, false], climbing: [true, true],
  };
  for (const state of states) {
    assert.deepEqual([state.live !== null, state.trial !== null], holds[state.phase], keyOf(state));
  }
});

test('effects open and close exactly what the states say', { timeout }, () => {
  for (const { state, event, next, effects } of steps) {
    let live = state.live;
    let trial = state.trial;
    if (event.type === 'fail') trial = null;
    if (event.type === 'drop') live = null;
    for (const effect of effects) {
      if (effect.do === 'open') {
        assert.equal(trial, null, `a second trial: ${keyOf(state)} ${event.type}`);
        trial = effect.rung;
      }
      if (effect.do === 'promote') [live, trial] = [trial, null];
      if (effect.do === 'close' && effect.which === 'live') live = null;
      if (effect.do === 'close' && effect.which === 'trial') trial = null;
    }
    assert.deepEqual([live, trial], [next.live, next.trial], `${keyOf(state)} ${event.type}`);
  }
});

test('the live transport is closed only for a new one that has delivered, or for good', { timeout }, () => {
  for (const { state, event, effects } of steps) {
    if (!state.live || !effects.some((one) => one.do === 'close' && one.which === 'live')) continue;
    assert.ok(['disconnect', 'stop'].includes(event.type), `${keyOf(state)} ${event.type}`);
  }
});

test('a waiting state has a timer, and one below the top has a climb to come', { timeout }, () => {
  for (const { state, event, next, effects } of steps) {
    if (next.phase === 'waiting' && state.phase !== 'waiting') {
      assert.ok(effects.some((one) => one.do === 'retryLater'), keyOf(state));
    }
    if (next.phase === 'settled' && state.phase !== 'settled' && next.live !== next.rungs[0]) {
      assert.ok(effects.some((one) => one.do === 'climbLater'), `${keyOf(state)} ${event.type}`);
    }
  }
});

test('from every state that wants a connection, a network that works again leads to the best one', { timeout }, () => {
  for (const first of states) {
    if (first.phase === 'idle' || first.phase === 'stopped') continue;
    let state = first;
    let moves = 0;
    while (!(state.phase === 'settled' && state.live === state.rungs[0])) {
      const event = { opening: 'ready', climbing: 'ready', waiting: 'retry', settled: 'climb' }[state.phase];
      [state] = step(state, { type: event });
      moves += 1;
      assert.ok(moves < 12, `no way up from ${keyOf(first)}`);
    }
  }
});

test('from every state, with only one transport working, that one is found', { timeout }, () => {
  for (const first of states) {
    if (first.phase === 'idle' || first.phase === 'stopped') continue;
    for (const working of first.rungs) {
      let state = first;
      if (state.live && state.live !== working) {
        [state] = step(state, { type: 'drop', reason: 'r', stable: false });
      }
      let moves = 0;
      while (!(state.phase === 'settled' && state.live === working)) {
        const type = state.trial
          ? (state.trial === working ? 'ready' : 'fail')
          : (state.phase === 'waiting' ? 'retry' : 'climb');
        [state] = step(state, { type, reason: 'r' });
        moves += 1;
        assert.ok(moves < 40, `${working} is not found from ${keyOf(first)}`);
      }
    }
  }
});

test('it starts on long-polling, and opens WebSocket beside it once that has delivered', { timeout }, () => {
  let [state, effects] = step(initialState(), { type: 'connect' });
  assert.deepEqual(effects.at(-1), { do: 'open', rung: 'longpoll' });
  [state, effects] = step(state, { type: 'ready' });
  assert.deepEqual(effects, [{ do: 'promote' }, { do: 'open', rung: 'websocket' }]);
  assert.equal(state.live, 'longpoll');
});

test('where WebSocket last worked it starts there', { timeout }, () => {
  const [, effects] = step(initialState(), { type: 'connect', start: 'websocket' });
  assert.deepEqual(effects.at(-1), { do: 'open', rung: 'websocket' });
});

test('a WebSocket that dies young again and again makes room for long-polling', { timeout }, () => {
  let [state] = step(initialState(), { type: 'connect', start: 'websocket' });
  [state] = step(state, { type: 'ready' });
  [state] = step(state, { type: 'drop', reason: 'cut', stable: false });
  assert.equal(state.next, 'longpoll');
});

test('what the server says about coming back is obeyed, whatever the page does', { timeout }, () => {
  let [state] = step(initialState(), { type: 'connect', start: 'websocket' });
  [state] = step(state, { type: 'ready' });
  let effects;
  [state, effects] = step(state, { type: 'drop', reason: 'restart', stable: true, retryMs: 1234 });
  assert.deepEqual(effects.at(-1), { do: 'retryLater', failures: 1, ms: 1234 });
  assert.deepEqual(step(state, { type: 'nudge' }), [state, []]);
});

test('a transport that speaks where there is none is a fault of the caller', { timeout }, () => {
  assert.throws(() => step(initialState(), { type: 'ready' }), /cannot happen while idle/);
});
