/* What the tests of the scorer have in common, beside a model with opinions. */
#ifndef SYN_TESTS_ENGINE_SCORER_WORLD_H
#define SYN_TESTS_ENGINE_SCORER_WORLD_H

#include "engine/scorer.h"
#include "tests/engine/syncog_world.h"

static inline syn_scorer *scorer_of(syn_ctx *ctx, int slots, int batch_max)
{
    syn_scorer *s;
    const syn_scorer_options o = {slots, batch_max, shared->seed};
    assert_ok(syn_ctx_init(ctx, SYN_DEVICE_CPU, 1));
    assert_ok(syn_scorer_open(ctx, &shared->model, &o, &s));
    return s;
}

static inline void scorer_end(syn_ctx *ctx, syn_scorer *s)
{
    syn_scorer_close(s);
    syn_ctx_free(ctx);
}

static inline int64_t slot_of(syn_scorer *s, int count)
{
    static syn_scorer_task task;
    int64_t slot;
    assert_ok(syn_scorer_task_read(&shared->model, question, pieces, count, &task));
    assert_ok(syn_scorer_slot_open(s, &task, &slot));
    return slot;
}

static inline syn_score_result score(syn_scorer *s, int64_t slot, const syn_env *team,
                                     uint32_t want)
{
    const syn_score_request q = {.slot = slot, .team = team, .want = want};
    syn_score_result r;
    assert_ok(syn_scorer_score(s, 1, &q, &r, NULL));
    return r;
}

#endif
