// What a page notices that may concern its connection: the network came, went or changed, the page
// was opened again, woke up, became visible.

/** The page's own nudges come at most this often. */
const NUDGE_MS = 3_000;

/**
 * @param {object} ears
 * @param {() => void} ears.nudge something has changed, perhaps for the better
 * @param {() => void} ears.probe the connection may be gone
 * @param {AbortSignal} signal ends the listening
 */
export function listenForNudges({ nudge, probe }, signal) {
  let nudgedAt = -Infinity;
  const seldom = () => {
    if (performance.now() - nudgedAt < NUDGE_MS) return;
    nudgedAt = performance.now();
    nudge();
  };
  const atOnce = () => {
    nudgedAt = -Infinity;
    seldom();
  };
  globalThis.addEventListener?.('online', atOnce, { signal });
  globalThis.addEventListener?.('pageshow', seldom, { signal });
  globalThis.addEventListener?.('offline', probe, { signal });
  if (typeof document === 'undefined') return;
  document.addEventListener('resume', atOnce, { signal });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') seldom();
  }, { signal });
  /** @type {EventTarget | undefined} not in every browser */
  const network = /** @type {{connection?: EventTarget}} */ (navigator).connection;
  network?.addEventListener('change', seldom, { signal });
}
