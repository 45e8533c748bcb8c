/* Usage: load PLAN. The plan says which connections there are; commands come on stdin, a line each, and each
 * is answered by one line of JSON:
 *   open [most]                                       opens every connection of the plan, `most` at once
 *   run DURATION_S RATE FLIGHT EXPECT PROBE_EVERY_S   sends and counts (see traffic.c)
 *   quit
 * Between commands it goes on answering pings and polling again.
 *
 * Lines of a plan (fields parted by tabs; \r \n \t \\ escaped):
 *   target  HOST PORT
 *   capture TEXT                       the cursor of a poll's answer stands behind this text; {1}, {2} give it back
 *   conn    KIND SENDS FIRST HELLO THEN     see struct conn; KIND is ws, sse, poll, http or probe
 */
#define _GNU_SOURCE
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { OPENING_MAX = 64, EVENTS_MAX = 1024, READ_BYTES = 1 << 18 };
static const double OPEN_MAX_S = 60.0, OPEN_MORE_S_PER_CONN = 0.005, SETTLE_S = 0.15, SETTLE_MAX_S = 5.0;

struct plan plan;
struct counters counters;
uint64_t now_ns;
static int epoll_fd;
static size_t opening, opened;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static char *unescape(char *text)
{
    char *to = text;
    for (char *from = text; *from != 0; from++) {
        if (*from != '\\') {
            *to++ = *from;
            continue;
        }
        from++;
        *to++ = *from == 'r' ? '\r' : *from == 'n' ? '\n' : *from == 't' ? '\t' : *from;
    }
    *to = 0;
    return text;
}

static enum kind kind_named(const char *name)
{
    static const char *const names[] = {"ws", "sse", "poll", "http", "probe"};
    for (int i = 0; i < 5; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum kind)i;
    fprintf(stderr, "no such kind of connection: %s\n", name);
    exit(2);
}

static char *field(char **rest)
{
    char *text = strsep(rest, "\t");
    return strdup(text == NULL ? "" : unescape(text));
}

static void plan_line(char *line)
{
    static size_t room;
    char *word = strsep(&line, "\t");
    if (strcmp(word, "target") == 0) {
        plan.host = field(&line);
        plan.port = atoi(line);
    } else if (strcmp(word, "capture") == 0 && plan.captures < CAPTURES) {
        plan.capture_after[plan.captures++] = field(&line);
    } else if (strcmp(word, "conn") == 0) {
        if (plan.count == room)
            plan.conns = realloc(plan.conns, (room = room * 2 + 64) * sizeof *plan.conns);
        struct conn *c = &plan.conns[plan.count++];
        memset(c, 0, sizeof *c);
        c->fd = -1;
        c->kind = kind_named(strsep(&line, "\t"));
        c->sends = atoi(strsep(&line, "\t"));
        c->first = field(&line);
        c->hello = field(&line);
        c->then = field(&line);
    }
}

static void read_plan(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        die(path);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        plan_line(line);
    }
    fclose(file);
}

static void open_one(struct conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)plan.port)};
    inet_pton(AF_INET, plan.host, &to.sin_addr);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
        die("connect");
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
    c->state = STATE_CONNECTING;
    opening++;
}

void conn_opened(struct conn *c)
{
    c->state = STATE_OPEN;
    opening--;
    opened++;
    if (c->hello[0] != 0)
        send_frame(c, 1, c->hello, strlen(c->hello));
}

void conn_closed(struct conn *c)
{
    if (c->state == STATE_CLOSED)
        return;
    if (c->state == STATE_OPEN)
        opened--;
    else
        opening--;
    c->state = STATE_CLOSED;
    c->tail_bytes = 0;
    counters.closed++;
    close(c->fd);
}

/* The TCP connection stands: ask. A poller and an HTTP connection have no handshake to wait for. */
static void connected(struct conn *c)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
    if (c->kind == KIND_WS || c->kind == KIND_SSE) {
        c->state = STATE_HANDSHAKE;
        send_bytes(c, c->first, strlen(c->first));
        return;
    }
    conn_opened(c);
    if (c->kind == KIND_POLL)
        send_bytes(c, c->first, strlen(c->first));
}

static void ready(struct conn *c, uint32_t events)
{
    static uint8_t bytes[READ_BYTES + 1];
    if (c->state == STATE_CLOSED)
        return;
    if (c->state == STATE_CONNECTING && (events & EPOLLOUT) && !(events & EPOLLERR)) {
        connected(c);
        return;
    }
    ssize_t n = recv(c->fd, bytes, READ_BYTES, 0);
    if (n > 0)
        receive_bytes(c, bytes, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        conn_closed(c);
}

void turn(double wait_s)
{
    static struct epoll_event events[EVENTS_MAX];
    struct timespec wait = {.tv_sec = (time_t)wait_s, .tv_nsec = (long)((wait_s - (double)(time_t)wait_s) * 1e9)};
    int n = epoll_pwait2(epoll_fd, events, EVENTS_MAX, &wait, NULL);
    uint64_t woken_ns = clock_ns();
    for (int i = 0; i < n; i++) {
        /* A whole turn may take milliseconds: one clock for all would make the late ones look fast. */
        if (i % 16 == 0)
            now_ns = clock_ns();
        if (events[i].data.ptr != NULL)
            ready(events[i].data.ptr, events[i].events);
    }
    now_ns = clock_ns();
    if (now_ns - woken_ns > counters.longest_turn_ns)
        counters.longest_turn_ns = now_ns - woken_ns;
}

/* Greetings are still coming after the last handshake: waits until nothing has come for SETTLE_S. */
static void settle(void)
{
    uint64_t start_ns = clock_ns(), last_ns = start_ns, seen_bytes = counters.wire_bytes;
    do {
        turn(SETTLE_S / 4);
        if (counters.wire_bytes != seen_bytes)
            last_ns = now_ns;
        seen_bytes = counters.wire_bytes;
    } while ((double)(now_ns - last_ns) < SETTLE_S * 1e9 && (double)(now_ns - start_ns) < SETTLE_MAX_S * 1e9);
}

/* `most` at the same time: a crowd that comes by and by, or a herd. */
static void open_all(size_t most)
{
    uint64_t start_ns = clock_ns();
    size_t next = 0;
    while (next < plan.count || opening > 0) {
        while (next < plan.count && opening < most)
            open_one(&plan.conns[next++]);
        turn(0.1);
        if ((double)(now_ns - start_ns) > (OPEN_MAX_S + OPEN_MORE_S_PER_CONN * (double)plan.count) * 1e9)
            break;
    }
    uint64_t opened_ns = now_ns;
    settle();
    printf("{\"open\":%zu,\"wanted\":%zu,\"seconds\":%.3f}\n", opened, plan.count,
           (double)(opened_ns - start_ns) / 1e9);
}

static int command(char *line)
{
    struct traffic t = {0};
    unsigned long long flight = 0;
    if (strncmp(line, "open", 4) == 0) {
        open_all(sscanf(line, "open %llu", &flight) == 1 ? flight : OPENING_MAX);
    } else if (sscanf(line, "run %lf %lf %llu %lf %lf", &t.duration_s, &t.rate, &flight, &t.expect,
                      &t.probe_every_s) == 5) {
        t.flight = flight;
        run_traffic(&t);
    } else {
        return 0;
    }
    fflush(stdout);
    return 1;
}

/* Serves the connections until a command has come. Returns 0 at the end of the input. */
static int next_command(char *line, size_t room)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &e);
    ssize_t n;
    while ((n = read(STDIN_FILENO, line, room - 1)) < 0 && errno == EAGAIN)
        turn(1.0);
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
    if (n <= 0)
        return 0;
    line[n] = 0;
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: load PLAN\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    read_plan(argv[1]);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    char line[256];
    while (next_command(line, sizeof line) && command(line)) {
    }
    return 0;
}
