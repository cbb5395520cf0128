#include "trainer/pretrain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"
#include "trainer/pretrain_private.h"

enum { CHECKS = 15 };

typedef syn_pretrain_run run;

static const char *const phase_name[] = {"ranker", "refiner", "gap"};

/* ---- The phases, with early stopping on held-out records ---- */

static syn_status check(run *r, syn_phase phase, double *nll)
{
    static const syn_calibration plain = {1, 0};
    syn_measured m;
    syn_episode_config opening = syn_episodes_opening;
    opening.untitled_share = 0.3f;
    SYN_RETURN_IF(syn_measure(r->ctx, r->p, r->cfg->central, r->corpus, &opening, r->held,
                              r->held_count, r->cfg->check_episodes, r->cfg->seed + 77, &m));
    *nll = phase == SYN_PHASE_RANKER    ? syn_nll(m.first, m.ranks, &plain)
           : phase == SYN_PHASE_REFINER ? syn_nll(m.ranker, m.ranks, &plain)
                                        : syn_nll(m.gap, m.gaps, &plain);
    syn_measured_free(&m);
    return SYN_OK;
}

/* Weights of a phase in the making. */
typedef struct progress {
    int64_t every; /* steps between checks */
    double loss, nll, best;
} progress;

/* Judges the weights and keeps them where they are the best so far. */
static syn_status judge(run *r, syn_phase phase, int64_t step, progress *x, int64_t *best_step)
{
    syn_params *t = &r->p->params;
    const size_t bytes = sizeof(real) * (size_t)t->total;
    SYN_RETURN_IF(syn_pretrain_loss(r, phase, &x->loss));
    SYN_RETURN_IF(syn_copy(r->ctx, r->learning, t->value, bytes));
    if (phase == SYN_PHASE_GAP) SYN_RETURN_IF(syn_pretrain_fold_items(r));
    SYN_RETURN_IF(check(r, phase, &x->nll));
    x->loss /= (double)x->every;
    syn_log(SYN_LOG_DEBUG, "%s step %lld: loss %.4f, held-out %.4f", phase_name[phase],
            (long long)step + 1, x->loss, x->nll);
    /* Held-out labels are true ones: choosing by them would let truth into the leak test. */
    if (x->nll < x->best || r->cfg->shuffled_labels) {
        x->best = x->nll;
        *best_step = step + 1;
        SYN_RETURN_IF(syn_copy(r->ctx, r->best, t->value, bytes));
    }
    return syn_copy(r->ctx, t->value, r->learning, bytes);
}

static syn_status phase(run *r, syn_phase kind, int64_t steps, int64_t *best_step)
{
    syn_params *t = &r->p->params;
    const size_t bytes = sizeof(real) * (size_t)t->total;
    progress x = {steps / CHECKS > 0 ? steps / CHECKS : 1, 0, 0, INFINITY};
    SYN_RETURN_IF(syn_zero(r->ctx, t->m, bytes));
    SYN_RETURN_IF(syn_zero(r->ctx, t->v, bytes));
    t->step = 0;
    for (int64_t s = 0; s < steps; s++) {
        syn_status st = syn_pretrain_step(r, kind, s);
        if (st == SYN_OK && (s + 1) % x.every == 0) st = judge(r, kind, s, &x, best_step);
        if (st == SYN_ERR_NUMERIC)
            return syn_fail_within(st, "%s, step %lld", phase_name[kind], (long long)s + 1);
        if (st != SYN_OK) return st;
        syn_progress_update(&r->bar, ++r->done, "%s loss %.3f held-out %.3f", phase_name[kind],
                            x.loss, x.nll);
    }
    return syn_copy(r->ctx, t->value, r->best, bytes);
}

static syn_status calibrate(run *r, syn_pretrain_result *out)
{
    syn_measured m;
    SYN_RETURN_IF(syn_calibrate_perception(r->ctx, r->p, r->cfg->central, r->corpus, r->held,
                                           r->held_count, 4 * r->cfg->check_episodes,
                                           r->cfg->seed + 78, &out->link_auroc));
    SYN_RETURN_IF(syn_measure(r->ctx, r->p, r->cfg->central, r->corpus, &syn_episodes_opening,
                              r->held, r->held_count, 4 * r->cfg->check_episodes, r->cfg->seed + 79,
                              &m));
    const syn_calibration *c = &r->p->calibrated[SYN_GAP];
    out->gap_auroc = syn_auroc(m.gap, m.gaps);
    out->gap_balanced_accuracy = syn_balanced_accuracy(m.gap, m.gaps, c, 0.75);
    out->gap_ece = syn_ece(m.gap, m.gaps, c);
    out->ranker_auroc = syn_auroc(m.ranker, m.ranks);
    syn_measured_free(&m);
    return SYN_OK;
}

/* ---- The run ---- */

/* The share of each batch that is this rank's. */
static syn_status share_out(run *r)
{
    const int ranks = syn_dist_size(r->cfg->dist);
    r->mine = r->cfg->batch / ranks;
    r->first = r->mine * syn_dist_rank(r->cfg->dist);
    if (r->mine * ranks == r->cfg->batch) return SYN_OK;
    return syn_fail(SYN_ERR_USAGE, "--batch %lld cannot be cut into %d equal parts, one for a rank",
                    (long long)r->cfg->batch, ranks);
}

static syn_status prepare(run *r)
{
    syn_ctx *ctx = r->ctx;
    const size_t weights = sizeof(real) * (size_t)r->p->params.total;
    const size_t batch = (size_t)r->cfg->batch;
    SYN_RETURN_IF(share_out(r));
    SYN_RETURN_IF(syn_params_trainable(ctx, &r->p->params));
    r->draw = syn_corpus_draw(r->corpus, r->train, r->train_count);
    r->tasks = syn_corpus_tasks(ctx, r->corpus);
    SYN_RETURN_IF(syn_observer_init(ctx, &r->o, r->mine, r->cfg->central));
    r->best = syn_device_alloc(ctx, weights);
    r->learning = syn_device_alloc(ctx, weights);
    if (!r->best || !r->learning) return SYN_ERR_MEMORY;
    if (ctx->device != SYN_DEVICE_CPU) return syn_pretrain_device_init(r);
    r->envs = calloc(batch, sizeof *r->envs);
    r->label = calloc(batch, sizeof *r->label);
    if (r->envs && r->label) return SYN_OK;
    return syn_fail(SYN_ERR_MEMORY, "out of memory for a batch of %lld episodes",
                    (long long)r->cfg->batch);
}

static void run_free(run *r)
{
    syn_observer_free(r->ctx, &r->o);
    syn_device_free(r->ctx, r->best);
    syn_device_free(r->ctx, r->learning);
    if (r->ctx->device == SYN_DEVICE_CPU) { /* else they lie with the device */
        free(r->envs);
        free(r->label);
    }
    syn_pretrain_device_free(r);
}

static syn_status fit(run *r, syn_pretrain_result *result)
{
    const syn_pretrain_config *cfg = r->cfg;
    int64_t best_step = 0;
    syn_progress_begin(&r->bar, "pretrain", "steps",
                       (cfg->central ? 2 : 1) * cfg->ranker_steps + cfg->gap_steps);
    r->bar.quiet |= cfg->quiet;
    SYN_RETURN_IF(phase(r, SYN_PHASE_RANKER, cfg->ranker_steps, &best_step));
    if (cfg->central) SYN_RETURN_IF(phase(r, SYN_PHASE_REFINER, cfg->ranker_steps, &best_step));
    SYN_RETURN_IF(syn_pretrain_measure_items(r));
    SYN_RETURN_IF(phase(r, SYN_PHASE_GAP, cfg->gap_steps, &result->gap_steps));
    SYN_RETURN_IF(calibrate(r, result));
    syn_progress_end(&r->bar);
    return SYN_OK;
}

syn_status syn_pretrain_fit(syn_ctx *ctx, const syn_pretrain_config *cfg, const syn_corpus *corpus,
                            const syn_pretrain_split *split, syn_perception *p,
                            syn_pretrain_result *result)
{
    const double started = syn_clock_s();
    const bool copied = ctx->device != SYN_DEVICE_CPU;
    syn_ctx host = {.device = SYN_DEVICE_CPU, .threads = 1};
    syn_perception copy = {0};
    run r = {.ctx = ctx,
             .cfg = cfg,
             .corpus = corpus,
             .train = split->train,
             .held = split->held,
             .train_count = split->train_count,
             .held_count = split->held_count,
             .p = copied ? &copy : p};
    syn_status st;
    memset(result, 0, sizeof *result);
    SYN_TRY(syn_perception_init(&host, p, cfg->seed));
    p->dropout = (real)cfg->dropout;
    p->without = cfg->without;
    if (copied) {
        copy = *p;
        SYN_TRY(syn_params_clone(ctx, &copy.params, &p->params));
    }
    SYN_TRY(prepare(&r));
    SYN_TRY(fit(&r, result));
    if (copied) {
        SYN_TRY(syn_params_fetch(ctx, &copy.params, &p->params));
        memcpy(p->calibrated, copy.calibrated, sizeof p->calibrated);
    }
    result->seconds = syn_clock_s() - started;
done:
    run_free(&r);
    if (copied) syn_perception_free(ctx, &copy);
    return st;
}
