/* Episodes for the supervised phases. */
#include "tests/trainer/corpus_world.h"
#include "trainer/episodes.h"

enum { R = SYN_ROWS_MAX };

static bool near_share(int count, int all, double share)
{
    return fabs(count - share * all) < 4.5 * sqrt(all * share * (1 - share));
}

static void training_episodes_have_their_shares_and_follow_from_their_number(void **state)
{
    enum { EPISODES = 4000 };
    syn_dataset ds;
    syn_corpus c;
    const int32_t records[] = {1, 3, 4};
    int consensus = 0, untitled = 0, opening = 0, moved = 0;
    dataset_begin(&ds);
    random_records(&ds, 6, 8, 2, true);
    corpus_build(&c, &ds, 0);
    for (uint64_t n = 0; n < EPISODES; n++) {
        syn_env e, again;
        syn_episode_draw(&e, &syn_episodes_training, &c, records, 3, 5, n);
        syn_episode_draw(&again, &syn_episodes_training, &c, records, 3, 5, n);
        assert_memory_equal(&e, &again, sizeof e);
        assert_true(e.task / 2 == 1 || e.task / 2 == 3 || e.task / 2 == 4);
        assert_true(e.changed == (1u << e.agents) - 1 && !e.done);
        assert_true(e.turns_max == 16 && e.turn <= 6);
        consensus += e.goal == SYN_GOAL_CONSENSUS;
        untitled += e.task % 2;
        opening += e.turn == 0;
        moved += e.deliveries > 0;
    }
    assert_true(near_share(consensus, EPISODES, 0.2) && near_share(untitled, EPISODES, 0.3));
    assert_true(opening > 0.37 * EPISODES && moved > 0.5 * EPISODES);
    syn_corpus_free(&ctx, &c);
    syn_dataset_free(&ds);
}

static void opening_episodes_are_openings_with_titles_and_labels_are_what_is_missing(void **state)
{
    syn_dataset ds;
    syn_corpus c;
    const int32_t records[] = {0, 1, 2};
    int gaps = 0, links = 0;
    dataset_begin(&ds);
    random_records(&ds, 3, 8, 2, true);
    corpus_build(&c, &ds, 0);
    for (uint64_t n = 0; n < 2000; n++) {
        syn_env e;
        syn_episode_draw(&e, &syn_episodes_opening, &c, records, 3, 6, n);
        assert_true(e.turn == 0 && e.deliveries == 0 && e.task % 2 == 0);
        assert_int_equal(e.goal, SYN_GOAL_ASKER);
        assert_int_equal(syn_label_gap(&e, 0), e.stratum != 0);
        gaps += syn_label_gap(&e, 0);
        for (int i = 0; i < e.agents; i++)
            for (int j = 0; j < e.agents; j++) {
                bool useful = false;
                for (int p = 0; p < R; p++)
                    useful |=
                        (e.gold >> p & 1) && (e.memory[j] >> p & 1) && !(e.memory[i] >> p & 1);
                assert_int_equal(syn_label_link(&e, i, j), useful);
                links += useful;
            }
    }
    assert_true(near_share(gaps, 2000, 0.75) && links > 0);
    syn_corpus_free(&ctx, &c);
    syn_dataset_free(&ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_episodes_have_their_shares_and_follow_from_their_number),
        cmocka_unit_test(opening_episodes_are_openings_with_titles_and_labels_are_what_is_missing),
    };
    return cmocka_run_group_tests(tests, corpus_setup, corpus_teardown);
}
