// Shapes that the modules share, for the type checker and the reader; no code lives here.

/** @typedef {'websocket' | 'sse' | 'longpoll' | 'poll'} Rung a transport, as a step of the ladder */

/** @typedef {{id: string, firstName?: string, lastName?: string, name: string, color: string, email?: string}} User */

/**
 * An event of the service: has a place (`seq`) in its one order. See docs/protocol.md.
 * @typedef {object} ChatEvent
 * @property {'message' | 'friend' | 'profile' | 'read' | 'reset'} type
 * @property {number} seq
 * @property {number} at milliseconds since 1970
 * @property {User} [from] of a message
 * @property {string | null} [to] of a message: a user id, or null for all friends
 * @property {string} [text]
 * @property {string | null} [clientId]
 * @property {any} [user] an object in `friend` and `profile`, an id in `read`
 * @property {'none' | 'friend' | 'incoming' | 'outgoing'} [relation]
 * @property {string | null} [with]
 * @property {number} [upTo]
 * @property {string} [reason]
 */

/** @typedef {{type: string, [field: string]: any}} Signal an event without a place: presence, typing, ping… */

/**
 * What a transport tells the one who opened it. `end` comes once and is the last call.
 * @typedef {object} TransportEvents
 * @property {() => void} ready the first frame has arrived: this way works
 * @property {(item: any) => void} item an event or a signal
 * @property {(cursor: number) => void} cursor the reader stands here now, though no event said so
 * @property {() => void} alive something arrived that is no item
 * @property {(end: TransportEnd) => void} end
 */

/**
 * Why a transport ended. `stop`: do not come back by yourself. `retryMs`: come back after this
 * long, said by the server. `stable`: it had proven itself before it ended.
 * @typedef {{reason: string, stop?: string, retryMs?: number, stable?: boolean}} TransportEnd
 */

/**
 * @typedef {object} TransportOptions
 * @property {string} base the server's origin and path prefix, '' for the page's own
 * @property {number | null} cursor
 * @property {string} client the reader's name
 * @property {number} [pollMs] how often plain polling asks
 * @property {TransportEvents} on
 */

/**
 * @typedef {object} Transport
 * @property {() => void} close ends it without an `end` call
 * @property {(frame: object) => boolean} send false: this way carries nothing up, use HTTP
 * @property {() => void} probe ask for a sign of life
 */

/** @typedef {new (options: TransportOptions) => Transport} TransportClass */

/**
 * A message on its way out.
 * @typedef {object} Outgoing
 * @property {string} clientId
 * @property {string} text
 * @property {string | null} to
 * @property {number} at when it was written, milliseconds since 1970
 * @property {'pending' | 'failed'} status
 * @property {string} [error] why it failed, for the writer
 */

export {};
