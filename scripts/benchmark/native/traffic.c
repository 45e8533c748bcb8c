/* Messages sent on schedule, and what came of them. */
#define _GNU_SOURCE
#include "load.h"
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* With nothing else to go by, a run is over when no delivery came for this long. */
static const double QUIET_S = 0.3;
static const double DRAIN_MAX_S = 8.0;

uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    int power = 63 - __builtin_clzll(ns | 32);
    h->bucket[power * 32 + (int)(ns >> (power - 5) & 31)]++;
    h->count++;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

double histogram_ms(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)h->count), seen = 0;
    for (int i = 0; i < 64 * 32; i++) {
        seen += h->bucket[i];
        if (seen > wanted)
            return (double)((uint64_t)(32 + i % 32) << (i / 32 - 5)) / 1e6;
    }
    return (double)h->max_ns / 1e6;
}

int is_stamp(const uint8_t *p)
{
    return p[0] == '~' && p[STAMP_CHARS - 1] == '~' && memchr(p + 1, '~', STAMP_CHARS - 2) == NULL;
}

void delivered(const uint8_t *stamp)
{
    uint64_t sent_at_ns = 0;
    for (int i = 1; i < STAMP_CHARS - 1; i++) {
        uint8_t digit = stamp[i];
        sent_at_ns = sent_at_ns << 4 | (digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    counters.delivered++;
    counters.last_delivery_ns = now_ns;
    if (now_ns > sent_at_ns)
        histogram_add(&counters.latency, now_ns - sent_at_ns);
}

/* Fills in {stamp} and {id}, and {1} {2} with what the last answer gave. Returns the length. */
static size_t fill(const struct conn *c, const char *text, char *out)
{
    static uint64_t next_id;
    size_t at = 0;
    while (*text != 0 && at < OUT_MAX_BYTES - 128) {
        if (strncmp(text, "{stamp}", 7) == 0) {
            at += (size_t)sprintf(out + at, "~%016llx~", (unsigned long long)clock_ns());
            text += 7;
        } else if (strncmp(text, "{id}", 4) == 0) {
            at += (size_t)sprintf(out + at, "%012llu", (unsigned long long)next_id++);
            text += 4;
        } else if (text[0] == '{' && (text[1] == '1' || text[1] == '2') && text[2] == '}') {
            at += (size_t)sprintf(out + at, "%s", c->capture[text[1] - '1']);
            text += 3;
        } else {
            out[at++] = *text++;
        }
    }
    return at;
}

int send_request(struct conn *c, const char *template_text)
{
    char out[OUT_MAX_BYTES];
    return send_bytes(c, out, fill(c, template_text, out));
}

static void send_message(struct conn *c)
{
    char out[OUT_MAX_BYTES];
    size_t n = fill(c, c->then, out);
    if (counters.sent++ == 0)
        counters.first_sent_ns = clock_ns();
    if (c->kind == KIND_HTTP) {
        c->busy = 1;
        send_bytes(c, out, n);
    } else {
        send_frame(c, 1, out, n);
    }
}

/* The senders take turns; one that waits for its HTTP answer is passed over. */
static struct conn *next_sender(void)
{
    static size_t at;
    for (size_t tried = 0; tried < plan.count; tried++) {
        struct conn *c = &plan.conns[at++ % plan.count];
        if (c->sends && !c->busy && c->state == STATE_OPEN)
            return c;
    }
    return NULL;
}

static int may_send(const struct traffic *t, uint64_t start_ns)
{
    if (t->rate > 0 && (double)counters.sent > t->rate * (double)(now_ns - start_ns) / 1e9)
        return 0;
    if (t->flight == 0)
        return t->rate > 0;
    return (double)counters.sent - (double)counters.delivered / t->expect < (double)t->flight - 1e-9;
}

static void send_due(const struct traffic *t, uint64_t start_ns)
{
    struct conn *c;
    while (may_send(t, start_ns) && (c = next_sender()) != NULL)
        send_message(c);
}

static void probe_due(const struct traffic *t, uint64_t *next_ns)
{
    if (t->probe_every_s <= 0 || now_ns < *next_ns)
        return;
    *next_ns = now_ns + (uint64_t)(t->probe_every_s * 1e9);
    for (size_t i = 0; i < plan.count; i++) {
        struct conn *c = &plan.conns[i];
        if (c->kind != KIND_PROBE || c->busy || c->state != STATE_OPEN)
            continue;
        c->busy = 1;
        c->asked_at_ns = clock_ns();
        send_bytes(c, c->first, strlen(c->first));
    }
}

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int drained(const struct traffic *t, uint64_t stopped_ns)
{
    if ((double)(now_ns - stopped_ns) > DRAIN_MAX_S * 1e9)
        return 1;
    if (t->expect > 0)
        return (double)counters.delivered >= (double)counters.sent * t->expect - 1e-6;
    uint64_t last_ns = counters.last_delivery_ns > stopped_ns ? counters.last_delivery_ns : stopped_ns;
    return (double)(now_ns - last_ns) > QUIET_S * 1e9;
}

static void print_result(const struct traffic *t, double load_cpu_s, double wall_s)
{
    double active_s = (double)(counters.last_delivery_ns - counters.first_sent_ns) / 1e9;
    double expected = t->expect > 0 ? (double)counters.sent * t->expect : (double)counters.delivered;
    printf("{\"sent\":%llu,\"delivered\":%llu,\"missing\":%.0f,\"answers\":%llu,\"errors\":%llu,\"closed\":%llu,"
           "\"payload_bytes\":%llu,\"wire_bytes\":%llu,\"active_s\":%.6f,",
           (unsigned long long)counters.sent, (unsigned long long)counters.delivered,
           expected - (double)counters.delivered, (unsigned long long)counters.answers,
           (unsigned long long)counters.errors, (unsigned long long)counters.closed,
           (unsigned long long)counters.payload_bytes, (unsigned long long)counters.wire_bytes,
           counters.delivered > 0 ? active_s : 0.0);
    printf("\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,", histogram_ms(&counters.latency, 0.5),
           histogram_ms(&counters.latency, 0.99), (double)counters.latency.max_ns / 1e6);
    printf("\"probes\":%llu,\"probe_p99_ms\":%.3f,\"probe_max_ms\":%.3f,", (unsigned long long)counters.probe.count,
           histogram_ms(&counters.probe, 0.99), (double)counters.probe.max_ns / 1e6);
    printf("\"own_turn_max_ms\":%.3f,\"load_cpu_s\":%.6f,\"wall_s\":%.6f}\n", (double)counters.longest_turn_ns / 1e6,
           load_cpu_s, wall_s);
}

void run_traffic(const struct traffic *t)
{
    uint64_t closed = counters.closed, next_probe_ns = 0;
    memset(&counters, 0, sizeof counters);
    counters.closed = closed;
    double cpu_before_s = cpu_s();
    uint64_t start_ns = now_ns = clock_ns();
    uint64_t end_ns = start_ns + (uint64_t)(t->duration_s * 1e9);
    while (now_ns < end_ns) {
        send_due(t, start_ns);
        probe_due(t, &next_probe_ns);
        double wait_s = (double)(end_ns - now_ns) / 1e9;
        if (t->rate > 0 && wait_s > 1 / t->rate)
            wait_s = 1 / t->rate;
        if (t->probe_every_s > 0 && wait_s > t->probe_every_s)
            wait_s = t->probe_every_s;
        turn(wait_s);
    }
    while (!drained(t, end_ns))
        turn(0.02);
    print_result(t, cpu_s() - cpu_before_s, (double)(clock_ns() - start_ns) / 1e9);
}
