// Who asks for friendship, on top of the conversations: accepted there, or put aside, which tells nobody anything.

import { parts, t } from '../words.js';
import { actionButton, arrange, h } from './dom.js';

/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('../core/types.js').User} User */

/** So many stand there at once. */
const SHOWN_MAX = 3;
/** So many are remembered as put aside. */
const ASIDE_MAX = 500;

/** What was put aside in this browser, by account; without storage for as long as the page lives. */
class Aside {
  #name;
  /** @type {Set<string>} */
  #ids;

  /** @param {string} me */
  constructor(me) {
    this.#name = `chat.aside:${me}`;
    this.#ids = new Set(this.#load());
  }

  /** @returns {string[]} */
  #load() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.#name) ?? '[]');
      return Array.isArray(kept) ? kept.map(String) : [];
    } catch {
      return [];
    }
  }

  /** @param {string} id */
  has(id) {
    return this.#ids.has(id);
  }

  /** @param {string} id @param {readonly User[]} asking those that ask now: the others are forgotten */
  add(id, asking) {
    this.#ids = new Set([...asking.map((one) => one.id).filter((one) => this.#ids.has(one)), id].slice(-ASIDE_MAX));
    try {
      localStorage.setItem(this.#name, JSON.stringify([...this.#ids]));
    } catch {
      // It is remembered while the page lives.
    }
  }
}

export class Requests {
  #app;
  #model;
  #aside;
  #drawn = '';
  /** @type {Map<string, HTMLElement>} by the asking user's id */
  #items = new Map();
  #list = h('ul', {});
  #more = h('p', { class: 'hint' });

  /** @param {import('./app.js').App} app @param {Model} model */
  constructor(app, model) {
    this.#app = app;
    this.#model = model;
    this.#aside = new Aside(model.me.id);
    this.element = h('section', { class: 'asking', 'aria-label': t('list.asking'), hidden: true }, this.#list, this.#more);
  }

  draw() {
    const { incoming } = this.#model;
    const open = incoming.filter((user) => !this.#aside.has(user.id));
    const shown = open.slice(0, SHOWN_MAX);
    const rest = incoming.length - shown.length;
    const state = JSON.stringify([shown, rest]);
    if (state === this.#drawn) return;
    this.#drawn = state;
    this.element.hidden = !incoming.length;
    const items = new Map(shown.map((user) => [JSON.stringify(user), this.#items.get(JSON.stringify(user)) ?? this.#item(user)]));
    this.#items = items;
    arrange(this.#list, [...items.values()]);
    this.#more.hidden = rest === 0;
    this.#more.replaceChildren(h('a', { href: '#/friends' },
      t(shown.length ? 'list.moreRequests' : 'list.requestsAside', { count: rest })));
  }

  /** @param {User} user */
  #item(user) {
    const named = (/** @type {string} */ action) => ({ 'aria-label': t('friends.named', { action, name: user.name }) });
    const accept = actionButton(t('friends.accept'), async () => {
      await this.#app.api.put(`/api/friends/${encodeURIComponent(user.id)}`);
      await this.#model.refresh();
    }, { class: 'primary', ...named(t('friends.accept')) });
    const later = h('button', { type: 'button', ...named(t('list.notNow')) }, t('list.notNow'));
    later.addEventListener('click', () => {
      this.#aside.add(user.id, this.#model.incoming);
      this.draw();
    });
    return h('li', {},
      h('span', { class: 'who' }, parts('list.asks', { name: h('bdi', {}, user.name) })),
      Boolean(user.looksLike) && h('strong', { class: 'bad' }, t('friends.looksLike')),
      h('span', { class: 'row' }, accept, later));
  }
}
