/* Large and encoded bodies of /v2 are read on the pool: the loop that took them goes on. */
#include <zlib.h>

#include "tests/serve/inference_world.h"
#include "tests/serve/pool_gate.h"

enum { MANY = 8, LARGE_ROWS = 200 };

static gate_threads parsers; /* of those called "large", which wait at the gate */

static bool has(const char *text, size_t bytes, const char *word)
{
    return memmem(text, bytes, word, strlen(word)) != NULL;
}

/* In the place of jansson's. Answers, which this test reads, have the id too. */
json_t *json_loadb(const char *text, size_t bytes, size_t flags, json_error_t *error)
{
    if (has(text, bytes, "\"id\":\"loop\"")) gate_is_loop();
    if (has(text, bytes, "\"id\":\"large\"") && !has(text, bytes, "model_name"))
        gate_pass(&parsers, true);
    return gate_own_parser(text, bytes, flags, error);
}

/* Closes the gate for those who come from here on. */
static void close_gate(void)
{
    gate_forget(&parsers);
    gate_set(true);
}

/* ---- requests ---- */

static float x[LARGE_ROWS * PAIR];
static message numbers, zipped, small; /* of a large body, one that is small only encoded, one */

static void put_numbers(message *m, const char *id, int rows)
{
    put(m,
        "{\"id\":\"%s\",\"inputs\":[{\"name\":\"pair\",\"datatype\":\"FP32\",\"shape\":[%d,%d],"
        "\"data\":[",
        id, rows, PAIR);
    for (int k = 0; k < rows * PAIR; k++) put(m, "%s%.9g", k ? "," : "", (double)x[k]);
    put(m, "]}]}");
}

static void zip(const message *m, message *out)
{
    z_stream z = {.next_in = (Bytef *)m->text, .avail_in = (uInt)m->bytes};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = (Bytef *)out->text;
    z.avail_out = BODY_MAX;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->bytes = BODY_MAX - z.avail_out;
    deflateEnd(&z);
}

static int start(void **state)
{
    message one = message_new();
    begin(state);
    fill(x, LARGE_ROWS * PAIR, 3);
    numbers = message_new();
    zipped = message_new();
    small = message_new();
    put_numbers(&numbers, "large", LARGE_ROWS);
    put_numbers(&small, "loop", 1);
    put_numbers(&one, "large", 1);
    zip(&one, &zipped);
    free(one.text);
    svc_reply r = infer("gap_detector", NULL, &small);
    assert_int_equal(r.status, 200);
    svc_forget(&r);
    return 0;
}

static int stop(void **state)
{
    gate_set(false);
    free(numbers.text);
    free(zipped.text);
    free(small.text);
    return end(state);
}

/* Sends the k-th of several kinds, and does not wait. */
static int send_one(int k, const char *more)
{
    char head[512];
    const message *m = k % 2 ? &zipped : &numbers;
    const int fd = svc_dial(&w);
    const int n = snprintf(head, sizeof head,
                           "POST /v2/models/gap_detector/infer HTTP/1.1\r\nHost: a\r\n%s%s"
                           "X-API-Key: %s\r\nContent-Length: %zu\r\n\r\n",
                           more, k % 2 ? "Content-Encoding: gzip\r\n" : "", key, m->bytes);
    svc_say(fd, head, (size_t)n);
    svc_say(fd, m->text, m->bytes);
    return fd;
}

static bool is_idle(void)
{
    for (double until_s = svc_now_s() + 20; svc_now_s() < until_s; usleep(20000)) {
        svc_reply r = svc_ask(&w, "GET", "/metrics", NULL, NULL);
        const bool idle = strstr(r.body, "syncog_connections 1\n") &&
                          strstr(r.body, "syncog_requests_running 1\n");
        svc_forget(&r);
        if (idle && w.service->inference->room.used == 0) return true;
    }
    return false;
}

/* ---- tests ---- */

static void others_are_answered_while_large_bodies_are_read(void **state)
{
    static float link[LARGE_ROWS], gap[LARGE_ROWS], got[LARGE_ROWS];
    const syn_gap_part part = {LARGE_ROWS, x, link, gap};
    int fds[MANY];
    assert_ok(syn_scorer_gaps(scorer, 1, &part, NULL));
    close_gate();
    for (int k = 0; k < MANY; k++) fds[k] = send_one(k, "Connection: close\r\n");
    assert_true(gate_wait_for(2));
    for (int k = 0; k < 20; k++) {
        svc_reply r = k % 2 ? infer("gap_detector", NULL, &small) : get("/v2/health/live");
        assert_int_equal(r.status, 200);
        svc_forget(&r);
    }
    gate_set(false);
    for (int k = 0; k < MANY; k++) {
        svc_reply r = svc_finish(fds[k], 60);
        const int rows = k % 2 ? 1 : LARGE_ROWS;
        if (r.status != 200) fail_msg("%d %s", r.status, r.body);
        output(&r, "gap", got, rows);
        assert_near(got, gap, rows, "gap");
        svc_forget(&r);
    }
    assert_int_equal(parsers.count, MANY);
    assert_not_on_the_loop(&parsers);
}

static void a_large_team_is_read_there_too(void **state)
{
    message m = message_new();
    put(&m, "{\"id\":\"large\",\"inputs\":[{\"name\":\"request\",\"datatype\":\"BYTES\",\"shape\":"
            "[1],\"data\":[\"{\\\"id\\\":\\\"large\\\"");
    while (m.bytes < 200000) put(&m, ",\\\"a%zu\\\":1", m.bytes);
    put(&m, "}\"]}]}");
    gate_forget(&parsers);
    svc_reply r = infer("orchestrator", NULL, &m);
    assert_error(&r, 400, "not known");
    assert_int_equal(parsers.count, 2); /* the request, and the team in it */
    assert_not_on_the_loop(&parsers);
    assert_true(is_idle());
    free(m.text);
}

static void who_hangs_up_is_not_worked_for(void **state)
{
    int fds[4 * MANY];
    close_gate();
    for (int k = 0; k < 4 * MANY; k++) fds[k] = send_one(k, "");
    assert_true(gate_wait_for(2));
    usleep(100000);
    for (int k = 0; k < 4 * MANY; k++) close(fds[k]);
    assert_true(gate_is_alone(&w));
    const int begun = parsers.count;
    gate_set(false);
    assert_true(is_idle());
    assert_int_equal(parsers.count, begun);
    assert_true(begun < 4 * MANY);
    gaps_are_the_scorer_s(state);
}

static void what_is_wrong_is_told_as_of_small_ones(void **state)
{
    message cut = {strdup(numbers.text), 0};
    cut.bytes = numbers.bytes - 2;
    gate_set(false);
    svc_reply r = infer("gap_detector", NULL, &cut);
    assert_error(&r, 400, "malformed");
    r = infer("gap_detector", "Content-Encoding: gzip\r\n", &numbers);
    assert_error(&r, 400, "not encoded as it says");
    r = infer("gap_detector", "Inference-Header-Content-Length: 999999999\r\n", &numbers);
    assert_error(&r, 400, "more than the body");
    r = infer("ckm", NULL, &numbers);
    assert_error(&r, 400, "no input of a name");
    free(cut.text);
    assert_true(is_idle());
}

static void a_service_that_stops_waits_for_the_pool(void **state)
{
    int fds[MANY];
    pthread_t opener;
    close_gate();
    for (int k = 0; k < MANY; k++) fds[k] = send_one(k, "");
    assert_true(gate_wait_for(2));
    pthread_create(&opener, NULL, gate_open_later, NULL);
    syn_service_stop(w.service); /* within two seconds all are cut */
    pthread_join(opener, NULL);
    for (int k = 0; k < MANY; k++) close(fds[k]);
    assert_int_equal(gate.waiting, 0);
    assert_ok(syn_service_start(&w.settings, &w.service));
    w.port = syn_service_port(w.service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_are_answered_while_large_bodies_are_read),
        cmocka_unit_test(a_large_team_is_read_there_too),
        cmocka_unit_test(who_hangs_up_is_not_worked_for),
        cmocka_unit_test(what_is_wrong_is_told_as_of_small_ones),
        cmocka_unit_test(a_service_that_stops_waits_for_the_pool)};
    return cmocka_run_group_tests(tests, start, stop);
}
