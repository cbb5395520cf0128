/* SYNC's API over HTTP: collaborations whole and streamed, their faults, limits and ends. */
#include "tests/serve/api_world.h"

/* ---- replies ---- */

static void assert_whole_reply(const json_t *j)
{
    static const char *const fields[] = {
        "id",
        "session_id",
        "query",
        "task_type",
        "final_answer",
        "confidence",
        "num_rounds",
        "agents_used",
        "collaboration_metrics.total_messages",
        "collaboration_metrics.broadcast_messages",
        "collaboration_metrics.targeted_messages",
        "collaboration_metrics.consensus_score",
        "collaboration_metrics.cognitive_gaps_detected",
        "collaboration_metrics.information_gain",
        "collaboration_metrics.convergence_achieved",
        "collaboration_metrics.final_entropy",
        "agent_responses.0.agent_id",
        "agent_responses.0.name",
        "agent_responses.0.provider",
        "answered_by.provider",
        "agent_responses.0.response",
        "agent_responses.0.confidence",
        "agent_responses.0.contribution_score",
        "dialogue_history",
        "usage.prompt_tokens",
        "usage.completion_tokens",
        "usage.total_tokens",
        "usage.cost_usd",
        "policy",
        "mode",
        "abstained",
        "missing",
        "stopped_by",
        "agents_failed",
        "execution_time_seconds",
        "timestamp",
        "injection.query",
        "injection.flagged",
    };
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
        if (!at(j, fields[k])) fail_msg("the reply has no %s", fields[k]);
}

static void a_team_of_extractive_agents_answers_the_same_every_time(void **state)
{
    svc w;
    begin(&w);
    svc_run(&w);
    json_t *first = NULL;
    for (int k = 0; k < 3; k++) {
        svc_reply r = svc_ask(&w, "POST", "/api/v1/collaborate", NULL, example);
        assert_status(r, 200);
        assert_whole_reply(r.json);
        assert_string_equal(svc_text(&r, "short_answer"), "Tallvik");
        assert_string_equal(svc_text(&r, "mode"), "grounded");
        assert_string_equal(svc_text(&r, "policy"), "rule");
        assert_string_equal(svc_text(&r, "dialogue_history.0.message_type"), "targeted");
        assert_int_equal(json_integer_value(at(r.json, "dialogue_history.0.to")), 1);
        static const char *const varying[] = {"id", "session_id", "execution_time_seconds",
                                              "timestamp", "dialogue_history"};
        for (size_t i = 0; i < sizeof varying / sizeof *varying; i++)
            json_object_del(r.json, varying[i]);
        if (first && !json_equal(first, r.json)) fail_msg("another reply: %s", r.body);
        if (!first) first = json_incref(r.json);
        svc_forget(&r);
    }
    json_decref(first);
    svc_end(&w);
}

static void a_reply_is_kept_and_found_again_after_a_restart(void **state)
{
    svc w;
    begin(&w);
    svc_run(&w);
    svc_reply r = svc_ask(&w, "POST", "/api/v1/collaborate", NULL, example);
    assert_status(r, 200);
    syn_service_stop(w.service);
    svc_run(&w);
    char path[128];
    snprintf(path, sizeof path, "/api/v1/history/%s", svc_text(&r, "id"));
    svc_reply again = svc_ask(&w, "GET", path, NULL, NULL);
    assert_status(again, 200);
    assert_string_equal(again.body, r.body);
    svc_reply list = svc_ask(&w, "GET", "/api/v1/history", NULL, NULL);
    assert_int_equal(json_integer_value(at(list.json, "total")), 1);
    assert_int_equal(json_integer_value(at(list.json, "limit")), 10);
    const json_t *item = at(list.json, "collaborations.0");
    assert_string_equal(text_at(item, "id"), svc_text(&r, "id"));
    assert_string_equal(text_at(item, "final_answer"), svc_text(&r, "final_answer"));
    assert_string_equal(text_at(item, "query"),
                        "In which town was the director of Amber Tide born?");
    assert_int_equal(json_integer_value(at(item, "num_agents")), 3);
    assert_int_equal(strlen(text_at(item, "timestamp")), strlen("2026-01-31T23:59:59.123Z"));
    assert_true(json_equal(at(item, "num_rounds"), at(r.json, "num_rounds")));
    svc_forget(&list);
    svc_forget(&again);
    svc_forget(&r);
    svc_end(&w);
}

static void faults_of_the_body_are_named(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *field;
    } cases[] = {
        {"{\"query\": \"q\", \"num_agents\": 11}", 400, "num_agents"},
        {"{\"query\": \"q\"}", 400, "documents"}, /* extractive agents have nothing to read */
        {"{\"qerry\": \"q\"}", 400, "qerry"},
        {"{\"query\": \"q\", \"context\": \"c\", \"caps\": {\"cost_usd\": -1}}", 400,
         "caps.cost_usd"},
        {"{\"query\": \"\\u0000\"}", 400, NULL},
        {"{\"query\": \"q\", \"query\": \"r\"}", 400, NULL},
        {"[]", 400, NULL},
        {"", 400, NULL},
        {"{\"query\": \"q\"", 400, NULL},
        {"{\"query\": \"\xff\xfe\"}", 400, NULL},
    };
    svc w;
    begin(&w);
    svc_run(&w);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        static const char *const paths[] = {"/api/v1/collaborate", "/api/v1/collaborate/stream"};
        for (int p = 0; p < 2; p++) {
            svc_reply r = svc_ask(&w, "POST", paths[p], NULL, cases[k].body);
            assert_status(r, cases[k].status);
            assert_string_equal(svc_text(&r, "error"), "ValidationError");
            assert_true(*svc_text(&r, "detail") && *svc_text(&r, "timestamp"));
            if (cases[k].field) assert_string_equal(svc_text(&r, "errors.0.field"), cases[k].field);
            svc_forget(&r);
        }
    }
    char *large = malloc((2 << 20) + 64);
    sprintf(large, "{\"query\": \"%0*d\"}", 2 << 20, 0);
    svc_reply r = svc_ask(&w, "POST", "/api/v1/collaborate", NULL, large);
    assert_status(r, 413);
    free(large);
    svc_forget(&r);
    r = svc_ask(&w, "GET", "/api/v1/history", NULL, NULL);
    assert_int_equal(json_integer_value(at(r.json, "total")), 0);
    svc_forget(&r);
    svc_end(&w);
}

/* ---- streams ---- */

/* The next line's object, without "data: "; NULL at the end. */
static json_t *next_event(char **from, bool events)
{
    while (**from == '\n') ++*from;
    if (!**from) return NULL;
    char *line = *from, *end = strchr(line, '\n');
    assert_non_null(end);
    *end = 0;
    *from = end + 1;
    if (events) {
        assert_int_equal(strncmp(line, "data: ", 6), 0);
        assert_int_equal(**from, '\n');
        line += 6;
    }
    json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    if (!j) fail_msg("no JSON: %s", line);
    return j;
}

/* Each type of event comes behind those that must be before it. */
static void assert_in_order(char *body, bool events, char **reply_id)
{
    enum { SESSION, ROUND, RESPONSE, GAPS, MESSAGE, CONVERGENCE, FINAL, TYPES };
    static const char *const names[] = {"session", "round",       "agent_response", "gaps",
                                        "message", "convergence", "final_answer"};
    int seen[TYPES] = {0}, round = 0;
    json_t *j;
    while ((j = next_event(&body, events))) {
        int type = 0;
        while (type < TYPES && strcmp(names[type], text_at(j, "type")) != 0) type++;
        if (type == TYPES) fail_msg("an event of type %s", text_at(j, "type"));
        assert_true(type == SESSION ? !seen[ROUND] : seen[SESSION] == 1);
        assert_int_equal(seen[FINAL], 0);
        if (type == ROUND) round++;
        assert_int_equal(json_integer_value(at(j, "round")), round);
        if (type == GAPS) {
            assert_int_equal(json_array_size(at(j, "gaps")), 3);
            assert_int_equal(json_array_size(at(j, "gaps.2")), 3);
        }
        if (type == MESSAGE) assert_true(json_is_number(at(j, "probability")));
        if (type == CONVERGENCE) assert_true(seen[RESPONSE] && json_is_number(at(j, "entropy")));
        if (type == FINAL) {
            assert_true(seen[CONVERGENCE]);
            assert_whole_reply(at(j, "reply"));
            assert_string_equal(text_at(j, "answer"), text_at(j, "reply.final_answer"));
            *reply_id = strdup(text_at(j, "reply.id"));
        }
        seen[type]++;
        json_decref(j);
    }
    for (int k = 0; k < TYPES; k++) assert_true(seen[k] > 0);
}

static void a_stream_tells_what_happens_in_order(void **state)
{
    svc w;
    begin(&w);
    svc_run(&w);
    for (int events = 0; events < 2; events++) {
        char *id = NULL, path[128];
        svc_reply r = svc_ask_with(&w, "POST", "/api/v1/collaborate/stream", NULL,
                                   events ? "Accept: text/event-stream\r\n" : NULL,
                                   "application/json", example, strlen(example));
        assert_status(r, 200);
        assert_non_null(strstr(r.head, events ? "text/event-stream" : "application/x-ndjson"));
        assert_in_order(r.body, events, &id);
        snprintf(path, sizeof path, "/api/v1/history/%s", id);
        svc_reply kept = svc_ask(&w, "GET", path, NULL, NULL); /* before the line was sent */
        assert_status(kept, 200);
        free(id);
        svc_forget(&kept);
        svc_forget(&r);
    }
    svc_end(&w);
}

/* What a model says at such length that two rounds of it are more than all buffers on its way
 * hold; each time with another claim, so that there is a second round. */
static char *says_much(int number)
{
    enum { BYTES = 230000 };
    char *answer = malloc(BYTES + 1), *body = NULL;
    memset(answer, 'a', BYTES);
    answer[BYTES] = 0;
    assert_true(asprintf(&body,
                         "{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{"
                         "\"role\":\"assistant\",\"content\":\"{\\\"answer\\\":\\\"%s\\\","
                         "\\\"short_answer\\\":\\\"a\\\",\\\"confidence\\\":0.9,\\\"claims\\\":"
                         "[\\\"The river of number %d is the Osk.\\\"]}\"}}]}",
                         answer, number) > 0);
    free(answer);
    return body;
}

static void a_slow_reader_gets_everything_in_order(void **state)
{
    enum { STEPS = 21 };
    fake_step says[STEPS] = {{0}};
    char *much[STEPS];
    for (int k = 0; k < STEPS; k++) says[k].body = much[k] = says_much(k);
    fake_llm *f = fake_start(says, STEPS);
    svc w;
    begin(&w);
    use_model(&w, f);
    svc_run(&w);
    int fd = post(&w, "/api/v1/collaborate/stream",
                  "{\"query\": \"Which?\", \"num_agents\": 10, \"max_rounds\": 2, \"config\": "
                  "{\"enable_cognitive_gaps\": false}}",
                  4096);
    assert_true(becomes(atomic_load(&w.service->collaborations) == 1, 5));
    assert_true(becomes(atomic_load(&w.service->collaborations) == 0, 20));
    svc_reply slow = svc_finish(fd, 30);
    assert_status(slow, 200);
    char *rest = slow.body;
    int64_t answers = 0;
    json_t *j, *last = NULL;
    while ((j = next_event(&rest, false))) {
        json_decref(last);
        last = j;
        if (strcmp(text_at(j, "type"), "agent_response") == 0) answers++;
    }
    assert_string_equal(text_at(last, "type"), "final_answer");
    assert_int_equal(answers, 20);
    assert_int_equal(answers, json_integer_value(at(last, "reply.usage.calls")) - 1);
    json_decref(last);
    svc_forget(&slow);
    svc_end(&w);
    fake_stop(f);
    for (int k = 0; k < STEPS; k++) free(much[k]);
}

/* ---- models ---- */

static void a_failed_team_is_a_bad_gateway_and_counts_against_success(void **state)
{
    const fake_step refuses = {.status = 401, .body = "{\"error\":{\"message\":\"sk-secret\"}}"};
    fake_llm *f = fake_start(&refuses, 1);
    svc w;
    begin(&w);
    use_model(&w, f);
    svc_run(&w);
    svc_reply r = svc_ask(&w, "POST", "/api/v1/collaborate", NULL, "{\"query\": \"q\"}");
    assert_status(r, 502);
    assert_string_equal(svc_text(&r, "error"), "UpstreamError");
    assert_null(strstr(r.body, "sk-secret"));
    svc_forget(&r);
    r = svc_ask(&w, "POST", "/api/v1/collaborate/stream", NULL, "{\"query\": \"q\"}");
    assert_status(r, 200); /* the head had gone */
    char *last = strstr(r.body, "\"error\":\"UpstreamError\"");
    assert_non_null(last);
    assert_null(strstr(r.body, "sk-secret"));
    assert_non_null(strstr(r.body, "\"detail\":\"HTTP status 401"));
    assert_null(strstr(r.body, "127.0.0.1")); /* where the provider is */
    assert_null(strstr(r.body, "final_answer"));
    svc_forget(&r);
    r = svc_ask(&w, "POST", "/api/v1/collaborate", NULL,
                "{\"query\": \"q\", \"context\": \"Tallvik is a town.\", \"agents\": "
                "[{\"provider\": \"extractive\"}, {\"provider\": \"extractive\"}]}");
    assert_status(r, 200);
    svc_forget(&r);
    r = svc_ask(&w, "GET", "/api/v1/metrics", NULL, NULL);
    assert_status(r, 200);
    assert_int_equal(json_integer_value(at(r.json, "usage.total_collaborations")), 1);
    assert_int_equal(json_integer_value(at(r.json, "usage.total_agents_used")), 2);
    const double success = json_real_value(at(r.json, "performance.success_rate"));
    assert_true(fabs(success - 1. / 3) < 1e-9);
    assert_true(json_real_value(at(r.json, "performance.p99_seconds")) > 0);
    assert_string_equal(svc_text(&r, "system.environment"), "development");
    svc_forget(&r);
    svc_end(&w);
    fake_stop(f);
}

static void the_asker_alone_is_asked_until_it_knows_or_has_everything(void **state)
{
    const fake_step steps[] = {{.body = SAYS("unknown")}, {.body = SAYS("Tallvik")}};
    fake_llm *f = fake_start(steps, 2);
    char body[2048];
    svc w;
    begin(&w);
    use_model(&w, f);
    svc_run(&w);
    snprintf(body, sizeof body,
             "%.*s, {\"text\": \"Bread bakes slowly.\", \"agents\": [2]}], \"config\": {\"ask\": "
             "\"asker\"}}",
             (int)strlen(example) - 2, example);
    for (int calls = 2; calls >= 1; calls--) {
        svc_reply r = svc_ask(&w, "POST", "/api/v1/collaborate", NULL, body);
        assert_status(r, 200);
        assert_string_equal(svc_text(&r, "final_answer"), "Tallvik");
        assert_int_equal(json_integer_value(at(r.json, "usage.calls")), calls);
        assert_int_equal(json_integer_value(at(r.json, "num_rounds")), calls);
        assert_int_equal(json_integer_value(at(r.json, "agents_used")), 1);
        svc_forget(&r);
    }
    assert_int_equal(fake_requests(f), 3);
    svc_end(&w);
    fake_stop(f);
}

static void a_deadline_before_the_first_answer_is_a_gateway_timeout(void **state)
{
    const fake_step stalls = {.mode = FAKE_STALL};
    fake_llm *f = fake_start(&stalls, 1);
    svc w;
    begin(&w);
    use_model(&w, f);
    w.settings.timeout_s = .3;
    svc_run(&w);
    svc_reply r = svc_ask(&w, "POST", "/api/v1/collaborate", NULL, "{\"query\": \"q\"}");
    assert_status(r, 504);
    assert_string_equal(svc_text(&r, "error"), "DeadlineExceeded");
    svc_forget(&r);
    svc_end(&w);
    fake_stop(f);
}

static void an_unknown_price_refuses_a_cap_of_cost(void **state)
{
    const fake_step says = {.body = SAYS("Tallvik")};
    fake_llm *f = fake_start(&says, 1);
    svc w;
    begin(&w);
    use_model(&w, f);
    svc_run(&w);
    svc_reply r = svc_ask(&w, "POST", "/api/v1/collaborate", NULL,
                          "{\"query\": \"q\", \"caps\": {\"cost_usd\": 1}}");
    assert_status(r, 400);
    assert_string_equal(svc_text(&r, "errors.0.field"), "caps.cost_usd");
    assert_int_equal(fake_requests(f), 0);
    assert_int_equal(atomic_load(&w.service->collaborations), 0);
    svc_forget(&r);
    svc_end(&w);
    fake_stop(f);
}

static void a_client_that_hangs_up_cancels_the_calls(void **state)
{
    const fake_step stalls = {.mode = FAKE_STALL};
    static const char *const paths[] = {"/api/v1/collaborate", "/api/v1/collaborate/stream"};
    for (int p = 0; p < 2; p++) {
        fake_llm *f = fake_start(&stalls, 1);
        svc w;
        begin(&w);
        use_model(&w, f);
        svc_run(&w);
        int fd = post(&w, paths[p], "{\"query\": \"q\"}", 0);
        assert_true(becomes(fake_requests(f) == 3, 5));
        close(fd);
        assert_true(becomes(fake_vanished(f) == 3, 1));
        assert_true(becomes(atomic_load(&w.service->collaborations) == 0, 1));
        svc_end(&w);
        fake_stop(f);
    }
}

/* Streamed or not, before its connection is cut. */
static void a_service_that_stops_tells_those_who_wait(void **state)
{
    const fake_step stalls = {.mode = FAKE_STALL};
    fake_llm *f = fake_start(&stalls, 1);
    svc w;
    begin(&w);
    use_model(&w, f);
    w.settings.drain_s = 4;
    svc_run(&w);
    int whole = post(&w, "/api/v1/collaborate", "{\"query\": \"q\"}", 0);
    int streamed = post(&w, "/api/v1/collaborate/stream", "{\"query\": \"q\"}", 0);
    assert_true(becomes(fake_requests(f) == 6, 5));
    svc_end(&w);
    svc_reply r = svc_finish(whole, 30);
    assert_status(r, 503);
    assert_string_equal(svc_text(&r, "detail"), "the service is stopping; ask again");
    svc_forget(&r);
    r = svc_finish(streamed, 30);
    assert_status(r, 200);
    assert_non_null(strstr(r.body, "\"the service is stopping; ask again\""));
    assert_non_null(strstr(r.body, "\"type\":\"error\""));
    svc_forget(&r);
    fake_stop(f);
}

static void more_collaborations_than_there_may_be_are_put_off(void **state)
{
    const fake_step slow = {.body = SAYS("Tallvik"), .delay_ms = 700};
    fake_llm *f = fake_start(&slow, 1);
    svc w;
    begin(&w);
    use_model(&w, f);
    w.settings.collaborations_max = 2;
    svc_run(&w);
    int open[2];
    for (int k = 0; k < 2; k++)
        open[k] = post(&w, "/api/v1/collaborate", "{\"query\": \"q\", \"max_rounds\": 1}", 0);
    assert_true(becomes(atomic_load(&w.service->collaborations) == 2, 5));
    svc_reply r = svc_ask(&w, "POST", "/api/v1/collaborate", NULL, "{\"query\": \"q\"}");
    assert_status(r, 503);
    assert_string_equal(svc_text(&r, "error"), "Unavailable");
    assert_non_null(strcasestr(r.head, "retry-after: 1"));
    svc_forget(&r);
    for (int k = 0; k < 2; k++) {
        r = svc_finish(open[k], 30);
        assert_status(r, 200);
        assert_string_equal(svc_text(&r, "short_answer"), "Tallvik");
        assert_int_equal(json_integer_value(at(r.json, "usage.calls")), 4);
        svc_forget(&r);
    }
    assert_int_equal(atomic_load(&w.service->collaborations), 0);
    svc_end(&w);
    fake_stop(f);
}

int main(void)
{
    setenv("LOG_LEVEL", "error", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_team_of_extractive_agents_answers_the_same_every_time),
        cmocka_unit_test(a_reply_is_kept_and_found_again_after_a_restart),
        cmocka_unit_test(faults_of_the_body_are_named),
        cmocka_unit_test(a_stream_tells_what_happens_in_order),
        cmocka_unit_test(a_slow_reader_gets_everything_in_order),
        cmocka_unit_test(a_failed_team_is_a_bad_gateway_and_counts_against_success),
        cmocka_unit_test(the_asker_alone_is_asked_until_it_knows_or_has_everything),
        cmocka_unit_test(a_deadline_before_the_first_answer_is_a_gateway_timeout),
        cmocka_unit_test(an_unknown_price_refuses_a_cap_of_cost),
        cmocka_unit_test(a_client_that_hangs_up_cancels_the_calls),
        cmocka_unit_test(a_service_that_stops_tells_those_who_wait),
        cmocka_unit_test(more_collaborations_than_there_may_be_are_put_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
