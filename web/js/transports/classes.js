// The class of each transport in `core/transports.js`; the type checker sees that none is missing.

import { LongpollTransport, PollTransport } from './longpoll.js';
import { SseTransport } from './sse.js';
import { WebSocketTransport } from './websocket.js';

/** @type {Record<import('../core/transports.js').Rung, import('../core/types.js').TransportClass>} */
export const CLASSES = {
  websocket: WebSocketTransport, sse: SseTransport, longpoll: LongpollTransport, poll: PollTransport,
};
