// What a page needs of its browser, as arguments of who needs it, so that a test can play many tabs.

import { Connection } from './connection.js';
import { randomId } from './ids.js';

const MEMORY_KEY = 'chat.transport';

/** Where the transport that last worked is kept; a browser may forbid it. */
export const transportMemory = {
  get() {
    try {
      return localStorage.getItem(MEMORY_KEY);
    } catch {
      return null;
    }
  },
  set(/** @type {string} */ rung) {
    try {
      localStorage.setItem(MEMORY_KEY, rung);
    } catch {
      // Without a memory the next page starts on long-polling.
    }
  },
};

/** Whether this browser can share a connection between its tabs. */
export const canShare = () => typeof BroadcastChannel === 'function'
  && typeof navigator === 'object' && typeof navigator.locks?.request === 'function';

/** @returns {import('./core/types.js').TabEffects} */
export const browserEffects = () => ({
  tab: randomId(),
  openChannel: (name) => new BroadcastChannel(name),
  locks: navigator.locks,
  connect: (options) => new Connection(options),
  visible: () => document.visibilityState === 'visible',
  now: () => Date.now(),
  setTimer: (callback, ms) => setTimeout(callback, ms),
  clearTimer: (timer) => clearTimeout(timer),
});
