// The words of the page, in the reader's language. Every word that is shown stands in `words/`: one file
// a language, all with the same keys. The server chooses the language (the reader's choice here, else the
// browser's) and names it in <html lang>; only that file is fetched.

import { isolated } from './core/bidi.js';
import { localeOf } from './core/locale.js';

/** @typedef {typeof import('./words/en.js').default} Table */
/** @typedef {keyof Table} Key */

const root = typeof document === 'undefined' ? undefined : document.documentElement;

/** The languages there are, with their own names. @type {[string, string][]} */
export const languages = (root?.dataset.languages ?? 'en=English').split(';')
  .map((one) => /** @type {[string, string]} */ (one.split('=')));

/** The reader's language, as a BCP 47 tag. A page of another origin has its own. */
export const language = languages.some(([tag]) => tag === root?.lang) ? String(root?.lang) : 'en';

/** How days, times and numbers are written: as in the reader's country, where the browser says which, in the page's language. */
export const locale = root ? localeOf(language, navigator.languages) : language;

/** @type {Record<string, string | Record<string, string>>} */
const table = (await import(`./words/${language}.js`)).default;
const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(locale);
const lists = new Intl.ListFormat(language);

/** What a text with gaps is made of: words, and the names of what stands between them. */
const GAP = /\{(\w+)\}/u;

/** @param {string} key @param {Record<string, unknown>} values */
function textOf(key, values) {
  const found = Object.hasOwn(table, key) ? table[key] : key;
  if (typeof found === 'string') return found;
  return found[plurals.select(Number(values.count))] ?? found.other;
}

/**
 * The words for `key`. A value is text that somebody wrote, kept in its own direction, or a number, written as
 * the reader's country writes numbers; `count` chooses between the plural forms.
 * @param {Key} key
 * @param {Record<string, string | number>} [values] of the gaps
 */
export function t(key, values = {}) {
  return fill(textOf(key, values), values);
}

/** @param {string} text @param {Record<string, string | number>} values */
const fill = (text, values) => text.split(GAP).map((part, index) => {
  if (index % 2 === 0) return part;
  const value = values[part];
  return typeof value === 'number' ? numbers.format(value) : isolated(String(value ?? ''));
}).join('');

/**
 * The same with elements in the gaps, to put into an element; names of people come as `<bdi>`.
 * @param {Key} key
 * @param {Record<string, string | number | Node>} values
 * @returns {(string | Node)[]}
 */
export const parts = (key, values) => textOf(key, values).split(GAP).map((part, index) => {
  if (index % 2 === 0) return part;
  const value = values[part];
  return typeof value === 'number' ? numbers.format(value) : value ?? '';
});

/** Sentences with gaps that other parts say in English, and what they look like. @type {[RegExp, string][]} */
const patterns = Object.keys(table).filter((key) => key.startsWith('said: ') && GAP.test(key)).map((key) => {
  const literal = key.slice(6).split(GAP).map((part, index) => (
    index % 2 ? `(?<${part}>.+)` : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')));
  return [new RegExp(`^${literal.join('')}$`, 'u'), key];
});

/**
 * What the server or the connection says in English, in the reader's language; as it is where no words
 * for it are known.
 * @param {string} sentence
 */
export function said(sentence) {
  const key = `said: ${sentence}`;
  if (Object.hasOwn(table, key)) return String(table[key]);
  for (const [pattern, known] of patterns) {
    const groups = pattern.exec(sentence)?.groups;
    if (groups) return fill(String(table[known]), groups);
  }
  return sentence;
}

/**
 * Why something failed: what the server says of it, or where that is not known in the reader's language,
 * what its code means in general.
 * @param {unknown} error
 */
export function wordsOf(error) {
  const { message, code } = /** @type {{message: string, code?: string}} */ (error);
  const words = said(message);
  // An English sentence without a translation is better than a general one only for who reads English.
  if (words !== message || !code || language.startsWith('en')) return words;
  const key = `refused.${code}`;
  return String(table[Object.hasOwn(table, key) ? key : 'refused.unknown']);
}

/** @param {string[]} names @returns {string} one after another, as the language writes lists */
export const listed = (names) => lists.format(names.map(isolated));

/** Choose a language for this browser; '' for the browser's own. The page then begins anew. @param {string} tag */
export function chooseLanguage(tag) {
  const age = tag ? 400 * 86_400 : 0;
  document.cookie = `chat_language=${tag}; Path=/; Max-Age=${age}; SameSite=Lax`;
  location.reload();
}

/** What was chosen here; '' where the browser's own language counts. */
export const chosenLanguage = () => /(?:^|; )chat_language=([\w-]+)/u.exec(document.cookie)?.[1] ?? '';
