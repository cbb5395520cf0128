#include "engine/perception.h"

#include <string.h>

#include "engine/perception_device.h"
#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/lstm.h"

syn_status syn_perception_init(syn_ctx *ctx, syn_perception *p, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    syn_params *t = &p->params;
    syn_params_add(t, "ranker.w0", 64, SYN_DX, 1, SYN_DX);
    syn_params_add(t, "ranker.b0", 64, 1, 1, SYN_DX);
    syn_params_add(t, "ranker.w1", 64, 64, 1, 64);
    syn_params_add(t, "ranker.b1", 64, 1, 1, 64);
    syn_params_add(t, "ranker.w2", 1, 64, 1, 64);
    syn_params_add(t, "ranker.b2", 1, 1, 1, 64);
    syn_params_add(t, "refiner.w0", 64, SYN_DX, 1, SYN_DX);
    syn_params_add(t, "refiner.b0", 64, 1, 1, SYN_DX);
    syn_params_add(t, "refiner.w1", 64, 64, 1, 64);
    syn_params_add(t, "refiner.b1", 64, 1, 1, 64);
    syn_params_add(t, "refiner.w2", 1, 64, 1, 64);
    syn_params_add(t, "refiner.b2", 1, 1, 1, 64);
    syn_params_add(t, "ckm.in.w", SYN_DI_HIDDEN, SYN_DI, 1, SYN_DI);
    syn_params_add(t, "ckm.in.b", SYN_DI_HIDDEN, 1, 1, SYN_DI);
    const int64_t H = SYN_CKM_HALF;
    for (int reverse = 0; reverse < 2; reverse++) {
        syn_params_add(t, reverse ? "ckm.reverse.W" : "ckm.forward.W", 4 * H, SYN_DI_HIDDEN, 1, H);
        syn_params_add(t, reverse ? "ckm.reverse.R" : "ckm.forward.R", 4 * H, H, 1, H);
        syn_params_add(t, reverse ? "ckm.reverse.b" : "ckm.forward.b", 4 * H, 1, 1, H);
    }
    syn_params_add(t, "ckm.attention.w", SYN_CKM_ATTENTION, SYN_CKM, 1, SYN_CKM);
    syn_params_add(t, "ckm.attention.v", SYN_CKM_ATTENTION, 1, 1, SYN_CKM_ATTENTION);
    syn_params_add(t, "ckm.empty", SYN_CKM, 1, 1, SYN_CKM);
    syn_params_add(t, "gap.w1", SYN_GAP_HIDDEN, SYN_CKM, 1, 2 * SYN_CKM);
    syn_params_add(t, "gap.w2", SYN_GAP_HIDDEN, SYN_CKM, 1, 2 * SYN_CKM);
    syn_params_add(t, "gap.b1", SYN_GAP_HIDDEN, 1, 1, 2 * SYN_CKM);
    syn_params_add(t, "gap.w3", 128, SYN_GAP_HIDDEN, 1, SYN_GAP_HIDDEN);
    syn_params_add(t, "gap.b3", 128, 1, 1, SYN_GAP_HIDDEN);
    syn_params_add(t, "gap.w4", 64, 128, 1, 128);
    syn_params_add(t, "gap.b4", 64, 1, 1, 128);
    syn_params_add(t, "gap.w5", SYN_GAP_OUT, 64, 1, 64);
    syn_params_add(t, "gap.b5", SYN_GAP_OUT, 1, 1, 64);
    p->dropout = (real)0.2;
    for (int k = 0; k < SYN_GAP_OUT; k++) p->calibrated[k].temperature = 1;
    return syn_params_commit(ctx, t, seed);
}

void syn_perception_free(syn_ctx *ctx, syn_perception *p)
{
    syn_params_free(ctx, &p->params);
}

static syn_ffn ffn_of(const syn_perception *p, int layers, const int64_t *dim, const int *w,
                      const int *b)
{
    syn_ffn f = {.layers = layers, .dropout = p->dropout};
    for (int l = 0; l <= layers; l++) f.dim[l] = dim[l];
    for (int l = 0; l < layers; l++) {
        f.w[l] = syn_value(&p->params, w[l]);
        f.b[l] = syn_value(&p->params, b[l]);
        f.dw[l] = syn_grad(&p->params, w[l]);
        f.db[l] = syn_grad(&p->params, b[l]);
    }
    return f;
}

syn_ffn syn_ranker_ffn(const syn_perception *p)
{
    return ffn_of(p, 3, (int64_t[]){SYN_DX, 64, 64, 1},
                  (int[]){SYN_P_RANKER_W0, SYN_P_RANKER_W1, SYN_P_RANKER_W2},
                  (int[]){SYN_P_RANKER_B0, SYN_P_RANKER_B1, SYN_P_RANKER_B2});
}

syn_ffn syn_refiner_ffn(const syn_perception *p)
{
    return ffn_of(p, 3, (int64_t[]){SYN_DX, 64, 64, 1},
                  (int[]){SYN_P_REFINER_W0, SYN_P_REFINER_W1, SYN_P_REFINER_W2},
                  (int[]){SYN_P_REFINER_B0, SYN_P_REFINER_B1, SYN_P_REFINER_B2});
}

/* The layers after the factored first one. */
static syn_ffn gap_ffn(const syn_perception *p)
{
    return ffn_of(p, 3, (int64_t[]){SYN_GAP_HIDDEN, 128, 64, SYN_GAP_OUT},
                  (int[]){SYN_P_GAP_W3, SYN_P_GAP_W4, SYN_P_GAP_W5},
                  (int[]){SYN_P_GAP_B3, SYN_P_GAP_B4, SYN_P_GAP_B5});
}

syn_status syn_ranker_score(syn_ctx *ctx, const syn_perception *p, int64_t n, const real *x,
                            real *logit)
{
    syn_ffn f = syn_ranker_ffn(p);
    return n ? syn_ffn_score(ctx, &f, n, NULL, x, SYN_DX, logit) : SYN_OK;
}

syn_status syn_refiner_score(syn_ctx *ctx, const syn_perception *p, int64_t n, const real *x,
                             real *logit)
{
    syn_ffn f = syn_refiner_ffn(p);
    return n ? syn_ffn_score(ctx, &f, n, NULL, x, SYN_DX, logit) : SYN_OK;
}

struct syn_perception_cache {
    real *in;            /* (rows, SYN_DI_HIDDEN), after activation and dropout */
    real *h, *c, *v;     /* BiLSTM */
    real *u, *alpha;     /* attention */
    real *ckm, *dropped; /* (agents, SYN_CKM) */
    real *a, *b;       /* factored halves: a (agents), b (2 agents): own, then mean of the others */
    int32_t *ia, *ib;  /* (agents + links) */
    real *first, *ffn; /* first layer after activation and dropout; cache of the rest */
    uint64_t seed, counter;
    bool train;
};

/* keep: for a backward pass. */
static syn_status cache_take(syn_ctx *ctx, syn_perception_cache **out, int64_t rows, int64_t batch,
                             bool keep)
{
    syn_perception_cache *k;
    SYN_HOST_TAKE(ctx, k, syn_perception_cache, 1);
    memset(k, 0, sizeof *k);
    SYN_TAKE(ctx, k->in, real, rows * SYN_DI_HIDDEN);
    SYN_TAKE(ctx, k->h, real, rows * SYN_CKM);
    if (keep) {
        SYN_TAKE(ctx, k->c, real, rows * SYN_CKM);
        SYN_TAKE(ctx, k->v, real, rows * 4 * SYN_CKM);
    }
    SYN_TAKE(ctx, k->u, real, rows * SYN_CKM_ATTENTION);
    SYN_TAKE(ctx, k->alpha, real, rows);
    SYN_TAKE(ctx, k->ckm, real, batch * SYN_CKM);
    *out = k;
    return SYN_OK;
}

/* The ablation of the recurrent encoder: ckm = mean of `in` over each memory, an empty one is the
 * learned vector as ever. */
_Static_assert(SYN_DI_HIDDEN == SYN_CKM, "the mean stands in the place of the CKM vector");

syn_status syn_mean_pool_cpu(syn_ctx *ctx, int64_t capacity, const int32_t *live,
                             const int32_t *offset, const real *in, const real *empty, real *alpha,
                             real *ckm)
{
    (void)ctx;
    for (int64_t b = 0; b < (live ? *live : capacity); b++) {
        const int64_t n = offset[b + 1] - offset[b];
        real *to = ckm + b * SYN_CKM;
        if (n == 0)
            memcpy(to, empty, sizeof(real) * SYN_CKM);
        else
            memset(to, 0, sizeof(real) * SYN_CKM);
        for (int64_t r = offset[b]; r < offset[b + 1]; r++) {
            alpha[r] = (real)1 / (real)n;
            for (int d = 0; d < SYN_CKM; d++) to[d] += in[r * SYN_CKM + d] * alpha[r];
        }
    }
    return SYN_OK;
}

static syn_status mean_pool(syn_ctx *ctx, int64_t capacity, const int32_t *live,
                            const int32_t *offset, const real *in, const real *empty, real *alpha,
                            real *ckm)
{
    return SYN_DISPATCH(ctx, syn_mean_pool, capacity, live, offset, in, empty, alpha, ckm);
}

syn_status syn_mean_pool_backward_cpu(syn_ctx *ctx, const syn_seq *seq, const real *dckm, real *din,
                                      real *dempty)
{
    (void)ctx;
    for (int64_t b = 0; b < seq->batch; b++) {
        const int64_t n = syn_seq_length(seq, b);
        const real *d = dckm + b * SYN_CKM;
        for (int k = 0; k < SYN_CKM && n == 0; k++) dempty[k] += d[k];
        for (int64_t r = seq->offset[b]; r < seq->offset[b + 1]; r++) {
            for (int k = 0; k < SYN_CKM; k++) din[r * SYN_CKM + k] = d[k] / (real)n;
        }
    }
    return SYN_OK;
}

static syn_status mean_pool_backward(syn_ctx *ctx, const syn_seq *seq, const real *dckm, real *din,
                                     real *dempty)
{
    return SYN_DISPATCH(ctx, syn_mean_pool_backward, seq, dckm, din, dempty);
}

static syn_status encode(syn_ctx *ctx, const syn_perception *p, const syn_seq *seq,
                         const real *items, const real *bias, syn_perception_cache *k, real *ckm)
{
    const syn_params *t = &p->params;
    if (seq->rows) {
        SYN_RETURN_IF(syn_linear_forward(ctx, seq->rows, SYN_DI, SYN_DI_HIDDEN, items, SYN_DI,
                                         syn_value(t, SYN_P_IN_W), syn_value(t, SYN_P_IN_B),
                                         SYN_ACT_RELU, k->in, SYN_DI_HIDDEN));
        if (k->train) {
            SYN_RETURN_IF(syn_dropout(ctx, seq->rows * SYN_DI_HIDDEN, p->dropout, k->seed,
                                      4 * k->counter, k->in));
        }
    }
    if (p->without & SYN_WITHOUT_CKM) {
        return mean_pool(ctx, seq->batch, NULL, seq->offset, k->in, syn_value(t, SYN_P_EMPTY),
                         k->alpha, ckm);
    }
    SYN_RETURN_IF(
        syn_bilstm_forward(ctx, seq, SYN_DI_HIDDEN, SYN_CKM_HALF, k->in, syn_value(t, SYN_P_WF),
                           syn_value(t, SYN_P_RF), syn_value(t, SYN_P_BF), syn_value(t, SYN_P_WR),
                           syn_value(t, SYN_P_RR), syn_value(t, SYN_P_BR), k->h, k->c, k->v));
    return syn_attention_forward(ctx, seq, SYN_CKM, SYN_CKM_ATTENTION, k->h,
                                 syn_value(t, SYN_P_ATT_W), syn_value(t, SYN_P_ATT_V), bias,
                                 syn_value(t, SYN_P_EMPTY), k->u, k->alpha, ckm);
}

syn_status syn_ckm_forward(syn_ctx *ctx, const syn_perception *p, const syn_seq *seq,
                           const real *items, const real *bias, real *ckm, real *relevance)
{
    if (seq->batch == 0) return SYN_OK;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_perception_cache *k;
    syn_status st;
    SYN_TRY(cache_take(ctx, &k, seq->rows, seq->batch, false));
    SYN_TRY(encode(ctx, p, seq, items, bias, k, ckm));
    if (relevance) SYN_TRY(syn_copy(ctx, relevance, k->alpha, sizeof(real) * (size_t)seq->rows));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_gap_factor(syn_ctx *ctx, const syn_perception *p, int64_t n, const real *ckm,
                          real *a, real *b)
{
    if (n == 0) return SYN_OK;
    SYN_RETURN_IF(syn_linear_forward(ctx, n, SYN_CKM, SYN_GAP_HIDDEN, ckm, SYN_CKM,
                                     syn_value(&p->params, SYN_P_GAP_W1), NULL, SYN_ACT_NONE, a,
                                     SYN_GAP_HIDDEN));
    return syn_linear_forward(ctx, n, SYN_CKM, SYN_GAP_HIDDEN, ckm, SYN_CKM,
                              syn_value(&p->params, SYN_P_GAP_W2), NULL, SYN_ACT_NONE, b,
                              SYN_GAP_HIDDEN);
}

/* W1 and W2 lie behind each other, as two halves of one matrix. */
_Static_assert(SYN_CKM *SYN_GAP_HIDDEN % SYN_PARAM_ALIGN == 0 && SYN_P_GAP_W2 == SYN_P_GAP_W1 + 1,
               "no gap between them");

syn_status syn_gap_halves_live(syn_ctx *ctx, const syn_perception *p, int64_t capacity,
                               const int32_t *live, const real *ckm, real *half)
{
    return syn_linear_live(ctx, capacity, live, SYN_CKM, 2 * SYN_GAP_HIDDEN, ckm, SYN_CKM,
                           syn_value(&p->params, SYN_P_GAP_W1), NULL, SYN_ACT_NONE, half,
                           2 * SYN_GAP_HIDDEN);
}

syn_status syn_gap_score_live(syn_ctx *ctx, const syn_perception *p, int64_t capacity,
                              const int32_t *live, const real *a, const int32_t *ia, const real *b,
                              const int32_t *ib, real *logit)
{
    const syn_ffn f = gap_ffn(p);
    return syn_ffn_gather_score(ctx, &f, capacity, live, a, ia, b, ib,
                                syn_value(&p->params, SYN_P_GAP_B1), logit);
}

syn_status syn_gap_score(syn_ctx *ctx, const syn_perception *p, int64_t rows, const real *a,
                         const int32_t *ia, const real *b, const int32_t *ib, real *logit)
{
    return rows ? syn_gap_score_live(ctx, p, rows, NULL, a, ia, b, ib, logit) : SYN_OK;
}

/* ---- Training ---- */

syn_status syn_others_mean_cpu(syn_ctx *ctx, const syn_team_batch *b, int64_t width, const real *in,
                               real *out, bool accumulate)
{
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t i = 0; i < b->agents; i++) {
        int64_t first = b->first[i], size = b->size[i];
        real scale = size > 1 ? (real)1 / (real)(size - 1) : 0;
        real *o = out + i * width;
        if (!accumulate) memset(o, 0, sizeof(real) * (size_t)width);
        for (int64_t j = first; j < first + size; j++) {
            if (j == i) continue;
            const real *x = in + j * width;
            for (int64_t d = 0; d < width; d++) o[d] += scale * x[d];
        }
    }
    return SYN_OK;
}

static syn_status others_mean(syn_ctx *ctx, const syn_team_batch *b, int64_t width, const real *in,
                              real *out, bool accumulate)
{
    return SYN_DISPATCH(ctx, syn_others_mean, b, width, in, out, accumulate);
}

syn_status syn_pair_rows_cpu(syn_ctx *ctx, const syn_team_batch *b, int32_t *ia, int32_t *ib)
{
    (void)ctx;
    for (int64_t r = 0; r < b->agents; r++) {
        ia[r] = (int32_t)r;
        ib[r] = (int32_t)(b->agents + r);
    }
    for (int64_t r = 0; r < b->links; r++) {
        ia[b->agents + r] = b->link_i[r];
        ib[b->agents + r] = b->link_j[r];
    }
    return SYN_OK;
}

static syn_status pair_rows(syn_ctx *ctx, const syn_team_batch *b, int32_t *ia, int32_t *ib)
{
    return SYN_DISPATCH(ctx, syn_pair_rows, b, ia, ib);
}

syn_status syn_perception_forward(syn_ctx *ctx, const syn_perception *p,
                                  const syn_team_batch *batch, bool train, uint64_t seed,
                                  uint64_t counter, syn_perception_cache **cache, real *logit)
{
    const int64_t n = batch->agents, rows = n + batch->links;
    syn_perception_cache *k;
    SYN_RETURN_IF(cache_take(ctx, &k, batch->seq.rows, n, true));
    *cache = k;
    k->train = train;
    k->seed = seed;
    k->counter = counter;
    SYN_RETURN_IF(encode(ctx, p, &batch->seq, batch->items, batch->bias, k, k->ckm));
    SYN_TAKE(ctx, k->dropped, real, n * SYN_CKM);
    SYN_RETURN_IF(syn_copy(ctx, k->dropped, k->ckm, sizeof(real) * (size_t)(n * SYN_CKM)));
    if (train)
        SYN_RETURN_IF(syn_dropout(ctx, n * SYN_CKM, p->dropout, seed, 4 * counter + 1, k->dropped));
    SYN_TAKE(ctx, k->a, real, n * SYN_GAP_HIDDEN);
    SYN_TAKE(ctx, k->b, real, 2 * n * SYN_GAP_HIDDEN);
    SYN_RETURN_IF(syn_gap_factor(ctx, p, n, k->dropped, k->a, k->b));
    SYN_RETURN_IF(others_mean(ctx, batch, SYN_GAP_HIDDEN, k->b, k->b + n * SYN_GAP_HIDDEN, false));
    SYN_TAKE(ctx, k->ia, int32_t, rows);
    SYN_TAKE(ctx, k->ib, int32_t, rows);
    SYN_RETURN_IF(pair_rows(ctx, batch, k->ia, k->ib));
    SYN_TAKE(ctx, k->first, real, rows * SYN_GAP_HIDDEN);
    SYN_RETURN_IF(syn_gather_sum_forward(ctx, rows, SYN_GAP_HIDDEN, k->a, k->ia, k->b, k->ib,
                                         syn_value(&p->params, SYN_P_GAP_B1), SYN_ACT_RELU,
                                         k->first));
    if (train) {
        SYN_RETURN_IF(
            syn_dropout(ctx, rows * SYN_GAP_HIDDEN, p->dropout, seed, 4 * counter + 2, k->first));
    }
    syn_ffn f = gap_ffn(p);
    SYN_TAKE(ctx, k->ffn, real, syn_ffn_cache_size(&f, rows));
    return syn_ffn_forward(ctx, &f, rows, k->first, SYN_GAP_HIDDEN, train, seed, 4 * counter + 3,
                           k->ffn, logit);
}

/* Gradient of the gap head down to dckm (agents, SYN_CKM), before the agents' dropout. */
static syn_status gap_backward(syn_ctx *ctx, const syn_perception *p, const syn_team_batch *batch,
                               syn_perception_cache *k, const real *dlogit, real *dckm)
{
    const int64_t n = batch->agents, rows = n + batch->links, H = SYN_GAP_HIDDEN;
    const syn_params *t = &p->params;
    real *dfirst, *da, *db, *dckm_b;
    SYN_TAKE(ctx, dfirst, real, rows * H);
    SYN_TAKE(ctx, da, real, n * H);
    SYN_TAKE(ctx, db, real, 2 * n * H);
    SYN_TAKE(ctx, dckm_b, real, n * SYN_CKM);
    syn_ffn f = gap_ffn(p);
    SYN_RETURN_IF(syn_ffn_backward(ctx, &f, rows, k->first, H, k->train, k->seed,
                                   4 * k->counter + 3, k->ffn, dlogit, dfirst, H));
    if (k->train) {
        SYN_RETURN_IF(syn_dropout(ctx, rows * H, p->dropout, k->seed, 4 * k->counter + 2, dfirst));
    }
    SYN_RETURN_IF(syn_zero(ctx, da, sizeof(real) * (size_t)(n * H)));
    SYN_RETURN_IF(syn_zero(ctx, db, sizeof(real) * (size_t)(2 * n * H)));
    SYN_RETURN_IF(syn_gather_sum_backward(ctx, rows, H, k->ia, k->ib, k->first, SYN_ACT_RELU,
                                          dfirst, n, da, 2 * n, db, syn_grad(t, SYN_P_GAP_B1)));
    SYN_RETURN_IF(others_mean(ctx, batch, H, db + n * H, db, true));
    SYN_RETURN_IF(syn_linear_backward(ctx, n, SYN_CKM, H, k->dropped, SYN_CKM,
                                      syn_value(t, SYN_P_GAP_W1), k->a, H, SYN_ACT_NONE, da, H,
                                      dckm, SYN_CKM, syn_grad(t, SYN_P_GAP_W1), NULL));
    SYN_RETURN_IF(syn_linear_backward(ctx, n, SYN_CKM, H, k->dropped, SYN_CKM,
                                      syn_value(t, SYN_P_GAP_W2), k->b, H, SYN_ACT_NONE, db, H,
                                      dckm_b, SYN_CKM, syn_grad(t, SYN_P_GAP_W2), NULL));
    return syn_add(ctx, n, SYN_CKM, dckm, SYN_CKM, dckm_b, SYN_CKM);
}

/* From dckm (batch, SYN_CKM) through attention and BiLSTM to din (rows, SYN_DI_HIDDEN). */
static syn_status recurrent_backward(syn_ctx *ctx, const syn_perception *p, const syn_seq *seq,
                                     const syn_perception_cache *k, const real *dckm, real *din)
{
    const syn_params *t = &p->params;
    real *dh;
    SYN_TAKE(ctx, dh, real, seq->rows * SYN_CKM);
    SYN_RETURN_IF(syn_attention_backward(ctx, seq, SYN_CKM, SYN_CKM_ATTENTION, k->h,
                                         syn_value(t, SYN_P_ATT_W), syn_value(t, SYN_P_ATT_V), k->u,
                                         k->alpha, dckm, dh, syn_grad(t, SYN_P_ATT_W),
                                         syn_grad(t, SYN_P_ATT_V), NULL, syn_grad(t, SYN_P_EMPTY)));
    SYN_RETURN_IF(syn_bilstm_backward(
        ctx, seq, SYN_DI_HIDDEN, SYN_CKM_HALF, k->in, syn_value(t, SYN_P_WF),
        syn_value(t, SYN_P_RF), syn_value(t, SYN_P_WR), syn_value(t, SYN_P_RR), k->h, k->c, k->v,
        dh, din, syn_grad(t, SYN_P_WF), syn_grad(t, SYN_P_RF), syn_grad(t, SYN_P_BF),
        syn_grad(t, SYN_P_WR), syn_grad(t, SYN_P_RR), syn_grad(t, SYN_P_BR)));
    return SYN_OK;
}

/* The reverse of encode. */
static syn_status encode_backward(syn_ctx *ctx, const syn_perception *p, const syn_seq *seq,
                                  const real *items, const syn_perception_cache *k,
                                  const real *dckm)
{
    const int64_t rows = seq->rows;
    const syn_params *t = &p->params;
    real *din;
    SYN_TAKE(ctx, din, real, rows * SYN_DI_HIDDEN);
    if (p->without & SYN_WITHOUT_CKM)
        SYN_RETURN_IF(mean_pool_backward(ctx, seq, dckm, din, syn_grad(t, SYN_P_EMPTY)));
    else
        SYN_RETURN_IF(recurrent_backward(ctx, p, seq, k, dckm, din));
    if (rows == 0) return SYN_OK;
    if (k->train) {
        SYN_RETURN_IF(
            syn_dropout(ctx, rows * SYN_DI_HIDDEN, p->dropout, k->seed, 4 * k->counter, din));
    }
    return syn_linear_backward(ctx, rows, SYN_DI, SYN_DI_HIDDEN, items, SYN_DI,
                               syn_value(t, SYN_P_IN_W), k->in, SYN_DI_HIDDEN, SYN_ACT_RELU, din,
                               SYN_DI_HIDDEN, NULL, 0, syn_grad(t, SYN_P_IN_W),
                               syn_grad(t, SYN_P_IN_B));
}

syn_status syn_perception_backward(syn_ctx *ctx, const syn_perception *p,
                                   const syn_team_batch *batch, syn_perception_cache *k,
                                   const real *dlogit)
{
    const int64_t n = batch->agents;
    real *dckm;
    SYN_TAKE(ctx, dckm, real, n * SYN_CKM);
    SYN_RETURN_IF(gap_backward(ctx, p, batch, k, dlogit, dckm));
    if (k->train)
        SYN_RETURN_IF(syn_dropout(ctx, n * SYN_CKM, p->dropout, k->seed, 4 * k->counter + 1, dckm));
    return encode_backward(ctx, p, &batch->seq, batch->items, k, dckm);
}

syn_status syn_ckm_backward(syn_ctx *ctx, const syn_perception *p, const syn_seq *seq,
                            const real *items, const real *bias, const real *dckm)
{
    if (seq->batch == 0) return SYN_OK;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_perception_cache *k;
    syn_status st;
    SYN_TRY(cache_take(ctx, &k, seq->rows, seq->batch, true));
    SYN_TRY(encode(ctx, p, seq, items, bias, k, k->ckm));
    SYN_TRY(encode_backward(ctx, p, seq, items, k, dckm));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

const real *syn_perception_ckm(const syn_perception_cache *cache)
{
    return cache->ckm;
}
