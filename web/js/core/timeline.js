// One conversation's messages in their order: pure. Live events, pages of history and replays may
// overlap in any way; each message stands here once, at its place.

/** @typedef {import('./types.js').MessageEvent} MessageEvent */
/** @typedef {import('./types.js').Outgoing} Outgoing */

/**
 * @typedef {{kind: 'day', key: string, at: number}
 *   | {kind: 'new', key: string}
 *   | {kind: 'note', key: string, text: string}
 *   | {kind: 'message', key: string, event: MessageEvent, follows: boolean}
 *   | {kind: 'outgoing', key: string, entry: Outgoing, follows: boolean}} Row
 */

/** A message this soon after the same writer's last one stands under one name. */
const GROUP_MS = 5 * 60_000;

export class Timeline {
  /** @type {MessageEvent[]} ascending by seq */
  #messages = [];
  /** Whether the server has older ones; unknown until the first page came. */
  more = true;
  /** Whether a page of history has been read. */
  loaded = false;
  /** Every message after it is here, as far as the stream has come. */
  #floor;

  /** @param {number} [floor] from there on the stream is followed; Infinity: it is not yet */
  constructor(floor = 0) {
    this.#floor = floor;
  }

  get length() {
    return this.#messages.length;
  }

  get firstSeq() {
    return this.#messages[0]?.seq ?? null;
  }

  get lastSeq() {
    return this.#messages[this.#messages.length - 1]?.seq ?? null;
  }

  /** @returns {readonly MessageEvent[]} */
  get messages() {
    return this.#messages;
  }

  /**
   * @param {MessageEvent} message
   * @returns {boolean} false: it stood here already, or lies where a page of history will bring it
   */
  add(message) {
    // One that stood alone far back would hide from `firstSeq` what lies between.
    if (message.seq <= this.#floor) return false;
    const place = this.#placeAfter(message.seq);
    if (place > 0 && this.#messages[place - 1].seq === message.seq) return false;
    this.#messages.splice(place, 0, message);
    return true;
  }

  /** The stream is followed from `seq` on. @param {number} seq */
  followFrom(seq) {
    this.#floor = Math.min(this.#floor, seq);
  }

  /**
   * The newest page of history, or the one before what stands here.
   * @param {MessageEvent[]} page ascending
   * @param {boolean} more whether the server has older ones still
   * @param {number} [end] the page reaches up to here: the answer's `seq`, or what it was asked to lie before
   * @returns {boolean} false: a gap would lie between it and what stands here, so it was not taken
   */
  addPage(page, more, end = Infinity) {
    if (this.#floor !== Infinity && end < this.#floor) return false;
    const floor = more && page.length ? page[0].seq - 1 : more ? this.#floor : 0;
    this.#floor = Math.min(this.#floor, floor);
    for (const message of page) this.add(message);
    this.more = more;
    this.loaded = true;
    return true;
  }

  /** Where an older page ends: messages before this one are not here. */
  get before() {
    return this.#floor + 1;
  }

  /**
   * @param {number} after
   * @param {number} upTo
   * @param {string} me whose own ones do not count
   * @returns {number | null} messages of others in between; null: not all of them are here
   */
  count(after, upTo, me) {
    if (after < this.#floor) return null;
    let count = 0;
    for (let place = this.#placeAfter(after); place < this.#messages.length; place += 1) {
      const { seq, from } = this.#messages[place];
      if (seq > upTo) break;
      if (from.id !== me) count += 1;
    }
    return count;
  }

  /** What somebody wrote before `seq` is not shown any more. @param {string} writer @param {number} seq */
  remove(writer, seq) {
    this.#messages = this.#messages.filter((one) => one.from.id !== writer || one.seq > seq);
  }

  /**
   * Let the oldest go, so that a page left open for weeks stays small; they can be read again.
   * @param {number} keep
   */
  trim(keep) {
    const rest = this.#messages.length - keep;
    if (rest <= 0) return;
    this.#floor = this.#messages[rest - 1].seq;
    this.#messages.splice(0, rest);
    this.more = true;
  }

  /** @param {number} seq @returns {number} how many messages stand at or before `seq` */
  #placeAfter(seq) {
    let low = 0;
    let high = this.#messages.length;
    if (high && this.#messages[high - 1].seq < seq) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#messages[middle].seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Rows to show: messages with day separators and the new-message line, then what is on its way.
   * @param {object} view
   * @param {(at: number) => string} view.dayOf the reader's day of a time: a separator stands wherever it changes
   * @param {number | null} [view.readUpTo] the new-message line stands after this seq
   * @param {string} [view.me] own messages do not begin the unread ones
   * @param {Outgoing[]} [view.outgoing]
   * @param {{text: string, afterSeq: number, id: number}[]} [view.notes] lines of the connection
   * @returns {Row[]}
   */
  rows({ dayOf, readUpTo = null, me = '', outgoing = [], notes = [] }) {
    /** @type {Row[]} */
    const rows = [];
    let day = '';
    let marked = readUpTo === null;
    let note = 0;
    /** @type {Written | null} */
    let last = null;
    const noteRow = () => {
      const { id, text } = notes[note++];
      rows.push({ kind: 'note', key: `note-${id}`, text });
      last = null;
    };
    /** @param {number} at @param {string} key of what stands below */
    const dayRow = (at, key) => {
      const today = dayOf(at);
      if (today === day) return;
      rows.push({ kind: 'day', key: `day-${key}`, at });
      day = today;
      last = null;
    };
    for (const event of this.#messages) {
      while (note < notes.length && notes[note].afterSeq < event.seq) noteRow();
      const key = keyOf(event, me);
      dayRow(event.at, key);
      if (!marked && event.seq > /** @type {number} */ (readUpTo) && event.from.id !== me) {
        rows.push({ kind: 'new', key: 'new' });
        marked = true;
        last = null;
      }
      const written = { by: event.from.id, at: event.at };
      rows.push({ kind: 'message', key, event, follows: follows(last, written) });
      last = written;
    }
    while (note < notes.length) noteRow();
    // What is on its way stands where it will stand, and under the same key: it does not move when it is sent.
    const sent = outgoing.length ? new Set(this.#messages.map((event) => keyOf(event, me))) : null;
    for (const entry of outgoing) {
      const key = ownKey(entry.clientId);
      if (sent?.has(key)) continue;
      const written = { by: me, at: Math.max(entry.at, this.#messages[this.#messages.length - 1]?.at ?? 0) };
      dayRow(written.at, key);
      rows.push({ kind: 'outgoing', key, entry, follows: follows(last, written) });
      last = written;
    }
    return rows;
  }
}

/** @typedef {{by: string, at: number}} Written */

/** @param {Written | null} last @param {Written} next */
function follows(last, next) {
  return last !== null && last.by === next.by && next.at - last.at < GROUP_MS;
}

const ownKey = (/** @type {string} */ clientId) => `own-${clientId}`;

/** @param {MessageEvent} event @param {string} me */
function keyOf({ seq, from, clientId }, me) {
  return clientId && from.id === me ? ownKey(clientId) : `m-${seq}`;
}
