/* Requests that wait for a decision before their body is read. */
#include "tests/test.h"

#include "tests/serve/http_world.h"

#define HEAD(method, path, more) method " " path " HTTP/1.1\r\nHost: x\r\n" more "\r\n"

static world w;

static int begin(void **state)
{
    world_start(&w, (syn_http_options){.limits.bodies_bytes_max = 100000});
    return 0;
}

static int end(void **state)
{
    w.gate = true;
    world_stop(&w);
    assert_int_equal(w.held, 0);
    return 0;
}

/* How many of `bytes` the peer's socket takes before nothing more moves for 300 ms. */
static size_t push(int fd, size_t bytes)
{
    static char block[65536];
    size_t sent = 0;
    int quiet = 0;
    while (sent < bytes && quiet < 30) {
        ssize_t n = send(fd, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
        quiet = n > 0 ? 0 : quiet + 1;
        if (n > 0)
            sent += (size_t)n;
        else
            usleep(10000);
    }
    return sent;
}

static void a_held_body_is_not_read(void **state)
{
    enum { BYTES = 64 << 20, HELD = 4 };
    char reply[1024];
    int fds[HELD];
    for (int i = 0; i < HELD; i++) {
        fds[i] = dial(&w);
        int room = 65536;
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
        say(fds[i], HEAD("POST", "/turned-away", "Content-Length: 1000000\r\n"));
        assert_true(push(fds[i], BYTES) < BYTES);
    }
    /* Nothing of these counts against the memory for bodies. */
    char *body = calloc(1, 60001);
    memset(body, 'b', 60000);
    int fd = dial(&w);
    say(fd, HEAD("POST", "/echo", "Content-Length: 60000\r\nConnection: close\r\n"));
    say(fd, body);
    hear(fd, reply, sizeof(reply), "200 OK", 3000);
    assert_has(reply, "200 OK");
    close(fd);
    free(body);
    assert_int_equal(w.held, HELD);
    w.gate = true;
    for (int i = 0; i < HELD; i++) {
        hear(fds[i], reply, sizeof(reply), "}", 3000);
        assert_has(reply, "HTTP/1.1 401 ");
        assert_has(reply, "Connection: close");
        close(fds[i]);
    }
    assert_int_equal(w.canaries, 0);
}

static void a_body_that_came_with_the_head_is_kept(void **state)
{
    static char reply[70000];
    char *body = calloc(1, 50001);
    for (int i = 0; i < 50000; i++) body[i] = (char)('a' + i % 19);
    int fd = dial(&w);
    say(fd, HEAD("POST", "/held", "Content-Length: 50000\r\n"));
    say(fd, body);
    assert_true(becomes(&w.held, 1));
    assert_int_equal(hear(fd, reply, sizeof(reply), NULL, 50), 0);
    w.gate = true;
    hear(fd, reply, sizeof(reply), body, 3000);
    assert_has(reply, "200 OK");
    assert_has(reply, body);
    free(body);
    close(fd);
}

static void requests_behind_it_keep_their_order(void **state)
{
    static char reply[8192];
    int fd = dial(&w);
    say(fd, HEAD("GET", "/later", "") HEAD("GET", "/held", "")
                HEAD("POST", "/held", "Content-Length: 3\r\n") "two" HEAD("GET", "/items/3", "")
                    HEAD("POST", "/turned-away", "Content-Length: 3\r\n") "sixGET /canary");
    hear(fd, reply, sizeof(reply), "later", 3000);
    assert_lacks(reply, "healthy");
    assert_int_equal(w.held, 1);
    w.gate = true;
    hear(fd, reply, sizeof(reply), NULL, 3000);
    const char *one = strstr(reply, "healthy"), *two = strstr(reply, "two");
    const char *three = strstr(reply, "[3]"), *refused = strstr(reply, "HTTP/1.1 401 ");
    assert_true(one && two && three && refused);
    assert_true(one < two && two < three && three < refused);
    assert_int_equal(w.canaries, 0);
    close(fd);
}

static void a_body_is_asked_for_once_it_is_wanted(void **state)
{
    char reply[1024];
    int fd = dial(&w), away = dial(&w);
    say(fd, HEAD("POST", "/held", "Expect: 100-continue\r\nContent-Length: 5\r\n"));
    say(away, HEAD("POST", "/turned-away", "Expect: 100-continue\r\nContent-Length: 5\r\n"));
    assert_true(becomes(&w.held, 2));
    assert_int_equal(hear(fd, reply, sizeof(reply), NULL, 50), 0);
    w.gate = true;
    hear(fd, reply, sizeof(reply), "\r\n\r\n", 2000);
    assert_string_equal(reply, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "hello");
    hear(fd, reply, sizeof(reply), "hello", 2000);
    assert_has(reply, "200 OK");
    hear(away, reply, sizeof(reply), "}", 2000);
    assert_has(reply, "HTTP/1.1 401 ");
    assert_lacks(reply, "100 Continue");
    close(fd);
    close(away);
}

/* The wait is not the peer's: its own time for the body begins behind it. */
static void chunks_and_slow_peers_are_as_ever(void **state)
{
    char reply[1024];
    int fd = dial(&w);
    say(fd, HEAD("POST", "/held", "Transfer-Encoding: chunked\r\n") "2\r\nab\r\n");
    assert_true(becomes(&w.held, 1));
    w.gate = true;
    assert_true(becomes(&w.held, 0));
    say(fd, "3\r\ncde\r\n0\r\n\r\n" HEAD("GET", "/health", "Connection: close\r\n"));
    hear(fd, reply, sizeof(reply), NULL, 3000);
    assert_has(reply, "abcde");
    assert_has(reply, "healthy");
    close(fd);
}

static void a_peer_that_leaves_is_let_go(void **state)
{
    int fds[3], before = w.accesses;
    for (int i = 0; i < 3; i++) fds[i] = dial(&w);
    say(fds[0], HEAD("POST", "/held", "Content-Length: 5\r\n") "he");
    say(fds[1], HEAD("POST", "/turned-away", "Content-Length: 5\r\n") "hello");
    say(fds[2], HEAD("GET", "/held", ""));
    assert_true(becomes(&w.held, 3));
    for (int i = 0; i < 3; i++) close(fds[i]);
    for (int i = 0; i < 100 && syn_http_connections(w.server) > 0; i++) usleep(20000);
    assert_int_equal(syn_http_connections(w.server), 0);
    assert_int_equal(w.accesses, before);
    w.gate = true;
    assert_true(becomes(&w.accesses, before + 3));
    assert_int_equal(w.canaries, 0);
}

static void a_drain_waits_for_the_decision(void **state)
{
    char reply[1024];
    int fd = dial(&w), gone = dial(&w);
    say(fd, HEAD("POST", "/held", "Content-Length: 5\r\n") "hello");
    say(gone, HEAD("POST", "/held", "Content-Length: 5\r\n") "hel");
    assert_true(becomes(&w.held, 2));
    syn_http_drain(w.server, 700);
    usleep(50000);
    w.gate = true;
    hear(fd, reply, sizeof(reply), NULL, 2000);
    assert_has(reply, "200 OK");
    assert_has(reply, "Connection: close");
    close(fd);
    assert_true(hangs_up(gone, 2000));
    close(gone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_held_body_is_not_read, begin, end),
        cmocka_unit_test_setup_teardown(a_body_that_came_with_the_head_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(requests_behind_it_keep_their_order, begin, end),
        cmocka_unit_test_setup_teardown(a_body_is_asked_for_once_it_is_wanted, begin, end),
        cmocka_unit_test_setup_teardown(chunks_and_slow_peers_are_as_ever, begin, end),
        cmocka_unit_test_setup_teardown(a_peer_that_leaves_is_let_go, begin, end),
        cmocka_unit_test_setup_teardown(a_drain_waits_for_the_decision, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
