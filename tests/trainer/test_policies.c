/* Policies side by side: the episodes are the same for all, and each does what its name says. */
#include "tests/trainer/policy_world.h"
#include "trainer/metrics.h"

/* ---- The same episodes for all ---- */

static void all_policies_play_the_same_episodes_whatever_their_number(void **state)
{
    static syn_episode_result r[EPISODES];
    for (int goal = 0; goal < 2; goal++) {
        syn_play p = play_make(goal);
        for (int kind = 0; kind < SYN_POLICY_COUNT; kind++) {
            play_on(&p, kind, count_of(kind), r);
            for (int64_t n = 0; n < count_of(kind); n++) {
                syn_env e = opening(&p, n);
                assert_int_equal(r[n].record, e.task / 2);
                assert_int_equal(r[n].stratum, e.stratum);
                assert_int_equal(r[n].agents, e.agents);
                assert_int_equal(r[n].answerable, e.stratum != 2);
            }
        }
    }
}

static void equal_seeds_give_equal_results_and_others_do_not(void **state)
{
    static syn_episode_result a[EPISODES], b[EPISODES];
    for (int kind = 0; kind < SYN_POLICY_COUNT; kind++) {
        syn_play p = play_make(SYN_GOAL_ASKER);
        const int64_t n = count_of(kind);
        p.sample = true;
        play_on(&p, kind, n, a);
        play_on(&p, kind, n, b);
        results_assert_equal(a, b, n);
        p.seed++;
        play_on(&p, kind, n, b);
        int64_t differ = 0;
        for (int64_t i = 0; i < n; i++) differ += a[i].record != b[i].record;
        assert_true(differ > n / 2);
    }
}

/* Episode 5 is episode 5, however many are played beside it. */
static void an_episode_does_not_depend_on_its_neighbours(void **state)
{
    static syn_episode_result many[EPISODES], few[FEW];
    const int kinds[] = {SYN_POLICY_RANDOM, SYN_POLICY_ROUND_ROBIN_RANKER, SYN_POLICY_COSINE_PUSH};
    for (int k = 0; k < 3; k++) {
        syn_play p = play_make(SYN_GOAL_CONSENSUS);
        play_on(&p, kinds[k], EPISODES, many);
        play_on(&p, kinds[k], FEW, few);
        results_assert_equal(many, few, FEW);
    }
}

/* ---- What holds for every policy ---- */

static void a_return_is_what_its_messages_and_its_end_are_worth(void **state)
{
    static syn_episode_result r[EPISODES];
    for (int goal = 0; goal < 2; goal++)
        for (int kind = 0; kind < SYN_POLICY_COUNT; kind++) {
            syn_play p = play_make(goal);
            play_on(&p, kind, count_of(kind), r);
            for (int64_t n = 0; n < count_of(kind); n++) {
                const syn_episode_result *x = &r[n];
                bool right = x->abstained && !x->answerable;
                double end = x->success ? 20 : right ? 10 : -10;
                double cost = 0.5 * x->messages + 0.1 * x->deliveries + 0.05 * x->turns;
                assert_true(fabs((double)x->episode_return - (end - cost)) < 1e-3);
                assert_true(x->turns >= 1 && x->turns <= opening(&p, n).turns_max);
                assert_true(x->answerable || !x->success);
                assert_true(x->requests <= x->moves && x->moves < x->turns + !x->ended);
                assert_true(is_learned(kind) || x->ended); /* in the last turn they all answer */
            }
        }
}

/* ---- One by one ---- */

static void never_answers_at_once(void **state)
{
    static syn_episode_result r[EPISODES];
    const int kinds[] = {SYN_POLICY_NEVER, SYN_POLICY_NEVER_RANKER};
    for (int k = 0; k < 2; k++) {
        syn_play p = play_make(SYN_GOAL_ASKER);
        play_on(&p, kinds[k], EPISODES, r);
        for (int64_t n = 0; n < EPISODES; n++) {
            assert_true(r[n].turns == 1 && r[n].messages == 0 && r[n].deliveries == 0);
            assert_int_equal(r[n].success, r[n].stratum == 0);
        }
    }
}

static void the_oracle_succeeds_wherever_it_can_and_wastes_nothing(void **state)
{
    static syn_episode_result r[EPISODES];
    for (int goal = 0; goal < 2; goal++) {
        syn_play p = play_make(goal);
        play_on(&p, SYN_POLICY_ORACLE, EPISODES, r);
        for (int64_t n = 0; n < EPISODES; n++) {
            syn_env e = opening(&p, n);
            assert_int_equal(r[n].success, r[n].answerable);
            assert_int_equal(r[n].abstained, !r[n].answerable);
            int lacking = syn_popcount(e.gold & ~e.memory[0]);
            if (goal == SYN_GOAL_ASKER)
                assert_int_equal(r[n].messages, e.stratum == 2 ? 0 : lacking);
            else
                assert_true(r[n].messages <= syn_popcount(e.gold));
        }
        syn_policy_summary s = syn_policy_summarise(r, EPISODES);
        assert_true(s.success == 1 && s.success_answerable == 1);
        assert_true(s.abstain_precision == 1 && s.abstain_recall == 1);
    }
}

/* Each piece of the others travels once, and then the asker holds everything. */
static void round_robin_gives_the_asker_everything(void **state)
{
    static syn_episode_result r[EPISODES];
    const int kinds[] = {SYN_POLICY_ROUND_ROBIN, SYN_POLICY_ROUND_ROBIN_RANKER};
    for (int k = 0; k < 2; k++) {
        syn_play p = play_make(SYN_GOAL_ASKER);
        play_on(&p, kinds[k], EPISODES, r);
        for (int64_t n = 0; n < EPISODES; n++) {
            syn_env e = opening(&p, n);
            assert_int_equal(r[n].success, r[n].answerable);
            assert_int_equal(r[n].messages, syn_popcount(e.present & ~e.memory[0]));
            assert_int_equal(r[n].deliveries, r[n].messages);
            assert_int_equal(r[n].turns, r[n].messages + 1);
        }
    }
}

static void ending_by_itself_is_round_robin_that_stops_in_time(void **state)
{
    static syn_episode_result whole[EPISODES], r[EPISODES];
    syn_play p = play_make(SYN_GOAL_ASKER);
    int64_t fewer = 0;
    play_on(&p, SYN_POLICY_ROUND_ROBIN, EPISODES, whole);
    play_on(&p, SYN_POLICY_ROUND_ROBIN_AUTO_END, EPISODES, r);
    for (int64_t n = 0; n < EPISODES; n++) {
        assert_int_equal(r[n].success, whole[n].success);
        assert_true(r[n].messages <= whole[n].messages);
        fewer += r[n].messages < whole[n].messages;
        if (r[n].stratum == 0) assert_int_equal(r[n].messages, 0);
    }
    assert_true(fewer > EPISODES / 2);
}

/* Every piece is said to all once, and then all know all. */
static void broadcast_tells_everybody_everything_once(void **state)
{
    static syn_episode_result r[EPISODES];
    const int kinds[] = {SYN_POLICY_BROADCAST, SYN_POLICY_BROADCAST_RANKER};
    for (int k = 0; k < 2; k++)
        for (int goal = 0; goal < 2; goal++) {
            syn_play p = play_make(goal);
            play_on(&p, kinds[k], EPISODES, r);
            for (int64_t n = 0; n < EPISODES; n++) {
                syn_env e = opening(&p, n);
                const int pieces = syn_popcount(e.present);
                assert_int_equal(r[n].success, r[n].answerable);
                assert_int_equal(r[n].messages, pieces);
                assert_int_equal(r[n].deliveries, pieces * (e.agents - 1));
            }
        }
}

/* What the others hold that is like enough to the question goes to the asker, the rest stays. */
static void cosine_push_sends_what_is_above_the_threshold(void **state)
{
    static syn_episode_result r[EPISODES];
    syn_play p = play_make(SYN_GOAL_ASKER);
    int64_t silent = 0;
    play_on(&p, SYN_POLICY_COSINE_PUSH, EPISODES, r);
    for (int64_t n = 0; n < EPISODES; n++) {
        syn_env e = opening(&p, n);
        int worth = 0;
        const real *quest = w.corpus.tasks.quest + (int64_t)e.task * SYN_TASK_QUEST;
        for (int row = 0; row < R; row++)
            worth += ((e.present & ~e.memory[0]) >> row & 1) &&
                     quest[row * SYN_DQ + SYN_Q_COSINE] >= 3 * 0.10f;
        assert_int_equal(r[n].messages, worth);
        silent += worth < syn_popcount(e.present & ~e.memory[0]);
    }
    assert_true(silent > EPISODES / 4);
}

static void random_does_a_bit_of_everything(void **state)
{
    static syn_episode_result r[EPISODES];
    syn_play p = play_make(SYN_GOAL_ASKER);
    play_on(&p, SYN_POLICY_RANDOM, EPISODES, r);
    syn_policy_summary s = syn_policy_summarise(r, EPISODES);
    assert_true(s.messages > 1 && s.request_share > 0.1 && s.request_share < 0.9);
    assert_true(s.abstain_recall > 0 && s.success > 0 && s.success < 1);
}

static void without_requests_none_is_made(void **state)
{
    syn_episode_result r[FEW];
    syn_play p = play_make(SYN_GOAL_ASKER);
    int requests = 0, moves = 0;
    p.sample = true;
    play_on(&p, SYN_POLICY_LEARNED, FEW, r);
    for (int n = 0; n < FEW; n++) requests += r[n].requests;
    assert_true(requests > 0);
    play_on(&p, SYN_POLICY_LEARNED_NO_REQUEST, FEW, r);
    for (int n = 0; n < FEW; n++) {
        assert_int_equal(r[n].requests, 0);
        moves += r[n].moves;
    }
    assert_true(moves > 0);
}

static void a_bias_to_stop_ends_the_learned_policy_at_once(void **state)
{
    syn_episode_result r[FEW];
    syn_play p = play_make(SYN_GOAL_ASKER);
    p.stop_bias = 1e6f;
    play_on(&p, SYN_POLICY_LEARNED, FEW, r);
    for (int n = 0; n < FEW; n++)
        assert_true(r[n].turns == 1 && r[n].success == (r[n].stratum == 0));
    p.abstain_bias = 2e6f;
    play_on(&p, SYN_POLICY_LEARNED, FEW, r);
    for (int n = 0; n < FEW; n++) assert_true(r[n].turns == 1 && r[n].abstained);
}

/* It would pass pieces around until its time is over; in time, it chooses an end in the last turn.
 */
static void in_time_the_last_turn_is_an_end(void **state)
{
    syn_episode_result late[FEW], r[FEW];
    syn_play p = play_make(SYN_GOAL_ASKER);
    int timed_out = 0;
    p.stop_bias = p.abstain_bias = -1e6f;
    p.env.turns_max = 5;
    play_on(&p, SYN_POLICY_LEARNED, FEW, late);
    p.stop_in_time = true;
    play_on(&p, SYN_POLICY_LEARNED, FEW, r);
    for (int n = 0; n < FEW; n++) {
        timed_out += !late[n].ended;
        assert_true(r[n].ended && r[n].turns <= 5);
        assert_true(late[n].ended || r[n].moves == 4);
    }
    assert_true(timed_out > FEW / 2);
}

/* States on the way: at the opening of episode 0 the gap of the asker is the label. */
static void a_trace_keeps_the_gaps_that_were_met(void **state)
{
    syn_episode_result r[FEW];
    syn_scored gap[25];
    syn_play p = play_make(SYN_GOAL_ASKER);
    syn_play_trace trace = {gap, 0, 25};
    memset(gap, 0x55, sizeof gap);
    assert_ok(syn_play_policy(&p, SYN_POLICY_LEARNED, 10, r, &trace));
    assert_in_range(trace.count, 10, 25);
    for (int n = 0; n < 10; n++) {
        syn_env e = opening(&p, n);
        assert_int_equal(gap[n].label, (e.gold & ~e.memory[0]) != 0);
        assert_int_equal(gap[n].group, e.task / 2);
        assert_true(isfinite((double)gap[n].logit));
    }
}

/* ---- Summaries, refusals ---- */

static void a_summary_is_as_counted_by_hand(void **state)
{
    const syn_episode_result r[] = {
        /* record, return, messages, deliveries, turns, agents, requests, moves,
         * success, answerable, abstained, ended, stratum */
        {0, 18, 2, 3, 4, 5, 1, 2, 1, 1, 0, 1, 1},
        {1, -11, 1, 1, 2, 5, 0, 1, 0, 1, 1, 1, 1},
        {2, 9, 1, 4, 2, 5, 0, 1, 0, 0, 1, 1, 2},
        {3, -14, 6, 6, 20, 5, 1, 4, 0, 0, 0, 0, 2},
    };
    syn_policy_summary s = syn_policy_summarise(r, 4);
    assert_true(fabs(s.episode_return - 0.5) < 1e-9);
    assert_true(s.success == 0.5 &&
                s.success_answerable == 0.5); /* to abstain rightly is one, too */
    assert_true(s.abstain_precision == 0.5 && s.abstain_recall == 0.5);
    assert_true(s.messages == 2.5 && s.deliveries == 3.5 && s.ended == 0.75 && s.turns == 7);
    assert_true(s.request_share == 0.25 && s.episodes == 4);
    s = syn_policy_summarise(r, 0);
    assert_true(s.episode_return == 0 && s.success == 0 && s.abstain_precision == 0);
}

static void every_policy_has_a_name_of_its_own(void **state)
{
    for (int a = 0; a < SYN_POLICY_COUNT; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(syn_policy_name((syn_policy_kind)a),
                                    syn_policy_name((syn_policy_kind)b));
    assert_string_equal(syn_policy_name(SYN_POLICY_ROUND_ROBIN_RANKER), "round_robin+ranker");
}

static void what_a_policy_needs_and_has_not_is_refused(void **state)
{
    syn_episode_result r[1];
    syn_play p = play_make(SYN_GOAL_ASKER);
    p.control = NULL;
    assert_int_equal(syn_play_policy(&p, SYN_POLICY_LEARNED, 1, r, NULL), SYN_ERR_INVALID);
    assert_ok(syn_play_policy(&p, SYN_POLICY_RANDOM_RANKER, 1, r, NULL));
    p.perception = NULL;
    assert_int_equal(syn_play_policy(&p, SYN_POLICY_RANDOM_RANKER, 1, r, NULL), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "random+ranker"));
    assert_ok(syn_play_policy(&p, SYN_POLICY_RANDOM, 1, r, NULL));
    assert_int_equal(syn_play_policy(&p, SYN_POLICY_RANDOM, 0, r, NULL), SYN_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_policies_play_the_same_episodes_whatever_their_number),
        cmocka_unit_test(equal_seeds_give_equal_results_and_others_do_not),
        cmocka_unit_test(an_episode_does_not_depend_on_its_neighbours),
        cmocka_unit_test(a_return_is_what_its_messages_and_its_end_are_worth),
        cmocka_unit_test(never_answers_at_once),
        cmocka_unit_test(the_oracle_succeeds_wherever_it_can_and_wastes_nothing),
        cmocka_unit_test(round_robin_gives_the_asker_everything),
        cmocka_unit_test(ending_by_itself_is_round_robin_that_stops_in_time),
        cmocka_unit_test(broadcast_tells_everybody_everything_once),
        cmocka_unit_test(cosine_push_sends_what_is_above_the_threshold),
        cmocka_unit_test(random_does_a_bit_of_everything),
        cmocka_unit_test(without_requests_none_is_made),
        cmocka_unit_test(a_bias_to_stop_ends_the_learned_policy_at_once),
        cmocka_unit_test(in_time_the_last_turn_is_an_end),
        cmocka_unit_test(a_trace_keeps_the_gaps_that_were_met),
        cmocka_unit_test(a_summary_is_as_counted_by_hand),
        cmocka_unit_test(every_policy_has_a_name_of_its_own),
        cmocka_unit_test(what_a_policy_needs_and_has_not_is_refused),
    };
    return cmocka_run_group_tests_name("test_policies", tests, setup, teardown);
}
