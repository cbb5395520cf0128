/* The steps of phase 1 on CUDA. The host draws episodes, which are a few kilobytes each, into
 * page-locked memory while the device is still busy with the batch before; all that is learnt from
 * them is made on the device. The work between a batch's arrival and its gradient is recorded once
 * for every shape, the optimiser's step once for every phase; a step is a copy and two launches,
 * and the host reads back nothing before it asks for the loss. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/graph.h"
#include "kernels/base/staging.h"
#include "kernels/ffn.h"
#include "kernels/loss.h"
#include "trainer/pretrain_ops.h"
#include "trainer/pretrain_private.h"

enum { R = SYN_ROWS_MAX, SHAPES_MAX = 24, LOSS_BAD = 1, NORM_BAD };

typedef syn_pretrain_run run;

/* What the host tells the device before a step. */
typedef struct head {
    uint64_t draws;
    syn_adam_scalars adam;
    real scale[SYN_GAP_OUT]; /* of losses; the judges' is the first */
} head;

/* What the steps leave; the host reads and clears it. */
typedef struct outcome {
    real loss[SYN_GAP_OUT];
    real norm;
    int32_t bad; /* a number was not finite: no more steps */
} outcome;

/* Work that is recorded for one shape. */
typedef struct recorded {
    syn_phase phase;
    syn_gap_shape shape;
    syn_graph graph;
} recorded;

struct syn_pretrain_device {
    syn_staging staging;
    unsigned char *batch; /* as it is sent: head, labels, episodes */
    size_t labels, episodes, bytes;
    real *mean, *scale; /* (SYN_DI) */
    outcome *outcome;
    recorded shapes[SHAPES_MAX];
    int used, oldest;
    syn_graph apply[SYN_PHASES];
};

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

syn_status syn_pretrain_device_init(run *r)
{
    syn_ctx *ctx = r->ctx;
    syn_pretrain_device *d = r->device = calloc(1, sizeof *d);
    if (!d) return syn_fail(SYN_ERR_MEMORY, "out of memory for pre-training");
    const size_t batch = (size_t)r->cfg->batch;
    d->labels = aligned(sizeof(head));
    d->episodes = d->labels + aligned(sizeof(int32_t) * batch);
    d->bytes = d->episodes + sizeof(syn_env) * batch;
    SYN_RETURN_IF(syn_staging_init(ctx, &d->staging, d->bytes));
    d->batch = syn_device_alloc(ctx, d->bytes);
    d->mean = syn_device_alloc(ctx, sizeof(real) * SYN_DI);
    d->scale = syn_device_alloc(ctx, sizeof(real) * SYN_DI);
    d->outcome = syn_device_alloc(ctx, sizeof *d->outcome);
    return d->batch && d->mean && d->scale && d->outcome ? SYN_OK : SYN_ERR_MEMORY;
}

void syn_pretrain_device_free(run *r)
{
    syn_ctx *ctx = r->ctx;
    syn_pretrain_device *d = r->device;
    if (!d) return;
    for (int k = 0; k < d->used; k++) syn_graph_free(ctx, &d->shapes[k].graph);
    for (int k = 0; k < SYN_PHASES; k++) syn_graph_free(ctx, &d->apply[k]);
    syn_staging_free(ctx, &d->staging);
    void *all[] = {d->batch, d->mean, d->scale, d->outcome};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) syn_device_free(ctx, all[k]);
    free(d);
    r->device = NULL;
}

syn_status syn_pretrain_device_next(run *r)
{
    void *host;
    SYN_RETURN_IF(syn_staging_next(r->ctx, &r->device->staging, &host));
    r->label = (int32_t *)((unsigned char *)host + r->device->labels);
    r->envs = (syn_env *)((unsigned char *)host + r->device->episodes);
    return SYN_OK;
}

static syn_status send(run *r, const head *h)
{
    syn_pretrain_device *d = r->device;
    memcpy((unsigned char *)r->envs - d->episodes, h, sizeof *h);
    for (int64_t e = 0; e < r->cfg->batch; e++) r->label[e] -= (int32_t)r->first;
    return syn_staging_send(r->ctx, &d->staging, d->batch, d->bytes);
}

/* ---- The batch as the device has it ---- */

static head *head_of(const run *r)
{
    return (head *)r->device->batch;
}

static const syn_env *episodes_of(const run *r)
{
    return (const syn_env *)(r->device->batch + r->device->episodes) + r->first;
}

/* Numbers of episodes from this rank's first one on. */
static const int32_t *labels_of(const run *r)
{
    return (const int32_t *)(r->device->batch + r->device->labels) + r->first;
}

static syn_status batch_make(run *r, const syn_gap_shape *shape, syn_gap_batch *b)
{
    SYN_RETURN_IF(syn_observe_views(r->ctx, &r->o, r->p, r->tasks, episodes_of(r)));
    return syn_gap_batch_make_cuda(r->ctx, &r->o, r->tasks, episodes_of(r), labels_of(r),
                                   head_of(r)->scale, shape, b);
}

/* ---- What is recorded ---- */

typedef struct work {
    run *r;
    syn_phase phase;
    const syn_gap_shape *shape;
} work;

static syn_status judge_learn(const work *w)
{
    run *r = w->r;
    syn_ctx *ctx = r->ctx;
    outcome *out = r->device->outcome;
    const bool refiner = w->phase == SYN_PHASE_REFINER;
    const int64_t rows = r->mine * R * (r->cfg->central && !refiner ? 2 : 1);
    const uint64_t seed = r->cfg->seed;
    syn_ffn f = refiner ? syn_refiner_ffn(r->p) : syn_ranker_ffn(r->p);
    real *x, *target, *weight, *y, *dy, *cache;
    SYN_TAKE(ctx, x, real, rows * SYN_DX);
    SYN_TAKE(ctx, target, real, rows);
    SYN_TAKE(ctx, weight, real, rows);
    SYN_TAKE(ctx, y, real, rows);
    SYN_TAKE(ctx, dy, real, rows);
    SYN_TAKE(ctx, cache, real, syn_ffn_cache_size(&f, rows));
    SYN_RETURN_IF(syn_observe_views(ctx, &r->o, r->p, r->tasks, episodes_of(r)));
    SYN_RETURN_IF(syn_judge_rows_cuda(ctx, &r->o, r->tasks, episodes_of(r), refiner,
                                      head_of(r)->scale, x, target, weight));
    SYN_RETURN_IF(syn_ffn_forward(ctx, &f, rows, x, SYN_DX, true, seed, 0, cache, y));
    SYN_RETURN_IF(syn_bce_forward_backward(ctx, rows, y, 1, target, weight, 1, dy, out->loss));
    return syn_ffn_backward(ctx, &f, rows, x, SYN_DX, true, seed, 0, cache, dy, NULL, 0);
}

static syn_status gap_learn(const work *w)
{
    static const real ones[SYN_GAP_OUT] = {1, 1}; /* the weights are scaled */
    run *r = w->r;
    const syn_pretrain_device *d = r->device;
    syn_gap_batch b;
    SYN_RETURN_IF(batch_make(r, w->shape, &b));
    SYN_RETURN_IF(syn_items_standardise_cuda(r->ctx, w->shape->items, d->mean, d->scale, b.items));
    return syn_gap_batch_learn(r->ctx, r->p, &b, ones, r->cfg->seed, 0, d->outcome->loss);
}

static syn_status learn(void *user)
{
    const work *w = user;
    syn_ctx *ctx = w->r->ctx;
    syn_status st = syn_params_zero_grad(ctx, &w->r->p->params);
    syn_scratch_mark mark = syn_scratch_push(ctx);
    ctx->draws = &head_of(w->r)->draws;
    if (st == SYN_OK) st = w->phase == SYN_PHASE_GAP ? gap_learn(w) : judge_learn(w);
    ctx->draws = NULL;
    syn_scratch_pop(ctx, mark);
    return st;
}

static syn_status apply(void *user)
{
    const work *w = user;
    run *r = w->r;
    outcome *out = r->device->outcome;
    syn_params *t = &r->p->params;
    const syn_pretrain_aim aim = syn_pretrain_aim_of(r, w->phase, 0);
    SYN_RETURN_IF(syn_flag_not_finite(r->ctx, SYN_GAP_OUT, out->loss, LOSS_BAD, &out->bad));
    SYN_RETURN_IF(syn_params_norm(r->ctx, t, aim.first, aim.last, &out->norm));
    SYN_RETURN_IF(syn_flag_not_finite(r->ctx, 1, &out->norm, NORM_BAD, &out->bad));
    return syn_params_apply_device(r->ctx, t, aim.first, aim.last, &head_of(r)->adam, &out->norm,
                                   &out->bad);
}

/* The place of a shape's recorded work; a new one takes that of the oldest where all are taken. */
static syn_graph *graph_of(run *r, syn_phase phase, const syn_gap_shape *shape)
{
    syn_pretrain_device *d = r->device;
    for (int k = 0; k < d->used; k++) {
        recorded *x = &d->shapes[k];
        if (x->phase == phase && memcmp(&x->shape, shape, sizeof *shape) == 0) return &x->graph;
    }
    const int at = d->used < SHAPES_MAX ? d->used++ : d->oldest++ % SHAPES_MAX;
    syn_graph_free(r->ctx, &d->shapes[at].graph);
    d->shapes[at] = (recorded){.phase = phase, .shape = *shape};
    return &d->shapes[at].graph;
}

/* ---- Steps ---- */

static syn_status head_make(const run *r, syn_phase phase, int64_t step,
                            const syn_pretrain_aim *aim, const syn_pretrain_totals *totals, head *h)
{
    const bool gap = phase == SYN_PHASE_GAP;
    const int64_t views = r->cfg->central && phase == SYN_PHASE_RANKER ? 2 : 1;
    memset(h, 0, sizeof *h);
    /* The perception counts four masks to a step. */
    h->draws = syn_pretrain_counter(r, step) * (gap ? 4 : 1);
    h->scale[SYN_GAP] = (real)1 / (real)(3 * r->cfg->batch);
    h->scale[SYN_LINK] = (real)1 / (real)totals->links;
    if (!gap) h->scale[0] = (real)1 / (real)(totals->rows * views);
    return syn_adam_scalars_init(&h->adam, aim->adam.lr, aim->adam.beta1, aim->adam.beta2,
                                 aim->adam.eps, aim->adam.weight_decay, r->p->params.step,
                                 aim->adam.max_grad_norm);
}

syn_status syn_pretrain_device_step(run *r, syn_phase phase, int64_t step)
{
    const syn_pretrain_aim aim = syn_pretrain_aim_of(r, phase, step);
    syn_params *t = &r->p->params;
    syn_pretrain_totals totals;
    head h;
    SYN_RETURN_IF(syn_pretrain_device_next(r));
    syn_pretrain_draw(r, step, aim.purpose, &totals);
    syn_gap_shape shape = {0}; /* the judges' rows are as many in every batch */
    if (phase == SYN_PHASE_GAP) shape = syn_gap_shape_fill(&totals.shape);
    t->step++;
    SYN_RETURN_IF(head_make(r, phase, step, &aim, &totals, &h));
    SYN_RETURN_IF(send(r, &h));
    work w = {r, phase, &shape};
    SYN_RETURN_IF(syn_graph_run(r->ctx, graph_of(r, phase, &shape), learn, &w));
    if (syn_dist_size(r->cfg->dist) > 1) {
        SYN_RETURN_IF(syn_dist_sum_begin(r->cfg->dist, t->grad, t->total));
        SYN_RETURN_IF(syn_dist_sum_wait(r->cfg->dist));
    }
    return syn_graph_run(r->ctx, &r->device->apply[phase], apply, &w);
}

syn_status syn_pretrain_device_loss(run *r, syn_phase phase, double *loss)
{
    const syn_pretrain_aim aim = syn_pretrain_aim_of(r, phase, 0);
    outcome out;
    SYN_RETURN_IF(syn_copy_out(r->ctx, &out, r->device->outcome, sizeof out));
    if (out.bad == LOSS_BAD)
        return syn_fail(SYN_ERR_NUMERIC, "the loss is not finite; the weights are as before it");
    if (out.bad == NORM_BAD) return syn_params_blame(r->ctx, &r->p->params, aim.first, aim.last);
    *loss = 0;
    for (int k = 0; k < SYN_GAP_OUT; k++) *loss += (double)out.loss[k];
    return syn_zero(r->ctx, r->device->outcome, sizeof *r->device->outcome);
}

/* ---- Scales of the items ---- */

syn_status syn_pretrain_device_scales(run *r)
{
    SYN_RETURN_IF(syn_copy_in(r->ctx, r->device->mean, r->mean, sizeof r->mean));
    return syn_copy_in(r->ctx, r->device->scale, r->scale, sizeof r->scale);
}

syn_status syn_pretrain_device_items(run *r, const syn_pretrain_totals *totals, real **items,
                                     int64_t *n)
{
    const syn_gap_shape shape = syn_gap_shape_fill(&totals->shape);
    const head h = {0};
    syn_gap_batch b;
    *n = totals->shape.items;
    SYN_RETURN_IF(send(r, &h));
    SYN_RETURN_IF(batch_make(r, &shape, &b));
    SYN_HOST_TAKE(r->ctx, *items, real, *n * SYN_DI);
    return syn_copy_out(r->ctx, *items, b.items, sizeof(real) * (size_t)(*n * SYN_DI));
}
