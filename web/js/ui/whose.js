// Who is signed in in this browser, as its tabs tell each other. A browser has one cookie for all of them, so
// whoever signs in or out in one changes who every other one is. What is told is a hint: the server is
// asked. /legacy tells and hears the same (`tellTabs` and `hearTabs` there).

const KEY = 'chat.account';
/** A page that is looked at again asks at most this often. */
const SELDOM_MS = 5_000;

/** Another account, or none, is signed in from here. @param {string} user its id; '' for none */
export function tellTabs(user) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ user, at: Date.now() }));
  } catch {
    // A tab that was not told finds out at its next request.
  }
}

/** Whether somebody was signed in when tabs last told each other: likely somebody is. */
export function wasSomebody() {
  try {
    return Boolean(JSON.parse(localStorage.getItem(KEY) ?? '{}').user);
  } catch {
    return false;
  }
}

/**
 * @param {object} ears
 * @param {() => void} ears.look somebody may have signed in or out elsewhere
 * @param {() => void} ears.back the page comes out of the back/forward cache: what it shows may be nobody's any more
 */
export function hearTabs({ look, back }) {
  let lookedAt = performance.now();
  addEventListener('storage', ({ key }) => {
    if (key === KEY || key === null) look();
  });
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) back();
  });
  document.addEventListener('visibilitychange', () => {
    // Pages without script tell nobody.
    if (document.visibilityState !== 'visible' || performance.now() - lookedAt < SELDOM_MS) return;
    lookedAt = performance.now();
    look();
  });
}
