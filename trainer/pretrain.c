#include "trainer/pretrain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "kernels/ffn.h"
#include "kernels/loss.h"
#include "trainer/gap_batch.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, CHECKS = 15, CHECK_EPISODES = 1024 };

/* One phase-1 run. */
typedef struct run {
    syn_ctx *ctx;
    const syn_pretrain_config *cfg;
    const syn_corpus *corpus;
    int32_t *train, *held;
    int64_t train_count, held_count;
    syn_draw draw; /* over train */
    syn_perception *p;
    syn_observer o;
    syn_env *envs;                    /* (batch) */
    real *best;                       /* weights of the best check */
    real *learning;                   /* weights that go on learning while others are judged */
    real mean[SYN_DI], scale[SYN_DI]; /* the CKM learns from items x as (x - mean) * scale */
    syn_progress bar;
    int64_t done;
} run;

static real learning_rate(double peak, int64_t step, int64_t steps)
{
    double warm = step < 20 ? (step + 1) / 20.0 : 1;
    return (real)(peak * warm *
                  (0.05 + 0.95 * 0.5 * (1 + cos(M_PI * (double)step / (double)steps))));
}

static void draw_batch(run *r, int64_t step, uint64_t purpose)
{
    const uint64_t first = (purpose << 40) + (uint64_t)(step * r->cfg->batch);
#pragma omp parallel for schedule(static) num_threads(r->ctx->threads)
    for (int64_t e = 0; e < r->cfg->batch; e++) {
        syn_episode_draw_weighted(&r->envs[e], &syn_episodes_training, r->corpus, r->train,
                                  r->train_count, &r->draw, r->cfg->seed, first + (uint64_t)e);
    }
}

/* ---- Ranker: two kinds of view, one agent's own and all pieces' ---- */

static int64_t ranker_rows(run *r, real *x, real *target)
{
    int64_t rows = 0;
    for (int64_t e = 0; e < r->cfg->batch; e++) {
        const syn_env *env = &r->envs[e];
        const real *quest = r->corpus->tasks.quest + (int64_t)env->task * SYN_TASK_QUEST;
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
    for (int64_t e = 0; e < r->cfg->batch; e++) {
        const syn_env *env = &r->envs[e];
        const real *quest = r->corpus->tasks.quest + (int64_t)env->task * SYN_TASK_QUEST;
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

static syn_status judge_step(run *r, int64_t step, bool refiner, real *loss)
{
    syn_ctx *ctx = r->ctx;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    const int64_t most = r->cfg->batch * 2 * R;
    syn_ffn f = refiner ? syn_refiner_ffn(r->p) : syn_ranker_ffn(r->p);
    real *x = SYN_SCRATCH(ctx, real, most * SYN_DX), *target = SYN_SCRATCH(ctx, real, most);
    real *y = SYN_SCRATCH(ctx, real, most), *dy = SYN_SCRATCH(ctx, real, most);
    real *cache = SYN_SCRATCH(ctx, real, syn_ffn_cache_size(&f, most));
    if (!x || !target || !y || !dy || !cache) goto done;
    draw_batch(r, step, refiner ? 3 : 1);
    SYN_TRY(syn_observe_views(ctx, &r->o, r->p, &r->corpus->tasks, r->envs));
    int64_t rows = refiner ? refiner_rows(r, x, target) : ranker_rows(r, x, target);
    const uint64_t counter = (uint64_t)step;
    SYN_TRY(syn_params_zero_grad(ctx, &r->p->params));
    SYN_TRY(syn_ffn_forward(ctx, &f, rows, x, SYN_DX, true, r->cfg->seed, counter, cache, y));
    SYN_TRY(
        syn_bce_forward_backward(ctx, rows, y, 1, target, NULL, (real)1 / (real)rows, dy, loss));
    SYN_TRY(syn_ffn_backward(ctx, &f, rows, x, SYN_DX, true, r->cfg->seed, counter, cache, dy, NULL,
                             0));
    real norm;
    const syn_adam adam = {learning_rate(r->cfg->ranker_lr, step, r->cfg->ranker_steps),
                           (real)0.9,
                           (real)0.99,
                           (real)1e-8,
                           (real)r->cfg->weight_decay,
                           1};
    SYN_TRY(syn_params_step(ctx, &r->p->params, refiner ? SYN_P_REFINER_W0 : SYN_P_RANKER_W0,
                            refiner ? SYN_P_REFINER_B2 : SYN_P_RANKER_B2, &adam, &norm));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

static syn_status ranker_step(run *r, int64_t step, real *loss)
{
    return judge_step(r, step, false, loss);
}
static syn_status refiner_step(run *r, int64_t step, real *loss)
{
    return judge_step(r, step, true, loss);
}

/* ---- CKM and gap detector ---- */

/* The leak test gives each state the labels of another one of the same team size. */
static const syn_env *labels_of(const run *r, int64_t e)
{
    if (!r->cfg->shuffled_labels) return &r->envs[e];
    for (int64_t k = 1; k < r->cfg->batch; k++) {
        const syn_env *other = &r->envs[(e + k) % r->cfg->batch];
        if (other->agents == r->envs[e].agents) return other;
    }
    return &r->envs[(e + 1) % r->cfg->batch];
}

static syn_status gap_batch_make(run *r, syn_gap_batch *b)
{
    const syn_env **label;
    SYN_TAKE(r->ctx, label, const syn_env *, r->cfg->batch);
    for (int64_t e = 0; e < r->cfg->batch; e++) label[e] = labels_of(r, e);
    return syn_gap_batch_make(r->ctx, &r->o, &r->corpus->tasks, r->envs, label, r->cfg->batch, b);
}

/* Mean and scale of every column of the items. The floor keeps what hardly varies in training, and
 * may in life, from growing large; what does not vary at all falls. */
static syn_status items_measure(run *r)
{
    enum { BATCHES = 16 };
    const double deviation_min = 0.02;
    syn_ctx *ctx = r->ctx;
    double sum[SYN_DI] = {0}, squares[SYN_DI] = {0}, n = 0;
    syn_status st = SYN_OK;
    for (int k = 0; k < BATCHES && st == SYN_OK; k++) {
        syn_scratch_mark mark = syn_scratch_push(ctx);
        syn_gap_batch b;
        draw_batch(r, k, 4);
        st = syn_observe_views(ctx, &r->o, r->p, &r->corpus->tasks, r->envs);
        if (st == SYN_OK) st = gap_batch_make(r, &b);
        for (int64_t i = 0; st == SYN_OK && i < b.team.seq.rows; i++, n++) {
            for (int d = 0; d < SYN_DI; d++) {
                const double x = (double)b.team.items[i * SYN_DI + d];
                sum[d] += x;
                squares[d] += x * x;
            }
        }
        syn_scratch_pop(ctx, mark);
    }
    for (int d = 0; d < SYN_DI; d++) {
        const double mean = sum[d] / fmax(n, 1);
        const double deviation = sqrt(fmax(squares[d] / fmax(n, 1) - mean * mean, 0));
        r->mean[d] = (real)mean;
        r->scale[d] = deviation > 1e-6 ? (real)(1 / fmax(deviation, deviation_min)) : 0;
    }
    return st;
}

static void items_standardise(const run *r, int64_t n, real *x)
{
    for (int64_t i = 0; i < n; i++) {
        for (int d = 0; d < SYN_DI; d++)
            x[i * SYN_DI + d] = (x[i * SYN_DI + d] - r->mean[d]) * r->scale[d];
    }
}

/* Folds mean and scale into the CKM's first layer, which then reads items as they are:
 * W (x - mean) scale + b = (W scale) x + (b - W scale mean). */
static void items_fold(const run *r)
{
    real *w = syn_value(&r->p->params, SYN_P_IN_W), *b = syn_value(&r->p->params, SYN_P_IN_B);
    for (int k = 0; k < SYN_DI_HIDDEN; k++) {
        double shift = 0;
        for (int d = 0; d < SYN_DI; d++) {
            w[k * SYN_DI + d] *= r->scale[d];
            shift += (double)(w[k * SYN_DI + d] * r->mean[d]);
        }
        b[k] -= (real)shift;
    }
}

static syn_status gap_step(run *r, int64_t step, real *loss)
{
    syn_ctx *ctx = r->ctx;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st;
    syn_gap_batch b;
    draw_batch(r, step, 2);
    SYN_TRY(syn_observe_views(ctx, &r->o, r->p, &r->corpus->tasks, r->envs));
    SYN_TRY(gap_batch_make(r, &b));
    items_standardise(r, b.team.seq.rows, b.items);
    const real scale[SYN_GAP_OUT] = {
        [SYN_GAP] = (real)1 / (real)(3 * r->cfg->batch), [SYN_LINK] = (real)1 / (real)b.team.links};
    real norm, both[SYN_GAP_OUT] = {0};
    SYN_TRY(syn_params_zero_grad(ctx, &r->p->params));
    SYN_TRY(syn_gap_batch_learn(ctx, r->p, &b, scale, r->cfg->seed, (uint64_t)step, both));
    *loss += both[SYN_GAP] + both[SYN_LINK];
    const syn_adam adam = {learning_rate(r->cfg->gap_lr, step, r->cfg->gap_steps),
                           (real)0.9,
                           (real)0.99,
                           (real)1e-8,
                           (real)r->cfg->weight_decay,
                           1};
    SYN_TRY(
        syn_params_step(ctx, &r->p->params, SYN_P_IN_W, SYN_PERCEPTION_PARAMS - 1, &adam, &norm));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

/* ---- The phases, with early stopping on held-out records ---- */

typedef enum phase_kind { PHASE_RANKER, PHASE_REFINER, PHASE_GAP } phase_kind;
static const char *const phase_name[] = {"ranker", "refiner", "gap"};

static syn_status check(run *r, phase_kind kind, double *nll)
{
    static const syn_calibration plain = {1, 0};
    syn_measured m;
    syn_episode_config opening = syn_episodes_opening;
    opening.untitled_share = 0.3f;
    SYN_RETURN_IF(syn_measure(r->ctx, r->p, r->cfg->central, r->corpus, &opening, r->held,
                              r->held_count, CHECK_EPISODES, r->cfg->seed + 77, &m));
    *nll = kind == PHASE_RANKER    ? syn_nll(m.first, m.ranks, &plain)
           : kind == PHASE_REFINER ? syn_nll(m.ranker, m.ranks, &plain)
                                   : syn_nll(m.gap, m.gaps, &plain);
    syn_measured_free(&m);
    return SYN_OK;
}

typedef syn_status step_function(run *r, int64_t step, real *loss);

static syn_status phase(run *r, step_function *step, int64_t steps, phase_kind kind,
                        int64_t *best_step)
{
    syn_params *t = &r->p->params;
    const size_t bytes = sizeof(real) * (size_t)t->total;
    const int64_t every = steps / CHECKS > 0 ? steps / CHECKS : 1;
    double best = INFINITY, nll = 0;
    real loss = 0;
    memset(t->m, 0, bytes);
    memset(t->v, 0, bytes);
    t->step = 0;
    for (int64_t s = 0; s < steps; s++) {
        SYN_RETURN_IF(step(r, s, &loss));
        syn_progress_update(&r->bar, ++r->done, "%s loss %.3f held-out %.3f", phase_name[kind],
                            (double)loss / (double)(s % every + 1), nll);
        if ((s + 1) % every) continue;
        memcpy(r->learning, t->value, bytes);
        if (kind == PHASE_GAP) items_fold(r);
        SYN_RETURN_IF(check(r, kind, &nll));
        syn_log(SYN_LOG_DEBUG, "%s step %lld: loss %.4f, held-out %.4f", phase_name[kind],
                (long long)s + 1, (double)loss / (double)every, nll);
        loss = 0;
        /* Held-out labels are true ones: choosing by them would let truth into the leak test. */
        if (nll < best || r->cfg->shuffled_labels) {
            best = nll;
            *best_step = s + 1;
            memcpy(r->best, t->value, bytes);
        }
        memcpy(t->value, r->learning, bytes);
    }
    memcpy(t->value, r->best, bytes);
    return SYN_OK;
}

static syn_status calibrate(run *r, syn_pretrain_result *out)
{
    syn_measured m;
    SYN_RETURN_IF(syn_calibrate_perception(r->ctx, r->p, r->cfg->central, r->corpus, r->held,
                                           r->held_count, 4 * CHECK_EPISODES, r->cfg->seed + 78,
                                           &out->link_auroc));
    SYN_RETURN_IF(syn_measure(r->ctx, r->p, r->cfg->central, r->corpus, &syn_episodes_opening,
                              r->held, r->held_count, 4 * CHECK_EPISODES, r->cfg->seed + 79, &m));
    const syn_calibration *c = &r->p->calibrated[SYN_GAP];
    out->gap_auroc = syn_auroc(m.gap, m.gaps);
    out->gap_balanced_accuracy = syn_balanced_accuracy(m.gap, m.gaps, c, 0.75);
    out->gap_ece = syn_ece(m.gap, m.gaps, c);
    out->ranker_auroc = syn_auroc(m.ranker, m.ranks);
    syn_measured_free(&m);
    return SYN_OK;
}

static syn_status split(run *r, const syn_dataset *ds, const int32_t *records, int64_t count)
{
    r->train = malloc(sizeof *r->train * (size_t)count);
    r->held = malloc(sizeof *r->held * (size_t)count);
    if (!r->train || !r->held)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records", (long long)count);
    for (int64_t k = 0; k < count; k++) {
        const syn_record *rec = &ds->records[r->corpus->record[records[k]]];
        if (syn_record_held_out(rec))
            r->held[r->held_count++] = records[k];
        else
            r->train[r->train_count++] = records[k];
    }
    if (!r->held_count) { /* of a few dozen records the hash may keep none: then one of every seven
                           */
        const int64_t n = r->train_count;
        r->train_count = 0;
        for (int64_t k = 0; k < n; k++) {
            if (k % 7 == 6)
                r->held[r->held_count++] = r->train[k];
            else
                r->train[r->train_count++] = r->train[k];
        }
    }
    if (!r->held_count || !r->train_count) {
        return syn_fail(SYN_ERR_FORMAT,
                        "%lld records are too few to keep some out for early stopping; with "
                        "--cross-fit 0 more are left",
                        (long long)count);
    }
    return SYN_OK;
}

syn_status syn_pretrain_perception(syn_ctx *ctx, const syn_pretrain_config *cfg,
                                   const syn_dataset *ds, const syn_corpus *corpus,
                                   const int32_t *records, int64_t record_count, syn_perception *p,
                                   syn_pretrain_result *result)
{
    syn_status st;
    run r = {.ctx = ctx, .cfg = cfg, .corpus = corpus, .p = p};
    const double started = syn_clock_s();
    int64_t best_step = 0;
    memset(result, 0, sizeof *result);
    SYN_TRY(syn_perception_init(ctx, p, cfg->seed));
    SYN_TRY(syn_params_trainable(ctx, &p->params));
    p->dropout = (real)cfg->dropout;
    p->without = cfg->without;
    SYN_TRY(split(&r, ds, records, record_count));
    r.draw = syn_corpus_draw(corpus, r.train, r.train_count);
    SYN_TRY(syn_observer_init(ctx, &r.o, cfg->batch, cfg->central));
    r.envs = calloc((size_t)cfg->batch, sizeof *r.envs);
    r.best = syn_device_alloc(ctx, sizeof(real) * (size_t)p->params.total);
    r.learning = syn_device_alloc(ctx, sizeof(real) * (size_t)p->params.total);
    if (!r.envs || !r.best || !r.learning) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for a batch of %lld episodes",
                      (long long)cfg->batch);
        goto done;
    }
    syn_progress_begin(&r.bar, "pretrain", "steps",
                       (cfg->central ? 2 : 1) * cfg->ranker_steps + cfg->gap_steps);
    r.bar.quiet |= cfg->quiet;
    SYN_TRY(phase(&r, ranker_step, cfg->ranker_steps, PHASE_RANKER, &best_step));
    if (cfg->central)
        SYN_TRY(phase(&r, refiner_step, cfg->ranker_steps, PHASE_REFINER, &best_step));
    SYN_TRY(items_measure(&r));
    SYN_TRY(phase(&r, gap_step, cfg->gap_steps, PHASE_GAP, &result->gap_steps));
    SYN_TRY(calibrate(&r, result));
    syn_progress_end(&r.bar);
    result->seconds = syn_clock_s() - started;
done:
    syn_observer_free(ctx, &r.o);
    syn_device_free(ctx, r.best);
    syn_device_free(ctx, r.learning);
    free(r.envs);
    free(r.train);
    free(r.held);
    return st;
}
