// Find friends: search, ask, accept, decline, end, block.

import { addressOf, direct } from '../core/conversation.js';
import { actionButton, h } from './dom.js';

/** @typedef {import('../core/types.js').User} User */
/** @typedef {import('../core/types.js').Relation} Relation */

const SEARCH_MS = 200;

/** @param {User} user @param {(Node | string | false)[]} actions */
const person = (user, actions) => h('li', {}, h('span', { class: 'who' }, user.name),
  Boolean(user.looksLike) && h('strong', { class: 'bad' }, 'Looks like a friend of yours, and is somebody else.'),
  h('span', { class: 'row' }, actions));

/** What one can do about another; after each the page shows what is true then. */
class Actions {
  #api;
  #after;

  /** @param {import('../api.js').Api} api @param {() => Promise<unknown>} after */
  constructor(api, after) {
    this.#api = api;
    this.#after = after;
  }

  /** @param {User} user @param {Relation} relation */
  buttons(user, relation) {
    if (relation === 'friend') return [this.#end(user, 'End'), this.#block(user)];
    if (relation === 'incoming') return [this.#ask(user, 'Accept'), this.#end(user, 'Decline'), this.#block(user)];
    if (relation === 'outgoing') return [this.#end(user, 'Withdraw')];
    return [this.#ask(user, 'Ask'), this.#block(user)];
  }

  /** @param {User} user */
  unblock(user) {
    return this.#button('Unblock', user, () => this.#api.delete(blockPath(user)));
  }

  /** @param {User} user @param {string} word */
  #ask(user, word) {
    return this.#button(word, user, () => this.#api.put(friendPath(user)), 'primary');
  }

  /** @param {User} user @param {string} word */
  #end(user, word) {
    return this.#button(word, user, () => this.#api.delete(friendPath(user)));
  }

  /** @param {User} user */
  #block(user) {
    return this.#button('Block', user, async () => {
      const sure = confirm(`Block ${user.name}? This ends the friendship, and ${user.name} finds you no more.`);
      if (sure) await this.#api.put(blockPath(user));
    });
  }

  /** @param {string} word @param {User} user @param {() => Promise<unknown>} request @param {string} [kind] */
  #button(word, user, request, kind) {
    return actionButton(word, async () => {
      await request();
      await this.#after();
    }, { class: kind, 'aria-label': `${word} ${user.name}` });
  }
}

const friendPath = (/** @type {User} */ user) => `/api/friends/${encodeURIComponent(user.id)}`;
const blockPath = (/** @type {User} */ user) => `/api/blocks/${encodeURIComponent(user.id)}`;

/**
 * The field and what it finds.
 * @param {import('../api.js').Api} api
 * @param {(user: User, relation: Relation) => Node[]} buttons
 */
function makeSearch(api, buttons) {
  const input = h('input', { id: 'q', type: 'search', autocomplete: 'off', 'data-focus': true, maxLength: 100 });
  const found = h('ul', { class: 'people', 'aria-live': 'polite' });
  let asked = 0;
  const search = async () => {
    const q = input.value.trim();
    const number = ++asked;
    if (!q) return found.replaceChildren();
    try {
      const { users } = await api.get(`/api/users?${new URLSearchParams({ q, limit: '20' })}`);
      if (number !== asked) return undefined;
      found.replaceChildren(...(users.length
        ? users.map((/** @type {User & {relation: Relation}} */ user) => person(user, buttons(user, user.relation)))
        : [h('li', { class: 'quiet' }, `Nobody found for "${q}".`)]));
    } catch (error) {
      if (number === asked) found.replaceChildren(h('li', { class: 'bad' }, /** @type {Error} */ (error).message));
    }
    return undefined;
  };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(search, SEARCH_MS);
  });
  return { input, found, search };
}

/** @param {HTMLElement} box @param {import('./model.js').Model} model @param {Actions} actions */
function drawStanding(box, model, actions) {
  /** @param {string} title @param {User[]} users @param {Relation} relation */
  const group = (title, users, relation) => (users.length ? [
    h('h2', {}, title),
    h('ul', { class: 'people' }, users.map((user) => person(user, [
      relation === 'friend' && h('a', { class: 'button', href: addressOf(direct(user.id)) }, 'Write'),
      ...actions.buttons(user, relation)])))] : []);
  box.replaceChildren(
    ...group('They ask you', model.incoming, 'incoming'),
    ...group('You have asked', model.outgoing, 'outgoing'),
    ...group('Your friends', [...model.friends.values()], 'friend'));
}

/** @type {import('./app.js').View} */
export function friendsView({ api }, model) {
  const closing = new AbortController();
  const standing = h('div', {});
  const blocked = h('div', {});
  const drawBlocked = async () => {
    const { users } = await api.get('/api/blocks');
    blocked.replaceChildren(...(users.length ? [h('h2', {}, 'Blocked'),
      h('ul', { class: 'people' }, users.map((/** @type {User} */ user) => person(user, [actions.unblock(user)])))] : []));
  };
  const actions = new Actions(api, () => Promise.all([model.refresh(false), search(), drawBlocked()]));
  const { input, found, search } = makeSearch(api, (user, relation) => actions.buttons(user, relation));
  let drawn = '';
  const draw = () => {
    const state = JSON.stringify([model.incoming, model.outgoing, [...model.friends.values()].map(({ id, name }) => [id, name])]);
    if (state === drawn) return;
    drawn = state;
    drawStanding(standing, model, actions);
    search();
  };
  model.addEventListener('change', draw, { signal: closing.signal });
  draw();
  drawBlocked().catch(() => {
    // The list of blocked people is drawn again after the next action.
  });
  const element = h('div', { class: 'page' },
    h('h1', {}, 'Find friends'),
    h('form', { role: 'search', onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
      h('div', { class: 'field' }, h('label', { for: 'q' }, 'Name or email'), input)),
    found, standing, blocked);
  return { element, close: () => closing.abort() };
}
