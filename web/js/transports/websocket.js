// Transport 1: WebSocket (RFC 6455), subprotocol chat.v1.

import { endOfClose } from '../core/endings.js';
import { readerUrl } from './address.js';

/** @typedef {import('../core/types.js').TransportOptions} TransportOptions */

/** A connection this old had proven itself, milliseconds. */
const STABLE_MS = 10_000;

export class WebSocketTransport {
  #socket;
  #on;
  #ready = false;
  #ended = false;
  #openedAt = performance.now();
  /** @type {import('../core/types.js').Bye | null} */
  #bye = null;

  /** @param {TransportOptions} options */
  constructor(options) {
    this.#on = options.on;
    const url = readerUrl('/ws', options);
    url.protocol = url.protocol.replace('http', 'ws');
    this.#socket = new WebSocket(url, 'chat.v1');
    this.#socket.onmessage = (message) => this.#receive(message.data);
    this.#socket.onclose = (event) => this.#end(event.code, event.reason);
  }

  close() {
    this.#ended = true;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close(1000);
  }

  /** @param {object} frame @returns {boolean} */
  send(frame) {
    if (!this.#ready || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  probe() {
    this.send({ type: 'ping' });
  }

  /** @param {unknown} data */
  #receive(data) {
    if (this.#ended) return;
    /** @type {import('../core/types.js').Item} */
    let item;
    try {
      item = JSON.parse(/** @type {string} */ (data));
    } catch {
      this.#on.alive();
      return;
    }
    if (item.type === 'bye') {
      this.#bye = item;
      return;
    }
    if (!this.#ready) {
      this.#ready = true;
      this.#on.ready();
    }
    this.#on.item(item);
  }

  /** @param {number} code @param {string} words */
  #end(code, words) {
    if (this.#ended) return;
    this.#ended = true;
    const stable = performance.now() - this.#openedAt > STABLE_MS;
    this.#on.end({ ...endOfClose(code, words, this.#bye), stable });
  }
}
