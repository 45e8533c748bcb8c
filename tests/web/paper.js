// A browser of paper for the tests: tabs that share a channel and a lock, a clock that the test
// turns, and a server that keeps one order of events.

/** A clock: `turn(ms)` lets every timer come that is due, in order. */
export class PaperClock {
  #now = 0;
  #timers = new Map();
  #count = 0;

  get now() {
    return this.#now;
  }

  get pending() {
    return this.#timers.size;
  }

  set(callback, ms) {
    this.#count += 1;
    this.#timers.set(this.#count, { callback, at: this.#now + ms });
    return this.#count;
  }

  clear(timer) {
    this.#timers.delete(timer);
  }

  async turn(ms) {
    const end = this.#now + ms;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].callback();
    }
    this.#now = end;
  }
}

/** Until every promise that is settled has been heard. */
export const settle = async () => {
  for (let n = 0; n < 5; n += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** Channels by name, as BroadcastChannel: in order, to all but the one who speaks, after its turn. */
export class PaperAir {
  open = [];
  /** @type {(message: any, to: any) => boolean} what gets lost on the way */
  loses = () => false;

  channel(owner) {
    const channel = {
      owner, onmessage: null, frozen: false, inbox: [],
      postMessage: (message) => {
        if (!this.open.includes(channel)) throw new Error('the channel is closed');
        for (const other of this.open) {
          if (other === channel || this.loses(message, other.owner)) continue;
          other.inbox.push(structuredClone(message));
          setImmediate(() => this.#drain(other));
        }
      },
      close: () => this.open.splice(this.open.indexOf(channel), 1),
    };
    this.open.push(channel);
    return channel;
  }

  #drain(channel) {
    if (channel.frozen) return;
    for (const data of channel.inbox.splice(0)) if (this.open.includes(channel)) channel.onmessage({ data });
  }

  freeze(owner, frozen) {
    for (const channel of this.open) {
      if (channel.owner !== owner) continue;
      channel.frozen = frozen;
      this.#drain(channel);
    }
  }
}

/** One lock, as the Web Locks API has it: a queue, stealing, signals. */
export class PaperLock {
  /** @type {{held: () => unknown, resolve: (value: unknown) => void, reject: (error: Error) => void, owner: string}[]} */
  queue = [];
  holder = null;
  /** Tabs that sleep hear later that their lock was stolen. */
  asleep = new Set();
  #late = [];
  broken = false;

  locks(owner) {
    return {
      request: (_name, { steal, signal }, held) => new Promise((resolve, reject) => {
        if (this.broken) return reject(new DOMException('not here', 'SecurityError'));
        const request = { held, resolve, reject, owner };
        signal?.addEventListener('abort', () => {
          if (!this.queue.includes(request)) return;
          this.queue.splice(this.queue.indexOf(request), 1);
          reject(new DOMException('given up', 'AbortError'));
        });
        if (!steal) {
          this.queue.push(request);
          return this.#next();
        }
        const stolen = this.holder;
        this.holder = request;
        if (stolen) this.#tellStolen(stolen);
        return this.#grant(request);
      }),
    };
  }

  wake(owner) {
    this.asleep.delete(owner);
    for (const tell of this.#late.splice(0)) tell();
  }

  #tellStolen(request) {
    const tell = () => request.reject(new DOMException('stolen', 'AbortError'));
    if (this.asleep.has(request.owner)) this.#late.push(tell);
    else tell();
  }

  #next() {
    if (this.holder || !this.queue.length) return;
    this.holder = this.queue.shift();
    this.#grant(this.holder);
  }

  #grant(request) {
    setImmediate(() => {
      Promise.resolve(request.held()).then((value) => {
        request.resolve(value);
        if (this.holder === request) {
          this.holder = null;
          this.#next();
        }
      });
    });
  }
}

/** A server with one order; its connections are told what is appended while they are up. */
export class PaperServer {
  seqs = [];
  online = ['ann'];
  connections = new Set();
  opened = 0;
  /** Whether the network is up: without it a connection is told nothing and catches up later. */
  up = true;

  get head() {
    return this.seqs.at(-1) ?? 0;
  }

  append(seq = this.head + 1) {
    this.seqs.push(seq);
    for (const connection of this.connections) connection.catchUp();
  }

  /** @returns {(options: any) => any} what a tab connects with */
  connector(owner) {
    return (options) => {
      const connection = new PaperConnection(this, owner, options);
      return connection;
    };
  }
}

const message = (seq) => ({ type: 'message', seq, at: seq, from: { id: 'ann', name: 'Ann', color: '#000000' }, to: null, text: `m${seq}` });

class PaperConnection {
  live = null;
  reason = '';
  cursor = null;
  frozen = false;
  sent = [];

  constructor(server, owner, options) {
    Object.assign(this, { server, owner, options, rungs: options.rungs ?? ['websocket', 'poll'] });
  }

  start(cursor) {
    this.cursor = cursor;
    this.server.opened += 1;
    this.server.connections.add(this);
    this.options.on.change();
    setImmediate(() => this.catchUp());
  }

  stop() {
    this.server.connections.delete(this);
    this.live = null;
    this.options.on.change();
  }

  catchUp() {
    if (!this.server.up || this.frozen || !this.server.connections.has(this)) return;
    if (!this.live) {
      this.live = 'websocket';
      this.cursor ??= this.server.head;
      this.options.on.change();
      this.options.on.signal({ type: 'hello', seq: this.cursor, user: { id: 'me' } });
      this.options.on.signal({ type: 'presence', online: [...this.server.online] });
    }
    for (const seq of this.server.seqs) {
      if (seq <= this.cursor || !this.server.connections.has(this)) continue;
      this.cursor = seq;
      this.options.on.event(message(seq));
    }
  }

  /** The server's word that this connection is not to come back. */
  end(reason) {
    this.options.on.stop(reason);
  }

  reset(seq) {
    this.cursor = seq;
    this.options.on.event({ type: 'reset', seq, lost: 'all', reason: 'test' });
  }

  choose(rungs) {
    this.rungs = rungs;
    this.options.on.change();
  }

  nudge() {}

  ask(what) {
    this.asked = [...this.asked ?? [], what];
  }

  send(frame) {
    this.sent.push(frame);
    return true;
  }
}
