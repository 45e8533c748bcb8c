// The page calls: a notification and a sound where nothing of this browser has the focus, from the one tab
// that leads. It asks whether it may only after a message has come, and by a button.

import { NO_WISHES, calls } from '../core/calls.js';
import { addressOf, between, keyOf } from '../core/conversation.js';
import { Emitter } from '../core/emitter.js';
import { t } from '../words.js';
import { registration, subscribe, unsubscribe } from '../worker.js';
import { chime } from './sound.js';

/** @typedef {import('../core/calls.js').Wishes} Wishes */
/** @typedef {import('../core/conversation.js').Conversation} Conversation */
/** @typedef {import('../core/types.js').MessageEvent} MessageEvent */

/** So long another tab may take to say that it has the focus. */
const FOCUS_MS = 150;
const OFF_KEY = 'chat.calls';
const SOUND_KEY = 'chat.sound';

/** @param {string} key */
function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string} value */
function store(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // It holds as long as the page.
  }
}

/** What `Notification` says; `denied` where there is none. */
const permission = () => (typeof Notification === 'function' ? Notification.permission : 'denied');

/**
 * Dispatches `change`: a wish, a permission, or whether to ask.
 * @extends {Emitter<{change: null}>}
 */
export class Calls extends Emitter {
  #api;
  #model;
  /** @type {BroadcastChannel | null} */
  #tabs = null;
  #came = false;
  #closing = new AbortController();
  /** @type {Wishes} */
  wishes = NO_WISHES;

  /** @param {import('../api.js').Api} api @param {import('./model.js').Model} model */
  constructor(api, model) {
    super();
    this.#api = api;
    this.#model = model;
    const { signal } = this.#closing;
    model.addEventListener('arrival', ({ detail }) => {
      this.#arrived(detail).catch(() => {
        // The message stands in the page.
      });
    }, { signal });
    model.addEventListener('connected', () => this.load(), { signal });
    if (typeof BroadcastChannel === 'function') {
      this.#tabs = new BroadcastChannel(`chat-focus:${model.me.id}`);
      this.#tabs.onmessage = ({ data }) => {
        if (data === 'who' && document.hasFocus()) this.#tabs?.postMessage('me');
      };
    }
  }

  close() {
    this.#closing.abort();
    this.#tabs?.close();
    this.#tabs = null;
  }

  /** Whether to offer to call: a message has come, and nobody has said yes or no yet. */
  get asks() {
    return this.#came && permission() === 'default' && stored(OFF_KEY) === null;
  }

  /** Whether this browser calls. */
  get on() {
    return permission() === 'granted' && stored(OFF_KEY) === 'on';
  }

  /** The person has said no to the browser's own question: only its settings can change that. */
  get denied() {
    return permission() === 'denied';
  }

  get sound() {
    return stored(SOUND_KEY) !== 'off';
  }

  set sound(on) {
    store(SOUND_KEY, on ? 'on' : 'off');
    if (on) chime();
    this.emit('change', null);
  }

  /** By a click: the browser asks the person. */
  async turnOn() {
    const granted = await Notification.requestPermission() === 'granted';
    if (granted) store(OFF_KEY, 'on');
    this.emit('change', null);
    if (granted) await this.#subscribe();
  }

  async turnOff() {
    store(OFF_KEY, 'off');
    this.emit('change', null);
    await unsubscribe(this.#api);
  }

  /** @param {Partial<Wishes>} wishes */
  async wish(wishes) {
    this.wishes = await this.#api.put('/api/alerts', wishes);
    this.emit('change', null);
  }

  /** @param {Conversation} conversation */
  isMuted(conversation) {
    return this.wishes.muted.includes(keyOf(conversation));
  }

  /** @param {Conversation} conversation @param {boolean} muted */
  async mute(conversation, muted) {
    // What another device has muted meanwhile stays.
    const { muted: before } = await this.#api.get('/api/alerts');
    const others = before.filter((/** @type {string} */ key) => key !== keyOf(conversation));
    await this.wish({ muted: muted ? [...others, keyOf(conversation)] : others });
  }

  /** What the account wishes, as soon as there is a connection. */
  load() {
    this.#api.get('/api/alerts').then((wishes) => {
      this.wishes = wishes;
      this.emit('change', null);
      return this.on ? this.#subscribe() : undefined;
    }).catch(() => {
      // The next connection asks again.
    });
  }

  async #subscribe() {
    try {
      await subscribe(this.#api, this.wishes.key);
    } catch {
      // A browser without a push service calls as long as a page is open.
    }
  }

  /** @param {MessageEvent} event */
  async #arrived(event) {
    const { me, chat } = this.#model;
    if (!this.#came) {
      this.#came = true;
      this.emit('change', null);
    }
    if (chat.borrowed || !calls(this.wishes, event, me.id, Date.now())) return;
    if (document.hasFocus() || await this.#focusElsewhere()) return;
    if (this.sound) chime();
    if (this.on) await this.#notify(event);
  }

  /** Whether another tab of this browser has the focus. @returns {Promise<boolean>} */
  #focusElsewhere() {
    const { id } = this.#model.me;
    if (!this.#tabs) return Promise.resolve(false);
    const asked = new BroadcastChannel(`chat-focus:${id}`);
    return new Promise((resolve) => {
      const end = (/** @type {boolean} */ found) => {
        clearTimeout(timer);
        asked.close();
        resolve(found);
      };
      const timer = setTimeout(() => end(false), FOCUS_MS);
      asked.onmessage = ({ data }) => {
        if (data === 'me') end(true);
      };
      asked.postMessage('who');
    });
  }

  /** @param {MessageEvent} event */
  async #notify(event) {
    const conversation = between(event.from.id, event.to, this.#model.me.id);
    const hash = addressOf(conversation);
    const options = {
      body: event.text, tag: `chat-${keyOf(conversation)}`, renotify: true, silent: true, data: { hash },
    };
    const { name } = this.#model.current(event.from);
    const title = conversation.kind === 'direct' ? name : t('calls.toAll', { name });
    const worker = await registration();
    if (worker?.active) {
      await worker.showNotification(title, options);
      return;
    }
    const shown = new Notification(title, options);
    shown.onclick = () => {
      window.focus();
      location.hash = hash;
      shown.close();
    };
  }
}
