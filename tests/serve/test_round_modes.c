/* The ways in which a round is run: without gap detection, without documents, other tasks, long
 * documents, the rule; and what the agents are told. */
#include "tests/serve/team.h"

#include <malloc.h>

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

/* ---- memory ---- */

static const char *lengthy_json(const syn_round_call *call)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "{\"answer\": \"The director of Amber Tide is Jane Roe, who was born in Lyon, "
             "according to all the evidence that my teammates and I have seen in round %d.\", "
             "\"short_answer\": \"Lyon\", \"confidence\": 0.85, \"claims\": [\"Jane Roe directed "
             "Amber Tide, says agent %d in round %d.\", \"Amber Tide was shot in Nantes, agent %d "
             "found in round %d.\"], \"need\": \"the birthplace of the director\"}",
             call->round, call->agent, call->round, call->agent, call->round);
    return text;
}

static void a_collaboration_takes_little_memory(void **state)
{
    script s = {.sufficiency = .5f};
    syn_round_document six[6];
    syn_round_config c = three_agents();
    for (int k = 0; k < 6; k++)
        six[k] = (syn_round_document){
            .title = "Amber Tide",
            .text = "Amber Tide is a 1987 drama film directed by Jane Roe. It was shot in the "
                    "harbour of Nantes over eleven weeks, and follows two sisters who inherit a "
                    "shipyard and have to decide whether to sell it to a rival."};
    c.documents = six;
    c.document_count = 6;
    c.rounds_max = 4;
    for (int k = 0; k < 4; k++) {
        plan(&s, SYN_BROADCAST, k % 3, -1, k);
        plan(&s, SYN_NO_ACTION, -1, -1, -1);
    }
    const size_t before = mallinfo2().uordblks;
    syn_round *r = begin(&c, &s);
    size_t most = 0;
    while (!syn_round_finished(r, NULL)) {
        syn_round_call call[3];
        syn_notice n;
        int open = 0;
        while (syn_round_next_call(r, &call[open])) open++;
        const size_t now = mallinfo2().uordblks - before;
        if (now > most) most = now;
        for (int k = 0; k < open; k++) give(r, 101, &call[k], lengthy_json(&call[k]));
        while (syn_round_next_notice(r, &n)) continue;
    }
    assert_int_equal(syn_round_result(r)->rounds, 4);
    syn_round_destroy(r);
    if (most == 0) skip(); /* the sanitizers keep their own heap */
    assert_in_range(most, 1, 40 * 1024);
}

/* A decider that judges nothing leaves it to the answers when to stop, and how sure to be. */
static void without_a_judgement_the_answers_count(void **state)
{
    const struct {
        float sufficiency;
        syn_stop stopped_by;
        bool sure;
    } cases[] = {{-1, SYN_STOP_CONVERGED, true}, {.1f, SYN_STOP_DEADLOCK, false}};
    for (int k = 0; k < 2; k++) {
        script s = {.sufficiency = cases[k].sufficiency}; /* always NO_ACTION */
        const syn_round_config c = three_agents();
        syn_round *r = begin(&c, &s);
        const syn_round_reply *reply = run_out(r, answer_json("Lyon", .9));
        assert_int_equal(reply->stopped_by, cases[k].stopped_by);
        assert_int_equal(reply->convergence_achieved, cases[k].sure);
        assert_int_equal(reply->confidence > .9, cases[k].sure);
        assert_true(reply->sufficiency == (double)cases[k].sufficiency);
        syn_round_destroy(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_gap_detection_everybody_broadcasts_everything),
        cmocka_unit_test(without_documents_claims_are_the_items_and_abstaining_is_masked),
        cmocka_unit_test(analysis_asks_the_aggregator_for_the_partition),
        cmocka_unit_test(calibration_is_applied_to_confidence),
        cmocka_unit_test(long_documents_are_cut_and_the_nearest_pieces_kept),
        cmocka_unit_test(no_piece_is_longer_than_120_words),
        cmocka_unit_test(the_rule_sends_the_nearest_pieces_to_the_asker_then_answers),
        cmocka_unit_test(the_rule_does_not_send_what_the_asker_holds),
        cmocka_unit_test(a_collaboration_takes_little_memory),
        cmocka_unit_test(without_a_judgement_the_answers_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
