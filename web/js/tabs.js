// One connection for all tabs of a browser. Over HTTP/1.1 a browser opens six connections to a
// host, so six tabs with a stream each would leave none for anything else.
//
// The tab that holds a Web Lock leads: it has the connection and repeats what arrives on a
// BroadcastChannel. Each other tab follows with a cursor of its own, so it notices when it missed
// something, and can take over at any moment: it connects with its own cursor and misses nothing.
// A follower asks (`join`) whenever another tab leads than it knew, and is told (`welcome`) what
// came after its cursor. Two may believe for a moment that they lead, when one that did not answer
// wakes up: what both repeat is true, and each event counts once.
//
// LIMIT: a server that was restored from a backup sends a `reset` to a lower position. A tab that
// sleeps in the back-forward cache through it shows nothing new until the order is past its cursor.

import { Recent } from './core/recent.js';
import { browserEffects } from './effects.js';

/** @typedef {import('./core/transports.js').Rung} Rung */
/** @typedef {import('./core/types.js').ChatEvent} ChatEvent */
/** @typedef {import('./core/types.js').Signal} Signal */
/** @typedef {import('./core/types.js').Seen} Seen */
/** @typedef {import('./core/types.js').Join} Join */
/** @typedef {import('./core/types.js').Welcome} Welcome */
/** @typedef {import('./core/types.js').FromLeader} FromLeader */
/** @typedef {import('./core/types.js').TabEffects} TabEffects */

/** How long a leader may take to answer before a visible tab takes its place. */
const ANSWER_MS = 2_000;
/** A tab that has heard nothing for so long asks whether the leader still lives. */
const QUIET_MS = 30_000;
/** Part of the names of channel and lock: tabs that speak otherwise, from before an update, are elsewhere. */
const SPEECH = 2;

/** Lives once: after `stop` it holds no channel, lock, timer or connection, and does not start again. */
export class TabLink {
  #options;
  #effects;
  #name;
  /** @type {import('./core/types.js').Channel | null} */
  #channel = null;
  /** @type {ReturnType<TabEffects['connect']> | null} as the leader */
  #connection = null;
  /** Requests for the lock, counted: each answer carries its request's number. */
  #requests = 0;
  /** The request by which this tab leads; 0: it follows. */
  #lease = 0;
  /** @type {(() => void) | null} gives the lock back */
  #release = null;
  #queued = false;
  #leaving = new AbortController();
  /** @type {string | null} the tab that this one follows */
  #leader = null;
  /** Whether a `join` waits for its `welcome`. */
  #asking = false;
  /** @type {Join[]} as the leader: what cannot be answered before the cursor is known */
  #late = [];
  /** @type {number | null} */
  #cursor = null;
  #recent = new Recent();
  /** @type {Set<string> | null} who is online, once that was told */
  #online = null;
  /** @type {Seen} */
  #seen = { live: null, reason: '', rungs: [] };
  /** @type {unknown} */
  #timer;
  #stopped = false;

  /**
   * @param {import('./core/types.js').ConnectionOptions & {scope: string}} options `scope`: the user's id
   * @param {TabEffects} [effects]
   */
  constructor(options, effects = browserEffects()) {
    this.#options = options;
    this.#effects = effects;
    this.#name = `chat:${SPEECH}:${options.base}:${options.scope}`;
    this.#seen.rungs = options.rungs ?? [];
  }

  get leads() {
    return this.#connection !== null;
  }

  get live() {
    return this.#view.live;
  }

  get reason() {
    return this.#view.reason;
  }

  get rungs() {
    return this.#view.rungs;
  }

  get #view() {
    return this.#connection ?? this.#seen;
  }

  get cursor() {
    return this.#connection?.cursor ?? this.#cursor;
  }

  /** @param {number | null} cursor */
  start(cursor) {
    this.#cursor = cursor;
    if (cursor !== null) this.#recent.startAt(cursor);
    this.#channel = this.#effects.openChannel(this.#name);
    this.#channel.onmessage = (message) => this.#hear(message.data);
    this.#queue();
    this.#join();
  }

  stop() {
    if (this.#stopped) return;
    this.#stepDown();
    this.#stopped = true;
    this.#effects.clearTimer(this.#timer);
    this.#leaving.abort();
    this.#channel?.close();
  }

  /** @param {readonly Rung[]} rungs */
  choose(rungs) {
    if (this.#connection) this.#connection.choose(rungs);
    else this.#say({ kind: 'choose', rungs });
  }

  nudge() {
    if (this.#connection) this.#connection.nudge();
    else this.#join();
  }

  /** @param {import('./core/types.js').Doubt} what */
  ask(what) {
    if (this.#connection) {
      this.#connection.ask(what);
      return;
    }
    this.#say({ kind: 'ask', what });
    if (!this.#asking) this.#join();
  }

  /** @param {object} frame */
  send(frame) {
    return this.#connection?.send(frame) ?? false;
  }

  /** @param {import('./core/types.js').TabMessage} message */
  #say(message) {
    if (!this.#stopped) this.#channel?.postMessage(message);
  }

  /** @param {number} ms @param {() => void} callback */
  #after(ms, callback) {
    this.#effects.clearTimer(this.#timer);
    this.#timer = this.#effects.setTimer(callback, ms);
  }

  /** Wait for the lock, once at a time. */
  #queue() {
    if (this.#queued) return;
    this.#queued = true;
    this.#request({ signal: this.#leaving.signal }, () => {
      this.#queued = false;
    });
  }

  /** @param {LockOptions} options @param {() => void} [answered] */
  #request(options, answered = () => {}) {
    const number = ++this.#requests;
    let granted = false;
    const held = () => {
      answered();
      if (this.#stopped) return undefined;
      granted = true;
      return new Promise((resolve) => this.#lead(number, () => resolve(undefined)));
    };
    this.#effects.locks.request(this.#name, options, held).catch((error) => {
      if (!granted) answered();
      this.#lost(number, granted || error?.name === 'AbortError');
    });
  }

  /** @param {number} request @param {boolean} taken by another tab; false: there is no lock to be had here */
  #lost(request, taken) {
    if (this.#stopped) return;
    if (this.#lease === request) this.#stepDown();
    if (this.#connection) return;
    if (!taken) {
      // A connection of its own is better than none.
      this.#lead(request, () => {});
      return;
    }
    this.#queue();
    this.#join();
  }

  /** @param {number} lease @param {() => void} release */
  #lead(lease, release) {
    this.#release?.();
    this.#lease = lease;
    this.#release = release;
    if (this.#connection) return;
    this.#effects.clearTimer(this.#timer);
    this.#asking = false;
    this.#leader = null;
    /** @type {(call: () => void) => void} what a connection says that was given up is not heard */
    const heard = (call) => {
      if (this.#connection === connection) call();
    };
    const connection = this.#effects.connect({
      ...this.#options,
      rungs: this.#seen.rungs.length ? this.#seen.rungs : undefined,
      on: {
        event: (event) => heard(() => this.#leadEvent(event)),
        signal: (signal) => heard(() => this.#leadSignal(signal)),
        change: () => heard(() => this.#leadChange()),
        stop: (reason) => heard(() => this.#leadStop(reason)),
      },
    });
    this.#connection = connection;
    connection.start(this.#cursor);
  }

  #stepDown() {
    const connection = this.#connection;
    if (!connection) return;
    this.#seen = { live: null, reason: '', rungs: connection.rungs };
    this.#connection = null;
    this.#late = [];
    connection.stop();
    this.#release?.();
    this.#release = null;
    this.#lease = 0;
  }

  /** @param {ChatEvent} event */
  #leadEvent(event) {
    const before = this.#cursor;
    this.#note(event);
    this.#say({ kind: 'event', leader: this.#effects.tab, event, before });
    this.#options.on.event(event);
  }

  /** @param {Signal} signal */
  #leadSignal(signal) {
    this.#findCursor();
    this.#notePresence(signal);
    // What answers a frame answers this tab's.
    if (signal.type !== 'ack' && signal.type !== 'error' && signal.type !== 'pong') {
      this.#say({ kind: 'signal', leader: this.#effects.tab, signal });
    }
    this.#options.on.signal(signal);
  }

  #leadChange() {
    this.#findCursor();
    this.#say({ kind: 'state', leader: this.#effects.tab, seen: this.#shown });
    this.#options.on.change();
  }

  /** @param {string} reason */
  #leadStop(reason) {
    this.#say({ kind: 'stop', leader: this.#effects.tab, reason });
    this.stop();
    this.#options.on.stop(reason);
  }

  /** Who began at the present learns where that is; then the others can be answered. */
  #findCursor() {
    const cursor = this.#connection?.cursor ?? null;
    if (this.#cursor !== null || cursor === null) return;
    this.#cursor = cursor;
    this.#recent.startAt(cursor);
    for (const join of this.#late.splice(0)) this.#answer(join);
  }

  /** @returns {Seen} */
  get #shown() {
    const { live, reason, rungs } = this.#view;
    return { live, reason, rungs };
  }

  /** As a follower: ask the leader for what came after the cursor; none answers: take its place. */
  #join() {
    if (this.#stopped || this.#connection) return;
    this.#asking = true;
    this.#after(ANSWER_MS, () => {
      if (this.#effects.visible()) this.#request({ steal: true });
      else this.#join();
    });
    this.#say({ kind: 'join', tab: this.#effects.tab, after: this.#cursor });
  }

  /** @param {import('./core/types.js').TabMessage} message */
  #hear(message) {
    if (this.#stopped) return;
    if (this.#connection) {
      if (message.kind === 'choose') this.#connection.choose(message.rungs);
      if (message.kind === 'join') this.#answer(message);
      if (message.kind === 'ask') this.#connection.ask(message.what);
    } else if ('leader' in message) this.#follow(message);
  }

  /** @param {Join} join */
  #answer(join) {
    const cursor = this.#cursor;
    if (cursor === null) {
      this.#late.push(join);
      return;
    }
    this.#say({
      kind: 'welcome', leader: this.#effects.tab, tab: join.tab, cursor,
      missed: this.#recent.after(join.after ?? cursor),
      online: this.#online && [...this.#online], seen: this.#shown,
    });
  }

  /** @param {FromLeader} message */
  #follow(message) {
    if (message.kind === 'stop') {
      this.#hearStop(message);
      return;
    }
    const welcome = message.kind === 'welcome' && message.tab === this.#effects.tab ? message : null;
    if (message.leader !== this.#leader) {
      this.#leader = message.leader;
      if (!welcome) this.#join();
    }
    if (welcome) this.#asking = false;
    if (!this.#asking) this.#after(QUIET_MS, () => this.#join());
    if (welcome) this.#welcome(welcome);
    else if (message.kind === 'event') this.#followEvent(message);
    else if (message.kind === 'signal') {
      this.#notePresence(message.signal);
      this.#options.on.signal(message.signal);
    } else if (message.kind === 'state') {
      this.#seen = message.seen;
      this.#options.on.change();
    }
  }

  /** Of another than the leader it counts for nothing. @param {Extract<FromLeader, {kind: 'stop'}>} message */
  #hearStop({ leader, reason }) {
    if (leader !== this.#leader) return;
    this.stop();
    this.#options.on.stop(reason);
  }

  /** @param {Welcome} welcome */
  #welcome({ cursor, missed, online, seen }) {
    this.#seen = seen;
    if (missed === null && (this.#cursor ?? 0) < cursor) {
      const reason = 'the other tab keeps less than this one missed';
      this.#deliver({ type: 'reset', seq: cursor, lost: 'all', reason, at: this.#effects.now() });
    } else for (const event of missed ?? []) this.#deliver(event);
    if (this.#stopped) return;
    if (this.#cursor === null) {
      this.#cursor = cursor;
      this.#recent.startAt(cursor);
    }
    if (online) {
      this.#online = new Set(online);
      this.#options.on.signal({ type: 'presence', online });
    }
    this.#options.on.change();
  }

  /** @param {Extract<FromLeader, {kind: 'event'}>} told */
  #followEvent({ event, before }) {
    const follows = this.#cursor === null || (before !== null && before <= this.#cursor);
    if (event.type === 'reset' || follows) this.#deliver(event);
    // Something is missing; the answer to a join that is under way brings it.
    else if (!this.#asking) this.#join();
  }

  /** @param {ChatEvent} event */
  #deliver(event) {
    if (this.#stopped) return;
    if (event.type !== 'reset' && this.#cursor !== null && event.seq <= this.#cursor) return;
    this.#note(event);
    this.#options.on.event(event);
  }

  /** @param {ChatEvent} event */
  #note(event) {
    this.#cursor = event.seq;
    this.#recent.add(event);
  }

  /** @param {Signal} signal */
  #notePresence(signal) {
    if (signal.type !== 'presence') return;
    if (!('user' in signal)) this.#online = new Set(signal.online);
    else if (signal.online) this.#online?.add(signal.user);
    else this.#online?.delete(signal.user);
  }
}
