// The rows of a stream as elements. A row that changes keeps its element, and its text: what is selected
// in it stays selected, what has the focus keeps it, and nothing moves.

import { readable } from '../core/color.js';
import { splitLinks } from '../core/links.js';
import { said, t } from '../words.js';
import { h } from './dom.js';
import { dayOf, dayWords, timeOf } from './time.js';

/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('../core/timeline.js').Row} Row */
/** @typedef {Extract<Row, {kind: 'message' | 'outgoing'}>} Written */
/** @typedef {import('../core/types.js').Outgoing} Outgoing */

/** @typedef {'pending' | 'failed' | 'sent' | 'read' | ''} Standing how far an own message has come; '': of another */

export const dark = matchMedia('(prefers-color-scheme: dark)');
/** What names stand on, as style.css has it. @param {boolean} own */
const background = (own) => (dark.matches ? (own ? '#1c2927' : '#16181d') : (own ? '#eef4f2' : '#ffffff'));

/** @param {Element} element a row's @returns {number | null} the message's place in the order */
export function seqOf(element) {
  const seq = element instanceof HTMLElement ? element.dataset.seq : undefined;
  return seq ? Number(seq) : null;
}

/** One row on the screen. */
export class RowView {
  element;
  #name = h('bdi', { class: 'name' });
  #meta = h('span', { class: 'meta' });
  #looks = '';

  /** @param {Row} row */
  constructor(row) {
    this.element = row.kind === 'message' || row.kind === 'outgoing'
      ? h('li', { class: 'message' }, this.#name, ' ', textOf(row.kind === 'message' ? row.event.text : row.entry.text), this.#meta)
      : makeLine(row);
    this.element.id = row.key;
  }

  /** Show what is known now. @param {Row} row @param {Model} model @param {Standing} standing */
  draw(row, model, standing) {
    if (row.kind === 'day') this.#drawDay(row.at);
    if (row.kind !== 'message' && row.kind !== 'outgoing') return;
    const { name, color } = row.kind === 'message' ? model.current(row.event.from) : model.me;
    const at = row.kind === 'message' ? row.event.at : row.entry.at;
    const seq = row.kind === 'message' ? row.event.seq : 0;
    const waits = standing === 'pending' && model.chat.state !== 'connected';
    const looks = JSON.stringify([row.follows, dark.matches, standing, name, color, at, seq, waits]);
    if (looks === this.#looks) return;
    this.#looks = looks;
    if (seq) this.element.dataset.seq = String(seq);
    this.element.className = ['message', row.follows && 'follows', standing && 'own',
      (standing === 'pending' || standing === 'failed') && standing, waits && 'waits'].filter(Boolean).join(' ');
    if (this.#name.textContent !== name) this.#name.textContent = name;
    this.#name.style.color = readable(color, background(Boolean(standing)));
    this.#meta.replaceChildren(
      h('time', { dateTime: new Date(at).toISOString(), title: dayOf(at) }, timeOf(at)),
      ...(standing && standing !== 'failed' ? [mark(standing)] : []), waits ? ` ${t('message.waits')}` : '');
    this.element.querySelector('.failure')?.remove();
    if (row.kind === 'outgoing' && standing === 'failed') this.element.append(failure(row.entry, model));
  }

  /** What was today is yesterday some time. @param {number} at */
  #drawDay(at) {
    const words = dayWords(at);
    const label = /** @type {HTMLElement} */ (this.element.firstElementChild);
    if (label.textContent === words) return;
    label.textContent = words;
    label.title = dayOf(at);
  }
}

/** @param {Exclude<Row, Written>} row */
function makeLine(row) {
  if (row.kind === 'day') return h('li', { class: 'day' }, h('span', {}));
  if (row.kind === 'new') return h('li', { class: 'line' }, h('span', {}, t('message.new')));
  return h('li', { class: 'note' }, row.text);
}

/** @param {Outgoing} entry @param {Model} model */
function failure({ clientId, error }, { chat, written }) {
  return h('span', { class: 'failure', role: 'alert' }, t('message.notSent', { reason: said(error ?? '') }),
    h('button', { type: 'button', class: 'link', onclick: () => chat.retry(clientId) }, t('message.again')), ' ',
    h('button', { type: 'button', class: 'link', onclick: () => written.edit(clientId) }, t('message.edit')), ' ',
    h('button', { type: 'button', class: 'link', onclick: () => chat.discard(clientId) }, t('message.discard')));
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
  const word = t(`message.${standing}`);
  return h('span', { class: `mark ${standing}`, title: word },
    h('span', { 'aria-hidden': 'true' }, sign), h('span', { class: 'unseen' }, word));
}
