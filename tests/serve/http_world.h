/* A server of serve/http.h in a thread of the test, with routes that answer in every way there is,
 * and a client that sends exactly the bytes it is given. Include it in one test. */
#ifndef SYN_TESTS_HTTP_WORLD_H
#define SYN_TESTS_HTTP_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "serve/http.h"

typedef struct world {
    syn_http_server *server;
    pthread_t thread;
    int port;
    atomic_int canaries;  /* requests that must never be served */
    atomic_int running;   /* requests that /wait, /hold and /flood have now */
    atomic_int cancelled; /* of those, by the peer or a stop */
    atomic_int accesses, last_status;
    atomic_llong flooded; /* bytes that /flood could queue */
    atomic_int order;     /* of /first and /second */
    atomic_int held;      /* requests of /held and /turned-away that wait for the gate, */
    atomic_bool gate;     /* which lets them go */
} world;

static world *world_of(syn_http_request *r)
{
    return syn_http_arg(r->server);
}

static void reply_text(syn_http_request *r, const char *text)
{
    syn_http_send(r, &(syn_http_reply){.status = 200,
                                       .content_type = "text/plain",
                                       .body = text,
                                       .body_bytes = strlen(text)});
}

static void on_health(syn_http_request *r)
{
    reply_text(r, "{\"status\":\"healthy\"}");
}

static void on_echo(syn_http_request *r)
{
    syn_http_send(r,
                  &(syn_http_reply){.status = 200, .body = r->body, .body_bytes = r->body_bytes});
}

static void on_canary(syn_http_request *r)
{
    world_of(r)->canaries++;
    reply_text(r, "canary");
}

static void on_item(syn_http_request *r)
{
    char value[32], text[256];
    int n = syn_http_query_value(r, "q", value, sizeof(value));
    snprintf(text, sizeof(text), "[%s] [%s] q=%d:%s", r->parameters[0],
             r->parameters[1] ? r->parameters[1] : "", n, n >= 0 ? value : "");
    reply_text(r, text);
}

static void on_who(syn_http_request *r)
{
    char text[256];
    snprintf(text, sizeof(text), "%s %s", r->peer, r->id);
    reply_text(r, text);
}

static void on_bad_header(syn_http_request *r)
{
    syn_http_header header = {"X-Test", "a\r\nX-Injected: yes"};
    syn_http_send(r, &(syn_http_reply){.status = 200, .headers = &header, .header_count = 1});
}

/* Answers from another thread after 50 ms. */
typedef struct later {
    syn_http_task task;
    syn_http_request *request;
} later;

static void run_later(syn_http_task *task)
{
    later *l = (later *)task;
    reply_text(l->request, "later");
    free(l);
}

static void *think(void *arg)
{
    later *l = arg;
    struct timespec t = {.tv_nsec = 50000000};
    nanosleep(&t, NULL);
    syn_http_post(l->request->server, &l->task);
    return NULL;
}

static void on_later(syn_http_request *r)
{
    later *l = calloc(1, sizeof(*l));
    l->task.run = run_later;
    l->request = r;
    pthread_t thread;
    pthread_create(&thread, NULL, think, l);
    pthread_detach(thread);
}

static void cancel_wait(syn_http_request *r)
{
    world_of(r)->cancelled++;
    world_of(r)->running--;
    reply_text(r, "nobody reads this");
}

/* Answers only when it is cancelled. */
static void on_wait(syn_http_request *r)
{
    world_of(r)->running++;
    syn_http_on_cancel(r, cancel_wait);
}

static void on_stream(syn_http_request *r)
{
    syn_http_stream_begin(r, &(syn_http_reply){.status = 200, .content_type = "text/plain"});
    bool good = syn_http_stream_write(r, "one ", 4) == SYN_OK &&
                syn_http_stream_write(r, "two ", 4) == SYN_OK &&
                syn_http_stream_write(r, "three", 5) == SYN_OK;
    if (good)
        syn_http_stream_end(r);
    else
        syn_http_stream_abort(r);
}

static void on_abort(syn_http_request *r)
{
    syn_http_stream_begin(r, &(syn_http_reply){.status = 200, .body = "half", .body_bytes = 4});
    syn_http_stream_abort(r);
}

static void cancel_stream(syn_http_request *r)
{
    world_of(r)->cancelled++;
    world_of(r)->running--;
    syn_http_stream_end(r);
}

/* A stream that stays open and silent. */
static void on_hold(syn_http_request *r)
{
    world_of(r)->running++;
    syn_http_on_cancel(r, cancel_stream);
    syn_http_stream_begin(r, &(syn_http_reply){.status = 200, .content_type = "text/event-stream"});
    (void)!syn_http_stream_write(r, ": ping\n\n", 8);
}

/* Queues 20 MiB as fast as there is room. */
static void flood(syn_http_request *r)
{
    static const char block[10000];
    world *w = world_of(r);
    syn_status st = SYN_OK;
    while (w->flooded < 20 << 20 && st == SYN_OK) {
        st = syn_http_stream_write(r, block, sizeof(block));
        if (st == SYN_OK) w->flooded += (long long)sizeof(block);
    }
    if (st != SYN_OK) return; /* LIMIT: called again; INTERRUPTED: cancelled */
    w->running--;
    syn_http_stream_end(r);
}

static void on_flood(syn_http_request *r)
{
    world_of(r)->running++;
    world_of(r)->flooded = 0;
    syn_http_on_cancel(r, cancel_stream);
    syn_http_on_room(r, flood);
    syn_http_stream_begin(r, &(syn_http_reply){.status = 200});
    flood(r);
}

static const syn_http_route world_routes[] = {
    {SYN_HTTP_GET, "/health", on_health, 0, false, NULL},
    {SYN_HTTP_POST, "/echo", on_echo, SYN_HTTP_BODY_DEFAULT, false, NULL},
    {SYN_HTTP_POST, "/small", on_echo, 16, false, NULL},
    {SYN_HTTP_POST, "/parallel", on_wait, 16, true, NULL},
    {SYN_HTTP_POST, "/secret", on_canary, 1024, false, "refused"},
    {SYN_HTTP_POST, "/held", on_echo, SYN_HTTP_BODY_DEFAULT, false, "held"},
    {SYN_HTTP_GET, "/held", on_health, 0, false, "held"},
    {SYN_HTTP_POST, "/turned-away", on_canary, SYN_HTTP_BODY_DEFAULT, false, "turned away"},
    {SYN_HTTP_GET, "/canary", on_canary, SYN_HTTP_BODY_DEFAULT, false, NULL},
    {SYN_HTTP_POST, "/canary", on_canary, SYN_HTTP_BODY_DEFAULT, false, NULL},
    {SYN_HTTP_GET, "/items/{id}", on_item, 0, false, NULL},
    {SYN_HTTP_GET, "/items/{id}/parts/{part}", on_item, 0, false, NULL},
    {SYN_HTTP_GET, "/files/{path+}", on_item, 0, false, NULL},
    {SYN_HTTP_GET, "/who", on_who, 0, false, NULL},
    {SYN_HTTP_GET, "/bad-header", on_bad_header, 0, false, NULL},
    {SYN_HTTP_GET, "/later", on_later, 0, false, NULL},
    {SYN_HTTP_GET, "/wait", on_wait, 0, false, NULL},
    {SYN_HTTP_POST, "/wait", on_wait, 16, false, NULL},
    {SYN_HTTP_GET, "/stream", on_stream, 0, false, NULL},
    {SYN_HTTP_GET, "/abort", on_abort, 0, false, NULL},
    {SYN_HTTP_GET, "/hold", on_hold, 0, false, NULL},
    {SYN_HTTP_GET, "/flood", on_flood, 0, false, NULL}};

static void let_go(syn_http_task *task)
{
    later *l = (later *)task;
    world_of(l->request)->held--;
    if (strcmp(l->request->route->data, "held") == 0)
        syn_http_admit(l->request);
    else
        syn_http_reply_error(l->request, 401, "A key is needed.");
    free(l);
}

static void *wait_for_the_gate(void *arg)
{
    later *l = arg;
    while (!world_of(l->request)->gate) usleep(1000);
    syn_http_post(l->request->server, &l->task);
    return NULL;
}

static syn_http_entry world_before(void *arg, syn_http_request *r)
{
    world *w = arg;
    if (!r->route->data) return SYN_HTTP_ADMITTED;
    if (strcmp(r->route->data, "refused") == 0) {
        syn_http_reply_error(r, 401, "A key is needed.");
        return SYN_HTTP_REFUSED;
    }
    later *l = calloc(1, sizeof(*l));
    l->task.run = let_go;
    l->request = r;
    w->held++;
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_the_gate, l);
    pthread_detach(thread);
    return SYN_HTTP_HELD;
}

static bool world_origin(void *arg, const char *origin)
{
    return strcmp(origin, "https://good.example") == 0;
}

static void world_access(void *arg, const syn_http_access *access)
{
    world *w = arg;
    w->last_status = access->status;
    w->accesses++;
}

static void *run_world(void *arg)
{
    world *w = arg;
    if (syn_http_run(w->server) != SYN_OK) abort();
    return NULL;
}

/* `options` gives limits and settings; routes and hooks are the world's. */
static void world_start(world *w, syn_http_options options)
{
    memset(w, 0, sizeof(*w));
    options.routes = world_routes;
    options.route_count = sizeof(world_routes) / sizeof(world_routes[0]);
    options.arg = w;
    options.before = world_before;
    options.origin_allowed = world_origin;
    options.access = world_access;
    assert_ok(syn_http_create(&w->server, &options));
    w->port = syn_http_port(w->server);
    assert_int_equal(pthread_create(&w->thread, NULL, run_world, w), 0);
}

static void world_stop(world *w)
{
    syn_http_drain(w->server, 0);
    pthread_join(w->thread, NULL);
    syn_http_destroy(w->server);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* True once the number is as wanted; false after five seconds. */
static inline bool becomes(atomic_int *number, int wanted)
{
    double end = now_s() + 5;
    while (*number != wanted && now_s() < end) usleep(2000);
    return *number == wanted;
}

static int dial(const world *w)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) fail_msg("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

/* The peer may close meanwhile. */
static void say_n(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes += sent;
        n -= (size_t)sent;
    }
}

static inline void say(int fd, const char *text)
{
    say_n(fd, text, strlen(text));
}

/* What arrives until the text `until` (NULL: until the end), or for `ms`; the length is returned.
 */
static inline size_t hear(int fd, char *out, size_t room, const char *until, int ms)
{
    size_t n = 0;
    double end = now_s() + ms * 1e-3;
    out[0] = 0;
    while (n + 1 < room && !(until && strstr(out, until))) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int left = (int)((end - now_s()) * 1e3);
        if (left <= 0 || poll(&p, 1, left) <= 0) break;
        ssize_t got = recv(fd, out + n, room - 1 - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
        out[n] = 0;
    }
    return n;
}

/* Whether the server closes within `ms`; what arrives before is thrown away. */
static inline bool hangs_up(int fd, int ms)
{
    char waste[4096];
    double end = now_s() + ms * 1e-3;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int left = (int)((end - now_s()) * 1e3);
        if (left <= 0 || poll(&p, 1, left) <= 0) return false;
        if (recv(fd, waste, sizeof(waste), 0) <= 0) return true;
    }
}

static inline int count_of(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

/* One exchange on a connection of its own, up to its end or `until`. */
static inline const char *ask(const world *w, const char *text, const char *until)
{
    static char reply[1 << 16];
    int fd = dial(w);
    say(fd, text);
    hear(fd, reply, sizeof(reply), until, 3000);
    close(fd);
    return reply;
}

#endif
