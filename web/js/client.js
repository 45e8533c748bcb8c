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

import { Api } from './api.js';
import { Connection } from './connection.js';
import { BROADCASTS, keyOf, toOf, withOf } from './core/conversation.js';
import { Emitter } from './core/emitter.js';
import { ANOTHER_ACCOUNT } from './core/endings.js';
import { LADDER } from './core/transports.js';
import { canShare, transportMemory } from './effects.js';
import { randomId } from './ids.js';
import { listenForNudges } from './nudges.js';
import { Sender } from './sender.js';
import { TabLink } from './tabs.js';
import { CLASSES } from './transports/classes.js';

export { BROADCASTS, direct } from './core/conversation.js';
export { CLASSES };

/** @typedef {import('./core/conversation.js').Conversation} Conversation */
/** @typedef {import('./core/transports.js').Rung} Rung */
/** @typedef {import('./core/types.js').ChatEvent} ChatEvent */
/** @typedef {import('./core/types.js').Signal} Signal */
/** @typedef {import('./core/types.js').Outgoing} Outgoing */

/** An own message that was posted is due on the connection within this time. */
const OWN_EVENT_MS = 5_000;
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
  #sender;
  #save;
  /** @type {number | null} */
  #cursor = null;
  /** @type {readonly Rung[]} */
  #rungs;
  /** @type {'idle' | 'connecting' | 'connected' | 'disconnected' | 'stopped'} */
  #state = 'idle';
  #stopReason = '';
  #me;
  /** The `seq` of the last own message that was posted: the connection has to bring it. */
  #due = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #dueTimer;
  /** @type {Map<string, {conversation: Conversation, upTo: number}>} positions that went by frame and have not come back */
  #reads = new Map();
  /** @type {Rung | null} */
  #lastLive = null;
  #typedAt = -Infinity;
  #listening = new AbortController();

  /** @param {import('./core/types.js').ClientOptions} [options] */
  constructor(options = {}) {
    super();
    const { base, user = '', client = randomId(), outbox, writer, save = () => {}, aheadMs = () => 0, rungs = LADDER } = options;
    this.#options = { ...options, client };
    this.#api = new Api(base, user, (reason) => this.#stop(reason), () => this.probe());
    this.#me = user;
    this.#sender = new Sender({
      api: this.#api,
      frame: (frame) => this.#link?.send(frame) ?? false,
      aheadMs,
      leads: () => !this.borrowed,
      doubt: () => this.probe(),
      posted: (seq) => this.#expect(seq),
      sent: (sent) => this.emit('sent', sent),
      changed: () => this.#outboxChanged(),
      stop: (reason) => this.#stop(reason),
    }, outbox, writer);
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
    return this.#sender.entries;
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
        this.#sender.pump();
      },
      probe: () => this.probe(),
    }, this.#listening.signal);
    this.#link.start(cursor);
    this.#sender.begin();
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
    this.#typedAt = -Infinity;
    return this.#sender.add(text, conversation);
  }

  /** Send a failed message again. @param {string} clientId */
  retry(clientId) {
    this.#sender.retry(clientId);
  }

  /** Give a failed message up. @param {string} clientId */
  discard(clientId) {
    this.#sender.discard(clientId);
  }

  /** Another tab of this account has written or changed a message. @param {Outgoing} entry */
  adopt(entry) {
    this.#sender.adopt(entry);
  }

  /** Another tab of this account has got a message out, or has given it up. @param {string} clientId */
  forgo(clientId) {
    this.#sender.forgo(clientId);
  }

  /** Ask the connection for a sign of life; without one it is given up, and another opened. */
  probe() {
    this.#link?.ask('probe');
  }

  /** Somebody does not want to wait: connect now. */
  tryNow() {
    this.#link?.ask('tryNow');
    this.#sender.pump();
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
    const framed = this.#link?.send({ type: 'read', ...withOf(conversation), upTo });
    this.#reads.set(keyOf(conversation), { conversation, upTo });
    if (!framed) this.#postRead(conversation, upTo);
  }

  /** @param {Conversation} conversation @param {number} upTo */
  #postRead(conversation, upTo) {
    this.#api.post('/api/read', { ...withOf(conversation), upTo }).then(() => this.#wasRead(keyOf(conversation), upTo))
      .catch(() => {
        // It is told again when there is a new connection.
      });
  }

  /** @param {string} key @param {number} upTo */
  #wasRead(key, upTo) {
    if ((this.#reads.get(key)?.upTo ?? Infinity) <= upTo) this.#reads.delete(key);
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
    const another = live !== this.#lastLive;
    this.#lastLive = live;
    if (live) this.#turn('connected');
    else this.#turn(this.#state === 'connecting' ? 'connecting' : 'disconnected');
    if (another) this.#wayChanged(Boolean(live));
  }

  /** @param {boolean} live */
  #wayChanged(live) {
    this.#sender.wayChanged(live);
    // What went up on the connection before this one may never have arrived.
    if (live) for (const { conversation, upTo } of this.#reads.values()) this.#postRead(conversation, upTo);
  }

  /** An own message was posted over HTTP; a connection that lives brings it too. @param {number} seq */
  #expect(seq) {
    this.#due = Math.max(this.#due, seq);
    clearTimeout(this.#dueTimer);
    const patienceMs = OWN_EVENT_MS + (this.transport === 'poll' ? this.#options.pollMs ?? OWN_EVENT_MS : 0);
    this.#dueTimer = setTimeout(() => {
      if ((this.cursor ?? Infinity) < this.#due) this.#link?.ask('doubt');
    }, patienceMs);
  }

  /** Nothing goes on after this but requests that are under way. */
  #end() {
    const link = this.#link;
    this.#cursor = this.cursor;
    if (this.rungs.length) this.#rungs = this.rungs;
    this.#listening.abort();
    clearTimeout(this.#dueTimer);
    this.#sender.end();
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
    const confirmed = Boolean(clientId) && this.#sender.confirm(clientId ?? '');
    if (event.type === 'read' && event.user === this.#me) this.#wasRead(event.with ?? '', event.upTo);
    this.emit('event', event);
    if (confirmed) this.#outboxChanged();
  }

  /** @param {Signal} signal */
  #receiveSignal(signal) {
    if (signal.type === 'hello') {
      const { user } = this.#options;
      if (user && signal.user && signal.user.id !== user) {
        this.#stop(ANOTHER_ACCOUNT);
        return;
      }
      this.#me = signal.user?.id ?? this.#me;
    }
    if (signal.type === 'ack') this.#sender.acknowledged(signal);
    else if (signal.type === 'error' && signal.clientId) this.#sender.refusedFrame(signal);
    else if (signal.type !== 'pong') this.emit('signal', signal);
  }

  #outboxChanged() {
    this.#save(this.#sender.entries);
    this.emit('outbox', null);
  }
}
