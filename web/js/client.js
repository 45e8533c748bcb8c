// The chat in one object, for any page:
//
//     const chat = new ChatClient();
//     chat.addEventListener('event', ({ detail }) => console.log(detail));
//     chat.connect();
//     chat.send('Hello, all my friends');
//
// It finds a transport that works, climbs to a better one, comes back after every failure at its
// cursor, and keeps what was written until the server has it. docs/client.md tells the rest.

import { Api, ApiError } from './api.js';
import { Connection } from './connection.js';
import { retryWaitMs } from './core/backoff.js';
import { LADDER } from './core/negotiator.js';
import { Outbox } from './core/outbox.js';
import { TabLink, canShare } from './tabs.js';

export { TRANSPORTS } from './connection.js';

/** @typedef {import('./core/types.js').Rung} Rung */
/** @typedef {import('./core/types.js').Outgoing} Outgoing */

/** How long an ack on the socket may take before the message goes over HTTP as well. */
const ACK_MS = 8_000;
/** Typing is told at most this often. */
const TYPING_MS = 3_000;
/** The page's own nudges (it became visible…) come at most this often. */
const NUDGE_MS = 3_000;
const MEMORY_KEY = 'chat.transport';

/** Where the transport that last worked is kept; a browser may forbid it. */
const defaultMemory = {
  get() {
    try {
      return localStorage.getItem(MEMORY_KEY);
    } catch {
      return null;
    }
  },
  set(/** @type {string} */ rung) {
    try {
      localStorage.setItem(MEMORY_KEY, rung);
    } catch {
      // Without a memory the next page starts on long-polling.
    }
  },
};

/**
 * Dispatches `CustomEvent`s: `state`; `event` and `signal` with the item as `detail` (see
 * docs/protocol.md); `reset` (load friends and messages again); `sent` with
 * `{clientId, seq, at, text, to}`; `outbox`; `stop` with the reason as `detail`: it will not come
 * back by itself, and `signed out` asks for a sign-in.
 */
export class ChatClient extends EventTarget {
  #api;
  #link;
  #outbox;
  #save;
  #cursor;
  /** @type {'idle' | 'connecting' | 'connected' | 'disconnected' | 'stopped'} */
  #state = 'idle';
  #me = '';
  /** @type {{clientId: string, framed: boolean} | null} the message under way */
  #underWay = null;
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pumpTimer;
  /** @type {Rung | null} */
  #lastLive = null;
  #typedAt = -Infinity;
  #nudgedAt = -Infinity;
  #listening = new AbortController();

  /**
   * @param {object} [options]
   * @param {string} [options.base] the server's origin and path prefix; '' for the page's own
   * @param {number | null} [options.cursor] where to go on: the `seq` of a snapshot; null: the present
   * @param {string} [options.client] the reader's name; drawn when absent
   * @param {string} [options.share] share one connection with the tabs that say the same word (the user's id)
   * @param {Rung[]} [options.rungs] the transports that may be used, best first
   * @param {number} [options.pollMs] how often plain polling asks
   * @param {Outgoing[]} [options.outbox] messages that an earlier life of the page left
   * @param {(entries: Outgoing[]) => void} [options.save] called whenever the outbox has changed
   * @param {Record<Rung, any>} [options.transports] other transport classes
   * @param {{get: () => string | null, set: (rung: string) => void}} [options.memory]
   */
  constructor(options = {}) {
    super();
    const { base = '', cursor = null, client = crypto.randomUUID(), share, rungs, pollMs } = options;
    this.#api = new Api(base);
    this.#cursor = cursor;
    this.#outbox = new Outbox(options.outbox);
    this.#save = options.save ?? (() => {});
    const { transports, memory = defaultMemory } = options;
    const link = {
      base, client, rungs, pollMs, transports, memory,
      on: {
        event: (/** @type {any} */ event) => this.#receive(event),
        signal: (/** @type {any} */ signal) => this.#receiveSignal(signal),
        change: () => this.#changed(),
        stop: (/** @type {string} */ reason) => this.#stop(reason),
      },
    };
    this.#link = share && canShare() ? new TabLink({ ...link, scope: share }) : new Connection(link);
  }

  /** `idle`, `connecting` (for the first time), `connected`, `disconnected` or `stopped`. */
  get state() {
    return this.#state;
  }

  /** @returns {Rung | null} the transport that delivers */
  get transport() {
    return this.#link.live;
  }

  /** Why the transport is not the best one, or why nothing is connected; '' when all is well. */
  get reason() {
    return this.#link.reason;
  }

  /** The transports that may be used, best first. */
  get rungs() {
    return this.#link.rungs;
  }

  /** The `seq` of the last event seen: where any reader can go on. */
  get cursor() {
    return this.#link.cursor ?? this.#cursor;
  }

  /** @returns {Outgoing[]} messages that the server has not confirmed, oldest first */
  get outbox() {
    return this.#outbox.entries;
  }

  /** Whether the connection is another tab's. */
  get borrowed() {
    return this.#link instanceof TabLink && !this.#link.leads;
  }

  connect() {
    if (this.#state !== 'idle' && this.#state !== 'stopped') return;
    this.#state = 'connecting';
    this.#listen();
    this.#link.start(this.cursor);
    this.#pump();
  }

  disconnect() {
    this.#listening.abort();
    clearTimeout(this.#pumpTimer);
    this.#link.stop();
    this.#turn('idle');
  }

  /**
   * Write to all friends, or to one. Returns at once; the message is retried until the server
   * has it or refuses it, over whatever transport lives, and is posted once.
   *
   * @param {string} text
   * @param {{to?: string | null}} [options] `to`: a friend's id
   * @returns {string} the message's clientId
   * @throws {RangeError} when too many messages wait already
   */
  send(text, { to = null } = {}) {
    const clientId = crypto.randomUUID();
    this.#typedAt = -Infinity;
    this.#outbox.add({ clientId, text: text.replaceAll('\r\n', '\n'), to, at: Date.now() });
    this.#outboxChanged();
    this.#pump();
    return clientId;
  }

  /** Send a failed message again. @param {string} clientId */
  retry(clientId) {
    this.#outbox.retry(clientId);
    this.#outboxChanged();
    this.#pump();
  }

  /** Give a failed message up. @param {string} clientId */
  discard(clientId) {
    this.#outbox.discard(clientId);
    this.#outboxChanged();
  }

  /** Tell the friends, or one, that something is being written. @param {string | null} [to] */
  typing(to = null) {
    const now = performance.now();
    if (now - this.#typedAt < TYPING_MS || this.#state !== 'connected') return;
    this.#typedAt = now;
    const words = to ? { to } : {};
    if (this.#link.send({ type: 'typing', ...words })) return;
    this.#api.post('/api/typing', words).catch(() => {
      // A hint: the next key stroke says it again.
    });
  }

  /** Mark a conversation as read. @param {string | null} friend null: all friends @param {number} upTo */
  read(friend, upTo) {
    const words = friend ? { with: friend, upTo } : { upTo };
    if (this.#link.send({ type: 'read', ...words })) return;
    this.#api.post('/api/read', words).catch(() => {
      // The next message that is seen says it again, with a later position.
    });
  }

  /**
   * Use this transport, or a lower one where it does not work; null: the best that works.
   * @param {Rung | null} rung
   */
  choose(rung) {
    this.#link.choose(rung ? LADDER.slice(LADDER.indexOf(rung)) : LADDER);
  }

  #listen() {
    this.#listening.abort();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    const nudge = () => {
      if (performance.now() - this.#nudgedAt < NUDGE_MS) return;
      this.#nudgedAt = performance.now();
      this.#link.nudge();
      this.#pump();
    };
    const hasten = () => {
      this.#nudgedAt = -Infinity;
      nudge();
    };
    globalThis.addEventListener?.('online', hasten, { signal });
    globalThis.addEventListener?.('pageshow', nudge, { signal });
    globalThis.addEventListener?.('offline', () => this.#link.probe(), { signal });
    if (typeof document === 'undefined') return;
    document.addEventListener('resume', hasten, { signal });
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') nudge();
    }, { signal });
    const network = /** @type {any} */ (navigator).connection;
    network?.addEventListener?.('change', nudge, { signal });
  }

  /** @param {string} type @param {any} [detail] */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** @param {ChatClient['state']} state */
  #turn(state) {
    this.#state = state;
    this.#tell('state');
  }

  #changed() {
    if (this.#state === 'idle' || this.#state === 'stopped') return;
    const { live } = this.#link;
    if (live !== this.#lastLive && this.#underWay?.framed) {
      // The socket that carried the message is gone, and its ack with it.
      this.#underWay = null;
    }
    this.#lastLive = live;
    if (live) this.#turn('connected');
    else this.#turn(this.#state === 'connecting' ? 'connecting' : 'disconnected');
    if (live) this.#pump();
  }

  /** @param {string} reason */
  #stop(reason) {
    if (this.#state === 'idle' || this.#state === 'stopped') return;
    this.#listening.abort();
    clearTimeout(this.#pumpTimer);
    this.#turn('stopped');
    this.#tell('stop', reason);
  }

  /** @param {any} event */
  #receive(event) {
    if (event.type === 'reset') {
      this.#tell('reset', event);
      return;
    }
    const own = event.type === 'message' && event.clientId && (!this.#me || event.from.id === this.#me);
    const confirmed = own && this.#confirm(event.clientId);
    this.#tell('event', event);
    if (confirmed) this.#outboxChanged();
  }

  /** @param {any} signal */
  #receiveSignal(signal) {
    if (signal.type === 'hello') this.#me = signal.user?.id ?? '';
    if (signal.type === 'ack') this.#acknowledged(signal);
    else if (signal.type === 'error' && signal.clientId) {
      const { code, detail, retryAfter } = signal;
      const status = { rate_limited: 429, unavailable: 503, unauthenticated: 401 }[/** @type {string} */ (code)];
      this.#refused(signal.clientId, new ApiError(status ?? 422, { code, detail, retryAfter }));
    } else if (signal.type !== 'pong') this.#tell('signal', signal);
  }

  /** @param {string} clientId */
  #confirm(clientId) {
    if (this.#underWay?.clientId === clientId) this.#underWay = null;
    this.#failures = 0;
    const confirmed = this.#outbox.confirm(clientId);
    queueMicrotask(() => this.#pump());
    return confirmed;
  }

  /** @param {{clientId: string, seq: number, at: number}} ack */
  #acknowledged({ clientId, seq, at }) {
    const entry = this.#outbox.entries.find((one) => one.clientId === clientId);
    this.#confirm(clientId);
    if (!entry) return;
    this.#tell('sent', { clientId, seq, at, text: entry.text, to: entry.to });
    this.#outboxChanged();
  }

  /** @param {string} clientId @param {ApiError} error */
  #refused(clientId, error) {
    if (this.#underWay?.clientId !== clientId) return;
    this.#underWay = null;
    if (error.status === 401) return this.#stop('signed out');
    if (error.passing) {
      this.#failures += 1;
      const waitMs = retryWaitMs(this.#failures, Math.random());
      this.#pumpLater(error.retryAfterMs === undefined ? waitMs : error.retryAfterMs + waitMs);
      return;
    }
    this.#outbox.fail(clientId, error.message);
    this.#outboxChanged();
    this.#pump();
  }

  #outboxChanged() {
    this.#save(this.#outbox.entries);
    this.#tell('outbox');
  }

  /** @param {number} ms */
  #pumpLater(ms) {
    clearTimeout(this.#pumpTimer);
    this.#pumpTimer = setTimeout(() => this.#pump(), ms);
  }

  /** Send the oldest waiting message, if none is under way: one at a time keeps their order. */
  #pump() {
    if (this.#underWay || this.#state === 'idle' || this.#state === 'stopped') return;
    const entry = this.#outbox.next;
    if (!entry) return;
    clearTimeout(this.#pumpTimer);
    const { clientId, text, to } = entry;
    const body = to ? { text, to, clientId } : { text, clientId };
    const framed = this.#failures === 0 && this.#link.send({ type: 'send', ...body });
    this.#underWay = { clientId, framed };
    if (!framed) {
      this.#post(clientId, body).catch(() => this.#pumpLater(ACK_MS));
      return;
    }
    clearTimeout(this.#pumpTimer);
    this.#pumpTimer = setTimeout(() => {
      this.#refused(clientId, new ApiError(0, {}));
    }, ACK_MS);
  }

  /** @param {string} clientId @param {object} body */
  async #post(clientId, body) {
    try {
      this.#acknowledged(await this.#api.post('/api/messages', body));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#refused(clientId, error);
    }
  }
}
