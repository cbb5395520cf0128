/* What PPO keeps in its context's memory beside the shards: scalars, sums, and on CUDA copies of
 * the tasks and the networks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/ppo_private.h"

/* ---- How much ---- */

int64_t syn_ppo_env_bytes(const syn_ppo_config *c)
{
    enum { A = SYN_ACTIONS_MAX, N = SYN_AGENTS_MAX };
    const int64_t observed =
        (int64_t)sizeof(real) *
            (SYN_DM + N * SYN_CKM + 2 * N * N * SYN_PAIR_X + N * SYN_AGENT_X + SYN_SUMMARY) +
        A + (int64_t)sizeof(int32_t) + 1;
    const int64_t cached =
        syn_observer_env_bytes(SYN_DEVICE_CUDA) - syn_observer_scratch_bytes(SYN_DEVICE_CUDA);
    const int64_t turn = (int64_t)sizeof(real) * (A + 6) + (int64_t)sizeof(int32_t) + 1;
    const int64_t state = (int64_t)(sizeof(syn_env) + sizeof(syn_env_tally) + 2 * sizeof(uint64_t) +
                                    sizeof(real) * (4 * SYN_STATE + 1));
    return state + cached + (c->horizon + 1) * observed + c->horizon * turn;
}

int64_t syn_ppo_scratch_bytes(const syn_ppo_config *c)
{
    const int64_t envs = c->shard_envs, rows = envs * c->horizon;
    const int64_t states = envs * (int64_t)sizeof(real) * 2 * SYN_STATE;
    const int64_t loss = rows * (int64_t)sizeof(real) * (SYN_ACTIONS_MAX + 1);
    const int64_t update = (syn_control_scratch_bytes(rows) + loss) / 8 * 9 + states;
    const int64_t look = envs * syn_observer_scratch_bytes(SYN_DEVICE_CUDA) / 8 * 9;
    return (update > look ? update : look) + (64 << 20); /* what the ops take */
}

/* What does not grow with the environments. */
static int64_t fixed_bytes(const syn_ppo *p, const syn_ppo_source *sources, int source_count)
{
    const int64_t task =
        (int64_t)sizeof(syn_task_info) + (int64_t)sizeof(real) * (SYN_TASK_QUEST + SYN_TASK_PAIR);
    int64_t buffers = 4, bytes = 4 << 20, perceptions = 0;
    for (int64_t shards = p->local; shards > 1; shards /= 2) buffers++; /* partial sums */
    for (int k = 0; k < source_count; k++) {
        perceptions += sources[k].perception->params.total * (int64_t)sizeof(real);
        bytes += sources[k].records * (int64_t)sizeof(int32_t);
    }
    bytes += p->corpus->tasks.count * task + perceptions;
    return bytes + buffers * p->lent->params.total * (int64_t)sizeof(real);
}

/* All in one piece; before anything is taken it is known whether there is enough. */
static syn_status reserve(syn_ppo *p, const syn_ppo_source *sources, int source_count)
{
    const double GIB = 1 << 30;
    const int64_t envs = p->cfg.minibatches * p->local * p->cfg.shard_envs;
    const int64_t fixed = fixed_bytes(p, sources, source_count);
    const int64_t scratch = syn_ppo_scratch_bytes(&p->cfg);
    const int64_t each = syn_ppo_env_bytes(&p->cfg) / 16 * 17; /* rounding, lists of observers */
    const int64_t free_bytes = (int64_t)syn_device_room(p->ctx);
    const int64_t room = free_bytes - free_bytes / 16; /* graphs and libraries take theirs */
    const int64_t need = fixed + envs * each + scratch + SYN_PRODUCT_WORKSPACE_BYTES;
    if (p->ctx->device == SYN_DEVICE_CPU || p->ctx->arena.data) return SYN_OK;
    if (need > room) {
        const double one = (double)each + (double)scratch / (double)envs;
        const double fit =
            fmax(((double)room - (double)fixed - SYN_PRODUCT_WORKSPACE_BYTES) / one, 0);
        return syn_fail(SYN_ERR_MEMORY,
                        "%lld environments with a horizon of %lld need %.2f GiB of the device's "
                        "memory, and %.2f GiB are to be had: about %lld would fit (%lld env-steps "
                        "of --batch-size on this rank)",
                        (long long)envs, (long long)p->cfg.horizon, (double)need / GIB,
                        (double)room / GIB, (long long)fit,
                        (long long)fit * (long long)p->cfg.horizon);
    }
    return syn_ctx_reserve(p->ctx, (size_t)(fixed + envs * each), (size_t)scratch);
}

/* ---- Copies ---- */

static syn_status copy_perception(syn_ctx *ctx, syn_perception *to, const syn_perception *host)
{
    *to = *host;
    return syn_params_clone(ctx, &to->params, &host->params);
}

static syn_status copy_source(syn_ppo *p, int k, const syn_ppo_source *source)
{
    syn_ppo_device *d = p->device;
    const size_t bytes = sizeof(int32_t) * (size_t)source->records;
    SYN_RETURN_IF(copy_perception(p->ctx, &d->perception[k], source->perception));
    d->record[k] = syn_device_alloc(p->ctx, bytes);
    return d->record[k] ? syn_copy_in(p->ctx, d->record[k], source->record, bytes) : SYN_ERR_MEMORY;
}

static syn_status copy_all(syn_ppo *p, const syn_ppo_source *sources, int source_count)
{
    syn_ppo_device *d = p->device;
    d->perception = calloc((size_t)source_count, sizeof *d->perception);
    d->record = calloc((size_t)source_count, sizeof *d->record);
    if (!d->perception || !d->record) return syn_fail(SYN_ERR_MEMORY, "out of memory for PPO");
    SYN_RETURN_IF(syn_tasks_alloc(p->ctx, &d->tasks, p->corpus->tasks.count));
    SYN_RETURN_IF(syn_tasks_upload(p->ctx, &d->tasks, 0, &p->corpus->tasks));
    for (int k = 0; k < source_count; k++) {
        d->sources = k + 1;
        SYN_RETURN_IF(copy_source(p, k, &sources[k]));
    }
    p->tasks = &d->tasks;
    p->control = &d->control;
    return syn_params_clone(p->ctx, &d->control.params, &p->lent->params);
}

static syn_status alloc(syn_ctx *ctx, void *pointer, size_t bytes)
{
    void *x = syn_device_alloc(ctx, bytes);
    memcpy(pointer, &x, sizeof x);
    return x ? SYN_OK : SYN_ERR_MEMORY;
}

syn_status syn_ppo_device_init(syn_ppo *p, const syn_ppo_source *sources, int source_count)
{
    const size_t M = (size_t)p->cfg.minibatches, shards = M * (size_t)p->local;
    syn_ppo_device *d = p->device = calloc(1, sizeof *d);
    if (!d) return syn_fail(SYN_ERR_MEMORY, "out of memory for PPO");
    p->tasks = &p->corpus->tasks;
    p->control = p->lent;
    SYN_RETURN_IF(reserve(p, sources, source_count));
    SYN_RETURN_IF(alloc(p->ctx, &d->scalars, sizeof *d->scalars));
    SYN_RETURN_IF(alloc(p->ctx, &d->steps, sizeof *d->steps * M));
    SYN_RETURN_IF(alloc(p->ctx, &d->outcome, sizeof *d->outcome * M));
    SYN_RETURN_IF(alloc(p->ctx, &d->sums, sizeof *d->sums * shards * SYN_ROLLOUT_SUMS));
    SYN_RETURN_IF(alloc(p->ctx, &d->bad, sizeof *d->bad * shards * SYN_CHECKED));
    SYN_RETURN_IF(alloc(p->ctx, &d->stats, sizeof *d->stats * SYN_PPO_LEVELS_MAX * SYN_PPO_STATS));
    for (int k = 0; k < SYN_PPO_LEVELS_MAX; k++)
        p->partial_stats[k] = d->stats + (ptrdiff_t)k * SYN_PPO_STATS;
    return p->ctx->device == SYN_DEVICE_CPU ? SYN_OK : copy_all(p, sources, source_count);
}

void syn_ppo_device_free(syn_ppo *p)
{
    syn_ctx *ctx = p->ctx;
    syn_ppo_device *d = p->device;
    if (!d) return;
    syn_graph_free(ctx, &d->rollout);
    syn_graph_free(ctx, &d->step);
    for (int k = 0; k < SYN_PPO_MINIBATCHES_MAX; k++) syn_graph_free(ctx, &d->minibatch[k]);
    for (int k = 0; k < d->sources; k++) {
        syn_perception_free(ctx, &d->perception[k]);
        syn_device_free(ctx, d->record[k]);
    }
    syn_tasks_free(ctx, &d->tasks);
    syn_control_free(ctx, &d->control);
    void *all[] = {d->scalars, d->steps, d->outcome, d->sums, d->bad, d->stats};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) syn_device_free(ctx, all[k]);
    free(d->perception);
    free(d->record);
    free(d);
    p->device = NULL;
}

syn_status syn_ppo_fetch(syn_ppo *p)
{
    if (p->control == p->lent) return SYN_OK;
    return syn_params_fetch(p->ctx, &p->control->params, &p->lent->params);
}
