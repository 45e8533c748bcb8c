// Socket.IO as one more lane: the few packets of its protocol over a WebSocket, so that no script of others is needed.

import { Lane } from './lanes.js';

const AGAIN_MS = 1_000;
/** Packets of Engine.IO 4 and Socket.IO 5: their first characters. */
const OPENED = '0';
const PING = '2';
const PONG = '3';
const CONNECT = '40';
const EVENT = '42';

export class SocketIoLane extends Lane {
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {number | undefined} */
  #timer;
  #ended = false;
  #dueMs = 0;
  #cursor = /** @type {number | null} */ (null);
  state = 'idle';

  /** @param {import('./lanes.js').Run} run */
  constructor(run) {
    super('Socket.IO', run);
  }

  get missed() {
    return this.missedAt(this.#cursor);
  }

  start() {
    this.#open();
  }

  stop() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#leave();
    this.state = 'idle';
  }

  cut() {
    this.#leave();
    this.#comeBack();
  }

  #leave() {
    const socket = this.#socket;
    this.#socket = null; // what it still says is of an older attempt
    socket?.close();
  }

  #comeBack() {
    if (this.#ended) return;
    this.state = 'disconnected';
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), AGAIN_MS);
  }

  #open() {
    const url = new URL('/socket.io/?EIO=4&transport=websocket', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.state = 'connecting';
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#read(socket, String(data));
    };
    socket.onclose = () => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#comeBack();
    };
  }

  /** @param {WebSocket} socket @param {string} packet */
  #read(socket, packet) {
    if (packet.startsWith(EVENT)) {
      this.#later(() => this.#hear(packet));
    } else if (packet === PING) {
      socket.send(PONG);
    } else if (packet.startsWith(OPENED)) {
      const auth = { client: this.client, user: this.run.user, after: this.#cursor };
      socket.send(CONNECT + JSON.stringify(auth));
    }
  }

  /** Everything that arrives waits for the lane's delay, in order. @param {() => void} call */
  #later(call) {
    const socket = this.#socket;
    const now = performance.now();
    this.#dueMs = Math.max(this.#dueMs, now + this.delayMs);
    if (this.#dueMs <= now) call();
    else setTimeout(() => socket === this.#socket && call(), this.#dueMs - now);
  }

  /** @param {string} packet */
  #hear(packet) {
    const [name, item] = JSON.parse(packet.slice(EVENT.length));
    if (name === 'hello') this.state = 'connected';
    if (name === 'server-talking') this.see(item.text);
    if (Number.isSafeInteger(item.seq)) this.#cursor = item.seq;
  }
}
