/* How the finetuning learns from a shard on CUDA: the environments, the gradients of their vectors
 * and all that is made of them stay on the device; the host reads how large each turn is, once an
 * update, since the shapes of what it queues depend on it. */
#include <stdlib.h>

#include "trainer/finetune_private.h"
#include "trainer/gap_batch.h"
#include "trainer/ppo_private.h"

enum { N = SYN_AGENTS_MAX };

typedef struct syn_finetune_device device;

syn_status syn_finetune_device_init(syn_finetune *f)
{
    syn_ctx *ctx = f->ppo->ctx;
    const int64_t shards = syn_finetune_shards(f);
    const size_t turns = (size_t)(shards * f->ppo->cfg.horizon);
    const size_t scales = (size_t)(shards * SYN_GAP_OUT);
    device *d = f->device = calloc(1, sizeof *d);
    if (!d) return syn_fail(SYN_ERR_MEMORY, "out of memory for finetuning");
    d->size = syn_device_alloc(ctx, sizeof *d->size * turns);
    d->scale = syn_device_alloc(ctx, sizeof *d->scale * scales);
    d->changed = syn_device_alloc(ctx, sizeof *d->changed * (size_t)f->ppo->cfg.shard_envs);
    d->size_host = malloc(sizeof *d->size_host * turns);
    d->scale_host = malloc(sizeof *d->scale_host * scales);
    if (!d->size || !d->scale || !d->changed) return SYN_ERR_MEMORY;
    if (d->size_host && d->scale_host) return SYN_OK;
    return syn_fail(SYN_ERR_MEMORY, "out of memory for finetuning");
}

void syn_finetune_device_free(syn_finetune *f)
{
    syn_ctx *ctx = f->ppo->ctx;
    device *d = f->device;
    if (!d) return;
    syn_device_free(ctx, d->size);
    syn_device_free(ctx, d->scale);
    syn_device_free(ctx, d->changed);
    free(d->size_host);
    free(d->scale_host);
    free(d);
    f->device = NULL;
}

syn_status syn_finetune_device_begin(syn_finetune *f)
{
    const syn_ppo_config *c = &f->ppo->cfg;
    device *d = f->device;
    const int64_t shards = syn_finetune_shards(f), turns = shards * c->horizon;
    SYN_RETURN_IF(syn_turn_sizes_cuda(f->ppo->ctx, turns, c->shard_envs, f->seen, d->size));
    SYN_RETURN_IF(
        syn_copy_out(f->ppo->ctx, d->size_host, d->size, sizeof *d->size * (size_t)turns));
    for (int64_t shard = 0; shard < shards; shard++) {
        const syn_turn_size *size = d->size_host + shard * c->horizon;
        double states = 0, links = 0;
        for (int64_t t = syn_finetune_first_turn(f); t < c->horizon; t += f->every) {
            states += (double)c->shard_envs;
            links += size[t].links;
        }
        real *scale = d->scale_host + shard * SYN_GAP_OUT;
        scale[SYN_GAP] = (real)(syn_finetune_share / (3 * states * (double)c->shards));
        scale[SYN_LINK] = (real)(syn_finetune_share / (links * (double)c->shards));
    }
    return syn_copy_in(f->ppo->ctx, d->scale, d->scale_host,
                       sizeof *d->scale * (size_t)(shards * SYN_GAP_OUT));
}

/* ---- Gaps and links ---- */

/* The environments of one turn, each looked at as phase 1 does, every agent afresh. */
static syn_status learn_turn(syn_finetune *f, int64_t shard, int64_t turn, uint64_t counter,
                             real *loss)
{
    static const real ones[SYN_GAP_OUT] = {1, 1}; /* the weights are scaled */
    const int64_t E = f->ppo->cfg.shard_envs;
    const device *d = f->device;
    const syn_turn_size *size = d->size_host + shard * f->ppo->cfg.horizon + turn;
    const syn_gap_shape all = {size->agents, size->links, size->items, size->longest};
    const syn_gap_shape shape = syn_gap_shape_fill(&all);
    syn_ctx *ctx = f->ppo->ctx;
    syn_gap_batch b;
    syn_env *envs;
    SYN_TAKE(ctx, envs, syn_env, E);
    SYN_RETURN_IF(
        syn_copy(ctx, envs, syn_finetune_seen(f, shard) + turn * E, sizeof *envs * (size_t)E));
    SYN_RETURN_IF(syn_ppo_mark_all(ctx, E, envs, d->changed));
    SYN_RETURN_IF(syn_observe_views(ctx, &f->observer, f->perception, f->ppo->tasks, envs));
    SYN_RETURN_IF(syn_gap_batch_make_cuda(ctx, &f->observer, f->ppo->tasks, envs, NULL,
                                          d->scale + shard * SYN_GAP_OUT, &shape, &b));
    return syn_gap_batch_learn(ctx, f->perception, &b, ones, f->ppo->cfg.seed, counter, loss);
}

syn_status syn_finetune_device_states(syn_finetune *f, int64_t shard, int64_t number, real *loss)
{
    const int64_t T = f->ppo->cfg.horizon;
    SYN_RETURN_IF(syn_zero(f->ppo->ctx, loss, sizeof *loss * SYN_GAP_OUT));
    for (int64_t t = syn_finetune_first_turn(f); t < T; t += f->every) {
        syn_scratch_mark mark = syn_scratch_push(f->ppo->ctx);
        const syn_status st = learn_turn(f, shard, t, (uint64_t)(number * T + t), loss);
        syn_scratch_pop(f->ppo->ctx, mark);
        if (st != SYN_OK) return st;
    }
    return SYN_OK;
}

/* ---- PPO's gradient of the CKM vectors ---- */

/* Through the encoder, for the vectors made in one turn. The observer has followed those before. */
static syn_status flow_turn(syn_finetune *f, int64_t shard, int64_t turn)
{
    const int64_t E = f->ppo->cfg.shard_envs;
    const syn_turn_size *size = f->device->size_host + shard * f->ppo->cfg.horizon + turn;
    const syn_gap_shape changed = {size->changed, 0, size->changed_items, size->longest};
    const syn_gap_shape shape = syn_gap_shape_fill(&changed);
    const syn_env *envs = syn_finetune_seen(f, shard) + turn * E;
    const real *dckm = syn_finetune_dckm(f, shard) + turn * E * N * SYN_CKM;
    syn_ctx *ctx = f->ppo->ctx;
    int32_t *offset;
    real *x, *bias, *d;
    if (!size->changed) return SYN_OK;
    SYN_TAKE(ctx, offset, int32_t, shape.agents + 1);
    SYN_TAKE(ctx, x, real, shape.items * SYN_DI);
    SYN_TAKE(ctx, bias, real, shape.items);
    SYN_TAKE(ctx, d, real, shape.agents * SYN_CKM);
    SYN_RETURN_IF(syn_observe_views(ctx, &f->observer, f->perception, f->ppo->tasks, envs));
    SYN_RETURN_IF(syn_flow_rows_cuda(ctx, &f->observer, f->ppo->tasks, envs, &shape, dckm, offset,
                                     x, bias, d));
    const syn_seq seq = {shape.agents, shape.longest, shape.items, offset, NULL};
    return syn_ckm_backward(ctx, f->perception, &seq, x, bias, d);
}

syn_status syn_finetune_device_flow(syn_finetune *f, int64_t shard)
{
    const syn_ppo_config *c = &f->ppo->cfg;
    SYN_RETURN_IF(syn_sum_over_turns_cuda(f->ppo->ctx, c->horizon, c->shard_envs,
                                          syn_finetune_seen(f, shard),
                                          syn_finetune_dckm(f, shard)));
    for (int64_t t = 0; t < c->horizon; t++) {
        syn_scratch_mark mark = syn_scratch_push(f->ppo->ctx);
        const syn_status st = flow_turn(f, shard, t);
        syn_scratch_pop(f->ppo->ctx, mark);
        if (st != SYN_OK) return st;
    }
    return SYN_OK;
}
