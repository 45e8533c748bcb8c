// Transport 2: Server-Sent Events (HTML standard, section 9.2).
// EventSource reconnects by itself and stops for ever on some answers; here exactly one party
// reconnects, the connection, so any error closes it and is told as the end.

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
  constructor({ base, cursor, client, on }) {
    this.#on = on;
    const url = new URL(`${base}/events`, location.href);
    url.searchParams.set('client', client);
    if (cursor !== null) url.searchParams.set('after', String(cursor));
    this.#source = new EventSource(url);
    this.#source.onmessage = (message) => this.#receive(message.data);
    this.#source.onerror = () => this.#end({ reason: 'the event stream broke' });
  }

  close() {
    this.#ended = true;
    this.#source.onmessage = null;
    this.#source.onerror = null;
    this.#source.close();
  }

  send() {
    return false;
  }

  /** Nothing can be asked on a one-way stream: the server's ping is the sign of life. */
  probe() {}

  /** @param {string} data */
  #receive(data) {
    if (this.#ended) return;
    let item;
    try {
      item = JSON.parse(data);
    } catch {
      this.#on.alive();
      return;
    }
    if (item.type === 'bye') {
      const { reason, reconnectIn, retry } = item;
      this.#end(retry === false ? { reason, stop: reason } : { reason, retryMs: reconnectIn });
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
