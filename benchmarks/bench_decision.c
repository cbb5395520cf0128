#include "benchmarks/bench_decision.h"

#include <string.h>

#include "engine/control.h"
#include "kernels/sample.h"

enum { AGENTS = 4, ITEMS = 5 };

typedef struct decision {
    syn_ctx *ctx;
    syn_tasks tasks;
    syn_perception perception;
    syn_control control;
    syn_observer observer;
    syn_observation x;
    syn_env env;
    real h[SYN_STATE], c[SYN_STATE], logit[SYN_ACTIONS_MAX], value, logp;
} decision;

static syn_status decide(void *user)
{
    decision *d = user;
    int32_t action;
    uint64_t counter = 0;
    d->env.changed = (1u << AGENTS) - 1;
    SYN_RETURN_IF(
        syn_observe_turn(d->ctx, &d->observer, &d->perception, &d->tasks, &d->env, &d->x));
    SYN_RETURN_IF(syn_control_forward(d->ctx, &d->control, 1, 1, &d->x, d->h, d->c, NULL, d->logit,
                                      &d->value, d->h, d->c));
    return syn_policy_sample(d->ctx, 1, SYN_ACTIONS_MAX, d->logit, d->x.mask, true, 1, &counter,
                             &action, &d->logp, NULL, NULL);
}

/* Numbers in [0, 1) where the features of a real task would stand. */
static void fill(real *x, int64_t n, uint64_t stream)
{
    syn_rng rng = syn_rng_make(1, stream);
    for (int64_t i = 0; i < n; i++) x[i] = syn_rng_uniform(&rng);
}

static void deal(syn_env *e)
{
    memset(e, 0, sizeof *e);
    e->agents = AGENTS;
    e->turn = 1;
    e->turns_max = 20;
    e->last = (syn_action){SYN_SEND, 1, 0, ITEMS};
    for (int i = 0; i < AGENTS; i++) {
        for (int k = 0; k < ITEMS; k++) {
            e->own[i] |= 1u << (i * ITEMS + k);
            syn_env_receive(e, i, i * ITEMS + k, i);
        }
        e->present |= e->own[i];
    }
}

syn_status syn_bench_decision(syn_ctx *ctx, syn_bench_row *row)
{
    static decision d;
    syn_status st;
    memset(&d, 0, sizeof d);
    d.ctx = ctx;
    SYN_TRY(syn_tasks_alloc(ctx, &d.tasks, 1));
    fill(d.tasks.quest, SYN_TASK_QUEST, 1);
    fill(d.tasks.pair, SYN_TASK_PAIR, 2);
    fill(d.tasks.e, SYN_ROWS_MAX * SYN_DE, 3);
    fill(d.tasks.q, SYN_DE, 4);
    SYN_TRY(syn_perception_init(ctx, &d.perception, 1));
    SYN_TRY(syn_control_init(ctx, &d.control, 1));
    SYN_TRY(syn_params_pack(ctx, &d.perception.params));
    SYN_TRY(syn_params_pack(ctx, &d.control.params));
    SYN_TRY(syn_observer_init(ctx, &d.observer, 1, true));
    SYN_TRY(syn_observation_alloc(ctx, &d.x, 1));
    deal(&d.env);
    SYN_TRY(syn_bench_measure(decide, &d, 200, row));
done:
    syn_observation_free(ctx, &d.x);
    syn_observer_free(ctx, &d.observer);
    syn_params_unpack(ctx, &d.control.params);
    syn_params_unpack(ctx, &d.perception.params);
    syn_control_free(ctx, &d.control);
    syn_perception_free(ctx, &d.perception);
    syn_tasks_free(ctx, &d.tasks);
    return st;
}
