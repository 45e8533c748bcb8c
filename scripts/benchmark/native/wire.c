/* What servers send, taken apart just far enough to count it and to keep the connection alive. */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10, SEND_WAIT_MS = 5000 };

int send_bytes(struct conn *c, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t done = send(c->fd, p, n, MSG_NOSIGNAL);
        if (done < 0 && errno == EAGAIN) {
            struct pollfd ready = {.fd = c->fd, .events = POLLOUT};
            if (poll(&ready, 1, SEND_WAIT_MS) == 1)
                continue;
        }
        if (done < 0) {
            conn_closed(c);
            return -1;
        }
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

int send_frame(struct conn *c, int opcode, const void *payload, size_t n)
{
    /* RFC 6455 section 5.2, client to server: always masked; the key need not be random on a test machine. */
    static const uint8_t key[4] = {0x5a, 0xc3, 0x17, 0x9e};
    static uint8_t out[OUT_MAX_BYTES + 8];
    const uint8_t *from = payload;
    size_t at = 2;
    out[0] = (uint8_t)(0x80 | opcode);
    if (n < 126) {
        out[1] = (uint8_t)(0x80 | n);
    } else {
        out[1] = 0x80 | 126;
        out[2] = (uint8_t)(n >> 8);
        out[3] = (uint8_t)n;
        at = 4;
    }
    memcpy(out + at, key, 4);
    at += 4;
    for (size_t i = 0; i < n; i++)
        out[at + i] = from[i] ^ key[i & 3];
    return send_bytes(c, out, at + n);
}

/* Every stamp is a delivery. Returns how much is done with: all, or up to a tilde that may begin a stamp. */
static size_t count_stamps(const uint8_t *bytes, size_t n)
{
    const uint8_t *p = bytes, *end = bytes + n;
    while ((p = memchr(p, '~', (size_t)(end - p))) != NULL) {
        if (end - p < STAMP_CHARS)
            return (size_t)(p - bytes);
        if (is_stamp(p)) {
            delivered(p);
            p += STAMP_CHARS;
        } else {
            p++;
        }
    }
    return n;
}

static size_t take_frames(struct conn *c, const uint8_t *p, size_t n)
{
    size_t at = 0;
    while (n - at >= 2 && c->state == STATE_OPEN) {
        const uint8_t *f = p + at;
        size_t head = 2, len = f[1] & 127;
        if (len == 126) {
            if (n - at < 4)
                break;
            len = (size_t)f[2] << 8 | f[3];
            head = 4;
        } else if (len == 127) {
            if (n - at < 10)
                break;
            len = 0;
            for (int i = 2; i < 10; i++)
                len = len << 8 | f[i];
            head = 10;
        }
        if (n - at - head < len)
            break;
        int opcode = f[0] & 15;
        if (opcode == OPCODE_PING)
            send_frame(c, OPCODE_PONG, f + head, len);
        else if (opcode == OPCODE_CLOSE)
            conn_closed(c);
        else
            count_stamps(f + head, len);
        counters.payload_bytes += len;
        at += head + len;
    }
    return at;
}

/* An event stream's own units do not matter here: it is searched as it comes. */
static size_t take_stream(const uint8_t *p, size_t n)
{
    size_t done = count_stamps(p, n);
    counters.payload_bytes += done;
    return done;
}

static void capture(struct conn *c, const char *answer, size_t head, size_t n)
{
    for (int i = 0; i < plan.captures; i++) {
        const char *after = plan.capture_after[i];
        const char *found = NULL, *next = answer;
        /* The last one counts: where each message carries its id, that is the newest. */
        while ((next = memmem(next, n - (size_t)(next - answer), after, strlen(after))) != NULL)
            found = next += strlen(after);
        if (found == NULL)
            continue;
        found += strspn(found, " ");
        size_t len = strcspn(found, (size_t)(found - answer) < head ? "\r\n" : "\",}");
        if (len >= CAPTURE_CHARS)
            len = CAPTURE_CHARS - 1;
        memcpy(c->capture[i], found, len);
        c->capture[i][len] = 0;
    }
}

static void answer_complete(struct conn *c, const char *answer, size_t head, size_t n)
{
    counters.answers++;
    if (answer[9] != '2' && answer[9] != '3') {
        counters.errors++;
        if (getenv("LOAD_DEBUG"))
            fprintf(stderr, "refused: %.*s\n", (int)n, answer);
    }
    if (c->kind == KIND_PROBE)
        histogram_add(&counters.probe, now_ns - c->asked_at_ns);
    if (c->kind == KIND_POLL) {
        count_stamps((const uint8_t *)answer + head, n - head);
        counters.payload_bytes += n - head;
        capture(c, answer, head, n);
        send_request(c, c->then);
    }
    c->busy = 0;
}

static size_t take_answers(struct conn *c, const uint8_t *p, size_t n)
{
    size_t at = 0;
    while (at < n && c->state == STATE_OPEN) {
        const char *answer = (const char *)p + at;
        const char *blank = memmem(answer, n - at, "\r\n\r\n", 4);
        if (blank == NULL)
            break;
        size_t head = (size_t)(blank - answer) + 4, body = 0;
        for (const char *line = answer; line < blank; line = strchr(line, '\n') + 1)
            if (strncasecmp(line, "content-length:", 15) == 0)
                body = strtoul(line + 15, NULL, 10);
        if (n - at < head + body)
            break;
        answer_complete(c, answer, head, head + body);
        at += head + body;
    }
    return at;
}

static size_t take_handshake(struct conn *c, const uint8_t *p, size_t n)
{
    const char *blank = memmem(p, n, "\r\n\r\n", 4);
    if (blank == NULL)
        return 0;
    const char *wanted = c->kind == KIND_WS ? "101" : "200";
    if (memcmp(p + 9, wanted, 3) != 0) {
        fprintf(stderr, "refused: %.*s\n", (int)n, p);
        counters.errors++;
        conn_closed(c);
        return n;
    }
    conn_opened(c);
    return (size_t)(blank + 4 - (const char *)p);
}

static size_t take(struct conn *c, const uint8_t *p, size_t n)
{
    size_t used = 0;
    if (c->state == STATE_HANDSHAKE)
        used = take_handshake(c, p, n);
    if (c->state != STATE_OPEN || used == n)
        return used;
    switch (c->kind) {
    case KIND_WS:
        return used + take_frames(c, p + used, n - used);
    case KIND_SSE:
        return used + take_stream(p + used, n - used);
    default:
        return used + take_answers(c, p + used, n - used);
    }
}

/* Takes in `n` received bytes; one byte past them must be writable (it becomes a terminating zero). */
void receive_bytes(struct conn *c, const uint8_t *bytes, size_t n)
{
    counters.wire_bytes += n;
    if (c->tail_bytes > 0) {
        if (c->tail_bytes + n + 1 > c->tail_room) {
            c->tail_room = (c->tail_bytes + n) * 2;
            c->tail = realloc(c->tail, c->tail_room);
        }
        memcpy(c->tail + c->tail_bytes, bytes, n);
        n += c->tail_bytes;
        bytes = c->tail;
    }
    ((uint8_t *)bytes)[n] = 0;
    size_t rest = n - take(c, bytes, n);
    if (c->state == STATE_CLOSED)
        rest = 0;
    if (rest + 1 > c->tail_room && rest > 0) {
        c->tail_room = rest * 2 + 1;
        uint8_t *room = malloc(c->tail_room);
        memcpy(room, bytes + n - rest, rest);
        free(c->tail);
        c->tail = room;
    } else if (rest > 0) {
        memmove(c->tail, bytes + n - rest, rest);
    }
    c->tail_bytes = rest;
}
