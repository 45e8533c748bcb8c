// Where one writes: the input, its draft, emoji, and the button.

import { Composition } from '../core/composition.js';
import { same } from '../core/conversation.js';
import { TEXT_MAX, faultOf, lengthOf, mended } from '../core/text.js';
import { said, t } from '../words.js';
import { h, say } from './dom.js';
import { emojiPicker } from './emoji.js';
import { answerFilesWith } from './files.js';
import { fit, fitWithWidth } from './fit.js';

/** @typedef {import('../core/conversation.js').Conversation} Conversation */
/** @typedef {import('./model.js').Model} Model */

/** From here on the length is shown, code points. */
const COUNT_FROM = 3500;

/** A finger writes: Enter begins a line, and what takes the focus also pulls up the keyboard. */
const touch = matchMedia('(hover: none) and (pointer: coarse)');

/** Why this cannot be sent, or how much more can; '' while there is nothing to say. @param {string} text */
function remark(text) {
  const fault = faultOf(text);
  const length = text.length < COUNT_FROM ? 0 : lengthOf(text);
  if (fault === 'long') return t('composer.tooLong', { max: TEXT_MAX, count: length - TEXT_MAX });
  if (fault === 'blank' && text.trim()) return t('composer.blank');
  return length >= COUNT_FROM ? t('composer.length', { max: TEXT_MAX, count: length }) : '';
}

/**
 * @param {Model} model
 * @param {Conversation} conversation
 * @param {string} text mended
 * @returns {string} why it was not taken; '' when it is on its way
 */
function sendOrRefuse(model, conversation, text) {
  const fault = faultOf(text);
  if (fault) return fault === 'long' ? remark(text) : t('composer.blank');
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
  const words = h('p', { class: 'words bad', role: 'alert' });
  const count = h('p', { class: 'count', id: 'count', hidden: true });
  const input = h('textarea', {
    id: 'text', rows: 1, placeholder: t('composer.placeholder'), 'aria-label': t('composer.label'),
    'aria-describedby': 'count closed', dir: 'auto', value: model.written.draft(conversation),
  });
  fitWithWidth(input);
  const changed = () => {
    fit(input);
    tellLength(count, input);
  };
  const send = () => {
    const text = mended(input.value);
    if (!text) return;
    if (!model.isOpen(conversation)) {
      say(t('composer.closed'));
      return;
    }
    const refusal = sendOrRefuse(model, conversation, text);
    // What is said while one writes is told once more, and does not stand there twice.
    const stands = refusal !== '' && refusal === count.textContent;
    words.textContent = stands ? '' : refusal;
    if (stands) say(refusal);
    if (refusal) return;
    input.value = '';
    model.written.keepDraft(conversation, '');
    changed();
    sent();
  };
  input.addEventListener('input', () => {
    words.textContent = '';
    model.written.keepDraft(conversation, input.value);
    changed();
    if (input.value && model.isOpen(conversation)) model.chat.typing(conversation);
  });
  sendByKey(input, send);
  const onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    send();
    input.focus();
  };
  const form = h('form', { class: 'composer', hidden: true, onsubmit },
    emojiPicker(input), input, h('button', { class: 'primary' }, t('composer.send')));
  tellLength(count, input);
  const banner = makeBanner(model);
  const closed = h('p', { class: 'count', id: 'closed', hidden: true }, t('composer.closed'));
  const shown = shownOnceOpen(model, conversation, form, input, closed, banner);
  input.addEventListener('blur', () => shown.draw());
  const closing = followElsewhere(model, conversation, input, () => {
    changed();
    shown.draw();
  });
  answerFilesWith((answer) => {
    words.textContent = answer;
  }, closing.signal);
  return {
    element: h('div', {}, banner.element, words, count, closed, form),
    close: () => closing.abort(),
    ...shown,
  };
}

/** Enter sends, where a keyboard writes and no input method has the key. @param {HTMLTextAreaElement} input @param {() => void} send */
function sendByKey(input, send) {
  const composition = new Composition();
  input.addEventListener('compositionstart', () => composition.start());
  input.addEventListener('compositionend', ({ timeStamp }) => composition.end(timeStamp));
  input.addEventListener('keyup', () => composition.keyUp());
  input.addEventListener('keydown', (event) => {
    const owned = composition.owns(event);
    if (event.key !== 'Enter' || event.shiftKey || owned || touch.matches) return;
    event.preventDefault();
    send();
  });
}

/** @param {HTMLElement} count @param {HTMLTextAreaElement} input */
function tellLength(count, input) {
  const text = mended(input.value);
  const words = remark(text);
  const fault = words && faultOf(text);
  if (fault && !input.hasAttribute('aria-invalid')) say(words);
  input.toggleAttribute('aria-invalid', Boolean(fault));
  if (fault) input.setAttribute('aria-invalid', 'true');
  count.textContent = words;
  count.hidden = !words;
  count.classList.toggle('bad', Boolean(fault));
}

/**
 * The draft is one for all tabs: this input follows what is written in another one.
 * @param {Model} model
 * @param {Conversation} conversation
 * @param {HTMLTextAreaElement} input
 * @param {() => void} changed
 */
function followElsewhere(model, conversation, input, changed) {
  const closing = new AbortController();
  model.written.addEventListener('draft', ({ detail: { conversation: where, text, before } }) => {
    // What stands here alone is not written over.
    if (!same(where, conversation) || (before !== null && before !== input.value)) return;
    input.value = text;
    changed();
    if (before === null) input.focus();
  }, { signal: closing.signal });
  return closing;
}

/** Says quietly that the connection is gone, and lets one try at once. @param {Model} model */
function makeBanner(model) {
  const words = h('span', {});
  const onclick = () => {
    say(t('connection.trying'));
    model.chat.tryNow();
  };
  const element = h('div', { class: 'banner', hidden: true }, words, h('button', { type: 'button', onclick }, t('connection.tryNow')));
  return {
    element,
    draw() {
      const { state } = model.chat;
      const gone = state === 'disconnected' || state === 'stopped';
      if (gone) words.textContent = t('connection.gone');
      element.hidden = !gone;
    },
  };
}

/**
 * Hidden before the first connection; from then on one can always write. Where nobody would get it any more, what
 * stands there stays to be seen and copied, and is not sent.
 * @param {Model} model
 * @param {Conversation} conversation
 * @param {HTMLFormElement} form
 * @param {HTMLTextAreaElement} input
 * @param {HTMLElement} closed says why it is not sent
 * @param {ReturnType<typeof makeBanner>} banner
 */
const shownOnceOpen = (model, conversation, form, input, closed, banner) => ({
  fit: () => fit(input),
  /** Not on a touch screen: there it pulls up the keyboard. */
  focus() {
    if (!form.hidden && !touch.matches) input.focus({ preventScroll: true });
  },
  draw() {
    const open = model.isOpen(conversation);
    // Whoever empties it goes on: it leaves with the focus.
    const writing = !form.hidden && !closed.hidden && document.activeElement === input;
    const shown = model.wasConnected && (open || input.value !== '' || writing);
    closed.hidden = open || !shown;
    const button = /** @type {HTMLButtonElement} */ (form.querySelector('button.primary'));
    button.disabled = !open;
    input.enterKeyHint = touch.matches ? 'enter' : 'send';
    if (form.hidden === shown) {
      form.hidden = !shown;
      if (shown) fit(input);
    }
    banner.draw();
  },
});
