// An input as high as what stands in it. How high it may become says style.css: what is beside it needs room too.

/** The browser does it by itself, before anything is shown. */
const NATIVE = CSS.supports('field-sizing', 'content');

/**
 * At once. An input that is not laid out has no height to tell: it is fitted when it is shown.
 * @param {HTMLTextAreaElement} input
 */
export function fit(input) {
  const around = input.parentElement;
  if (NATIVE || !around || !input.clientWidth) return;
  const { borderTopWidth, borderBottomWidth } = getComputedStyle(input);
  // What is above must not move while this is measured: it would lose its place.
  around.style.height = `${around.offsetHeight}px`;
  input.style.height = '0';
  const height = input.scrollHeight + parseFloat(borderTopWidth) + parseFloat(borderBottomWidth);
  input.style.height = `${height}px`;
  around.style.height = '';
}

/** Also when its width changes: when it is first shown, when a phone is turned. @param {HTMLTextAreaElement} input */
export function fitWithWidth(input) {
  if (NATIVE) return;
  let width = 0;
  new ResizeObserver(() => {
    if (input.clientWidth === width) return;
    width = input.clientWidth;
    fit(input);
  }).observe(input);
}
