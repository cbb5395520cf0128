/* Paths: played once, they give what playing with each rule of stopping gives; and each rule stops
 * where its name says. */
#include "tests/trainer/policy_world.h"
#include "trainer/policies_path.h"

static const syn_stop_bias biases[] = {{0, 0}, {3, 0}, {-1, 2}, {-3, -3}, {-8, -1}, {-8, -8}};
enum { BIASES = sizeof biases / sizeof *biases };

/* ---- The same as playing ---- */

static void a_path_to_its_end_is_the_scripted_policy(void **state)
{
    static syn_episode_result played[EPISODES];
    const int kinds[] = {SYN_POLICY_BROADCAST,          SYN_POLICY_ROUND_ROBIN,
                         SYN_POLICY_COSINE_PUSH,        SYN_POLICY_BROADCAST_RANKER,
                         SYN_POLICY_ROUND_ROBIN_RANKER, SYN_POLICY_COSINE_PUSH_RANKER};
    for (int k = 0; k < 6; k++)
        for (int goal = 0; goal < 2; goal++) {
            syn_play p = play_make(goal);
            syn_paths paths;
            play_on(&p, kinds[k], EPISODES, played);
            assert_ok(
                syn_play_paths(&p, (syn_policy_kind)kinds[k], false, NULL, 0, EPISODES, &paths));
            for (int64_t n = 0; n < EPISODES; n++) {
                syn_path_stop end = {paths.path[n].rows - 1, false};
                syn_episode_result r = syn_path_result(&paths, n, end);
                results_assert_equal(&r, &played[n], 1);
            }
            syn_paths_free(&paths);
        }
}

/* Any bias: one path of the learned policy tells how it would have played with it. */
static void one_path_gives_every_bias(void **state)
{
    static syn_episode_result played[FEW];
    for (int goal = 0; goal < 2; goal++) {
        syn_play p = play_make(goal);
        syn_paths paths;
        int64_t ends[BIASES] = {0};
        p.stop_in_time = true;
        assert_ok(syn_play_paths(&p, SYN_POLICY_LEARNED, true, biases, BIASES, FEW, &paths));
        for (int k = 0; k < BIASES; k++) {
            p.stop_bias = biases[k].answer;
            p.abstain_bias = biases[k].abstain;
            play_on(&p, SYN_POLICY_LEARNED, FEW, played);
            for (int64_t n = 0; n < FEW; n++) {
                syn_episode_result r =
                    syn_path_result(&paths, n, syn_stop_biased(&paths, n, biases[k]));
                results_assert_equal(&r, &played[n], 1);
                ends[k] += r.turns;
            }
        }
        assert_true(ends[1] <= ends[0] && ends[0] <= ends[3] && ends[3] <= ends[5]);
        assert_true(ends[1] < ends[5]);
        syn_paths_free(&paths);
    }
}

/* That somebody watches round robin changes nothing about it. */
static void being_observed_changes_no_path(void **state)
{
    syn_play p = play_make(SYN_GOAL_ASKER);
    syn_paths seen, unseen;
    assert_ok(syn_play_paths(&p, SYN_POLICY_ROUND_ROBIN, true, NULL, 0, FEW, &seen));
    assert_ok(syn_play_paths(&p, SYN_POLICY_ROUND_ROBIN, false, NULL, 0, FEW, &unseen));
    assert_true(seen.observed && !unseen.observed && seen.rows == unseen.rows);
    for (int64_t n = 0; n < FEW; n++) {
        assert_int_equal(seen.path[n].rows, unseen.path[n].rows);
        for (int k = 0; k < seen.path[n].rows; k++) {
            const syn_path_row *a = &seen.row[seen.path[n].first + k],
                               *b = &unseen.row[unseen.path[n].first + k];
            assert_true(a->messages == b->messages && a->turn == k && b->turn == k);
            assert_true(a->reached == b->reached && a->gap >= 0 && a->gap <= 1);
        }
    }
    syn_paths_free(&seen);
    syn_paths_free(&unseen);
}

static void random_paths_never_stop_by_themselves(void **state)
{
    syn_play p = play_make(SYN_GOAL_ASKER);
    syn_paths paths;
    assert_ok(syn_play_paths(&p, SYN_POLICY_RANDOM, false, NULL, 0, FEW, &paths));
    for (int64_t n = 0; n < FEW; n++) {
        const int turns = opening(&p, n).turns_max;
        const syn_path_row *last = &paths.row[paths.path[n].first + paths.path[n].rows - 1];
        assert_true(last->turn == paths.path[n].rows - 1 && last->turn < turns);
        assert_true(last->moves == last->turn && last->messages >= last->moves);
        assert_true(last->turn == turns - 1 || last->reached || paths.path[n].stratum == 2);
    }
    syn_paths_free(&paths);
}

/* ---- Rules, on a path written down by hand ---- */

/* Messages 0, 1, 3, 4; the goal is reached with the third. */
static void by_hand(syn_paths *p, syn_path *path, syn_path_row *row, uint8_t stratum)
{
    const syn_env_config env = SYN_ENV_CONFIG_DEFAULT;
    const syn_path_row rows[] = {/* return, move, answer, abstain, gap, messages, deliveries, turn,
                                    requests, moves, reached */
                                 {0, 5, 1, 2, 0.9f, 0, 0, 0, 0, 0, 0},
                                 {-0.65f, 4, 3, 1, 0.6f, 1, 1, 1, 0, 1, 0},
                                 {-1.8f, 2, 1, 2, 0.3f, 3, 2, 2, 1, 2, 1},
                                 {-2.45f, 1, 4, 5, 0.2f, 4, 3, 3, 1, 3, 1}};
    memcpy(row, rows, sizeof rows);
    *path = (syn_path){.first = 0, .rows = 4, .record = 7, .agents = 3, .stratum = stratum};
    *p = (syn_paths){.observed = true, .count = 1, .path = path, .row = row, .rows = 4, .env = env};
}

static void assert_stop(syn_path_stop got, int row, bool abstain)
{
    assert_int_equal(got.row, row);
    assert_int_equal(got.abstain, abstain);
}

static void each_rule_stops_where_its_name_says(void **state)
{
    syn_paths p;
    syn_path path;
    syn_path_row row[4];
    by_hand(&p, &path, row, 1);
    assert_stop(syn_stop_biased(&p, 0, (syn_stop_bias){0, 0}), 3, true);
    assert_stop(syn_stop_biased(&p, 0, (syn_stop_bias){1.5f, 0}), 1, false);
    assert_stop(syn_stop_biased(&p, 0, (syn_stop_bias){0, 0.5f}), 2, true);
    assert_stop(syn_stop_biased(&p, 0, (syn_stop_bias){0, 4}), 0, true);
    assert_stop(syn_stop_biased(&p, 0, (syn_stop_bias){-9, -90}), 3, false);
    const int after[] = {0, 1, 1, 2, 3, 3};
    for (int m = 0; m < 6; m++) assert_stop(syn_stop_after(&p, 0, m), after[m], false);
    assert_stop(syn_stop_reached(&p, 0), 2, false);
    assert_stop(syn_stop_gap(&p, 0, 0.65f, 1), 1, false);
    assert_stop(syn_stop_gap(&p, 0, 0.3f, 1), 3, false);
    assert_stop(syn_stop_gap(&p, 0, 0.1f, 0.15f), 3, true);
    assert_stop(syn_stop_gap(&p, 0, 0.1f, 0.5f), 3, false);
}

static void a_result_is_what_the_end_is_worth_there(void **state)
{
    syn_paths p;
    syn_path path;
    syn_path_row row[4];
    by_hand(&p, &path, row, 1);
    syn_episode_result r = syn_path_result(&p, 0, (syn_path_stop){2, false});
    assert_true(fabs((double)r.episode_return - (20 - 1.85)) < 1e-5);
    assert_true(r.success && r.answerable && !r.abstained && r.ended);
    assert_true(r.record == 7 && r.agents == 3 && r.turns == 3 && r.requests == 1 && r.moves == 2);
    r = syn_path_result(&p, 0, (syn_path_stop){1, false});
    assert_true(fabs((double)r.episode_return - (-10 - 0.7)) < 1e-5 && !r.success);
    r = syn_path_result(&p, 0, (syn_path_stop){2, true});
    assert_true(fabs((double)r.episode_return - (-10 - 1.85)) < 1e-5 && r.abstained && !r.success);
    by_hand(&p, &path, row, 2);
    r = syn_path_result(&p, 0, (syn_path_stop){1, true});
    assert_true(fabs((double)r.episode_return - (10 - 0.7)) < 1e-5 && !r.answerable && !r.success);
}

static void what_a_path_needs_and_has_not_is_refused(void **state)
{
    syn_paths paths;
    syn_play p = play_make(SYN_GOAL_ASKER);
    assert_int_equal(syn_play_paths(&p, SYN_POLICY_LEARNED, true, NULL, 0, 1, &paths),
                     SYN_ERR_INVALID);
    p.control = NULL;
    assert_int_equal(syn_play_paths(&p, SYN_POLICY_LEARNED, true, biases, BIASES, 1, &paths),
                     SYN_ERR_INVALID);
    assert_true(!paths.path && !paths.row && !paths.rows);
    assert_int_equal(syn_play_paths(&p, SYN_POLICY_ROUND_ROBIN, true, NULL, 0, 1, &paths),
                     SYN_ERR_INVALID);
    assert_ok(syn_play_paths(&p, SYN_POLICY_ROUND_ROBIN, false, NULL, 0, 1, &paths));
    syn_paths_free(&paths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_to_its_end_is_the_scripted_policy),
        cmocka_unit_test(one_path_gives_every_bias),
        cmocka_unit_test(being_observed_changes_no_path),
        cmocka_unit_test(random_paths_never_stop_by_themselves),
        cmocka_unit_test(each_rule_stops_where_its_name_says),
        cmocka_unit_test(a_result_is_what_the_end_is_worth_there),
        cmocka_unit_test(what_a_path_needs_and_has_not_is_refused),
    };
    return cmocka_run_group_tests_name("test_policies_path", tests, setup, teardown);
}
