// Text of unknown direction among other text: pure. Inside elements `<bdi>` and `dir="auto"` do this; what is
// only text (a title, a notification, a question) needs the marks of UAX 9.

/** Letters that run from right to left, and marks that turn what stands around them. */
const TURNS = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/**
 * Without the ends of isolates that it did not begin: such an end would close what stands around it.
 * @param {string} text
 */
export function enclosed(text) {
  if (!text.includes('\u2069')) return text;
  let open = 0;
  return text.replace(/[\u2066-\u2069\n\u2029]/gu, (mark) => {
    if (mark === '\n' || mark === '\u2029') open = 0;
    else if (mark !== '\u2069') open += 1;
    else if (open) open -= 1;
    else return '';
    return mark;
  });
}

/** Text that somebody wrote, to stand within a sentence without turning it. @param {string} text */
export const isolated = (text) => (TURNS.test(text) ? `\u2068${enclosed(text)}\u2069` : text);
