// One conversation's messages on the screen.

import { readable } from '../core/color.js';
import { same } from '../core/conversation.js';
import { splitLinks } from '../core/links.js';
import { dayOf, h, timeOf } from './dom.js';

/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('../core/timeline.js').Row} Row */

/** So near the bottom the view follows new messages, pixels. */
const NEAR_PX = 60;
/** So near the top older messages are read, pixels. */
const OLDER_PX = 300;

const dark = matchMedia('(prefers-color-scheme: dark)');
/** What names stand on, as style.css has it. @param {boolean} own */
const background = (own) => (dark.matches ? (own ? '#1c2927' : '#16181d') : (own ? '#eef4f2' : '#ffffff'));

export class Stream {
  #model;
  #conversation;
  #list = h('ol', { class: 'rows' });
  /** @type {Map<string, {element: HTMLElement, mark: string}>} */
  #shown = new Map();
  #follows = true;
  #arrived = 0;
  #scrolledTo = 0;
  #closing = new AbortController();
  #resizes;
  /** @type {number | null} the new-message line's place, fixed while the view is open */
  #line;

  /** @param {Model} model @param {import('../core/conversation.js').Conversation} conversation */
  constructor(model, conversation) {
    this.#model = model;
    this.#conversation = conversation;
    const known = model.known(conversation);
    this.#line = known.unread ? known.readUpTo : null;
    this.box = h('div', { class: 'stream', role: 'region', tabIndex: 0, 'aria-label': 'Messages' }, this.#list);
    this.jump = h('button', { type: 'button', class: 'jump', hidden: true, onclick: () => this.toNewest() });
    const { signal } = this.#closing;
    this.box.addEventListener('scroll', () => this.#scrolled(), { signal, passive: true });
    dark.addEventListener('change', () => this.draw(), { signal });
    document.addEventListener('visibilitychange', () => this.#seen(), { signal });
    model.addEventListener('change', () => this.draw(), { signal });
    model.addEventListener('arrival', () => this.#arrival(), { signal });
    model.addEventListener('reload', () => this.#older(), { signal });
    this.#resizes = new ResizeObserver(() => this.#stick());
    this.#resizes.observe(this.box);
    this.draw();
    if (!known.timeline.loaded) this.#older();
  }

  close() {
    this.#closing.abort();
    this.#resizes.disconnect();
  }

  toNewest() {
    this.#follows = true;
    this.#stick();
    this.#seen();
  }

  /** Show what the model knows: rows that stay keep their elements. */
  draw() {
    const { timeline } = this.#model.known(this.#conversation);
    const rows = timeline.rows({
      dayOf,
      readUpTo: this.#line,
      me: this.#model.me.id,
      outgoing: this.#model.chat.outbox.filter((one) => same(one.conversation, this.#conversation)),
      notes: this.#model.notes,
    });
    const height = this.box.scrollHeight;
    const firstKey = this.#list.firstElementChild?.id;
    this.#place(rows);
    if (this.#follows) this.#stick();
    else if (this.#list.firstElementChild?.id !== firstKey) {
      // Older messages came in above: what was being read stays where it is.
      this.box.scrollTop += this.box.scrollHeight - height;
    }
    this.#seen();
  }

  /** @param {Row[]} rows */
  #place(rows) {
    const next = new Map();
    let place = this.#list.firstElementChild;
    for (const row of rows) {
      const mark = this.#markOf(row);
      let shown = this.#shown.get(row.key);
      if (!shown || shown.mark !== mark) {
        const element = this.#make(row);
        element.id = row.key;
        if (shown?.element === place) place = place?.nextElementSibling ?? null;
        shown?.element.remove();
        shown = { element, mark };
      }
      next.set(row.key, shown);
      if (shown.element === place) place = place.nextElementSibling;
      else this.#list.insertBefore(shown.element, place);
    }
    for (const [key, { element }] of this.#shown) if (!next.has(key)) element.remove();
    this.#shown = next;
  }

  /** What a row's looks depend on: another mark, another element. @param {Row} row */
  #markOf(row) {
    if (row.kind === 'outgoing') return row.entry.status;
    if (row.kind !== 'message') return '';
    const { name, color } = this.#model.current(row.event.from);
    return `${row.follows}|${dark.matches}|${color}|${this.#standing(row.event)}|${name}`;
  }

  /** How far an own message has come. @param {import('../core/types.js').MessageEvent} event */
  #standing(event) {
    const { me, peers } = this.#model;
    const conversation = this.#conversation;
    if (event.from.id !== me.id) return '';
    return conversation.kind === 'direct' && (peers.get(conversation.user) ?? 0) >= event.seq ? 'read' : 'sent';
  }

  /** @param {Row} row @returns {HTMLElement} */
  #make(row) {
    if (row.kind === 'day') return h('li', { class: 'day' }, h('span', {}, row.day));
    if (row.kind === 'new') return h('li', { class: 'line' }, h('span', {}, 'New messages'));
    if (row.kind === 'note') return h('li', { class: 'note' }, row.text);
    if (row.kind === 'outgoing') return this.#outgoing(row.entry);
    const { event, follows } = row;
    const standing = this.#standing(event);
    const user = this.#model.current(event.from);
    return h('li', { class: `message${follows ? ' follows' : ''}${standing ? ' own' : ''}` },
      name(user, Boolean(standing)), ' ', textOf(event.text),
      h('span', { class: 'meta' },
        h('time', { dateTime: new Date(event.at).toISOString(), title: dayOf(event.at) }, timeOf(event.at)),
        standing && mark(standing)));
  }

  /** @param {import('../core/types.js').Outgoing} entry */
  #outgoing({ clientId, text, status, error }) {
    const { chat, me } = this.#model;
    const failed = status === 'failed';
    return h('li', { class: `message own ${status}` },
      name(me, true), ' ', textOf(text),
      h('span', { class: 'meta' }, failed ? '' : mark('pending')),
      failed && h('span', { class: 'failure', role: 'alert' }, `Not sent: ${error} `,
        h('button', { type: 'button', class: 'link', onclick: () => chat.retry(clientId) }, 'Try again'), ' ',
        h('button', { type: 'button', class: 'link', onclick: () => chat.discard(clientId) }, 'Discard')));
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    const gap = scrollHeight - scrollTop - clientHeight;
    // Growing content also scrolls; only a movement up by the reader ends the following.
    if (gap < NEAR_PX) this.#follows = true;
    else if (scrollTop < this.#scrolledTo - 2) this.#follows = false;
    this.#scrolledTo = scrollTop;
    if (scrollTop < OLDER_PX && !this.#follows) this.#older();
    this.#seen();
  }

  #stick() {
    if (!this.#follows) return;
    this.box.scrollTop = this.box.scrollHeight;
    this.#scrolledTo = this.box.scrollTop;
    // A first page that does not fill the screen leaves nothing to scroll.
    const { timeline } = this.#model.known(this.#conversation);
    if (timeline.loaded && timeline.more && this.box.scrollHeight <= this.box.clientHeight) this.#older();
  }

  #older() {
    this.#model.loadOlder(this.#conversation).catch(() => {
      // The next scroll asks again.
    });
  }

  #arrival() {
    if (!this.#follows) this.#arrived += 1;
  }

  /** Following, in a visible page: it has been seen. */
  #seen() {
    if (this.#follows) this.#arrived = 0;
    this.jump.hidden = this.#follows;
    this.jump.textContent = this.#arrived ? `${this.#arrived} new ↓` : 'Jump to newest ↓';
    const known = this.#model.known(this.#conversation);
    const visible = document.visibilityState === 'visible';
    if (visible && this.#follows && known.timeline.loaded) this.#model.markRead(this.#conversation);
    else if (!visible && this.#line === null && known.unread === 0) {
      this.#line = known.timeline.lastSeq;
    }
  }
}

/** @param {import('../core/types.js').Sender} user @param {boolean} own */
function name(user, own) {
  const element = h('span', { class: 'name' }, user.name);
  element.style.color = readable(user.color, background(own));
  return element;
}

/** @param {string} text */
function textOf(text) {
  return h('span', { class: 'text', dir: 'auto' }, splitLinks(text).map(({ text: words, href }) => (
    href ? h('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow ugc' }, words) : words)));
}

const SIGNS = { pending: '…', sent: '✓', read: '✓✓' };

/** @param {keyof typeof SIGNS} standing */
function mark(standing) {
  const sign = SIGNS[standing];
  return h('span', { class: `mark ${standing}`, title: standing },
    h('span', { 'aria-hidden': 'true' }, sign), h('span', { class: 'unseen' }, standing));
}
