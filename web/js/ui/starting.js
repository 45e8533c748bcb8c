// How a page begins: its first answers, and what its address says.

import { t } from '../words.js';

/** Ask for the first answers until they come, as long as the page is this model's. @param {import('./model.js').Model} model @param {() => boolean} isShown */
export async function startUntil(model, isShown) {
  for (let tries = 0; isShown(); tries += 1) {
    try {
      await model.start();
      return;
    } catch {
      if (!isShown()) return;
      if (!tries) model.note(t('page.unreachable'));
      await new Promise((resolve) => setTimeout(resolve, Math.min(10_000, 1000 * 2 ** tries)));
    }
  }
}

/** What stands in a part of an address; as it is written where that is no text, as in `#/chat/%`. @param {string} part */
export function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
