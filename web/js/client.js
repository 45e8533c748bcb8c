// The chat in one object, for any page:
//
//     const chat = new ChatClient();
//     chat.addEventListener('event', ({ detail }) => console.log(detail));
//     chat.connect();
//     chat.send('Hello, all my friends');
//     chat.send('Hello, my friend', direct(id));
//
// It finds a transport that works, climbs to a better one, comes back after every failure at its
// cursor, and keeps what was written until the server has it. docs/client.md tells the rest.

import { Api, ApiError } from './api.js';
import { Connection } from './connection.js';
import { retryWaitMs } from './core/backoff.js';
import { BROADCASTS, toOf, withOf } from './core/conversation.js';
import { Emitter } from './core/emitter.js';
import { stopOfRefusal } from './core/endings.js';
import { Outbox } from './core/outbox.js';
import { LADDER } from './core/transports.js';
import { canShare, transportMemory } from './effects.js';
import { randomId } from './ids.js';
import { listenForNudges } from './nudges.js';
import { TabLink } from './tabs.js';
import { CLASSES } from './transports/classes.js';

export { BROADCASTS, direct } from './core/conversation.js';
export { CLASSES };

/** @typedef {import('./core/conversation.js').Conversation} Conversation */
/** @typedef {import('./core/transports.js').Rung} Rung */
/** @typedef {import('./core/types.js').ChatEvent} ChatEvent */
/** @typedef {import('./core/types.js').Signal} Signal */
/** @typedef {import('./core/types.js').Outgoing} Outgoing */

/** How long an ack on the socket may take before the message goes over HTTP as well. */
const ACK_MS = 8_000;
/** What an error frame's code would be as an answer's status; any other is the message's own fault. */
const STATUS = new Map([['rate_limited', 429], ['unavailable', 503], ['unauthenticated', 401]]);
/** Typing is told at most this often. */
const TYPING_MS = 3_000;

/**
 * Dispatches `CustomEvent`s: `state`; `event` and `signal` with the item as `detail` (see
 * docs/protocol.md); `reset` (load friends and messages again); `sent` with
 * `{clientId, seq, at, text, conversation}`; `outbox`; `stop` with the reason as `detail`: it will
 * not come back by itself. `signed out` asks for a sign-in; `another account` says that the browser
 * is signed in to another one than this page is of.
 *
 * Making one does nothing yet, and after `disconnect` nothing of it is left.
 *
 * @extends {Emitter<import('./core/types.js').ClientDetails>}
 */
export class ChatClient extends Emitter {
  #api;
  #options;
  /** @type {TabLink | Connection | null} while it is connected, or tries to be */
  #link = null;
  #outbox;
  #save;
  /** @type {number | null} */
  #cursor = null;
  /** @type {readonly Rung[]} */
  #rungs;
  /** @type {'idle' | 'connecting' | 'connected' | 'disconnected' | 'stopped'} */
  #state = 'idle';
  #stopReason = '';
  #me;
  /** @type {{clientId: string, framed: boolean} | null} the message under way */
  #underWay = null;
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pumpTimer;
  /** @type {Rung | null} */
  #lastLive = null;
  #typedAt = -Infinity;
  #listening = new AbortController();

  /** @param {import('./core/types.js').ClientOptions} [options] */
  constructor(options = {}) {
    super();
    const { base, user = '', client = randomId(), outbox, save = () => {}, rungs = LADDER } = options;
    this.#options = { ...options, client };
    this.#api = new Api(base, user, (reason) => this.#stop(reason));
    this.#me = user;
    this.#outbox = new Outbox(outbox);
    this.#save = save;
    this.#rungs = rungs;
  }

  /** `idle`, `connecting` (for the first time), `connected`, `disconnected` or `stopped`. */
  get state() {
    return this.#state;
  }

  /** @returns {Rung | null} the transport that delivers */
  get transport() {
    return this.#link?.live ?? null;
  }

  /** Why the transport is not the best one, or why nothing is connected; '' when all is well. */
  get reason() {
    return this.#link?.reason ?? this.#stopReason;
  }

  /** The transports that may be used, best first. */
  get rungs() {
    return this.#link?.rungs ?? this.#rungs;
  }

  /** The `seq` of the last event seen: where any reader can go on. */
  get cursor() {
    return this.#link?.cursor ?? this.#cursor;
  }

  /** @returns {Outgoing[]} messages that the server has not confirmed, oldest first */
  get outbox() {
    return this.#outbox.entries;
  }

  /** Whether the connection is another tab's. */
  get borrowed() {
    return this.#link instanceof TabLink && !this.#link.leads;
  }

  /**
   * Does nothing while it is connected already, or tries to be.
   * @param {number | null} [cursor] where to go on: the `seq` of a snapshot; null: the present. Absent:
   *   where it stood before, the first time the present
   */
  connect(cursor = this.cursor) {
    if (this.#active) return;
    this.#cursor = cursor;
    this.#stopReason = '';
    this.#state = 'connecting';
    this.#listening = new AbortController();
    this.#link = this.#makeLink();
    listenForNudges({
      nudge: () => {
        this.#link?.nudge();
        this.#pump();
      },
      probe: () => this.#link?.probe(),
    }, this.#listening.signal);
    this.#link.start(cursor);
    this.#pump();
  }

  /** The outbox and the cursor are kept; `connect` goes on from there. */
  disconnect() {
    this.#end();
    this.#turn('idle');
  }

  /**
   * Write to all friends, or to one. Returns at once; the message is retried until the server
   * has it or refuses it, over whatever transport lives, and is posted once.
   *
   * @param {string} text
   * @param {Conversation} [conversation] `direct(id)`: to that friend alone
   * @returns {string} the message's clientId
   * @throws {RangeError} when too many messages wait already
   */
  send(text, conversation = BROADCASTS) {
    const clientId = randomId();
    this.#typedAt = -Infinity;
    this.#outbox.add({ clientId, text: text.replaceAll('\r\n', '\n'), conversation, at: Date.now() });
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

  /** Tell the friends, or one, that something is being written. @param {Conversation} [conversation] */
  typing(conversation = BROADCASTS) {
    const now = performance.now();
    if (now - this.#typedAt < TYPING_MS || this.#state !== 'connected') return;
    this.#typedAt = now;
    const words = toOf(conversation);
    if (this.#link?.send({ type: 'typing', ...words })) return;
    this.#api.post('/api/typing', words).catch(() => {
      // A hint: the next key stroke says it again.
    });
  }

  /** Mark a conversation as read. @param {Conversation} conversation @param {number} upTo */
  read(conversation, upTo) {
    const words = { ...withOf(conversation), upTo };
    if (this.#link?.send({ type: 'read', ...words })) return;
    this.#api.post('/api/read', words).catch(() => {
      // The next message that is seen says it again, with a later position.
    });
  }

  /**
   * Use this transport, or a lower one where it does not work; null: the best that works.
   * @param {Rung | null} rung
   */
  choose(rung) {
    const rungs = rung ? LADDER.slice(LADDER.indexOf(rung)) : LADDER;
    if (this.#link) this.#link.choose(rungs);
    else this.#rungs = rungs;
  }

  get #active() {
    return this.#state !== 'idle' && this.#state !== 'stopped';
  }

  /** A link lives from one `connect` to its end; what an earlier one says is not heard. */
  #makeLink() {
    const { base = '', user, client = '', share, pollMs, memory = transportMemory } = this.#options;
    /** @type {(call: () => void) => void} */
    const heard = (call) => {
      if (this.#link === link) call();
    };
    const options = {
      base, user, client, pollMs, memory, rungs: this.#rungs,
      transports: this.#options.transports && { ...CLASSES, ...this.#options.transports },
      on: {
        event: (/** @type {ChatEvent} */ event) => heard(() => this.#receive(event)),
        signal: (/** @type {Signal} */ signal) => heard(() => this.#receiveSignal(signal)),
        change: () => heard(() => this.#changed()),
        stop: (/** @type {string} */ reason) => heard(() => this.#stop(reason)),
      },
    };
    const link = share && canShare() ? new TabLink({ ...options, scope: share }) : new Connection(options);
    return link;
  }

  /** @param {ChatClient['state']} state */
  #turn(state) {
    this.#state = state;
    this.emit('state', null);
  }

  #changed() {
    const live = this.transport;
    if (live !== this.#lastLive && this.#underWay?.framed) {
      // The socket that carried the message is gone, and its ack with it.
      this.#underWay = null;
    }
    this.#lastLive = live;
    if (live) this.#turn('connected');
    else this.#turn(this.#state === 'connecting' ? 'connecting' : 'disconnected');
    if (live) this.#pump();
  }

  /** Nothing goes on after this but requests that are under way. */
  #end() {
    const link = this.#link;
    this.#cursor = this.cursor;
    if (this.rungs.length) this.#rungs = this.rungs;
    this.#listening.abort();
    clearTimeout(this.#pumpTimer);
    if (this.#underWay?.framed) this.#underWay = null;
    this.#lastLive = null;
    this.#link = null;
    link?.stop();
  }

  /** @param {string} reason */
  #stop(reason) {
    if (!this.#active) return;
    this.#end();
    this.#stopReason = reason;
    this.#turn('stopped');
    this.emit('stop', reason);
  }

  /** @param {ChatEvent} event */
  #receive(event) {
    if (event.type === 'reset') {
      this.emit('reset', event);
      return;
    }
    const { clientId } = event.type === 'message' && (!this.#me || event.from.id === this.#me) ? event : {};
    const confirmed = Boolean(clientId) && this.#confirm(clientId ?? '');
    this.emit('event', event);
    if (confirmed) this.#outboxChanged();
  }

  /** @param {Signal} signal */
  #receiveSignal(signal) {
    if (signal.type === 'hello') this.#me = signal.user?.id ?? this.#me;
    if (signal.type === 'ack') this.#acknowledged(signal);
    else if (signal.type === 'error' && signal.clientId) {
      this.#refused(signal.clientId, new ApiError(STATUS.get(signal.code) ?? 422, signal));
    } else if (signal.type !== 'pong') this.emit('signal', signal);
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
    this.emit('sent', { clientId, seq, at, text: entry.text, conversation: entry.conversation });
    this.#outboxChanged();
  }

  /** @param {string} clientId @param {ApiError} error */
  #refused(clientId, error) {
    if (this.#underWay?.clientId !== clientId) return;
    this.#underWay = null;
    const stop = stopOfRefusal(error);
    // It stays in the outbox, for when its writer is signed in.
    if (stop) return this.#stop(stop);
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
    this.emit('outbox', null);
  }

  /** @param {number} ms */
  #pumpLater(ms) {
    if (!this.#active) return;
    clearTimeout(this.#pumpTimer);
    this.#pumpTimer = setTimeout(() => this.#pump(), ms);
  }

  /** Send the oldest waiting message, if none is under way: one at a time keeps their order. */
  #pump() {
    if (this.#underWay || !this.#active) return;
    const entry = this.#outbox.next;
    if (!entry) return;
    clearTimeout(this.#pumpTimer);
    const { clientId, text, conversation } = entry;
    const body = { text, ...toOf(conversation), clientId };
    const framed = this.#failures === 0 && Boolean(this.#link?.send({ type: 'send', ...body }));
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
