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
    p->control = control;
    p->dist = dist;
    p->local = cfg->shards / ranks;
    p->local_first = p->local * syn_dist_rank(dist);
    const int64_t shards = cfg->minibatches * p->local;
    p->shard = calloc((size_t)shards, sizeof *p->shard);
    p->sums = malloc(sizeof *p->sums * (size_t)shards * SYN_ROLLOUT_SUMS);
    syn_status st =
        p->shard && p->sums ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for the shards");
    if (st == SYN_OK) st = init_partial(p);
    for (int64_t k = 0; k < shards && st == SYN_OK; k++) {
        const int64_t m = k / p->local, s = p->local_first + k % p->local;
        st = syn_ppo_shard_init(p, &p->shard[k], (m * cfg->shards + s) * cfg->shard_envs, central,
                                &sources[m % source_count], untitled_share);
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
    free(p->shard);
    free(p->sums);
    memset(p, 0, sizeof *p);
}

syn_status syn_ppo_look(syn_ppo *p)
{
    for (int64_t k = 0; k < p->cfg.minibatches * p->local; k++) {
        SYN_RETURN_IF(syn_ppo_shard_look(p, &p->shard[k]));
    }
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

static bool alone(const syn_ppo *p)
{
    return syn_dist_size(p->dist) == 1;
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
    if (!alone(p)) SYN_RETURN_IF(syn_dist_sum_f64(p->dist, p->sums, M * W));
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

/* Advantages of mean 0 and standard deviation 1 over all environments; returns in the critic's
 * unit. */
static void normalise(syn_ppo *p, const double *total, double n)
{
    const int64_t rows = p->cfg.shard_envs * p->cfg.horizon;
    const double mean = total[SYN_SUM_ADVANTAGE] / n;
    const double scale =
        1 / (sqrt(variance(total[SYN_SUM_ADVANTAGE], total[SYN_SUM_ADVANTAGE2], n)) + 1e-8);
    if (p->cfg.value_norm) {
        syn_value_norm_update(&p->norm, total[SYN_SUM_RETURN] / n, total[SYN_SUM_RETURN2] / n,
                              p->control);
    }
    const double value_mean = syn_value_norm_mean(&p->norm),
                 value_scale = 1 / syn_value_norm_std(&p->norm);
    for (int64_t k = 0; k < p->cfg.minibatches * p->local; k++) {
        syn_ppo_shard *h = &p->shard[k];
        for (int64_t i = 0; i < rows; i++) {
            h->advantage[i] = (real)(((double)h->advantage[i] - mean) * scale);
            h->ret[i] = (real)(((double)h->ret[i] - value_mean) * value_scale);
        }
    }
    p->rolled.value_mean = value_mean;
    p->rolled.value_std = syn_value_norm_std(&p->norm);
}

syn_status syn_ppo_rollout(syn_ppo *p)
{
    double total[SYN_ROLLOUT_SUMS];
    const double n = (double)syn_ppo_steps_per_update(&p->cfg);
    syn_status st = syn_params_check(&p->control->params);
    if (st != SYN_OK) return syn_fail_within(st, "update %lld", (long long)p->updates + 1);
    for (int64_t k = 0; k < p->cfg.minibatches * p->local; k++) {
        SYN_RETURN_IF(syn_ppo_shard_rollout(p, &p->shard[k], p->sums + k * SYN_ROLLOUT_SUMS));
    }
    p->fresh = false;
    SYN_RETURN_IF(total_sums(p, total));
    summarise(p, total, n);
    normalise(p, total, n);
    return SYN_OK;
}

/* ---- Update ---- */

typedef struct minibatch {
    syn_ppo *p;
    int height; /* partial sums that wait in the tree, that of the present shard on top */
} minibatch;

static void add(int64_t n, real *restrict to, const real *restrict x)
{
    for (int64_t i = 0; i < n; i++) to[i] += x[i];
}

/* How many pairs of equal size the stack of partial sums ends in, once shard number `shard` lies on
 * top of it. */
static int merges(int64_t shard)
{
    int count = 0;
    for (; shard & 1; shard >>= 1) count++;
    return count;
}

/* The last shard's gradient of these tensors is complete, and so is their sum over the shards of
 * this rank: it travels while the rest is differentiated. */
static syn_status bucket_ready(void *user, int first, int last)
{
    const minibatch *b = user;
    syn_ppo *p = b->p;
    const syn_params *t = &p->control->params;
    const double before = syn_clock_s();
    const int64_t at = t->item[first].offset, n = t->item[last].offset + t->item[last].count - at;
    for (int k = b->height - 1; k > 0; k--) add(n, p->partial[k - 1] + at, p->partial[k] + at);
    syn_status st = alone(p) ? SYN_OK : syn_dist_sum_begin(p->dist, p->partial[0] + at, n);
    p->times.reduce += syn_clock_s() - before;
    return st;
}

/* Sum of gradient and statistics over all shards of the minibatch, on all ranks, in
 * partial[0] = params.grad and partial_stats[0]. The partial sums of a binary tree that is walked
 * from the left are a stack; shard l finds one on it for every bit set in l. */
static syn_status minibatch_sum(syn_ppo *p, int64_t m, const syn_ppo_coef *coef)
{
    syn_params *t = &p->control->params;
    minibatch b = {p, 0};
    const syn_control_ready ready = {bucket_ready, &b};
    syn_status st = SYN_OK;
    for (int64_t l = 0; l < p->local && st == SYN_OK; l++) {
        const bool last = l + 1 == p->local;
        real *stats = p->partial_stats[b.height];
        t->grad = p->partial[b.height++];
        memset(t->grad, 0, sizeof(real) * (size_t)t->total);
        memset(stats, 0, sizeof(real) * SYN_PPO_STATS);
        st = syn_ppo_shard_gradient(p, &p->shard[m * p->local + l], coef, stats,
                                    last && !(alone(p) && b.height == 1) ? &ready : NULL);
        for (int k = merges(l); k > 0 && st == SYN_OK; k--, b.height--) {
            add(SYN_PPO_STATS, p->partial_stats[b.height - 2], p->partial_stats[b.height - 1]);
            if (!last) add(t->total, p->partial[b.height - 2], p->partial[b.height - 1]);
        }
    }
    t->grad = p->partial[0];
    if (st != SYN_OK || alone(p)) return st;
    const double before = syn_clock_s();
    SYN_RETURN_IF(syn_dist_sum_begin(p->dist, p->partial_stats[0], SYN_PPO_STATS));
    SYN_RETURN_IF(syn_dist_sum_wait(p->dist));
    p->times.reduce += syn_clock_s() - before;
    return SYN_OK;
}

static syn_status check_loss(const real *stats)
{
    static const struct {
        int index;
        const char *name;
    } part[] = {{SYN_PPO_POLICY_LOSS, "policy loss"},
                {SYN_PPO_VALUE_LOSS, "value loss"},
                {SYN_PPO_ENTROPY, "entropy"},
                {SYN_PPO_KL, "KL divergence"},
                {SYN_PPO_LOSS, "loss"}};
    for (size_t k = 0; k < sizeof part / sizeof *part; k++) {
        if (isfinite(stats[part[k].index])) continue;
        return syn_fail(SYN_ERR_NUMERIC, "the %s is not finite", part[k].name);
    }
    return SYN_OK;
}

/* One optimiser step. Nothing is changed unless all of it is finite. */
static syn_status minibatch_step(syn_ppo *p, double lr_scale, real *norm)
{
    syn_params *t = &p->control->params;
    syn_adam adam = {.beta1 = (real)0.9,
                     .beta2 = (real)0.999,
                     .eps = (real)1e-5,
                     .weight_decay = (real)p->cfg.weight_decay,
                     .max_grad_norm = (real)p->cfg.max_grad_norm};
    real critic;
    const double before = syn_clock_s();
    SYN_RETURN_IF(check_loss(p->partial_stats[0]));
    SYN_RETURN_IF(syn_params_grad_norm(p->ctx, t, 0, SYN_C_GLOBAL_OUT_B, norm));
    SYN_RETURN_IF(syn_params_grad_norm(p->ctx, t, SYN_C_CRITIC_W, SYN_CONTROL_PARAMS - 1, &critic));
    t->step++;
    adam.lr = (real)(p->cfg.lr_actor * lr_scale);
    SYN_RETURN_IF(syn_params_apply(p->ctx, t, 0, SYN_C_GLOBAL_OUT_B, &adam, *norm));
    adam.lr = (real)(p->cfg.lr_critic * lr_scale);
    SYN_RETURN_IF(
        syn_params_apply(p->ctx, t, SYN_C_CRITIC_W, SYN_CONTROL_PARAMS - 1, &adam, critic));
    p->times.optimise += syn_clock_s() - before;
    return SYN_OK;
}

static syn_status epoch_run(syn_ppo *p, int epoch, const int *order, const syn_ppo_coef *coef,
                            double lr_scale, syn_ppo_stats *out)
{
    const double n = (double)p->cfg.minibatches;
    double sum[SYN_PPO_STATS] = {0};
    for (int64_t k = 0; k < p->cfg.minibatches; k++) {
        real norm = 0;
        SYN_RETURN_IF(minibatch_sum(p, order[k], coef));
        syn_status st = minibatch_step(p, lr_scale, &norm);
        if (st == SYN_ERR_NUMERIC) {
            return syn_fail(st, "update %lld, epoch %d, minibatch %lld: %s; the step was not taken",
                            (long long)p->updates + 1, epoch + 1, (long long)k + 1,
                            syn_error_text());
        }
        if (st != SYN_OK) return st;
        out->grad_norm += (double)norm;
        out->grad_norm_max = fmax(out->grad_norm_max, (double)norm);
        for (int i = 0; i < SYN_PPO_STATS; i++) sum[i] += (double)p->partial_stats[0][i];
    }
    out->policy_loss = sum[SYN_PPO_POLICY_LOSS] / n;
    out->value_loss = sum[SYN_PPO_VALUE_LOSS] / n;
    out->entropy = sum[SYN_PPO_ENTROPY] / n;
    out->entropy_share = sum[SYN_PPO_ENTROPY_SHARE] / n;
    out->kl = sum[SYN_PPO_KL] / n;
    out->clip_fraction = sum[SYN_PPO_CLIP_FRACTION] / n;
    out->epochs++;
    return SYN_OK;
}

static void shuffle(const syn_ppo *p, int epoch, int *order)
{
    syn_rng rng =
        syn_rng_make(p->cfg.seed, ((uint64_t)SYN_STREAM_SHUFFLE << 40) +
                                      (uint64_t)p->updates * SYN_PPO_EPOCHS_MAX + (uint64_t)epoch);
    for (int64_t i = p->cfg.minibatches - 1; i > 0; i--) {
        int64_t j = syn_rng_below(&rng, (uint32_t)i + 1);
        int swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

syn_status syn_ppo_update(syn_ppo *p, double progress, syn_ppo_stats *out)
{
    const syn_ppo_config *c = &p->cfg;
    const double lr_scale = syn_ppo_lr_scale(c, progress);
    int order[SYN_PPO_MINIBATCHES_MAX];
    *out = p->rolled;
    out->lr_actor = c->lr_actor * lr_scale;
    out->lr_critic = c->lr_critic * lr_scale;
    out->entropy_coef = c->entropy_coef + (c->entropy_coef_end - c->entropy_coef) * progress;
    const syn_ppo_coef coef = {(real)c->clip_epsilon, (real)out->entropy_coef,
                               (real)c->value_loss_coef, 0};
    for (int64_t m = 0; m < c->minibatches; m++) order[m] = (int)m;
    for (int epoch = 0; epoch < c->epochs && !out->kl_stopped; epoch++) {
        shuffle(p, epoch, order);
        SYN_RETURN_IF(epoch_run(p, epoch, order, &coef, lr_scale, out));
        out->kl_stopped = out->kl > c->kl_stop && epoch + 1 < c->epochs;
    }
    out->grad_norm /= (double)(out->epochs * c->minibatches);
    p->updates++;
    syn_status st = syn_params_check(&p->control->params);
    return st == SYN_OK ? st : syn_fail_within(st, "update %lld", (long long)p->updates);
}
