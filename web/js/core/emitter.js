// An `EventTarget` whose events have types: no listener has to guess what `detail` is.

/** @template {Record<string, any>} Details what each event carries, by name */
export class Emitter extends EventTarget {
  /**
   * @template {keyof Details & string} Type
   * @overload
   * @param {Type} type
   * @param {(event: CustomEvent<Details[Type]>) => void} listener
   * @param {AddEventListenerOptions} [options]
   * @returns {void}
   */
  /**
   * @overload
   * @param {string} type
   * @param {EventListenerOrEventListenerObject | null} listener
   * @param {AddEventListenerOptions | boolean} [options]
   * @returns {void}
   */
  /** @param {string} type @param {any} listener @param {AddEventListenerOptions | boolean} [options] */
  addEventListener(type, listener, options) {
    super.addEventListener(type, listener, options);
  }

  /**
   * @template {keyof Details & string} Type
   * @param {Type} type
   * @param {Details[Type]} detail
   */
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
