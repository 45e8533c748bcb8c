// One conversation's messages on the screen: which are loaded, where one begins to read, what has been seen.

import { keyOf, same } from '../core/conversation.js';
import { writtenAt } from '../core/outbox.js';
import { t } from '../words.js';
import { arrange, attentive, h } from './dom.js';
import { Place } from './place.js';
import { RowView, dark, seqOf } from './rows.js';
import { asTimePasses, dayOf } from './time.js';

/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('../core/timeline.js').Row} Row */
/** @typedef {import('../core/conversation.js').Conversation} Conversation */

/** So near the top older messages are read, in heights of the scroller and in pixels at least. */
const OLDER_HEIGHTS = 1;
const OLDER_PX = 600;
/** A place further back is looked for in pages of this size, and in so many of them. */
const FAR_PAGE = 200;
const FAR_PAGES = 10;
/** Where one begins to read, a little of what was read before stands above, pixels. */
const CONTEXT_PX = 48;
/** Where there was no answer, it is asked for again after this time, doubled each time. */
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;

/**
 * Where one wants to read: at the line of new messages, or at a message that stood `top` below the upper edge.
 * @typedef {{seq: number, top: number | null}} Goal
 */

/**
 * Where one was reading in conversations that are not shown. `line` stood there above what was new: null, where all was read.
 * @type {WeakMap<Model, Map<string, Goal & {line: number | null}>>}
 */
const left = new WeakMap();

export class Stream {
  #model;
  #conversation;
  #list = h('ol', { class: 'rows' });
  /** @type {Map<string, RowView>} */
  #shown = new Map();
  /** @type {Place} */
  #place;
  #closing = new AbortController();
  /** @type {number | null} the new-message line stands after this seq */
  #line = null;
  #unread = 0;
  /** Whether it is known where one begins. */
  #begun = false;
  /** Whether messages have been shown. */
  #full = false;
  /** @type {Goal | null} */
  #goal = null;
  #farPages = 0;
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;

  /** @param {Model} model @param {Conversation} conversation */
  constructor(model, conversation) {
    this.#model = model;
    this.#conversation = conversation;
    this.box = h('div', { class: 'stream', role: 'region', tabIndex: 0, 'aria-label': t('chat.messages') }, this.#list);
    this.jump = h('button', { type: 'button', class: 'jump', hidden: true, onclick: () => this.toNewest() });
    this.#place = new Place(this.box, this.#list, (byReader) => this.#moved(byReader));
    const { signal } = this.#closing;
    const draw = () => this.draw();
    dark.addEventListener('change', draw, { signal });
    document.addEventListener('visibilitychange', draw, { signal });
    asTimePasses(draw, signal);
    addEventListener('focus', draw, { signal });
    model.addEventListener('change', draw, { signal });
    model.addEventListener('connected', () => this.#fill(true), { signal });
    this.draw();
  }

  /** It stands in the page now, and has its size. */
  begin() {
    this.draw();
  }

  close() {
    this.#remember();
    this.#closing.abort();
    clearTimeout(this.#retry);
    this.#place.close();
  }

  toNewest() {
    this.#goal = null;
    if (document.activeElement === this.jump) this.box.focus({ preventScroll: true });
    this.#place.toEnd();
    this.#after();
  }

  /** Whether somebody looks at these messages: another window, or on a phone the list, may be in front. */
  get #watched() {
    return attentive() && this.box.clientHeight > 0;
  }

  get #known() {
    return this.#model.known(this.#conversation);
  }

  /** Show what the model knows: rows that stay keep their elements. */
  draw() {
    if (this.#closing.signal.aborted) return;
    if (!this.#begun && this.#model.ready) this.#beginReading();
    const { timeline } = this.#known;
    // Loaded anew: what is shown stays until it has come.
    if (timeline.loaded || !this.#full) {
      this.#full = timeline.loaded;
      this.#markLine();
      const reading = this.#place.anchor;
      this.#place.keep(() => this.#arrange());
      if (reading && !reading.element.isConnected) this.#seek(reading);
    }
    this.#after();
  }

  #beginReading() {
    this.#begun = true;
    const { unread, readUpTo } = this.#known;
    const place = left.get(this.#model)?.get(keyOf(this.#conversation));
    this.#unread = unread;
    // Whoever left something unread below goes on where they were; what has come since begins at its line.
    if (place && (!unread || place.line !== null)) {
      this.#line = unread ? place.line : null;
      this.#goal = place;
    } else if (unread) {
      this.#line = readUpTo;
      this.#goal = { seq: readUpTo, top: null };
    }
  }

  /** What comes while nobody looks, or looks elsewhere, begins at the line. */
  #markLine() {
    const { unread, readUpTo } = this.#known;
    if (unread && !this.#unread && !(this.#watched && this.#place.follows)) this.#line = readUpTo;
    this.#unread = unread;
  }

  #arrange() {
    const rows = this.#known.timeline.rows({
      dayOf,
      readUpTo: this.#line,
      me: this.#model.me.id,
      outgoing: this.#model.chat.outbox.filter((one) => same(one.conversation, this.#conversation))
        .map((one) => ({ ...one, at: writtenAt(one) })),
      notes: this.#model.notes,
    });
    const views = rows.map((row) => {
      const view = this.#shown.get(row.key) ?? new RowView(row);
      view.draw(row, this.#model, this.#standing(row));
      return view;
    });
    this.#shown = new Map(rows.map(({ key }, place) => [key, views[place]]));
    arrange(this.#list, views.map(({ element }) => element));
    this.#place.stop = this.#unread && !this.#watched ? this.#shown.get('new')?.element ?? null : null;
  }

  /** How far an own message has come. @param {Row} row @returns {import('./rows.js').Standing} */
  #standing(row) {
    if (row.kind === 'outgoing') return row.entry.status;
    const { me, peers } = this.#model;
    if (row.kind !== 'message' || row.event.from.id !== me.id) return '';
    const conversation = this.#conversation;
    return conversation.kind === 'direct' && (peers.get(conversation.user) ?? 0) >= row.event.seq ? 'read' : 'sent';
  }

  /** @param {boolean} byReader */
  #moved(byReader) {
    // Whoever scrolls has chosen a place.
    if (byReader) this.#goal = null;
    this.#after();
  }

  #after() {
    this.#land();
    this.#fill();
    this.#seen();
  }

  /** What one was reading is not loaded any more: go back to where it stood. @param {{element: HTMLElement, top: number}} reading */
  #seek({ element, top }) {
    const { timeline } = this.#known;
    const seq = seqOf(element);
    if (seq === null || !timeline.more || seq >= (timeline.firstSeq ?? 0)) return;
    this.#farPages = 0;
    this.#goal = { seq, top };
  }

  #remember() {
    const places = left.get(this.#model) ?? new Map();
    left.set(this.#model, places);
    const reading = this.#place.anchor;
    const seq = reading && seqOf(reading.element);
    if (reading && seq !== null) places.set(keyOf(this.#conversation), { seq, top: reading.top, line: this.#unread ? this.#line : null });
    else places.delete(keyOf(this.#conversation));
  }

  #land() {
    const goal = this.#goal;
    const { timeline } = this.#known;
    if (!goal || !timeline.loaded || !this.box.clientHeight) return;
    const reached = !timeline.more || (timeline.firstSeq ?? 0) <= goal.seq || this.#farPages >= FAR_PAGES;
    if (!reached) return;
    const view = goal.top === null ? this.#shown.get('new')
      : [...this.#shown.values()].find(({ element }) => (seqOf(element) ?? 0) >= goal.seq);
    this.#goal = null;
    if (view) this.#place.land(view.element, goal.top ?? Math.min(CONTEXT_PX, this.box.clientHeight / 4));
  }

  get #nearTop() {
    const { clientHeight } = this.box;
    return clientHeight > 0 && this.#place.above < Math.max(OLDER_PX, clientHeight * OLDER_HEIGHTS);
  }

  /** Read what is missing, as long as something is. @param {boolean} [atOnce] without waiting after a failure */
  #fill(atOnce = false) {
    const { timeline, loading, empty } = this.#known;
    if (!this.#begun || this.#closing.signal.aborted) return;
    const wanted = empty || (timeline.more && (this.#goal !== null || this.#nearTop));
    this.#list.classList.toggle('seeking', this.#goal !== null && wanted && !this.#failures);
    if (!wanted || loading || (this.#retry && !atOnce)) return;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const far = !empty && this.#goal !== null;
    if (far) this.#farPages += 1;
    this.#model.loadOlder(this.#conversation, far ? FAR_PAGE : undefined).then((answered) => {
      this.#failures = answered ? 0 : this.#failures + 1;
      if (answered || this.#closing.signal.aborted) return;
      this.#retry = setTimeout(() => this.#fill(true), Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** (this.#failures - 1)));
    }).catch(() => {
      // It answers in words; the next change asks again.
    });
  }

  /** What has been on the screen, in a window that somebody looks at, has been seen. */
  #seen() {
    const { timeline, unread, readUpTo } = this.#known;
    const { follows } = this.#place;
    this.jump.hidden = follows;
    const words = unread ? t('message.newBelow', { count: unread }) : t('message.newest');
    if (this.jump.textContent !== words) this.jump.textContent = words;
    if (!this.#begun || this.#goal || !timeline.loaded || !this.#watched) return;
    let row = this.#place.lastSeen;
    while (row && seqOf(row) === null) row = row.previousElementSibling;
    const upTo = row ? seqOf(row) : timeline.length ? null : readUpTo;
    if (upTo !== null) this.#model.markRead(this.#conversation, upTo);
    if (follows) this.#model.trim(this.#conversation);
  }
}
