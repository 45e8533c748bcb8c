// Find friends: search, ask, accept, decline, end, block.

import { actionButton, h } from './dom.js';

/** @typedef {import('../core/types.js').User} User */

const SEARCH_MS = 200;

/** @type {import('./app.js').View} */
export function friendsView(app, model) {
  const { api } = app;
  const path = (/** @type {User} */ user) => `/api/friends/${encodeURIComponent(user.id)}`;
  const blockPath = (/** @type {User} */ user) => `/api/blocks/${encodeURIComponent(user.id)}`;
  const closing = new AbortController();
  const found = h('ul', { class: 'people', 'aria-live': 'polite' });
  const standing = h('div', {});
  const blocked = h('div', {});
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let asked = 0;

  const after = async (/** @type {Promise<unknown>} */ request) => {
    await request;
    await Promise.all([model.refresh(false), search(), drawBlocked()]);
  };
  const ask = (/** @type {User} */ user, word = 'Ask') =>
    actionButton(word, () => after(api.put(path(user))), { class: 'primary', 'aria-label': `${word} ${user.name}` });
  const end = (/** @type {User} */ user, /** @type {string} */ word) =>
    actionButton(word, () => after(api.delete(path(user))), { 'aria-label': `${word} ${user.name}` });
  const block = (/** @type {User} */ user) => actionButton('Block', async () => {
    if (confirm(`Block ${user.name}? This ends the friendship, and ${user.name} finds you no more.`)) {
      await after(api.put(blockPath(user)));
    }
  }, { 'aria-label': `Block ${user.name}` });

  /** @param {User} user @param {string} relation */
  const buttons = (user, relation) => {
    if (relation === 'friend') return [end(user, 'End'), block(user)];
    if (relation === 'incoming') return [ask(user, 'Accept'), end(user, 'Decline'), block(user)];
    if (relation === 'outgoing') return [end(user, 'Withdraw')];
    return [ask(user), block(user)];
  };
  /** @param {User} user @param {(Node | string | false)[]} actions */
  const person = (user, actions) => h('li', {}, h('span', { class: 'who' }, user.name),
    h('span', { class: 'row' }, actions));

  const input = h('input', { id: 'q', type: 'search', autocomplete: 'off', 'data-focus': true, maxLength: 100 });

  async function search() {
    const q = input.value.trim();
    const number = ++asked;
    if (!q) return found.replaceChildren();
    try {
      const { users } = await api.get(`/api/users?${new URLSearchParams({ q, limit: '20' })}`);
      if (number !== asked) return undefined;
      found.replaceChildren(...(users.length
        ? users.map((/** @type {any} */ user) => person(user, buttons(user, user.relation)))
        : [h('li', { class: 'quiet' }, `Nobody found for "${q}".`)]));
    } catch (error) {
      if (number === asked) found.replaceChildren(h('li', { class: 'bad' }, /** @type {Error} */ (error).message));
    }
    return undefined;
  }

  async function drawBlocked() {
    const { users } = await api.get('/api/blocks');
    blocked.replaceChildren(...(users.length ? [h('h2', {}, 'Blocked'),
      h('ul', { class: 'people' }, users.map((/** @type {User} */ user) => person(user, [
        actionButton('Unblock', () => after(api.delete(blockPath(user))), { 'aria-label': `Unblock ${user.name}` })])))] : []));
  }

  /** @param {string} title @param {User[]} users @param {string} relation */
  const group = (title, users, relation) => users.length > 0 && [
    h('h2', {}, title),
    h('ul', { class: 'people' }, users.map((user) => person(user, [
      relation === 'friend' && h('a', { class: 'button', href: `#/chat/${encodeURIComponent(user.id)}` }, 'Write'),
      ...buttons(user, relation)])))];

  let drawn = '';
  const draw = () => {
    const state = JSON.stringify([model.incoming, model.outgoing, [...model.friends.values()].map(({ id, name }) => [id, name])]);
    if (state === drawn) return;
    drawn = state;
    standing.replaceChildren(...[
      group('They ask you', model.incoming, 'incoming'),
      group('You have asked', model.outgoing, 'outgoing'),
      group('Your friends', [...model.friends.values()], 'friend'),
    ].flatMap((part) => part || []));
    search();
  };
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(search, SEARCH_MS);
  });
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
