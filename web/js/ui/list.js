// The conversations beside the stream: requests on top, a filter, and one row for each, the newest first.

import { readable } from '../core/color.js';
import { addressOf, keyOf } from '../core/conversation.js';
import { FILTER_FROM, initialsOf, matches, placeAfterKey, rowName, rowsOf } from '../core/list.js';
import { parts, t } from '../words.js';
import { arrange, h } from './dom.js';
import { Requests } from './requests.js';
import { shortOf } from './time.js';

/** @typedef {import('../core/conversation.js').Conversation} Conversation */
/** @typedef {import('../core/list.js').Row} Row */
/** @typedef {import('./model.js').Model} Model */

const dark = matchMedia('(prefers-color-scheme: dark)');

/** @param {Row} row */
const nameOf = (row) => rowName(row) || t('chat.all');

export class ConversationList {
  #model;
  #leave;
  #finding = false;
  /** @type {Conversation | null} */
  #open = null;
  /** @type {Map<string, RowElement>} */
  #rows = new Map();
  /** @type {RowElement[]} as they stand */
  #shown = [];
  #requests;
  #list = h('ul', { class: 'roll' });
  #none = h('p', { class: 'hint', role: 'status', hidden: true },
    parts('list.none', { find: h('a', { href: '#/friends' }, t('list.findPeople')) }));
  #empty = h('p', { class: 'quiet', hidden: true },
    parts('chat.noFriends', { find: h('a', { href: '#/friends' }, t('chat.findSome')) }));
  #filter = h('input', {
    type: 'search', id: 'find', autocomplete: 'off', dir: 'auto', maxLength: 100, hidden: true,
    placeholder: t('list.find'), 'aria-label': t('list.find'), 'aria-keyshortcuts': 'Control+K Meta+K',
  });

  /**
   * @param {import('./app.js').App} app
   * @param {Model} model
   * @param {() => void} leave called where somebody has done with the filter: back to writing
   */
  constructor(app, model, leave) {
    this.#model = model;
    this.#leave = leave;
    this.#requests = new Requests(app, model);
    this.#filter.addEventListener('input', () => this.draw(this.#open));
    this.#filter.addEventListener('keydown', (event) => this.#filterKey(event));
    this.#list.addEventListener('keydown', (event) => this.#listKey(event));
    this.#list.addEventListener('focusin', () => this.#rove());
    this.element = h('nav', { class: 'conversations', 'aria-label': t('chat.conversations') },
      this.#requests.element, this.#filter, this.#list, this.#none, this.#empty);
  }

  /** Open the filter, wherever one is. */
  find() {
    this.#finding = true;
    this.draw(this.#open);
    this.#filter.focus();
    this.#filter.select();
  }

  /** @param {Conversation | null} open the conversation that stands beside it */
  draw(open) {
    this.#open = open;
    const rows = this.#known();
    this.#filter.hidden = !this.#finding && rows.length < FILTER_FROM;
    const query = this.#filter.hidden ? '' : this.#filter.value;
    this.#shown = rows.filter((row) => matches(nameOf(row), query)).map((row) => this.#draw(row));
    arrange(this.#list, this.#shown.map(({ element }) => element));
    const keys = new Set(rows.map((row) => row.key));
    for (const key of this.#rows.keys()) if (!keys.has(key)) this.#rows.delete(key);
    this.#none.hidden = this.#shown.length > 0;
    this.#empty.hidden = !this.#model.ready || this.#model.friends.size > 0;
    this.#requests.draw();
    this.#rove();
  }

  #known() {
    const model = this.#model;
    return rowsOf({
      me: model.me.id,
      friends: model.friends.values(),
      left: this.#left(),
      unreadIn: (conversation) => model.unreadIn(conversation),
      lastOf: (conversation) => model.lastOf(conversation),
      // What one is writing beside it one sees there; where it leads to nobody, it is why there is a row.
      draftOf: (conversation) => (this.#open && keyOf(this.#open) === keyOf(conversation) && model.isOpen(conversation)
        ? '' : model.written.draft(conversation)),
      outgoing: model.chat.outbox,
      nameOf: (id, name) => model.current({ id, name, color: '' }).name,
    });
  }

  /** What is not sent has a way back to it, whoever has left. */
  #left() {
    const model = this.#model;
    if (!model.wasConnected) return [];
    return model.written.conversations.filter((one) => !model.isOpen(one))
      .map(keyOf).map((id) => ({ id, name: model.former.get(id) ?? t('chat.nobody') }));
  }

  /** @param {Row} row */
  #draw(row) {
    const found = this.#rows.get(row.key) ?? new RowElement(row);
    this.#rows.set(row.key, found);
    found.draw(row, this.#open !== null && keyOf(this.#open) === row.key);
    return found;
  }

  /** One row is a stop of the Tab key; the arrows lead to the others. */
  #rove() {
    const links = this.#shown.map(({ link }) => link);
    const stop = links.find((link) => link === document.activeElement)
      ?? links.find((link) => link.getAttribute('aria-current')) ?? links[0];
    for (const link of links) link.tabIndex = link === stop ? 0 : -1;
  }

  /** @param {KeyboardEvent} event */
  #listKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.#shown.findIndex(({ link }) => link === document.activeElement);
    if (event.key === 'ArrowUp' && at === 0 && !this.#filter.hidden) this.#filter.focus();
    else this.#goTo(placeAfterKey(event.key, at, this.#shown.length), event);
    if (event.key === 'Escape') this.#leave();
  }

  /** @param {KeyboardEvent} event */
  #filterKey(event) {
    if (event.isComposing) return;
    if (event.key === 'ArrowDown') this.#goTo(this.#shown.length ? 0 : null, event);
    if (event.key === 'Enter' && this.#shown.length) {
      this.#end();
      this.#shown[0].link.click();
      this.#leave();
    }
    if (event.key === 'Escape') {
      event.preventDefault();
      this.#end();
      this.#leave();
    }
  }

  /** The filter has done its work. */
  #end() {
    const [first] = this.#shown;
    this.#filter.value = '';
    this.#finding = false;
    this.draw(this.#open);
    // What was found stays the first choice, whatever stands first without the filter.
    if (first) this.#shown = [first, ...this.#shown.filter((row) => row !== first)];
  }

  /** @param {number | null} at @param {KeyboardEvent} event */
  #goTo(at, event) {
    if (at === null) return;
    event.preventDefault();
    this.#shown[at].link.focus();
  }
}

/** One conversation. Its element stays while what it says changes. */
class RowElement {
  #state = '';
  #disc = h('span', { class: 'disc', 'aria-hidden': 'true' });
  #name = h('bdi', { class: 'name' });
  #presence = h('span', { class: 'unseen' });
  #dot = h('span', { class: 'dot', 'aria-hidden': 'true' });
  #time = h('time', {});
  #line = h('span', { class: 'last', dir: 'auto' });
  #badge = h('span', { class: 'badge' });

  /** @param {Row} row */
  constructor({ conversation, key }) {
    this.link = h('a', { href: addressOf(conversation) },
      h('span', { class: 'face' }, this.#disc, key && this.#dot),
      h('span', { class: 'first' }, this.#name, this.#presence, this.#time),
      h('span', { class: 'second' }, this.#line, this.#badge));
    this.element = h('li', {}, this.link);
  }

  /** @param {Row} row @param {boolean} open */
  draw(row, open) {
    if (open) this.link.setAttribute('aria-current', 'page');
    else this.link.removeAttribute('aria-current');
    const when = row.at ? shortOf(row.at) : '';
    const state = JSON.stringify([row, when, dark.matches]);
    if (state === this.#state) return;
    this.#state = state;
    const { friend } = row;
    this.#name.textContent = nameOf(row);
    this.#disc.textContent = initialsOf(nameOf(row));
    this.#dot.hidden = !friend;
    if (friend) {
      this.#name.style.color = readable(friend.color, dark.matches ? '#1f2229' : '#f4f5f7');
      this.#disc.style.backgroundColor = readable(friend.color, '#ffffff');
      this.#dot.classList.toggle('online', friend.online);
      this.#dot.title = t(friend.online ? 'presence.online' : 'presence.offline');
      this.#presence.textContent = t('list.pause', { words: this.#dot.title });
    } else {
      for (const part of [this.#name, this.#disc]) part.removeAttribute('style');
      this.#presence.textContent = row.left === null ? '' : t('list.pause', { words: t('presence.stranger') });
    }
    this.#time.textContent = when;
    if (row.at) this.#time.dateTime = new Date(row.at).toISOString();
    this.#line.dataset.kind = row.kind;
    this.#line.replaceChildren(h('span', { class: 'unseen' }, t('list.pause', { words: '' })), ...lineOf(row));
    this.#badge.hidden = row.unread === 0;
    this.#badge.replaceChildren(String(row.unread), h('span', { class: 'unseen' }, t('badge.unread')));
  }
}

/** @param {Row} row @returns {(string | Node)[]} what was written last, and by whom */
function lineOf({ kind, line, own, from }) {
  const text = h('bdi', {}, line);
  if (!kind) return [t('list.nothing')];
  if (kind === 'draft') return parts('list.draft', { line: text });
  if (kind === 'failed') return parts('list.failed', { line: text });
  if (kind === 'waiting') return parts('list.waiting', { line: text });
  if (own) return parts('list.you', { line: text });
  return from ? parts('list.other', { name: h('bdi', {}, from), line: text }) : [text];
}
