// One connection for all tabs of a browser. Over HTTP/1.1 a browser opens six connections to a
// host, so six tabs with a stream each would leave none for anything else.
//
// The tab that holds a Web Lock leads: it has the connection and repeats what arrives on a
// BroadcastChannel. Each other tab follows with a cursor of its own, so it notices when it missed
// something, and can take over at any moment: it connects with its own cursor and misses nothing.

import { Connection } from './connection.js';

/** @typedef {import('./core/types.js').Rung} Rung */

/** Events that a leader keeps for tabs that join or slept. */
const KEPT_MAX = 500;
/** How long a leader may take to answer before a visible tab takes its place. */
const ANSWER_MS = 2_000;
/** A tab that has heard nothing for so long asks whether the leader still lives. */
const QUIET_MS = 30_000;

/** Whether this browser can share a connection between its tabs. */
export const canShare = () =>
  typeof BroadcastChannel === 'function' && typeof navigator.locks?.request === 'function';

export class TabLink {
  #options;
  #name;
  #tab = crypto.randomUUID();
  #channel;
  /** @type {Connection | null} as the leader */
  #connection = null;
  /** @type {(() => void) | null} gives the lock back */
  #release = null;
  /** @type {number | null} */
  #cursor = null;
  #stopped = false;
  /** @type {{phase: string, live: Rung | null, reason: string, rungs: readonly Rung[]}} */
  #seen = { phase: 'opening', live: null, reason: '', rungs: [] };
  /** @type {any[]} as the leader: the last events */
  #kept = [];
  /** @type {number} as the leader: everything after it is in `#kept` */
  #floor = 0;
  /** @type {Set<string>} as the leader: who is online */
  #online = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {ConstructorParameters<typeof Connection>[0] & {scope: string}} options `scope`: the user's id */
  constructor(options) {
    this.#options = options;
    this.#name = `chat:${options.base}:${options.scope}`;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = (message) => this.#hear(message.data);
    this.#seen.rungs = options.rungs ?? [];
  }

  get leads() {
    return this.#connection !== null;
  }

  get #view() {
    return this.#connection ?? this.#seen;
  }

  get phase() {
    return this.#view.phase;
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

  get cursor() {
    return this.#cursor;
  }

  /** @param {number | null} cursor */
  start(cursor) {
    this.#cursor = cursor;
    this.#queue({});
    this.#join();
  }

  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#stepDown();
    this.#channel.close();
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

  probe() {
    this.#connection?.probe();
  }

  /** @param {object} frame */
  send(frame) {
    return this.#connection?.send(frame) ?? false;
  }

  /** @param {object} message */
  #say(message) {
    if (!this.#stopped) this.#channel.postMessage(message);
  }

  /** Wait for the lock, or take it from a leader that does not answer. @param {LockOptions} options */
  #queue(options) {
    const held = () => {
      if (this.#stopped) return undefined;
      return new Promise((resolve) => this.#lead(() => resolve(undefined)));
    };
    navigator.locks.request(this.#name, options, held).catch(() => {
      // Another tab took the lock because this one did not answer: follow it.
      if (this.#stopped) return;
      this.#stepDown();
      this.#queue({});
      this.#join();
    });
  }

  /** @param {() => void} release */
  #lead(release) {
    if (this.#connection) return release();
    clearTimeout(this.#timer);
    this.#release = release;
    this.#kept = [];
    this.#floor = this.#cursor ?? 0;
    const { on } = this.#options;
    this.#connection = new Connection({
      ...this.#options,
      rungs: this.#seen.rungs.length ? this.#seen.rungs : undefined,
      on: {
        event: (event) => this.#leadEvent(event),
        signal: (signal) => this.#leadSignal(signal),
        change: () => this.#leadChange(),
        stop: (reason) => {
          this.#say({ kind: 'stop', reason });
          on.stop(reason);
        },
      },
    });
    this.#connection.start(this.#cursor);
  }

  #stepDown() {
    const connection = this.#connection;
    if (!connection) return;
    this.#seen = { phase: 'opening', live: null, reason: '', rungs: connection.rungs };
    this.#connection = null;
    connection.stop();
    this.#release?.();
    this.#release = null;
  }

  /** @param {any} event */
  #leadEvent(event) {
    const before = this.#cursor;
    this.#cursor = event.seq;
    if (event.type === 'reset') {
      this.#kept = [];
      this.#floor = event.seq;
    } else {
      this.#kept.push(event);
      if (this.#kept.length > KEPT_MAX) this.#floor = this.#kept.shift().seq;
    }
    this.#say({ kind: 'event', event, before });
    this.#options.on.event(event);
  }

  /** @param {any} signal */
  #leadSignal(signal) {
    if (signal.type === 'hello' && this.#cursor === null) this.#floor = this.#cursor = signal.seq;
    if (signal.type === 'presence') {
      if (signal.online instanceof Array) this.#online = new Set(signal.online);
      else if (signal.online) this.#online.add(signal.user);
      else this.#online.delete(signal.user);
    }
    this.#say({ kind: 'signal', signal });
    this.#options.on.signal(signal);
  }

  #leadChange() {
    if (!this.#connection) return;
    this.#say({ kind: 'state', seen: this.#snapshot() });
    this.#options.on.change();
  }

  #snapshot() {
    const { phase, live, reason, rungs } = this.#view;
    return { phase, live, reason, rungs };
  }

  /** As a follower: ask the leader for what came after the cursor; none answers: take its place. */
  #join() {
    if (this.#stopped || this.#connection) return;
    this.#say({ kind: 'join', tab: this.#tab, after: this.#cursor });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#connection || this.#stopped) return;
      if (document.visibilityState === 'visible') this.#queue({ steal: true });
      else this.#join();
    }, ANSWER_MS);
  }

  /** As a follower: the leader lives. */
  #heard() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#join(), QUIET_MS);
  }

  /** @param {any} message */
  #hear(message) {
    if (this.#stopped) return;
    if (this.#connection) this.#hearAsLeader(message);
    else this.#hearAsFollower(message);
  }

  /** @param {any} message */
  #hearAsLeader(message) {
    if (message.kind === 'choose') this.#connection?.choose(message.rungs);
    if (message.kind !== 'join') return;
    const after = message.after ?? this.#cursor;
    const missed = after < this.#floor ? null : this.#kept.filter((event) => event.seq > after);
    this.#say({
      kind: 'welcome', tab: message.tab, cursor: this.#cursor, missed,
      online: [...this.#online], seen: this.#snapshot(),
    });
  }

  /** @param {any} message */
  #hearAsFollower(message) {
    if (message.kind === 'join' || message.kind === 'choose') return;
    if (message.kind === 'welcome' && message.tab !== this.#tab) return;
    this.#heard();
    if (message.kind === 'welcome') this.#welcome(message);
    else if (message.kind === 'event') this.#follow(message);
    else if (message.kind === 'signal') this.#options.on.signal(message.signal);
    else if (message.kind === 'state') {
      this.#seen = message.seen;
      this.#options.on.change();
    } else if (message.kind === 'stop') this.#options.on.stop(message.reason);
  }

  /** @param {any} message */
  #welcome({ cursor, missed, online, seen }) {
    this.#seen = seen;
    // The leader keeps less than this tab missed: as a reset, load everything again.
    if (missed === null) this.#deliver({ type: 'reset', seq: cursor, lost: 'all', at: Date.now() });
    else for (const event of missed) this.#deliver(event);
    this.#cursor ??= cursor;
    this.#options.on.signal({ type: 'presence', online });
    this.#options.on.change();
  }

  /** @param {{event: any, before: number | null}} message */
  #follow({ event, before }) {
    if (event.type === 'reset') this.#deliver(event);
    else if (before !== null && this.#cursor !== null && this.#cursor < before) this.#join();
    else this.#deliver(event);
  }

  /** @param {any} event */
  #deliver(event) {
    if (event.type !== 'reset' && this.#cursor !== null && event.seq <= this.#cursor) return;
    this.#cursor = event.seq;
    this.#options.on.event(event);
  }
}
