// Where one writes: the input, its draft, emoji, and the button.

import { keyOf } from '../core/conversation.js';
import { said, t } from '../words.js';
import { h } from './dom.js';
import { fit, fitWithWidth } from './fit.js';

/** @typedef {import('../core/conversation.js').Conversation} Conversation */
/** @typedef {import('./model.js').Model} Model */

/** What the service takes, code points. */
const TEXT_MAX = 4000;
const EMOJI = ['😀', '😂', '😉', '😍', '🤔', '😎', '😢', '😮', '👍', '👎', '👋', '🙏', '👏', '💪', '❤️', '🎉', '🔥', '✨', '☕', '🌈'];

/** @param {string} name */
const draftStore = (name) => ({
  load() {
    try {
      return sessionStorage.getItem(name) ?? '';
    } catch {
      return '';
    }
  },
  save(/** @type {string} */ text) {
    try {
      if (text) sessionStorage.setItem(name, text);
      else sessionStorage.removeItem(name);
    } catch {
      // Without storage the draft lives as long as the view.
    }
  },
});


/** @param {HTMLTextAreaElement} input */
function emojiMenu(input) {
  const put = (/** @type {string} */ sign) => {
    input.setRangeText(sign, input.selectionStart, input.selectionEnd, 'end');
    input.dispatchEvent(new Event('input'));
    menu.open = false;
    input.focus();
  };
  const menu = h('details', { class: 'emoji' }, h('summary', { 'aria-label': t('composer.emoji'), title: t('composer.emoji') }, '☺'),
    h('div', {}, EMOJI.map((sign) => h('button', { type: 'button', onclick: () => put(sign) }, sign))));
  return menu;
}

/**
 * @param {Model} model
 * @param {Conversation} conversation
 * @param {string} text
 * @returns {string} why it was not taken; '' when it is on its way
 */
function sendOrRefuse(model, conversation, text) {
  const length = [...text].length;
  if (length > TEXT_MAX) return t('composer.tooLong', { max: TEXT_MAX, count: length });
  try {
    model.chat.send(text, conversation);
  } catch (error) {
    return said(/** @type {Error} */ (error).message);
  }
  return '';
}

/**
 * @param {Model} model
 * @param {Conversation} conversation
 * @param {() => void} sent called after each message
 */
export function makeComposer(model, conversation, sent) {
  const draft = draftStore(`draft:${model.me.id}:${keyOf(conversation)}`);
  const words = h('p', { class: 'words bad', role: 'alert' });
  const input = h('textarea', {
    id: 'text', rows: 1, enterKeyHint: 'send', placeholder: t('composer.placeholder'),
    'aria-label': t('composer.label'), dir: 'auto', value: draft.load(),
  });
  fitWithWidth(input);
  const send = () => {
    if (!input.value.trim()) return;
    words.textContent = sendOrRefuse(model, conversation, input.value);
    if (words.textContent) return;
    input.value = '';
    draft.save('');
    fit(input);
    sent();
  };
  input.addEventListener('input', () => {
    draft.save(input.value);
    fit(input);
    if (input.value) model.chat.typing(conversation);
  });
  input.addEventListener('keydown', (event) => {
    // An input method's Enter chooses a character and sends nothing.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  const onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    send();
    input.focus();
  };
  const form = h('form', { class: 'composer', hidden: true, onsubmit },
    emojiMenu(input), input, h('button', { class: 'primary' }, t('composer.send')));
  return { element: h('div', {}, words, form), ...shownWhileOpen(model, conversation, form, input) };
}

/** @param {Model} model @param {Conversation} conversation @param {HTMLFormElement} form @param {HTMLTextAreaElement} input */
const shownWhileOpen = (model, conversation, form, input) => ({
  fit: () => fit(input),
  focus() {
    if (!form.hidden) input.focus({ preventScroll: true });
  },
  draw() {
    const shown = model.chat.state === 'connected' && model.isOpen(conversation);
    if (form.hidden !== shown) return;
    form.hidden = !shown;
    if (shown) fit(input);
  },
});
