/* Caps, deadlines, the memory of idle connections, drains, several loops on one port. */
#include "tests/test.h"

#include <signal.h>
#include <sys/resource.h>

#include "tests/serve/http_world.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static world w;

/* Sends a head of `count` headers with values of `bytes`; returns the reply. */
static const char *ask_with_headers(int count, int bytes)
{
    static char request[1 << 20];
    size_t n = (size_t)sprintf(request, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    for (int i = 0; i < count; i++) {
        n += (size_t)sprintf(request + n, "X-%d: ", i);
        memset(request + n, 'v', (size_t)bytes);
        n += (size_t)bytes;
        n += (size_t)sprintf(request + n, "\r\n");
    }
    sprintf(request + n, "\r\n");
    return ask(&w, request, NULL);
}

static void caps_are_answered(void **state)
{
    static char request[1 << 20];
    world_start(&w, (syn_http_options){0});
    assert_has(ask_with_headers(98, 100), "200 OK");
    assert_has(ask_with_headers(99, 100), "HTTP/1.1 431 ");
    assert_has(ask_with_headers(1, 16000), "200 OK");
    assert_has(ask_with_headers(1, 16384), "HTTP/1.1 431 ");
    assert_has(ask_with_headers(1, 900000), "HTTP/1.1 431 ");
    memset(request, 'p', 900000);
    memcpy(request, "GET /", 5);
    strcpy(request + 900000, " HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(ask(&w, request, NULL), "HTTP/1.1 414 ");
    strcpy(request + 8000, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_has(ask(&w, request, NULL), "HTTP/1.1 404 ");
    assert_has(ask(&w, "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n", NULL),
               "HTTP/1.1 413 ");
    assert_has(ask(&w, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", NULL),
               "HTTP/1.1 413 ");
    assert_has(ask(&w,
                   "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n",
                   NULL),
               "HTTP/1.1 413 ");
    assert_has(ask(&w,
                   "POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "9\r\n123456789\r\n9\r\n123456789\r\n0\r\n\r\n",
                   NULL),
               "HTTP/1.1 413 ");
    world_stop(&w);
}

/* Three megabytes of chunks of one byte, endless zeros of a size, endless extensions and trailers.
 */
static void framing_without_data_is_capped(void **state)
{
    enum { BYTES = 3 << 20 };
    static const char *const heads[] = {"", "", "1;x=", "0\r\nX-T: "};
    static const char *const parts[] = {"1\r\nX\r\n", "0", "e", "t"};
    static const int statuses[] = {413, 400, 400, 400};
    static char reply[4096], body[BYTES + 16];
    world_start(&w, (syn_http_options){0});
    for (int i = 0; i < 4; i++) {
        size_t n = (size_t)sprintf(body, "%s", heads[i]), part = strlen(parts[i]);
        while (n + part <= BYTES) {
            memcpy(body + n, parts[i], part);
            n += part;
        }
        int fd = dial(&w);
        say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        say_n(fd, body, n);
        hear(fd, reply, sizeof(reply), "}", 3000);
        char line[32];
        snprintf(line, sizeof(line), "HTTP/1.1 %d ", statuses[i]);
        assert_has(reply, line);
        close(fd);
    }
    world_stop(&w);
}

static void bodies_of_all_requests_have_one_ceiling(void **state)
{
    char reply[4096], part[5000];
    memset(part, 'x', sizeof(part));
    world_start(&w, (syn_http_options){.limits.bodies_bytes_max = 20000});
    int held[3];
    for (int i = 0; i < 3; i++) {
        held[i] = dial(&w);
        say(held[i], "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n");
        say_n(held[i], part, sizeof(part));
        usleep(20000);
    }
    hear(held[2], reply, sizeof(reply), "}", 2000);
    assert_has(reply, "HTTP/1.1 503 ");
    for (int i = 0; i < 3; i++) close(held[i]);
    usleep(50000);
    assert_has(ask(&w,
                   "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n"
                   "\r\nfour",
                   NULL),
               "four");
    world_stop(&w);
}

static void connections_are_capped(void **state)
{
    char reply[1024];
    world_start(&w, (syn_http_options){.limits.connections_max = 3});
    int fds[3];
    for (int i = 0; i < 3; i++) fds[i] = dial(&w);
    for (int i = 0; i < 3; i++) {
        say(fds[i], GET("/health"));
        hear(fds[i], reply, sizeof(reply), "healthy", 2000);
        assert_has(reply, "200 OK");
    }
    assert_has(ask(&w, GET("/health"), NULL), "HTTP/1.1 503 ");
    for (int i = 0; i < 3; i++) close(fds[i]);
    usleep(50000);
    assert_has(ask(&w, GET("/health"), "healthy"), "200 OK");
    world_stop(&w);
}

static void slow_peers_are_cut(void **state)
{
    char reply[1024];
    world_start(&w, (syn_http_options){.limits = {.header_timeout_ms = 600,
                                                  .body_grace_ms = 600,
                                                  .body_bytes_per_s_min = 500,
                                                  .idle_timeout_ms = 600}});
    int silent = dial(&w), head = dial(&w), body = dial(&w), fast = dial(&w), idle = dial(&w);
    say(head, "GET /health HTTP/1.1\r\nX-Drip: ");
    say(body, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n");
    say(fast, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n");
    say(idle, GET("/health"));
    double begin = now_s();
    char block[101];
    memset(block, 'x', 100);
    block[100] = 0;
    for (int i = 0; i < 20; i++) { /* one second: 10 bytes/s each, and 2000 */
        say(head, "x");
        say(body, "x");
        say(fast, block);
        usleep(50000);
    }
    hear(head, reply, sizeof(reply), "}", 1000);
    assert_has(reply, "HTTP/1.1 408 ");
    hear(body, reply, sizeof(reply), "}", 1000);
    assert_has(reply, "HTTP/1.1 408 ");
    hear(fast, reply, sizeof(reply), "xxx", 1000);
    assert_has(reply, "200 OK");
    assert_true(hangs_up(silent, 1000));
    assert_true(hangs_up(idle, 1000));
    assert_true(now_s() - begin < 2.5);
    close(silent), close(head), close(body), close(fast), close(idle);
    world_stop(&w);
}

/* A reader that takes nothing is cut, and what it asked for is cancelled. */
static void readers_that_stopped_are_cut(void **state)
{
    world_start(&w, (syn_http_options){.limits.write_timeout_ms = 500});
    int fd = dial(&w);
    say(fd, GET("/flood"));
    assert_true(becomes(&w.cancelled, 1));
    assert_int_equal(w.running, 0);
    close(fd);
    world_stop(&w);
}

static void half_open_connections_block_nobody(void **state)
{
    enum { COUNT = 1500 };
    static int fds[COUNT];
    world_start(&w, (syn_http_options){0});
    for (int i = 0; i < COUNT; i++) {
        fds[i] = dial(&w);
        say(fds[i], "GET /health HTT");
    }
    double begin = now_s();
    assert_has(ask(&w, GET("/health"), "healthy"), "200 OK");
    assert_true(now_s() - begin < 0.5);
    for (int i = 0; i < COUNT; i++) close(fds[i]);
    world_stop(&w);
}

static long resident_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*s %ld", &pages) != 1) pages = -1;
    if (f) fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static int open_files(void)
{
    int n = 0;
    for (int fd = 0; fd < 20000; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void idle_streams_are_cheap_and_leave_nothing(void **state)
{
    enum { COUNT = 4000 };
    static int fds[COUNT];
    char reply[512];
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < 2 * COUNT + 100) skip();
    world_start(&w, (syn_http_options){0});
    assert_has(ask(&w, GET("/health"), "healthy"), "200 OK");
    int files_before = open_files();
    long before = resident_bytes();
    for (int i = 0; i < COUNT; i++) {
        fds[i] = dial(&w);
        say(fds[i], "GET /hold HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: test/1.0\r\n"
                    "Accept: text/event-stream\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n");
        hear(fds[i], reply, sizeof(reply), ": ping", 2000);
    }
    assert_true(becomes(&w.running, COUNT));
    long each = (resident_bytes() - before) / COUNT;
    print_message("%ld bytes per idle stream\n", each);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(each < 4096);
#endif
    for (int i = 0; i < COUNT; i++) close(fds[i]);
    assert_true(becomes(&w.cancelled, COUNT));
    for (double end = now_s() + 2; open_files() > files_before && now_s() < end;) usleep(10000);
    assert_true(open_files() <= files_before);
    world_stop(&w);
}

static void a_drain_finishes_what_runs(void **state)
{
    char reply[1024];
    world_start(&w, (syn_http_options){0});
    int idle = dial(&w), busy = dial(&w);
    say(idle, GET("/health"));
    hear(idle, reply, sizeof(reply), "healthy", 2000);
    say(busy, GET("/later"));
    usleep(20000);
    syn_http_drain(w.server, 3000);
    hear(busy, reply, sizeof(reply), "later", 2000);
    assert_has(reply, "Connection: close\r\n");
    assert_has(reply, "later");
    assert_true(hangs_up(idle, 1000));
    assert_true(hangs_up(busy, 1000));
    close(idle), close(busy);
    double begin = now_s();
    pthread_join(w.thread, NULL);
    assert_true(now_s() - begin < 1);
    syn_http_destroy(w.server);
}

static void a_drain_has_a_deadline(void **state)
{
    world_start(&w, (syn_http_options){0});
    int fd = dial(&w);
    say(fd, GET("/wait"));
    assert_true(becomes(&w.running, 1));
    double begin = now_s();
    syn_http_drain(w.server, 300);
    pthread_join(w.thread, NULL);
    assert_true(now_s() - begin >= 0.25 && now_s() - begin < 1.5);
    assert_int_equal(w.cancelled, 1);
    syn_http_destroy(w.server);
    close(fd);
}

static void a_signal_drains_every_loop(void **state)
{
    world other;
    world_start(&w, (syn_http_options){.drain_on_signals = true});
    world_start(&other, (syn_http_options){.drain_on_signals = true, .port = w.port});
    assert_int_equal(other.port, w.port);
    for (int i = 0; i < 64; i++) assert_has(ask(&w, GET("/health"), "healthy"), "200 OK");
    assert_true(becomes(&w.accesses, 64 - other.accesses)); /* nothing is lost between the two */
    assert_true(w.accesses > 0 && other.accesses > 0);
    kill(getpid(), SIGTERM);
    pthread_join(w.thread, NULL);
    pthread_join(other.thread, NULL);
    syn_http_destroy(w.server);
    syn_http_destroy(other.server);
}

static void bad_settings_are_named(void **state)
{
    syn_http_server *s;
    syn_http_route route = {SYN_HTTP_GET, "no-slash", on_health, 0, false, NULL};
    syn_http_options o = {.routes = &route, .route_count = 1};
    assert_int_equal(syn_http_create(&s, &o), SYN_ERR_INVALID);
    assert_has(syn_error_text(), "no-slash");
    route.pattern = "/a/{b+}/c";
    assert_int_equal(syn_http_create(&s, &o), SYN_ERR_INVALID);
    route.pattern = "/a";
    o.host = "localhost";
    assert_int_equal(syn_http_create(&s, &o), SYN_ERR_INVALID);
    assert_has(syn_error_text(), "localhost");
    o.host = "192.0.2.1";
    assert_int_equal(syn_http_create(&s, &o), SYN_ERR_NETWORK);
    assert_has(syn_error_text(), "192.0.2.1");
    assert_null(s);
    o.host = "::1";
    if (syn_http_create(&s, &o) == SYN_OK) syn_http_destroy(s); /* where there is IPv6 */
}

/* Not a bound, a figure: requests per second of one connection, 16 in flight. */
static void pipelining_is_fast(void **state)
{
    enum { ROUNDS = 2000, DEPTH = 16 };
    static char batch[4096], reply[1 << 16];
    world_start(&w, (syn_http_options){0});
    for (int i = 0; i < DEPTH; i++) strcat(batch, GET("/health"));
    int fd = dial(&w);
    double begin = now_s();
    for (int i = 0; i < ROUNDS; i++) {
        size_t got = 0;
        int answers = 0;
        say(fd, batch);
        while (answers < DEPTH) {
            ssize_t n = recv(fd, reply + got, sizeof(reply) - 1 - got, 0);
            if (n <= 0) fail_msg("closed");
            got += (size_t)n;
            reply[got] = 0;
            answers = count_of(reply, "healthy");
        }
    }
    print_message("%.0f requests/s\n", ROUNDS * DEPTH / (now_s() - begin));
    close(fd);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caps_are_answered),
        cmocka_unit_test(framing_without_data_is_capped),
        cmocka_unit_test(bodies_of_all_requests_have_one_ceiling),
        cmocka_unit_test(connections_are_capped),
        cmocka_unit_test(slow_peers_are_cut),
        cmocka_unit_test(readers_that_stopped_are_cut),
        cmocka_unit_test(half_open_connections_block_nobody),
        cmocka_unit_test(idle_streams_are_cheap_and_leave_nothing),
        cmocka_unit_test(a_drain_finishes_what_runs),
        cmocka_unit_test(a_drain_has_a_deadline),
        cmocka_unit_test(a_signal_drains_every_loop),
        cmocka_unit_test(bad_settings_are_named),
        cmocka_unit_test(pipelining_is_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
