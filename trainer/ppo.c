#include "trainer/ppo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/sample.h"

enum { A = SYN_ACTIONS_MAX };

static syn_status shard_init(syn_ppo *p, int64_t s, bool central, const syn_ppo_source *src,
                             float untitled)
{
    syn_ctx *ctx = p->ctx;
    syn_ppo_shard *h = &p->shard[s];
    const size_t E = (size_t)p->cfg.shard_envs, rows = E * (size_t)p->cfg.horizon;
    h->perception = src->perception;
    h->source =
        (syn_env_source){p->corpus->tasks.info, src->record, src->records, untitled, p->cfg.seed};
    h->envs = syn_device_alloc(ctx, sizeof *h->envs * E);
    h->next = syn_device_alloc(ctx, sizeof *h->next * E);
    h->tally = syn_device_alloc(ctx, sizeof *h->tally * E);
    h->counter = syn_device_alloc(ctx, sizeof *h->counter * E);
    h->action = syn_device_alloc(ctx, sizeof *h->action * rows);
    h->done = syn_device_alloc(ctx, rows);
    real **state[] = {&h->h, &h->c, &h->h0, &h->c0};
    for (size_t i = 0; i < 4; i++) *state[i] = syn_device_alloc(ctx, sizeof(real) * E * SYN_STATE);
    real **row[] = {&h->logp, &h->reward, &h->advantage, &h->ret, &h->dvalue};
    for (size_t i = 0; i < 5; i++) *row[i] = syn_device_alloc(ctx, sizeof(real) * rows);
    h->value = syn_device_alloc(ctx, sizeof(real) * (rows + E));
    h->logit = syn_device_alloc(ctx, sizeof(real) * rows * A);
    if (!h->envs || !h->next || !h->tally || !h->counter || !h->action || !h->done || !h->h ||
        !h->c || !h->h0 || !h->c0 || !h->logp || !h->reward || !h->advantage || !h->ret ||
        !h->dvalue || !h->value || !h->logit) {
        return SYN_ERR_MEMORY;
    }
    SYN_RETURN_IF(syn_observer_init(ctx, &h->observer, (int64_t)E, central));
    return syn_observation_alloc(ctx, &h->x, (int64_t)(rows + E));
}

/* No more episodes than steps can have been begun before. */
static syn_status shard_restart(syn_ppo *p, int64_t s)
{
    syn_ppo_shard *h = &p->shard[s];
    const uint64_t E = (uint64_t)p->cfg.shard_envs, all = (uint64_t)p->cfg.shards * E;
    const uint64_t turns = (uint64_t)(p->updates * p->cfg.horizon), first = (uint64_t)s * E;
    for (uint64_t e = 0; e < E; e++) {
        h->next[e] = turns * all + first + e + all;
        h->counter[e] = ((first + e) << 32) + turns;
    }
    memset(h->h, 0, sizeof(real) * E * SYN_STATE);
    memset(h->c, 0, sizeof(real) * E * SYN_STATE);
    SYN_RETURN_IF(
        syn_env_reset_batch(p->ctx, (int64_t)E, h->envs, &p->env, &h->source, turns * all + first));
    return syn_observe_turn(p->ctx, &h->observer, h->perception, &p->corpus->tasks, h->envs, &h->x);
}

syn_status syn_ppo_restart(syn_ppo *p)
{
    for (int64_t s = 0; s < p->cfg.shards; s++) SYN_RETURN_IF(shard_restart(p, s));
    p->fresh = true;
    return SYN_OK;
}

syn_status syn_ppo_init(syn_ctx *ctx, syn_ppo *p, const syn_ppo_config *cfg,
                        const syn_env_config *env, const syn_corpus *corpus, bool central,
                        const syn_ppo_source *sources, int source_count, float untitled_share,
                        syn_control *control)
{
    memset(p, 0, sizeof *p);
    SYN_REQUIRE(cfg->shards > 0 && cfg->shards <= SYN_PPO_SHARDS_MAX && cfg->shard_envs > 0 &&
                    cfg->horizon > 0 && cfg->epochs > 0 && source_count > 0,
                "PPO needs 1 to %d shards, environments, a horizon, epochs and a source",
                SYN_PPO_SHARDS_MAX);
    p->ctx = ctx;
    p->cfg = *cfg;
    p->env = *env;
    p->corpus = corpus;
    p->control = control;
    p->shard = calloc((size_t)cfg->shards, sizeof *p->shard);
    syn_status st = p->shard ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for the shards");
    if (st == SYN_OK) st = syn_params_trainable(ctx, &control->params);
    for (int64_t s = 0; s < cfg->shards && st == SYN_OK; s++) {
        st = shard_init(p, s, central, &sources[s % source_count], untitled_share);
    }
    if (st == SYN_OK) st = syn_ppo_restart(p);
    if (st != SYN_OK) syn_ppo_free(p);
    return st;
}

void syn_ppo_free(syn_ppo *p)
{
    for (int64_t s = 0; p->shard && s < p->cfg.shards; s++) {
        syn_ppo_shard *h = &p->shard[s];
        void *all[] = {h->envs,      h->next, h->tally,  h->counter, h->action, h->done,
                       h->h,         h->c,    h->h0,     h->c0,      h->logp,   h->reward,
                       h->advantage, h->ret,  h->dvalue, h->value,   h->logit};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) syn_device_free(p->ctx, all[i]);
        syn_observer_free(p->ctx, &h->observer);
        syn_observation_free(p->ctx, &h->x);
    }
    free(p->shard);
    memset(p, 0, sizeof *p);
}

/* ---- Roll-out ---- */

static syn_status shard_rollout(syn_ppo *p, syn_ppo_shard *h)
{
    syn_ctx *ctx = p->ctx;
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon;
    const uint64_t stride = (uint64_t)(p->cfg.shards * E);
    memcpy(h->h0, h->h, sizeof(real) * (size_t)(E * SYN_STATE));
    memcpy(h->c0, h->c, sizeof(real) * (size_t)(E * SYN_STATE));
    for (int64_t t = 0; t < T; t++) {
        const syn_observation now = syn_observation_at(&h->x, t * E),
                              then = syn_observation_at(&h->x, (t + 1) * E);
        SYN_RETURN_IF(syn_control_forward(ctx, p->control, 1, E, &now, h->h, h->c, NULL, h->logit,
                                          h->value + t * E, h->h, h->c));
        SYN_RETURN_IF(syn_policy_sample(ctx, E, A, h->logit, now.mask, false, p->cfg.seed,
                                        h->counter, h->action + t * E, h->logp + t * E, NULL,
                                        NULL));
        for (int64_t e = 0; e < E; e++) h->counter[e]++;
        SYN_RETURN_IF(syn_env_step_batch(ctx, E, h->envs, &p->env, &h->source, h->action + t * E,
                                         h->observer.rank, h->reward + t * E, h->done + t * E,
                                         h->tally, h->next, stride));
        SYN_RETURN_IF(
            syn_observe_turn(ctx, &h->observer, h->perception, &p->corpus->tasks, h->envs, &then));
    }
    /* The value after the last turn; the states stay as they are, the next roll-out begins with
     * them. */
    const syn_observation last = syn_observation_at(&h->x, T * E);
    syn_scratch_mark mark = syn_scratch_push(ctx);
    real *hT = SYN_SCRATCH(ctx, real, E * SYN_STATE), *cT = SYN_SCRATCH(ctx, real, E * SYN_STATE);
    syn_status st = hT && cT ? SYN_OK : SYN_ERR_MEMORY;
    if (st == SYN_OK) {
        st = syn_control_forward(ctx, p->control, 1, E, &last, h->h, h->c, NULL, h->logit,
                                 h->value + T * E, hT, cT);
    }
    syn_scratch_pop(ctx, mark);
    return st;
}

static syn_status shard_advantage(syn_ppo *p, syn_ppo_shard *h)
{
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon;
    for (int64_t i = 0; i < T * E; i++) h->reward[i] *= (real)p->cfg.reward_scale;
    return syn_gae(p->ctx, T, E, h->reward, h->value, h->done, (real)p->cfg.gamma,
                   (real)p->cfg.gae_lambda, h->advantage, h->ret);
}

/* Mean 0 and standard deviation 1 over all shards. */
static void normalise_advantages(syn_ppo *p)
{
    const int64_t n = p->cfg.shard_envs * p->cfg.horizon;
    double sum = 0, squares = 0, count = (double)(n * p->cfg.shards);
    for (int64_t s = 0; s < p->cfg.shards; s++) {
        for (int64_t i = 0; i < n; i++) sum += p->shard[s].advantage[i];
    }
    const double mean = sum / count;
    for (int64_t s = 0; s < p->cfg.shards; s++) {
        for (int64_t i = 0; i < n; i++) {
            double d = p->shard[s].advantage[i] - mean;
            squares += d * d;
        }
    }
    const double scale = 1 / (sqrt(squares / count) + 1e-8);
    for (int64_t s = 0; s < p->cfg.shards; s++) {
        for (int64_t i = 0; i < n; i++) {
            p->shard[s].advantage[i] = (real)((p->shard[s].advantage[i] - mean) * scale);
        }
    }
}

/* The observation after the last turn becomes the first of the next roll-out. */
static void carry_over(syn_ppo *p, syn_ppo_shard *h)
{
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon, N = SYN_AGENTS_MAX;
    const syn_observation from = syn_observation_at(&h->x, T * E);
#define CARRY(field, width)                                                                        \
    memcpy(h->x.field, from.field, sizeof *from.field *(size_t)(E * (width)))
    CARRY(message, SYN_DM);
    CARRY(ckm, N * SYN_CKM);
    CARRY(pair_x, 2 * N * N * SYN_PAIR_X);
    CARRY(agent_x, N * SYN_AGENT_X);
    CARRY(summary, SYN_SUMMARY);
    CARRY(mask, A);
    CARRY(count, 1);
    CARRY(reset, 1);
#undef CARRY
}

syn_status syn_ppo_rollout(syn_ppo *p)
{
    for (int64_t s = 0; s < p->cfg.shards; s++) {
        if (!p->fresh) carry_over(p, &p->shard[s]);
        memset(p->shard[s].tally, 0, sizeof(syn_env_tally) * (size_t)p->cfg.shard_envs);
        SYN_RETURN_IF(shard_rollout(p, &p->shard[s]));
        SYN_RETURN_IF(shard_advantage(p, &p->shard[s]));
    }
    p->fresh = false;
    normalise_advantages(p);
    return SYN_OK;
}

/* ---- Update ---- */

static syn_status shard_update(syn_ppo *p, syn_ppo_shard *h, const syn_ppo_coef *coef,
                               double lr_scale, real *stats, double *norm_sum)
{
    syn_ctx *ctx = p->ctx;
    const int64_t E = p->cfg.shard_envs, T = p->cfg.horizon, rows = T * E;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_control_cache *cache;
    syn_status st = SYN_ERR_MEMORY;
    real *value = SYN_SCRATCH(ctx, real, rows), *dlogit = SYN_SCRATCH(ctx, real, rows * A);
    real *hT = SYN_SCRATCH(ctx, real, E * SYN_STATE), *cT = SYN_SCRATCH(ctx, real, E * SYN_STATE);
    if (!value || !dlogit || !hT || !cT) goto done;
    syn_params *t = &p->control->params;
    syn_params_zero_grad(t);
    SYN_TRY(syn_control_forward(ctx, p->control, T, E, &h->x, h->h0, h->c0, &cache, h->logit, value,
                                hT, cT));
    SYN_TRY(syn_ppo_loss(ctx, rows, A, h->logit, h->x.mask, h->action, h->logp, h->advantage, value,
                         h->value, h->ret, NULL, coef, (real)1 / (real)rows, dlogit, h->dvalue,
                         stats));
    SYN_TRY(
        syn_control_backward(ctx, p->control, T, E, &h->x, h->h0, h->c0, cache, dlogit, h->dvalue));
    syn_adam adam = {(real)(p->cfg.lr_actor * lr_scale),
                     (real)0.9,
                     (real)0.999,
                     (real)1e-5,
                     (real)p->cfg.weight_decay,
                     (real)p->cfg.max_grad_norm};
    real norm;
    const int64_t step = t->step;
    SYN_TRY(syn_params_step(ctx, t, 0, SYN_C_GLOBAL_OUT_B, &adam, &norm));
    *norm_sum += norm;
    t->step = step;
    adam.lr = (real)(p->cfg.lr_critic * lr_scale);
    SYN_TRY(syn_params_step(ctx, t, SYN_C_CRITIC_W, SYN_CONTROL_PARAMS - 1, &adam, &norm));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

static void gather_tally(const syn_ppo *p, syn_env_tally *sum)
{
    memset(sum, 0, sizeof *sum);
    for (int64_t s = 0; s < p->cfg.shards; s++) {
        for (int64_t e = 0; e < p->cfg.shard_envs; e++) {
            const syn_env_tally *t = &p->shard[s].tally[e];
            sum->episodes += t->episodes;
            sum->success += t->success;
            sum->answerable += t->answerable;
            sum->abstained += t->abstained;
            sum->abstained_right += t->abstained_right;
            sum->unanswerable += t->unanswerable;
            sum->ended += t->ended;
            sum->messages += t->messages;
            sum->deliveries += t->deliveries;
            sum->turns += t->turns;
            sum->episode_return += t->episode_return;
        }
    }
}

syn_status syn_ppo_update(syn_ppo *p, double progress, syn_ppo_stats *out)
{
    const syn_ppo_config *c = &p->cfg;
    const syn_ppo_coef coef = {
        (real)c->clip_epsilon,
        (real)(c->entropy_coef + (c->entropy_coef_end - c->entropy_coef) * progress),
        (real)c->value_loss_coef, 0};
    const double lr_scale = c->decay_lr ? 1 - 0.9 * progress : 1;
    int order[SYN_PPO_SHARDS_MAX];
    int64_t minibatches = 0;
    memset(out, 0, sizeof *out);
    for (int64_t s = 0; s < c->shards; s++) order[s] = (int)s;
    for (int epoch = 0; epoch < c->epochs && !out->kl_stopped; epoch++) {
        real stats[SYN_PPO_STATS] = {0};
        syn_rng rng = syn_rng_make(c->seed, ((uint64_t)SYN_STREAM_SHUFFLE << 40) +
                                                (uint64_t)p->updates * 64 + (uint64_t)epoch);
        for (int64_t i = c->shards - 1; i > 0; i--) {
            int64_t j = syn_rng_below(&rng, (uint32_t)i + 1);
            int swap = order[i];
            order[i] = order[j];
            order[j] = swap;
        }
        for (int64_t k = 0; k < c->shards; k++, minibatches++) {
            SYN_RETURN_IF(
                shard_update(p, &p->shard[order[k]], &coef, lr_scale, stats, &out->grad_norm));
        }
        const double n = (double)c->shards;
        out->policy_loss = stats[SYN_PPO_POLICY_LOSS] / n;
        out->value_loss = stats[SYN_PPO_VALUE_LOSS] / n;
        out->entropy = stats[SYN_PPO_ENTROPY] / n;
        out->entropy_share = stats[SYN_PPO_ENTROPY_SHARE] / n;
        out->kl = stats[SYN_PPO_KL] / n;
        out->clip_fraction = stats[SYN_PPO_CLIP_FRACTION] / n;
        out->kl_stopped = out->kl > c->kl_stop && epoch + 1 < c->epochs;
    }
    out->grad_norm /= (double)minibatches;
    gather_tally(p, &out->tally);
    p->updates++;
    return SYN_OK;
}
