#include "trainer/ppo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/progress.h"
#include "trainer/ppo_private.h"

static syn_status check_shapes(const syn_ppo_config *c, int ranks, int source_count)
{
    const int64_t local = c->shards / ranks;
    SYN_REQUIRE(c->minibatches > 0 && c->minibatches <= SYN_PPO_MINIBATCHES_MAX &&
                    c->shard_envs > 0 && c->horizon > 0 && c->epochs > 0 &&
                    c->epochs <= SYN_PPO_EPOCHS_MAX && source_count > 0,
                "PPO needs 1 to %d minibatches, environments, a horizon, 1 to %d epochs and a "
                "source",
                SYN_PPO_MINIBATCHES_MAX, SYN_PPO_EPOCHS_MAX);
    SYN_REQUIRE(local > 0 && local * ranks == c->shards && (local & (local - 1)) == 0 &&
                    local < 1 << SYN_PPO_LEVELS_MAX,
                "%lld shards cannot be shared out among %d ranks", (long long)c->shards, ranks);
    return SYN_OK;
}

/* Levels of the tree of gradients: params.grad and one more for every halving of the shards. */
static syn_status init_partial(syn_ppo *p)
{
    syn_params *t = &p->control->params;
    SYN_RETURN_IF(syn_params_trainable(p->ctx, t));
    p->partial[0] = t->grad;
    for (int k = 1; (int64_t)1 << (k - 1) < p->local; k++) {
        p->partial[k] = syn_device_alloc(p->ctx, sizeof(real) * (size_t)t->total);
        if (!p->partial[k]) return SYN_ERR_MEMORY;
    }
    return SYN_OK;
}

syn_status syn_ppo_init(syn_ctx *ctx, syn_ppo *p, const syn_ppo_config *cfg,
                        const syn_env_config *env, const syn_corpus *corpus, bool central,
                        const syn_ppo_source *sources, int source_count, float untitled_share,
                        syn_control *control, syn_dist *dist)
{
    const int ranks = syn_dist_size(dist);
    memset(p, 0, sizeof *p);
    SYN_RETURN_IF(check_shapes(cfg, ranks, source_count));
    p->ctx = ctx;
    p->cfg = *cfg;
    p->env = *env;
    p->corpus = corpus;
    p->lent = control;
    p->dist = dist;
    p->local = cfg->shards / ranks;
    p->local_first = p->local * syn_dist_rank(dist);
    const int64_t shards = cfg->minibatches * p->local;
    p->shard = calloc((size_t)shards, sizeof *p->shard);
    p->sums = malloc(sizeof *p->sums * (size_t)shards * SYN_ROLLOUT_SUMS);
    syn_status st =
        p->shard && p->sums ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for the shards");
    if (st == SYN_OK) st = syn_ppo_device_init(p, sources, source_count);
    if (st == SYN_OK) st = init_partial(p);
    for (int64_t k = 0; k < shards && st == SYN_OK; k++) {
        const int64_t m = k / p->local, s = p->local_first + k % p->local;
        st =
            syn_ppo_shard_init(p, &p->shard[k], (m * cfg->shards + s) * cfg->shard_envs, central,
                               &sources[m % source_count], (int)(m % source_count), untitled_share);
    }
    if (st == SYN_OK) st = syn_ppo_restart(p);
    if (st != SYN_OK) syn_ppo_free(p);
    return st;
}

void syn_ppo_free(syn_ppo *p)
{
    for (int64_t k = 0; p->shard && k < p->cfg.minibatches * p->local; k++) {
        syn_ppo_shard_free(p->ctx, &p->shard[k]);
    }
    for (int k = 1; k < SYN_PPO_LEVELS_MAX; k++) syn_device_free(p->ctx, p->partial[k]);
    syn_ppo_device_free(p);
    free(p->shard);
    free(p->sums);
    memset(p, 0, sizeof *p);
}

/* Looking and deciding take products of few rows, with weights that stay as they are meanwhile.
 * Both always do so: what is seen after a resume has the bits of what a roll-out ended with. */
static syn_status with_weights_packed(syn_ppo *p, syn_status (*work)(void *user))
{
    const int64_t shards = p->cfg.minibatches * p->local;
    int64_t packed = 0;
    SYN_RETURN_IF(syn_params_pack(p->ctx, &p->control->params));
    syn_status st = SYN_OK;
    for (; packed < shards && st == SYN_OK; packed += st == SYN_OK)
        st = syn_params_pack(p->ctx, &p->shard[packed].perception->params);
    if (st == SYN_OK) st = work(p);
    while (packed > 0) syn_params_unpack(p->ctx, &p->shard[--packed].perception->params);
    syn_params_unpack(p->ctx, &p->control->params);
    return st;
}

static syn_status look_all(void *user)
{
    syn_ppo *p = user;
    for (int64_t k = 0; k < p->cfg.minibatches * p->local; k++)
        SYN_RETURN_IF(syn_ppo_shard_look(p, &p->shard[k]));
    return SYN_OK;
}

syn_status syn_ppo_look(syn_ppo *p)
{
    SYN_RETURN_IF(with_weights_packed(p, look_all));
    p->fresh = true;
    return SYN_OK;
}

syn_status syn_ppo_restart(syn_ppo *p)
{
    for (int64_t k = 0; k < p->cfg.minibatches * p->local; k++) {
        SYN_RETURN_IF(syn_ppo_shard_restart(p, &p->shard[k]));
    }
    return syn_ppo_look(p);
}

/* ---- Roll-out ---- */

/* Brings the sums of every minibatch's shards together: a tree over this rank's, then over the
 * ranks, then the minibatches in order, so that the total is the same on any number of ranks. */
static syn_status total_sums(syn_ppo *p, double total[SYN_ROLLOUT_SUMS])
{
    enum { W = SYN_ROLLOUT_SUMS };
    const int64_t M = p->cfg.minibatches, L = p->local;
    const double before = syn_clock_s();
    for (int64_t m = 0; m < M; m++) {
        double *x = p->sums + m * L * W;
        for (int64_t step = 1; step < L; step *= 2) {
            for (int64_t l = 0; l < L; l += 2 * step) {
                for (int k = 0; k < W; k++) x[l * W + k] += x[(l + step) * W + k];
            }
        }
        memmove(p->sums + m * W, x, sizeof *x * W);
    }
    if (!syn_ppo_alone(p)) SYN_RETURN_IF(syn_dist_sum_f64(p->dist, p->sums, M * W));
    memset(total, 0, sizeof *total * W);
    for (int64_t m = 0; m < M; m++) {
        for (int k = 0; k < W; k++) total[k] += p->sums[m * W + k];
    }
    p->times.reduce += syn_clock_s() - before;
    return SYN_OK;
}

static double variance(double sum, double squares, double n)
{
    return fmax(squares / n - sum / n * (sum / n), 0);
}

static void summarise(syn_ppo *p, const double *total, double n)
{
    syn_ppo_stats *s = &p->rolled;
    const double *t = total + SYN_SUM_TALLY;
    const double spread = variance(total[SYN_SUM_RETURN], total[SYN_SUM_RETURN2], n);
    memset(s, 0, sizeof *s);
    if (spread > 0)
        s->explained = 1 - variance(total[SYN_SUM_ERROR], total[SYN_SUM_ERROR2], n) / spread;
    memcpy(s->kinds, total + SYN_SUM_KINDS, sizeof s->kinds);
    s->tally = (syn_env_tally){.episodes = (int32_t)t[0],
                               .success = (int32_t)t[1],
                               .answerable = (int32_t)t[2],
                               .abstained = (int32_t)t[3],
                               .abstained_right = (int32_t)t[4],
                               .unanswerable = (int32_t)t[5],
                               .ended = (int32_t)t[6],
                               .messages = (int32_t)t[7],
                               .deliveries = (int32_t)t[8],
                               .turns = (int32_t)t[9],
                               .episode_return = (float)t[10]};
}

static syn_status write_scales(syn_ppo *p, const syn_ppo_scales *s)
{
    return syn_copy_in(p->ctx, &p->device->scalars->scales, s, sizeof *s);
}

/* Advantages of mean 0 and standard deviation 1 over all environments; returns in the critic's
 * unit. */
static syn_status normalise(syn_ppo *p, const double *total, double n)
{
    const int64_t rows = p->cfg.shard_envs * p->cfg.horizon;
    syn_ppo_scales s = {
        .advantage_mean = total[SYN_SUM_ADVANTAGE] / n,
        .advantage_factor =
            1 / (sqrt(variance(total[SYN_SUM_ADVANTAGE], total[SYN_SUM_ADVANTAGE2], n)) + 1e-8)};
    if (p->cfg.value_norm) {
        SYN_RETURN_IF(syn_value_norm_update(p->ctx, &p->norm, total[SYN_SUM_RETURN] / n,
                                            total[SYN_SUM_RETURN2] / n, p->control));
    }
    s.return_mean = syn_value_norm_mean(&p->norm);
    s.return_factor = 1 / syn_value_norm_std(&p->norm);
    SYN_RETURN_IF(write_scales(p, &s));
    for (int64_t k = 0; k < p->cfg.minibatches * p->local; k++) {
        syn_ppo_shard *h = &p->shard[k];
        SYN_RETURN_IF(
            syn_ppo_normalise(p->ctx, rows, &p->device->scalars->scales, h->advantage, h->ret));
    }
    p->rolled.value_mean = s.return_mean;
    p->rolled.value_std = syn_value_norm_std(&p->norm);
    return SYN_OK;
}

static syn_status roll_all(void *user)
{
    syn_ppo *p = user;
    for (int64_t k = 0; k < p->cfg.minibatches * p->local; k++) {
        SYN_RETURN_IF(syn_ppo_shard_rollout(p, &p->shard[k], p->device->sums + k * SYN_ROLLOUT_SUMS,
                                            p->device->bad + k * SYN_CHECKED));
    }
    return SYN_OK;
}

/* What the shards have left on the device: the first number that is not finite ends it, and the
 * sums come to p->sums. */
static syn_status read_back(syn_ppo *p)
{
    syn_ctx *ctx = p->ctx;
    const int64_t shards = p->cfg.minibatches * p->local;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    int64_t *bad = SYN_HOST_SCRATCH(ctx, int64_t, shards * SYN_CHECKED);
    if (!bad) goto done;
    SYN_TRY(syn_copy_out(ctx, bad, p->device->bad, sizeof *bad * (size_t)(shards * SYN_CHECKED)));
    for (int64_t k = 0; k < shards; k++)
        SYN_TRY(syn_ppo_shard_check(p, &p->shard[k], bad + k * SYN_CHECKED));
    SYN_TRY(syn_copy_out(ctx, p->sums, p->device->sums,
                         sizeof *p->sums * (size_t)(shards * SYN_ROLLOUT_SUMS)));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

static syn_status roll_recorded(void *user)
{
    syn_ppo *p = user;
    return syn_graph_run(p->ctx, &p->device->rollout, roll_all, p);
}

syn_status syn_ppo_rollout(syn_ppo *p)
{
    double total[SYN_ROLLOUT_SUMS];
    const double n = (double)syn_ppo_steps_per_update(&p->cfg), begun = syn_clock_s();
    const syn_ppo_scales scales = {.value_mean = (real)syn_value_norm_mean(&p->norm),
                                   .value_std = (real)syn_value_norm_std(&p->norm),
                                   .reward = (real)p->cfg.reward_scale};
    syn_status st = syn_params_check(p->ctx, &p->control->params);
    if (st != SYN_OK) return syn_fail_within(st, "update %lld", (long long)p->updates + 1);
    SYN_RETURN_IF(write_scales(p, &scales));
    for (int64_t k = 0; k < p->cfg.minibatches * p->local && !p->fresh; k++)
        SYN_RETURN_IF(syn_ppo_shard_carry(p, &p->shard[k]));
    if (p->watch.rollout) p->watch.rollout(p->watch.user);
    SYN_RETURN_IF(with_weights_packed(p, roll_recorded));
    SYN_RETURN_IF(read_back(p));
    if (p->ctx->device != SYN_DEVICE_CPU) p->times.device += syn_clock_s() - begun;
    p->fresh = false;
    SYN_RETURN_IF(total_sums(p, total));
    summarise(p, total, n);
    return normalise(p, total, n);
}
