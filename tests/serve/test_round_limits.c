/* The round where something fails, ends early, or comes in another mode; and what it reports. */
#include "tests/serve/team.h"

#include <jansson.h>

#include "serve/round_json.h"

/* ---- failures, deadlines, caps ---- */

static void a_failing_agent_weighs_nothing_and_one_survivor_suffices(void **state)
{
    script s = {.sufficiency = .9f};
    plan(&s, SYN_ANSWER, -1, -1, -1);
    syn_round_config c = three_agents();
    c.rounds_min = 1;
    syn_round *r = begin(&c, &s);
    syn_round_call call;
    for (int i = 0; i < 3; i++) {
        assert_true(syn_round_next_call(r, &call));
        give(r, 101, &call, i == 2 ? answer_json("Lyon", .8) : NULL);
    }
    const syn_round_reply *reply = run_out(r, NULL); /* the final call fails too */
    assert_string_equal(reply->final_answer, "It is Lyon.");
    assert_int_equal(reply->agents_failed, 3);
    assert_int_equal(reply->agents_used, 1);
    assert_true(reply->answers[0].weight == 0 && reply->answers[2].weight == 1);
    syn_round_destroy(r);
}

static void an_agent_that_answered_before_weighs_nothing_once_it_fails(void **state)
{
    script s = {.sufficiency = .9f};
    plan(&s, SYN_SEND, 0, 1, 0);
    plan(&s, SYN_NO_ACTION, -1, -1, -1);
    plan(&s, SYN_ANSWER, -1, -1, -1);
    syn_round_config c = three_agents();
    syn_round *r = begin(&c, &s);
    syn_round_call call;
    answer_all(r, 101, answer_json("Lyon", .8));
    assert_true(syn_round_next_call(r, &call));
    assert_int_equal(call.agent, 1);
    give(r, 102, &call, NULL);
    const syn_round_reply *reply = run_out(r, answer_json("Lyon", .8));
    assert_int_equal(reply->agents_failed, 2);
    assert_int_equal(reply->agents_used, 2);
    assert_true(reply->answers[1].weight == 0 && reply->answers[0].weight == .5);
    syn_round_destroy(r);
}

static void no_survivor_is_an_upstream_error(void **state)
{
    script s = {0};
    syn_round_config c = three_agents();
    syn_round *r = begin(&c, &s);
    answer_all(r, 101, NULL);
    syn_status st;
    assert_true(syn_round_finished(r, &st));
    assert_int_equal(st, SYN_ERR_NETWORK);
    syn_notice n;
    bool told = false;
    while (syn_round_next_notice(r, &n)) told = n.type == SYN_NOTICE_ERROR && n.agent < 0;
    assert_true(told); /* the last notice */
    syn_round_destroy(r);
}

static void the_deadline_aggregates_the_answers_so_far(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = three_agents();
    c.timeout_s = 10;
    syn_round *r = begin(&c, &s);
    syn_round_call calls[3];
    for (int i = 0; i < 3; i++) assert_true(syn_round_next_call(r, &calls[i]));
    give(r, 105, &calls[1], answer_json("Lyon", .8));
    assert_true(syn_round_wake_s(r) == 110);
    assert_ok(syn_round_tick(r, 109.9));
    assert_false(syn_round_finished(r, NULL));
    assert_ok(syn_round_tick(r, 110));
    const syn_round_reply *reply = syn_round_result(r);
    assert_non_null(reply);
    assert_int_equal(reply->stopped_by, SYN_STOP_DEADLINE);
    assert_string_equal(reply->final_answer, "It is Lyon.");
    assert_int_equal(reply->agents_failed, 5);
    give(r, 111, &calls[0], answer_json("Paris", .99)); /* late */
    assert_string_equal(syn_round_result(r)->final_answer, "It is Lyon.");
    assert_false(syn_round_next_call(r, &calls[0]));
    syn_round_destroy(r);
}

static void a_deadline_before_the_first_answer_is_an_error(void **state)
{
    script s = {0};
    syn_round_config c = three_agents();
    c.timeout_s = 10;
    syn_round *r = begin(&c, &s);
    assert_int_equal(syn_round_tick(r, 111), SYN_ERR_LIMIT);
    syn_round_destroy(r);
}

static void calls_that_do_not_fit_the_token_cap_are_not_made(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = three_agents();
    c.reply_tokens_max = 1000;
    c.tokens_cap = 3000; /* two calls of about 1500 */
    syn_round *r = begin(&c, &s);
    assert_int_equal(answer_all(r, 101, answer_json("Lyon", .8)), 3);
    const syn_round_reply *reply = run_out(r, answer_json("Lyon", .8));
    assert_int_equal(reply->stopped_by, SYN_STOP_CAP);
    assert_int_equal(reply->rounds, 1);
    assert_int_equal(reply->agents_failed, 0);
    assert_true(reply->prompt_tokens + reply->completion_tokens <= 3000);
    syn_round_destroy(r);
    c.tokens_cap = 100;
    assert_int_equal(
        syn_round_create(&c, &(syn_decider){script_observe, script_decide, &s, "t", 0}, 0, &r),
        SYN_ERR_LIMIT);
}

static void a_cost_cap_counts_and_refuses_unknown_prices(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = three_agents();
    c.cost_cap_usd = 1;
    c.agent[1].price_known = false;
    syn_decider d = decider_of(&s);
    syn_round *r = NULL;
    assert_int_equal(syn_round_create(&c, &d, 0, &r), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "caps.cost_usd"));
    c.agent[1].price_known = true;
    for (int i = 0; i < 3; i++) c.agent[i].completion_usd = .0004; /* a reply reserves .4 */
    assert_ok(syn_round_create(&c, &d, 0, &r));
    assert_int_equal(answer_all(r, 1, answer_json("Lyon", .8)), 3);
    const syn_round_reply *reply = run_out(r, answer_json("Lyon", .8));
    assert_int_equal(reply->stopped_by, SYN_STOP_CAP);
    assert_true(reply->cost_known && fabs(reply->cost_usd - 2 * 10 * .0004) < 1e-12);
    syn_round_destroy(r);
}

static void an_unknown_price_makes_the_cost_null(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = three_agents();
    c.agent[0].price_known = false;
    syn_round *r = begin(&c, &s);
    assert_false(run_out(r, answer_json("Lyon", .8))->cost_known);
    syn_round_destroy(r);
}

static void the_message_cap_masks_messages_and_ends_the_collaboration(void **state)
{
    script s = {.sufficiency = .2f};
    plan(&s, SYN_SEND, 1, 0, 1);
    syn_round_config c = three_agents();
    c.messages_cap = 1;
    syn_round *r = begin(&c, &s);
    const syn_round_reply *reply = run_out(r, answer_json("Lyon", .8));
    assert_int_equal(reply->messages, 1);
    for (int a = 0; a < syn_action_index(SYN_ANSWER, -1, -1); a++) assert_false(s.legal[a]);
    assert_int_equal(reply->stopped_by, SYN_STOP_CAP);
    syn_round_destroy(r);
}

static void a_request_needs_two_messages_under_the_cap(void **state)
{
    script s = {.sufficiency = .2f};
    syn_round_config c = three_agents();
    c.messages_cap = 1;
    syn_round *r = begin(&c, &s);
    answer_all(r, 101, answer_json("Lyon", .8));
    assert_true(s.legal[syn_action_index(SYN_SEND, 1, 0)]);
    assert_false(s.legal[syn_action_index(SYN_REQUEST, 0, 1)]);
    syn_round_destroy(r);
}

/* ---- modes ---- */

static void without_gap_detection_everybody_broadcasts_everything(void **state)
{
    syn_round_config c = three_agents();
    c.cognitive_gaps = false;
    syn_round *r = NULL;
    assert_ok(syn_round_create(&c, NULL, 100, &r));
    assert_int_equal(answer_all(r, 101, answer_json("Lyon", .8)), 7);
    assert_int_equal(answer_all(r, 101, answer_json("Lyon", .8)), 7);
    const syn_round_reply *reply = run_out(r, answer_json("Lyon", .8));
    assert_int_equal(reply->broadcast_messages, 3);
    assert_int_equal(reply->targeted_messages, 0);
    assert_int_equal(reply->gaps_detected, 0);
    assert_string_equal(reply->policy, "broadcast");
    assert_int_equal(reply->stopped_by, SYN_STOP_CONVERGED);
    assert_true(reply->sufficiency < 0); /* nobody judged it */
    syn_round_destroy(r);
}

static const char *claim_json(int agent, int round)
{
    static char text[512];
    snprintf(text, sizeof text,
             "{\"answer\": \"Blue.\", \"short_answer\": \"blue\", \"confidence\": 0.8, \"claims\": "
             "[\"Claim one of agent %d in round %d.\", \"Claim two of agent %d in round %d.\"]}",
             agent, round, agent, round);
    return text;
}

static void without_documents_claims_are_the_items_and_abstaining_is_masked(void **state)
{
    script s = {.sufficiency = .3f};
    plan(&s, SYN_BROADCAST, 1, -1, 2); /* agent 2's first claim */
    plan(&s, SYN_NO_ACTION, -1, -1, -1);
    syn_round_config c = three_agents();
    c.document_count = 0;
    syn_round *r = begin(&c, &s);
    syn_round_call call;
    for (int i = 0; i < 3; i++) {
        assert_true(syn_round_next_call(r, &call));
        give(r, 101, &call, claim_json(i, 1));
    }
    assert_int_equal(s.goal, SYN_GOAL_CONSENSUS);
    assert_true(syn_round_next_call(r, &call)); /* round 2: the two that heard something new */
    assert_int_equal(call.agent, 0);
    assert_non_null(strstr(call.user, "\"claim_of\":\"agent 2\""));
    assert_non_null(strstr(call.user, "Claim one of agent 1 in round 1."));
    give(r, 101, &call, claim_json(0, 2));
    const syn_round_reply *reply = run_out(r, claim_json(2, 2));
    assert_false(s.legal[syn_action_index(SYN_ABSTAIN, -1, -1)]);
    assert_false(reply->grounded);
    assert_int_equal(reply->stopped_by, SYN_STOP_CONVERGED); /* consensus, whatever sufficiency */
    syn_round_destroy(r);
}

static void analysis_asks_the_aggregator_for_the_partition(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = three_agents();
    c.task = SYN_TASK_ANALYSIS;
    c.aggregator_is_model = true;
    syn_round *r = begin(&c, &s);
    syn_round_call call;
    const char *shorts[] = {"it grew", "it became larger", "it shrank"};
    for (int i = 0; i < 3; i++) {
        assert_true(syn_round_next_call(r, &call));
        give(r, 101, &call, answer_json(shorts[i], .8));
    }
    assert_true(syn_round_next_call(r, &call));
    assert_int_equal(call.purpose, SYN_CALL_PARTITION);
    give(r, 102, &call, "Sure: {\"groups\": [[2, 1], [3]]}");
    const syn_answer *a = call.answers;
    assert_int_equal(a[0].cluster, a[1].cluster);
    assert_int_not_equal(a[0].cluster, a[2].cluster);
    syn_round_destroy(r);
}

static void calibration_is_applied_to_confidence(void **state)
{
    script s = {.sufficiency = .9f};
    syn_round_config c = three_agents();
    c.agent[1].calibration = 2;
    syn_round *r = begin(&c, &s);
    answer_all(r, 101, answer_json("Lyon", .9));
    const syn_round_reply *reply = run_out(r, answer_json("Lyon", .9));
    assert_true(fabs(reply->answers[0].confidence - .9) < 1e-9);
    assert_true(fabs(reply->answers[1].confidence - .75) < 1e-9); /* sqrt(9) = 3 to 1 */
    syn_round_destroy(r);
}

/* ---- pieces ---- */

static void long_documents_are_cut_and_the_nearest_pieces_kept(void **state)
{
    script s = {0};
    char *text = calloc(1, 1 << 20);
    for (int p = 0; p < 40; p++) {
        for (int w = 0; w < 100; w++) strcat(text, w % 10 == 9 ? "filler. " : "filler ");
        if (p % 2 == 0) strcat(text, "Amber Tide director born.");
        strcat(text, "\n\n");
    }
    syn_round_document d = {"long", NULL, text, 0};
    syn_round_config c = three_agents();
    c.documents = &d;
    c.document_count = 1;
    syn_round *r = begin(&c, &s);
    const syn_round_reply *reply = run_out(r, answer_json("Lyon", .9));
    assert_int_equal(reply->skipped_count, 8);
    for (int k = 0; k < 8; k++) {
        assert_string_equal(reply->skipped[k].document, "long");
        assert_int_equal(reply->skipped[k].part % 2, 0); /* parts count from 1: the fillers */
    }
    syn_round_destroy(r);
    free(text);
}

static void no_piece_is_longer_than_120_words(void **state)
{
    script s = {.sufficiency = .1f};
    char *text = calloc(1, 1 << 16);
    for (int w = 0; w < 900; w++)
        strcat(text, w % 50 == 49 ? "end. " : "word "); /* one paragraph */
    for (int w = 0; w < 300; w++) strcat(text, "run "); /* no sentence end */
    syn_round_document d = {"long", "T", text, 0};
    syn_round_config c = three_agents();
    c.documents = &d;
    c.document_count = 1;
    syn_round *r = begin(&c, &s);
    syn_round_call call;
    assert_true(syn_round_next_call(r, &call));
    const syn_team *team = call.team;
    int words = 0;
    for (int k = 0; k < team->piece_count; k++) {
        int n = 0;
        for (const char *p = team->items[k].text; *p; p++)
            n += *p != ' ' && (p[1] == ' ' || p[1] == 0);
        assert_in_range(n, 1, 120);
        words += n;
    }
    assert_int_equal(words, 1200);
    syn_round_destroy(r);
    free(text);
}

/* ---- limits of the config ---- */

static void a_config_out_of_range_is_refused_by_name(void **state)
{
    script s = {0};
    syn_decider d = decider_of(&s);
    for (int k = 0; k < 9; k++) {
        syn_round_config c = three_agents();
        syn_round_document nothing = {"x", "y", "", 0}, nobody = {"x", "y", "z", 8};
        const char *names[] = {"query",      "num_agents",  "max_rounds",
                               "min_rounds", "temperature", "documents",
                               "documents",  "convergence", "caps"};
        if (k == 0) c.question = " ";
        if (k == 1) c.agents = 11;
        if (k == 2) c.rounds_max = 21;
        if (k == 3) c.rounds_min = 6;
        if (k == 4) c.temperature = NAN;
        if (k == 5) c.documents = &nothing, c.document_count = 1;
        if (k == 6) c.documents = &nobody, c.document_count = 1;
        if (k == 7) c.convergence_threshold = 1.1;
        if (k == 8) c.tokens_cap = -1;
        syn_round *r = NULL;
        assert_int_equal(syn_round_create(&c, &d, 0, &r), SYN_ERR_INVALID);
        assert_null(r);
        if (!strstr(syn_error_text(), names[k])) fail_msg("%s: %s", names[k], syn_error_text());
    }
}

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
    json_decref(j);
    syn_round_destroy(r);
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

/* ---- the rule ---- */

static void the_rule_sends_the_nearest_pieces_to_the_asker_then_answers(void **state)
{
    syn_decider d;
    syn_round *r = NULL;
    syn_round_config c = three_agents();
    assert_ok(syn_decider_rule(.1, &d));
    assert_ok(syn_round_create(&c, &d, 100, &r));
    const syn_round_reply *reply = run_out(r, answer_json("Lyon", .9));
    assert_string_equal(reply->policy, "rule");
    assert_int_equal(reply->messages, 1); /* Jane Roe's, and not the one on Wales */
    assert_int_equal(reply->dialogue[0].agent, 1);
    assert_int_equal(reply->dialogue[0].to, 0);
    assert_int_equal(reply->stopped_by, SYN_STOP_CONVERGED);
    assert_true(reply->sufficiency > .99);
    syn_round_destroy(r);
    syn_decider_rule_free(&d);
}

static void the_rule_does_not_send_what_the_asker_holds(void **state)
{
    syn_round_document shared[2] = {documents[0], documents[1]};
    shared[0].agents = 3; /* both hold it */
    shared[1].agents = 2;
    syn_decider d;
    syn_round *r = NULL;
    syn_round_config c = three_agents();
    c.agents = 2;
    c.documents = shared;
    c.document_count = 2;
    assert_ok(syn_decider_rule(.1, &d));
    assert_ok(syn_round_create(&c, &d, 100, &r));
    assert_int_equal(run_out(r, answer_json("Lyon", .9))->messages, 1);
    syn_round_destroy(r);
    syn_decider_rule_free(&d);
}

/* ---- random collaborations ---- */

static syn_status random_decide(void *user, const syn_team *team, const syn_team_gaps *seen,
                                syn_decision *out)
{
    syn_rng *rng = user;
    int legal[SYN_ACTIONS_MAX], n = 0;
    for (int a = 0; a < SYN_ACTIONS_MAX; a++)
        if (team->legal[a]) legal[n++] = a;
    if (n == 0) return SYN_OK;
    syn_action action = syn_action_of(legal[syn_rng_below(rng, (uint32_t)n)]);
    uint64_t items = 0;
    if (action.kind == SYN_SEND) items = syn_team_givable(team, action.from, action.to);
    if (action.kind == SYN_REQUEST) items = syn_team_requestable(team, action.from, action.to);
    if (action.kind == SYN_BROADCAST) items = syn_team_broadcastable(team, action.from);
    *out = (syn_decision){
        (syn_action_kind)action.kind,        action.from, action.to,
        items ? __builtin_ctzll(items) : -1, .5f,         syn_rng_below(rng, 8) == 0};
    return SYN_OK;
}

static syn_status random_observe(void *user, const syn_team *team, syn_team_gaps *out)
{
    out->sufficiency = syn_rng_uniform(user);
    for (int i = 0; i < team->agents; i++) {
        assert_int_equal(team->own[i] & ~team->holds[i], 0);
        assert_int_equal(team->holds[i] >> 1 >> (team->item_count - 1), 0);
    }
    return SYN_OK;
}

static void random_teams_always_end_with_sound_figures(void **state)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        syn_rng rng = syn_rng_make(seed, SYN_STREAM_TEST);
        syn_decider d = {random_observe, random_decide, &rng, "trained", seed % 2 == 0};
        syn_round_config c = three_agents();
        c.agents = 2 + (int)syn_rng_below(&rng, 9);
        c.rounds_max = 1 + (int)syn_rng_below(&rng, 20);
        if (syn_rng_below(&rng, 2)) c.document_count = 0;
        if (syn_rng_below(&rng, 4) == 0) c.messages_cap = 1 + (int)syn_rng_below(&rng, 9);
        c.cognitive_gaps = syn_rng_below(&rng, 5) > 0;
        syn_round *r = NULL;
        assert_ok(syn_round_create(&c, &d, 0, &r));
        int calls = 0;
        for (int k = 0; k < 5000 && !syn_round_finished(r, NULL); k++) {
            syn_round_call call;
            if (!syn_round_next_call(r, &call))
                assert_ok(syn_round_tick(r, k * 1e-3));
            else
                give(r, k * 1e-3, &call,
                     calls++ > 0 && syn_rng_below(&rng, 10) == 0
                         ? NULL
                         : claim_json(call.agent, call.round * 100 + (int)syn_rng_below(&rng, 50)));
        }
        syn_status st;
        assert_true(syn_round_finished(r, &st));
        const syn_round_reply *reply = syn_round_result(r);
        assert_int_equal(reply != NULL, st == SYN_OK);
        if (reply) {
            double sum = 0;
            for (int i = 0; i < c.agents; i++) sum += reply->answers[i].weight;
            assert_true(fabs(sum - 1) < 1e-9 || reply->agents_used == 0);
            assert_true(reply->final_entropy >= 0 && reply->final_entropy <= 1 + 1e-9);
            assert_true(reply->confidence >= 0 && reply->confidence <= 1);
            assert_int_equal(reply->messages, reply->broadcast_messages + reply->targeted_messages);
            if (c.messages_cap > 0) assert_true(reply->messages <= c.messages_cap);
            assert_true(*reply->final_answer);
        }
        syn_round_destroy(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_agent_weighs_nothing_and_one_survivor_suffices),
        cmocka_unit_test(an_agent_that_answered_before_weighs_nothing_once_it_fails),
        cmocka_unit_test(no_survivor_is_an_upstream_error),
        cmocka_unit_test(the_deadline_aggregates_the_answers_so_far),
        cmocka_unit_test(a_deadline_before_the_first_answer_is_an_error),
        cmocka_unit_test(calls_that_do_not_fit_the_token_cap_are_not_made),
        cmocka_unit_test(a_cost_cap_counts_and_refuses_unknown_prices),
        cmocka_unit_test(an_unknown_price_makes_the_cost_null),
        cmocka_unit_test(the_message_cap_masks_messages_and_ends_the_collaboration),
        cmocka_unit_test(a_request_needs_two_messages_under_the_cap),
        cmocka_unit_test(without_gap_detection_everybody_broadcasts_everything),
        cmocka_unit_test(without_documents_claims_are_the_items_and_abstaining_is_masked),
        cmocka_unit_test(analysis_asks_the_aggregator_for_the_partition),
        cmocka_unit_test(calibration_is_applied_to_confidence),
        cmocka_unit_test(long_documents_are_cut_and_the_nearest_pieces_kept),
        cmocka_unit_test(no_piece_is_longer_than_120_words),
        cmocka_unit_test(a_config_out_of_range_is_refused_by_name),
        cmocka_unit_test(the_reply_has_every_field_of_the_contract),
        cmocka_unit_test(notices_come_in_order_and_as_json),
        cmocka_unit_test(the_rule_sends_the_nearest_pieces_to_the_asker_then_answers),
        cmocka_unit_test(the_rule_does_not_send_what_the_asker_holds),
        cmocka_unit_test(random_teams_always_end_with_sound_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
