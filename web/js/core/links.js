// Finding web addresses in what people write: pure. The parts come back as text; the page makes
// elements of them, so nothing that a user typed is ever read as HTML.

/** @typedef {{text: string, href: string | null}} Part */

/** Bounded, so that a hostile text costs no time. Only http and https: `javascript:` and `data:` addresses run or show what the sender likes. */
const ADDRESS = /\bhttps?:\/\/[^\s<>"'`\u0000-\u001f\u200e\u200f\u202a-\u202e\u2066-\u2069]{1,2000}/giu;
/** Marks that end a sentence belong to it, not to the address. */
const TRAILING = /[.,;:!?…*_~]+$/u;

/** @param {string} address @returns {string} without the marks and brackets that only stand next to it */
function withoutTrailing(address) {
  let kept = address.replace(TRAILING, '');
  for (const [open, close] of ['()', '[]', '{}']) {
    while (kept.endsWith(close) && count(kept, close) > count(kept, open)) {
      kept = kept.slice(0, -1).replace(TRAILING, '');
    }
  }
  return kept;
}

/** @param {string} text @param {string} mark */
const count = (text, mark) => text.split(mark).length - 1;

/** @param {string} address @returns {string | null} null: no address after all */
function hrefOf(address) {
  try {
    const url = new URL(address);
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
    const address = withoutTrailing(match[0]);
    const href = hrefOf(address);
    if (!href) continue;
    if (match.index > end) parts.push({ text: text.slice(end, match.index), href: null });
    parts.push({ text: address, href });
    end = match.index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: null });
  return parts;
}
