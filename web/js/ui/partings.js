// Friendships that end in some seconds: asked before, and told with a way back for as long as there is one. The server
// keeps what was wished, so a page that closes changes nothing.

import { parts, t, wordsOf } from '../words.js';
import { ask } from './ask.js';
import { arrange, h, notice, say } from './dom.js';

/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('../core/types.js').User} User */

/** So long an end can be taken back. */
export const UNDO_S = 10;

/** @param {User} user */
export const friendPath = (user) => `/api/friends/${encodeURIComponent(user.id)}`;

/**
 * Ask, and end the friendship in ten seconds.
 * @param {import('../api.js').Api} api @param {Model} model @param {User} user
 */
export async function endFriendship(api, model, user) {
  const { name } = user;
  if (!await ask(t('ending.ask', { name }), t('ending.lost', { name, count: UNDO_S }), t('ending.end'))) return;
  await api.delete(`${friendPath(user)}?delay=${UNDO_S}`);
  await model.refresh();
}

/**
 * Be friends as before.
 * @param {import('../api.js').Api} api @param {Model} model @param {User} user
 */
export async function stayFriends(api, model, user) {
  const { relation } = await api.put(friendPath(user));
  await model.refresh();
  say(t(relation === 'friend' ? 'ending.kept' : 'ending.late', { name: user.name }));
}

/** A line for each friendship that ends, over every view. */
export class PartingBars {
  #api;
  #model;
  /** @type {Map<string, {element: HTMLElement, words: HTMLElement, endAt: number}>} by the friend's id */
  #bars = new Map();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  element = h('div', { class: 'bars' });

  /** @param {import('../api.js').Api} api @param {Model} model */
  constructor(api, model) {
    this.#api = api;
    this.#model = model;
  }

  draw() {
    const ending = [...this.#model.friends.values()].filter((friend) => friend.endsIn !== undefined);
    for (const id of this.#bars.keys()) if (!ending.some((friend) => friend.id === id)) this.#bars.delete(id);
    for (const friend of ending) if (!this.#bars.has(friend.id)) this.#add(friend);
    this.#tick();
    clearInterval(this.#timer);
    if (this.#bars.size) this.#timer = setInterval(() => this.#tick(), 1000);
  }

  close() {
    clearInterval(this.#timer);
    this.element.remove();
  }

  /** @param {import('../core/people.js').Friend} friend */
  #add(friend) {
    const words = h('span', {});
    const undo = h('button', { type: 'button', 'aria-label': t('friends.named', { action: t('ending.undo'), name: friend.name }) },
      t('ending.undo'));
    undo.addEventListener('click', () => {
      undo.disabled = true;
      stayFriends(this.#api, this.#model, friend).catch((error) => {
        undo.disabled = false;
        notice(wordsOf(error));
      });
    });
    const element = h('p', { class: 'bar' }, words, undo);
    this.#bars.set(friend.id, { element, words, endAt: Date.now() + (friend.endsIn ?? 0) * 1000 });
    say(t('ending.told', { name: friend.name, count: friend.endsIn ?? 0 }));
  }

  /** Each second says how many are left; the last line stays until the server has done it. */
  #tick() {
    arrange(this.element, [...this.#bars.values()].map(({ element }) => element));
    for (const [id, { words, endAt }] of this.#bars) {
      const name = this.#model.friends.get(id)?.name ?? '';
      const count = Math.max(0, Math.ceil((endAt - Date.now()) / 1000));
      words.replaceChildren(...parts('ending.runs', { name: h('bdi', {}, name), count }));
    }
  }
}
