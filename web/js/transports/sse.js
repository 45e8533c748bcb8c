// Transport 2: Server-Sent Events (HTML standard, section 9.2).
// EventSource reconnects by itself and stops for ever on some answers; here exactly one party
// reconnects, the connection, so any error closes it and is told as the end. A page's script sees no
// status: why the server refused (204) is learnt by the poll that follows.

import { endOfBye } from '../core/endings.js';
import { readerUrl } from './address.js';

/** @typedef {import('../core/types.js').TransportOptions} TransportOptions */

/** A stream this old had proven itself, milliseconds. */
const STABLE_MS = 10_000;

export class SseTransport {
  #source;
  #on;
  #ready = false;
  #ended = false;
  #openedAt = performance.now();

  /** @param {TransportOptions} options */
  constructor(options) {
    this.#on = options.on;
    this.#source = new EventSource(readerUrl('/events', options), { withCredentials: true });
    this.#source.onmessage = (message) => this.#receive(message.data);
    this.#source.onerror = () => this.#end({ reason: 'the event stream broke' });
  }

  close() {
    this.#ended = true;
    this.#source.onmessage = null;
    this.#source.onerror = null;
    this.#source.close();
  }

  /** @param {string} data */
  #receive(data) {
    if (this.#ended) return;
    /** @type {import('../core/types.js').Item} */
    let item;
    try {
      item = JSON.parse(data);
    } catch {
      this.#on.alive();
      return;
    }
    if (item.type === 'bye') {
      this.#end(endOfBye(item));
      return;
    }
    if (!this.#ready) {
      this.#ready = true;
      this.#on.ready();
    }
    this.#on.item(item);
  }

  /** @param {import('../core/types.js').TransportEnd} end */
  #end(end) {
    if (this.#ended) return;
    this.close();
    this.#on.end({ ...end, stable: performance.now() - this.#openedAt > STABLE_MS });
  }
}
