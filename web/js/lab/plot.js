// The laboratory's pictures: dots over time and the distribution, both on a scale of powers of ten.
// Each lane has a plot of its own, so nothing hangs on telling colours apart.

import { BAR_BOUNDS_MS, distribution, quantile } from '../core/stats.js';

/** The dots of the last minute are shown. */
const SPAN_MS = 60_000;
const LOW_MS = 0.5;
const HIGH_MS = 20_000;
const TICKS_MS = [1, 10, 100, 1000, 10_000];

/** @typedef {{sentMs: number, latencyMs: number}} Dot */

/** @param {number} ms */
export const msWords = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(ms >= 9950 ? 0 : 1)} s` : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`);

/** @param {HTMLCanvasElement} canvas */
function prepare(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = '11px system-ui, sans-serif';
  const style = getComputedStyle(canvas);
  const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return { pen, width, height, text: color('--soft'), line: color('--line'), dot: color('--accent') };
}

/**
 * Dots over the last minute, the median as a dashed line.
 * @param {HTMLCanvasElement} canvas
 * @param {Dot[]} dots
 * @param {number} nowMs
 */
export function drawDots(canvas, dots, nowMs) {
  const { pen, width, height, text, line, dot } = prepare(canvas);
  const left = 44;
  const span = Math.log(HIGH_MS / LOW_MS);
  const y = (/** @type {number} */ ms) =>
    height - 6 - (Math.log(Math.min(HIGH_MS, Math.max(LOW_MS, ms)) / LOW_MS) / span) * (height - 14);
  const x = (/** @type {number} */ ms) => left + (1 - (nowMs - ms) / SPAN_MS) * (width - left - 4);
  pen.strokeStyle = line;
  pen.fillStyle = text;
  pen.textAlign = 'right';
  for (const tick of TICKS_MS) {
    pen.beginPath();
    pen.moveTo(left, y(tick));
    pen.lineTo(width, y(tick));
    pen.stroke();
    pen.fillText(tick >= 1000 ? `${tick / 1000} s` : `${tick} ms`, left - 4, y(tick) + 4, left - 4);
  }
  pen.fillStyle = dot;
  for (const { sentMs, latencyMs } of dots) {
    if (nowMs - sentMs > SPAN_MS) continue;
    pen.beginPath();
    pen.arc(x(sentMs), y(latencyMs), 2, 0, 7);
    pen.fill();
  }
  const median = quantile(dots.map((one) => one.latencyMs), 0.5);
  if (median === null) return;
  pen.strokeStyle = text;
  pen.setLineDash([5, 4]);
  pen.beginPath();
  pen.moveTo(left, y(median));
  pen.lineTo(width, y(median));
  pen.stroke();
  pen.setLineDash([]);
}

/** @param {HTMLCanvasElement} canvas @param {number[]} latencies milliseconds */
export function drawBars(canvas, latencies) {
  const { pen, width, height, text, dot } = prepare(canvas);
  const left = 44;
  const bars = distribution(latencies);
  const most = Math.max(1, ...bars);
  const step = (width - left - 4) / bars.length;
  pen.textAlign = 'center';
  bars.forEach((count, index) => {
    const tall = (count / most) * (height - 18);
    pen.fillStyle = dot;
    if (count) pen.fillRect(left + index * step + 1, height - 14 - Math.max(1, tall), step - 2, Math.max(1, tall));
    const bound = BAR_BOUNDS_MS[index];
    pen.fillStyle = text;
    if (index % 3 === 0) {
      pen.fillText(bound === Infinity ? '∞' : bound >= 1000 ? `${bound / 1000} s` : `${bound}`, left + (index + 0.5) * step, height - 2);
    }
  });
}
