/* The evidence moves first, and then the asker alone is asked: what moves, how often it is asked,
 * and what stands in the reply when it knows, does not know, fails, or runs into a cap. */
#include "tests/serve/team.h"

static syn_round_config asker_alone(void)
{
    syn_round_config c = three_agents();
    c.ask = SYN_ASK_ASKER;
    return c;
}

static syn_round_call the_call(syn_round *r)
{
    syn_round_call call, more;
    assert_true(syn_round_next_call(r, &call));
    assert_false(syn_round_next_call(r, &more));
    assert_int_equal(call.purpose, SYN_CALL_FINAL);
    assert_int_equal(call.agent, 0);
    return call;
}

static const syn_round_reply *reply_of(syn_round *r)
{
    syn_status st;
    assert_true(syn_round_finished(r, &st));
    assert_int_equal(st, SYN_OK);
    return syn_round_result(r);
}

/* ---- how often it is asked ---- */

static void one_call_where_it_knows_from_what_has_moved(void **state)
{
    script s = {.sufficiency = .9f};
    plan(&s, SYN_SEND, 1, 0, 1);
    plan(&s, SYN_ANSWER, -1, -1, -1);
    syn_round_config c = asker_alone();
    c.agent[0].role = "historian";
    c.agent[0].context = "The film is of 1950.";
    syn_round *r = begin(&c, &s);
    const syn_round_call call = the_call(r);
    assert_false(call.last); /* the third document is still agent 3's */
    assert_non_null(strstr(call.user, "Jane Roe was born in Lyon."));
    assert_null(strstr(call.user, "Wales is a country."));
    assert_non_null(strstr(call.user, "The film is of 1950."));
    assert_non_null(strstr(call.system, "historian"));
    assert_int_equal(s.ended, 1);
    give(r, 101, &call, answer_json("Lyon", .8));
    const syn_round_reply *reply = reply_of(r);
    assert_string_equal(reply->short_answer, "Lyon");
    assert_string_equal(reply->final_answer, "It is Lyon.");
    assert_true(fabs(reply->confidence - .8) < 1e-9);
    assert_int_equal(reply->llm_calls, 1);
    assert_int_equal(reply->rounds, 1);
    assert_int_equal(reply->agents_used, 1);
    assert_int_equal(reply->messages, 1);
    assert_int_equal(reply->targeted_messages, 1);
    assert_true(reply->consensus_score == 1);
    assert_true(reply->convergence_achieved);
    assert_int_equal(reply->stopped_by, SYN_STOP_CONVERGED);
    assert_true(reply->answered_by != NULL && !reply->abstained);
    assert_true(reply->answers[0].support == 1);
    assert_true(reply->answers[0].weight == 1 && !reply->answers[1].given);
    syn_round_destroy(r);
}

static void nobody_is_called_while_items_move(void **state)
{
    script s = {.sufficiency = .2f, .pending = 1};
    plan(&s, SYN_NO_ACTION, -1, -1, -1);
    syn_round_config c = asker_alone();
    syn_round *r = begin(&c, &s);
    syn_round_call call;
    assert_false(syn_round_next_call(r, &call)); /* the decider is pending */
    assert_ok(syn_round_tick(r, 100.5));
    assert_true(s.legal[syn_action_index(SYN_ANSWER, -1, -1)]);
    assert_true(s.legal[syn_action_index(SYN_ABSTAIN, -1, -1)]);
    the_call(r);
    syn_round_destroy(r);
}

static void asking_one_alone_is_masked(void **state)
{
    script s = {.sufficiency = .2f};
    syn_decider d = decider_of(&s);
    d.alone = true;
    syn_round_config c = asker_alone();
    syn_round *r = NULL;
    assert_ok(syn_round_create(&c, &d, 100, &r));
    for (int i = 0; i < 3; i++) assert_false(s.legal[syn_action_index(SYN_ALONE, i, -1)]);
    assert_true(s.legal[syn_action_index(SYN_SEND, 1, 0)]);
    syn_round_destroy(r);
}

static void not_knowing_it_is_given_the_rest_and_asked_once_more(void **state)
{
    script s = {.sufficiency = .6f};
    plan(&s, SYN_SEND, 2, 0, 2);
    plan(&s, SYN_ABSTAIN, -1, -1, -1); /* not before the asker was asked */
    syn_round_config c = asker_alone();
    syn_round *r = begin(&c, &s);
    syn_round_call call = the_call(r);
    assert_null(strstr(call.user, "born in Lyon."));
    give(r, 101, &call, answer_json("unknown", .1));
    assert_false(syn_round_finished(r, NULL));
    call = the_call(r);
    assert_true(call.last);
    assert_int_equal(call.round, 2);
    assert_non_null(strstr(call.user, "born in Lyon."));
    give(r, 102, &call, answer_json("Lyon", .9));
    const syn_round_reply *reply = reply_of(r);
    assert_string_equal(reply->short_answer, "Lyon");
    assert_int_equal(reply->llm_calls, 2);
    assert_int_equal(reply->rounds, 2);
    assert_int_equal(reply->messages, 2);
    assert_int_equal(reply->targeted_messages, 2);
    assert_int_equal(reply->dialogue[1].agent, 1);
    assert_int_equal(reply->dialogue[1].to, 0);
    assert_true(reply->sufficiency < 0); /* the judge saw less than that */
    assert_true(fabs(reply->confidence - .9) < 1e-9);
    assert_int_equal(s.observed, 2);
    syn_round_destroy(r);
}

static void it_abstains_where_everything_does_not_tell(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = asker_alone();
    syn_round *r = begin(&c, &s);
    const syn_round_reply *reply = run_out(r, answer_json("unknown", .1));
    assert_true(reply->abstained && reply->answered_by == NULL);
    assert_int_equal(reply->stopped_by, SYN_STOP_ABSTAINED);
    assert_int_equal(reply->llm_calls, 2);
    assert_non_null(strstr(reply->missing, "the birthplace"));
    assert_false(reply->convergence_achieved);
    syn_round_destroy(r);
}

static void with_everything_at_hand_it_is_asked_once(void **state)
{
    script s = {.sufficiency = .9f};
    plan(&s, SYN_SEND, 1, 0, 1);
    plan(&s, SYN_BROADCAST, 2, -1, 2);
    syn_round_config c = asker_alone();
    syn_round *r = begin(&c, &s);
    const syn_round_call call = the_call(r);
    assert_true(call.last);
    give(r, 101, &call, answer_json("unknown", .1));
    assert_true(reply_of(r)->abstained);
    assert_int_equal(reply_of(r)->llm_calls, 1);
    syn_round_destroy(r);
}

static void one_round_is_one_call(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = asker_alone();
    c.rounds_max = 1;
    syn_round *r = begin(&c, &s);
    const syn_round_call call = the_call(r);
    assert_true(call.last);
    give(r, 101, &call, answer_json("unknown", .1));
    assert_true(reply_of(r)->abstained);
    assert_int_equal(reply_of(r)->messages, 0);
    syn_round_destroy(r);
}

static void without_gap_detection_it_is_given_everything_at_once(void **state)
{
    syn_round_config c = asker_alone();
    c.cognitive_gaps = false;
    syn_round *r = NULL;
    assert_ok(syn_round_create(&c, NULL, 100, &r));
    const syn_round_call call = the_call(r);
    assert_true(call.last);
    for (int k = 0; k < 3; k++) assert_non_null(strstr(call.user, documents[k].text));
    give(r, 101, &call, answer_json("Lyon", .8));
    const syn_round_reply *reply = reply_of(r);
    assert_int_equal(reply->targeted_messages, 2);
    assert_int_equal(reply->broadcast_messages, 0);
    assert_string_equal(reply->policy, "broadcast");
    assert_true(reply->sufficiency < 0);
    syn_round_destroy(r);
}

/* ---- plain text ---- */

static void a_verbatim_answer_stands_as_it_is(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = asker_alone();
    c.aggregator_is_model = c.final_verbatim = true;
    syn_round *r = begin(&c, &s);
    syn_round_call call = the_call(r);
    assert_non_null(strstr(call.system, "the one word unknown"));
    give(r, 101, &call, "Unknown.");
    call = the_call(r);
    assert_null(strstr(call.system, "the one word unknown"));
    give(r, 102, &call, "unknown"); /* it may be with the reader already */
    assert_string_equal(reply_of(r)->final_answer, "unknown");
    assert_false(reply_of(r)->abstained);
    syn_round_destroy(r);
    r = begin(&c, &s);
    call = the_call(r);
    give(r, 101, &call, ""); /* tool calls alone */
    assert_string_equal(reply_of(r)->final_answer, "");
    assert_int_equal(reply_of(r)->llm_calls, 1);
    syn_round_destroy(r);
}

/* ---- caps, deadline, failures ---- */

static void the_rest_is_given_as_far_as_the_message_cap_goes(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = asker_alone();
    c.messages_cap = 1;
    syn_round *r = begin(&c, &s);
    syn_round_call call = the_call(r);
    give(r, 101, &call, answer_json("unknown", .1));
    call = the_call(r);
    assert_true(call.last);
    assert_null(strstr(call.user, documents[2].text));
    give(r, 102, &call, answer_json("Lyon", .9));
    assert_int_equal(reply_of(r)->messages, 1);
    syn_round_destroy(r);
}

static void a_token_cap_without_room_for_the_second_call_ends_it(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = asker_alone();
    c.reply_tokens_max = 100;
    c.tokens_cap = 900;
    syn_round *r = begin(&c, &s);
    const syn_round_call call = the_call(r);
    const syn_call_result result = {
        .text = answer_json("unknown", .1), .prompt_tokens = 500, .completion_tokens = 100};
    assert_ok(syn_round_call_done(r, 101, call.id, &result));
    assert_true(reply_of(r)->abstained && reply_of(r)->capped);
    assert_int_equal(reply_of(r)->llm_calls, 1);
    syn_round_destroy(r);
}

static void a_token_cap_without_room_for_any_call_is_refused(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = asker_alone();
    c.tokens_cap = 10;
    syn_round *r = NULL;
    syn_decider d = decider_of(&s);
    assert_int_equal(syn_round_create(&c, &d, 100, &r), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "caps.tokens"));
    assert_int_equal(s.ended, 1);
}

static void a_call_that_fails_is_the_end(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = asker_alone();
    syn_status st;
    syn_round *r = begin(&c, &s);
    syn_round_call call = the_call(r);
    give(r, 101, &call, NULL);
    assert_true(syn_round_finished(r, &st));
    assert_int_equal(st, SYN_ERR_NETWORK);
    syn_round_destroy(r);
    r = begin(&c, &s);
    call = the_call(r);
    give(r, 101, &call, answer_json("unknown", .1));
    call = the_call(r);
    give(r, 102, &call, NULL);
    assert_true(reply_of(r)->abstained);
    assert_int_equal(reply_of(r)->agents_failed, 1);
    syn_round_destroy(r);
}

static void the_deadline_ends_it(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = asker_alone();
    c.timeout_s = 10;
    syn_round *r = begin(&c, &s);
    assert_int_equal(syn_round_tick(r, 110), SYN_ERR_LIMIT);
    syn_round_destroy(r);
    r = begin(&c, &s);
    const syn_round_call call = the_call(r);
    give(r, 105, &call, answer_json("unknown", .1));
    the_call(r);
    assert_ok(syn_round_tick(r, 110));
    assert_int_equal(reply_of(r)->stopped_by, SYN_STOP_DEADLINE);
    assert_string_equal(reply_of(r)->short_answer, "unknown");
    syn_round_destroy(r);
}

static void a_team_without_documents_is_refused(void **state)
{
    script s = {0};
    syn_round_config c = asker_alone();
    c.document_count = 0;
    syn_round *r = NULL;
    syn_decider d = decider_of(&s);
    assert_int_equal(syn_round_create(&c, &d, 100, &r), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "config.ask"));
}

/* ---- notices ---- */

static void the_notices_tell_what_happens(void **state)
{
    script s = {.sufficiency = .9f};
    plan(&s, SYN_SEND, 1, 0, 1);
    syn_round_config c = asker_alone();
    syn_round *r = begin(&c, &s);
    run_out(r, answer_json("unknown", .1));
    static const syn_notice_type told[] = {
        SYN_NOTICE_SESSION,        SYN_NOTICE_ROUND,          SYN_NOTICE_GAPS,
        SYN_NOTICE_MESSAGE,        SYN_NOTICE_MESSAGE, /* nothing is worth a message */
        SYN_NOTICE_AGENT_RESPONSE, SYN_NOTICE_CONVERGENCE,    SYN_NOTICE_ROUND,
        SYN_NOTICE_MESSAGE,        SYN_NOTICE_AGENT_RESPONSE, SYN_NOTICE_CONVERGENCE,
        SYN_NOTICE_FINAL_ANSWER};
    syn_notice n;
    for (int k = 0; k < (int)(sizeof told / sizeof *told); k++) {
        assert_true(syn_round_next_notice(r, &n));
        assert_int_equal(n.type, told[k]);
    }
    assert_false(syn_round_next_notice(r, &n));
    syn_round_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_where_it_knows_from_what_has_moved),
        cmocka_unit_test(nobody_is_called_while_items_move),
        cmocka_unit_test(asking_one_alone_is_masked),
        cmocka_unit_test(not_knowing_it_is_given_the_rest_and_asked_once_more),
        cmocka_unit_test(it_abstains_where_everything_does_not_tell),
        cmocka_unit_test(with_everything_at_hand_it_is_asked_once),
        cmocka_unit_test(one_round_is_one_call),
        cmocka_unit_test(without_gap_detection_it_is_given_everything_at_once),
        cmocka_unit_test(a_verbatim_answer_stands_as_it_is),
        cmocka_unit_test(the_rest_is_given_as_far_as_the_message_cap_goes),
        cmocka_unit_test(a_token_cap_without_room_for_the_second_call_ends_it),
        cmocka_unit_test(a_token_cap_without_room_for_any_call_is_refused),
        cmocka_unit_test(a_call_that_fails_is_the_end),
        cmocka_unit_test(the_deadline_ends_it),
        cmocka_unit_test(a_team_without_documents_is_refused),
        cmocka_unit_test(the_notices_tell_what_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
