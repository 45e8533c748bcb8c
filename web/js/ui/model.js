// What the page knows: the friends, the conversations, what is unread. Snapshots come from the
// server's JSON interface, changes from the ChatClient; the views only read this and listen.

import { ChatClient } from '../client.js';
import { BROADCASTS, between, keyOf, ofKey, ofWith, toOf, withOf } from '../core/conversation.js';
import { Emitter } from '../core/emitter.js';
import { Timeline } from '../core/timeline.js';
import { t } from '../words.js';

/** @typedef {import('../core/conversation.js').Conversation} Conversation */
/** @typedef {import('../core/types.js').ChatEvent} ChatEvent */
/** @typedef {import('../core/types.js').MessageEvent} MessageEvent */
/** @typedef {import('../core/types.js').ReadEvent} ReadEvent */
/** @typedef {import('../core/types.js').ResetEvent} ResetEvent */
/** @typedef {import('../core/types.js').Sender} Sender */
/** @typedef {import('../core/types.js').Signal} Signal */
/** @typedef {import('../core/types.js').User} User */
/** @typedef {import('../core/types.js').Outgoing} Outgoing */
/** @typedef {User & {online: boolean, lastSeen: number | null}} Friend */

/**
 * What `GET /api/friends` and `GET /api/read` answer.
 * @typedef {{friends: Friend[], incoming: User[], incomingCount: number, outgoing: User[], seq: number}} FriendsSnapshot
 * @typedef {{read: {with: string | null, upTo: number}[], peers: {user: string, upTo: number}[],
 *   unread: {with: string | null, count: number}[], seq: number}} ReadSnapshot
 */

/**
 * What the page knows of a conversation.
 * @typedef {object} Known
 * @property {Conversation} conversation
 * @property {Timeline} timeline
 * @property {number} unread
 * @property {number} readUpTo
 * @property {boolean} loading
 */

const PAGE = 50;
/** Messages that a conversation keeps in memory while nobody scrolls back in it. */
const KEEP = 400;
/** A typing signal is believed for this long. */
const TYPING_MS = 6_000;
/** A position is told once for all messages that came within this time. */
const READ_MS = 300;
/** Changes are drawn at the latest after this time. */
const DRAW_MS = 100;
/** Lines of the connection's story that stay in the stream. */
const NOTES_MAX = 4;

/** @param {string} id */
const outboxStore = (id) => ({
  /** @returns {Outgoing[]} */
  load() {
    try {
      const entries = JSON.parse(sessionStorage.getItem(`outbox:${id}`) ?? '[]');
      // An older version of the page kept the wire's `to`.
      return entries.map((/** @type {any} */ entry) => ({ conversation: ofWith(entry.to ?? null), ...entry }));
    } catch {
      return [];
    }
  },
  save(/** @type {Outgoing[]} */ entries) {
    try {
      sessionStorage.setItem(`outbox:${id}`, JSON.stringify(entries));
    } catch {
      // Without storage the messages live as long as the page.
    }
  },
});

/**
 * Dispatches `change` (something to show), `arrival` (a message of another), `connected`, `reload`
 * (timelines begin anew) and `stop` with the reason.
 * @extends {Emitter<{change: null, arrival: MessageEvent, connected: null, reload: null, stop: string}>}
 */
export class Model extends Emitter {
  #api;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #readTimer;
  /** @type {Set<string>} keys */
  #toRead = new Set();
  #told = false;
  #noteCount = 0;
  #snapshotSeq = 0;
  #refreshing = false;
  #drawing = false;
  #stopped = false;
  /** Whether the first snapshot has come; until then nothing is known of what is unread. */
  ready = false;
  /** @type {Map<string, Friend>} */
  friends = new Map();
  /** @type {User[]} */
  incoming = [];
  /** @type {User[]} */
  outgoing = [];
  /** @type {Map<string, Known>} by the conversation's key */
  #known = new Map();
  /** @type {Map<string, number>} how far a friend has read the conversation with me */
  peers = new Map();
  /** @type {Map<string, {conversation: Conversation, timer: ReturnType<typeof setTimeout>}>} by the writer's id */
  typists = new Map();
  /** @type {{id: number, text: string, afterSeq: number}[]} */
  notes = [];
  /** @param {import('../api.js').Api} api @param {User} me */
  constructor(api, me) {
    super();
    this.#api = api;
    this.me = me;
    const { load, save } = outboxStore(me.id);
    this.chat = new ChatClient({ user: me.id, share: me.id, outbox: load(), save });
    this.#listen();
    this.note(t('page.loading'));
  }

  #listen() {
    const { chat } = this;
    chat.addEventListener('event', ({ detail }) => this.#apply(detail));
    chat.addEventListener('sent', ({ detail: { conversation, ...sent } }) => {
      const { to = null } = toOf(conversation);
      this.#message({ type: 'message', from: this.me, to, ...sent });
    });
    chat.addEventListener('signal', ({ detail }) => this.#signal(detail));
    chat.addEventListener('reset', () => this.refresh(true));
    chat.addEventListener('outbox', () => this.#changed());
    chat.addEventListener('state', () => this.#stateChanged());
    chat.addEventListener('stop', ({ detail }) => this.emit('stop', detail));
  }

  /** Load what is there, then follow from where it stood. */
  async start() {
    const seq = await this.#load();
    this.ready = true;
    if (this.#stopped) return;
    this.chat.connect(seq);
    this.#changed();
  }

  /** For good: what is still being loaded leads to nothing. */
  stop() {
    this.#stopped = true;
    clearTimeout(this.#readTimer);
    this.chat.disconnect();
  }

  /** @param {Conversation} conversation @returns {Known} */
  known(conversation) {
    const key = keyOf(conversation);
    let found = this.#known.get(key);
    if (!found) {
      found = { conversation, timeline: new Timeline(), unread: 0, readUpTo: 0, loading: false };
      this.#known.set(key, found);
    }
    return found;
  }

  /** @param {Conversation} conversation */
  unreadIn(conversation) {
    return this.#known.get(keyOf(conversation))?.unread ?? 0;
  }

  get unread() {
    let unread = 0;
    for (const known of this.#known.values()) unread += known.unread;
    return unread;
  }

  /** The user as known now, or as an event told. @param {Sender} user @returns {Sender} */
  current(user) {
    return user.id === this.me.id ? this.me : this.friends.get(user.id) ?? user;
  }

  /** @returns {Promise<number>} the position from which nothing is missed */
  async #load() {
    const [friends, page, read] = await Promise.all([
      this.#api.get('/api/friends'),
      this.#api.get(`/api/messages?limit=${PAGE}`),
      this.#api.get('/api/read'),
    ]);
    this.#adoptFriends(friends);
    this.known(BROADCASTS).timeline.addPage(page.messages, page.more);
    this.#adoptRead(read);
    return Math.min(friends.seq, page.seq, read.seq);
  }

  /** @param {FriendsSnapshot} snapshot */
  #adoptFriends({ friends, incoming, outgoing }) {
    this.friends = new Map(friends.map((friend) => [friend.id, friend]));
    this.incoming = incoming;
    this.outgoing = outgoing;
    for (const [key, { conversation }] of [...this.#known]) {
      if (!this.isOpen(conversation)) this.#known.delete(key);
    }
  }

  /** Whether one can write there: to all friends, or to one of them. @param {Conversation} conversation */
  isOpen(conversation) {
    return conversation.kind !== 'direct' || this.friends.has(conversation.user);
  }

  /** @param {ReadSnapshot} snapshot */
  #adoptRead({ read, peers, unread, seq }) {
    this.#snapshotSeq = seq;
    for (const known of this.#known.values()) known.unread = 0;
    for (const { with: user, upTo } of read) {
      const conversation = ofWith(user);
      if (this.isOpen(conversation)) this.known(conversation).readUpTo = upTo;
    }
    for (const { with: user, count } of unread) {
      const conversation = ofWith(user);
      if (this.isOpen(conversation)) this.known(conversation).unread = count;
    }
    this.peers = new Map(peers.map((one) => [one.user, one.upTo]));
  }

  /**
   * Load again: friends and positions, and after a `reset` or an ended friendship the messages.
   * @param {boolean} messages
   */
  async refresh(messages) {
    if (this.#refreshing && !messages) return;
    this.#refreshing = true;
    try {
      if (messages) {
        for (const known of this.#known.values()) known.timeline = new Timeline();
        await this.#load();
        this.emit('reload', null);
      } else {
        this.#adoptFriends(await this.#api.get('/api/friends'));
      }
    } catch {
      // No answer: what the page knows stays until the connection's next change.
    }
    this.#refreshing = false;
    this.#changed();
  }

  /**
   * Read older messages, or the first page.
   * @param {Conversation} conversation
   * @param {number} [limit]
   * @returns {Promise<boolean>} false: there was no answer
   */
  async loadOlder(conversation, limit = PAGE) {
    const known = this.known(conversation);
    const { timeline } = known;
    if (known.loading || (timeline.loaded && !timeline.more)) return true;
    known.loading = true;
    const query = new URLSearchParams({ limit: String(limit), ...withOf(conversation) });
    if (timeline.loaded && timeline.firstSeq) query.set('before', String(timeline.firstSeq));
    let answered = true;
    try {
      const { messages, more } = await this.#api.get(`/api/messages?${query}`);
      timeline.addPage(messages, more);
    } catch {
      answered = false;
    }
    known.loading = false;
    this.#changed();
    return answered;
  }

  /**
   * All up to there has been seen.
   * @param {Conversation} conversation
   * @param {number} upTo the seq of the last message that was on the screen
   */
  markRead(conversation, upTo) {
    const known = this.known(conversation);
    const { messages } = known.timeline;
    if (upTo <= known.readUpTo && (!known.unread || upTo < (known.timeline.lastSeq ?? 0))) return;
    known.readUpTo = Math.max(upTo, known.readUpTo);
    known.unread = 0;
    for (let place = messages.length - 1; place >= 0 && messages[place].seq > known.readUpTo; place -= 1) {
      if (messages[place].from.id !== this.me.id) known.unread += 1;
    }
    this.#toRead.add(keyOf(conversation));
    clearTimeout(this.#readTimer);
    this.#readTimer = setTimeout(() => {
      for (const key of this.#toRead) this.chat.read(ofKey(key), this.known(ofKey(key)).readUpTo);
      this.#toRead.clear();
    }, READ_MS);
    this.#changed();
  }

  /** Nobody reads what is old: it can be loaded again. @param {Conversation} conversation */
  trim(conversation) {
    this.known(conversation).timeline.trim(KEEP);
  }

  /** @param {string} text */
  note(text) {
    const afterSeq = Math.max(0, ...[...this.#known.values()].map((one) => one.timeline.lastSeq ?? 0));
    this.notes = [...this.notes, { id: ++this.#noteCount, text, afterSeq }].slice(-NOTES_MAX);
    this.#changed();
  }

  /** However much arrives, the views draw once a frame; a covered page gets no frames, but timers. */
  #changed() {
    if (this.#drawing || this.#stopped) return;
    this.#drawing = true;
    const draw = () => {
      if (!this.#drawing) return;
      this.#drawing = false;
      this.emit('change', null);
    };
    if (document.visibilityState === 'visible') requestAnimationFrame(draw);
    setTimeout(draw, DRAW_MS);
  }

  #stateChanged() {
    const { state } = this.chat;
    const connected = state === 'connected';
    if (connected !== this.#told && state !== 'connecting') {
      this.#told = connected;
      this.note(t(connected ? 'connection.connected' : 'connection.disconnected'));
      if (connected) this.emit('connected', null);
    }
    this.#changed();
  }

  /** @param {MessageEvent} event */
  #message(event) {
    const sender = event.from.id;
    const known = this.known(between(sender, event.to, this.me.id));
    if (!known.timeline.add(event)) return;
    const typist = this.typists.get(sender);
    if (typist) clearTimeout(typist.timer);
    this.typists.delete(sender);
    if (sender === this.me.id || event.seq <= this.#snapshotSeq) return;
    known.unread += 1;
    this.emit('arrival', event);
  }

  /** @param {Exclude<ChatEvent, ResetEvent>} event */
  #apply(event) {
    if (event.type === 'message') this.#message(event);
    else if (event.type === 'friend') this.refresh(event.relation === 'none' && this.friends.has(event.user.id));
    else if (event.type === 'profile') this.#profile(event.user);
    else if (event.type === 'read') this.#read(event);
    this.#changed();
  }

  /** @param {User} user */
  #profile(user) {
    if (user.id === this.me.id) this.me = { ...this.me, ...user };
    const friend = this.friends.get(user.id);
    if (friend) Object.assign(friend, user);
  }

  /** @param {ReadEvent} event */
  #read({ user, with: other, upTo }) {
    if (user !== this.me.id) {
      this.peers.set(user, Math.max(upTo, this.peers.get(user) ?? 0));
      return;
    }
    const known = this.known(ofWith(other));
    if (upTo <= known.readUpTo && !known.unread) return;
    known.readUpTo = Math.max(upTo, known.readUpTo);
    const { messages } = known.timeline;
    known.unread = Math.min(
      known.unread,
      messages.filter((one) => one.seq > upTo && one.from.id !== this.me.id).length);
  }

  /** @param {Signal} signal */
  #signal(signal) {
    if (signal.type === 'presence' && 'user' in signal) {
      const friend = this.friends.get(signal.user);
      if (friend) Object.assign(friend, { online: signal.online, lastSeen: signal.lastSeen ?? friend.lastSeen });
    } else if (signal.type === 'presence') {
      const online = new Set(signal.online);
      for (const friend of this.friends.values()) friend.online = online.has(friend.id);
    } else if (signal.type === 'typing' && signal.from !== this.me.id) {
      clearTimeout(this.typists.get(signal.from)?.timer);
      const timer = setTimeout(() => {
        this.typists.delete(signal.from);
        this.#changed();
      }, TYPING_MS);
      this.typists.set(signal.from, { conversation: between(signal.from, signal.to ?? null, this.me.id), timer });
    } else return;
    this.#changed();
  }
}
