// The chat view: the conversations, the stream of one of them, the input, the status line.

import { readable } from '../core/color.js';
import { BROADCASTS, addressOf, direct, keyOf, ofKey, same } from '../core/conversation.js';
import { LADDER } from '../core/transports.js';
import { listed, parts, said, t } from '../words.js';
import { makeComposer } from './composer.js';
import { arrange, h, say } from './dom.js';
import { Stream } from './stream.js';
import { agoOf, asTimePasses } from './time.js';

/** @typedef {import('../core/conversation.js').Conversation} Conversation */
/** @typedef {import('./model.js').Model} Model */


const dark = matchMedia('(prefers-color-scheme: dark)');

/** @type {import('./app.js').View} */
export function chatView(app, model, key) {
  const list = h('ul', {});
  const status = makeStatus(model);
  const section = h('section', { class: 'conversation', 'aria-label': t('chat.conversation') });
  const closing = new AbortController();
  const { signal } = closing;
  let pane = makePane(model, ofKey(key));
  const draw = () => {
    drawList(list, model, pane.conversation);
    pane.draw();
    status.draw();
  };
  const show = () => {
    arrange(section, [...pane.elements, status.element]);
    draw();
    queueMicrotask(pane.begin);
  };
  model.addEventListener('change', draw, { signal });
  dark.addEventListener('change', draw, { signal });
  asTimePasses(draw, signal);
  model.addEventListener('connected', () => {
    draw();
    // Whoever is busy elsewhere on the page is not called away.
    if (!document.activeElement || document.activeElement.matches('body, main, .banner *')) pane.focus();
  }, { signal });
  model.addEventListener('note', ({ detail }) => say(detail), { signal });
  model.addEventListener('arrival', ({ detail }) => say(t('chat.arrival', { name: detail.from.name, text: detail.text })), { signal });
  show();
  return {
    element: h('div', { class: 'chat-view' },
      h('nav', { class: 'conversations', 'aria-label': t('chat.conversations') }, list), section),
    move(part) {
      pane.close();
      pane = makePane(model, ofKey(part));
      show();
    },
    close() {
      closing.abort();
      pane.close();
    },
  };
}

/** One conversation: its title, its messages, who is typing, the input. @param {Model} model @param {Conversation} conversation */
function makePane(model, conversation) {
  const stream = new Stream(model, conversation);
  const title = h('h1', {});
  const typing = h('p', { class: 'typing', 'aria-live': 'polite' });
  const composer = makeComposer(model, conversation, () => stream.toNewest());
  return {
    conversation,
    elements: [title, h('div', { class: 'stage' }, stream.box, stream.jump), typing, composer.element],
    draw() {
      drawTitle(title, model, conversation);
      typing.textContent = typingWords(model, conversation);
      composer.draw();
    },
    /** Once it stands in the page, so that it has its size. */
    begin() {
      composer.fit();
      stream.begin();
      composer.focus();
    },
    focus: () => composer.focus(),
    close() {
      composer.close();
      stream.close();
    },
  };
}

/** @param {import('./model.js').Friend | undefined} friend */
function presenceWords(friend) {
  if (!friend) return t('presence.stranger');
  if (friend.online) return t('presence.online');
  return friend.lastSeen ? t('presence.lastSeen', { when: agoOf(friend.lastSeen) }) : t('presence.offline');
}

/** @param {HTMLElement} title @param {Model} model @param {Conversation} conversation */
function drawTitle(title, model, conversation) {
  let name = t('chat.all');
  let words;
  if (conversation.kind === 'direct') {
    const friend = model.friends.get(conversation.user);
    name = friend?.name ?? t('chat.nobody');
    words = presenceWords(friend);
  } else {
    const online = [...model.friends.values()].filter((one) => one.online).length;
    words = t('chat.friends', { count: model.friends.size, online });
  }
  if (title.textContent !== name + words) title.replaceChildren(h('bdi', {}, name), h('small', {}, words));
}

/**
 * @typedef {{conversation: Conversation, name: string, unread: number, friend: import('./model.js').Friend | null}} Entry
 * @param {Model} model
 * @returns {Entry[]} all friends first, then who is online, by name
 */
function entriesOf(model) {
  const friends = [...model.friends.values()].sort((one, other) =>
    Number(other.online) - Number(one.online) || one.name.localeCompare(other.name));
  return [
    { conversation: BROADCASTS, name: t('chat.all'), unread: model.unreadIn(BROADCASTS), friend: null },
    ...friends.map((friend) => {
      const conversation = direct(friend.id);
      return { conversation, name: friend.name, unread: model.unreadIn(conversation), friend };
    }),
  ];
}

/** @param {HTMLElement} list @param {Model} model @param {Conversation} shown */
function drawList(list, model, shown) {
  const entries = entriesOf(model);
  const state = JSON.stringify([entries, keyOf(shown), dark.matches]);
  if (list.dataset.state === state) return;
  const focused = document.activeElement instanceof HTMLAnchorElement && list.contains(document.activeElement)
    ? document.activeElement.hash : null;
  list.dataset.state = state;
  list.replaceChildren(...entries.map((entry) => entryRow(entry, same(entry.conversation, shown))));
  if (!model.friends.size) {
    list.append(h('li', { class: 'quiet' },
      parts('chat.noFriends', { find: h('a', { href: '#/friends' }, t('chat.findSome')) })));
  }
  if (focused !== null) {
    for (const link of list.querySelectorAll('a')) if (link.hash === focused) link.focus();
  }
}

/** @param {Entry} entry @param {boolean} shown */
function entryRow({ conversation, name, unread, friend }, shown) {
  const label = h('bdi', { class: 'name' }, name);
  if (friend) label.style.color = readable(friend.color, dark.matches ? '#1f2229' : '#f4f5f7');
  const online = t(friend?.online ? 'presence.online' : 'presence.offline');
  return h('li', {}, h('a', { href: addressOf(conversation), 'aria-current': shown && 'page' },
    friend && h('span', { class: `dot${friend.online ? ' online' : ''}`, title: online },
      h('span', { class: 'unseen' }, t('presence.named', { presence: online }))),
    label,
    unread > 0 && h('span', { class: 'badge' }, unread, h('span', { class: 'unseen' }, t('badge.unread')))));
}

/** @param {Model} model @param {Conversation} shown */
function typingWords(model, shown) {
  const names = [];
  for (const [id, { conversation }] of model.typists) {
    const friend = model.friends.get(id);
    if (friend && same(conversation, shown)) names.push(friend.name);
  }
  if (!names.length) return '';
  if (names.length > 2) return t('typing.several');
  return t('typing', { count: names.length, names: listed(names) });
}

/** The line that names the transport and why it is not another, and lets one choose. @param {Model} model */
function makeStatus(model) {
  const words = h('span', { role: 'status' });
  const choice = h('select', { id: 'transport' },
    h('option', { value: '' }, t('status.automatic')),
    LADDER.map((rung) => h('option', { value: rung }, t(`transport.${rung}`))));
  choice.addEventListener('change', () => model.chat.choose(/** @type {import('../core/transports.js').Rung} */ (choice.value) || null));
  const element = h('footer', { class: 'status' }, h('span', { class: 'lamp', 'aria-hidden': 'true' }), words,
    h('label', { for: 'transport' }, t('status.transport'), ' ', choice));
  return {
    element,
    draw() {
      const { state, transport, reason, borrowed, rungs } = model.chat;
      let text = state === 'connected' && transport
        ? t(`transport.${transport}`)
        : t(state === 'disconnected' || state === 'stopped' ? 'status.disconnected' : 'status.connecting');
      if (state === 'connected' && borrowed) text = t('status.borrowed', { transport: text });
      const chosen = rungs.length && rungs[0] !== LADDER[0] && transport === rungs[0];
      if (chosen) text = t('status.chosen', { words: text });
      else if (reason && transport !== LADDER[0]) {
        text = t(transport ? 'status.because' : 'status.gone', { words: text, reason: said(reason) });
      }
      if (state === 'connected') text = t('status.connected', { words: text });
      element.dataset.state = state;
      if (words.textContent !== text) words.textContent = text;
      if (rungs.length && document.activeElement !== choice) {
        choice.value = rungs.length === LADDER.length ? '' : rungs[0];
      }
    },
  };
}
