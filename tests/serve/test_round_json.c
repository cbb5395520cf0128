/* What a round reports, as JSON. */
#include "tests/serve/team.h"

#include <jansson.h>

#include "serve/round_json.h"

/* ---- JSON ---- */

static void the_reply_has_every_field_of_the_contract(void **state)
{
    static const char *const keys[] = {"final_answer",
                                       "confidence",
                                       "num_rounds",
                                       "agents_used",
                                       "collaboration_metrics",
                                       "agent_responses",
                                       "dialogue_history",
                                       "usage",
                                       "answered_by",
                                       "policy",
                                       "mode",
                                       "abstained",
                                       "missing",
                                       "stopped_by",
                                       "agents_failed",
                                       "execution_time_seconds",
                                       "timestamp",
                                       "session_id"};
    static const char *const metrics[] = {
        "total_messages",          "broadcast_messages", "targeted_messages",    "consensus_score",
        "cognitive_gaps_detected", "information_gain",   "convergence_achieved", "final_entropy"};
    static const char *const usage[] = {"prompt_tokens", "completion_tokens", "total_tokens",
                                        "cost_usd"};
    script s = {.sufficiency = .9f};
    plan(&s, SYN_SEND, 1, 0, 1);
    syn_round_config c = three_agents();
    c.session_id = "s-1";
    c.agent[2].provider = "ollama";
    c.agent[2].model = "small";
    syn_round *r = begin(&c, &s);
    json_t *j = syn_reply_json(run_out(r, answer_json("Lyon", .9)));
    assert_non_null(j);
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        if (!json_object_get(j, keys[k])) fail_msg("no %s", keys[k]);
    for (size_t k = 0; k < sizeof metrics / sizeof *metrics; k++)
        assert_non_null(json_object_get(json_object_get(j, "collaboration_metrics"), metrics[k]));
    for (size_t k = 0; k < sizeof usage / sizeof *usage; k++)
        assert_non_null(json_object_get(json_object_get(j, "usage"), usage[k]));
    const json_t *entry = json_array_get(json_object_get(j, "dialogue_history"), 0);
    assert_int_equal(json_integer_value(json_object_get(entry, "agent_id")), 2);
    assert_int_equal(json_integer_value(json_object_get(entry, "to")), 1);
    assert_string_equal(json_string_value(json_object_get(entry, "timestamp")),
                        "2023-11-14T22:13:21.000Z");
    const json_t *response = json_array_get(json_object_get(j, "agent_responses"), 2);
    assert_int_equal(json_integer_value(json_object_get(response, "agent_id")), 3);
    assert_string_equal(json_string_value(json_object_get(response, "name")), "agent 3");
    assert_true(json_is_real(json_object_get(response, "contribution_score")));
    assert_string_equal(json_string_value(json_object_get(response, "provider")), "ollama");
    assert_string_equal(json_string_value(json_object_get(response, "model")), "small");
    response = json_array_get(json_object_get(j, "agent_responses"), 1);
    assert_true(json_is_null(json_object_get(response, "provider")));
    json_decref(j);
    syn_round_destroy(r);
}

/* Agents 1 to 3 are of m1 to m3, the aggregator is of m4. */
static json_t *reply_of_four_models(syn_action_kind last, const char *final_text)
{
    static const char *const models[] = {"m1", "m2", "m3", "m4"};
    script s = {.sufficiency = .9f};
    plan(&s, last, -1, -1, -1);
    syn_round_config c = three_agents();
    c.rounds_min = 1;
    for (int i = 0; i < 4; i++) {
        syn_round_agent *a = i < 3 ? &c.agent[i] : &c.aggregator;
        a->provider = "openai";
        a->model = models[i];
    }
    syn_round *r = begin(&c, &s);
    syn_round_call call;
    for (int i = 0; i < 3; i++) {
        assert_true(syn_round_next_call(r, &call));
        give(r, 101, &call, answer_json(i == 1 ? "Paris" : "Lyon", i == 2 ? .9 : .6));
    }
    if (syn_round_next_call(r, &call)) give(r, 102, &call, final_text);
    assert_non_null(syn_round_result(r));
    json_t *j = syn_reply_json(syn_round_result(r));
    syn_round_destroy(r);
    return j;
}

static void who_wrote_the_answer_is_said(void **state)
{
    json_t *j = reply_of_four_models(SYN_ANSWER, answer_json("Lyon", .9));
    const json_t *who = json_object_get(j, "answered_by");
    assert_string_equal(json_string_value(json_object_get(who, "provider")), "openai");
    assert_string_equal(json_string_value(json_object_get(who, "model")), "m4");
    json_decref(j);
    j = reply_of_four_models(SYN_ANSWER, NULL); /* the aggregator fails: the surest answer stands */
    who = json_object_get(j, "answered_by");
    assert_string_equal(json_string_value(json_object_get(who, "model")), "m3");
    json_decref(j);
    j = reply_of_four_models(SYN_ABSTAIN, NULL);
    assert_true(json_is_null(json_object_get(j, "answered_by")));
    json_decref(j);
}

static void notices_come_in_order_and_as_json(void **state)
{
    script s = {.sufficiency = .9f};
    plan(&s, SYN_SEND, 1, 0, 1);
    plan(&s, SYN_NO_ACTION, -1, -1, -1);
    plan(&s, SYN_ANSWER, -1, -1, -1);
    syn_round_config c = three_agents();
    syn_round *r = begin(&c, &s);
    const syn_round_reply *reply = run_out(r, answer_json("Lyon", .9));
    static const char *const expected[] = {
        "session",        "round",   "agent_response", "agent_response", "agent_response",
        "gaps",           "message", "message",        "convergence",    "round",
        "agent_response", "gaps",    "message",        "convergence",    "final_answer"};
    syn_notice n;
    for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
        assert_true(syn_round_next_notice(r, &n));
        json_t *j = syn_notice_json(&n, reply);
        assert_string_equal(json_string_value(json_object_get(j, "type")), expected[k]);
        if (k == 5) assert_int_equal(json_array_size(json_object_get(j, "gaps")), 3);
        if (k == 6) {
            assert_int_equal(json_integer_value(json_object_get(j, "from")), 2);
            assert_true(json_real_value(json_object_get(j, "probability")) == .75);
        }
        json_decref(j);
    }
    assert_false(syn_round_next_notice(r, &n));
    syn_round_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reply_has_every_field_of_the_contract),
        cmocka_unit_test(who_wrote_the_answer_is_said),
        cmocka_unit_test(notices_come_in_order_and_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
