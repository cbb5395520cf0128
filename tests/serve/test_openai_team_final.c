/* The call that writes a team's answer: what it is given, and what becomes of what it says. */
#include "tests/serve/openai_team_world.h"

static void the_final_call_alone_gets_tools_stop_and_format(void **state)
{
    fake_step steps[] = {{.body = AGENT}, {.body = AGENT}, {.body = GOOD}};
    chat_world w;
    chat_begin(&w, "custom", steps, 3);
    chat_run(&w);
    svc_reply r = chat(&w, ASK("sync-2", ONE_ROUND ",\"stop\":[\"END\"],\"max_tokens\":33,"
                                                   "\"response_format\":{\"type\":\"json_object\"},"
                                                   "\"tools\":[{\"type\":\"function\",\"function\":"
                                                   "{\"name\":\"f\"}}],\"tool_choice\":\"auto\""));
    if (r.status != 200) fail_msg("%d %s", r.status, r.body);
    json_t *sent = chat_sent(&w);
    assert_non_null(json_object_get(sent, "tools"));
    assert_non_null(json_object_get(sent, "stop"));
    assert_non_null(json_object_get(sent, "response_format"));
    assert_int_equal(number(sent, "max_tokens"), 33);
    json_decref(sent);
    svc_forget(&r);
    chat_end(&w);
}

static void the_writer_s_own_reasoning_is_told_with_the_rounds_alone(void **state)
{
    fake_step steps[] = {{.body = AGENT},
                         {.body = AGENT},
                         {.mode = FAKE_STREAM,
                          .body = DELTA("{\"reasoning_content\":\"Hm.\"}", "null")
                              DELTA("{\"content\":\"Paris.\"}", "null") STREAM_END}};
    for (int events = 0; events < 2; events++) {
        chat_world w;
        chat_begin(&w, "custom", steps, 3);
        chat_run(&w);
        svc_reply r = chat(&w, events ? ASK("sync-2", ONE_ROUND ",\"stream\":true,"
                                                                "\"sync_events\":true")
                                      : ASK("sync-2", ONE_ROUND ",\"stream\":true"));
        heard *h = hear_all(r.body, false);
        assert_string_equal(h->content, "Paris.");
        assert_int_equal(strstr(h->reasoning, "Hm.") != NULL, events);
        if (!events) assert_string_equal(h->reasoning, "");
        forget_heard(h);
        svc_forget(&r);
        chat_end(&w);
    }
}

#define CALL                                                                                       \
    "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"   \
    "\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"          \
    "\"finish_reason\":\"tool_calls\"}"

static void a_tool_call_of_the_final_call_comes_through(void **state)
{
    fake_step steps[] = {
        {.body = AGENT}, {.body = AGENT}, {.body = "{\"choices\":[" CALL "],\"usage\":" USAGE "}"}};
    for (int streamed = 0; streamed < 2; streamed++) {
        chat_world w;
        chat_begin(&w, "custom", steps, 3);
        chat_run(&w);
        svc_reply r = chat(&w, streamed ? ASK("sync-2", ONE_ROUND ",\"tools\":[{}],\"stream\":true")
                                        : ASK("sync-2", ONE_ROUND ",\"tools\":[{}]"));
        if (r.status != 200) fail_msg("%d %s", r.status, r.body);
        if (streamed) {
            heard *h = hear_all(r.body, false);
            assert_string_equal(h->finish, "tool_calls");
            assert_int_equal(json_array_size(h->tool_calls), 1);
            assert_int_equal(number(json_array_get(h->tool_calls, 0), "index"), 0);
            assert_true(h->done);
            forget_heard(h);
        } else {
            assert_string_equal(svc_text(&r, "choices.0.finish_reason"), "tool_calls");
            assert_string_equal(svc_text(&r, "choices.0.message.tool_calls.0.id"), "c1");
        }
        svc_forget(&r);
        chat_end(&w);
    }
}

static void a_tool_s_result_skips_the_rounds(void **state)
{
    static const char body[] =
        "{\"model\":\"sync-3\",\"messages\":[{\"role\":\"user\",\"content\":\"Weather?\"},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"Rain.\"}],\"tools\":[{}]}";
    chat_world w;
    chat_world_of(&w, (fake_step){.body = GOOD});
    svc_reply r = chat(&w, body);
    assert_int_equal(r.status, 200);
    assert_string_equal(svc_text(&r, "model"), "sync-3");
    assert_string_equal(svc_text(&r, "choices.0.message.content"), "Paris.");
    assert_int_equal(fake_requests(w.fake), 1);
    json_t *sent = chat_sent(&w);
    assert_int_equal(json_array_size(json_object_get(sent, "messages")), 3);
    assert_string_equal(text_in(sent, "model"), "test-model");
    json_decref(sent);
    svc_forget(&r);
    chat_end(&w);
    extractive_world(&w);
    r = chat(&w, body);
    assert_int_equal(r.status, 400);
    assert_string_equal(svc_text(&r, "error.param"), "messages");
    svc_forget(&r);
    chat_end(&w);
}

static void the_final_call_is_reserved_as_it_is_asked_for(void **state)
{
    fake_step steps[] = {{.body = AGENT}, {.body = AGENT}, {.body = GOOD}};
    chat_world w;
    chat_begin(&w, "custom", steps, 3);
    chat_run(&w);
    svc_reply r =
        chat(&w, ASK("sync-2", ONE_ROUND ",\"max_tokens\":100000,\"caps\":{\"tokens\":9000}"));
    if (r.status != 200) fail_msg("%d %s", r.status, r.body);
    assert_string_equal(svc_text(&r, "choices.0.message.content"), "It is Paris.");
    assert_int_equal(fake_requests(w.fake), 2); /* the third would not fit */
    svc_forget(&r);
    chat_end(&w);
}

static void a_final_answer_that_breaks_off_is_no_whole_answer(void **state)
{
    fake_step steps[] = {{.body = AGENT},
                         {.body = AGENT},
                         {.mode = FAKE_STREAM,
                          .body = DELTA("{\"content\":\"Par\"}", "null"),
                          .then = FAKE_THEN_CLOSE}};
    chat_world w;
    chat_begin(&w, "custom", steps, 3);
    chat_run(&w);
    svc_reply r = chat(&w, ASK("sync-2", ONE_ROUND ",\"stream\":true"));
    assert_int_equal(r.status, 200);
    heard *h = hear_all(r.body, false);
    assert_string_equal(h->content, "Par");
    assert_string_equal(h->error, "The final answer broke off.");
    assert_string_equal(h->finish, "");
    assert_false(h->done);
    forget_heard(h);
    svc_forget(&r);
    chat_end(&w);
}

/* ---- the asker answers ---- */

/* Nothing makes anybody move the second document. */
#define ASKER(bread, more)                                                                         \
    "{\"model\":\"sync-2\",\"messages\":[{\"role\":\"user\",\"content\":\"What is the capital of " \
    "France?\"}],\"documents\":[{\"text\":\"The capital of France is Paris.\"},{\"text\":\"" bread \
    "\"}],\"config\":{\"ask\":\"asker\"}" more "}"
#define BREAD  "Bread bakes slowly. "
#define STREAM ",\"stream\":true"

/* The deltas are those of the call whose text is the answer. */
static void an_asker_that_does_not_know_at_first_says_so_to_nobody(void **state)
{
    for (int streamed = 0; streamed < 2; streamed++) {
        fake_step steps[] = {{.body = SAYS("\"Unknown.\"")}, {.body = GOOD}, {.body = GOOD}};
        if (streamed)
            steps[1] = (fake_step){.mode = FAKE_STREAM,
                                   .body = DELTA("{\"content\":\"Par\"}", "null")
                                       DELTA("{\"content\":\"is.\"}", "null") STREAM_END};
        chat_world w;
        chat_begin(&w, "custom", steps, 3);
        chat_run(&w);
        for (int calls = 2; calls <= 3; calls++) { /* the second question's first call knows */
            svc_reply r = chat(&w, streamed ? ASKER(BREAD, STREAM) : ASKER(BREAD, ""));
            if (r.status != 200) fail_msg("%d %s", r.status, r.body);
            heard *h = streamed ? hear_all(r.body, false) : NULL;
            assert_string_equal(h ? h->content : svc_text(&r, "choices.0.message.content"),
                                "Paris.");
            assert_true(!h || h->done);
            assert_int_equal(fake_requests(w.fake), calls);
            if (h) forget_heard(h);
            svc_forget(&r);
        }
        chat_end(&w);
    }
}

#define BREAD10 BREAD BREAD BREAD BREAD BREAD BREAD BREAD BREAD BREAD BREAD
#define NO_ROOM ",\"caps\":{\"tokens\":1600}" /* for all that bread */

static void an_asker_that_cannot_be_asked_again_is_not_quoted(void **state)
{
    static const struct {
        const char *body, *said;
        int calls;
        fake_step second;
    } cases[] = {
        {ASKER(BREAD, ""), "The team abstains", 2, {.status = 400, .body = "{}"}},
        {ASKER(BREAD, STREAM), "The team abstains", 2, {.status = 400, .body = "{}"}},
        {ASKER(BREAD10 BREAD10 BREAD10 BREAD10 BREAD10 BREAD10 BREAD10 BREAD10, NO_ROOM),
         "The team abstains",
         1,
         {.body = GOOD}},
        {ASKER(BREAD, STREAM),
         "The final answer broke off.",
         2,
         {.mode = FAKE_STREAM,
          .body = DELTA("{\"content\":\"Par\"}", "null"),
          .then = FAKE_THEN_CLOSE}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const fake_step steps[] = {{.body = SAYS("\"Unknown.\"")}, cases[k].second};
        chat_world w;
        chat_begin(&w, "custom", steps, 2);
        chat_run(&w);
        svc_reply r = chat(&w, cases[k].body);
        assert_int_equal(r.status, 200);
        if (!strstr(r.body, cases[k].said)) fail_msg("case %zu: %s", k, r.body);
        assert_null(strstr(r.body, "Unknown."));
        assert_int_equal(fake_requests(w.fake), cases[k].calls);
        svc_forget(&r);
        chat_end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_final_call_alone_gets_tools_stop_and_format),
        cmocka_unit_test(the_writer_s_own_reasoning_is_told_with_the_rounds_alone),
        cmocka_unit_test(a_tool_call_of_the_final_call_comes_through),
        cmocka_unit_test(a_tool_s_result_skips_the_rounds),
        cmocka_unit_test(the_final_call_is_reserved_as_it_is_asked_for),
        cmocka_unit_test(a_final_answer_that_breaks_off_is_no_whole_answer),
        cmocka_unit_test(an_asker_that_does_not_know_at_first_says_so_to_nobody),
        cmocka_unit_test(an_asker_that_cannot_be_asked_again_is_not_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
