// Messages on their way out: pure, in the order in which they were written.
// A message keeps its clientId through every retry, so the server posts it once however often
// it is sent; it leaves the outbox when the ack or its own event has come, whichever is first.

/** @typedef {import('./types.js').Outgoing} Outgoing */

/** Messages that may wait; beyond it writing is refused rather than memory spent. */
export const OUTBOX_MAX = 200;

/** When it was written by the server's clock: said once, so that it stays. @param {Outgoing} entry */
export const writtenAt = ({ at, aheadMs = 0 }) => at + aheadMs;

export class Outbox {
  /** @type {Map<string, Outgoing>} */
  #entries = new Map();

  /** @param {Outgoing[]} [entries] what an earlier life of the page left */
  constructor(entries = []) {
    for (const entry of entries) this.#entries.set(entry.clientId, { ...entry });
  }

  /** @returns {Outgoing[]} copies, oldest first */
  get entries() {
    return [...this.#entries.values()].map((entry) => ({ ...entry }));
  }

  /** @returns {Outgoing[]} those to be sent, oldest first; one at a time keeps them in order */
  get waiting() {
    return this.entries.filter((entry) => entry.status === 'pending');
  }

  /** @returns {Outgoing | null} the oldest of them */
  get next() {
    return this.waiting[0] ?? null;
  }

  /** @param {string} clientId @returns {Outgoing | undefined} */
  find(clientId) {
    const entry = this.#entries.get(clientId);
    return entry && { ...entry };
  }

  /** As another tab has it now. @param {Outgoing} entry */
  adopt(entry) {
    this.#entries.set(entry.clientId, { ...entry });
  }

  /**
   * @param {Omit<Outgoing, 'status' | 'error'>} message
   * @throws {RangeError} when OUTBOX_MAX messages wait already
   */
  add(message) {
    if (this.#entries.size >= OUTBOX_MAX) {
      throw new RangeError(`${OUTBOX_MAX} messages are waiting to be sent already`);
    }
    this.#entries.set(message.clientId, { ...message, status: 'pending' });
  }

  /**
   * It is at the server: by an ack or by its own event.
   * @param {string} clientId
   * @returns {boolean} whether it was here
   */
  confirm(clientId) {
    return this.#entries.delete(clientId);
  }

  /** @param {string} clientId @param {string} error why, in words for the writer */
  fail(clientId, error) {
    const entry = this.#entries.get(clientId);
    if (entry) Object.assign(entry, { status: 'failed', error });
  }

  /** Send a failed one again, under the same clientId. @param {string} clientId */
  retry(clientId) {
    const entry = this.#entries.get(clientId);
    if (!entry) return;
    entry.status = 'pending';
    delete entry.error;
  }

  /** The writer gives a failed one up. @param {string} clientId */
  discard(clientId) {
    if (this.#entries.get(clientId)?.status === 'failed') this.#entries.delete(clientId);
  }
}
