// A question before something is lost: a dialog that takes the focus and gives it back.

import { t } from '../words.js';
import { h } from './dom.js';

/**
 * @param {string} title what is asked
 * @param {string} text what will be lost, and what not
 * @param {string} action the word on the button that does it
 * @returns {Promise<boolean>} false: it was not wanted after all
 */
export function ask(title, text, action) {
  return new Promise((resolve) => {
    const answer = (/** @type {boolean} */ sure) => () => {
      dialog.close();
      dialog.remove();
      resolve(sure);
    };
    const dialog = h('dialog', { class: 'ask', 'aria-labelledby': 'ask-title', 'aria-describedby': 'ask-text', oncancel: answer(false) },
      h('h2', { id: 'ask-title' }, title),
      h('p', { id: 'ask-text' }, text),
      h('p', { class: 'row' },
        // What comes first has the focus: it changes nothing.
        h('button', { type: 'button', onclick: answer(false) }, t('ask.cancel')),
        h('button', { type: 'button', class: 'danger', onclick: answer(true) }, action)));
    document.body.append(dialog);
    dialog.showModal();
  });
}
