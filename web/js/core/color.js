// Colours of names: pure. Contrast as WCAG 2.2 defines it (success criterion 1.4.3).

/** What text needs against its background, WCAG level AA. */
const CONTRAST_MIN = 4.5;

/** @param {string} color `#rrggbb` @returns {number[]} three channels, 0 to 255 */
function channels(color) {
  const value = /^#[0-9a-f]{6}$/i.test(color) ? parseInt(color.slice(1), 16) : 0x555555;
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** @param {number[]} rgb @returns {number} relative luminance, 0 to 1 */
function luminance(rgb) {
  const [red, green, blue] = rgb.map((channel) => {
    const part = channel / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/**
 * @param {string} one `#rrggbb`
 * @param {string} other `#rrggbb`
 * @returns {number} 1 to 21
 */
export function contrast(one, other) {
  const [high, low] = [luminance(channels(one)), luminance(channels(other))].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

/**
 * A colour that can be read on the page: the same one, or mixed with as much white (on a dark
 * page) or black (on a light one) as it needs.
 *
 * @param {string} color `#rrggbb`; anything else counts as a grey
 * @param {string} background `#rrggbb`
 * @returns {string} `#rrggbb` with a contrast of at least 4.5
 */
export function readable(color, background) {
  const target = luminance(channels(background)) < 0.18 ? 255 : 0;
  const from = channels(color);
  for (let share = 0; ; share = Math.min(1, share + 0.04)) {
    const mixed = from.map((channel) => Math.round(channel + (target - channel) * share));
    const candidate = `#${mixed.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`;
    if (share === 1 || contrast(candidate, background) >= CONTRAST_MIN) return candidate;
  }
}
