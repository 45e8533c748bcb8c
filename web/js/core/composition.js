// Whether an Enter is an input method's: pure. While somebody composes characters, Enter chooses one
// and must send nothing. Browsers differ in what they tell: Chromium and Firefox send the key first
// (`isComposing`, key code 229) and then the end of the composition; Safari ends it first, and then
// sends the key, with code 229 or with none.

/** A key that comes so soon after the end of a composition is the one that ended it, milliseconds. */
const SAME_KEY_MS = 100;

/** @typedef {{key: string, keyCode?: number, isComposing?: boolean, timeStamp: number}} Key */

export class Composition {
  #composing = false;
  /** A key went down in the composition and is still held. */
  #keyHeld = false;
  /** When it ended without a key that was seen. */
  #endedAt = -Infinity;

  start() {
    this.#composing = true;
    this.#endedAt = -Infinity;
  }

  /** @param {number} timeStamp */
  end(timeStamp) {
    this.#composing = false;
    this.#endedAt = this.#keyHeld ? -Infinity : timeStamp;
  }

  keyUp() {
    this.#keyHeld = false;
  }

  /** A key goes down. @param {Key} key @returns {boolean} whether the input method has it */
  owns({ keyCode, isComposing, timeStamp }) {
    const inside = this.#composing || isComposing === true || keyCode === 229;
    const late = timeStamp - this.#endedAt < SAME_KEY_MS;
    this.#keyHeld = inside;
    this.#endedAt = -Infinity;
    return inside || late;
  }
}
