// Find friends: search, ask, accept, decline, end, block.

import { addressOf, direct } from '../core/conversation.js';
import { parts, t, wordsOf } from '../words.js';
import { ask } from './ask.js';
import { actionButton, h } from './dom.js';
import { endFriendship, friendPath, stayFriends } from './partings.js';

/** @typedef {import('../core/types.js').User} User */
/** @typedef {import('../core/types.js').Relation} Relation */

const SEARCH_MS = 200;

/** What tells people of one name apart. @param {User & {inCommon?: number, email?: string}} user */
const apart = ({ inCommon, email }) => [
  inCommon ? t('friends.inCommon', { count: inCommon }) : '', email ?? ''].filter(Boolean).join(' · ');

/** @param {User} user @param {(Node | string | false)[]} actions */
const person = (user, actions) => h('li', {},
  h('span', { class: 'who' }, h('bdi', {}, user.name), Boolean(apart(user)) && h('small', {}, h('bdi', {}, apart(user)))),
  Boolean(user.looksLike) && h('strong', { class: 'bad' }, t('friends.looksLike')),
  h('span', { class: 'row' }, actions));

/** What one can do about another; after each the page shows what is true then. */
class Actions {
  #api;
  #model;
  #after;

  /** @param {import('../api.js').Api} api @param {import('./model.js').Model} model @param {() => Promise<unknown>} after */
  constructor(api, model, after) {
    this.#api = api;
    this.#model = model;
    this.#after = after;
  }

  /** @param {User} user @param {Relation} relation */
  buttons(user, relation) {
    if (relation === 'friend') return [this.#endOrKeep(user), this.#block(user)];
    if (relation === 'incoming') return [this.#ask(user, 'friends.accept'), this.#end(user, 'friends.decline'), this.#block(user)];
    if (relation === 'outgoing') return [this.#end(user, 'friends.withdraw')];
    return [this.#ask(user, 'friends.ask'), this.#block(user)];
  }

  /** @param {User} user */
  unblock(user) {
    return this.#button('friends.unblock', user, () => this.#api.delete(blockPath(user)));
  }

  /** @param {User} user @param {import('../words.js').Key} action */
  #ask(user, action) {
    return this.#button(action, user, () => this.#api.put(friendPath(user)), 'primary');
  }

  /** @param {User} user @param {import('../words.js').Key} action */
  #end(user, action) {
    return this.#button(action, user, () => this.#api.delete(friendPath(user)));
  }

  /** The end of a friendship, or the way back while there is one. @param {User} user */
  #endOrKeep(user) {
    const ends = this.#model.friends.get(user.id)?.endsIn !== undefined;
    return ends
      ? this.#button('ending.undo', user, () => stayFriends(this.#api, this.#model, user))
      : this.#button('friends.end', user, () => endFriendship(this.#api, this.#model, user));
  }

  /** @param {User} user */
  #block(user) {
    const { name } = user;
    return this.#button('friends.block', user, async () => {
      const lost = this.#model.friends.has(user.id) ? 'ending.lostByBlock' : 'ending.blocked';
      if (await ask(t('ending.askBlock', { name }), t(lost, { name }), t('friends.block'))) await this.#api.put(blockPath(user));
    });
  }

  /** @param {import('../words.js').Key} action @param {User} user @param {() => Promise<unknown>} request @param {string} [kind] */
  #button(action, user, request, kind) {
    const word = t(action);
    return actionButton(word, async () => {
      await request();
      await this.#after();
    }, { class: kind, 'aria-label': t('friends.named', { action: word, name: user.name }) });
  }
}

const blockPath = (/** @type {User} */ user) => `/api/blocks/${encodeURIComponent(user.id)}`;

/**
 * The field and what it finds.
 * @param {import('../api.js').Api} api
 * @param {(user: User, relation: Relation) => Node[]} buttons
 */
function makeSearch(api, buttons) {
  const input = h('input', { id: 'q', type: 'search', dir: 'auto', autocomplete: 'off', 'data-focus': true, maxLength: 100 });
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
        : [h('li', { class: 'quiet' }, h('span', {}, parts('friends.none', { query: h('bdi', {}, q) })))]));
    } catch (error) {
      if (number === asked) found.replaceChildren(h('li', { class: 'bad' }, wordsOf(error)));
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
      relation === 'friend' && h('a', { class: 'button', href: addressOf(direct(user.id)) }, t('friends.write')),
      ...actions.buttons(user, relation)])))] : []);
  box.replaceChildren(
    ...group(t('friends.incoming'), model.incoming, 'incoming'),
    ...group(t('friends.outgoing'), model.outgoing, 'outgoing'),
    ...group(t('friends.friends'), [...model.friends.values()], 'friend'));
  if (model.ready && !box.childElementCount) box.append(h('p', { class: 'quiet' }, t('friends.empty')));
}

/** @type {import('./app.js').View} */
export function friendsView({ api }, model) {
  const closing = new AbortController();
  const standing = h('div', {});
  const blocked = h('div', {});
  const drawBlocked = async () => {
    const { users } = await api.get('/api/blocks');
    blocked.replaceChildren(...(users.length ? [h('h2', {}, t('friends.blocked')),
      h('ul', { class: 'people' }, users.map((/** @type {User} */ user) => person(user, [actions.unblock(user)])))] : []));
  };
  const actions = new Actions(api, model, () => Promise.all([model.refresh(), search(), drawBlocked()]));
  const { input, found, search } = makeSearch(api, (user, relation) => actions.buttons(user, relation));
  let drawn = '';
  const draw = () => {
    const state = JSON.stringify([model.incoming, model.outgoing, [...model.friends.values()].map(({ id, name, endsIn }) => [id, name, endsIn !== undefined])]);
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
    h('h1', {}, t('nav.friends')),
    h('p', { class: 'quiet' }, t('friends.how')),
    h('form', { role: 'search', onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
      h('div', { class: 'field' }, h('label', { for: 'q' }, t('friends.search')), input)),
    found, standing, blocked);
  return { element, close: () => closing.abort() };
}
