// Who is online: told by signals, which have no place in the order, and by lists of friends, which
// were on their way meanwhile. Pure. Whoever asks for a list notes the turn first; what a signal told
// after that turn is newer than the list, or as good.

/** @typedef {import('./types.js').WholePresence | import('./types.js').Presence} Told */
/** @typedef {{online: boolean, lastSeen: number | null}} Standing */

/** @param {number | null | undefined} one @param {number | null | undefined} other */
const latest = (one, other) => Math.max(one ?? 0, other ?? 0) || null;

export class Presence {
  /** @type {Map<string, Standing & {turn: number}>} people who are no friends yet, as far as the page knows, too */
  #told = new Map();
  #wholeTurn = 0;
  #turn = 0;

  /** Grows with each signal. */
  get turn() {
    return this.#turn;
  }

  /** The turn in which the whole was told last. */
  get wholeTurn() {
    return this.#wholeTurn;
  }

  /** @param {string} id @returns {Standing} */
  of(id) {
    const { online = false, lastSeen = null } = this.#told.get(id) ?? {};
    return { online, lastSeen };
  }

  /** @param {Told} signal */
  tell(signal) {
    const turn = ++this.#turn;
    if ('user' in signal) {
      const lastSeen = latest(signal.lastSeen, this.#told.get(signal.user)?.lastSeen);
      this.#told.set(signal.user, { online: signal.online, lastSeen, turn });
      return;
    }
    this.#wholeTurn = turn;
    const online = new Set(signal.online);
    for (const [id, one] of this.#told) this.#told.set(id, { ...one, online: online.has(id), turn });
    for (const id of online) if (!this.#told.has(id)) this.#told.set(id, { online: true, lastSeen: null, turn });
  }

  /**
   * @param {readonly ({id: string} & Standing)[]} list
   * @param {number} asked the turn in which it was asked for
   */
  adopt(list, asked) {
    const before = this.#told;
    this.#told = new Map([...before].filter(([, { turn }]) => turn > asked));
    for (const { id, online, lastSeen } of list) {
      const told = before.get(id);
      const turn = told?.turn ?? this.#wholeTurn;
      if (turn <= asked) this.#told.set(id, { online, lastSeen, turn: asked });
      else this.#told.set(id, { online: told?.online ?? false, lastSeen: latest(told?.lastSeen, lastSeen), turn });
    }
  }

  /** @param {string} id */
  forget(id) {
    this.#told.delete(id);
  }
}
