// What one has written and not got out: drafts, and messages that wait or were refused.

import { keyOf, same } from '../core/conversation.js';
import { Emitter } from '../core/emitter.js';

/** @typedef {import('../core/conversation.js').Conversation} Conversation */
/** @typedef {import('../client.js').ChatClient} ChatClient */
/** @typedef {import('../kept.js').Kept} Kept */

/**
 * Dispatches `change`, and `draft` where a draft was changed elsewhere than in its input; `before` is
 * what stood there, null: it is to be shown whatever stands in the input.
 * @extends {Emitter<{change: null, draft: {conversation: Conversation, text: string, before: string | null}}>}
 */
export class Written extends Emitter {
  #chat;
  #kept;

  /** @param {ChatClient} chat @param {Kept} kept */
  constructor(chat, kept) {
    super();
    this.#chat = chat;
    this.#kept = kept;
  }

  /** Hear what other tabs of this account write. @param {AbortSignal} signal ends it */
  listen(signal) {
    this.#kept.listen({
      draft: (conversation, text, before) => {
        this.emit('draft', { conversation, text, before });
        this.emit('change', null);
      },
      waits: (entry) => this.#chat.adopt(entry),
      gone: (clientId) => this.#chat.forgo(clientId),
    }, signal);
  }

  /** @param {Conversation} conversation */
  draft(conversation) {
    return this.#kept.draft(conversation);
  }

  /** @returns {Conversation[]} those that have a draft or a message that is not sent */
  get conversations() {
    const all = [...this.#kept.drafts, ...this.#chat.outbox.map(({ conversation }) => conversation)];
    return [...new Map(all.map((one) => [keyOf(one), one])).values()];
  }

  /**
   * For a mark in the list.
   * @param {Conversation} conversation
   * @returns {{draft: string, waiting: number, failed: number}} the text, and how many messages
   */
  in(conversation) {
    const entries = this.#chat.outbox.filter((one) => same(one.conversation, conversation));
    const failed = entries.filter((one) => one.status === 'failed').length;
    return { draft: this.draft(conversation), waiting: entries.length - failed, failed };
  }

  /** @param {Conversation} conversation @param {string} text */
  keepDraft(conversation, text) {
    this.#kept.keepDraft(conversation, text);
    this.emit('change', null);
  }

  /** Take a refused message back into the input, before what stands there. @param {string} clientId */
  edit(clientId) {
    const entry = this.#chat.outbox.find((one) => one.clientId === clientId);
    if (entry?.status !== 'failed') return;
    const { conversation } = entry;
    const draft = this.draft(conversation);
    const text = draft ? `${entry.text}\n${draft}` : entry.text;
    this.keepDraft(conversation, text);
    this.#chat.discard(clientId);
    this.emit('draft', { conversation, text, before: null });
  }
}
