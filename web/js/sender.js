// Gets messages out: one at a time and in order, over whatever way lives, until the server has each
// or refuses it. A message keeps its clientId on every way, so it is posted once however often it is
// sent. An answer that does not come is told to whoever keeps the connection, and a connection that
// is new is tried at once: no way is held to be dead because another one was.

import { ApiError } from './api.js';
import { retryWaitMs } from './core/backoff.js';
import { BROADCASTS, toOf } from './core/conversation.js';
import { stopOfRefusal } from './core/endings.js';
import { Outbox } from './core/outbox.js';
import { mended } from './core/text.js';
import { randomId } from './ids.js';

/** @typedef {import('./core/conversation.js').Conversation} Conversation */
/** @typedef {import('./core/types.js').Outgoing} Outgoing */

/** An answer that has not come after this time makes the connection doubtful. */
const DOUBT_MS = 4_000;
/** A socket that lives and does not acknowledge gets so long; then the message goes over HTTP as well. */
const ACK_MS = 12_000;
/** What an HTTP answer may take: the browser may have picked a connection that is dead, and another is not. */
const ANSWER_MS = 5_000;
/** A request that is older than this is given up for a way that is new. */
const FRESH_MS = 1_000;
/** What another tab wrote, this one sends after so long: that tab may be closed, or asleep. */
const FOREIGN_MS = 10_000;
/** What an error frame's code would be as an answer's status; any other is the message's own fault. */
const STATUS = new Map([['rate_limited', 429], ['unavailable', 503], ['unauthenticated', 401]]);

/**
 * What a Sender needs of its client.
 * @typedef {object} Ways
 * @property {import('./api.js').Api} api
 * @property {(frame: object) => boolean} frame false: nothing live carries frames
 * @property {() => number} aheadMs how much later it is at the server
 * @property {() => boolean} leads whether this tab sends what another one left
 * @property {() => void} doubt an answer is missing: the connection may be dead
 * @property {(seq: number) => void} posted over HTTP: its event is due on the connection
 * @property {(sent: import('./core/types.js').Sent) => void} sent
 * @property {() => void} changed
 * @property {(reason: string) => void} stop
 */

/** @typedef {{clientId: string, framed: boolean, at: number, abort: AbortController}} UnderWay */

export class Sender {
  #ways;
  #writer;
  #outbox;
  #going = false;
  /** @type {UnderWay | null} the message under way */
  #underWay = null;
  #failures = 0;
  /** The live socket has let a message wait too long, though it lives. */
  #mistrusts = false;
  /** The server has said how long to wait. */
  #told = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Ways} ways @param {Outgoing[]} [entries] @param {string} [writer] this tab, as `by` names it */
  constructor(ways, entries, writer = '') {
    this.#ways = ways;
    this.#writer = writer;
    this.#outbox = new Outbox(entries);
  }

  get entries() {
    return this.#outbox.entries;
  }

  begin() {
    this.#going = true;
    this.pump();
  }

  /** Nothing goes on after this but a request that is under way. */
  end() {
    this.#going = false;
    this.#told = false;
    clearTimeout(this.#timer);
    if (this.#underWay?.framed) this.#underWay = null;
  }

  /**
   * @param {string} text
   * @param {Conversation} [conversation]
   * @returns {string} the message's clientId
   * @throws {RangeError} when too many messages wait already
   */
  add(text, conversation = BROADCASTS) {
    const clientId = randomId();
    const by = this.#writer ? { by: this.#writer } : {};
    const aheadMs = this.#ways.aheadMs();
    this.#outbox.add({ clientId, text: mended(text), conversation, at: Date.now(), ...(aheadMs && { aheadMs }), ...by });
    this.#changed();
    return clientId;
  }

  /** @param {string} clientId */
  retry(clientId) {
    this.#outbox.retry(clientId);
    this.#changed();
  }

  /** @param {string} clientId */
  discard(clientId) {
    this.#outbox.discard(clientId);
    this.#changed();
  }

  /** Another tab wrote it, or has changed it. @param {Outgoing} entry */
  adopt(entry) {
    if (this.#underWay?.clientId === entry.clientId) return;
    this.#outbox.adopt(entry);
    this.#changed();
  }

  /** Another tab has got it out, or given it up. @param {string} clientId */
  forgo(clientId) {
    if (this.confirm(clientId)) this.#changed();
  }

  /** What carries is another than before: what the old one had to answer is sent again. @param {boolean} live */
  wayChanged(live) {
    const way = this.#underWay;
    if (way && (way.framed || (live && performance.now() - way.at > FRESH_MS))) {
      this.#underWay = null;
      way.abort.abort();
      clearTimeout(this.#timer);
    }
    this.#mistrusts = false;
    if (!live) return;
    this.#failures = 0;
    this.pump();
  }

  /** It is at the server. @param {string} clientId @returns {boolean} whether it was here */
  confirm(clientId) {
    if (this.#underWay?.clientId === clientId) {
      this.#underWay = null;
      clearTimeout(this.#timer);
    }
    this.#failures = 0;
    queueMicrotask(() => this.pump());
    return this.#outbox.confirm(clientId);
  }

  /** @param {{clientId: string, seq: number, at: number}} ack */
  acknowledged({ clientId, seq, at }) {
    const entry = this.#outbox.find(clientId);
    this.confirm(clientId);
    if (!entry) return;
    this.#ways.sent({ clientId, seq, at, text: entry.text, conversation: entry.conversation });
    this.#changed();
  }

  /** An error frame. @param {import('./core/types.js').Refusal} refusal */
  refusedFrame(refusal) {
    const way = this.#underWay;
    if (!way || way.clientId !== refusal.clientId) return;
    this.#refused(way, new ApiError(STATUS.get(refusal.code) ?? 422, refusal));
  }

  /** Send the oldest waiting message, if none is under way: one at a time keeps their order. */
  pump() {
    if (this.#underWay || !this.#going || this.#told) return;
    const waiting = this.#outbox.waiting.map((entry) => ({ entry, ripeMs: this.#ripeMs(entry) }));
    if (!waiting.length) return;
    clearTimeout(this.#timer);
    const entry = waiting.find(({ ripeMs }) => ripeMs <= 0)?.entry;
    if (!entry) {
      this.#later(() => this.pump(), Math.min(...waiting.map(({ ripeMs }) => ripeMs)));
      return;
    }
    const { clientId, text, conversation } = entry;
    const body = { text, ...toOf(conversation), clientId };
    const way = { clientId, framed: false, at: performance.now(), abort: new AbortController() };
    this.#underWay = way;
    way.framed = !this.#mistrusts && this.#ways.frame({ type: 'send', ...body });
    if (way.framed) this.#await(way);
    else this.#post(way, body).catch(() => this.#wait(ANSWER_MS));
  }

  /** In how many milliseconds it may be sent from here. @param {Outgoing} entry */
  #ripeMs({ by, at }) {
    if (!by || by === this.#writer) return 0;
    return this.#ways.leads() ? Math.min(FOREIGN_MS, at + FOREIGN_MS - Date.now()) : FOREIGN_MS;
  }

  /** @param {UnderWay} way */
  #await(way) {
    this.#later(() => {
      this.#ways.doubt();
      this.#later(() => {
        if (this.#underWay !== way) return;
        this.#mistrusts = true;
        this.#underWay = null;
        this.pump();
      }, ACK_MS - DOUBT_MS);
    }, DOUBT_MS);
  }

  /** @param {UnderWay} way @param {object} body */
  async #post(way, body) {
    const doubt = setTimeout(() => this.#ways.doubt(), DOUBT_MS);
    const limit = setTimeout(() => way.abort.abort(), ANSWER_MS);
    try {
      const ack = await this.#ways.api.request('POST', '/api/messages', body, { signal: way.abort.signal });
      this.acknowledged(ack);
      this.#ways.posted(ack.seq);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#refused(way, error);
    } finally {
      clearTimeout(doubt);
      clearTimeout(limit);
    }
  }

  /** @param {UnderWay} way @param {ApiError} error */
  #refused(way, error) {
    if (this.#underWay !== way) return;
    this.#underWay = null;
    const stop = stopOfRefusal(error);
    // It stays in the outbox, for when its writer is signed in.
    if (stop) {
      this.#ways.stop(stop);
      return;
    }
    if (error.passing) {
      if (!error.status) this.#ways.doubt();
      this.#failures += 1;
      this.#told = error.retryAfterMs !== undefined;
      this.#wait((error.retryAfterMs ?? 0) + retryWaitMs(this.#failures, Math.random()));
      return;
    }
    this.#outbox.fail(way.clientId, error.message);
    this.#changed();
  }

  #changed() {
    this.#ways.changed();
    this.pump();
  }

  /** @param {number} ms */
  #wait(ms) {
    this.#later(() => {
      this.#told = false;
      this.pump();
    }, ms);
  }

  /** @param {() => void} call @param {number} ms */
  #later(call, ms) {
    if (!this.#going) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(call, ms);
  }
}
