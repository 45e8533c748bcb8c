// On a narrow page one sees the list *or* a conversation, and the browser's Back leads from one to the other. On a wide
// page both stand side by side. The address says which: `#/chat` is the list, `#/chat/…` a conversation.

import { Emitter } from '../core/emitter.js';
import { t } from '../words.js';
import { h } from './dom.js';

/** The same as in `style.css`. */
const narrow = matchMedia('(max-width: 40rem)');
const LIST = '#/chat';

/** Dispatches `change` where something else is to be seen. @extends {Emitter<{change: null}>} */
export class Inside extends Emitter {
  #element;
  #inside = false;
  /** Whether one came here from the list, so that the browser's Back leads there. */
  #fromList = false;

  /** @param {HTMLElement} element the view: its class says what is shown @param {AbortSignal} signal the end of the view */
  constructor(element, signal) {
    super();
    this.#element = element;
    this.#set(location.hash !== LIST && location.hash.startsWith(LIST) || !narrow.matches);
    addEventListener('hashchange', ({ oldURL }) => this.#moved(new URL(oldURL).hash), { signal });
    // What one is reading stays on the screen where the page becomes narrow: a phone that is turned, a page at 400 %.
    narrow.addEventListener('change', () => {
      if (narrow.matches) return;
      this.#set(true);
    }, { signal });
    signal.addEventListener('abort', () => document.body.classList.remove('inside'));
  }

  /** Whether a conversation is to be seen. */
  get shows() {
    return this.#inside || !narrow.matches;
  }

  /** Whether `#/chat` leads to the list alone. */
  get lists() {
    return narrow.matches;
  }

  /** Go to the list, where that is not beside. */
  leave() {
    if (!narrow.matches || !this.#inside) return;
    if (location.hash === LIST) this.#set(false);
    else if (this.#fromList) history.back();
    else location.replace(LIST);
  }

  /** The way back that stands before a conversation's title on a narrow page. */
  back() {
    const onclick = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.leave();
    };
    return h('a', { class: 'back', href: LIST, 'aria-label': t('list.back'), title: t('list.back'), onclick }, '‹');
  }

  /** @param {string} before the address that was left */
  #moved(before) {
    if (!location.hash.startsWith(LIST)) return;
    this.#fromList = before === LIST;
    this.#set(location.hash !== LIST || !narrow.matches);
  }

  /** @param {boolean} inside */
  #set(inside) {
    this.#element.classList.toggle('inside', inside);
    document.body.classList.toggle('inside', inside);
    if (this.#inside === inside) return;
    this.#inside = inside;
    this.emit('change', null);
  }
}
