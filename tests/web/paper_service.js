// A service of paper for the walks of the model: one order of events and what follows from it, as one
// user sees it; and a page's way to it, on which everything takes as long as the walk wants.
import { Emitter } from '../../web/js/core/emitter.js';
import { keyOf, toOf } from '../../web/js/core/conversation.js';

export const ME = 'me';
export const OTHERS = ['ann', 'bob', 'cat'];
const PAGE = 4;

/** What is true, and what is told to `ME`. */
export class PaperService {
  seq = 100;
  names = new Map([ME, ...OTHERS].map((id) => [id, id]));
  /** @type {Map<string, number>} friend -> since */
  friends = new Map([['ann', 1], ['bob', 2]]);
  incoming = [];
  outgoing = [];
  online = new Set(['ann']);
  messages = [];
  /** @type {Map<string, number>} `who|with` -> up to */
  reads = new Map();
  /** @type {(item: object) => void} */
  tell = () => {};

  user(id) {
    return { id, name: this.names.get(id), color: '#000000' };
  }

  message(from, to, clientId = null) {
    if (from !== ME && !this.friends.has(from)) return null;
    if (to !== null && to !== ME && !this.friends.has(to)) return null;
    const event = { type: 'message', seq: this.seq += 3, at: this.seq, from: this.user(from), to, text: 'x', clientId };
    this.messages.push(event);
    this.tell(event);
    return event;
  }

  /** As the server: a change is told in two events, and stands at the first. */
  relate(id, relation, second) {
    this.seq += 1;
    this.incoming = this.incoming.filter((one) => one !== id);
    this.outgoing = this.outgoing.filter((one) => one !== id);
    this.friends.delete(id);
    if (relation === 'friend') this.friends.set(id, this.seq);
    if (relation === 'incoming') this.incoming.push(id);
    if (relation === 'outgoing') this.outgoing.push(id);
    const seq = this.seq + (second ? 1 : 0);
    this.seq += 1;
    this.tell({ type: 'friend', seq, at: seq, user: this.user(id), relation });
    if (relation === 'friend' && this.online.has(id)) this.tell({ type: 'presence', user: id, online: true, lastSeen: 1 });
  }

  rename(id) {
    this.seq += 1;
    this.names.set(id, `${id}${this.seq}`);
    if (id === ME || this.friends.has(id)) this.tell({ type: 'profile', seq: this.seq, at: this.seq, user: this.user(id) });
  }

  appear(id, online) {
    if (online === this.online.has(id)) return;
    if (online) this.online.add(id);
    else this.online.delete(id);
    if (this.friends.has(id)) this.tell({ type: 'presence', user: id, online, lastSeen: this.seq });
  }

  /** A position that passes no message changes nothing. */
  read(user, other, upTo) {
    if (other !== null && !this.friends.has(user === ME ? other : user)) return;
    const name = `${user}|${other}`;
    const before = this.reads.get(name) ?? 0;
    const passed = this.messages.some(({ seq, from, to }) => seq > before && seq <= upTo
      && (other === null ? to === null : to !== null && [from.id, to].includes(user === ME ? other : user)));
    if (!passed) return;
    this.reads.set(name, Math.min(upTo, this.seq));
    this.seq += 1;
    if (user === ME || other === ME) this.tell({ type: 'read', seq: this.seq, at: this.seq, user, with: other, upTo });
  }

  history(other) {
    return this.messages.filter(({ seq, from, to }) => {
      if (other === null ? to !== null : to === null || ![from.id, to].includes(other)) return false;
      return from.id === ME || (this.friends.get(from.id) ?? Infinity) < seq;
    });
  }

  unread(other) {
    const position = this.reads.get(`${ME}|${other}`) ?? 0;
    return this.history(other).filter(({ seq, from }) => seq > position && from.id !== ME).length;
  }

  answer(path) {
    const { pathname, searchParams } = new URL(path, 'http://chat.example');
    const { seq } = this;
    if (pathname === '/api/me') return { user: this.user(ME) };
    if (pathname === '/api/friends') {
      const users = (/** @type {string[]} */ ids) => ids.map((id) => this.user(id));
      const friends = [...this.friends.keys()].map((id) => ({ ...this.user(id), online: this.online.has(id), lastSeen: null }));
      return { friends, incoming: users(this.incoming), incomingCount: this.incoming.length, outgoing: users(this.outgoing), seq };
    }
    if (pathname === '/api/read') {
      const own = [null, ...OTHERS].filter((other) => this.reads.has(`${ME}|${other}`));
      const peers = [...this.friends.keys()].filter((id) => this.reads.has(`${id}|${ME}`));
      const unread = [null, ...this.friends.keys()].filter((other) => this.unread(other));
      return {
        read: own.map((other) => ({ with: other, upTo: this.reads.get(`${ME}|${other}`) })),
        peers: peers.map((user) => ({ user, upTo: this.reads.get(`${user}|${ME}`) })),
        unread: unread.map((other) => ({ with: other, count: this.unread(other) })), seq,
      };
    }
    if (pathname === '/api/conversations') {
      const conversations = [null, ...this.friends.keys()].map((other) => ({ with: other, last: this.history(other).at(-1) ?? null }));
      return { conversations, seq };
    }
    const before = Number(searchParams.get('before') ?? Infinity);
    const found = this.history(searchParams.get('with')).filter((one) => one.seq < before);
    return { messages: found.slice(-PAGE), more: found.length > PAGE, seq };
  }
}

/** The page's requests: each waits until the walk has it served, and its answer until it is delivered. */
export class PaperRequests {
  #service;
  /** @type {{serve: () => unknown, resolve: (answer: any) => void, reject: (error: Error) => void, answer?: unknown}[]} */
  waiting = [];

  constructor(service) {
    this.#service = service;
  }

  get(path) {
    return this.#ask(() => this.#service.answer(path));
  }

  rename() {
    return this.#ask(() => {
      this.#service.rename(ME);
      return { user: this.#service.user(ME) };
    });
  }

  #ask(serve) {
    return new Promise((resolve, reject) => this.waiting.push({ serve, resolve, reject }));
  }

  serve(place) {
    const request = this.waiting[place];
    if (request) request.answer ??= request.serve();
  }

  deliver(place) {
    this.serve(place);
    const [request] = this.waiting.splice(place, 1);
    request?.resolve(structuredClone(request.answer));
  }

  fail(place) {
    const [request] = this.waiting.splice(place, 1);
    request?.reject(new Error('no answer'));
  }
}

/** A client of paper: the stream brings what the walk lets through. */
export class PaperChat extends Emitter {
  #service;
  state = 'idle';
  outbox = [];
  /** @type {any[]} what was told and has not come yet */
  stream = [];
  /** @type {{other: string | null, upTo: number}[]} frames that have not been served yet */
  frames = [];
  #cursor = Infinity;

  constructor(service) {
    super();
    this.#service = service;
    this.told = [];
    service.tell = (item) => {
      if ('seq' in item) this.told.push(item);
      if (this.state === 'connected') this.stream.push(structuredClone(item));
    };
  }

  connect(cursor) {
    this.#cursor = cursor;
    this.back(true);
  }

  disconnect() {
    this.lose();
  }

  read(conversation, upTo) {
    this.frames.push({ other: keyOf(conversation) || null, upTo });
  }

  /** The connection is lost, and with it the signals and frames on it. */
  lose() {
    if (this.state !== 'connected') return;
    this.stream = [];
    this.frames = [];
    this.state = 'disconnected';
    this.emit('state', null);
  }

  /** @param {boolean} whole whether this transport begins with who is online */
  back(whole) {
    if (this.state === 'connected' || this.#cursor === Infinity) return;
    const { friends, online } = this.#service;
    this.state = 'connected';
    this.stream = whole ? [{ type: 'presence', online: [...friends.keys()].filter((id) => online.has(id)) }] : [];
    this.stream.push(...this.told.filter(({ seq }) => seq > this.#cursor).map((item) => structuredClone(item)));
    this.emit('state', null);
  }

  reset() {
    if (this.state !== 'connected') return;
    this.stream = [{ type: 'reset', seq: this.#service.seq, lost: 'all' }];
  }

  deliver() {
    const item = this.stream.shift();
    if (!item) return;
    if ('seq' in item) this.#cursor = item.seq;
    this.emit(item.type === 'reset' ? 'reset' : 'seq' in item ? 'event' : 'signal', item);
  }

  /** An own message that was sent from here is acknowledged. */
  acknowledge({ seq, at, text, to }, conversation) {
    this.emit('sent', { clientId: 'x', seq, at, text, conversation });
    return toOf(conversation).to === to;
  }
}
