// The picker of signs: search, what was used lately, skin tones. The list comes from the server when it is first opened.

import { language, t } from '../words.js';
import { h } from './dom.js';

/** @typedef {[sign: string, name: string, more: string, light: string]} Entry `light`: in the lightest skin tone, or '' */

const RECENT_KEY = 'chat.emoji';
const TONE_KEY = 'chat.emoji.tone';
const RECENT = 24;
/** So many are shown at once; a search finds the others. */
const SHOWN = 160;
const LIGHT = '\u{1F3FB}';
const TONES = ['', '\u{1F3FB}', '\u{1F3FC}', '\u{1F3FD}', '\u{1F3FE}', '\u{1F3FF}'];
/** Until the list has come, and where it cannot. */
const FIRST = ['😀', '😂', '😉', '😍', '🤔', '😎', '😢', '😮', '👍', '👎', '👋', '🙏', '👏', '💪', '❤️', '🎉', '🔥', '✨', '☕', '🌈'];

/** @param {string} key */
function kept(key) {
  try {
    return localStorage.getItem(key) ?? '';
  } catch {
    return '';
  }
}

/** @param {string} key @param {string} value */
function keep(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Forgotten with the page.
  }
}

/** @type {Promise<Entry[]> | undefined} */
let loading;

/** @param {string} name @returns {Promise<Entry[]>} */
async function load(name) {
  const answer = await fetch(new URL(`../../emoji/${name}.json`, import.meta.url));
  if (answer.ok) return answer.json();
  if (name === 'en') throw new Error(`the list of signs: ${answer.status}`);
  return load('en');
}

function list() {
  loading ??= load(language).catch((error) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

/**
 * Those whose name begins with what is sought come first, then those in which a word does.
 * @param {Entry[]} all @param {string} sought
 */
export function search(all, sought) {
  const words = sought.trim().toLocaleLowerCase();
  if (!words) return all;
  const rank = (/** @type {Entry} */ [, name, more]) => {
    const text = `${name} ${more}`.toLocaleLowerCase();
    if (text.startsWith(words)) return 0;
    if (text.includes(` ${words}`)) return 1;
    return text.includes(words) ? 2 : 3;
  };
  return all.map((entry) => ({ entry, at: rank(entry) })).filter(({ at }) => at < 3)
    .sort((one, other) => one.at - other.at).map(({ entry }) => entry);
}

/** @param {Entry} entry @param {string} tone */
export const toned = ([sign, , , light], tone) => (light && tone ? light.replaceAll(LIGHT, tone) : sign);

/** Put a sign where one writes, so that undoing takes it away again. @param {HTMLTextAreaElement} input @param {string} sign */
function put(input, sign) {
  input.focus();
  if (document.execCommand('insertText', false, sign)) return;
  input.setRangeText(sign, input.selectionStart, input.selectionEnd, 'end');
  input.dispatchEvent(new Event('input'));
}

/** @param {string} sign */
function remember(sign) {
  const before = kept(RECENT_KEY).split(' ').filter((one) => one && one !== sign);
  keep(RECENT_KEY, [sign, ...before].slice(0, RECENT).join(' '));
}

/** @param {HTMLTextAreaElement} input where the signs go */
export function emojiPicker(input) {
  const grid = h('div', { class: 'signs' });
  const sought = h('input', { type: 'search', 'aria-label': t('emoji.search'), placeholder: t('emoji.search'), autocomplete: 'off' });
  const tones = h('select', { 'aria-label': t('emoji.tone') },
    TONES.map((tone) => h('option', { value: tone }, `✋${tone}`)));
  const panel = h('div', { class: 'panel', role: 'dialog', 'aria-label': t('composer.emoji'), hidden: true },
    h('div', { class: 'row' }, sought, tones), grid);
  const button = h('button', { type: 'button', class: 'open', 'aria-label': t('composer.emoji'), title: t('composer.emoji'), 'aria-expanded': 'false' }, '☺');
  const element = h('div', { class: 'emoji' }, button, panel);
  /** @type {Entry[]} */
  let all = FIRST.map((sign) => [sign, sign, '', '']);
  tones.value = kept(TONE_KEY);

  const choose = (/** @type {string} */ sign) => {
    remember(sign);
    show(false);
    put(input, sign);
  };
  const draw = () => {
    const recent = sought.value.trim() ? [] : kept(RECENT_KEY).split(' ').filter(Boolean);
    const rows = search(all, sought.value).slice(0, SHOWN);
    const one = (/** @type {string} */ sign, /** @type {string} */ name) =>
      h('button', { type: 'button', 'aria-label': name, title: name, onclick: () => choose(sign) }, sign);
    grid.replaceChildren(
      ...(recent.length ? [h('h2', {}, t('emoji.recent')), ...recent.map((sign) => one(sign, sign)), h('h2', {}, t('emoji.all'))] : []),
      ...rows.map((entry) => one(toned(entry, tones.value), entry[1])),
      ...(rows.length ? [] : [h('p', { class: 'quiet' }, t('emoji.none'))]));
  };
  const show = (/** @type {boolean} */ shown) => {
    panel.hidden = !shown;
    button.setAttribute('aria-expanded', String(shown));
    if (!shown) return;
    sought.value = '';
    draw();
    sought.focus();
    list().then((found) => {
      all = found;
      draw();
    }).catch(() => {
      // The first few are there without it; opening asks again.
    });
  };
  button.addEventListener('click', () => show(panel.hidden));
  sought.addEventListener('input', draw);
  tones.addEventListener('change', () => {
    keep(TONE_KEY, tones.value);
    draw();
  });
  listenWhileOpen(element, panel, grid, sought, (back) => {
    show(false);
    if (back) button.focus();
  });
  return element;
}

/**
 * Escape, a click elsewhere and a focus elsewhere close it; Enter takes the first that was found.
 * @param {HTMLElement} element @param {HTMLElement} panel @param {HTMLElement} grid @param {HTMLElement} sought
 * @param {(back: boolean) => void} close `back`: the focus returns to the button
 */
function listenWhileOpen(element, panel, grid, sought, close) {
  element.addEventListener('keydown', (event) => {
    if (panel.hidden) return;
    if (event.key === 'Escape') {
      event.stopPropagation();
      close(true);
    } else if (event.key === 'Enter' && event.target === sought) {
      // Not the form's: nothing is sent from here.
      event.preventDefault();
      if (!event.isComposing) /** @type {HTMLElement | null} */ (grid.querySelector('button'))?.click();
    }
  });
  const elsewhere = (/** @type {Event} */ event) => {
    if (!element.isConnected) document.removeEventListener('pointerdown', elsewhere);
    else if (!panel.hidden && !element.contains(/** @type {Node} */ (event.target))) close(false);
  };
  document.addEventListener('pointerdown', elsewhere);
  element.addEventListener('focusout', ({ relatedTarget }) => {
    if (!panel.hidden && relatedTarget instanceof Node && !element.contains(relatedTarget)) close(false);
  });
}
