// What a person has written and not sent: drafts, and messages that wait. It is kept in the browser by
// account, each under a key of its own, so that tabs that write at the same time overwrite nothing of
// each other, and it outlives tabs, restarts and sign-out, until the person says otherwise.

import { keyOf, ofKey, ofWith } from './core/conversation.js';
import { randomId } from './ids.js';

/** @typedef {import('./core/conversation.js').Conversation} Conversation */
/** @typedef {import('./core/types.js').Outgoing} Outgoing */

/** A tab's own name, the same after a reload. */
const TAB_KEY = 'chat.tab';

/** @param {() => Storage} open @returns {Storage | null} null: the browser forbids it */
function allowed(open) {
  try {
    return open();
  } catch {
    return null;
  }
}

/** @param {string | null} json @returns {any} */
function parsed(json) {
  try {
    return JSON.parse(json ?? 'null');
  } catch {
    return null;
  }
}

export class Kept {
  #drafts;
  #outbox;
  #storage = allowed(() => localStorage);
  #session = allowed(() => sessionStorage);
  /** What the storage does not take lives as long as the page. @type {Map<string, string>} */
  #memory = new Map();
  /** What this page has kept of the outbox, by key. @type {Map<string, string>} */
  #known = new Map();

  /** @param {string} user whose it is */
  constructor(user) {
    this.#drafts = `chat.draft:${user}:`;
    this.#outbox = `chat.outbox:${user}:`;
    this.#moveIn(user);
  }

  /** A name of this tab. */
  get writer() {
    let name = this.#session?.getItem(TAB_KEY) ?? '';
    if (!name) {
      name = randomId();
      try {
        this.#session?.setItem(TAB_KEY, name);
      } catch {
        // Then the tab has another name after a reload.
      }
    }
    return name;
  }

  /** @param {Conversation} conversation */
  draft(conversation) {
    return this.#get(this.#drafts + keyOf(conversation)) ?? '';
  }

  /** @param {Conversation} conversation @param {string} text */
  keepDraft(conversation, text) {
    this.#set(this.#drafts + keyOf(conversation), text || null);
  }

  /** @returns {Conversation[]} those that have a draft */
  get drafts() {
    return this.#keys(this.#drafts).map((key) => ofKey(key.slice(this.#drafts.length)));
  }

  /** @returns {Outgoing[]} messages that wait, of all tabs, oldest first */
  outbox() {
    this.#known = new Map();
    const entries = [];
    for (const key of this.#keys(this.#outbox)) {
      const json = this.#get(key);
      const entry = parsed(json);
      if (typeof entry?.text !== 'string' || !entry.conversation) continue;
      this.#known.set(key, json ?? '');
      entries.push(entry);
    }
    return entries.sort((one, other) => one.at - other.at);
  }

  /** What another tab keeps beside these stays. @param {Outgoing[]} entries all that wait here */
  keepOutbox(entries) {
    const next = new Map(entries.map((entry) => [this.#outbox + entry.clientId, JSON.stringify(entry)]));
    for (const key of this.#known.keys()) if (!next.has(key)) this.#set(key, null);
    for (const [key, json] of next) if (this.#known.get(key) !== json) this.#set(key, json);
    this.#known = next;
  }

  /** As a ChatClient takes it. */
  get forClient() {
    return { outbox: this.outbox(), writer: this.writer, save: this.keepOutbox.bind(this) };
  }

  /** How many drafts and waiting messages there are. */
  get count() {
    return this.#keys(this.#drafts).length + this.#keys(this.#outbox).length;
  }

  /** The person does not want it any more. */
  forget() {
    for (const key of [...this.#keys(this.#drafts), ...this.#keys(this.#outbox)]) this.#set(key, null);
    this.#known = new Map();
  }

  /**
   * What other tabs change.
   * @param {object} heard
   * @param {(conversation: Conversation, text: string, before: string) => void} heard.draft
   * @param {(entry: Outgoing) => void} heard.waits
   * @param {(clientId: string) => void} heard.gone
   * @param {AbortSignal} signal ends the listening
   */
  listen({ draft, waits, gone }, signal) {
    globalThis.addEventListener?.('storage', ({ key, newValue, oldValue }) => {
      if (key?.startsWith(this.#drafts)) draft(ofKey(key.slice(this.#drafts.length)), newValue ?? '', oldValue ?? '');
      if (!key?.startsWith(this.#outbox)) return;
      const entry = parsed(newValue);
      if (newValue === null) this.#known.delete(key);
      else this.#known.set(key, newValue);
      if (newValue === null) gone(key.slice(this.#outbox.length));
      else if (entry) waits(entry);
    }, { signal });
  }

  /** @param {string} key */
  #get(key) {
    return this.#memory.get(key) ?? this.#storage?.getItem(key) ?? null;
  }

  /** @param {string} key @param {string | null} value */
  #set(key, value) {
    this.#memory.delete(key);
    try {
      if (value === null) this.#storage?.removeItem(key);
      else if (this.#storage) this.#storage.setItem(key, value);
      else this.#memory.set(key, value);
    } catch {
      this.#memory.set(key, value ?? '');
    }
  }

  /** @param {string} prefix @returns {string[]} */
  #keys(prefix) {
    const keys = new Set(this.#memory.keys());
    for (let n = 0; n < (this.#storage?.length ?? 0); n += 1) keys.add(this.#storage?.key(n) ?? '');
    return [...keys].filter((key) => key.startsWith(prefix));
  }

  /** What earlier versions of the page kept by tab. @param {string} user */
  #moveIn(user) {
    const old = `outbox:${user}`;
    const left = parsed(this.#session?.getItem(old) ?? null);
    for (const entry of Array.isArray(left) ? left : []) {
      // The oldest kept the wire's `to`.
      const { to = null, ...rest } = entry;
      const key = this.#outbox + entry.clientId;
      if (this.#get(key) === null) this.#set(key, JSON.stringify({ conversation: ofWith(to), ...rest }));
    }
    this.#session?.removeItem?.(old);
    const prefix = `draft:${user}:`;
    for (const key of Object.keys(this.#session ?? {}).filter((one) => one.startsWith(prefix))) {
      const conversation = ofKey(key.slice(prefix.length));
      if (!this.draft(conversation)) this.keepDraft(conversation, this.#session?.getItem(key) ?? '');
      this.#session?.removeItem(key);
    }
  }
}
