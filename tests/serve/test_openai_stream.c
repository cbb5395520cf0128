/* /v1 streamed, over the direct path: events, errors on the way, peers that leave or read slowly.
 */
#include "tests/serve/openai_world.h"

#define PARIS                                                                                      \
    DELTA("{\"role\":\"assistant\",\"content\":\"\"}", "null")                                     \
    DELTA("{\"content\":\"Par\"}", "null") DELTA("{\"content\":\"is.\"}", "null") STREAM_END
#define STREAMED ASK("custom:test-model", ",\"stream\":true")
#define STREAMED_USAGE                                                                             \
    ASK("custom:test-model", ",\"stream\":true,\"stream_options\":{\"include_usage\":true}")

static void a_stream_tells_role_content_finish_and_done(void **state)
{
    chat_world w;
    chat_world_of(&w, (fake_step){.mode = FAKE_STREAM, .body = PARIS});
    svc_reply r = chat(&w, STREAMED);
    assert_int_equal(r.status, 200);
    assert_string_equal(svc_header(&r, "Content-Type"), "text/event-stream");
    assert_string_equal(svc_header(&r, "Cache-Control"), "no-cache");
    assert_string_equal(svc_header(&r, "X-Accel-Buffering"), "no");
    heard *h = hear_all(r.body, false);
    assert_non_null(strstr(h->first, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"}"));
    assert_non_null(strstr(h->first, "\"model\":\"custom:test-model\""));
    assert_string_equal(h->content, "Paris.");
    assert_string_equal(h->finish, "stop");
    assert_int_equal(h->chunks, 4);
    assert_null(h->usage);
    assert_true(h->done);
    forget_heard(h);
    svc_forget(&r);
    chat_end(&w);
}

static void usage_comes_last_where_it_is_asked_for(void **state)
{
    chat_world w;
    chat_world_of(&w, (fake_step){.mode = FAKE_STREAM, .body = PARIS});
    svc_reply r = chat(&w, STREAMED_USAGE);
    heard *h = hear_all(r.body, true);
    assert_int_equal(h->chunks, 5);
    assert_int_equal(number(h->usage, "prompt_tokens"), 9);
    assert_int_equal(number(h->usage, "total_tokens"), 12);
    assert_non_null(strstr(r.body, "\"choices\":[],\"usage\":{"));
    forget_heard(h);
    svc_forget(&r);
    chat_end(&w);
}

static void tool_calls_and_reasoning_come_through(void **state)
{
    chat_world w;
    chat_world_of(
        &w, (fake_step){
                .mode = FAKE_STREAM,
                .body = DELTA("{\"reasoning_content\":\"Hm.\"}", "null") DELTA(
                    "{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\","
                    "\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}",
                    "null")
                    DELTA("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]}",
                          "null") DELTA("{}", "\"tool_calls\"") "data: [DONE]\n\n"});
    svc_reply r = chat(&w, STREAMED);
    heard *h = hear_all(r.body, false);
    assert_string_equal(h->reasoning, "Hm.");
    assert_string_equal(h->finish, "tool_calls");
    assert_string_equal(h->content, "");
    assert_int_equal(json_array_size(h->tool_calls), 2);
    assert_string_equal(text_in(json_array_get(h->tool_calls, 0), "id"), "c1");
    assert_true(h->done);
    forget_heard(h);
    svc_forget(&r);
    chat_end(&w);
}

static void a_provider_that_answers_whole_is_streamed_all_the_same(void **state)
{
    chat_world w;
    chat_world_of(&w, (fake_step){.body = GOOD});
    svc_reply r = chat(&w, STREAMED);
    heard *h = hear_all(r.body, false);
    assert_string_equal(h->content, "Paris.");
    assert_string_equal(h->finish, "stop");
    assert_true(h->done);
    forget_heard(h);
    svc_forget(&r);
    chat_end(&w);
}

static void what_needs_escapes_arrives_as_it_was(void **state)
{
    chat_world w;
    chat_world_of(
        &w,
        (fake_step){.mode = FAKE_STREAM,
                    .slice = 3,
                    .body = DELTA("{\"content\":\"a\\n\\ndata: \\\"\\u00e9\\ud83d\\ude00\\u2028\"}",
                                  "null") STREAM_END});
    svc_reply r = chat(&w, STREAMED);
    heard *h = hear_all(r.body, false);
    assert_string_equal(h->content, "a\n\ndata: \"\xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xa8");
    forget_heard(h);
    svc_forget(&r);
    chat_end(&w);
}

/* ---- failures ---- */

static void a_failure_before_the_first_delta_is_an_ordinary_reply(void **state)
{
    chat_world w;
    chat_world_of(&w, (fake_step){.status = 400, .body = "{}"});
    svc_reply r = chat(&w, STREAMED);
    assert_int_equal(r.status, 400);
    assert_string_equal(svc_header(&r, "Content-Type"), "application/json");
    assert_string_equal(svc_text(&r, "error.type"), "invalid_request_error");
    svc_forget(&r);
    chat_end(&w);
}

static void a_failure_on_the_way_is_an_error_event_without_done(void **state)
{
    static const fake_step steps[] = {
        {.mode = FAKE_STREAM,
         .body = DELTA("{\"content\":\"Par\"}", "null"),
         .then = FAKE_THEN_CLOSE},
        {.mode = FAKE_STREAM,
         .body = DELTA("{\"content\":\"Par\"}", "null"),
         .then = FAKE_THEN_RESET},
        {.mode = FAKE_STREAM,
         .body = DELTA("{\"content\":\"Par\"}", "null") "data: {\"error\":{\"message\":\"SECRET\","
                                                        "\"code\":529}}\n\n"},
        {.mode = FAKE_STREAM, .body = DELTA("{\"content\":\"Par\"}", "null")},
    };
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        chat_world w;
        chat_world_of(&w, steps[k]);
        svc_reply r = chat_with(&w, "Idempotency-Key: k\r\n", STREAMED);
        assert_int_equal(r.status, 200);
        heard *h = hear_all(r.body, false);
        assert_string_equal(h->content, "Par");
        assert_true(strlen(h->error) > 10);
        assert_false(h->done);
        assert_null(strstr(r.body, "SECRET"));
        forget_heard(h);
        svc_forget(&r);
        json_t *record = chat_record(&w);
        assert_string_equal(text_in(record, "final_answer"), "Par");
        char path[128];
        snprintf(path, sizeof path, "/api/v1/history/%s", text_in(record, "id"));
        r = svc_ask(&w.svc, "GET", path, w.key, NULL);
        assert_non_null(strstr(r.body, "\"partial\""));
        svc_forget(&r);
        json_decref(record);
        assert_int_equal(fake_requests(w.fake), 1);
        chat_end(&w);
    }
}

/* ---- peers ---- */

static int send_chat(chat_world *w, const char *body)
{
    char text[4096];
    int fd = svc_dial(&w->svc);
    int n = snprintf(text, sizeof text,
                     "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     w->key, strlen(body), body);
    svc_say(fd, text, (size_t)n);
    return fd;
}

static int vanished(chat_world *w)
{
    pthread_mutex_lock(&w->fake->lock);
    int n = w->fake->vanished;
    pthread_mutex_unlock(&w->fake->lock);
    return n;
}

static bool provider_is_left(chat_world *w)
{
    double end = svc_now_s() + 5;
    while (!vanished(w) && svc_now_s() < end) usleep(2000);
    return vanished(w) > 0;
}

static void a_peer_that_leaves_takes_the_provider_s_call_along(void **state)
{
    static const fake_step steps[] = {
        {.mode = FAKE_STALL},
        {.mode = FAKE_STREAM,
         .body = DELTA("{\"content\":\"Par\"}", "null"),
         .then = FAKE_THEN_STALL},
    };
    static const char *const bodies[] = {STREAMED, ASK("custom:test-model", "")};
    for (int k = 0; k < 4; k++) {
        chat_world w;
        chat_world_of(&w, steps[k & 1]);
        int fd = send_chat(&w, bodies[k >> 1]);
        while (fake_requests(w.fake) == 0) usleep(1000);
        usleep(50000);
        double left = svc_now_s();
        close(fd);
        assert_true(provider_is_left(&w));
        if (svc_now_s() - left > 2) fail_msg("left after %.1f s", svc_now_s() - left);
        chat_end(&w);
    }
}

/* Whole or streamed, before its connection is cut. */
static void a_service_that_stops_tells_those_who_wait(void **state)
{
    const fake_step steps[] = {{.mode = FAKE_STALL},
                               {.mode = FAKE_STREAM,
                                .body = DELTA("{\"content\":\"Par\"}", "null"),
                                .then = FAKE_THEN_STALL}};
    chat_world w;
    chat_begin(&w, "custom", steps, 2);
    w.svc.settings.drain_s = 2;
    chat_run(&w);
    int whole = send_chat(&w, ASK("custom:test-model", ""));
    while (fake_requests(w.fake) < 1) usleep(1000);
    int streamed = send_chat(&w, STREAMED);
    while (fake_requests(w.fake) < 2) usleep(1000);
    usleep(100000);
    svc_end(&w.svc);
    svc_reply r = svc_finish(whole, 30);
    assert_int_equal(r.status, 503);
    assert_string_equal(svc_text(&r, "error.message"), "The service is stopping; ask again.");
    assert_non_null(svc_header(&r, "Retry-After"));
    svc_forget(&r);
    r = svc_finish(streamed, 30);
    assert_int_equal(r.status, 200);
    heard *h = hear_all(r.body, false);
    assert_string_equal(h->content, "Par");
    assert_string_equal(h->error, "The service is stopping; ask again.");
    assert_false(h->done);
    forget_heard(h);
    svc_forget(&r);
    fake_stop(w.fake);
}

static void a_cancelled_request_frees_its_idempotency_key(void **state)
{
    fake_step steps[] = {{.mode = FAKE_STALL}, {.body = GOOD}};
    char text[1024];
    chat_world w;
    chat_begin(&w, "custom", steps, 2);
    chat_run(&w);
    const char *body = ASK("custom:test-model", "");
    int fd = svc_dial(&w.svc);
    int n = snprintf(text, sizeof text,
                     "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                     "Content-Type: application/json\r\nIdempotency-Key: k\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     w.key, strlen(body), body);
    svc_say(fd, text, (size_t)n);
    while (fake_requests(w.fake) == 0) usleep(1000);
    close(fd);
    assert_true(provider_is_left(&w));
    svc_reply r = chat_with(&w, "Idempotency-Key: k\r\n", body);
    assert_int_equal(r.status, 200);
    svc_forget(&r);
    chat_end(&w);
}

/* count events of `bytes` characters each, then the end. */
static char *large_stream(int count, int bytes)
{
    char *text = malloc((size_t)count * ((size_t)bytes + 128) + 1024), *at = text;
    for (int k = 0; k < count; k++) {
        at += sprintf(at, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"");
        memset(at, 'a' + k % 26, (size_t)bytes);
        at += bytes;
        at += sprintf(at, "\"},\"finish_reason\":null}]}\n\n");
    }
    sprintf(at, "%s", STREAM_END);
    return text;
}

/* What a reader got of an answer whose pieces are 'a', 'b' and so on. */
typedef struct reading {
    bool done, ordered;
    int64_t pieces, characters;
} reading;

/* Reads until the peer closes or says [DONE], `pause_us` between any two parts. */
static void read_slowly(int fd, int piece_bytes, int pause_us, reading *r)
{
    enum { ROOM = 32 << 20 };
    static const char mark[] = "\"content\":\"", end[] = "[DONE]\n\n\r\n";
    char *text = malloc(ROOM + 1);
    size_t bytes = 0;
    double until = svc_now_s() + 30;
    text[0] = 0;
    while (svc_now_s() < until && bytes < ROOM) {
        ssize_t got = recv(fd, text + bytes, 65536, 0);
        if (got <= 0) break;
        bytes += (size_t)got;
        text[bytes] = 0;
        if (strstr(text + (bytes > 64 ? bytes - 64 : 0), end)) break;
        usleep((unsigned)pause_us);
    }
    char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    body += 4;
    char *rest = body + svc_unchunk(body, bytes - (size_t)(body - text));
    *r = (reading){.pieces = -1, .ordered = true, .done = strstr(body, "data: [DONE]") != NULL};
    /* Line by line: a sanitizer measures the whole text in every search. */
    for (char *stop; (stop = memchr(body, '\n', (size_t)(rest - body))); body = stop + 1) {
        *stop = 0;
        const char *at = strstr(body, mark);
        if (!at || r->pieces++ < 0) continue; /* the first is the role, without text */
        const size_t n = strcspn(at += sizeof mark - 1, "\"");
        if ((int)n != piece_bytes || *at != 'a' + (r->pieces - 1) % 26) r->ordered = false;
        r->characters += (int64_t)n;
    }
    free(text);
}

/* 5.5 MB: more than the kernel keeps for a reader with a small buffer, less than the ceiling. */
static void a_slow_reader_gets_all_in_order(void **state)
{
    enum { EVENTS = 550, EVENT_BYTES = 10000 };
    char *body = large_stream(EVENTS, EVENT_BYTES);
    for (int late = 0; late < 2; late++) {
        chat_world w;
        reading r;
        int small = 32768;
        chat_world_of(
            &w,
            (fake_step){.mode = FAKE_STREAM, .body = body, .slice = 16384, .gap_ms = late ? 0 : 5});
        int fd = send_chat(&w, STREAMED);
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        usleep(late ? 1000000 : 300000);
        read_slowly(fd, EVENT_BYTES, late ? 0 : 2000, &r);
        assert_true(r.done);
        assert_true(r.ordered);
        assert_int_equal(r.characters, EVENTS * EVENT_BYTES);
        close(fd);
        chat_end(&w);
    }
    free(body);
}

/* Of /metrics, whose own request is one. */
static bool only_metrics_run(const svc *w)
{
    bool alone = false;
    for (double until = svc_now_s() + 60; !alone && svc_now_s() < until; usleep(20000)) {
        svc_reply r = svc_ask(w, "GET", "/metrics", NULL, NULL);
        alone = strstr(r.body, "syncog_requests_running 1\n") != NULL;
        svc_forget(&r);
    }
    return alone;
}

/* Sixty thousand pieces of one letter are 4.5 MB to the service and three times as much to the
 * client. */
static void a_reader_that_stops_is_cut_off(void **state)
{
    enum { ENOUGH = 60000 };
    char *body = large_stream(ENOUGH, 1);
    chat_world w;
    reading r;
    chat_world_of(&w, (fake_step){.mode = FAKE_STREAM, .body = body, .slice = 1 << 16});
    int fd = send_chat(&w, STREAMED);
    assert_true(only_metrics_run(&w.svc));
    read_slowly(fd, 1, 0, &r);
    assert_false(r.done);
    assert_true(r.ordered);
    assert_true(r.pieces > 1000 && r.pieces < ENOUGH);
    close(fd);
    svc_reply reply = svc_ask(&w.svc, "GET", "/v1/models", w.key, NULL);
    assert_int_equal(reply.status, 200);
    svc_forget(&reply);
    chat_end(&w);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_tells_role_content_finish_and_done),
        cmocka_unit_test(usage_comes_last_where_it_is_asked_for),
        cmocka_unit_test(tool_calls_and_reasoning_come_through),
        cmocka_unit_test(a_provider_that_answers_whole_is_streamed_all_the_same),
        cmocka_unit_test(what_needs_escapes_arrives_as_it_was),
        cmocka_unit_test(a_failure_before_the_first_delta_is_an_ordinary_reply),
        cmocka_unit_test(a_failure_on_the_way_is_an_error_event_without_done),
        cmocka_unit_test(a_peer_that_leaves_takes_the_provider_s_call_along),
        cmocka_unit_test(a_service_that_stops_tells_those_who_wait),
        cmocka_unit_test(a_cancelled_request_frees_its_idempotency_key),
        cmocka_unit_test(a_slow_reader_gets_all_in_order),
        cmocka_unit_test(a_reader_that_stops_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
