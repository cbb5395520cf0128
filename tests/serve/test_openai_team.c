/* /v1 with a team of agents as the model. */
#include "tests/serve/openai_team_world.h"

#define FRANCE(more)                                                                               \
    "{\"model\":\"sync-3\",\"messages\":[{\"role\":\"user\",\"content\":\"What is the capital of " \
    "France?\"}]" DOCUMENTS more "}"

static void a_team_answers_from_documents(void **state)
{
    chat_world w;
    extractive_world(&w);
    svc_reply r = chat(&w, FRANCE(""));
    if (r.status != 200) fail_msg("%d %s", r.status, r.body);
    assert_string_equal(svc_text(&r, "model"), "sync-3");
    assert_non_null(strstr(svc_text(&r, "choices.0.message.content"), "Paris"));
    assert_string_equal(svc_text(&r, "choices.0.finish_reason"), "stop");
    assert_true(json_is_object(json_object_get(r.json, "sync_usage")));
    json_t *record = chat_record(&w);
    assert_string_equal(text_in(record, "query"), "What is the capital of France?");
    assert_string_equal(text_in(record, "final_answer"), svc_text(&r, "choices.0.message.content"));
    assert_int_equal(number(record, "num_agents"), 3);
    assert_true(number(record, "num_rounds") >= 1);
    json_decref(record);
    svc_forget(&r);
    assert_int_equal(fake_requests(w.fake), 0);
    chat_end(&w);
}

static void a_streamed_team_says_the_same(void **state)
{
    chat_world w;
    extractive_world(&w);
    svc_reply whole = chat(&w, FRANCE(""));
    svc_reply r = chat(&w, FRANCE(",\"stream\":true,\"stream_options\":{\"include_usage\":true}"));
    heard *h = hear_all(r.body, true);
    assert_string_equal(h->content, svc_text(&whole, "choices.0.message.content"));
    assert_string_equal(h->reasoning, "");
    assert_true(h->done);
    assert_non_null(h->usage);
    assert_non_null(h->sync_usage);
    forget_heard(h);
    svc_forget(&r);
    svc_forget(&whole);
    chat_end(&w);
}

static void the_rounds_are_told_where_they_are_asked_for(void **state)
{
    chat_world w;
    extractive_world(&w);
    svc_reply r = chat(&w, FRANCE(",\"stream\":true,\"sync_events\":true"));
    heard *h = hear_all(r.body, false);
    const char *const parts[] = {"Round 1\n", "Agent 1 (", "Agent 2 (", "Agent 3 (", "Entropy "};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        if (!strstr(h->reasoning, parts[k])) fail_msg("no \"%s\" in %s", parts[k], h->reasoning);
    assert_non_null(strstr(h->content, "Paris"));
    assert_true(h->done);
    forget_heard(h);
    svc_forget(&r);
    chat_end(&w);
}

static void usage_counts_every_call_and_names_the_last(void **state)
{
    fake_step steps[] = {{.body = AGENT}, {.body = AGENT}, {.body = AGENT}, {.body = GOOD}};
    chat_world w;
    chat_begin(&w, "custom", steps, 4);
    chat_run(&w);
    svc_reply r = chat(&w, ASK("sync-3", ONE_ROUND));
    if (r.status != 200) fail_msg("%d %s", r.status, r.body);
    assert_string_equal(svc_text(&r, "choices.0.message.content"), "Paris.");
    assert_int_equal(fake_requests(w.fake), 4);
    json_t *usage = json_object_get(r.json, "usage"),
           *share = json_object_get(r.json, "sync_usage");
    assert_int_equal(number(usage, "prompt_tokens"), 36);
    assert_int_equal(number(usage, "completion_tokens"), 12);
    assert_int_equal(number(share, "prompt_tokens"), 9);
    assert_int_equal(number(share, "completion_tokens"), 3);
    svc_forget(&r);
    chat_end(&w);
}

static void agents_are_given_no_tools(void **state)
{
    /* The first of the two agents' calls is the last that arrives: no call is answered after it. */
    fake_step steps[] = {{.mode = FAKE_STALL}};
    chat_world w;
    chat_begin(&w, "custom", steps, 1);
    chat_run(&w);
    char text[1024];
    const char *body = ASK("sync-2", ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
                                     "\"f\"}}],\"stop\":\"END\"");
    int fd = svc_dial(&w.svc);
    int n = snprintf(text, sizeof text,
                     "POST " CHAT " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     w.key, strlen(body), body);
    svc_say(fd, text, (size_t)n);
    while (fake_requests(w.fake) < 2) usleep(1000);
    json_t *sent = chat_sent(&w);
    assert_null(json_object_get(sent, "tools"));
    assert_null(json_object_get(sent, "stop"));
    json_decref(sent);
    close(fd);
    /* The peer that has gone takes both calls along. */
    double end = svc_now_s() + 5;
    int vanished = 0;
    while (vanished < 2 && svc_now_s() < end) {
        usleep(2000);
        pthread_mutex_lock(&w.fake->lock);
        vanished = w.fake->vanished;
        pthread_mutex_unlock(&w.fake->lock);
    }
    assert_int_equal(vanished, 2);
    chat_end(&w);
}

static void the_conversation_reaches_the_agents(void **state)
{
    fake_step steps[] = {{.body = AGENT}, {.body = AGENT}, {.body = GOOD}};
    chat_world w;
    chat_begin(&w, "custom", steps, 3);
    chat_run(&w);
    svc_reply r = chat(&w, "{\"model\":\"sync-2\",\"messages\":["
                           "{\"role\":\"system\",\"content\":\"Speak like a pirate.\"},"
                           "{\"role\":\"user\",\"content\":\"My name is Zora.\"},"
                           "{\"role\":\"assistant\",\"content\":\"Ahoy.\"},"
                           "{\"role\":\"user\",\"content\":\"Who am I?\"}]" ONE_ROUND "}");
    if (r.status != 200) fail_msg("%d %s", r.status, r.body);
    const char *const parts[] = {"Speak like a pirate.", "My name is Zora.", "Ahoy.", "Who am I?"};
    for (size_t k = 0; k < 4; k++)
        if (!strstr(w.fake->last_request, parts[k])) fail_msg("not told: %s", parts[k]);
    svc_forget(&r);
    chat_end(&w);
}

/* ---- refusals ---- */

static void what_a_team_cannot_do_is_refused(void **state)
{
    static const struct {
        const char *body, *param;
    } cases[] = {
        {"{\"model\":\"sync-3\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
         "\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}",
         "messages[0].content[0]"},
        {"{\"model\":\"sync-3\",\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}",
         "messages"},
        {ASK("sync-3", ",\"n\":3"), "n"},
        {ASK("sync-3", ",\"max_tokens\":0"), "max_tokens"},
        {ASK("sync-3", ",\"agents\":[{\"name\":\"a\"},{\"name\":\"b\"}]"), "agents"},
        {ASK("sync-3", ",\"config\":{\"min_round\":1}"), "config.min_round"},
        {ASK("sync-3", ",\"temperature\":3"), "config.temperature"},
        {ASK("sync-3", ",\"caps\":{\"tokens\":-1}"), "caps.tokens"},
        {ASK("sync-3", ",\"documents\":[{\"text\":7}]"), "documents[0].text"},
        {ASK("sync-3", ""), "documents"}, /* extractive agents have nothing to answer from */
    };
    chat_world w;
    extractive_world(&w);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        svc_reply r = chat(&w, cases[k].body);
        if (r.status != 400) fail_msg("%s: %d %s", cases[k].body, r.status, r.body);
        assert_string_equal(svc_text(&r, "error.type"), "invalid_request_error");
        if (strcmp(svc_text(&r, "error.param"), cases[k].param) != 0)
            fail_msg("%s: %s", cases[k].body, r.body);
        svc_forget(&r);
    }
    chat_end(&w);
}

static void a_team_none_of_which_answers_is_a_failure(void **state)
{
    for (int streamed = 0; streamed < 2; streamed++) {
        chat_world w;
        chat_world_of(&w, (fake_step){.status = 400, .body = "{}"});
        svc_reply r = chat(&w, streamed ? ASK("sync-2", ",\"stream\":true") : ASK("sync-2", ""));
        assert_int_equal(r.status, 502);
        assert_string_equal(svc_text(&r, "error.type"), "server_error");
        svc_forget(&r);
        chat_end(&w);
    }
}

static void after_the_rounds_were_told_a_failure_is_an_event(void **state)
{
    chat_world w;
    chat_world_of(&w, (fake_step){.status = 400, .body = "{}"});
    svc_reply r = chat(&w, ASK("sync-2", ",\"stream\":true,\"sync_events\":true"));
    assert_int_equal(r.status, 200);
    heard *h = hear_all(r.body, false);
    assert_true(strlen(h->error) > 10);
    assert_false(h->done);
    forget_heard(h);
    svc_forget(&r);
    chat_end(&w);
}

/* ---- teams of the configuration ---- */

/* A world that has not started, with this providers file. */
static void configured_world(chat_world *w, const char *file)
{
    static char path[128];
    fake_step step = {.body = GOOD};
    chat_begin(w, "extractive", &step, 1);
    snprintf(path, sizeof path, "%s/providers.json", w->svc.folder);
    FILE *f = fopen(path, "w");
    fputs(file, f);
    fclose(f);
    w->svc.settings.providers_file = path;
}

static void a_configured_team_is_a_model(void **state)
{
    chat_world w;
    configured_world(&w, "{\"providers\":[],\"teams\":{\"pair\":{\"num_agents\":2,"
                         "\"max_rounds\":1}}}");
    chat_run(&w);
    svc_reply r = svc_ask(&w.svc, "GET", "/v1/models/pair", w.key, NULL);
    assert_int_equal(r.status, 200);
    svc_forget(&r);
    r = chat(&w, "{\"model\":\"pair\",\"messages\":[{\"role\":\"user\",\"content\":\"What is the "
                 "capital of France?\"}]" DOCUMENTS "}");
    if (r.status != 200) fail_msg("%d %s", r.status, r.body);
    json_t *record = chat_record(&w);
    assert_int_equal(number(record, "num_agents"), 2);
    assert_int_equal(number(record, "num_rounds"), 1);
    json_decref(record);
    svc_forget(&r);
    chat_end(&w);
}

static void a_team_that_nobody_could_ask_is_refused_at_the_start(void **state)
{
    static const char *const cases[][2] = {
        {"{\"teams\":{\"a\":{\"num_agents\":1}}}", "teams.a.num_agents"},
        {"{\"teams\":{\"a\":{\"config\":{\"x\":1}}}}", "teams.a.config.x"},
        {"{\"teams\":{\"a\":{\"agents\":[{\"provider\":\"nobody\"},{}]}}}", "teams.a.agents[0]"},
    };
    for (size_t k = 0; k < 3; k++) {
        chat_world w;
        configured_world(&w, cases[k][0]);
        assert_ok(syn_settings_complete(&w.svc.settings));
        assert_int_equal(syn_service_start(&w.svc.settings, &w.svc.service), SYN_ERR_FORMAT);
        if (!strstr(syn_error_text(), cases[k][1])) fail_msg("%s", syn_error_text());
        chat_end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_team_answers_from_documents),
        cmocka_unit_test(a_streamed_team_says_the_same),
        cmocka_unit_test(the_rounds_are_told_where_they_are_asked_for),
        cmocka_unit_test(usage_counts_every_call_and_names_the_last),
        cmocka_unit_test(agents_are_given_no_tools),
        cmocka_unit_test(the_conversation_reaches_the_agents),
        cmocka_unit_test(what_a_team_cannot_do_is_refused),
        cmocka_unit_test(a_team_none_of_which_answers_is_a_failure),
        cmocka_unit_test(after_the_rounds_were_told_a_failure_is_an_event),
        cmocka_unit_test(a_configured_team_is_a_model),
        cmocka_unit_test(a_team_that_nobody_could_ask_is_refused_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
