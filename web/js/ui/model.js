// What the page knows: the friends, the conversations, what is unread. Snapshots come from the
// server's JSON interface, changes from the ChatClient; the views only read this and listen.

import { ChatClient } from '../client.js';
import { BROADCASTS, between, ofWith, toOf, withOf, keyOf } from '../core/conversation.js';
import { Emitter } from '../core/emitter.js';
import { Picture } from '../core/picture.js';
import { Refresh } from '../core/refresh.js';
import { Kept } from '../kept.js';
import { lastNames, talksOf } from '../last.js';
import { t } from '../words.js';
import { aheadMs } from './time.js';
import { Written } from './written.js';

/** @typedef {import('../core/conversation.js').Conversation} Conversation */
/** @typedef {import('../core/people.js').Friend} Friend */
/** @typedef {import('../core/types.js').ChatEvent} ChatEvent */
/** @typedef {import('../core/types.js').MessageEvent} MessageEvent */
/** @typedef {import('../core/types.js').ResetEvent} ResetEvent */
/** @typedef {import('../core/types.js').Sender} Sender */
/** @typedef {import('../core/types.js').Signal} Signal */
/** @typedef {import('../core/types.js').User} User */

const PAGE = 50;
/** Messages that a conversation keeps in memory while nobody scrolls back in it. */
const KEEP = 400;
/** A typing signal is believed for this long. */
const TYPING_MS = 6_000;
/** A position is told once for all messages that came within this time. */
const READ_MS = 300;
/** A position that was told and not confirmed within this time: the server is asked, and told again. */
const CONFIRM_MS = 10_000;
/** A way of transport that tells who is online does so at once; without it the list is asked for. */
const PRESENCE_MS = 3_000;
/** Changes are drawn at the latest after this time. */
const DRAW_MS = 100;

const effects = {
  setTimer: (/** @type {() => void} */ callback, /** @type {number} */ ms) => setTimeout(callback, ms),
  clearTimer: (/** @type {any} */ timer) => clearTimeout(timer),
  random: () => Math.random(),
};

/** What is wanted is asked for until it comes: it never rejects. @param {Refresh} refresh */
const ask = (refresh) => {
  refresh.want().catch(() => {});
};

/**
 * Dispatches `change` (something to show), `arrival` (a message of another), `connected`, `note`
 * (the connection's state, in words) and `stop` with the reason.
 * @extends {Emitter<{change: null, arrival: MessageEvent, connected: null, note: string, stop: string}>}
 */
export class Model extends Emitter {
  #api;
  #picture;
  #refreshes;
  #stopped = false;
  #drawing = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #readTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #confirmTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #presenceTimer;
  #told = false;
  #noteCount = 0;
  /** @type {Map<string, {conversation: Conversation, timer: ReturnType<typeof setTimeout>}>} by the writer's id */
  typists = new Map();
  /** @type {{id: number, text: string, afterSeq: number}[]} one at the most: it stands as long as it is true */
  notes = [];
  /** Whether it was connected once: from then on one can write, whatever the line does. */
  wasConnected = false;
  #leaving = new AbortController();
  #hushed = false;

  /** @param {import('../api.js').Api} api @param {User} me @param {ChatClient} [chat] */
  constructor(api, me, chat) {
    super();
    this.#api = api;
    this.#picture = new Picture(me);
    this.#refreshes = {
      people: new Refresh(() => this.#load('/api/friends', (list, asked) => this.#picture.takePeople(list, asked)), effects),
      reads: new Refresh(() => this.#load('/api/read', (list, asked) => this.#takeReads(list, asked)), effects),
      lasts: new Refresh(
        () => this.#load('/api/conversations', (list, asked) => this.#picture.takeLasts(list, asked)), effects),
      me: new Refresh(() => this.adoptProfile(() => this.#api.get('/api/me')).then(() => true), effects),
    };
    this.#picture.people.knew(lastNames(me.id));
    const kept = new Kept(me.id);
    this.chat = chat ?? new ChatClient({ user: me.id, share: me.id, aheadMs, ...kept.forClient });
    this.written = new Written(this.chat, kept);
    this.#listen();
    this.note(t('page.loading'));
  }

  #listen() {
    const { chat } = this;
    chat.addEventListener('event', ({ detail }) => this.#apply(detail));
    chat.addEventListener('sent', ({ detail: { conversation, ...sent } }) => {
      const { to = null } = toOf(conversation);
      this.#picture.add({ type: 'message', from: this.me, to, ...sent });
      this.#changed();
    });
    chat.addEventListener('signal', ({ detail }) => this.#signal(detail));
    chat.addEventListener('reset', ({ detail }) => this.#reset(detail));
    chat.addEventListener('outbox', () => this.#changed());
    chat.addEventListener('state', () => this.#stateChanged());
    chat.addEventListener('stop', ({ detail }) => this.emit('stop', detail));
    this.written.addEventListener('change', () => this.#changed());
    this.written.listen(this.#leaving.signal);
  }

  /** Whether the first answers have come; until then nothing is known of what is unread. */
  get ready() {
    return this.#picture.begun;
  }

  get me() {
    return this.#picture.me;
  }

  /** @returns {ReadonlyMap<string, Friend>} */
  get friends() {
    return this.#picture.people.friends;
  }

  /** Who asks: the oldest requests. */
  get incoming() {
    return this.#picture.people.incoming;
  }

  /** How many ask. */
  get incomingCount() {
    return this.#picture.people.incomingCount;
  }

  get outgoing() {
    return this.#picture.people.outgoing;
  }

  /** @returns {ReadonlyMap<string, number>} how far a friend has read the conversation with me */
  get peers() {
    return this.#picture.reads.peers;
  }

  /** What was written last in a conversation, by anybody. @param {Conversation} conversation */
  lastOf(conversation) {
    return this.isOpen(conversation) ? this.#picture.lasts.of(conversation) : null;
  }

  /** @returns {ReadonlyMap<string, string>} names of those who were friends, as far as this browser knows, by id */
  get former() {
    return this.#picture.people.former;
  }

  /** Unread messages of all conversations. */
  get unread() {
    return this.#picture.unread;
  }

  /** @param {Conversation} conversation */
  known(conversation) {
    return this.#picture.known(conversation);
  }

  /** @param {Conversation} conversation */
  unreadIn(conversation) {
    return this.#picture.unreadIn(conversation);
  }

  /** Whether one can write there: to all friends, or to one of them. @param {Conversation} conversation */
  isOpen(conversation) {
    return this.#picture.isOpen(conversation);
  }

  /** The user as known now, or as an event told. @param {Sender} user @returns {Sender} */
  current(user) {
    return this.#picture.current(user);
  }

  /** Show what was last there, until the server answers. @param {import('../last.js').Last} last */
  recall(last) {
    this.#picture.recall(last.friends, talksOf(last));
    this.wasConnected = true;
    this.#changed();
  }

  /** Load what is there, then follow from where it stood. @throws {import('../api.js').ApiError} when it could not be loaded */
  async start() {
    const { asked } = this.#picture;
    const [people, page, reads, lasts] = await Promise.all([
      this.#api.get('/api/friends'),
      this.#api.get(`/api/messages?${pageQuery(BROADCASTS, null)}`),
      this.#api.get('/api/read'),
      this.#api.get('/api/conversations'),
    ]);
    if (this.#stopped) return;
    this.chat.connect(this.#picture.begin(people, page, reads, lasts, asked));
    // It has no place in the order: only what is asked for now is no older than where the stream begins.
    ask(this.#refreshes.me);
    this.#changed();
  }

  /** For good: what is still being loaded leads to nothing. */
  stop() {
    this.#stopped = true;
    this.#leaving.abort();
    for (const timer of [this.#readTimer, this.#confirmTimer, this.#presenceTimer]) clearTimeout(timer);
    for (const refresh of Object.values(this.#refreshes)) refresh.stop();
    this.chat.disconnect();
  }

  /** Ask for friends and requests, once more where that is under way; resolves when it has been tried. */
  refresh() {
    return this.#refreshes.people.want();
  }

  /**
   * @param {string} path
   * @param {(answer: any, asked: import('../core/picture.js').Asked) => boolean} take
   */
  async #load(path, take) {
    const { asked } = this.#picture;
    const answer = await this.#api.get(path);
    if (this.#stopped) return true;
    const taken = take(answer, asked);
    this.#changed();
    return taken;
  }

  /** @param {import('../core/reads.js').ReadList} list @param {import('../core/picture.js').Asked} asked */
  #takeReads(list, asked) {
    const taken = this.#picture.takeReads(list, asked);
    this.#tellReads();
    return taken;
  }

  /**
   * Take an answer that has the own profile, unless the stream tells another one meanwhile.
   * @param {() => Promise<{user: User}>} request
   */
  async adoptProfile(request) {
    const { asked } = this.#picture;
    const { user } = await request();
    this.#picture.takeMe(user, asked);
    this.#changed();
  }

  /**
   * Read older messages, or the first page, also in the place of what a reset has left behind.
   * @param {Conversation} conversation
   * @param {number} [limit]
   * @returns {Promise<boolean>} false: there was no answer, or none of use
   */
  async loadOlder(conversation, limit = PAGE) {
    const picture = this.#picture;
    const known = picture.known(conversation);
    // Before the stream is followed a page might end where nothing goes on.
    if (!picture.begun || known.loading || (!known.empty && !known.live.more)) return true;
    const { asked } = picture;
    let taken = false;
    try {
      taken = await known.load((before) => this.#api.get(`/api/messages?${pageQuery(conversation, before, limit)}`),
        (timeline, page, before) => picture.takePage(timeline, page, before, asked));
    } catch {
      // No answer: who wanted it asks again.
    }
    this.#changed();
    return taken;
  }

  /**
   * All up to there has been seen.
   * @param {Conversation} conversation
   * @param {number} upTo the seq of the last message that was on the screen
   */
  markRead(conversation, upTo) {
    if (!this.#picture.reads.mark(keyOf(conversation), upTo)) return;
    this.#tellReads();
    this.#changed();
  }

  /** Tell the server how far was read, and again until it has confirmed it. */
  #tellReads() {
    const { reads } = this.#picture;
    if (this.#stopped || !reads.unconfirmed.length) return;
    clearTimeout(this.#readTimer);
    this.#readTimer = setTimeout(() => {
      for (const { conversation, upTo } of reads.unconfirmed) this.chat.read(conversation, upTo);
      clearTimeout(this.#confirmTimer);
      this.#confirmTimer = setTimeout(() => {
        if (reads.unconfirmed.length) ask(this.#refreshes.reads);
      }, CONFIRM_MS);
    }, READ_MS);
  }

  /** Nobody reads what is old: it can be loaded again. @param {Conversation} conversation */
  trim(conversation) {
    this.known(conversation).timeline.trim(KEEP);
  }

  /** @param {string} text */
  note(text) {
    this.notes = [{ id: ++this.#noteCount, text, afterSeq: this.#picture.lastSeq }];
    this.emit('note', text);
    this.#changed();
  }

  /** However much arrives, the views draw once a frame; a covered page gets no frames, but timers. */
  #changed() {
    if (this.#drawing || this.#stopped || this.#hushed) return;
    this.#drawing = true;
    const draw = () => {
      if (!this.#drawing) return;
      this.#drawing = false;
      this.emit('change', null);
    };
    if (document.visibilityState === 'visible') requestAnimationFrame(draw);
    setTimeout(draw, DRAW_MS);
  }

  /** While its person ends the login, what the connection says of it is no news. @param {boolean} hushed */
  hush(hushed) {
    this.#hushed = hushed;
    this.#stateChanged();
  }

  #stateChanged() {
    if (this.#hushed) return;
    const { state } = this.chat;
    const connected = state === 'connected';
    if (connected !== this.#told && state !== 'connecting') {
      this.#told = connected;
      this.wasConnected ||= connected;
      this.note(t(connected ? 'connection.connected' : 'connection.disconnected'));
      if (connected) this.#cameBack();
    }
    this.#changed();
  }

  #cameBack() {
    this.emit('connected', null);
    this.#tellReads();
    const { people } = this.#picture;
    const whole = people.wholeTurn;
    clearTimeout(this.#presenceTimer);
    this.#presenceTimer = setTimeout(() => {
      if (people.wholeTurn === whole) ask(this.#refreshes.people);
    }, PRESENCE_MS);
  }

  /** Something may have been missed: ask for everything. @param {ResetEvent} event */
  #reset({ seq }) {
    this.#picture.reset(seq);
    for (const refresh of Object.values(this.#refreshes)) ask(refresh);
    this.#changed();
  }

  /** @param {Exclude<ChatEvent, ResetEvent>} event */
  #apply(event) {
    const { people, reads, lasts, arrived } = this.#picture.apply(event);
    if (people) ask(this.#refreshes.people);
    if (reads) ask(this.#refreshes.reads);
    if (lasts) ask(this.#refreshes.lasts);
    if (event.type === 'message') this.#stopTyping(event.from.id);
    if (event.type === 'message' && arrived) this.emit('arrival', event);
    this.#changed();
  }

  /** @param {string} writer */
  #stopTyping(writer) {
    const typist = this.typists.get(writer);
    if (typist) clearTimeout(typist.timer);
    this.typists.delete(writer);
  }

  /** @param {Signal} signal */
  #signal(signal) {
    if (signal.type === 'presence') this.#picture.people.tell(signal);
    else if (signal.type === 'typing' && signal.from !== this.me.id) {
      this.#stopTyping(signal.from);
      const timer = setTimeout(() => {
        this.typists.delete(signal.from);
        this.#changed();
      }, TYPING_MS);
      this.typists.set(signal.from, { conversation: between(signal.from, signal.to ?? null, this.me.id), timer });
    } else return;
    this.#changed();
  }
}

/** @param {Conversation} conversation @param {number | null} before @param {number} [limit] */
function pageQuery(conversation, before, limit = PAGE) {
  const query = new URLSearchParams({ limit: String(limit), ...withOf(conversation) });
  if (before !== null) query.set('before', String(before));
  return query;
}
