// The chat view: the conversations, the stream of one of them, the input, the status line.

import { readable } from '../core/color.js';
import { LADDER } from '../core/negotiator.js';
import { h, momentOf, say } from './dom.js';
import { Stream } from './stream.js';

/** @typedef {import('./model.js').Model} Model */

/** What the service takes, code points. */
const TEXT_MAX = 4000;
const TRANSPORTS = {
  websocket: 'WebSocket', sse: 'Server-Sent Events', longpoll: 'Long-polling', poll: 'Polling',
};
const EMOJI = ['😀', '😂', '😉', '😍', '🤔', '😎', '😢', '😮', '👍', '👎', '👋', '🙏', '👏', '💪', '❤️', '🎉', '🔥', '✨', '☕', '🌈'];

const dark = matchMedia('(prefers-color-scheme: dark)');

/** @type {import('./app.js').View} */
export function chatView(app, model, key) {
  const stream = new Stream(model, key);
  const list = h('ul', {});
  const title = h('h1', {});
  const typing = h('p', { class: 'typing', 'aria-live': 'polite' });
  const composer = makeComposer(model, key, stream);
  const status = makeStatus(model);
  const closing = new AbortController();
  const { signal } = closing;
  const draw = () => {
    drawList(list, model, key);
    drawTitle(title, model, key);
    typing.textContent = typingWords(model, key);
    composer.draw();
    status.draw();
  };
  model.addEventListener('change', draw, { signal });
  dark.addEventListener('change', draw, { signal });
  model.addEventListener('connected', () => {
    draw();
    composer.focus();
  }, { signal });
  model.addEventListener('arrival', (event) => {
    const { event: message } = /** @type {CustomEvent} */ (event).detail;
    say(`${message.from.name}: ${message.text}`);
  }, { signal });
  draw();
  const element = h('div', { class: 'chat-view' },
    h('nav', { class: 'conversations', 'aria-label': 'Conversations' }, list),
    h('section', { class: 'conversation', 'aria-label': 'Conversation' },
      title, h('div', { class: 'stage' }, stream.box, stream.jump), typing, composer.element, status.element));
  queueMicrotask(() => {
    stream.toNewest();
    composer.focus();
  });
  return {
    element,
    close() {
      closing.abort();
      stream.close();
    },
  };
}

/** @param {import('./model.js').Friend | undefined} friend */
function presenceWords(friend) {
  if (!friend) return 'not among your friends';
  if (friend.online) return 'online';
  return friend.lastSeen ? `last seen ${momentOf(friend.lastSeen)}` : 'offline';
}

/** @param {HTMLElement} title @param {Model} model @param {string} key */
function drawTitle(title, model, key) {
  const friend = model.friends.get(key);
  const online = [...model.friends.values()].filter((one) => one.online).length;
  const words = key
    ? presenceWords(friend)
    : `${model.friends.size} ${model.friends.size === 1 ? 'friend' : 'friends'}, ${online} online`;
  const name = key ? friend?.name ?? 'Nobody' : 'All friends';
  if (title.textContent !== name + words) title.replaceChildren(name, h('small', {}, words));
}

/** @param {HTMLElement} list @param {Model} model @param {string} key */
function drawList(list, model, key) {
  const friends = [...model.friends.values()].sort((one, other) =>
    Number(other.online) - Number(one.online) || one.name.localeCompare(other.name));
  const entries = [{ id: '', name: 'All friends', online: false, color: '' }, ...friends];
  const state = JSON.stringify([entries, key, dark.matches, entries.map(({ id }) => model.conversations.get(id)?.unread)]);
  if (list.dataset.state === state) return;
  const focused = document.activeElement instanceof HTMLAnchorElement && list.contains(document.activeElement)
    ? document.activeElement.hash : null;
  list.dataset.state = state;
  list.replaceChildren(...entries.map(({ id, name, online, color }) => {
    const unread = model.conversations.get(id)?.unread ?? 0;
    const label = h('span', { class: 'name' }, name);
    if (color) label.style.color = readable(color, dark.matches ? '#1f2229' : '#f4f5f7');
    return h('li', {}, h('a', { href: `#/chat/${encodeURIComponent(id)}`, 'aria-current': id === key && 'page' },
      id && h('span', { class: `dot${online ? ' online' : ''}`, title: online ? 'online' : 'offline' },
        h('span', { class: 'unseen' }, online ? 'online: ' : 'offline: ')),
      label,
      unread > 0 && h('span', { class: 'badge' }, unread, h('span', { class: 'unseen' }, ' unread'))));
  }));
  if (!model.friends.size) {
    list.append(h('li', { class: 'quiet' }, 'No friends yet. ', h('a', { href: '#/friends' }, 'Find some'), '.'));
  }
  if (focused !== null) {
    for (const link of list.querySelectorAll('a')) if (link.hash === focused) link.focus();
  }
}

/** @param {Model} model @param {string} key */
function typingWords(model, key) {
  const names = [];
  for (const [id, { to }] of model.typists) {
    const friend = model.friends.get(id);
    if (friend && (key ? id === key && to : !to)) names.push(friend.name);
  }
  if (!names.length) return '';
  if (names.length > 2) return 'Several friends are typing…';
  return `${names.join(' and ')} ${names.length > 1 ? 'are' : 'is'} typing…`;
}

/** @param {string} id */
const draftStore = (id) => ({
  load() {
    try {
      return sessionStorage.getItem(id) ?? '';
    } catch {
      return '';
    }
  },
  save(/** @type {string} */ text) {
    try {
      if (text) sessionStorage.setItem(id, text);
      else sessionStorage.removeItem(id);
    } catch {
      // Without storage the draft lives as long as the view.
    }
  },
});

/** @param {Model} model @param {string} key @param {Stream} stream */
function makeComposer(model, key, stream) {
  const draft = draftStore(`draft:${model.me.id}:${key}`);
  const words = h('p', { class: 'words bad', role: 'alert' });
  const input = h('textarea', {
    id: 'text', rows: 1, enterKeyHint: 'send', placeholder: 'Write a message',
    'aria-label': 'Message', value: draft.load(),
  });
  const grow = () => {
    input.style.height = 'auto';
    input.style.height = `${Math.min(input.scrollHeight + 2, 180)}px`;
  };
  const send = () => {
    const text = input.value;
    if (!text.trim()) return;
    words.textContent = '';
    if ([...text].length > TEXT_MAX) {
      words.textContent = `A message has at most ${TEXT_MAX} characters; this one has ${[...text].length}.`;
      return;
    }
    try {
      model.chat.send(text, { to: key || null });
    } catch (error) {
      words.textContent = /** @type {Error} */ (error).message;
      return;
    }
    input.value = '';
    draft.save('');
    grow();
    stream.toNewest();
  };
  input.addEventListener('input', () => {
    draft.save(input.value);
    grow();
    if (input.value) model.chat.typing(key || null);
  });
  input.addEventListener('keydown', (event) => {
    // An input method's Enter chooses a character and sends nothing.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  const put = (/** @type {string} */ sign) => {
    input.setRangeText(sign, input.selectionStart, input.selectionEnd, 'end');
    input.dispatchEvent(new Event('input'));
    emoji.open = false;
    input.focus();
  };
  const emoji = h('details', { class: 'emoji' }, h('summary', { 'aria-label': 'Emoji', title: 'Emoji' }, '☺'),
    h('div', {}, EMOJI.map((sign) => h('button', { type: 'button', onclick: () => put(sign) }, sign))));
  const onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    send();
    input.focus();
  };
  const form = h('form', { class: 'composer', hidden: true, onsubmit },
    emoji, input, h('button', { class: 'primary' }, 'Send'));
  return {
    element: h('div', {}, words, form),
    focus: () => {
      if (!form.hidden) input.focus({ preventScroll: true });
    },
    draw() {
      const shown = model.chat.state === 'connected' && (key === '' || model.friends.has(key));
      if (form.hidden !== shown) return;
      form.hidden = !shown;
      if (shown) grow();
    },
  };
}

/** The line that names the transport and why it is not another, and lets one choose. @param {Model} model */
function makeStatus(model) {
  const words = h('span', { role: 'status' });
  const choice = h('select', { id: 'transport' },
    h('option', { value: '' }, 'Automatic'),
    LADDER.map((rung) => h('option', { value: rung }, TRANSPORTS[rung])));
  choice.addEventListener('change', () => model.chat.choose(/** @type {any} */ (choice.value || null)));
  const element = h('footer', { class: 'status' }, h('span', { class: 'lamp', 'aria-hidden': 'true' }), words,
    h('label', { for: 'transport' }, 'Transport ', choice));
  return {
    element,
    draw() {
      const { state, transport, reason, borrowed, rungs } = model.chat;
      const again = state === 'stopped' ? ' Reload the page to connect again.' : '';
      let text = state === 'connected' && transport
        ? TRANSPORTS[transport] + (borrowed ? ', through another tab' : '')
        : state === 'disconnected' || state === 'stopped' ? 'Disconnected' : 'Connecting';
      const chosen = rungs.length && rungs[0] !== 'websocket' && transport === rungs[0];
      if (chosen) text += ' (chosen)';
      else if (reason && transport !== 'websocket') text += `: ${reason}.`;
      element.dataset.state = state;
      if (words.textContent !== text + again) words.textContent = text + again;
      if (rungs.length && document.activeElement !== choice) {
        choice.value = rungs.length === LADDER.length ? '' : rungs[0];
      }
    },
  };
}
