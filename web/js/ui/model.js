// What the page knows: the friends, the conversations, what is unread. Snapshots come from the
// server's JSON interface, changes from the ChatClient; the views only read this and listen.

import { ChatClient } from '../client.js';
import { Timeline } from '../core/timeline.js';

/** @typedef {import('../core/types.js').ChatEvent} ChatEvent */
/** @typedef {import('../core/types.js').User} User */
/** @typedef {import('../core/types.js').Outgoing} Outgoing */
/** @typedef {User & {online: boolean, lastSeen: number | null}} Friend */

/**
 * @typedef {object} Conversation
 * @property {string} key a friend's id; '' for all friends
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
      return JSON.parse(sessionStorage.getItem(`outbox:${id}`) ?? '[]');
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

/** Dispatches `change` (something to show), `arrival` (a message of another) and `stop`. */
export class Model extends EventTarget {
  #api;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #readTimer;
  /** @type {Set<string>} */
  #toRead = new Set();
  #told = false;
  #noteCount = 0;
  #snapshotSeq = 0;
  #refreshing = false;
  #drawing = false;
  /** @type {Map<string, Friend>} */
  friends = new Map();
  /** @type {User[]} */
  incoming = [];
  /** @type {User[]} */
  outgoing = [];
  /** @type {Map<string, Conversation>} */
  conversations = new Map();
  /** @type {Map<string, number>} how far a friend has read the conversation with me */
  peers = new Map();
  /** @type {Map<string, {to: string | null, timer: ReturnType<typeof setTimeout>}>} */
  typists = new Map();
  /** @type {{id: number, text: string, afterSeq: number}[]} */
  notes = [];
  /** @type {ChatClient} */
  chat;

  /** @param {import('../api.js').Api} api @param {User} me */
  constructor(api, me) {
    super();
    this.#api = api;
    this.me = me;
    this.chat = this.#makeClient(null);
    this.note('Loading. Please wait.');
  }

  /** @param {number | null} cursor */
  #makeClient(cursor) {
    const store = outboxStore(this.me.id);
    const { load, save } = store;
    const chat = new ChatClient({ share: this.me.id, cursor, outbox: load(), save });
    chat.addEventListener('event', (event) => this.#apply(/** @type {any} */ (event).detail));
    chat.addEventListener('sent', (event) => this.#sent(/** @type {any} */ (event).detail));
    chat.addEventListener('signal', (event) => this.#signal(/** @type {any} */ (event).detail));
    chat.addEventListener('reset', () => this.refresh(true));
    chat.addEventListener('outbox', () => this.#changed());
    chat.addEventListener('state', () => this.#stateChanged());
    chat.addEventListener('stop', (event) =>
      this.dispatchEvent(new CustomEvent('stop', { detail: /** @type {any} */ (event).detail })));
    return chat;
  }

  /** Load what is there, then follow from where it stood. */
  async start() {
    const seq = await this.#load();
    this.chat = this.#makeClient(seq);
    this.chat.connect();
    this.#changed();
  }

  stop() {
    clearTimeout(this.#readTimer);
    this.chat.disconnect();
  }

  /** @param {string} key @returns {Conversation} */
  conversation(key) {
    let found = this.conversations.get(key);
    if (!found) {
      found = { key, timeline: new Timeline(), unread: 0, readUpTo: 0, loading: false };
      this.conversations.set(key, found);
    }
    return found;
  }

  get unread() {
    let unread = 0;
    for (const conversation of this.conversations.values()) unread += conversation.unread;
    return unread;
  }

  /** The user as known now, or as an event told. @param {User} user @returns {User} */
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
    this.conversation('').timeline.addPage(page.messages, page.more);
    this.#adoptRead(read);
    return Math.min(friends.seq, page.seq, read.seq);
  }

  /** @param {any} friends */
  #adoptFriends({ friends, incoming, outgoing }) {
    this.friends = new Map(friends.map((/** @type {Friend} */ friend) => [friend.id, friend]));
    this.incoming = incoming;
    this.outgoing = outgoing;
    for (const key of [...this.conversations.keys()]) {
      if (key && !this.friends.has(key)) this.conversations.delete(key);
    }
  }

  /** @param {any} read */
  #adoptRead({ read, peers, unread, seq }) {
    this.#snapshotSeq = seq;
    for (const conversation of this.conversations.values()) conversation.unread = 0;
    for (const one of read) {
      if (!one.with || this.friends.has(one.with)) this.conversation(one.with ?? '').readUpTo = one.upTo;
    }
    for (const one of unread) {
      if (!one.with || this.friends.has(one.with)) this.conversation(one.with ?? '').unread = one.count;
    }
    this.peers = new Map(peers.map((/** @type {any} */ one) => [one.user, one.upTo]));
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
        for (const conversation of this.conversations.values()) conversation.timeline = new Timeline();
        await this.#load();
        this.dispatchEvent(new CustomEvent('reload'));
      } else {
        this.#adoptFriends(await this.#api.get('/api/friends'));
      }
    } catch {
      // No answer: what the page knows stays until the connection's next change.
    }
    this.#refreshing = false;
    this.#changed();
  }

  /** Read older messages, or the first page. @param {string} key */
  async loadOlder(key) {
    const conversation = this.conversation(key);
    const { timeline } = conversation;
    if (conversation.loading || (timeline.loaded && !timeline.more)) return;
    conversation.loading = true;
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (key) query.set('with', key);
    if (timeline.loaded && timeline.firstSeq) query.set('before', String(timeline.firstSeq));
    try {
      const { messages, more } = await this.#api.get(`/api/messages?${query}`);
      timeline.addPage(messages, more);
    } catch {
      // Scrolling again asks again.
    }
    conversation.loading = false;
    this.#changed();
  }

  /** All of it has been seen. @param {string} key */
  markRead(key) {
    const conversation = this.conversation(key);
    const last = conversation.timeline.lastSeq ?? 0;
    if (last <= conversation.readUpTo && !conversation.unread) return;
    conversation.readUpTo = Math.max(last, conversation.readUpTo);
    conversation.unread = 0;
    conversation.timeline.trim(KEEP);
    this.#toRead.add(key);
    clearTimeout(this.#readTimer);
    this.#readTimer = setTimeout(() => {
      for (const one of this.#toRead) this.chat.read(one || null, this.conversation(one).readUpTo);
      this.#toRead.clear();
    }, READ_MS);
    this.#changed();
  }

  /** @param {string} text */
  note(text) {
    const afterSeq = Math.max(0, ...[...this.conversations.values()].map((one) => one.timeline.lastSeq ?? 0));
    this.notes = [...this.notes, { id: ++this.#noteCount, text, afterSeq }].slice(-NOTES_MAX);
    this.#changed();
  }

  /** However much arrives, the views draw once a frame; a covered page gets no frames, but timers. */
  #changed() {
    if (this.#drawing) return;
    this.#drawing = true;
    const draw = () => {
      if (!this.#drawing) return;
      this.#drawing = false;
      this.dispatchEvent(new CustomEvent('change'));
    };
    if (document.visibilityState === 'visible') requestAnimationFrame(draw);
    setTimeout(draw, DRAW_MS);
  }

  #stateChanged() {
    const { state } = this.chat;
    const connected = state === 'connected';
    if (connected !== this.#told && state !== 'connecting') {
      this.#told = connected;
      this.note(connected ? 'Connected!' : 'Disconnected!');
      if (connected) this.dispatchEvent(new CustomEvent('connected'));
    }
    this.#changed();
  }

  /** @param {ChatEvent} message */
  #keyOf(message) {
    if (!message.to) return '';
    return message.from?.id === this.me.id ? message.to : /** @type {User} */ (message.from).id;
  }

  /** @param {{clientId: string, seq: number, at: number, text: string, to: string | null}} sent */
  #sent({ clientId, seq, at, text, to }) {
    const { me: from } = this;
    this.#message({ type: 'message', seq, at, from, to, text, clientId });
  }

  /** @param {ChatEvent} event */
  #message(event) {
    const conversation = this.conversation(this.#keyOf(event));
    if (!conversation.timeline.add(event)) return;
    const sender = event.from?.id ?? '';
    const typist = this.typists.get(sender);
    if (typist) clearTimeout(typist.timer);
    this.typists.delete(sender);
    if (sender === this.me.id || event.seq <= this.#snapshotSeq) return;
    conversation.unread += 1;
    this.dispatchEvent(new CustomEvent('arrival', { detail: { event, key: conversation.key } }));
  }

  /** @param {ChatEvent} event */
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

  /** @param {ChatEvent} event */
  #read({ user, with: other, upTo = 0 }) {
    if (user !== this.me.id) {
      this.peers.set(user, Math.max(upTo, this.peers.get(user) ?? 0));
      return;
    }
    const conversation = this.conversation(other ?? '');
    if (upTo <= conversation.readUpTo && !conversation.unread) return;
    conversation.readUpTo = Math.max(upTo, conversation.readUpTo);
    const { messages } = conversation.timeline;
    conversation.unread = Math.min(
      conversation.unread,
      messages.filter((one) => one.seq > upTo && one.from?.id !== this.me.id).length);
  }

  /** @param {any} signal */
  #signal(signal) {
    if (signal.type === 'presence' && signal.online instanceof Array) {
      const online = new Set(signal.online);
      for (const friend of this.friends.values()) friend.online = online.has(friend.id);
    } else if (signal.type === 'presence') {
      const friend = this.friends.get(signal.user);
      if (friend) Object.assign(friend, { online: signal.online, lastSeen: signal.lastSeen ?? friend.lastSeen });
    } else if (signal.type === 'typing' && signal.from !== this.me.id) {
      clearTimeout(this.typists.get(signal.from)?.timer);
      const timer = setTimeout(() => {
        this.typists.delete(signal.from);
        this.#changed();
      }, TYPING_MS);
      this.typists.set(signal.from, { to: signal.to ?? null, timer });
    } else return;
    this.#changed();
  }
}
