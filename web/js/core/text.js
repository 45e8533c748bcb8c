// What a message's text may hold: pure, and the same rules as the server's (`core/fields.text` and
// `core/visible` there). tests/web/texts.json is one table of examples that both are held against.

/** What the service takes, code points. */
export const TEXT_MAX = 4000;

/** Characters that end a line or a page: to the server they are control characters, or draw no newline. */
const ENDS = /\r\n|[\r\v\f\u0085\u2028\u2029]/g;
/** C0 but tab and newline, DEL and C1. */
const CONTROLS = /[\0-\x08\x0e-\x1f\x7f-\x9f]/g;
/** Halves of surrogate pairs that stand alone. */
const HALVES = /\p{Surrogate}/gu;

/** Default_Ignorable_Code_Point (Unicode 15), interlinear annotation, White_Space, blank letters and symbols;
 * noncharacters, private ones, and what only joins others or stands for them. */
const UNSEEN = new RegExp(
  '^[\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164'
  + '\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}'
  + '\\0-\\x20\\x7f-\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
  + '\\u2800\\u{1d159}\\u{13441}\\u{13442}\\u{16fe4}'
  + '\\p{Noncharacter_Code_Point}\\p{Private_Use}\\ufffc\\u{13430}-\\u{1343f}\\u1039\\u17d2\\u1a60\\uaaf6\\u2d7f\\u{10a3f}'
  + '\\u{1107f}\\u{11133}\\u{1193e}\\u{11a47}\\u{11a99}\\u{11d45}\\u{11d97}]*$', 'u');

/**
 * The text as it can be sent: every end of a line is a newline, and what no message may hold is gone.
 * @param {string} text
 */
export const mended = (text) => text.replace(ENDS, '\n').replace(CONTROLS, '').replace(HALVES, '');

/** @param {string} text @returns {number} as the server counts: code points */
export function lengthOf(text) {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

/** Whether there is anything to be seen. @param {string} text */
export const showsSomething = (text) => !UNSEEN.test(text);

/**
 * Why the server would not take a mended text.
 * @param {string} text
 * @returns {'' | 'blank' | 'long'} '': it would
 */
export function faultOf(text) {
  if (!showsSomething(text)) return 'blank';
  return text.length > TEXT_MAX && lengthOf(text) > TEXT_MAX ? 'long' : '';
}
