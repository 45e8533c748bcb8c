// The chat view: the conversations, the stream of one of them, the input, the status line.

import { addressOf, ofKey, same } from '../core/conversation.js';
import { LADDER } from '../core/transports.js';
import { listed, parts, said, t } from '../words.js';
import { makeComposer } from './composer.js';
import { arrange, h, say } from './dom.js';
import { Inside } from './inside.js';
import { ConversationList } from './list.js';
import { muteButton } from './mute.js';
import { Stream } from './stream.js';
import { agoOf, asTimePasses } from './time.js';

/** @typedef {import('../core/conversation.js').Conversation} Conversation */
/** @typedef {import('./model.js').Model} Model */

/** @type {import('./app.js').View} */
export function chatView(app, model, key) {
  const list = new ConversationList(app, model, () => pane.focus());
  const status = makeStatus(model);
  const section = h('section', { class: 'conversation', 'aria-label': t('chat.conversation') });
  const closing = new AbortController();
  const { signal } = closing;
  // On a phone the list stands alone, and its title is for whoever hears it.
  const title = h('h1', { class: 'unseen list-title' }, t('chat.conversations'));
  const element = h('div', { class: 'chat-view' }, list.element, section, title);
  const inside = new Inside(element, signal);
  let pane = makePane(app, model, ofKey(key), inside);
  const draw = () => {
    list.draw(inside.shows ? pane.conversation : null);
    pane.draw();
    status.draw();
  };
  const show = () => {
    arrange(section, [...pane.elements, status.element]);
    draw();
    queueMicrotask(pane.begin);
  };
  model.addEventListener('change', draw, { signal });
  asTimePasses(draw, signal);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw, { signal });
  // "Chat" leaves what is shown, and the address goes on to say what that is: else Back to it would change nothing.
  const named = () => {
    if (location.hash === '#/chat' && !inside.lists) history.replaceState(null, '', addressOf(pane.conversation));
  };
  inside.addEventListener('change', () => {
    named();
    draw();
    pane.begin();
  }, { signal });
  addEventListener('hashchange', named, { signal });
  document.addEventListener('keydown', (event) => {
    if (event.key.toLowerCase() !== 'k' || event.shiftKey || event.altKey || event.ctrlKey === event.metaKey) return;
    event.preventDefault();
    inside.leave();
    list.find();
  }, { signal });
  model.addEventListener('connected', () => {
    draw();
    // Whoever is busy elsewhere on the page is not called away.
    if (!document.activeElement || document.activeElement.matches('body, main, .banner *')) pane.focus();
  }, { signal });
  model.addEventListener('note', ({ detail }) => say(detail), { signal });
  model.addEventListener('arrival', ({ detail }) => say(t('chat.arrival', { name: detail.from.name, text: detail.text })), { signal });
  named();
  show();
  return {
    element,
    move(part) {
      pane.close();
      pane = makePane(app, model, ofKey(part), inside);
      show();
    },
    close() {
      closing.abort();
      pane.close();
    },
  };
}

/**
 * One conversation: its title, its messages, who is typing, the input.
 * @param {import('./app.js').App} app @param {Model} model @param {Conversation} conversation @param {Inside} inside
 */
function makePane(app, model, conversation, inside) {
  const stream = new Stream(model, conversation);
  const title = h('h1', {});
  const mute = muteButton(app, conversation);
  const notice = h('p', { class: 'notice', role: 'status', hidden: true });
  const typing = h('p', { class: 'typing', 'aria-live': 'polite' });
  const composer = makeComposer(model, conversation, () => stream.toNewest());
  return {
    conversation,
    elements: [h('div', { class: 'head' }, inside.back(), title, mute.element),
      h('div', { class: 'stage' }, stream.box, stream.jump), notice, typing, composer.element],
    draw() {
      drawNotice(notice, model, conversation);
      drawTitle(title, model, conversation);
      mute.draw();
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
    name = friend?.name ?? model.former.get(conversation.user) ?? t('chat.nobody');
    words = model.ready || friend ? presenceWords(friend) : '';
  } else {
    const online = [...model.friends.values()].filter((one) => one.online).length;
    words = t('chat.friends', { count: model.friends.size, online });
  }
  if (title.textContent !== name + words) title.replaceChildren(h('bdi', {}, name), h('small', {}, words));
}

/** Why nobody would read it, before one writes. @param {HTMLElement} notice @param {Model} model @param {Conversation} conversation */
function drawNotice(notice, model, conversation) {
  const find = h('a', { href: '#/friends' }, t('chat.findSome'));
  /** @type {(string | Node)[]} */
  let words = [];
  if (model.ready && conversation.kind === 'direct' && !model.isOpen(conversation)) {
    const name = model.former.get(conversation.user);
    words = name === undefined ? parts('chat.stranger', { find }) : parts('chat.left', { name: h('bdi', {}, name), find });
  } else if (model.ready && !model.friends.size) words = parts('chat.nobodyReads', { find });
  const text = words.map((part) => (typeof part === 'string' ? part : part.textContent)).join('');
  if (notice.textContent !== text) notice.replaceChildren(...words);
  notice.hidden = !text;
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
