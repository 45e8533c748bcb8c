// How a country writes days, times and numbers: pure. The page's words are in few languages, its readers in many countries.

/** A tag with what it leaves to be guessed; undefined where it is none. @param {string | undefined} tag */
const whole = (tag) => {
  try {
    return tag ? new Intl.Locale(tag).maximize() : undefined;
  } catch {
    return undefined;
  }
};

/**
 * The first of the reader's languages that is the page's own, with its country: `en-GB` for `en`. Where there is none, the
 * page's language as the reader's country would have it.
 * @param {string} language of the page
 * @param {readonly string[]} preferred the reader's, the dearest first
 */
export function localeOf(language, preferred) {
  const here = /** @type {Intl.Locale} */ (whole(language));
  const own = preferred.find((tag) => {
    const one = whole(tag);
    return one?.language === here.language && one.script === here.script;
  });
  return own ?? new Intl.Locale(here, { region: whole(preferred[0])?.region }).minimize().toString();
}
