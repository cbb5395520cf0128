/* The epochs of an update: gradients of the minibatches, their sums over shards and ranks, and the
 * optimiser's steps.
 *
 * The device is told all steps of an epoch at once, and what they leave is read after it; on the
 * CPU, where reading costs nothing, after each. A step that would take a number that is not finite
 * is skipped with all that follow, so that the weights stay what they were before it. */
#include <math.h>
#include <string.h>

#include "kernels/base/progress.h"
#include "kernels/elementwise.h"
#include "trainer/ppo_private.h"

enum { ACTOR_FIRST = 0, ACTOR_LAST = SYN_C_GLOBAL_OUT_B };
enum { CRITIC_FIRST = SYN_C_CRITIC_W, CRITIC_LAST = SYN_C_CRITIC_OUT_B };
enum { LOSS_BAD = 1, NORM_BAD };

typedef struct minibatch {
    syn_ppo *p;
    int64_t m;
    int height; /* partial sums that wait in the tree, that of the present shard on top */
} minibatch;

/* ---- Gradients and their sums ---- */

static syn_status add(syn_ctx *ctx, int64_t n, real *to, const real *x)
{
    return syn_add(ctx, 1, n, to, n, x, n);
}

/* How many pairs of equal size the stack of partial sums ends in, once shard number `shard` lies on
 * top of it. */
static int merges(int64_t shard)
{
    int count = 0;
    for (; shard & 1; shard >>= 1) count++;
    return count;
}

/* Sums over ranks that go through the host cannot be recorded: they begin when the recorded part
 * is queued. Those that are queued on the device are part of it. */
static bool sums_travel_early(const syn_ppo *p)
{
    return !syn_ppo_alone(p) && !syn_graph_possible(p->ctx) && !syn_dist_sum_queues(p->dist);
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
    for (int k = b->height - 1; k > 0; k--)
        SYN_RETURN_IF(add(p->ctx, n, p->partial[k - 1] + at, p->partial[k] + at));
    if (sums_travel_early(p)) SYN_RETURN_IF(syn_dist_sum_begin(p->dist, p->partial[0] + at, n));
    p->times.reduce += syn_clock_s() - before;
    return SYN_OK;
}

/* Adds shard l's gradient and statistics to the stack of partial sums. */
static syn_status add_shard(minibatch *b, int64_t l)
{
    syn_ppo *p = b->p;
    syn_params *t = &p->control->params;
    const syn_control_ready ready = {bucket_ready, b};
    const bool last = l + 1 == p->local;
    real *stats = p->partial_stats[b->height];
    t->grad = p->partial[b->height++];
    SYN_RETURN_IF(syn_params_zero_grad(p->ctx, t));
    SYN_RETURN_IF(syn_zero(p->ctx, stats, sizeof *stats * SYN_PPO_STATS));
    SYN_RETURN_IF(
        syn_ppo_shard_gradient(p, &p->shard[b->m * p->local + l], &p->device->scalars->coef, stats,
                               last && (sums_travel_early(p) || b->height > 1) ? &ready : NULL));
    for (int k = merges(l); k > 0; k--, b->height--) {
        const int to = b->height - 2;
        SYN_RETURN_IF(add(p->ctx, SYN_PPO_STATS, p->partial_stats[to], p->partial_stats[to + 1]));
        if (!last) SYN_RETURN_IF(add(p->ctx, t->total, p->partial[to], p->partial[to + 1]));
    }
    return SYN_OK;
}

/* Sum of gradient and statistics over this rank's shards of the minibatch, in partial[0] =
 * params.grad and partial_stats[0]. The partial sums of a binary tree that is walked from the left
 * are a stack; shard l finds one on it for every bit set in l. */
static syn_status local_sum(void *user)
{
    minibatch *b = user;
    syn_ppo *p = b->p;
    syn_status st = SYN_OK;
    b->height = 0;
    for (int64_t l = 0; l < p->local && st == SYN_OK; l++) st = add_shard(b, l);
    p->control->params.grad = p->partial[0];
    return st;
}

/* And over the ranks, queued like all else. */
static syn_status rank_sum_queue(syn_ppo *p)
{
    const syn_dist_part part[] = {{p->partial[0], p->control->params.total},
                                  {p->partial_stats[0], SYN_PPO_STATS}};
    return syn_dist_sum_queue(p->dist, part, 2);
}

/* The same through the host, which waits for it. */
static syn_status rank_sum(syn_ppo *p)
{
    const double before = syn_clock_s();
    if (syn_dist_sum_queues(p->dist)) {
        SYN_RETURN_IF(rank_sum_queue(p));
        SYN_RETURN_IF(syn_dist_sum_launched(p->dist));
        return syn_dist_sum_wait(p->dist);
    }
    if (!sums_travel_early(p))
        SYN_RETURN_IF(syn_dist_sum_begin(p->dist, p->partial[0], p->control->params.total));
    SYN_RETURN_IF(syn_dist_sum_begin(p->dist, p->partial_stats[0], SYN_PPO_STATS));
    SYN_RETURN_IF(syn_dist_sum_wait(p->dist));
    p->times.reduce += syn_clock_s() - before;
    return SYN_OK;
}

/* ---- Steps ---- */

static syn_status step(void *user)
{
    syn_ppo *p = ((const minibatch *)user)->p;
    syn_ctx *ctx = p->ctx;
    syn_ppo_scalars *s = p->device->scalars;
    syn_params *t = &p->control->params;
    double mark = syn_clock_s();
    SYN_RETURN_IF(syn_flag_not_finite(ctx, SYN_PPO_STATS, p->partial_stats[0], LOSS_BAD, &s->skip));
    SYN_RETURN_IF(syn_params_norm(ctx, t, ACTOR_FIRST, ACTOR_LAST, &s->norm[0]));
    SYN_RETURN_IF(syn_params_norm(ctx, t, CRITIC_FIRST, CRITIC_LAST, &s->norm[1]));
    SYN_RETURN_IF(syn_flag_not_finite(ctx, 2, s->norm, NORM_BAD, &s->skip));
    SYN_RETURN_IF(syn_params_apply_device(ctx, t, ACTOR_FIRST, ACTOR_LAST, &s->step.actor,
                                          &s->norm[0], &s->skip));
    SYN_RETURN_IF(syn_params_apply_device(ctx, t, CRITIC_FIRST, CRITIC_LAST, &s->step.critic,
                                          &s->norm[1], &s->skip));
    syn_ppo_spend(p, &mark, &p->times.optimise);
    return SYN_OK;
}

static syn_status sum_and_step(void *user)
{
    syn_ppo *p = ((const minibatch *)user)->p;
    SYN_RETURN_IF(local_sum(user));
    if (!syn_ppo_alone(p)) SYN_RETURN_IF(rank_sum_queue(p));
    return step(user);
}

/* The pass that somebody wants the gradient of the CKM vectors of is another one than those that
 * are recorded. */
static syn_status run_work(syn_ppo *p, bool first_epoch, syn_graph *g,
                           syn_status (*work)(void *user), minibatch *b)
{
    if (first_epoch && p->watch.dckm) return work(b);
    return syn_graph_run(p->ctx, g, work, b);
}

/* Queues the k-th minibatch of an epoch, number m: gradient, step, and what the step leaves. */
static syn_status minibatch_queue(syn_ppo *p, bool first_epoch, int64_t k, int64_t m)
{
    minibatch b = {p, m, 0};
    syn_ctx *ctx = p->ctx;
    syn_ppo_device *d = p->device;
    syn_ppo_outcome *out = d->outcome + k;
    SYN_RETURN_IF(syn_copy(ctx, &d->scalars->step, d->steps + k, sizeof *d->steps));
    if (syn_ppo_alone(p) || syn_dist_sum_queues(p->dist)) {
        SYN_RETURN_IF(run_work(p, first_epoch, &d->minibatch[m], sum_and_step, &b));
        if (!syn_ppo_alone(p)) SYN_RETURN_IF(syn_dist_sum_launched(p->dist));
    } else {
        SYN_RETURN_IF(run_work(p, first_epoch, &d->minibatch[m], local_sum, &b));
        SYN_RETURN_IF(rank_sum(p));
        SYN_RETURN_IF(syn_graph_run(ctx, &d->step, step, &b));
    }
    SYN_RETURN_IF(syn_copy(ctx, out->stats, p->partial_stats[0], sizeof out->stats));
    return syn_copy(ctx, out->norm, d->scalars->norm, sizeof out->norm);
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

/* Which tensor's gradient it was. Where others have been computed since, minibatch m's is computed
 * again: no step has been taken in between. */
static syn_status blame(syn_ppo *p, int64_t m, const syn_ppo_outcome *x)
{
    minibatch b = {p, m, 0};
    const bool actor = !isfinite(x->norm[0]);
    if (p->ctx->device != SYN_DEVICE_CPU) {
        SYN_RETURN_IF(local_sum(&b));
        if (!syn_ppo_alone(p)) SYN_RETURN_IF(rank_sum(p));
    }
    return syn_params_blame(p->ctx, &p->control->params, actor ? ACTOR_FIRST : CRITIC_FIRST,
                            actor ? ACTOR_LAST : CRITIC_LAST);
}

/* ---- Epochs ---- */

typedef struct epoch_sums {
    int number;
    const int *order;
    double sum[SYN_PPO_STATS];
} epoch_sums;

/* Takes in the outcomes first..end-1 of an epoch. SYN_ERR_NUMERIC for the first step that was not
 * taken. */
static syn_status read_outcomes(syn_ppo *p, epoch_sums *e, int64_t first, int64_t end,
                                syn_ppo_stats *out)
{
    syn_ppo_outcome outcome[SYN_PPO_MINIBATCHES_MAX];
    SYN_RETURN_IF(syn_copy_out(p->ctx, outcome, p->device->outcome + first,
                               sizeof *outcome * (size_t)(end - first)));
    for (int64_t k = first; k < end; k++) {
        const syn_ppo_outcome *x = &outcome[k - first];
        syn_status st = check_loss(x->stats);
        if (st == SYN_OK && !(isfinite(x->norm[0]) && isfinite(x->norm[1])))
            st = blame(p, e->order[k], x);
        if (st == SYN_ERR_NUMERIC) {
            return syn_fail(st, "update %lld, epoch %d, minibatch %lld: %s; the step was not taken",
                            (long long)p->updates + 1, e->number + 1, (long long)k + 1,
                            syn_error_text());
        }
        if (st != SYN_OK) return st;
        p->control->params.step++;
        out->grad_norm += (double)x->norm[0];
        out->grad_norm_max = fmax(out->grad_norm_max, (double)x->norm[0]);
        for (int i = 0; i < SYN_PPO_STATS; i++) e->sum[i] += (double)x->stats[i];
    }
    return SYN_OK;
}

/* What the steps of an epoch read, given that all are taken. */
static syn_status write_steps(syn_ppo *p, const syn_ppo_stats *out)
{
    const syn_ppo_config *c = &p->cfg;
    const real decay = (real)c->weight_decay, norm = (real)c->max_grad_norm;
    const real beta1 = (real)0.9, beta2 = (real)0.999, eps = (real)1e-5;
    syn_ppo_step steps[SYN_PPO_MINIBATCHES_MAX];
    for (int64_t k = 0; k < c->minibatches; k++) {
        const int64_t number = p->control->params.step + 1 + k;
        SYN_RETURN_IF(syn_adam_scalars_init(&steps[k].actor, (real)out->lr_actor, beta1, beta2, eps,
                                            decay, number, norm));
        SYN_RETURN_IF(syn_adam_scalars_init(&steps[k].critic, (real)out->lr_critic, beta1, beta2,
                                            eps, decay, number, norm));
    }
    return syn_copy_in(p->ctx, p->device->steps, steps, sizeof *steps * (size_t)c->minibatches);
}

static syn_status epoch_run(syn_ppo *p, int number, const int *order, syn_ppo_stats *out)
{
    const int64_t M = p->cfg.minibatches;
    const double n = (double)M;
    const bool at_once = p->ctx->device != SYN_DEVICE_CPU;
    epoch_sums e = {.number = number, .order = order};
    const double begun = syn_clock_s(), reduced = p->times.reduce;
    SYN_RETURN_IF(write_steps(p, out));
    for (int64_t k = 0; k < M; k++) {
        SYN_RETURN_IF(minibatch_queue(p, number == 0, k, order[k]));
        if (!at_once) SYN_RETURN_IF(read_outcomes(p, &e, k, k + 1, out));
    }
    if (at_once) {
        if (syn_dist_sum_queues(p->dist)) SYN_RETURN_IF(syn_dist_sum_wait(p->dist));
        SYN_RETURN_IF(read_outcomes(p, &e, 0, M, out));
        p->times.device += syn_clock_s() - begun - (p->times.reduce - reduced);
    }
    out->policy_loss = e.sum[SYN_PPO_POLICY_LOSS] / n;
    out->value_loss = e.sum[SYN_PPO_VALUE_LOSS] / n;
    out->entropy = e.sum[SYN_PPO_ENTROPY] / n;
    out->entropy_share = e.sum[SYN_PPO_ENTROPY_SHARE] / n;
    out->kl = e.sum[SYN_PPO_KL] / n;
    out->clip_fraction = e.sum[SYN_PPO_CLIP_FRACTION] / n;
    out->epochs++;
    return SYN_OK;
}

static void shuffle(const syn_ppo *p, int number, int *order)
{
    syn_rng rng =
        syn_rng_make(p->cfg.seed, ((uint64_t)SYN_STREAM_SHUFFLE << 40) +
                                      (uint64_t)p->updates * SYN_PPO_EPOCHS_MAX + (uint64_t)number);
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
    SYN_RETURN_IF(syn_copy_in(p->ctx, &p->device->scalars->coef, &coef, sizeof coef));
    SYN_RETURN_IF(syn_zero(p->ctx, &p->device->scalars->skip, sizeof(int32_t)));
    for (int64_t m = 0; m < c->minibatches; m++) order[m] = (int)m;
    for (int epoch = 0; epoch < c->epochs && !out->kl_stopped; epoch++) {
        shuffle(p, epoch, order);
        SYN_RETURN_IF(epoch_run(p, epoch, order, out));
        out->kl_stopped = out->kl > c->kl_stop && epoch + 1 < c->epochs;
    }
    out->grad_norm /= (double)(out->epochs * c->minibatches);
    p->updates++;
    syn_status st = syn_params_check(p->ctx, &p->control->params);
    return st == SYN_OK ? st : syn_fail_within(st, "update %lld", (long long)p->updates);
}
