// Finding web and mail addresses in what people write: pure. The parts come back as text; the page makes
// elements of them, so nothing that a user typed is ever read as HTML. `core/links.py` finds the same ones for the
// pages without script; `tests/links.json` has the cases of both.

/** @typedef {{text: string, href: string | null}} Part */

/** What ends a sentence, a quotation or a bracket in a script other than ASCII is never part of an address. */
const ENDS = '[\\p{Terminal_Punctuation}\\p{Quotation_Mark}\\p{Ps}\\p{Pe}\\p{Pi}\\p{Pf}—]';
/** But for the apostrophe, between letters of scripts that have one; in the others it only ends a quotation. */
const APOSTROPHE = '(?<=[A-Za-z\\u00c0-\\u024f\\u0400-\\u052f])\\u2019(?=[A-Za-z\\u00c0-\\u024f\\u0400-\\u052f])';
/** In ASCII the same marks are in addresses too; where they end one is seen afterwards. */
const MARKS = "[!'(),.:;?[\\]{}]";
/** Never in an address as people write it: blanks, marks that show nothing and may turn the line, quotes. */
const NEVER = '[^\\s<>"`\\u0000-\\u001f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]';
const SIGN = `(?:(?!${ENDS})${NEVER}|${MARKS}|${APOSTROPHE})`;
const LABEL = '[\\p{L}\\p{N}](?:[\\p{L}\\p{N}\\p{M}-]{0,61}[\\p{L}\\p{N}\\p{M}])?';

/** Bounded, so that a hostile text costs no time. Only http, https and mail: `javascript:` and `data:` addresses run or show what the sender likes. */
const ADDRESS = new RegExp(
  `(?<![A-Za-z0-9@])(?:https?://${SIGN}{1,2000}|www\\.${LABEL}(?:\\.${LABEL})+(?:[/?#:]${SIGN}{0,2000})?)`
  + `|(?<![\\w.%+@/-])[\\p{L}\\p{N}_%+-]{1,64}(?:\\.[\\p{L}\\p{N}_%+-]{1,64}){0,8}@${LABEL}(?:\\.${LABEL}){1,8}`, 'giu');

/** Marks that end a sentence belong to it, not to the address. */
const TRAILING = /(?:[.,;:!?…*_~'·]|['\u2019]s)+$/u;
const CLOSERS = new Map([[')', '('], [']', '['], ['}', '{']]);

/** @param {string} address @returns {string} up to the first bracket that closes what began before it, and without the marks at its end */
function ended(address) {
  /** @type {string[]} */
  const open = [];
  let end = 0;
  for (const sign of address) {
    if ('([{'.includes(sign)) open.push(sign);
    if (CLOSERS.has(sign) && open.pop() !== CLOSERS.get(sign)) break;
    end += sign.length;
  }
  const kept = address.slice(0, end).replace(TRAILING, '');
  // A bracket that was opened and not closed belongs to the sentence too.
  return /[([{]$/u.test(kept) ? ended(kept.slice(0, -1)) : kept;
}

/** @param {string} address @returns {string | null} null: no address after all */
function hrefOf(address) {
  if (!/^(?:https?:|www\.)/iu.test(address)) return `mailto:${encodeURI(address)}`;
  try {
    const url = new URL(/^www\./iu.test(address) ? `https://${address}` : address);
    // A name before the host ("https://bank.example@evil.example") only serves to deceive.
    return url.username || url.password ? null : url.href;
  } catch {
    return null;
  }
}

/**
 * @param {string} text
 * @returns {Part[]} in order; joined, their texts are `text` again
 */
export function splitLinks(text) {
  /** @type {Part[]} */
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = ended(match[0]);
    const href = hrefOf(address);
    if (!href) continue;
    if (match.index > end) parts.push({ text: text.slice(end, match.index), href: null });
    parts.push({ text: address, href });
    end = match.index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: null });
  return parts;
}
