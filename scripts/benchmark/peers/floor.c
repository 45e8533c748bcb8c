/* The floor: what the system calls alone cost. A loop of send() in C, with nothing around it that a real
 * server needs: no handshake check, no queue, no slow reader, no fragmentation.
 *
 * Usage: floor [join]. Takes /ws?room=K, /sse?room=K and /poll?room=K; what a WebSocket client sends goes to
 * everyone in its room, itself included. `join` sends what came together in one call, as fast as can be: with
 * it the load generator is shown to have headroom. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOMS = 4096, BUFFER_BYTES = 1 << 17 };
enum kind { NEW, WS, SSE, POLL };

struct client {
    int fd, room, waiting;
    enum kind kind;
};

static struct {
    struct client **members;
    int count, space;
} rooms[ROOMS];

static int epoll_fd, join;

static void say(struct client *c, const void *bytes, size_t n)
{
    (void)!send(c->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* One message, framed once for each kind of connection. Returns its length. */
static size_t frame(enum kind kind, const char *text, size_t n, char *out)
{
    if (kind == SSE)
        return (size_t)sprintf(out, "data: %.*s\n\n", (int)n, text);
    if (kind == POLL)
        return (size_t)sprintf(out,
                               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n"
                               "{\"cursor\":1,\"events\":[%.*s]}",
                               n + 24, (int)n, text);
    size_t head = 2;
    out[0] = (char)0x81;
    if (n < 126) {
        out[1] = (char)n;
    } else {
        out[1] = 126;
        out[2] = (char)(n >> 8);
        out[3] = (char)n;
        head = 4;
    }
    memcpy(out + head, text, n);
    return head + n;
}

struct ready {
    char bytes[BUFFER_BYTES * 2];
    size_t n;
};

static void send_out(int room, struct ready *ready)
{
    for (int i = 0; i < rooms[room].count; i++) {
        struct client *c = rooms[room].members[i];
        if (c->kind == POLL && !c->waiting)
            continue;
        c->waiting = 0;
        say(c, ready[c->kind].bytes, ready[c->kind].n);
    }
    for (int kind = WS; kind <= POLL; kind++)
        ready[kind].n = 0;
}

static void take_frames(struct client *c, char *bytes, size_t n)
{
    static struct ready ready[POLL + 1];
    size_t at = 0;
    while (at + 6 <= n) {
        uint8_t *f = (uint8_t *)bytes + at;
        size_t len = f[1] & 127, head = 6;
        if (len == 126) {
            len = (size_t)f[2] << 8 | f[3];
            head = 8;
        }
        if (at + head + len > n)
            break;
        for (size_t i = 0; i < len; i++)
            f[head + i] ^= f[head - 4 + (i & 3)];
        for (int kind = WS; kind <= POLL; kind++)
            ready[kind].n += frame(kind, (char *)f + head, len, ready[kind].bytes + ready[kind].n);
        if (!join)
            send_out(c->room, ready);
        at += head + len;
    }
    if (join)
        send_out(c->room, ready);
}

static void take_request(struct client *c, const char *request)
{
    static const char *const answers[] = {
        [WS] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        [SSE] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    };
    c->waiting = 1;
    if (c->kind == POLL)
        return;
    const char *room = strstr(request, "room=");
    c->room = room == NULL ? 0 : atoi(room + 5) % ROOMS;
    c->kind = strncmp(request, "GET /ws", 7) == 0 ? WS : strncmp(request, "GET /sse", 8) == 0 ? SSE : POLL;
    if (rooms[c->room].count == rooms[c->room].space) {
        rooms[c->room].space = rooms[c->room].space * 2 + 16;
        rooms[c->room].members =
            realloc(rooms[c->room].members, (size_t)rooms[c->room].space * sizeof *rooms[c->room].members);
    }
    rooms[c->room].members[rooms[c->room].count++] = c;
    if (c->kind != POLL)
        say(c, answers[c->kind], strlen(answers[c->kind]));
}

static void leave(struct client *c)
{
    for (int i = 0; c->kind != NEW && i < rooms[c->room].count; i++)
        if (rooms[c->room].members[i] == c)
            rooms[c->room].members[i] = rooms[c->room].members[--rooms[c->room].count];
    close(c->fd);
    free(c);
}

static void receive(struct client *c)
{
    static char bytes[BUFFER_BYTES];
    ssize_t n = recv(c->fd, bytes, sizeof bytes - 1, 0);
    if (n <= 0) {
        leave(c);
        return;
    }
    bytes[n] = 0;
    if (c->kind == WS)
        take_frames(c, bytes, (size_t)n);
    else
        take_request(c, bytes);
}

static void add(int fd, void *owner)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = owner};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static int start_listening(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0 || listen(fd, 4096) < 0) {
        perror("listen");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&here, &size);
    printf("listening on http://127.0.0.1:%d\n", ntohs(here.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    join = argc > 1 && strcmp(argv[1], "join") == 0;
    epoll_fd = epoll_create1(0);
    int listener = start_listening(), on = 1;
    add(listener, NULL);
    struct epoll_event events[512];
    for (;;) {
        int n = epoll_wait(epoll_fd, events, 512, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr != NULL) {
                receive(events[i].data.ptr);
                continue;
            }
            struct client *c = calloc(1, sizeof *c);
            c->fd = accept(listener, NULL, NULL);
            setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            add(c->fd, c);
        }
    }
}
