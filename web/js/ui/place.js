// The reader's place in a scroller of rows. Whatever comes in above or below, is laid out anew, or changes
// its height, the topmost message on the screen stays where it is; or the end does, where that is read.
//
// A place is told from what is on the screen, never from a row that is always there, and it is noted while
// the layout that it belongs to stands. Everything that changes the layout goes through `keep`, or is seen by
// the observer of sizes, before it is painted.

/** So near the end, coming down, one reads the end, pixels. */
const NEAR_PX = 40;
/** What is less of a movement is rounding, pixels. */
const STILL_PX = 1.5;
/** A row of which less than this is on the screen is not what is being read, pixels. */
const SLIVER_PX = 4;

/**
 * `top` and `height` are of the text of a message, on the screen: what is read does not move when a line appears above
 * the scroller, nor when the name above the text goes since more of the same writer has come before it. `cut` of
 * the height stood above the scroller's edge. `row` is the top of the whole message.
 * @typedef {{element: HTMLElement, top: number, height: number, cut: number, row: number}} Anchor
 */

/** Where the text of a message stands. @param {Element} row @returns {DOMRect} */
const read = (row) => (row.querySelector('.text') ?? row).getBoundingClientRect();

export class Place {
  #box;
  #list;
  #moved;
  /** @type {Anchor[]} the messages on the screen, from above: the first that still stands there holds the place */
  #anchors = [];
  /** The end stays in view. */
  follows = true;
  /** @type {Element | null} while the end is followed for a reader who is away: this row stays in view */
  stop = null;
  /** What the place was noted in. */
  #noted = { top: 0, content: 0, height: 0, width: 0, edge: 0 };
  #sizes;

  /**
   * @param {HTMLElement} box what scrolls
   * @param {HTMLElement} list the rows in it; those of the class `message` can hold the place
   * @param {(byReader: boolean) => void} moved called after the reader has scrolled, or the layout has changed
   */
  constructor(box, list, moved) {
    this.#box = box;
    this.#list = list;
    this.#moved = moved;
    box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.#sizes = new ResizeObserver(() => {
      this.hold();
      moved(false);
    });
    this.#sizes.observe(box);
    this.#sizes.observe(list);
  }

  close() {
    this.#sizes.disconnect();
  }

  /** Change rows, and the place stays. @param {() => void} change */
  keep(change) {
    // The reader may have scrolled since: the browser tells it with the next frame.
    this.#scrolled();
    change();
    this.hold();
  }

  /** Follow the end from now on. */
  toEnd() {
    this.follows = true;
    this.stop = null;
    this.hold();
  }

  /**
   * Go to a row.
   * @param {Element} element
   * @param {number} top how far below the scroller's top it shall stand
   */
  land(element, top) {
    this.stop = null;
    const { top: at } = element.getBoundingClientRect();
    this.#box.scrollTop += at - this.#edge - top;
    this.follows = this.#gap <= STILL_PX;
    this.#note();
  }

  /** @returns {{element: HTMLElement, top: number} | null} where one reads, from the scroller's edge; null: at the end */
  get anchor() {
    const [anchor] = this.#anchors;
    return this.follows || !anchor ? null : { element: anchor.element, top: anchor.row - this.#noted.edge };
  }

  /** @returns {Element | null} the last row that has come into view to its end */
  get lastSeen() {
    const bottom = this.#edge + this.#box.clientHeight + STILL_PX;
    const rows = this.#list.children;
    const place = first(rows, (row) => row.getBoundingClientRect().bottom > bottom);
    return rows[place - 1] ?? null;
  }

  /** How far it can be scrolled up, pixels. */
  get above() {
    return this.#box.scrollTop;
  }

  /** Put the place back where it was noted. */
  hold() {
    const box = this.#box;
    if (!box.clientHeight) return;
    if (this.follows) this.#followEnd();
    else {
      const standing = this.#anchors.filter(({ element }) => element.isConnected);
      const wanted = standing.map((anchor) => this.#wantedOf(anchor));
      const held = Math.max(0, wanted.findIndex((top) => top !== null));
      // Where the scroller itself has gone elsewhere, the message goes with it.
      if (standing.length) this.#putTo(standing[held].element, wanted[held] ?? this.#edge);
    }
    this.#note(this.#anchors[0]);
  }

  /** Where the top of a message belongs now. @param {Anchor} anchor @returns {number | null} null: out of view */
  #wantedOf({ element, top, height, cut }) {
    const edge = this.#edge;
    const { clientHeight } = this.#box;
    const now = read(element).height;
    // Of a long message that has wrapped anew, the same part stands at the edge.
    const wanted = height > clientHeight / 2 ? top + cut - cut * (now / height) : top;
    return wanted + now > edge + SLIVER_PX && wanted < edge + clientHeight ? wanted : null;
  }

  /** @param {Element} element @param {number} top */
  #putTo(element, top) {
    const off = read(element).top - top;
    if (Math.abs(off) >= 0.5) this.#box.scrollTop += off;
  }

  #followEnd() {
    const box = this.#box;
    box.scrollTop = box.scrollHeight;
    if (!this.stop?.isConnected) return;
    const { top } = this.stop.getBoundingClientRect();
    if (top >= this.#edge) return;
    box.scrollTop -= this.#edge - top;
    this.follows = false;
    this.#anchors = [];
  }

  /** The scroller's top edge on the screen. */
  get #edge() {
    return this.#box.getBoundingClientRect().top + this.#box.clientTop;
  }

  /** From the lower edge to the end, pixels. */
  get #gap() {
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    return scrollHeight - scrollTop - clientHeight;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight, clientWidth } = this.#box;
    if (!clientHeight) return;
    const { top, content, height, width } = this.#noted;
    const by = scrollTop - top;
    if (Math.abs(by) < STILL_PX) return;
    if (scrollHeight !== content || clientHeight !== height || clientWidth !== width) {
      // Laid out anew in the same frame: the place is put back, then moved by what the reader moved it. At
      // the end one cannot tell the reader's movement from the browser's own, and none is taken for one.
      if (this.#gap <= STILL_PX) {
        this.hold();
        return;
      }
      if (!this.follows) {
        this.hold();
        this.#box.scrollTop += by;
      }
    }
    if (by < 0) this.follows = this.#gap <= STILL_PX;
    else if (this.#gap <= NEAR_PX) this.follows = true;
    this.#note();
    this.#moved(true);
  }

  /** @param {Anchor} [held] what holds the place already is not measured again: rounding must not add up */
  #note(held) {
    const box = this.#box;
    this.#noted = { top: box.scrollTop, content: box.scrollHeight, height: box.clientHeight, width: box.clientWidth, edge: this.#edge };
    this.#anchors = this.#onScreen();
    if (held?.element.isConnected) {
      this.#anchors = [held, ...this.#anchors.filter(({ element }) => element !== held.element)];
    }
  }

  /** @returns {Anchor[]} */
  #onScreen() {
    const edge = this.#edge;
    const rows = this.#list.children;
    const found = [];
    for (let place = first(rows, (row) => row.getBoundingClientRect().bottom > edge + SLIVER_PX); place < rows.length; place += 1) {
      const element = /** @type {HTMLElement} */ (rows[place]);
      const { top: row } = element.getBoundingClientRect();
      if (row >= edge + this.#box.clientHeight) break;
      if (!element.classList.contains('message')) continue;
      const { top, height } = read(element);
      found.push({ element, top, height, cut: Math.max(0, edge - top), row });
    }
    return found;
  }
}

/** @param {HTMLCollection} rows @param {(row: Element) => boolean} holds once it holds, for all after it @returns {number} */
function first(rows, holds) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(rows[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
