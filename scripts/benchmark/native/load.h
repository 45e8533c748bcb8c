/* The load generator: many client connections in one thread.
 *
 * load.c     the plan file, opening connections, commands on stdin, results on stdout
 * wire.c     bytes received: WebSocket frames, event streams, HTTP answers
 * traffic.c  messages sent on schedule, deliveries counted, latencies kept
 *
 * A message carries the moment it was sent as a stamp inside its text, `~` + 16 hex digits + `~`. Finding a
 * stamp in what a server sent is one delivery, whatever the transport or the server's own format.
 */
#ifndef LOAD_H
#define LOAD_H
#include <stddef.h>
#include <stdint.h>

enum kind { KIND_WS, KIND_SSE, KIND_POLL, KIND_HTTP, KIND_PROBE };
enum state { STATE_CONNECTING, STATE_HANDSHAKE, STATE_OPEN, STATE_CLOSED };

enum { STAMP_CHARS = 18, CAPTURES = 2, CAPTURE_CHARS = 96, OUT_MAX_BYTES = 65536 };

struct conn {
    int fd;
    enum kind kind;
    enum state state;
    int sends;         /* takes part in sending */
    int busy;          /* HTTP only: a request is out, its answer is not in */
    char *first;       /* the request that opens the connection */
    char *hello;       /* a text frame sent once the WebSocket is open; empty: none */
    char *then;        /* message template of a sender; the next request of a poller */
    uint8_t *tail;     /* received bytes that do not yet make a whole unit */
    size_t tail_bytes, tail_room;
    uint64_t asked_at_ns;
    char capture[CAPTURES][CAPTURE_CHARS];
};

struct plan {
    struct conn *conns;
    size_t count;
    char *host;
    int port;
    char *capture_after[CAPTURES]; /* text before the cursor in a poll's answer */
    int captures;
};

struct histogram { /* 32 buckets to each power of two: within 3.2 % */
    uint64_t bucket[64 * 32];
    uint64_t count, max_ns;
};

struct counters {
    uint64_t sent, delivered, payload_bytes, wire_bytes, answers, errors, closed;
    uint64_t first_sent_ns, last_delivery_ns, longest_turn_ns;
    struct histogram latency, probe;
};

struct traffic { /* one run: what to send, and when to stop */
    double duration_s, rate, expect, probe_every_s;
    uint64_t flight;
};

extern struct plan plan;
extern struct counters counters;
extern uint64_t now_ns; /* read once a turn of the loop: precise enough, and free */

uint64_t clock_ns(void);
void histogram_add(struct histogram *h, uint64_t ns);
double histogram_ms(const struct histogram *h, double share);

void delivered(const uint8_t *stamp); /* `stamp` points at the opening tilde */
int is_stamp(const uint8_t *p);

void receive_bytes(struct conn *c, const uint8_t *bytes, size_t n);
int send_bytes(struct conn *c, const void *bytes, size_t n); /* 0: done, -1: the connection is gone */
int send_frame(struct conn *c, int opcode, const void *payload, size_t n);
int send_request(struct conn *c, const char *template_text);
void conn_opened(struct conn *c);
void conn_closed(struct conn *c);

void run_traffic(const struct traffic *t);
void turn(double wait_s); /* one turn of the loop: wait, then take in everything that came */
#endif
