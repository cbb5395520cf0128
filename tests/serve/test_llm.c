/* The client against an endpoint that misbehaves: one test for each row of the fault matrix. Waits
 * and limits are shrunk a hundredfold. */
#include "tests/test.h"

#include "serve/llm.h"
#include "serve/llm_openai.h"
#include "serve/llm_policy.h"
#include "tests/fake_llm.h"

#define GOOD                                                                                       \
    "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},"       \
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}"
#define SCALE 0.01
#define SLACK 5 /* seconds that a busy machine may add to any wait */

static syn_llm *client(const char *url, const char *key)
{
    syn_llm *llm = NULL;
    assert_ok(syn_llm_create(
        &(syn_llm_config){
            .base_url = url, .model = "test-model", .api_key = key, .time_scale = SCALE},
        &llm));
    return llm;
}

static void submit(syn_llm *llm, uint32_t id, double timeout_s)
{
    assert_ok(syn_llm_submit(llm, &(syn_llm_call){.id = id,
                                                  .system = "Be brief.",
                                                  .user = "Say \"hello\".",
                                                  .max_tokens = 77,
                                                  .temperature = .5,
                                                  .timeout_s = timeout_s}));
}

static syn_llm_reply wait_for(syn_llm *llm)
{
    syn_llm_reply reply;
    bool got = false;
    assert_ok(syn_llm_wait(llm, 10, &reply, &got));
    assert_true(got);
    return reply;
}

typedef struct outcome {
    bool ok;
    int attempts, requests, status;
    char error[256];
    double took_s, gap_s; /* between the first two requests */
} outcome;

/* One call against these steps. */
static outcome one_call(const fake_step *steps, int count, double timeout_s)
{
    fake_llm *f = fake_start(steps, count);
    syn_llm *llm = client(f->url, NULL);
    double begin = fake_clock_s();
    submit(llm, 7, timeout_s);
    syn_llm_reply r = wait_for(llm);
    assert_int_equal(r.id, 7);
    outcome o = {.ok = r.text != NULL,
                 .attempts = r.attempts,
                 .requests = fake_requests(f),
                 .status = r.http_status,
                 .took_s = fake_clock_s() - begin};
    if (o.requests > 1) o.gap_s = f->arrived_s[1] - f->arrived_s[0];
    if (r.text) assert_string_equal(r.text, "hello");
    if (!r.text) snprintf(o.error, sizeof o.error, "%s", r.error);
    syn_llm_destroy(llm);
    fake_stop(f);
    return o;
}

#define CALL(...)                                                                                  \
    one_call((const fake_step[]){__VA_ARGS__},                                                     \
             (int)(sizeof((const fake_step[]){__VA_ARGS__}) / sizeof(fake_step)), 5)

/* ---- what is sent ---- */

static void the_request_is_a_chat_completion_with_the_key(void **state)
{
    fake_llm *f = fake_start(&(fake_step){.body = GOOD}, 1);
    syn_llm *llm = client(f->url, "sk-secret");
    submit(llm, 1, 5);
    syn_llm_reply r = wait_for(llm);
    assert_string_equal(r.text, "hello");
    assert_int_equal(r.prompt_tokens, 9);
    assert_int_equal(r.completion_tokens, 3);
    assert_true(r.cost_usd < 0);
    assert_int_equal(strncmp(f->last_request, "POST /v1/chat/completions HTTP/1.1\r\n", 36), 0);
    assert_non_null(strstr(f->last_request, "Authorization: Bearer sk-secret\r\n"));
    assert_non_null(strstr(f->last_request, "\"model\":\"test-model\""));
    assert_non_null(
        strstr(f->last_request, "{\"role\":\"user\",\"content\":\"Say \\\"hello\\\".\"}"));
    assert_non_null(strstr(f->last_request, "\"max_tokens\":77"));
    syn_llm_destroy(llm);
    fake_stop(f);
}

static void openai_itself_wants_other_names(void **state)
{
    const syn_llm_call call = {.system = "s", .user = "u", .max_tokens = 5, .temperature = 1};
    char *body = syn_openai_body("api.openai.com", "gpt-4o-mini", &call);
    assert_non_null(strstr(body, "\"max_completion_tokens\":5"));
    assert_non_null(strstr(body, "temperature"));
    free(body);
    body = syn_openai_body("api.openai.com", "o3-mini", &call);
    assert_null(strstr(body, "temperature"));
    free(body);
}

static void calls_run_in_parallel(void **state)
{
    fake_llm *f = fake_start(&(fake_step){.body = GOOD, .delay_ms = 150}, 1);
    syn_llm *llm = client(f->url, NULL);
    double begin = fake_clock_s();
    uint32_t seen = 0;
    for (uint32_t k = 0; k < 10; k++) submit(llm, k, 5);
    for (int k = 0; k < 10; k++) seen |= 1u << wait_for(llm).id;
    assert_int_equal(seen, 1023);
    assert_true(fake_clock_s() - begin < .9);
    syn_llm_destroy(llm);
    fake_stop(f);
}

/* ---- retries ---- */

static void server_errors_are_tried_three_times(void **state)
{
    const int statuses[] = {500, 502, 503, 529, 408, 409};
    for (size_t k = 0; k < sizeof statuses / sizeof *statuses; k++) {
        outcome o = CALL({.status = statuses[k], .body = "{}"}, {.body = GOOD});
        assert_true(o.ok && o.attempts == 2);
    }
    outcome o = CALL(
        {.status = 500, .body = "{\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}"});
    assert_false(o.ok);
    assert_int_equal(o.requests, 3);
    assert_string_equal(o.error, "127.0.0.1: HTTP status 500 (server_error)");
}

static void our_own_errors_are_not_tried_again(void **state)
{
    const int statuses[] = {400, 401, 403, 404, 422};
    for (size_t k = 0; k < sizeof statuses / sizeof *statuses; k++) {
        outcome o = CALL({.status = statuses[k], .body = "{}"}, {.body = GOOD});
        assert_true(!o.ok && o.requests == 1 && o.status == statuses[k]);
    }
}

static void a_rate_limit_waits_as_told_and_not_for_long(void **state)
{
    outcome o =
        CALL({.status = 429, .headers = "Retry-After: 20\r\n", .body = "{}"}, {.body = GOOD});
    assert_true(o.ok && o.gap_s >= 18 * SCALE && o.gap_s < 20 * SCALE + SLACK);
    o = CALL({.status = 429, .headers = "Retry-After: 61\r\n", .body = "{}"}, {.body = GOOD});
    assert_true(!o.ok && o.requests == 1);
    o = CALL({.status = 429, .body = "{}"}, {.body = GOOD}); /* may be a spend cap */
    assert_true(!o.ok && o.requests == 1);
    char header[96];
    time_t soon = time(NULL) + 30;
    strftime(header, sizeof header, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime(&soon));
    o = CALL({.status = 429, .headers = header, .body = "{}"}, {.body = GOOD});
    assert_true(o.ok && o.gap_s >= 25 * SCALE);
    o = one_call(
        (const fake_step[]){{.status = 429, .headers = "Retry-After: 50\r\n", .body = "{}"},
                            {.body = GOOD}},
        2, 50 * SCALE - .1); /* beyond the deadline: not waited for */
    assert_true(!o.ok && o.requests == 1 && o.took_s < SLACK);
}

static void a_reset_connection_is_tried_again_a_refused_one_too(void **state)
{
    assert_true(CALL({.mode = FAKE_RESET}, {.body = GOOD}).ok);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", fake_closed_port());
    syn_llm *llm = client(url, NULL);
    submit(llm, 1, 5);
    syn_llm_reply r = wait_for(llm);
    assert_null(r.text);
    assert_int_equal(r.attempts, 3);
    assert_string_equal(r.error, "127.0.0.1: the connection failed");
    syn_llm_destroy(llm);
}

static void a_malformed_reply_is_tried_once_more_and_never_echoed(void **state)
{
    static const char *const bodies[] = {"<html>Bad gateway SECRET</html>",
                                         "{\"choices\":[{\"message\":{\"content\":\"SECRET",
                                         "{\"choices\":null,\"secret\":\"SECRET\"}",
                                         "{\"choices\":\"SECRET\"}",
                                         "{\"choices\":[{\"message\":{\"content\":17}}]}",
                                         "{\"choices\":[{\"message\":{\"content\":\"\"}}]}",
                                         "[]",
                                         "",
                                         "\xFF\xFE"};
    for (size_t k = 0; k < sizeof bodies / sizeof *bodies; k++) {
        outcome o = CALL({.body = bodies[k]});
        assert_false(o.ok);
        assert_int_equal(o.requests, 2);
        assert_string_equal(o.error, "127.0.0.1: the reply is not a chat completion");
        assert_true(CALL({.body = bodies[k]}, {.body = GOOD}).ok);
    }
    outcome o = CALL({.mode = FAKE_CUT, .body = GOOD}); /* fewer bytes than promised */
    assert_true(!o.ok && o.requests == 2);
}

static void an_error_inside_a_200_counts_as_its_code(void **state)
{
    outcome o = CALL({.body = "{\"error\":{\"code\":429,\"message\":\"SECRET\"}}"}, {.body = GOOD});
    assert_true(!o.ok && o.status == 429 && !strstr(o.error, "SECRET"));
    o = CALL({.body = "{\"error\":{\"code\":503,\"message\":\"m\"}}"}, {.body = GOOD});
    assert_true(o.ok && o.attempts == 2);
    o = CALL(
        {.status = 400, .body = "[{\"error\":{\"code\":400,\"status\":\"INVALID_ARGUMENT\"}}]"});
    assert_string_equal(o.error, "127.0.0.1: HTTP status 400 (INVALID_ARGUMENT)");
    o = CALL({.status = 401, .body = "{\"error\":{\"code\":\"bad key sk-123\",\"type\":\"x y\"}}"});
    assert_string_equal(o.error, "127.0.0.1: HTTP status 401");
}

/* ---- limits ---- */

static void a_stalled_reply_is_cut_off(void **state)
{
    outcome o = CALL({.mode = FAKE_STALL}, {.body = GOOD}); /* first byte: 60 s, shrunk */
    assert_true(o.ok && o.gap_s >= 55 * SCALE && o.gap_s < 60 * SCALE + SLACK);
    o = one_call(&(fake_step){.mode = FAKE_STALL}, 1, .2);
    assert_true(!o.ok && o.took_s < .2 + SLACK);
    assert_string_equal(o.error, "127.0.0.1: no answer in time");
}

static void a_dripping_reply_ends_with_the_deadline(void **state)
{
    outcome o = one_call(&(fake_step){.mode = FAKE_DRIP, .body = GOOD}, 1, .5);
    assert_true(!o.ok && o.took_s >= .5 && o.took_s < .5 + SLACK);
}

static void a_slow_reply_is_waited_for(void **state)
{
    assert_true(CALL({.body = GOOD, .delay_ms = 300}).ok);
}

static void an_endless_reply_is_cut_at_eight_mebibytes(void **state)
{
    fake_llm *f = fake_start(&(fake_step){.mode = FAKE_ENDLESS}, 1);
    syn_llm *llm = client(f->url, NULL);
    submit(llm, 1, 5);
    syn_llm_reply r = wait_for(llm);
    assert_null(r.text);
    assert_string_equal(r.error, "127.0.0.1: the reply is larger than 8388608 bytes");
    assert_int_equal(r.attempts, 1);
    fake_settle(f);
    assert_true(f->endless_bytes < 24 << 20); /* what the sockets hold comes on top */
    syn_llm_destroy(llm);
    fake_stop(f);
}

static void a_redirect_is_not_followed(void **state)
{
    fake_llm *elsewhere = fake_start(&(fake_step){.body = GOOD}, 1);
    char header[128];
    snprintf(header, sizeof header, "Location: %s/chat/completions\r\n", elsewhere->url);
    outcome o = CALL({.status = 307, .headers = header, .body = ""});
    assert_true(!o.ok && o.requests == 1 && o.status == 307);
    assert_int_equal(fake_requests(elsewhere), 0);
    fake_stop(elsewhere);
}

static void a_total_outage_is_left_alone_after_five_failures(void **state)
{
    fake_llm *f = fake_start(&(fake_step){.status = 500, .body = "{}"}, 1);
    syn_llm *llm = client(f->url, NULL);
    for (uint32_t k = 0; k < 20; k++) {
        submit(llm, k, 5);
        assert_null(wait_for(llm).text);
    }
    assert_true(fake_requests(f) <= 5 + 3); /* five calls, three retries, then silence */
    syn_llm_destroy(llm);
    fake_stop(f);
}

/* ---- dialects ---- */

static void usage_is_found_wherever_it_stands(void **state)
{
    static const struct {
        const char *body;
        int64_t prompt, completion;
        double cost;
    } cases[] = {
        {"{\"choices\":[{\"message\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":12.0,"
         "\"completion_tokens\":3.0,\"cost\":0.00025}}",
         12, 3, .00025},
        {"{\"choices\":[{\"message\":{\"content\":\"x\"},\"usage\":{\"prompt_tokens\":1,"
         "\"completion_tokens\":2}}]}",
         1, 2, -1},
        {"\n\n {\"choices\":[{\"message\":{\"content\":\"x\",\"reasoning_content\":\"hm\"}}],"
         "\"usage\":{\"prompt_tokens\":4,\"cost\":{\"total_cost\":0.5}}}",
         4, -1, .5},
        {"{\"choices\":[{\"message\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":-4,"
         "\"completion_tokens\":\"9\",\"cost\":null}}",
         -1, -1, -1},
        {"{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}}],"
         "\"usage\":null,\"error\":null}",
         -1, -1, -1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        syn_openai_reply r;
        assert_int_equal(syn_openai_read(cases[k].body, strlen(cases[k].body), 200, &r),
                         SYN_ATTEMPT_OK);
        assert_string_equal(r.text, "x");
        assert_int_equal(r.prompt_tokens, cases[k].prompt);
        assert_int_equal(r.completion_tokens, cases[k].completion);
        assert_true(r.cost_usd == cases[k].cost);
        free(r.text);
    }
}

/* ---- addresses and keys ---- */

static void addresses_that_could_leak_a_key_are_refused(void **state)
{
    static const struct {
        const char *url, *key;
        bool insecure, taken;
    } cases[] = {{"https://api.example.org/v1", "k", false, true},
                 {"http://127.0.0.1:9/v1", "k", false, true},
                 {"http://localhost:9/v1", "k", false, true},
                 {"http://[::1]:9/v1", "k", false, true},
                 {"http://api.example.org/v1", NULL, false, false},
                 {"http://api.example.org/v1", NULL, true, true},
                 {"http://api.example.org/v1", "k", true, false},
                 {"http://127.0.0.1.example.org/v1", "k", false, false},
                 {"http://127.0.0.1@example.org/v1", "k", false, false},
                 {"https://user:pass@example.org/v1", "k", false, false},
                 {"https://example.org/v1?x=1", "k", false, false},
                 {"https://example.org/\r\nX: y", "k", false, false},
                 {"ftp://example.org/v1", NULL, true, false},
                 {"file:///etc/passwd", NULL, true, false},
                 {"example", NULL, false, false},
                 {"https://example.org/v1", "two words", false, false},
                 {"https://example.org/v1", "line\r\nX: y", false, false}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        syn_llm *llm = NULL;
        syn_status st = syn_llm_create(&(syn_llm_config){.base_url = cases[k].url,
                                                         .model = "m",
                                                         .api_key = cases[k].key,
                                                         .insecure = cases[k].insecure},
                                       &llm);
        if ((st == SYN_OK) != cases[k].taken) fail_msg("%s: %d", cases[k].url, (int)st);
        if (st != SYN_OK) assert_null(strstr(syn_error_text(), "two words"));
        syn_llm_destroy(llm);
    }
}

/* ---- the rules alone ---- */

static void waits_are_fully_jittered_and_bounded(void **state)
{
    syn_rng rng = syn_rng_make(1, SYN_STREAM_TEST);
    double most = 0, least = 9;
    for (int k = 0; k < 2000; k++) {
        double w = syn_llm_backoff(SYN_ATTEMPT_CONNECT, 0, -1, 2, &rng);
        most = fmax(most, w);
        least = fmin(least, w);
    }
    assert_true(least >= 0 && least < .05 && most <= 2 && most > 1.9);
    assert_true(syn_llm_backoff(SYN_ATTEMPT_CONNECT, 0, -1, 3, &rng) < 0);
    assert_true(syn_llm_backoff(SYN_ATTEMPT_TLS, 0, -1, 1, &rng) < 0);
    assert_true(syn_llm_backoff(SYN_ATTEMPT_MALFORMED, 200, -1, 2, &rng) < 0);
    assert_true(syn_llm_backoff(SYN_ATTEMPT_STATUS, 503, 7, 1, &rng) == 7);
    assert_true(syn_llm_retry_after(" 3", 0) == 3);
    assert_true(syn_llm_retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 20) == 40);
    assert_true(syn_llm_retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 90) == 0);
    assert_true(syn_llm_retry_after("soon", 0) < 0 && syn_llm_retry_after("3x", 0) < 0);
}

static void the_breaker_opens_probes_and_closes(void **state)
{
    syn_breaker b = {0};
    for (int k = 0; k < 5; k++) {
        assert_true(syn_breaker_admits(&b, 0));
        syn_breaker_report(&b, true, 0, 1);
    }
    assert_false(syn_breaker_admits(&b, 29.9));
    for (int k = 0; k < 3; k++) assert_true(syn_breaker_admits(&b, 31)); /* three probes */
    assert_false(syn_breaker_admits(&b, 31));
    for (int k = 0; k < 3; k++) syn_breaker_report(&b, false, 32, 1);
    assert_true(syn_breaker_admits(&b, 32));
    b = (syn_breaker){0};
    for (int k = 0; k < 20; k++) { /* never five in a row, but half of them */
        assert_true(syn_breaker_admits(&b, 0));
        syn_breaker_report(&b, k % 2 == 0, 0, 1);
    }
    assert_false(syn_breaker_admits(&b, 1));
    assert_true(syn_breaker_admits(&b, 31));
    syn_breaker_report(&b, true, 31, 1); /* the probe fails: open again */
    assert_false(syn_breaker_admits(&b, 60));
}

static void retries_stay_within_a_fifth_of_the_calls(void **state)
{
    syn_breaker b = {0};
    int retries = 0;
    for (int k = 0; k < 100; k++) {
        assert_true(syn_breaker_admits(&b, 0));
        retries += syn_breaker_admits_retry(&b);
        syn_breaker_report(&b, k % 4 == 0, 0, 1);
    }
    assert_int_equal(retries, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_is_a_chat_completion_with_the_key),
        cmocka_unit_test(openai_itself_wants_other_names),
        cmocka_unit_test(calls_run_in_parallel),
        cmocka_unit_test(server_errors_are_tried_three_times),
        cmocka_unit_test(our_own_errors_are_not_tried_again),
        cmocka_unit_test(a_rate_limit_waits_as_told_and_not_for_long),
        cmocka_unit_test(a_reset_connection_is_tried_again_a_refused_one_too),
        cmocka_unit_test(a_malformed_reply_is_tried_once_more_and_never_echoed),
        cmocka_unit_test(an_error_inside_a_200_counts_as_its_code),
        cmocka_unit_test(a_stalled_reply_is_cut_off),
        cmocka_unit_test(a_dripping_reply_ends_with_the_deadline),
        cmocka_unit_test(a_slow_reply_is_waited_for),
        cmocka_unit_test(an_endless_reply_is_cut_at_eight_mebibytes),
        cmocka_unit_test(a_redirect_is_not_followed),
        cmocka_unit_test(a_total_outage_is_left_alone_after_five_failures),
        cmocka_unit_test(usage_is_found_wherever_it_stands),
        cmocka_unit_test(addresses_that_could_leak_a_key_are_refused),
        cmocka_unit_test(waits_are_fully_jittered_and_bounded),
        cmocka_unit_test(the_breaker_opens_probes_and_closes),
        cmocka_unit_test(retries_stay_within_a_fifth_of_the_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
