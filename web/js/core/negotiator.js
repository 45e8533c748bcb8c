// Which transport to use: a table from (phase, event) to (state, effects), and nothing else.
// No timer, no socket, no clock lives here; `connection.js` carries the effects out.
//
// A transport is `live` once its first frame has arrived, because an open socket proves nothing:
// some proxies complete the upgrade and then drop every frame. The one being tried beside it is
// the `trial`. The old transport is closed only when the trial has delivered.

import { LADDER, SUREST, TRANSPORTS } from './transports.js';

/** @typedef {import('./transports.js').Rung} Rung */

/**
 * @typedef {object} State
 * @property {'idle' | 'opening' | 'climbing' | 'settled' | 'waiting' | 'stopped'} phase
 * @property {readonly Rung[]} rungs what may be used, best first
 * @property {Rung | null} live delivers
 * @property {Rung | null} trial has been opened and has not delivered yet
 * @property {Rung | null} next what `waiting` will open
 * @property {readonly Rung[]} failed did not work since the last reason to hope
 * @property {number} failures openings in a row that failed while nothing was live
 * @property {number} climbs climbs in a row that failed
 * @property {boolean} told the server said how long to wait
 * @property {string} reason why the live transport is not the best one, or why nothing is live
 */

/**
 * @typedef {{type: 'connect', start?: Rung | null}
 *   | {type: 'disconnect'}
 *   | {type: 'choose', rungs: readonly Rung[]}
 *   | {type: 'ready'}
 *   | {type: 'fail', reason: string}
 *   | {type: 'drop', reason: string, stable: boolean, retryMs?: number}
 *   | {type: 'stop', reason: string}
 *   | {type: 'retry'}
 *   | {type: 'climb'}
 *   | {type: 'nudge'}} Happening
 */

/**
 * @typedef {{do: 'open', rung: Rung}
 *   | {do: 'promote'}
 *   | {do: 'close', which: 'live' | 'trial'}
 *   | {do: 'retryLater', failures: number, ms?: number}
 *   | {do: 'climbLater', climbs: number}
 *   | {do: 'stopTimers'}
 *   | {do: 'probe'}} Effect
 */

/** @typedef {[State, Effect[]]} Step */

/** Counters stop here: the waits they stand for have reached their bounds long before. */
const COUNT_MAX = 8;
/** Openings that fail in a row before the others take turns. */
const SUREST_TRIES = 3;

/**
 * @param {readonly Rung[]} [rungs] what may be used, best first
 * @returns {State}
 */
export function initialState(rungs = LADDER) {
  return {
    phase: 'idle', rungs, live: null, trial: null, next: null,
    failed: [], failures: 0, climbs: 0, told: false, reason: '',
  };
}

/** @param {number} count */
const more = (count) => Math.min(COUNT_MAX, count + 1);

/** @param {State} state @param {Rung | null} rung @returns {readonly Rung[]} */
const withFailed = (state, rung) =>
  rung === null || state.failed.includes(rung) ? state.failed : [...state.failed, rung].sort();

/**
 * Where to start: where it last worked, else on the surest.
 * @param {State} state @param {Rung | null | undefined} wished @returns {Rung}
 */
function firstRung(state, wished) {
  if (wished && state.rungs.includes(wished)) return wished;
  return state.rungs.includes(SUREST) ? SUREST : state.rungs[0];
}

/**
 * The likeliest to work where this one did not: long-polling for a stream (SSE is tried beside
 * it later), polling for long-polling.
 * @param {State} state @param {Rung} rung @returns {Rung}
 */
function lowerRung(state, rung) {
  if (TRANSPORTS[rung].streams && state.rungs.includes(SUREST)) return SUREST;
  return state.rungs[state.rungs.indexOf(rung) + 1] ?? rung;
}

/**
 * What to open after an opening failed with nothing live. Once long-polling has had its tries,
 * all take turns: there may be a network that lets only one of them through.
 * @param {State} state @param {Rung} rung @param {number} failures @returns {Rung}
 */
function rungAfter(state, rung, failures) {
  if (failures < SUREST_TRIES) return rung === SUREST ? rung : lowerRung(state, rung);
  return state.rungs[(state.rungs.indexOf(rung) + 1) % state.rungs.length];
}

/**
 * The best transport that is better than the live one and has not failed.
 * @param {State} state @returns {Rung | null}
 */
function betterRung(state) {
  for (const rung of state.rungs) {
    if (rung === state.live) return null;
    if (!state.failed.includes(rung)) return rung;
  }
  return null;
}

/**
 * With something live: climb if there is where to, else settle and think again later.
 * @param {State} state @param {Effect[]} effects @returns {Step}
 */
function climbOrSettle(state, effects) {
  const rung = betterRung(state);
  if (rung) return [{ ...state, phase: 'climbing', trial: rung }, [...effects, { do: 'open', rung }]];
  const settled = /** @type {State} */ ({ ...state, phase: 'settled', trial: null });
  if (state.live === state.rungs[0]) return [{ ...settled, reason: '' }, effects];
  const climbs = more(state.climbs);
  return [{ ...settled, climbs }, [...effects, { do: 'climbLater', climbs }]];
}

/** @param {State} state @param {Rung} rung @param {Effect[]} effects @returns {Step} */
function open(state, rung, effects) {
  return [
    { ...state, phase: 'opening', live: null, trial: rung, next: null, told: false },
    [...effects, { do: 'open', rung }],
  ];
}

/** @param {State} state @param {Rung} next @param {Effect[]} effects @param {number} [ms] @returns {Step} */
function wait(state, next, effects, ms) {
  const failures = more(state.failures);
  const told = ms !== undefined;
  return [
    { ...state, phase: 'waiting', live: null, trial: null, next, failures, told },
    [...effects, { do: 'retryLater', failures, ms }],
  ];
}

/** @param {State} state @returns {Effect[]} what ends everything that is under way */
function closeAll(state) {
  /** @type {Effect[]} */
  const effects = [{ do: 'stopTimers' }];
  if (state.trial) effects.push({ do: 'close', which: 'trial' });
  if (state.live) effects.push({ do: 'close', which: 'live' });
  return effects;
}

/** @type {(state: State, event: any) => Step} */
const stay = (state) => [state, []];

/** @type {(state: State, event: any) => Step} */
const impossible = (state, event) => {
  throw new Error(`"${event.type}" cannot happen while ${state.phase}: no transport could say it`);
};

/** @type {(state: State, event: any) => Step} */
const connect = (state, event) =>
  open({ ...initialState(state.rungs) }, firstRung(state, event.start), [{ do: 'stopTimers' }]);

/** @type {(state: State, event: any) => Step} */
const disconnect = (state) => [initialState(state.rungs), closeAll(state)];

/** @type {(state: State, event: any) => Step} */
const stop = (state, event) =>
  [{ ...initialState(state.rungs), phase: 'stopped', reason: event.reason }, closeAll(state)];

/** @type {(state: State, event: any) => Step} */
const chooseAtRest = (state, event) => [{ ...state, rungs: event.rungs }, []];

/** @type {(state: State, event: any) => Step} */
function chooseWhileDown(state, event) {
  const fresh = { ...initialState(event.rungs), failures: state.failures };
  return open(fresh, event.rungs[0], closeAll(state));
}

/** The chosen transport is opened beside the live one, which ends when the new one delivers.
 * @type {(state: State, event: any) => Step} */
function chooseWhileUp(state, event) {
  /** @type {Effect[]} */
  const effects = [{ do: 'stopTimers' }];
  if (state.trial) effects.push({ do: 'close', which: 'trial' });
  const chosen = { ...state, rungs: event.rungs, trial: null, failed: [], climbs: 0, reason: '' };
  return climbOrSettle(chosen, effects);
}

/** @type {(state: State, event: any) => Step} */
const openingReady = (state) =>
  climbOrSettle({ ...state, live: state.trial, trial: null, failures: 0 }, [{ do: 'promote' }]);

/** @type {(state: State, event: any) => Step} */
function openingFail(state, event) {
  const rung = /** @type {Rung} */ (state.trial);
  const failures = more(state.failures);
  const next = rungAfter(state, rung, failures);
  const { reason } = event;
  if (TRANSPORTS[rung].streams && next !== rung && failures < SUREST_TRIES) {
    return open({ ...state, reason, failed: withFailed(state, rung) }, next, []);
  }
  // Polling fails too: it is the network or the server, which says nothing about the streams.
  return wait({ ...state, reason, failed: [] }, next, []);
}

/** @type {(state: State, event: any) => Step} */
const climbingReady = (state) =>
  climbOrSettle({ ...state, live: state.trial, trial: null, failures: 0 }, [{ do: 'promote' }]);

/** @type {(state: State, event: any) => Step} */
const climbingFail = (state, event) =>
  climbOrSettle(
    { ...state, trial: null, failed: withFailed(state, state.trial), reason: event.reason }, []);

/** The trial under way is the best hope, unless the server has told all to come back later.
 * @type {(state: State, event: any) => Step} */
function climbingDrop(state, event) {
  if (event.retryMs === undefined) return [{ ...state, phase: 'opening', live: null }, []];
  const effects = /** @type {Effect[]} */ ([{ do: 'stopTimers' }, { do: 'close', which: 'trial' }]);
  return wait(state, /** @type {Rung} */ (state.live), effects, event.retryMs);
}

/** One that had proven itself is opened again; one that died young makes room for a lower one.
 * @type {(state: State, event: any) => Step} */
function settledDrop(state, event) {
  const rung = /** @type {Rung} */ (state.live);
  const { reason, retryMs } = event;
  const effects = /** @type {Effect[]} */ ([{ do: 'stopTimers' }]);
  const here = state.rungs.includes(rung) ? rung : firstRung(state, null);
  if (event.stable || retryMs !== undefined) {
    return wait({ ...state, reason, failed: [], climbs: 0 }, here, effects, retryMs);
  }
  const next = lowerRung(state, here);
  return wait({ ...state, reason, failed: withFailed(state, rung) }, next, effects);
}

/** @type {(state: State, event: any) => Step} */
const climb = (state) => climbOrSettle({ ...state, failed: [] }, [{ do: 'stopTimers' }]);

/** @type {(state: State, event: any) => Step} */
function settledNudge(state) {
  const effects = /** @type {Effect[]} */ ([{ do: 'stopTimers' }, { do: 'probe' }]);
  return climbOrSettle({ ...state, failed: [], climbs: 0 }, effects);
}

/** @type {(state: State, event: any) => Step} */
const probe = (state) => [state, [{ do: 'probe' }]];

/** @type {(state: State, event: any) => Step} */
const retry = (state) => open(state, /** @type {Rung} */ (state.next), [{ do: 'stopTimers' }]);

/** What the server said stands: a page that becomes visible must not join the stampede.
 * @type {(state: State, event: any) => Step} */
const waitingNudge = (state) => (state.told ? [state, []] : retry(state, null));

/**
 * Every phase answers every event. Timers may fire late, so `retry` and `climb` are always
 * possible; what a transport says is possible only where there is one.
 * @type {Record<State['phase'], Record<Happening['type'], (state: State, event: any) => Step>>}
 */
export const TABLE = {
  idle: {
    connect, disconnect: stay, choose: chooseAtRest, stop: stay, retry: stay, climb: stay,
    nudge: stay, ready: impossible, fail: impossible, drop: impossible,
  },
  opening: {
    connect: stay, disconnect, choose: chooseWhileDown, stop, retry: stay, climb: stay,
    nudge: stay, ready: openingReady, fail: openingFail, drop: impossible,
  },
  climbing: {
    connect: stay, disconnect, choose: chooseWhileUp, stop, retry: stay, climb: stay,
    nudge: probe, ready: climbingReady, fail: climbingFail, drop: climbingDrop,
  },
  settled: {
    connect: stay, disconnect, choose: chooseWhileUp, stop, retry: stay, climb,
    nudge: settledNudge, ready: impossible, fail: impossible, drop: settledDrop,
  },
  waiting: {
    connect: retry, disconnect, choose: chooseWhileDown, stop, retry, climb: stay,
    nudge: waitingNudge, ready: impossible, fail: impossible, drop: impossible,
  },
  stopped: {
    connect, disconnect, choose: chooseAtRest, stop: stay, retry: stay, climb: stay,
    nudge: stay, ready: impossible, fail: impossible, drop: impossible,
  },
};

/**
 * The one door of the state machine.
 * @param {State} state
 * @param {Happening} event
 * @returns {Step} the new state, and the effects to carry out in their order
 * @throws {Error} for an event that cannot happen in this phase: the caller let a stale one pass
 */
export function step(state, event) {
  return TABLE[state.phase][event.type](state, event);
}
