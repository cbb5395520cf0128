/* The client against an endpoint that misbehaves: one test for each row of the fault matrix. Waits
 * are shrunk a hundredfold, limits where they are what is tested. */
#include "tests/test.h"

#include "serve/llm_dialect.h"
#include "tests/serve/llm_calls.h"

/* ---- what is sent ---- */

static void the_request_is_a_chat_completion_with_the_key(void **state)
{
    fake_llm *f = fake_start(&(fake_step){.body = GOOD}, 1);
    world *w = world_of(f->url, "sk-secret");
    said *r = submit_call(w, (syn_llm_call){.temperature = .5});
    wait_for(r);
    assert_string_equal(r->text, "hello");
    assert_int_equal(r->usage.prompt, 9);
    assert_int_equal(r->usage.completion, 3);
    assert_true(r->usage.cost_usd < 0);
    assert_string_equal(r->finish, "stop");
    assert_string_equal(json_string_value(json_object_get(r->message, "role")), "assistant");
    assert_int_equal(strncmp(f->last_request, "POST /v1/chat/completions HTTP/1.1\r\n", 36), 0);
    assert_non_null(strstr(f->last_request, "Authorization: Bearer sk-secret\r\n"));
    assert_null(strcasestr(f->last_request, "accept-encoding"));
    assert_non_null(strstr(f->last_request, "\"model\":\"test-model\""));
    assert_non_null(
        strstr(f->last_request, "{\"role\":\"user\",\"content\":\"Say \\\"hello\\\".\"}"));
    assert_non_null(strstr(f->last_request, "\"max_tokens\":77"));
    said_free(r);
    world_end(w);
    fake_stop(f);
}

/* The request body for an endpoint of this host. */
static char *body_for(const char *base_url, const syn_llm_call *call)
{
    world *w = world_of(base_url, "k");
    char *body = syn_dialect_openai.body(w->provider, call);
    assert_non_null(body);
    world_end(w);
    return body;
}

static void openai_itself_wants_other_names(void **state)
{
    syn_llm_call call = {
        .model = "gpt-4o-mini", .system = "s", .user = "u", .max_tokens = 5, .temperature = 1};
    char *body = body_for("https://api.openai.com/v1", &call);
    assert_non_null(strstr(body, "\"max_completion_tokens\":5"));
    assert_non_null(strstr(body, "temperature"));
    free(body);
    call.model = "o3-mini";
    body = body_for("https://api.openai.com/v1", &call);
    assert_null(strstr(body, "temperature"));
    free(body);
}

static void calls_run_in_parallel(void **state)
{
    fake_llm *f = fake_start(&(fake_step){.body = GOOD, .delay_ms = 1000}, 1);
    world *w = world_of(f->url, NULL);
    said *r[10];
    for (int k = 0; k < 10; k++) r[k] = submit_call(w, (syn_llm_call){.timeout_s = 30});
    for (int k = 0; k < 10; k++) {
        wait_for(r[k]);
        assert_true(r[k]->ok);
        said_free(r[k]);
    }
    /* All were there before the first had its answer. */
    assert_int_equal(fake_requests(f), 10);
    for (int k = 0; k < 10; k++) assert_true(f->arrived_s[k] < f->arrived_s[0] + 1);
    world_end(w);
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
    world *w = world_of(url, NULL);
    said *r = submit_call(w, (syn_llm_call){0});
    wait_for(r);
    assert_false(r->ok);
    assert_int_equal(r->attempts, 3);
    assert_string_equal(r->error, "127.0.0.1: the connection failed");
    said_free(r);
    world_end(w);
}

/* A listener whose queue is full takes no connection and refuses none. */
static void a_black_hole_is_given_up_within_the_limit_of_a_connection(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0), filler[8];
    char url[64];
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &size), 0);
    for (int k = 0; k < 8; k++) {
        filler[k] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(filler[k], (struct sockaddr *)&a, sizeof a);
    }
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", ntohs(a.sin_port));
    world *w = world_of(url, NULL);
    double begin = fake_clock_s();
    said *r = submit_call(w, (syn_llm_call){.timeout_s = 60});
    wait_for(r);
    assert_false(r->ok);
    assert_int_equal(r->attempts, 3);
    assert_string_equal(r->error, "127.0.0.1: the connection failed");
    assert_true(fake_clock_s() - begin < 3 * 5 * SCALE + SLACK);
    said_free(r);
    world_end(w);
    for (int k = 0; k < 8; k++) close(filler[k]);
    close(listener);
}

static void a_packed_reply_is_never_unpacked(void **state)
{
    outcome o = CALL({.headers = "Content-Encoding: gzip\r\n", .body = "\x1F\x8B\x08 a bomb"});
    assert_true(!o.ok && o.requests == 2);
    assert_string_equal(o.error, "127.0.0.1: the reply is not a chat completion");
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
        syn_llm_result r;
        syn_llm_result_begin(&r, false);
        assert_int_equal(
            syn_llm_read(&syn_dialect_openai, cases[k].body, strlen(cases[k].body), 200, &r),
            SYN_ATTEMPT_OK);
        assert_string_equal(json_string_value(json_object_get(r.message, "content")), "x");
        assert_int_equal(r.usage.prompt, cases[k].prompt);
        assert_int_equal(r.usage.completion, cases[k].completion);
        assert_true(r.usage.cost_usd == cases[k].cost);
        syn_llm_result_free(&r);
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
        syn_providers *p = NULL;
        syn_status st = syn_providers_open(&(syn_providers_options){.base_url = cases[k].url,
                                                                    .model = "m",
                                                                    .api_key = cases[k].key,
                                                                    .insecure = cases[k].insecure},
                                           &p);
        if ((st == SYN_OK) != cases[k].taken) fail_msg("%s: %d", cases[k].url, (int)st);
        if (st != SYN_OK) assert_null(strstr(syn_error_text(), "two words"));
        syn_providers_close(p);
    }
}

int main(void)
{
    restore_limits(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_is_a_chat_completion_with_the_key),
        cmocka_unit_test(openai_itself_wants_other_names),
        cmocka_unit_test(calls_run_in_parallel),
        cmocka_unit_test(server_errors_are_tried_three_times),
        cmocka_unit_test(our_own_errors_are_not_tried_again),
        cmocka_unit_test(a_rate_limit_waits_as_told_and_not_for_long),
        cmocka_unit_test(a_reset_connection_is_tried_again_a_refused_one_too),
        cmocka_unit_test_setup_teardown(a_black_hole_is_given_up_within_the_limit_of_a_connection,
                                        shrink_limits, restore_limits),
        cmocka_unit_test(a_packed_reply_is_never_unpacked),
        cmocka_unit_test(a_malformed_reply_is_tried_once_more_and_never_echoed),
        cmocka_unit_test(an_error_inside_a_200_counts_as_its_code),
        cmocka_unit_test(usage_is_found_wherever_it_stands),
        cmocka_unit_test(addresses_that_could_leak_a_key_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
