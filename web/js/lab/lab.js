// The laboratory page: sends numbered messages at the rate chosen, draws what the lanes saw.

import { Api } from '../api.js';
import { quantile, toCsv } from '../core/stats.js';
import { LADDER } from '../core/transports.js';
import { randomId } from '../ids.js';
import { endThrowAway, keepThrowAway, throwAway, withoutThrowAway } from '../throwaway.js';
import { h, notice, say } from '../ui/dom.js';
import { parts, said, t, wordsOf } from '../words.js';
import { ClassicLane, StreamLane } from './lanes.js';
import { SocketIoLane } from './socketio_lane.js';
import { drawBars, drawDots, msWords } from './plot.js';

/** @typedef {import('./lanes.js').Run} Run */

/** How often the pictures are drawn, and the server's counts asked for. */
const DRAW_MS = 250;
const COUNT_MS = 2_000;

/** Says whose page it is, once that is known. */
let api = new Api();
let user = '';
const controls = /** @type {HTMLElement} */ (document.getElementById('controls'));
const summary = /** @type {HTMLTableElement} */ (document.getElementById('summary'));
const board = /** @type {HTMLElement} */ (document.getElementById('lanes'));

/** @type {Run} */
let run = newRun();
/** Whether the server answers Socket.IO clients. */
let socketio = false;
/** @type {(StreamLane | ClassicLane | SocketIoLane)[]} */
let lanes = [];
/** @type {Map<object, {state: HTMLElement, dots: HTMLCanvasElement, bars: HTMLCanvasElement}>} */
const cards = new Map();
let running = false;
let numbers = 0;
let ratePerS = 2;
let refused = 0;

/** @returns {Run} */
function newRun() {
  const id = randomId().slice(0, 8);
  return { id, user, sent: new Map(), acknowledged: new Map(), pollMs: 2000 };
}

/** @param {string} label @param {Record<string, any>} props @param {(value: number) => string} words @param {(value: number) => void} apply */
function slider(label, props, words, apply) {
  const output = h('output', {}, words(props.value));
  const input = h('input', { type: 'range', ...props });
  input.addEventListener('input', () => {
    apply(input.valueAsNumber);
    output.textContent = words(input.valueAsNumber);
  });
  return h('label', {}, label, input, output);
}

/** @type {import('../words.js').Key[]} */
const HEADS = ['status.transport', 'lab.median', 'lab.share', 'lab.longest', 'lab.seen', 'lab.missed', 'lab.doubled',
  'lab.requests', 'lab.bytesUp', 'lab.bytesDown', 'lab.bytesEach'];

/** @param {StreamLane | ClassicLane | SocketIoLane} lane */
function titleOf(lane) {
  if (lane instanceof StreamLane) return t(`transport.${lane.rung}`);
  return t(lane instanceof SocketIoLane ? 'lab.socketio' : 'lab.classic');
}

/** @param {boolean} temporary @param {number} friends */
function drawControls(temporary, friends) {
  const go = h('button', { type: 'button', class: 'primary' }, t('lab.start'));
  go.addEventListener('click', () => {
    if (running) stop();
    else start();
    go.textContent = t(running ? 'lab.stop' : 'lab.start');
  });
  const csv = h('button', { type: 'button', onclick: download }, t('lab.csv'));
  const warning = friends > 0 && t('lab.friends', { count: friends });
  controls.replaceChildren(h('div', { class: 'controls' },
    go,
    slider(t('lab.rate'), { min: 0.5, max: 5, step: 0.5, value: ratePerS }, (value) => t('lab.perSecond', { count: value }), (value) => {
      ratePerS = value;
    }),
    slider(t('lab.pollEvery'), { min: 250, max: 10000, step: 250, value: run.pollMs }, msWords, (value) => {
      run.pollMs = value;
    }),
    csv,
    temporary && h('button', { type: 'button', class: 'danger', onclick: () => leave().catch(failed) }, t('profile.delete')),
    h('p', { class: 'quiet' }, t('lab.bound'), ' ', warning)));
}

function makeLanes() {
  lanes = [
    ...LADDER.map((rung) => new StreamLane(run, rung)),
    new ClassicLane('Classic', run),
    ...(socketio ? [new SocketIoLane(run)] : []),
  ];
  cards.clear();
  board.replaceChildren(...lanes.map((lane) => {
    const state = h('small', {});
    const name = titleOf(lane);
    const dots = h('canvas', { role: 'img', 'aria-label': t('lab.dots', { name }) });
    const bars = h('canvas', { role: 'img', 'aria-label': t('lab.bars', { name }) });
    cards.set(lane, { state, dots, bars });
    const close = h('button', { type: 'button', 'aria-label': t('lab.closeNamed', { name }) }, t('lab.close'));
    close.addEventListener('click', () => {
      api.post('/api/lab/close', { client: lane.client }).catch((error) => notice(wordsOf(error)));
    });
    return h('section', { class: 'lane', 'aria-label': name },
      h('h2', {}, name, ' ', state), dots, bars,
      h('div', { class: 'row' },
        h('button', { type: 'button', onclick: () => lane.cut(), 'aria-label': t('lab.cutNamed', { name }) }, t('lab.cut')),
        !(lane instanceof ClassicLane) && close,
        slider(t('lab.delay'), { min: 0, max: 3000, step: 100, value: 0, 'aria-label': t('lab.delayOf', { name }) }, msWords, (value) => {
          lane.delayMs = value;
        })));
  }));
}

function start() {
  const { pollMs } = run;
  stop();
  run = { ...newRun(), pollMs };
  numbers = 0;
  refused = 0;
  makeLanes();
  for (const lane of lanes) lane.start();
  running = true;
  pace(run).catch((error) => notice(wordsOf(error)));
  count(run).catch((error) => notice(wordsOf(error)));
  say(t('lab.started'));
}

function stop() {
  running = false;
  for (const lane of lanes) lane.stop();
}

/** @param {Run} mine */
async function pace(mine) {
  // The first message waits until the lanes that can connect have done so.
  const deadline = performance.now() + 5000;
  while (lanes.some((lane) => lane.state !== 'connected') && performance.now() < deadline) await pause(50);
  while (running && run === mine) {
    send(mine, ++numbers).catch((error) => notice(wordsOf(error)));
    await pause(1000 / ratePerS);
  }
}

/** @param {Run} mine @param {number} number */
async function send(mine, number) {
  mine.sent.set(number, performance.now());
  try {
    const body = { text: `lab ${mine.id} ${number}`, clientId: `lab-${mine.id}-${number}` };
    const { seq } = await api.post('/api/messages', body);
    mine.acknowledged.set(number, seq);
  } catch {
    refused += 1;
  }
}

/** @param {Run} mine */
async function count(mine) {
  while (running && run === mine) {
    try {
      const answer = await api.get('/api/lab/lanes');
      for (const one of answer.lanes) {
        const lane = lanes.find((candidate) => candidate.client === one.client);
        if (lane) Object.assign(lane, { requests: one.requests, bytesUp: one.bytesUp, bytesDown: one.bytesDown });
      }
    } catch {
      // The numbers stay as they are until the server answers again.
    }
    await pause(COUNT_MS);
  }
}

/** @param {number} ms @returns {Promise<void>} */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {number} bytes */
const kb = (bytes) => (bytes >= 10_000 ? `${(bytes / 1000).toFixed(0)} kB` : `${(bytes / 1000).toFixed(1)} kB`);

function draw() {
  const now = performance.now();
  const rows = lanes.map((lane) => {
    const card = cards.get(lane);
    if (card) {
      if (running || now % 2000 < DRAW_MS) drawDots(card.dots, lane.sightings, now);
      drawBars(card.bars, lane.tally.latencies);
      const state = said(lane.state);
      if (card.state.textContent !== state) card.state.textContent = state;
    }
    const words = (/** @type {number} */ share) => {
      const value = quantile(lane.tally.latencies, share);
      return value === null ? '–' : msWords(value);
    };
    const { tally, requests, bytesUp, bytesDown } = lane;
    const perMessage = tally.seen ? `${Math.round((bytesUp + bytesDown) / tally.seen)} B` : '–';
    return h('tr', {}, h('th', { scope: 'row' }, titleOf(lane)),
      [words(0.5), words(0.95), words(1), tally.seen, lane.missed, tally.doubled,
        ...(requests ? [requests, kb(bytesUp), kb(bytesDown), perMessage] : ['–', '–', '–', '–'])]
        .map((cell) => h('td', {}, cell)));
  });
  const heads = HEADS.map((key) => t(key));
  summary.replaceChildren(
    h('caption', {}, t('lab.caption', { count: run.acknowledged.size, refused })),
    h('thead', {}, h('tr', {}, heads.map((head) => h('th', { scope: 'col' }, head)))),
    h('tbody', {}, rows));
}

function download() {
  const origin = Math.min(...run.sent.values());
  const rows = /** @type {(string | number | null)[][]} */ ([['transport', 'message', 'sent_ms', 'latency_ms']]);
  for (const lane of lanes) {
    for (const { number, sentMs, latencyMs } of lane.sightings) {
      rows.push([lane.name, number, Number((sentMs - origin).toFixed(2)), Number(latencyMs.toFixed(2))]);
    }
  }
  const url = URL.createObjectURL(new Blob([toCsv(rows)], { type: 'text/csv' }));
  h('a', { href: url, download: `transports-${run.id}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** An account for the laboratory alone: it has no friends who would read the messages, and ends with the page. */
async function join() {
  const password = randomId();
  const email = `lab-${randomId()}@example.com`;
  const { user: { id } } = await new Api().post('/api/register', { email, password, firstName: 'Laboratory', lastName: '' });
  const { token } = await new Api('', id).post('/api/tokens', { label: 'lab', expiresIn: 24 * 3600 });
  keepThrowAway({ id, password, token });
  await open();
}

async function leave() {
  stop();
  await endThrowAway();
  location.reload();
}

/** Whose account is used: nobody's friends get a message unless the person says so. @param {import('../core/types.js').User} visitor */
async function askWhose(visitor) {
  const { friends } = await new Api('', visitor.id).get('/api/friends');
  const button = (/** @type {import('../words.js').Key} */ key, /** @type {string} */ kind, /** @type {() => Promise<void>} */ action) =>
    h('button', { type: 'button', class: kind, onclick: () => action().catch((problem) => notice(wordsOf(problem))) }, t(key));
  controls.replaceChildren(h('div', { class: 'controls' },
    button('lab.throwAway', 'primary', join), button('lab.mine', '', () => begin(visitor, friends.length)),
    h('p', { class: 'quiet' }, t('lab.whose', { name: visitor.name, count: friends.length }))));
}

/** @param {typeof withoutThrowAway} [before] what is done to whoever is signed in */
async function open(before = async (visitor) => visitor) {
  const visitor = await before((await new Api().get('/api/visitor')).user);
  if (visitor && visitor.id === throwAway()?.id) return begin(visitor, 0);
  if (visitor) return askWhose(visitor);
  const make = h('button', { type: 'button', class: 'primary' }, t('lab.makeAccount'));
  make.addEventListener('click', () => join().catch((problem) => notice(wordsOf(problem))));
  controls.replaceChildren(h('div', { class: 'controls' }, make,
    h('p', { class: 'quiet' }, parts('lab.orSignIn', { link: h('a', { href: '/#/login' }, t('lab.signIn')) }))));
}

/** @param {import('../core/types.js').User} visitor @param {number} friends who get the messages */
async function begin(visitor, friends) {
  user = visitor.id;
  api = new Api('', user);
  run = newRun();
  ({ socketio } = await api.get('/api/lab/lanes'));
  drawControls(user === throwAway()?.id, friends);
  makeLanes();
  draw();
  setInterval(draw, DRAW_MS);
}

const failed = (/** @type {unknown} */ error) => controls.replaceChildren(h('p', { class: 'bad' }, wordsOf(error)));

addEventListener('pagehide', () => {
  stop();
  endThrowAway().catch(() => {
    // The next page of this tab ends it; where there is none, it has no friends, and nobody knows its password.
  });
});
addEventListener('pageshow', ({ persisted }) => {
  // What stands here may be of an account that is gone, or of somebody who has signed out.
  if (persisted) location.reload();
});
// A page that was loaded again is a new page: the account of the one before ends first.
open(withoutThrowAway).catch(failed);
