// Being called, as the person chooses it: on this browser, and for the account.

import { clock, minuteOf } from '../core/calls.js';
import { BROADCASTS, direct } from '../core/conversation.js';
import { t, wordsOf } from '../words.js';
import { h } from './dom.js';

/** @typedef {import('./calls.js').Calls} Calls */
/** @typedef {import('../core/conversation.js').Conversation} Conversation */

/** @param {HTMLElement} words @param {() => Promise<unknown>} action */
const doing = (words, action) => {
  words.textContent = '';
  action().catch((error) => {
    words.textContent = wordsOf(error);
  });
};

/** The question after the first message, with its answers. @param {Calls} calls */
export function askBar(calls) {
  if (!calls.asks) return [];
  const words = h('span', {}, t('calls.ask'));
  const answer = (/** @type {() => Promise<unknown>} */ action) => () => doing(words, action);
  return [h('div', { class: 'banner ask-bar', role: 'status' }, words, h('span', { class: 'row' },
    h('button', { type: 'button', class: 'primary', onclick: answer(() => calls.turnOn()) }, t('calls.yes')),
    h('button', { type: 'button', onclick: answer(() => calls.turnOff()) }, t('calls.no'))))];
}

/** @param {string} name @param {string} label @param {boolean} checked @param {(on: boolean) => void} changed @param {boolean} [disabled] */
function check(name, label, checked, changed, disabled = false) {
  const input = h('input', { id: `f-${name}`, type: 'checkbox', checked, disabled });
  input.addEventListener('change', () => changed(input.checked));
  return h('div', { class: 'row' }, input, h('label', { for: input.id }, label));
}

/** @param {string} name @param {string} label @param {number} minute @param {(minute: number) => void} changed */
function time(name, label, minute, changed) {
  const input = h('input', { id: `f-${name}`, type: 'time', value: clock(minute) });
  input.addEventListener('change', () => changed(minuteOf(input.value)));
  return h('div', { class: 'field' }, h('label', { for: input.id }, label), input);
}

/** The part of the profile. @param {Calls} calls @param {import('./model.js').Model} model @param {AbortSignal} signal */
export function callsForm(calls, model, signal) {
  const box = h('div', {});
  const words = h('p', { class: 'words bad', role: 'alert' });
  const wish = (/** @type {Partial<import('../core/calls.js').Wishes>} */ wishes) => doing(words, () => calls.wish(wishes));
  const draw = () => {
    const focused = document.activeElement instanceof HTMLElement && box.contains(document.activeElement)
      ? document.activeElement.id : '';
    const { text, quietFrom, quietTo } = calls.wishes;
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const muted = [BROADCASTS, ...[...model.friends.keys()].map(direct)].filter((one) => calls.isMuted(one));
    box.replaceChildren(
      check('calls', t(calls.denied ? 'calls.denied' : 'calls.here'), calls.on,
        (on) => doing(words, () => (on ? calls.turnOn() : calls.turnOff())), calls.denied),
      check('sound', t('calls.sound'), calls.sound, (on) => {
        calls.sound = on;
      }),
      check('calls-text', t('calls.text'), text, (on) => wish({ text: on })),
      h('div', { class: 'row' },
        time('quiet-from', t('calls.quietFrom'), quietFrom, (minute) => wish({ quietFrom: minute, zone })),
        time('quiet-to', t('calls.quietTo'), quietTo, (minute) => wish({ quietTo: minute, zone }))),
      h('small', {}, t('calls.quietHint')),
      ...muted.map((conversation) => h('div', { class: 'row' },
        h('bdi', {}, nameOf(model, conversation)),
        h('button', { type: 'button', onclick: () => doing(words, () => calls.mute(conversation, false)) }, t('calls.unmute')))));
    if (focused) document.getElementById(focused)?.focus();
  };
  calls.addEventListener('change', draw, { signal });
  draw();
  return h('div', { class: 'calls' }, box, words);
}

/** @param {import('./model.js').Model} model @param {Conversation} conversation */
const nameOf = (model, conversation) =>
  (conversation.kind === 'direct' ? model.friends.get(conversation.user)?.name ?? '' : t('chat.all'));
