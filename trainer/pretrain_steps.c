/* One step of phase 1 on the CPU, and what both devices' steps begin with. */
#include <math.h>
#include <string.h>

#include "kernels/ffn.h"
#include "kernels/loss.h"
#include "trainer/pretrain_private.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX };

typedef syn_pretrain_run run;

/* ---- A batch ---- */

/* The leak test gives each state the labels of another one of the same team size. */
static int32_t labels_of(const run *r, int64_t e)
{
    const int64_t batch = r->cfg->batch;
    if (!r->cfg->shuffled_labels) return (int32_t)e;
    for (int64_t k = 1; k < batch; k++) {
        const int64_t other = (e + k) % batch;
        if (r->envs[other].agents == r->envs[e].agents) return (int32_t)other;
    }
    return (int32_t)((e + 1) % batch);
}

void syn_pretrain_draw(run *r, int64_t number, uint64_t purpose, syn_pretrain_totals *totals)
{
    const int64_t batch = r->cfg->batch;
    const uint64_t first = (purpose << 40) + (uint64_t)(number * batch);
#pragma omp parallel for schedule(static) num_threads(r->ctx->threads)
    for (int64_t e = 0; e < batch; e++) {
        syn_episode_draw_weighted(&r->envs[e], &syn_episodes_training, r->corpus, r->train,
                                  r->train_count, &r->draw, r->cfg->seed, first + (uint64_t)e);
    }
    memset(totals, 0, sizeof *totals);
    for (int64_t e = 0; e < batch; e++) {
        const syn_env *env = &r->envs[e];
        r->label[e] = labels_of(r, e);
        totals->rows += syn_popcount(env->present);
        totals->links += env->agents * (env->agents - 1);
        if (e >= r->first && e < r->first + r->mine) syn_gap_shape_add(&totals->shape, env);
    }
}

uint64_t syn_pretrain_counter(const run *r, int64_t step)
{
    const int ranks = syn_dist_size(r->cfg->dist), rank = syn_dist_rank(r->cfg->dist);
    return (uint64_t)step * (uint64_t)ranks + (uint64_t)rank;
}

static real learning_rate(double peak, int64_t step, int64_t steps)
{
    double warm = step < 20 ? (step + 1) / 20.0 : 1;
    return (real)(peak * warm *
                  (0.05 + 0.95 * 0.5 * (1 + cos(M_PI * (double)step / (double)steps))));
}

syn_pretrain_aim syn_pretrain_aim_of(const run *r, syn_phase phase, int64_t step)
{
    static const syn_pretrain_aim aims[SYN_PHASES] = {
        [SYN_PHASE_RANKER] = {SYN_P_RANKER_W0, SYN_P_RANKER_B2, 1},
        [SYN_PHASE_REFINER] = {SYN_P_REFINER_W0, SYN_P_REFINER_B2, 3},
        [SYN_PHASE_GAP] = {SYN_P_IN_W, SYN_PERCEPTION_PARAMS - 1, 2},
    };
    const syn_pretrain_config *c = r->cfg;
    syn_pretrain_aim aim = aims[phase];
    aim.adam = (syn_adam){.lr = phase == SYN_PHASE_GAP
                                    ? learning_rate(c->gap_lr, step, c->gap_steps)
                                    : learning_rate(c->ranker_lr, step, c->ranker_steps),
                          .beta1 = (real)0.9,
                          .beta2 = (real)0.99,
                          .eps = (real)1e-8,
                          .weight_decay = (real)c->weight_decay,
                          .max_grad_norm = 1};
    return aim;
}

/* ---- Ranker: two kinds of view, one agent's own and all pieces' ---- */

static int64_t ranker_rows(run *r, real *x, real *target)
{
    int64_t rows = 0;
    for (int64_t e = 0; e < r->mine; e++) {
        const syn_env *env = &r->envs[r->first + e];
        const real *quest = r->tasks->quest + (int64_t)env->task * SYN_TASK_QUEST;
        const int knower = (int)(e % env->agents);
        for (int kind = 0; kind < (r->cfg->central ? 2 : 1); kind++) {
            for (uint32_t left = env->present; left; left &= left - 1) {
                int p = syn_lowest(left);
                const real *own = kind ? r->o.all + (e * R + p) * SYN_DV
                                       : r->o.own + ((e * N + knower) * R + p) * SYN_DV;
                real *to = x + rows * SYN_DX;
                syn_interaction(to, quest + p * SYN_DQ, own, kind ? own : NULL);
                syn_without_apply(r->p->without, kind ? SYN_INPUT_RANKER_ALL : SYN_INPUT_RANKER, 1,
                                  to);
                target[rows++] = env->gold >> p & 1;
            }
        }
    }
    return rows;
}

/* ---- Refiner: all pieces, looked at again ---- */

static int64_t refiner_rows(run *r, real *x, real *target)
{
    int64_t rows = 0;
    for (int64_t e = 0; e < r->mine; e++) {
        const syn_env *env = &r->envs[r->first + e];
        const real *quest = r->tasks->quest + (int64_t)env->task * SYN_TASK_QUEST;
        for (uint32_t left = env->present; left; left &= left - 1, rows++) {
            int p = syn_lowest(left);
            real *to = x + rows * SYN_DX;
            syn_interaction(to, quest + p * SYN_DQ, r->o.all + (e * R + p) * SYN_DV,
                            r->o.again + (e * R + p) * SYN_DV);
            syn_without_apply(r->p->without, SYN_INPUT_REFINER, 1, to);
            target[rows] = env->gold >> p & 1;
        }
    }
    return rows;
}

/* Gradient and loss of this rank's share. */
static syn_status judge_learn(run *r, bool refiner, int64_t step, const syn_pretrain_totals *totals)
{
    syn_ctx *ctx = r->ctx;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    const int64_t most = r->mine * 2 * R;
    const int64_t all = totals->rows * (r->cfg->central && !refiner ? 2 : 1);
    syn_ffn f = refiner ? syn_refiner_ffn(r->p) : syn_ranker_ffn(r->p);
    real loss = 0;
    real *x = SYN_SCRATCH(ctx, real, most * SYN_DX), *target = SYN_SCRATCH(ctx, real, most);
    real *y = SYN_SCRATCH(ctx, real, most), *dy = SYN_SCRATCH(ctx, real, most);
    real *cache = SYN_SCRATCH(ctx, real, syn_ffn_cache_size(&f, most));
    if (!x || !target || !y || !dy || !cache) goto done;
    SYN_TRY(syn_observe_views(ctx, &r->o, r->p, r->tasks, r->envs + r->first));
    const int64_t rows = refiner ? refiner_rows(r, x, target) : ranker_rows(r, x, target);
    const uint64_t counter = syn_pretrain_counter(r, step);
    SYN_TRY(syn_ffn_forward(ctx, &f, rows, x, SYN_DX, true, r->cfg->seed, counter, cache, y));
    SYN_TRY(
        syn_bce_forward_backward(ctx, rows, y, 1, target, NULL, (real)1 / (real)all, dy, &loss));
    SYN_TRY(syn_ffn_backward(ctx, &f, rows, x, SYN_DX, true, r->cfg->seed, counter, cache, dy, NULL,
                             0));
    r->loss += (double)loss;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

/* ---- CKM and gap detector ---- */

static syn_status gap_batch_make(run *r, syn_gap_batch *b)
{
    const syn_env **label;
    SYN_TAKE(r->ctx, label, const syn_env *, r->mine);
    for (int64_t e = 0; e < r->mine; e++) label[e] = &r->envs[r->label[r->first + e]];
    return syn_gap_batch_make(r->ctx, &r->o, r->tasks, r->envs + r->first, label, r->mine, b);
}

static void items_standardise(const run *r, int64_t n, real *x)
{
    for (int64_t i = 0; i < n; i++) {
        for (int d = 0; d < SYN_DI; d++)
            x[i * SYN_DI + d] = (x[i * SYN_DI + d] - r->mean[d]) * r->scale[d];
    }
}

static syn_status gap_learn(run *r, int64_t step, const syn_pretrain_totals *totals)
{
    syn_ctx *ctx = r->ctx;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st;
    syn_gap_batch b;
    SYN_TRY(syn_observe_views(ctx, &r->o, r->p, r->tasks, r->envs + r->first));
    SYN_TRY(gap_batch_make(r, &b));
    items_standardise(r, b.team.seq.rows, b.items);
    const real scale[SYN_GAP_OUT] = {[SYN_GAP] = (real)1 / (real)(3 * r->cfg->batch),
                                     [SYN_LINK] = (real)1 / (real)totals->links};
    real both[SYN_GAP_OUT] = {0};
    SYN_TRY(syn_gap_batch_learn(ctx, r->p, &b, scale, r->cfg->seed, syn_pretrain_counter(r, step),
                                both));
    r->loss += (double)both[SYN_GAP] + (double)both[SYN_LINK];
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

/* ---- Steps ---- */

syn_status syn_pretrain_step(run *r, syn_phase phase, int64_t step)
{
    if (r->device) return syn_pretrain_device_step(r, phase, step);
    const syn_pretrain_aim aim = syn_pretrain_aim_of(r, phase, step);
    syn_params *t = &r->p->params;
    syn_pretrain_totals totals;
    real norm;
    syn_pretrain_draw(r, step, aim.purpose, &totals);
    SYN_RETURN_IF(syn_params_zero_grad(r->ctx, t));
    SYN_RETURN_IF(phase == SYN_PHASE_GAP
                      ? gap_learn(r, step, &totals)
                      : judge_learn(r, phase == SYN_PHASE_REFINER, step, &totals));
    if (syn_dist_size(r->cfg->dist) > 1) {
        SYN_RETURN_IF(syn_dist_sum_begin(r->cfg->dist, t->grad, t->total));
        SYN_RETURN_IF(syn_dist_sum_wait(r->cfg->dist));
    }
    return syn_params_step(r->ctx, t, aim.first, aim.last, &aim.adam, &norm);
}

syn_status syn_pretrain_loss(run *r, syn_phase phase, double *loss)
{
    if (r->device) SYN_RETURN_IF(syn_pretrain_device_loss(r, phase, &r->loss));
    *loss = r->loss;
    r->loss = 0;
    if (syn_dist_size(r->cfg->dist) == 1) return SYN_OK;
    return syn_dist_sum_f64(r->cfg->dist, loss, 1);
}

/* ---- Scales of the items ---- */

/* Items of a drawn batch, in host memory. */
static syn_status items_of_batch(run *r, const syn_pretrain_totals *totals, real **items,
                                 int64_t *n)
{
    syn_gap_batch b;
    if (r->device) return syn_pretrain_device_items(r, totals, items, n);
    SYN_RETURN_IF(syn_observe_views(r->ctx, &r->o, r->p, r->tasks, r->envs + r->first));
    SYN_RETURN_IF(gap_batch_make(r, &b));
    *items = b.items;
    *n = b.team.seq.rows;
    return SYN_OK;
}

/* The floor keeps what hardly varies in training, and may in life, from growing large; what does
 * not vary at all falls. */
static void scales_from_sums(run *r, const double *sum, const double *squares, double n)
{
    const double deviation_min = 0.02;
    for (int d = 0; d < SYN_DI; d++) {
        const double mean = sum[d] / fmax(n, 1);
        const double deviation = sqrt(fmax(squares[d] / fmax(n, 1) - mean * mean, 0));
        r->mean[d] = (real)mean;
        r->scale[d] = deviation > 1e-6 ? (real)(1 / fmax(deviation, deviation_min)) : 0;
    }
}

syn_status syn_pretrain_measure_items(run *r)
{
    enum { BATCHES = 16 };
    double sums[2 * SYN_DI + 1] = {0}, *squares = sums + SYN_DI, *count = sums + 2 * SYN_DI;
    for (int k = 0; k < BATCHES; k++) {
        syn_scratch_mark mark = syn_scratch_push(r->ctx);
        syn_pretrain_totals totals;
        real *items = NULL;
        int64_t n = 0;
        syn_status st = r->device ? syn_pretrain_device_next(r) : SYN_OK;
        if (st == SYN_OK) {
            syn_pretrain_draw(r, k, 4, &totals);
            st = items_of_batch(r, &totals, &items, &n);
        }
        for (int64_t i = 0; i < n && st == SYN_OK; i++, (*count)++) {
            for (int d = 0; d < SYN_DI; d++) {
                const double x = (double)items[i * SYN_DI + d];
                sums[d] += x;
                squares[d] += x * x;
            }
        }
        syn_scratch_pop(r->ctx, mark);
        if (st != SYN_OK) return st;
    }
    if (syn_dist_size(r->cfg->dist) > 1)
        SYN_RETURN_IF(syn_dist_sum_f64(r->cfg->dist, sums, 2 * SYN_DI + 1));
    scales_from_sums(r, sums, squares, *count);
    return r->device ? syn_pretrain_device_scales(r) : SYN_OK;
}

/* W (x - mean) scale + b = (W scale) x + (b - W scale mean). */
syn_status syn_pretrain_fold_items(run *r)
{
    enum { W = SYN_DI_HIDDEN * SYN_DI };
    syn_ctx *ctx = r->ctx;
    real *weights = syn_value(&r->p->params, SYN_P_IN_W),
         *biases = syn_value(&r->p->params, SYN_P_IN_B);
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    real *w = SYN_HOST_SCRATCH(ctx, real, W), *b = SYN_HOST_SCRATCH(ctx, real, SYN_DI_HIDDEN);
    if (!w || !b) goto done;
    SYN_TRY(syn_copy_out(ctx, w, weights, sizeof *w * W));
    SYN_TRY(syn_copy_out(ctx, b, biases, sizeof *b * SYN_DI_HIDDEN));
    for (int k = 0; k < SYN_DI_HIDDEN; k++) {
        double shift = 0;
        for (int d = 0; d < SYN_DI; d++) {
            w[k * SYN_DI + d] *= r->scale[d];
            shift += (double)(w[k * SYN_DI + d] * r->mean[d]);
        }
        b[k] -= (real)shift;
    }
    SYN_TRY(syn_copy_in(ctx, weights, w, sizeof *w * W));
    SYN_TRY(syn_copy_in(ctx, biases, b, sizeof *b * SYN_DI_HIDDEN));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}
