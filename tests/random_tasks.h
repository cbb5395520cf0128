/* Tasks whose arrays are random numbers in the ranges of real ones: no text stands behind them. */
#ifndef SYN_TESTS_RANDOM_TASKS_H
#define SYN_TESTS_RANDOM_TASKS_H

#include "engine/task.h"
#include "tests/kernels/random.h"

/* `count` tasks of `pieces` pieces, the first `gold` of them supporting; each is another one. */
static inline void random_tasks(syn_ctx *ctx, syn_tasks *t, int64_t count, int pieces, int gold)
{
    assert_ok(syn_tasks_alloc(ctx, t, count));
    for (int64_t k = 0; k < count; k++)
        t->info[k] = (syn_task_info){
            .gold = (1u << gold) - 1, .pieces = pieces, .claims = 1u << (pieces - 1)};
    random_fill(1, count * SYN_TASK_QUEST, 0, 1, t->quest);
    random_fill(2, count * SYN_TASK_PAIR, 0, 1, t->pair);
    random_fill(3, count * SYN_ROWS_MAX * SYN_DE, -0.15, 0.15, t->e);
    random_fill(4, count * SYN_DE, -0.15, 0.15, t->q);
}

#endif
