// What goes on beside the views while somebody is signed in: the page calls, its worker knows for whom, and
// what is shown is kept for a visit without the server. All of it ends with the account.

import { claimLast, keepLast } from '../last.js';
import { beginWorker } from '../worker.js';
import { Calls } from './calls.js';
import { askBar } from './calls_form.js';
import { showCount } from './favicon.js';

/** @typedef {import('./model.js').Model} Model */

const ask = /** @type {HTMLElement} */ (document.getElementById('ask'));
/** So often what is shown is kept. */
const KEEP_MS = 2000;

/** @typedef {{calls: Calls, end: () => void}} Beside */

/** @param {import('../api.js').Api} api @param {Model} model @returns {Beside} */
export function beginBeside(api, model) {
  const { id } = model.me;
  const calls = new Calls(api, model);
  const closing = new AbortController();
  const { signal } = closing;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let keeping;
  claimLast(model.me);
  const keep = () => {
    keeping = undefined;
    if (!signal.aborted && model.ready) keepLast(model);
  };
  // What changed since is not lost with the page.
  addEventListener('pagehide', keep, { signal });
  calls.addEventListener('change', () => {
    ask.replaceChildren(...askBar(calls));
    model.emit('change', null);
  }, { signal });
  model.addEventListener('change', () => {
    showCount(model.unread);
    keeping ??= setTimeout(keep, KEEP_MS);
  }, { signal });
  navigator.serviceWorker?.addEventListener('message', ({ data }) => {
    if (data?.kind === 'open') location.hash = data.hash;
  }, { signal });
  if (model.chat.state === 'connected') calls.load();
  beginWorker(id).catch(() => {
    // It goes without: the page needs the server then.
  });
  return {
    calls,
    /** The account has left this page: nothing of it stays where it was the last one here. */
    end() {
      closing.abort();
      clearTimeout(keeping);
      calls.close();
      ask.replaceChildren();
      showCount(0);
    },
  };
}
