// Tabs on a channel, a lock and a clock of paper, and what must be true of what each has seen.
import assert from 'node:assert/strict';
import { TabLink } from '../../web/js/tabs.js';
import { PaperAir, PaperClock, PaperLock, PaperServer, settle } from './paper.js';

/** A browser whose tabs are signed in as one person. */
export class Browser {
  air = new PaperAir();
  lock = new PaperLock();
  clock = new PaperClock();
  server = new PaperServer();
  #count = 0;

  /** @param {number | null} cursor where the tab's snapshot stands */
  async open(cursor = this.server.head, { visible = true, name = `t${++this.#count}` } = {}) {
    const tab = { name, visible, events: [], signals: [], stops: [], resets: 0, started: cursor, asleep: false, overslept: [] };
    tab.link = new TabLink({
      base: '', client: name, scope: 'me',
      on: {
        event: (event) => {
          tab.events.push(event);
          if (event.type === 'reset') tab.resets += 1;
        },
        signal: (signal) => tab.signals.push(signal),
        change() {},
        stop: (reason) => tab.stops.push(reason),
      },
    }, {
      tab: name,
      openChannel: () => this.air.channel(name),
      locks: this.lock.locks(name),
      connect: this.server.connector(name),
      visible: () => tab.visible,
      now: () => this.clock.now,
      setTimer: (callback, ms) => this.clock.set(() => (tab.asleep ? tab.overslept.push(callback) : callback()), ms),
      clearTimer: (timer) => this.clock.clear(timer),
    });
    tab.link.start(cursor);
    await settle();
    return tab;
  }

  async append(count = 1) {
    for (let n = 0; n < count; n += 1) this.server.append();
    await settle();
  }

  /** The tab sleeps: it hears nothing, its connection brings nothing, its timers do not run. */
  freeze(tab) {
    tab.asleep = true;
    this.air.freeze(tab.name, true);
    this.lock.asleep.add(tab.name);
    for (const one of this.server.connections) if (one.owner === tab.name) one.frozen = true;
  }

  async thaw(tab, { late = false } = {}) {
    tab.asleep = false;
    for (const one of this.server.connections) {
      if (one.owner !== tab.name) continue;
      one.frozen = false;
      // What the socket had brought comes first, and only then the news about the lock.
      if (late) one.catchUp();
    }
    this.air.freeze(tab.name, false);
    this.lock.wake(tab.name);
    for (const callback of tab.overslept.splice(0)) callback();
    await settle();
  }

  connectionOf(tab) {
    return [...this.server.connections].find((one) => one.owner === tab.name);
  }
}

export const seqs = (tab) => tab.events.map((event) => event.seq);

/** Each event after the tab's snapshot, or after its last reset, exactly once and in order. */
export function assertComplete(browser, tab) {
  const last = tab.events.findLastIndex((event) => event.type === 'reset');
  const from = last < 0 ? tab.started : tab.events[last].seq;
  const due = browser.server.seqs.filter((seq) => seq > from);
  assert.deepEqual(seqs(tab).slice(last + 1), due, `${tab.name} sees each event once`);
  const before = seqs(tab).slice(0, Math.max(last, 0));
  assert.deepEqual(before, [...new Set(before)].sort((a, b) => a - b), `${tab.name} before its reset`);
}
