// How much is unread, in the icon of the tab and of the installed app.

const SIZE = 32;
const link = /** @type {HTMLLinkElement | null} */ (document.querySelector('link[rel=icon]'));
const plain = link?.href ?? '';
let drawn = 0;

/** @type {Promise<HTMLImageElement> | null} */
let image = null;

const loaded = () => {
  image ??= new Promise((resolve, reject) => {
    const found = new Image();
    found.onload = () => resolve(found);
    found.onerror = () => reject(new Error('no icon'));
    found.src = plain;
  });
  return image;
};

/** @param {number} count */
export function showCount(count) {
  if (!link || count === drawn) return;
  drawn = count;
  const { setAppBadge, clearAppBadge } = /** @type {any} */ (navigator);
  (count ? setAppBadge : clearAppBadge)?.call(navigator, count || undefined)?.catch(() => {
    // Only an installed app has one.
  });
  if (!count) link.href = plain;
  else draw(link, count).catch(() => {
    // The title says it too.
  });
}

/** @param {HTMLLinkElement} to @param {number} count */
async function draw(to, count) {
  const icon = await loaded();
  const paint = Object.assign(document.createElement('canvas'), { width: SIZE, height: SIZE }).getContext('2d');
  if (!paint || drawn !== count) return;
  const words = count > 99 ? '99+' : String(count);
  paint.drawImage(icon, 0, 0, SIZE, SIZE);
  paint.font = `bold ${words.length > 2 ? 13 : 17}px sans-serif`;
  const width = Math.max(18, paint.measureText(words).width + 6);
  paint.fillStyle = '#b3261e';
  paint.beginPath();
  paint.roundRect(SIZE - width, SIZE - 19, width, 19, 9);
  paint.fill();
  paint.fillStyle = '#ffffff';
  paint.textAlign = 'center';
  paint.textBaseline = 'middle';
  paint.fillText(words, SIZE - width / 2, SIZE - 9);
  to.href = paint.canvas.toDataURL('image/png');
}
