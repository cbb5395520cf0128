/* Requests and answers: routes, order, streams, other threads, CORS, and the caller's hooks. */
#include "tests/test.h"

#include "tests/serve/http_world.h"

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define LAST(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static world w;

static void a_connection_serves_many_requests(void **state)
{
    char reply[4096];
    int fd = dial(&w);
    for (int i = 0; i < 50; i++) {
        say(fd, GET("/health"));
        hear(fd, reply, sizeof(reply), "healthy\"}", 2000);
        assert_has(reply, "HTTP/1.1 200 OK\r\nDate: ");
        assert_has(reply, " GMT\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n");
        assert_lacks(reply, "Connection:");
    }
    close(fd);
}

static void pipelined_answers_keep_their_order(void **state)
{
    const char *reply = ask(&w,
                            GET("/later") GET("/items/1") GET("/stream") GET("/later")
                                GET("/nothing") LAST("/items/2"),
                            NULL);
    const char *slow = strstr(reply, "later"), *one = strstr(reply, "[1]");
    const char *three = strstr(reply, "three"), *missing = strstr(reply, "NotFound");
    const char *two = strstr(reply, "[2]");
    assert_true(slow && one && three && missing && two);
    assert_true(slow < one && one < three && three < missing && missing < two);
    assert_int_equal(count_of(reply, "HTTP/1.1 "), 6);
}

/* A request with an effect waits for those before it; one of a parallel route does not. */
static void effects_happen_in_order(void **state)
{
    char reply[4096];
    w.cancelled = 0;
    int fd = dial(&w);
    say(fd, GET("/wait") "POST /canary HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_true(becomes(&w.running, 1));
    assert_int_equal(hear(fd, reply, sizeof(reply), NULL, 100), 0);
    assert_int_equal(w.canaries, 0);
    close(fd);
    assert_true(becomes(&w.cancelled, 1));
    fd = dial(&w);
    say(fd, GET("/wait") "POST /parallel HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_true(becomes(&w.running, 2));
    close(fd);
    assert_true(becomes(&w.cancelled, 3));
    fd = dial(&w);
    say(fd, "POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" GET("/wait"));
    assert_true(becomes(&w.running, 1));
    usleep(50000);
    assert_int_equal(w.running, 1);
    close(fd);
    assert_true(becomes(&w.cancelled, 4));
    assert_int_equal(w.running, 0);
    assert_int_equal(w.canaries, 0);
}

static void bodies_arrive_whole(void **state)
{
    enum { BYTES = 600000 };
    char *sent = malloc(BYTES + 1), *reply = malloc(BYTES + 1000), head[128];
    for (int i = 0; i < BYTES; i++) sent[i] = (char)('a' + i % 23);
    memcpy(sent + BYTES - 4, "END!", 5);
    int fd = dial(&w);
    snprintf(head, sizeof(head), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
             BYTES);
    say(fd, head);
    say_n(fd, sent, BYTES);
    hear(fd, reply, BYTES + 1000, "END!", 5000);
    assert_non_null(strstr(reply, sent));
    close(fd);

    fd = dial(&w);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: "
            "chunked\r\n\r\n");
    for (int at = 0; at < BYTES; at += 60000) {
        say(fd, "ea60\r\n");
        say_n(fd, sent + at, 60000);
        say(fd, "\r\n");
    }
    say(fd, "0\r\n\r\n");
    hear(fd, reply, BYTES + 1000, NULL, 5000);
    assert_non_null(strstr(reply, sent));
    close(fd);
    free(sent);
    free(reply);
}

static void paths_are_matched_and_decoded(void **state)
{
    assert_has(ask(&w, LAST("/items/a%2Fb%20c?q=1%262+3&q=9"), NULL), "[a/b c] [] q=5:1&2 3");
    assert_has(ask(&w, LAST("/items/7/parts/9?x=1"), NULL), "[7] [9] q=-1:");
    assert_has(ask(&w, LAST("/files/a/b/c.txt"), NULL), "[a/b/c.txt]");
    assert_has(ask(&w, LAST("/items/1?q=%zz"), NULL), "q=-2:");
    assert_has(ask(&w, LAST("/items/1?q=abcdefghijklmnopqrstuvwxyz01234567890"), NULL), "q=-2:");
    static const char *const bad[] = {
        LAST("/items/%00"), LAST("/items/%0d%0ax"),   LAST("/items/%2e%2e"),
        LAST("/items/.."),  LAST("/files/../secret"), LAST("/files/a/../b"),
        LAST("/items/%4"),  LAST("/items/a%"),        LAST("/files/..%2fsecret")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_has(ask(&w, bad[i], NULL), "HTTP/1.1 400 ");
    static const char *const unknown[] = {LAST("/Health"),   LAST("//health"), LAST("/health/"),
                                          LAST("/items/"),   LAST("/items"),   LAST("/%68ealth"),
                                          LAST("/items/1/"), LAST("/"),        LAST("/health%00")};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_has(ask(&w, unknown[i], NULL), "HTTP/1.1 404 Not Found");
}

static void methods_are_kept_apart(void **state)
{
    const char *reply =
        ask(&w, "PUT /canary HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
    assert_has(reply, "HTTP/1.1 405 Method Not Allowed");
    assert_has(reply, "Allow: GET, HEAD, POST, OPTIONS\r\n");
    assert_has(reply, "{\"error\": \"MethodNotAllowed\", \"detail\": \"This path takes GET, HEAD,");
    reply = ask(&w, "HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n" LAST("/health"), NULL);
    assert_int_equal(count_of(reply, "Content-Length: 20\r\n"), 2);
    assert_int_equal(count_of(reply, "healthy"), 1);
    reply = ask(&w, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n" LAST("/health"), NULL);
    assert_lacks(reply, "one");
    assert_has(reply, "healthy");
    reply = ask(&w, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
    assert_has(reply, "HTTP/1.1 204 No Content");
}

static void other_origins_read_only_what_the_hook_allows(void **state)
{
    const char *reply = ask(&w,
                            "OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://good.example\r\n"
                            "Access-Control-Request-Method: POST\r\nConnection: close\r\n\r\n",
                            NULL);
    assert_has(reply, "Access-Control-Allow-Origin: https://good.example\r\n");
    assert_has(reply, "Access-Control-Allow-Methods: POST, OPTIONS\r\n");
    assert_has(reply, "Vary: Origin\r\n");
    reply = ask(&w,
                "GET /health HTTP/1.1\r\nHost: x\r\nOrigin: https://bad.example\r\n"
                "Connection: close\r\n\r\n",
                NULL);
    assert_has(reply, "200 OK");
    assert_lacks(reply, "Access-Control");
}

/* What a page with OpenAI's SDK asks for before its request. */
static void a_page_may_send_what_the_sdks_send(void **state)
{
    const char *reply =
        ask(&w,
            "OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://good.example\r\n"
            "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: "
            "authorization,content-type,openai-organization,user-agent,x-secret,x-stainless-arch,"
            "x-stainless-,x-stainless-a:b, x-stainless-retry-count\r\nConnection: close\r\n\r\n",
            NULL);
    const char *line = strstr(reply, "Access-Control-Allow-Headers: ");
    assert_non_null(line);
    const char *names[] = {"Authorization, ", "Content-Type, ", "OpenAI-Organization, ",
                           "User-Agent, ", "Inference-Header-Content-Length, "};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) assert_has(line, names[k]);
    assert_has(line, ", tracestate, x-stainless-arch, x-stainless-retry-count\r\n");
    assert_lacks(reply, "x-secret");
    char flood[6000] = "OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://good.example\r\n"
                       "Access-Control-Request-Method: POST\r\nConnection: close\r\n"
                       "Access-Control-Request-Headers: x";
    for (int k = 0; k < 200; k++) sprintf(flood + strlen(flood), ",x-stainless-number-%d", k);
    reply = ask(&w, strcat(flood, "\r\n\r\n"), NULL);
    assert_has(reply, "204 No Content");
    line = strstr(reply, "Access-Control-Allow-Headers: ");
    assert_in_range(strcspn(line, "\r"), 900, 1100);
}

static void a_body_is_asked_for(void **state)
{
    char reply[4096];
    int fd = dial(&w);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    hear(fd, reply, sizeof(reply), "\r\n\r\n", 2000);
    assert_string_equal(reply, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "hello");
    hear(fd, reply, sizeof(reply), "hello", 2000);
    assert_has(reply, "HTTP/1.1 200 OK");
    close(fd);
    reply[0] = 0;
    const char *refused = ask(
        &w, "POST /secret HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        NULL);
    assert_has(refused, "HTTP/1.1 401 ");
    assert_lacks(refused, "100 Continue");
}

static void a_stream_is_chunked(void **state)
{
    const char *reply = ask(&w, GET("/stream") LAST("/health"), NULL);
    assert_has(reply, "Transfer-Encoding: chunked\r\n");
    assert_has(reply, "\r\n\r\n4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\nHTTP/1.1 200 OK");
    reply = ask(&w, "GET /stream HTTP/1.0\r\n\r\n", NULL);
    assert_has(reply, "\r\n\r\none two three");
    assert_has(reply, "Connection: close\r\n");
    assert_lacks(reply, "chunked");
    /* One that failed has no last chunk. */
    reply = ask(&w, GET("/abort") LAST("/canary"), NULL);
    assert_lacks(reply, "0\r\n\r\n");
    assert_lacks(reply, "canary");
}

static void http_1_0_closes_unless_asked(void **state)
{
    const char *reply = ask(&w, "GET /health HTTP/1.0\r\n\r\nGET /canary HTTP/1.0\r\n\r\n", NULL);
    assert_int_equal(count_of(reply, "HTTP/1.1 "), 1);
    reply = ask(&w,
                "GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                "GET /health HTTP/1.0\r\n\r\n",
                NULL);
    assert_int_equal(count_of(reply, "HTTP/1.1 200"), 2);
    assert_int_equal(count_of(reply, "Connection: keep-alive"), 1);
}

static void requests_have_names(void **state)
{
    const char *reply = ask(&w,
                            "GET /who HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc-1.2_3\r\n"
                            "Connection: close\r\n\r\n",
                            NULL);
    assert_has(reply, "X-Request-Id: abc-1.2_3\r\n");
    assert_has(reply, "127.0.0.1 abc-1.2_3");
    reply =
        ask(&w, "GET /who HTTP/1.1\r\nHost: x\r\nX-Request-Id: a{b}\r\nConnection: close\r\n\r\n",
            NULL);
    assert_lacks(reply, "a{b}");
}

static void a_reply_cannot_be_split(void **state)
{
    const char *reply = ask(&w, LAST("/bad-header"), NULL);
    assert_has(reply, "HTTP/1.1 500 ");
    assert_has(reply, "\"error_id\": \"");
    assert_lacks(reply, "X-Injected");
}

static void each_request_is_told_to_the_access_hook(void **state)
{
    int before = w.accesses;
    ask(&w, GET("/health") GET("/nothing") LAST("/later"), NULL);
    assert_true(becomes(&w.accesses, before + 3));
    assert_int_equal(w.last_status, 200);
    ask(&w, "BREW / HTTP/1.1\r\n\r\n", NULL);
    assert_true(becomes(&w.accesses, before + 4));
    assert_int_equal(w.last_status, 501);
}

static void a_peer_that_leaves_cancels_its_requests(void **state)
{
    static const char *const paths[] = {GET("/wait"), GET("/hold"), GET("/wait") GET("/health")};
    for (int i = 0; i < 6; i++) {
        w.cancelled = 0;
        const int before = w.accesses;
        int fd = dial(&w);
        say(fd, paths[i / 2]);
        assert_true(becomes(&w.running, 1));
        double begin = now_s();
        if (i % 2)
            shutdown(fd, SHUT_WR);
        else
            close(fd);
        assert_true(becomes(&w.cancelled, 1));
        assert_true(now_s() - begin < 1);
        if (i < 2) { /* what its handler says then is no answer */
            assert_true(becomes(&w.accesses, before + 1));
            assert_int_equal(w.last_status, 499);
        }
        if (i % 2) close(fd);
    }
    assert_int_equal(w.running, 0);
}

/* Input that waits behind unanswered requests hides the peer's end from a reader. */
static void a_peer_that_leaves_behind_unread_input_is_noticed(void **state)
{
    w.cancelled = 0;
    int fd = dial(&w);
    say(fd, GET("/wait") "POST /canary HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    for (int i = 0; i < 2000; i++) say(fd, GET("/canary"));
    assert_true(becomes(&w.running, 1));
    double begin = now_s();
    close(fd);
    assert_true(becomes(&w.cancelled, 1));
    assert_true(now_s() - begin < 1);
    assert_int_equal(w.canaries, 0);
}

static void a_slow_reader_holds_the_writer_back(void **state)
{
    int fd = dial(&w);
    say(fd, "GET /flood HTTP/1.0\r\n\r\n");
    usleep(300000);
    assert_true(w.flooded > 0);
    assert_true(w.flooded < 16 << 20); /* what the kernel takes, and 256 KiB */
    static char waste[1 << 16];
    long long got = 0;
    for (ssize_t n; (n = recv(fd, waste, sizeof(waste), 0)) > 0;) got += n;
    close(fd);
    assert_true(w.flooded >= 20 << 20);
    assert_true(got > w.flooded);
    assert_int_equal(w.running, 0);
}

static int start(void **state)
{
    world_start(&w, (syn_http_options){0});
    return 0;
}

static int stop(void **state)
{
    world_stop(&w);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_serves_many_requests),
        cmocka_unit_test(pipelined_answers_keep_their_order),
        cmocka_unit_test(effects_happen_in_order),
        cmocka_unit_test(bodies_arrive_whole),
        cmocka_unit_test(paths_are_matched_and_decoded),
        cmocka_unit_test(methods_are_kept_apart),
        cmocka_unit_test(other_origins_read_only_what_the_hook_allows),
        cmocka_unit_test(a_page_may_send_what_the_sdks_send),
        cmocka_unit_test(a_body_is_asked_for),
        cmocka_unit_test(a_stream_is_chunked),
        cmocka_unit_test(http_1_0_closes_unless_asked),
        cmocka_unit_test(requests_have_names),
        cmocka_unit_test(a_reply_cannot_be_split),
        cmocka_unit_test(each_request_is_told_to_the_access_hook),
        cmocka_unit_test(a_peer_that_leaves_cancels_its_requests),
        cmocka_unit_test(a_peer_that_leaves_behind_unread_input_is_noticed),
        cmocka_unit_test(a_slow_reader_holds_the_writer_back),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
