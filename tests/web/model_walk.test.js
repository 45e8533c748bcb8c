// The model beside a server, on random walks: answers, events, signals, lost connections, resets, failed
// requests, and what people and other devices do meanwhile, in any order. In the end the page says what the
// server says. A walk is a list of steps, so what goes wrong is told by the few steps that suffice for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROADCASTS, direct, ofWith } from '../../web/js/core/conversation.js';
import { Known } from '../../web/js/core/known.js';
import { Picture } from '../../web/js/core/picture.js';
import { Presence } from '../../web/js/core/presence.js';
import { Reads } from '../../web/js/core/reads.js';
import { Recent } from '../../web/js/core/recent.js';
import { Refresh } from '../../web/js/core/refresh.js';
import { Timeline } from '../../web/js/core/timeline.js';
import { Model } from '../../web/js/ui/model.js';
import { ME, OTHERS, PaperChat, PaperRequests, PaperService } from './paper_service.js';

const timeout = 60_000;
const TALKS = [BROADCASTS, ...OTHERS.map((id) => direct(id))];

/** Every promise that is settled has been heard. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A small generator, so that a seed is a walk (mulberry32). */
const numbers = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
};

/** The page's timers, turned by the walk. */
class Clock {
  #timers = new Map();
  #count = 0;
  now = 0;

  set = (callback, ms = 0) => {
    this.#timers.set(++this.#count, { callback, at: this.now + ms });
    return this.#count;
  };

  clear = (timer) => this.#timers.delete(timer);

  get pending() {
    return this.#timers.size;
  }

  turn(ms) {
    this.now += ms;
    for (const [timer, { callback, at }] of [...this.#timers]) {
      if (at <= this.now && this.#timers.delete(timer)) callback();
    }
  }
}

class World {
  constructor(clock) {
    this.clock = clock;
    this.service = new PaperService();
    for (let n = 0; n < 12; n += 1) this.service.message(OTHERS[n % 2], n % 3 ? null : ME);
    this.requests = new PaperRequests(this.service);
    this.chat = new PaperChat(this.service);
    this.acks = [];
    /** What was read here. */
    this.read = new Map();
    this.model = new Model(this.requests, this.service.user(ME), this.chat);
    this.model.addEventListener('change', () => {
      for (const talk of this.shown) this.fill(talk);
    });
    this.shown = new Set();
    this.filling = new Set();
    this.started = false;
    this.start();
  }

  start() {
    this.model.start().then(() => {
      this.started = true;
    }, () => this.clock.set(() => this.start(), 100));
  }

  open(talk) {
    this.shown.add(talk);
    this.fill(talk);
  }

  /** As the view: what is missing is asked for, after a failure a little later. */
  fill(talk) {
    if (!this.model.known(talk).empty || this.filling.has(talk)) return;
    this.filling.add(talk);
    this.model.loadOlder(talk).then((answered) => {
      if (answered) this.filling.delete(talk);
      else this.clock.set(() => this.filling.delete(talk) && this.fill(talk), 500);
    });
  }

  stop() {
    this.model.stop();
  }
}

/** @type {Record<string, (world: World, a: number, b: number) => void>} what a walk may do; a and b choose whom */
const STEPS = {
  deliver: ({ chat }, a) => { for (let n = 0; n <= a % 3; n += 1) chat.deliver(); },
  serve: ({ requests }, a) => requests.serve(a % (requests.waiting.length || 1)),
  answer: ({ requests }, a) => requests.deliver(a % (requests.waiting.length || 1)),
  fail: ({ requests }, a) => requests.fail(a % (requests.waiting.length || 1)),
  write: ({ service }, a, b) => service.message(OTHERS[a % 3], b % 2 ? ME : null),
  writeElsewhere: ({ service }, a, b) => service.message(ME, b % 2 ? OTHERS[a % 3] : null),
  writeHere: (world, a, b) => {
    const to = b % 2 ? OTHERS[a % 3] : null;
    const event = world.service.message(ME, to);
    if (event) world.acks.push([event, ofWith(to)]);
  },
  acknowledge: ({ acks, chat }) => { if (acks.length && chat.state === 'connected') chat.acknowledge(...acks.shift()); },
  readElsewhere: ({ service }, a, b) => service.read(ME, [null, ...OTHERS][a % 4], 100 + b % Math.max(1, service.seq - 99)),
  readByFriend: ({ service }, a, b) => service.read(OTHERS[a % 3], ME, service.seq - b % 8),
  readHere: ({ model, read }, a, b) => {
    const talk = TALKS[a % 4];
    if (!model.isOpen(talk)) return;
    const { messages } = model.known(talk).timeline;
    const upTo = messages[messages.length - 1 - (b % 3)]?.seq ?? 0;
    read.set(talk, Math.max(read.get(talk) ?? 0, upTo));
    model.markRead(talk, upTo);
  },
  readFrame: ({ chat, service }) => {
    const frame = chat.frames.shift();
    if (frame) service.read(ME, frame.other, frame.upTo);
  },
  befriend: ({ service }, a, b) => service.relate(OTHERS[a % 3], 'friend', b % 2),
  end: ({ service }, a, b) => service.relate(OTHERS[a % 3], 'none', b % 2),
  ask: ({ service }, a, b) => {
    const id = OTHERS[a % 3];
    if (!service.friends.has(id)) service.relate(id, b % 2 ? 'incoming' : 'outgoing', b % 3 === 0);
  },
  rename: ({ service }, a) => service.rename([ME, ...OTHERS][a % 4]),
  renameHere: ({ model, requests }) => { model.adoptProfile(() => requests.rename()).catch(() => {}); },
  appear: ({ service }, a, b) => service.appear(OTHERS[a % 3], b % 2 === 0),
  open: (world, a) => world.open(TALKS[a % 4]),
  older: ({ model }, a) => { model.loadOlder(TALKS[a % 4]); },
  trim: ({ model }, a) => model.known(TALKS[a % 4]).timeline.trim(3),
  lose: ({ chat }) => chat.lose(),
  back: ({ chat }, a) => chat.back(a % 2 === 0),
  reset: ({ chat, service }) => {
    chat.reset();
    if (service.seq % 2) service.message('ann', null);
  },
  wait: ({ clock }, a) => clock.turn([50, 400, 3_000, 12_000][a % 4]),
  refresh: ({ model }) => { model.refresh(); },
};
/** More of what makes a walk go on than of what cuts it, which also mends what went wrong before. */
const OFTEN = {
  deliver: 9, serve: 6, answer: 6, write: 8, readFrame: 3, appear: 4, rename: 4, refresh: 4, older: 4, open: 3, readHere: 3,
  readElsewhere: 4, wait: 2,
};
const NAMES = Object.keys(STEPS).flatMap((name) => new Array(OFTEN[name] ?? 1).fill(name));

function walkOf(seed, length) {
  const random = numbers(seed);
  const pick = (n) => Math.floor(random() * n);
  return Array.from({ length }, () => [NAMES[pick(NAMES.length)], pick(1000), pick(1000)]);
}

/** Until nothing is under way any more. */
async function quiet(world) {
  const { chat, requests, clock, service, acks } = world;
  for (let n = 0; n < 400; n += 1) {
    await turn();
    if (acks.length) chat.acknowledge(...acks.shift());
    if (chat.state === 'disconnected') chat.back(n % 2 === 0);
    while (chat.stream.length) chat.deliver();
    while (requests.waiting.length) requests.deliver(0);
    for (const { other, upTo } of chat.frames.splice(0)) service.read(ME, other, upTo);
    await turn();
    const idle = !chat.stream.length && !requests.waiting.length && !chat.frames.length && !acks.length;
    if (idle && !clock.pending && world.started) return;
    if (idle) clock.turn(1_000);
  }
  assert.fail('the page does not come to rest');
}

/** What the page says, and what the server says. */
function compare({ model, service, shown, read }) {
  const page = {
    me: model.me.name,
    friends: [...model.friends.values()].map(({ id, name, online }) => [id, name, online]).sort(),
    incoming: model.incoming.map(({ id }) => id).sort(), incomingCount: model.incomingCount,
    outgoing: model.outgoing.map(({ id }) => id).sort(),
    peers: [...model.peers].sort(),
    unread: TALKS.map((talk) => model.unreadIn(talk)),
    lasts: TALKS.map((talk) => model.lastOf(talk)?.seq ?? 0),
  };
  const { peers } = service.answer('/api/read');
  const server = {
    me: service.names.get(ME),
    friends: [...service.friends.keys()].map((id) => [id, service.names.get(id), service.online.has(id)]).sort(),
    incoming: [...service.incoming].sort(), incomingCount: service.incoming.length,
    outgoing: [...service.outgoing].sort(),
    peers: peers.map(({ user, upTo }) => [user, upTo]).sort(),
    lasts: [null, ...OTHERS].map((other) => (other && !service.friends.has(other) ? 0 : service.history(other).at(-1)?.seq ?? 0)),
    unread: [null, ...OTHERS].map((other) => (other && !service.friends.has(other) ? 0 : service.unread(other))),
  };
  assert.deepEqual(page, server);
  for (const [talk, upTo] of read) {
    const other = talk.kind === 'direct' ? talk.user : null;
    if (!model.isOpen(talk)) continue;
    const position = service.reads.get(`${ME}|${other}`) ?? 0;
    const left = service.history(other).filter(({ seq, from }) => from.id !== ME && seq > position && seq <= upTo);
    assert.deepEqual(left, [], 'what was read here is read');
  }
  for (const talk of shown) {
    const { timeline, live } = model.known(talk);
    assert.ok(live === timeline && timeline.loaded, 'what is shown has been loaded');
    const all = service.history(talk.kind === 'direct' ? talk.user : null).map(({ seq }) => seq);
    const here = timeline.messages.map(({ seq }) => seq);
    assert.deepEqual(here, all.slice(all.length - here.length), 'the newest messages, without a gap');
    assert.equal(timeline.more || here.length === all.length, true, 'what is not here can be asked for');
  }
}

/** @param {any[][]} steps @param {boolean} begun whether the page had come to rest before */
async function walk(steps, begun = true) {
  const kept = ['setTimeout', 'clearTimeout', 'document'].map((name) => [name, globalThis[name]]);
  const clock = new Clock();
  globalThis.document = { visibilityState: 'hidden' };
  let made;
  try {
    globalThis.setTimeout = clock.set;
    globalThis.clearTimeout = clock.clear;
    made = new World(clock);
    if (begun) await quiet(made);
    for (const [name, a, b] of steps) {
      STEPS[name](made, a, b);
      await turn();
    }
    await quiet(made);
    compare(made);
    return null;
  } catch (error) {
    return error;
  } finally {
    made?.stop();
    for (const [name, value] of kept) globalThis[name] = value;
  }
}

/** The few steps that suffice: cut out ever smaller parts as long as it goes wrong still. */
async function shrink(steps, begun, budget = 300) {
  let left = budget;
  for (let size = steps.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < steps.length && left > 0;) {
      const fewer = [...steps.slice(0, at), ...steps.slice(at + size)];
      left -= 1;
      if (await walk(fewer, begun)) steps = fewer;
      else at += size;
    }
  }
  return steps;
}

/** @returns {Promise<number | null>} the first seed whose walk goes wrong */
async function search(seeds, length) {
  for (let seed = 1; seed <= seeds; seed += 1) if (await walk(walkOf(seed, length), seed % 4 > 0)) return seed;
  return null;
}

test('whatever comes in whatever order, the page says in the end what the server says', { timeout }, async () => {
  const length = 80;
  const seed = await search(100, length);
  if (seed === null) return;
  const begun = seed % 4 > 0;
  const steps = await shrink(walkOf(seed, length), begun);
  const error = await walk(steps, begun);
  assert.fail(`seed ${seed}, ${JSON.stringify(steps)}: ${error?.message}`);
});

/** @type {[string, object, (kept: any) => object][]} */
const FAULTS = [
  ['an answer overwrites what came meanwhile', Recent.prototype, () => ({ after: () => [] })],
  ['"already loading" is taken for "no need"', Refresh.prototype, ({ want }) => {
    const running = new WeakSet();
    return { want() {
      if (running.has(this)) return Promise.resolve();
      running.add(this);
      return want.call(this).then(() => running.delete(this));
    } };
  }],
  ['a message that is not here is taken for none', Timeline.prototype, ({ count }) => (
    { count(after, upTo, me) { return count.call(this, after, upTo, me) ?? 0; } })],
  ['a list overwrites what a signal told meanwhile', Presence.prototype, ({ adopt }) => (
    { adopt(list) { adopt.call(this, list, Infinity); } })],
  ['an answer overwrites a later profile', Picture.prototype, () => (
    { takeMe(user) { this.me = { ...this.me, ...user }; } })],
  ['a page that leaves a gap is taken', Timeline.prototype, ({ addPage }) => (
    { addPage(page, more) { return addPage.call(this, page, more); } })],
  ['what a former friend wrote stays', Timeline.prototype, () => ({ remove() {} })],
  ['messages are let go and nobody knows', Timeline.prototype, ({ trim }) => (
    { trim(keep) {
      trim.call(this, keep);
      this.more = false;
    } })],
  ['a reset leaves what is here', Known.prototype, () => ({ reset() {} })],
  ['a position that was lost on the way is not told again', Reads.prototype, ({ adopt }) => (
    { adopt(list, later) {
      Object.defineProperty(this, 'unconfirmed', { value: [], configurable: true });
      return adopt.call(this, list, later);
    } })],
];

for (const [name, prototype, plant] of FAULTS) {
  test(`the walks see it when ${name}`, { timeout }, async (t) => {
    const kept = Object.getOwnPropertyDescriptors(prototype);
    const methods = Object.fromEntries(Object.entries(kept).map(([key, { value }]) => [key, value]));
    Object.assign(prototype, plant(methods));
    t.after(() => Object.defineProperties(prototype, kept));
    assert.notEqual(await search(600, 80), null);
  });
}
