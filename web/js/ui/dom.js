// Making elements. Text goes in as text nodes and nothing else: no string is ever read as HTML.

import { t, wordsOf } from '../words.js';

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [props] `on…` are listeners, `class` and `aria-…` attributes, else properties
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class' || name === 'for' || name === 'role' || name.includes('-')) {
      element.setAttribute(name, value === true ? '' : String(value));
    } else /** @type {any} */ (element)[name] = value;
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/**
 * A labelled form field.
 * @param {string} label
 * @param {Record<string, any>} props of the input; `name` is also its id
 * @param {string} [hint]
 */
export function field(label, props, hint) {
  const id = `f-${props.name}`;
  const hintId = hint ? `${id}-hint` : undefined;
  return h('div', { class: 'field' },
    h('label', { for: id }, label),
    h('input', { id, 'aria-describedby': hintId, dir: props.type ? undefined : 'auto', ...props }),
    hint && h('small', { id: hintId }, hint));
}

/**
 * A form that sends its fields as one object and shows a refusal beside what caused it.
 * @param {object} form
 * @param {Child[]} form.fields
 * @param {string} form.action the button's word
 * @param {string} [form.kind] the button's class
 * @param {(values: Record<string, string>) => Promise<string | void>} form.submit resolves to words of success
 */
export function requestForm({ fields, action, kind = 'primary', submit }) {
  const words = h('p', { class: 'words', role: 'alert' });
  const button = h('button', { class: kind }, action);
  /** @param {SubmitEvent} event */
  const onsubmit = async (event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const values = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
    for (const input of form.querySelectorAll('[aria-invalid]')) input.removeAttribute('aria-invalid');
    button.disabled = true;
    words.textContent = '';
    words.className = 'words';
    try {
      const done = await submit(values);
      // A password that has done its work is not left for whoever comes by.
      for (const input of form.querySelectorAll('input')) if (input.type === 'password') input.value = '';
      if (done) words.textContent = done;
    } catch (error) {
      const { field: name } = /** @type {any} */ (error);
      words.textContent = wordsOf(error);
      words.classList.add('bad');
      const input = name && form.elements.namedItem(name);
      if (input instanceof HTMLElement) {
        input.setAttribute('aria-invalid', 'true');
        input.focus();
      }
    }
    button.disabled = false;
  };
  return h('form', { class: 'request', onsubmit }, fields, h('div', { class: 'row' }, button), words);
}

/**
 * A button that does one thing with the server, and tells the reason when it is refused.
 * @param {string} label
 * @param {() => Promise<unknown>} action
 * @param {Record<string, any>} [props]
 */
export function actionButton(label, action, props = {}) {
  const button = h('button', { type: 'button', ...props }, label);
  button.addEventListener('click', async () => {
    button.disabled = true;
    clearNotice();
    try {
      await action();
    } catch (error) {
      notice(wordsOf(error));
    }
    button.disabled = false;
  });
  return button;
}

/**
 * Make these the children of a box, in this order. What stays is not moved: focus and selection live on.
 * @param {Element} box
 * @param {readonly Element[]} elements
 */
export function arrange(box, elements) {
  const focused = document.activeElement;
  const wanted = new Set(elements);
  for (const child of [...box.children]) if (!wanted.has(child)) child.remove();
  let place = box.firstElementChild;
  for (const element of elements) {
    // Where the next one fits, this place's own has gone further down: it is moved when its turn comes.
    if (place && element !== place && place.nextElementSibling === element) place = element;
    if (element === place) place = element.nextElementSibling;
    else box.insertBefore(element, place);
  }
  if (focused instanceof HTMLElement && focused !== document.activeElement && box.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
}

/** Whether somebody looks at this page: a window in view that has the focus. Visible is not seen. */
export const attentive = () => document.visibilityState === 'visible' && document.hasFocus();

/** So long a line stays in the log of what was said; a screen reader has taken it long before. */
const SAID_MS = 30_000;
/** So many lines stay there; no burst is longer than this in the time of a screen reader's look. */
const SAID_LINES = 50;

/**
 * Tell a screen reader, politely. The live region is a log that grows: one text in the place of another is never
 * heard where both come in one burst, and the same text again is no change at all.
 * @param {string} words
 */
export function say(words) {
  const live = document.getElementById('live');
  if (!live) return;
  const line = h('p', {}, words);
  live.append(line);
  while (live.childElementCount > SAID_LINES) live.firstElementChild?.remove();
  setTimeout(() => line.remove(), SAID_MS);
}

/** What stands in the notice, with its way out. @type {HTMLElement | null} */
let noticed = null;

export function clearNotice() {
  noticed?.remove();
  noticed = null;
}

/**
 * Tell, for eyes and ears, what failed and has no place of its own beside what caused it. It stands over the page until
 * somebody closes it, goes elsewhere or does the next thing.
 * @param {string} words
 */
export function notice(words) {
  clearNotice();
  const before = document.activeElement;
  const close = () => {
    clearNotice();
    if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
  };
  noticed = h('div', { class: 'bar bad', role: 'alert' }, h('span', {}, words), h('button', { type: 'button', onclick: close }, t('notice.close')));
  document.querySelector('main')?.before(noticed);
  addEventListener('hashchange', clearNotice, { once: true });
}

/** A count that is seen, and what it counts for whoever hears it. @param {number} count @param {string} word */
export function badge(count, word) {
  return h('span', { class: 'badge' }, count, h('span', { class: 'unseen' }, word));
}
