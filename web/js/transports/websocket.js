// Transport 1: WebSocket (RFC 6455), subprotocol chat.v1.

/** @typedef {import('../core/types.js').TransportOptions} TransportOptions */

/** Close codes that mean: do not come back by yourself (docs/protocol.md). */
const isFinal = (/** @type {number} */ code) => code === 4000 || (code >= 4500 && code <= 4999);
/** A connection this old had proven itself, milliseconds. */
const STABLE_MS = 10_000;

const WORDS = /** @type {Record<number, string>} */ ({
  1006: 'the connection broke', 1012: 'the server restarts', 4000: 'replaced by a newer connection',
  4008: 'too slow', 4029: 'too many connections', 4500: 'bad frames', 4501: 'signed out',
  4502: 'the session expired',
});

export class WebSocketTransport {
  #socket;
  #on;
  #ready = false;
  #ended = false;
  #openedAt = performance.now();
  /** @type {{reason?: string, reconnectIn?: number, retry?: boolean} | null} */
  #bye = null;

  /** @param {TransportOptions} options */
  constructor({ base, cursor, client, on }) {
    this.#on = on;
    const url = new URL(`${base}/ws`, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.searchParams.set('client', client);
    if (cursor !== null) url.searchParams.set('after', String(cursor));
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
    const reason = this.#bye?.reason || words || WORDS[code] || `closed with code ${code}`;
    const final = isFinal(code) || this.#bye?.retry === false;
    const stop = code === 4501 || code === 4502 ? 'signed out' : reason;
    this.#on.end({
      reason,
      stop: final ? stop : undefined,
      retryMs: this.#bye && !final ? this.#bye.reconnectIn : undefined,
      stable: performance.now() - this.#openedAt > STABLE_MS,
    });
  }
}
