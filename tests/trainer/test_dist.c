/* trainer/dist.h without MPI: what ranks compute together, and how all end when one fails.
 * tests/test_ranks.sh runs the same cases under mpirun. */
#include "tests/trainer/dist_team.h"

#include "kernels/tree_sum.h"

/* ---- what ranks compute ---- */

static void test_sums_have_the_bits_of_the_tree(void **state)
{
    team *t = *state;
    char first[TEXT_MAX];
    for (int size = 2; size <= 4; size++) {
        for (int run = 0; run < (size == 3 ? 2 : 1); run++) {
            start_all(t, size, "check", 30, "-1", "0");
            finish_well(t);
            assert_non_null(strstr(t->text[0], "sums "));
            if (run) assert_string_equal(t->text[0], first);
            memcpy(first, t->text[0], sizeof first);
        }
    }
}

static void test_the_tree_of_rows_is_that_of_ranks(void **state)
{
    enum { N = 70, ROWS_MAX = 33 };
    static float x[ROWS_MAX * N], kept[ROWS_MAX * N];
    syn_ctx ctx = {.threads = 2};
    for (int rows = 1; rows <= ROWS_MAX; rows++) {
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < N; i++) x[r * N + i] = worker_number(r, i);
        }
        memcpy(kept, x, sizeof x);
        assert_ok(syn_tree_sum(&ctx, x, rows, N));
        for (int i = 0; i < N; i++) {
            float column[ROWS_MAX];
            for (int r = 0; r < rows; r++) column[r] = kept[r * N + i];
            const float expected = worker_expected(column, rows);
            assert_memory_equal(&x[i], &expected, sizeof expected);
        }
        assert_memory_equal(x + N, kept + N, sizeof(float) * (size_t)(rows - 1) * N);
    }
    assert_int_equal(syn_tree_sum(&ctx, x, 0, N), SYN_ERR_INVALID);
    assert_int_equal(syn_tree_sum(&ctx, x, SYN_TREE_ROWS_MAX + 1, N), SYN_ERR_INVALID);
}

/* ---- failures ---- */

static void test_a_killed_rank_takes_the_others_down(void **state)
{
    team *t = *state;
    for (int victim = 0; victim < 4; victim += 3) {
        char words[64];
        start_all(t, 4, "rounds", 30, "-1", "60");
        await_open(t, 4);
        usleep(100000);
        const double killed = syn_clock_s();
        kill(t->pid[victim], SIGKILL);
        finish(t, -1);
        assert_true(syn_clock_s() - killed < 10);
        snprintf(words, sizeof words, "rank %d has ended without a word", victim);
        for (int r = 0; r < 4; r++) {
            if (r != victim) expect_sentence(t, r, words);
        }
        for (int r = 0; r < 4; r++) {
            char path[256];
            snprintf(path, sizeof path, "%s/%d", t->folder, r);
            unlink(path);
        }
    }
}

static void test_a_stopped_rank_is_not_waited_for_long(void **state)
{
    team *t = *state;
    start_all(t, 4, "rounds", SHORT_S, "-1", "60");
    await_open(t, 4);
    const double stopped = syn_clock_s();
    kill(t->pid[2], SIGSTOP);
    finish(t, 2);
    assert_true(syn_clock_s() - stopped < SHORT_S + 10);
    for (int r = 0; r < 4; r++) {
        if (r != 2) expect_sentence(t, r, "rank 2 has not answered for 2 s");
    }
    kill(t->pid[2], SIGCONT); /* it finds the others gone */
    t->pid[0] = t->pid[1] = t->pid[3] = 0;
    finish(t, -1);
    assert_int_equal(t->code[2], 1);
}

static void test_a_local_failure_is_told_to_all_at_once(void **state)
{
    team *t = *state;
    start_all(t, 4, "abort", 50, "2", "0");
    finish(t, -1);
    assert_true(syn_clock_s() - t->began < 15);
    expect_sentence(t, 2, "syncog: the loss is not finite at update 7");
    for (int r = 0; r < 4; r++) {
        if (r == 2) continue;
        expect_sentence(t, r, "rank 2 stopped the run: the loss is not finite at update 7");
    }
}

static void test_a_rank_that_never_sums_is_named(void **state)
{
    team *t = *state;
    start_all(t, 3, "absent", 1, "1", "30");
    finish(t, 1);
    expect_sentence(t, 0, "rank 1 has not come to operation 1 for 1 s, though it answers");
    expect_sentence(t, 2, "rank 1 has not come to operation 1 for 1 s, though it answers");
    kill(t->pid[1], SIGKILL);
    finish(t, -1);
}

static void test_a_rank_busy_elsewhere_does_not_outlive_the_run(void **state)
{
    team *t = *state;
    start_all(t, 3, "busy", 3, "1", "60");
    finish(t, -1);
    assert_true(syn_clock_s() - t->began < 20);
    expect_sentence(t, 0, "rank 1 has ended without a word");
    expect_sentence(t, 2, "rank 1 has ended without a word");
}

static void test_odd_weights_and_uneven_sums_are_found(void **state)
{
    team *t = *state;
    start_all(t, 4, "odd", 20, "2", "0");
    finish(t, -1);
    for (int r = 0; r < 4; r++) {
        expect_sentence(t, r, "rank 2's weights at update 300 are not rank 0's");
    }
    start_all(t, 3, "uneven", 20, "2", "0");
    finish(t, -1);
    expect_sentence(t, 0, "they are not at the same operation");
    for (int r = 1; r < 3; r++) assert_int_equal(t->code[r], 1);
}

static void test_a_slow_rank_is_warned_about(void **state)
{
    team *t = *state;
    start_all(t, 3, "slow", 2, "1", "4.5");
    finish_well(t);
    if (!strstr(t->text[0], "rank 1 is slow")) fail_msg("rank 0 printed: %s", t->text[0]);
    assert_null(strstr(t->text[0], "rank 0 is slow"));
    assert_null(strstr(t->text[0], "rank 2 is slow"));
}

static void test_sigterm_is_told(void **state)
{
    team *t = *state;
    start_all(t, 2, "rounds", 20, "-1", "60");
    await_open(t, 2);
    kill(t->pid[1], SIGTERM);
    finish(t, -1);
    expect_sentence(t, 0, "rank 1 was told to stop by SIGTERM");
    expect_sentence(t, 1, "rank 1 was told to stop by SIGTERM");
}

int main(int argc, char **argv)
{
    if (argc > 5 && !strcmp(argv[1], "worker")) return worker_main(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        TEAM_TEST(test_sums_have_the_bits_of_the_tree),
        TEAM_TEST(test_the_tree_of_rows_is_that_of_ranks),
        TEAM_TEST(test_a_killed_rank_takes_the_others_down),
        TEAM_TEST(test_a_stopped_rank_is_not_waited_for_long),
        TEAM_TEST(test_a_local_failure_is_told_to_all_at_once),
        TEAM_TEST(test_a_rank_that_never_sums_is_named),
        TEAM_TEST(test_a_rank_busy_elsewhere_does_not_outlive_the_run),
        TEAM_TEST(test_odd_weights_and_uneven_sums_are_found),
        TEAM_TEST(test_a_slow_rank_is_warned_about),
        TEAM_TEST(test_sigterm_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
