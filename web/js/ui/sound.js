// Two short tones: a message came. Made here, so that there is no file to fetch.

/** @type {AudioContext | null} */
let context = null;

const NOTES = [{ hz: 660, atS: 0 }, { hz: 880, atS: 0.12 }];
const LOUDNESS = 0.08;
const TONE_S = 0.18;

/** Silent where the browser forbids it: nobody has touched the page yet. */
export function chime() {
  try {
    context ??= new AudioContext();
    if (context.state === 'suspended') {
      context.resume().catch(() => {
        // It stays silent.
      });
    }
    for (const { hz, atS } of NOTES) {
      const [tone, volume] = [context.createOscillator(), context.createGain()];
      const start = context.currentTime + atS;
      tone.frequency.value = hz;
      volume.gain.setValueAtTime(0, start);
      volume.gain.linearRampToValueAtTime(LOUDNESS, start + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.0001, start + TONE_S);
      tone.connect(volume).connect(context.destination);
      tone.start(start);
      tone.stop(start + TONE_S);
    }
  } catch {
    // A browser without sound.
  }
}
