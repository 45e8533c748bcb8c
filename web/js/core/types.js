// Shapes that the modules share, for the type checker and the reader; no code lives here.

/** @typedef {{id: string, firstName?: string, lastName?: string, name: string, color: string, email?: string,
 *   looksLike?: string}} User `looksLike` is a friend whose name looks the same. */

/** @typedef {{id: string, name: string, color: string}} Sender */

/** @typedef {'none' | 'friend' | 'incoming' | 'outgoing'} Relation */

/**
 * An event of the service has a place (`seq`) in its one order, and a time (`at`, ms since 1970).
 * See docs/protocol.md.
 * @typedef {{type: 'message', seq: number, at: number, from: Sender, to: string | null, text: string,
 *   clientId?: string | null}} MessageEvent
 * @typedef {{type: 'friend', seq: number, at: number, user: User, relation: Relation}} FriendEvent
 * @typedef {{type: 'profile', seq: number, at: number, user: User}} ProfileEvent
 * @typedef {{type: 'read', seq: number, at: number, user: string, with: string | null, upTo: number}} ReadEvent
 * @typedef {{type: 'reset', seq: number, at?: number, lost: 'all', reason?: string}} ResetEvent
 * @typedef {MessageEvent | FriendEvent | ProfileEvent | ReadEvent | ResetEvent} ChatEvent
 */

/**
 * A signal has no place: never stored, moves no cursor, may be lost.
 * @typedef {{type: 'hello', seq: number, user: User, heartbeat?: number, resumed?: boolean}} Hello
 * @typedef {{type: 'presence', online: string[]}} WholePresence who is online, right after `hello`
 * @typedef {{type: 'presence', user: string, online: boolean, lastSeen?: number | null}} Presence
 * @typedef {{type: 'typing', from: string, to: string | null}} Typing
 * @typedef {{type: 'ack', clientId: string, seq: number, at: number}} Ack
 * @typedef {{type: 'error', clientId?: string, code: string, detail: string, retryAfter?: number}} Refusal
 * @typedef {{type: 'bye', reason: string, reconnectIn?: number, retry?: boolean}} Bye
 * @typedef {Hello | WholePresence | Presence | Typing | Ack | Refusal | Bye
 *   | {type: 'ping', at: number} | {type: 'pong'}} Signal
 */

/** @typedef {ChatEvent | Signal} Item what a transport brings */

/**
 * What a transport tells the one who opened it. `end` comes once and is the last call.
 * @typedef {object} TransportEvents
 * @property {() => void} ready the first frame has arrived: this way works
 * @property {(item: Item) => void} item
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
 * @property {string} [user] whose page it is: the server refuses where the login is another's
 * @property {number} [pollMs] how often plain polling asks
 * @property {TransportEvents} on
 */

/**
 * @typedef {object} Transport
 * @property {() => void} close ends it without an `end` call
 * @property {(frame: object) => boolean} [send] of one that carries frames; false: not now, use HTTP
 * @property {() => void} [probe] of one that can be asked: ask for a sign of life
 */

/** @typedef {new (options: TransportOptions) => Transport} TransportClass */

/** @typedef {{live: import('./transports.js').Rung | null, reason: string,
 *   rungs: readonly import('./transports.js').Rung[]}} Seen a leader's connection, as the other tabs see it */

/**
 * What one tab says to the others. Where there is a `leader`, it is the tab that speaks.
 * @typedef {{kind: 'join', tab: string, after: number | null}} Join
 * @typedef {{kind: 'welcome', leader: string, tab: string, cursor: number, missed: ChatEvent[] | null,
 *   online: string[] | null, seen: Seen}} Welcome `missed` null: the leader keeps less than was missed
 * @typedef {Welcome
 *   | {kind: 'event', leader: string, event: ChatEvent, before: number | null}
 *   | {kind: 'signal', leader: string, signal: Signal}
 *   | {kind: 'state', leader: string, seen: Seen}
 *   | {kind: 'stop', leader: string, reason: string}} FromLeader between `before` and its event there is none
 * @typedef {Join | {kind: 'choose', rungs: Seen['rungs']} | {kind: 'ask', what: Doubt} | FromLeader} TabMessage
 *
 * What a tab asks of whoever has the connection: a sign of life; to give it up where it cannot be asked,
 * since something is missing; to try at once.
 * @typedef {'probe' | 'doubt' | 'tryNow'} Doubt
 */

/**
 * A message on its way out.
 * @typedef {object} Outgoing
 * @property {string} clientId
 * @property {string} text
 * @property {import('./conversation.js').Conversation} conversation
 * @property {number} at when it was written, by the writer's clock, milliseconds since 1970
 * @property {number} [aheadMs] how much later it was at the server, as far as was known then
 * @property {'pending' | 'failed'} status
 * @property {string} [error] why it failed, for the writer
 * @property {string} [by] the tab that wrote it
 */

/** @typedef {{clientId: string, seq: number, at: number, text: string,
 *   conversation: import('./conversation.js').Conversation}} Sent */

/** @typedef {{state: null, event: Exclude<ChatEvent, ResetEvent>, signal: Signal, reset: ResetEvent,
 *   sent: Sent, outbox: null, stop: string}} ClientDetails what each event of a ChatClient carries */

/**
 * @typedef {object} ClientOptions
 * @property {string} [base] the server's origin and path prefix; '' for the page's own
 * @property {string} [user] whose page it is: a server where the login is another's refuses, and it stops
 * @property {string} [client] the reader's name; drawn when absent
 * @property {string} [share] share one connection with the tabs that say the same word (the user's id)
 * @property {readonly import('./transports.js').Rung[]} [rungs] the transports that may be used, best first
 * @property {number} [pollMs] how often plain polling asks
 * @property {Outgoing[]} [outbox] messages that an earlier life of the page left
 * @property {(entries: Outgoing[]) => void} [save] called whenever the outbox has changed
 * @property {() => number} [aheadMs] how much later it is at the server than by this clock; noted with each message
 * @property {string} [writer] a name of this tab: what another one wrote is left to that one for a while
 * @property {Partial<Record<import('./transports.js').Rung, TransportClass>>} [transports] other transport classes
 * @property {{get: () => string | null, set: (rung: string) => void}} [memory]
 */

/** @typedef {import('../connection.js').Connection} Connection */
/** @typedef {ConstructorParameters<typeof import('../connection.js').Connection>[0]} ConnectionOptions */
/** @typedef {Pick<BroadcastChannel, 'postMessage' | 'close' | 'onmessage'>} Channel */

/**
 * What a TabLink needs of its browser.
 * @typedef {object} TabEffects
 * @property {string} tab a name that no other tab has
 * @property {(name: string) => Channel} openChannel
 * @property {{request: (name: string, options: LockOptions, held: () => unknown) => Promise<unknown>}} locks
 * @property {(options: ConnectionOptions) => Pick<Connection, keyof Connection>} connect
 * @property {() => boolean} visible whether the person looks at this tab
 * @property {() => number} now milliseconds since 1970
 * @property {(callback: () => void, ms: number) => unknown} setTimer
 * @property {(timer: any) => void} clearTimer
 */

export {};
