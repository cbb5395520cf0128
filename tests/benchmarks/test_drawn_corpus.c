/* What is measured on machines without data: drawn tasks, random legal actions, bounds of time. */
#include "benchmarks/drawn_corpus.h"

#include "benchmarks/gpu_limits.h"
#include "benchmarks/random_legal.h"
#include "kernels/env.h"
#include "tests/test.h"

enum { RECORDS = 50, DRAWS = 20000 };

static syn_ctx ctx;

static void drawn_tasks_can_be_played_and_learnt(void **state)
{
    syn_corpus c;
    double gold = 0, other = 0;
    int golds = 0, others = 0;
    assert_ok(syn_drawn_corpus(&ctx, &c, RECORDS, 5));
    assert_int_equal(c.records, RECORDS);
    for (int64_t t = 0; t < 2 * RECORDS; t++) {
        const syn_task_info *info = &c.tasks.info[t];
        assert_int_equal(info->gold, c.tasks.info[t ^ 1].gold); /* with and without titles */
        assert_in_range(syn_popcount(info->gold), 1, 4);
        assert_true(info->gold >> info->pieces == 0);
        const real *quest = c.tasks.quest + t * SYN_TASK_QUEST;
        for (int p = 0; p < info->pieces + SYN_FOREIGN_ROWS; p++) {
            const bool is = info->gold >> p & 1;
            *(is ? &gold : &other) += quest[p * SYN_DQ + SYN_Q_COSINE];
            *(is ? &golds : &others) += 1;
            assert_true(quest[p * SYN_DQ + SYN_Q_TITLED] == (real)(t % 2 == 0));
        }
        const real *pair = c.tasks.pair + t * SYN_TASK_PAIR;
        for (int a = 0; a < SYN_ROWS_MAX; a++)
            for (int b = 0; b < SYN_ROWS_MAX; b++)
                assert_true(pair[(SYN_PAIR_MENTION * SYN_ROWS_MAX + a) * SYN_ROWS_MAX + b] ==
                            pair[(SYN_PAIR_MENTION_T * SYN_ROWS_MAX + b) * SYN_ROWS_MAX + a]);
    }
    assert_true(gold / golds > other / others + 0.3);
    syn_corpus_free(&ctx, &c);
}

static void drawn_tasks_follow_from_the_seed(void **state)
{
    syn_corpus a, b, other;
    assert_ok(syn_drawn_corpus(&ctx, &a, 3, 5));
    assert_ok(syn_drawn_corpus(&ctx, &b, 3, 5));
    assert_ok(syn_drawn_corpus(&ctx, &other, 3, 6));
    const size_t bytes = sizeof(real) * SYN_TASK_PAIR * 6;
    assert_memory_equal(a.tasks.pair, b.tasks.pair, bytes);
    assert_memory_not_equal(a.tasks.pair, other.tasks.pair, bytes);
    syn_corpus_free(&ctx, &a);
    syn_corpus_free(&ctx, &b);
    syn_corpus_free(&ctx, &other);
}

static void every_legal_action_is_drawn_as_often_as_another(void **state)
{
    static const int legal[] = {0, 7, 8, 100, SYN_ACTIONS_MAX - 1};
    enum { LEGAL = sizeof legal / sizeof legal[0] };
    static uint8_t mask[DRAWS][SYN_ACTIONS_MAX];
    static int32_t action[DRAWS];
    int count[SYN_ACTIONS_MAX] = {0};
    for (int e = 0; e < DRAWS; e++)
        for (int k = 0; k < LEGAL; k++) mask[e][legal[k]] = 1;
    assert_ok(syn_random_legal(&ctx, DRAWS, mask[0], 3, action));
    for (int e = 0; e < DRAWS; e++) count[action[e]]++;
    for (int k = 0; k < LEGAL; k++) {
        assert_in_range(count[legal[k]], DRAWS / LEGAL * 0.93, DRAWS / LEGAL * 1.07);
        count[legal[k]] = 0;
    }
    for (int a = 0; a < SYN_ACTIONS_MAX; a++) assert_int_equal(count[a], 0);
}

static void the_largest_bound_binds(void **state)
{
    const char *binds;
    const syn_gpu_limits l = {.copy_gbs = 1000, .bf16_tflops = 100, .hop_us = 0.5, .grid_us = 2};
    assert_float_equal(syn_gpu_least_us(&l, &(syn_gpu_demand){1e9, 1e6, 64}, &binds), 32, 1e-9);
    assert_string_equal(binds, "exchange");
    assert_float_equal(syn_gpu_least_us(&l, &(syn_gpu_demand){5e9, 1e6, 64}, &binds), 50, 1e-9);
    assert_string_equal(binds, "tensor cores");
    assert_float_equal(syn_gpu_least_us(&l, &(syn_gpu_demand){1e9, 1e8, 64}, &binds), 100, 1e-9);
    assert_string_equal(binds, "memory");
    /* Without clusters the steps meet at a barrier of the whole grid. */
    const syn_gpu_limits without = {.copy_gbs = 1000, .bf16_tflops = 100, .grid_us = 2};
    assert_float_equal(syn_gpu_least_us(&without, &(syn_gpu_demand){0, 0, 64}, &binds), 128, 1e-9);
}

static int open_ctx(void **state)
{
    return syn_ctx_init(&ctx, SYN_DEVICE_CPU, 2) == SYN_OK ? 0 : -1;
}

static int close_ctx(void **state)
{
    syn_ctx_free(&ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drawn_tasks_can_be_played_and_learnt),
        cmocka_unit_test(drawn_tasks_follow_from_the_seed),
        cmocka_unit_test(every_legal_action_is_drawn_as_often_as_another),
        cmocka_unit_test(the_largest_bound_binds),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
