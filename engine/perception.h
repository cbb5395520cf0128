/* What a team knows: ranker, collaborator knowledge model (CKM) and gap detector.
 *
 *   ranker   FFN 64-64-64-1 on a piece's interaction features under a knower's view: is it
 *            supporting?
 *   refiner  the same shape, a second look at all pieces: question features, all pieces' view, and
 *            that view with the ranker's probabilities in the place of the cosines
 *   CKM      item vectors (80) -> linear 256 -> BiLSTM 2x128 -> attention pooling -> 256, one
 * vector per agent; the attention adds the ranker's logit, an empty memory is a learned vector gap
 * FFN 512-256-128-64-2 on [ckm_i, ckm_j] (output 0, link: j holds what i lacks) and on [ckm_i, mean
 * of the others] (output 1, gap: i lacks something it needs). The first layer is factored, W1 ckm_i
 * + W2 ckm_j, so that each agent's halves are computed once.
 *
 * An item is what a piece is to the question and to the other pieces, not its text: with the 256
 * columns of a text embedding beside the features, the CKM learnt questions by heart
 * (benchmarks/results/learning.md).
 *
 * One syn_perception is used by one thread at a time. Buffers are device memory. */
#ifndef SYN_ENGINE_PERCEPTION_H
#define SYN_ENGINE_PERCEPTION_H

#include "engine/params.h"
#include "engine/task.h"
#include "engine/without.h"
#include "kernels/base/expmath.h"
#include "kernels/ffn.h"
#include "kernels/seq.h"

enum {
    SYN_ITEM_META = 15,
    SYN_DI = SYN_DX + 1 + SYN_ITEM_META, /* item vector: interaction, logit, meta */
    SYN_DI_HIDDEN = 256,
    SYN_CKM_HALF = 128,
    SYN_CKM = 2 * SYN_CKM_HALF,
    SYN_CKM_ATTENTION = 128,
    SYN_GAP_HIDDEN = 256,
    SYN_GAP_OUT = 2, /* link, gap */
    SYN_LINK = 0,
    SYN_GAP = 1
};

typedef enum syn_perception_param {
    SYN_P_RANKER_W0,
    SYN_P_RANKER_B0,
    SYN_P_RANKER_W1,
    SYN_P_RANKER_B1,
    SYN_P_RANKER_W2,
    SYN_P_RANKER_B2,
    SYN_P_REFINER_W0,
    SYN_P_REFINER_B0,
    SYN_P_REFINER_W1,
    SYN_P_REFINER_B1,
    SYN_P_REFINER_W2,
    SYN_P_REFINER_B2,
    SYN_P_IN_W,
    SYN_P_IN_B,
    SYN_P_WF,
    SYN_P_RF,
    SYN_P_BF,
    SYN_P_WR,
    SYN_P_RR,
    SYN_P_BR,
    SYN_P_ATT_W,
    SYN_P_ATT_V,
    SYN_P_EMPTY,
    SYN_P_GAP_W1,
    SYN_P_GAP_W2,
    SYN_P_GAP_B1,
    SYN_P_GAP_W3,
    SYN_P_GAP_B3,
    SYN_P_GAP_W4,
    SYN_P_GAP_B4,
    SYN_P_GAP_W5,
    SYN_P_GAP_B5,
    SYN_PERCEPTION_PARAMS
} syn_perception_param;

/* Calibration of a logit z: probability = sigmoid(z / temperature + offset). */
typedef struct syn_calibration {
    float temperature, offset;
} syn_calibration;

typedef struct syn_perception {
    syn_params params;
    real dropout;     /* in training; 0.2 unless set otherwise */
    uint32_t without; /* ablations (engine/without.h) of it and of what is observed with it; 0 */
    syn_calibration calibrated[SYN_GAP_OUT]; /* 1 and 0 until fitted */
} syn_perception;

#ifdef __cplusplus
extern "C" {
#endif

SYN_WARN_UNUSED syn_status syn_perception_init(syn_ctx *ctx, syn_perception *p, uint64_t seed);
void syn_perception_free(syn_ctx *ctx, syn_perception *p);

SYN_HD real syn_calibrate(const syn_calibration *c, real z)
{
    return syn_sigmoid(z / (real)c->temperature + (real)c->offset);
}

/* The ranker as an FFN over the parameters; gradients where they are allocated. */
syn_ffn syn_ranker_ffn(const syn_perception *p);

/* The refiner likewise. */
syn_ffn syn_refiner_ffn(const syn_perception *p);

/* x (n, SYN_DX) -> logit (n), inference. */
SYN_WARN_UNUSED syn_status syn_ranker_score(syn_ctx *ctx, const syn_perception *p, int64_t n,
                                            const real *x, real *logit);
SYN_WARN_UNUSED syn_status syn_refiner_score(syn_ctx *ctx, const syn_perception *p, int64_t n,
                                             const real *x, real *logit);

/* items (rows, SYN_DI) packed by seq, bias (rows): the ranker's logits -> ckm (batch, SYN_CKM),
 * overwritten. relevance (rows) or NULL: the attention weights. Inference. */
SYN_WARN_UNUSED syn_status syn_ckm_forward(syn_ctx *ctx, const syn_perception *p,
                                           const syn_seq *seq, const real *items, const real *bias,
                                           real *ckm, real *relevance);

/* The factored first layer: a = W1 ckm, b = W2 ckm, each (n, SYN_GAP_HIDDEN), overwritten. */
SYN_WARN_UNUSED syn_status syn_gap_factor(syn_ctx *ctx, const syn_perception *p, int64_t n,
                                          const real *ckm, real *a, real *b);

/* logit (rows, SYN_GAP_OUT), uncalibrated, of [a[ia[r]], b[ib[r]]]. Inference. */
SYN_WARN_UNUSED syn_status syn_gap_score(syn_ctx *ctx, const syn_perception *p, int64_t rows,
                                         const real *a, const int32_t *ia, const real *b,
                                         const int32_t *ib, real *logit);

/* ---- On CUDA, for numbers that only the device knows: kernels/ffn.h and kernels/lstm.h have the
 * meaning of capacity and live, engine/observe.cu is the caller ---- */

/* syn_ckm_forward of *live <= capacity packed sequences of *live_rows <= rows_capacity items. Takes
 * scratch for rows_capacity * (SYN_DI_HIDDEN + SYN_CKM + 1) reals and what its parts take. */
SYN_WARN_UNUSED syn_status syn_ckm_live_cuda(syn_ctx *ctx, const syn_perception *p,
                                             int64_t capacity, const int32_t *live,
                                             int64_t rows_capacity, const int32_t *live_rows,
                                             const int32_t *offset, const real *items,
                                             const real *bias, real *ckm);

/* half (capacity, 2, SYN_GAP_HIDDEN): W1 ckm, W2 ckm; either device. */
SYN_WARN_UNUSED syn_status syn_gap_halves_live(syn_ctx *ctx, const syn_perception *p,
                                               int64_t capacity, const int32_t *live,
                                               const real *ckm, real *half);

/* syn_gap_score; either device. */
SYN_WARN_UNUSED syn_status syn_gap_score_live(syn_ctx *ctx, const syn_perception *p,
                                              int64_t capacity, const int32_t *live, const real *a,
                                              const int32_t *ia, const real *b, const int32_t *ib,
                                              real *logit);

/* ---- Training ---- */

/* Teams of a batch: agents are consecutive within their team. Pair rows: gap row r < agents is
 * agent r against the mean of its team's others; then `links` rows (link_i, link_j). */
typedef struct syn_team_batch {
    int64_t agents, links;
    syn_seq seq;                 /* agents sequences of items */
    const int32_t *first, *size; /* (agents) of the agent's team */
    const int32_t *link_i, *link_j;
    const real *items, *bias;
} syn_team_batch;

typedef struct syn_perception_cache syn_perception_cache;

/* logit (agents + links, SYN_GAP_OUT), overwritten. The cache lives in the context's scratch: take
 * a mark before the forward pass and release it after the backward pass. */
SYN_WARN_UNUSED syn_status syn_perception_forward(syn_ctx *ctx, const syn_perception *p,
                                                  const syn_team_batch *batch, bool train,
                                                  uint64_t seed, uint64_t counter,
                                                  syn_perception_cache **cache, real *logit);

/* dlogit (agents + links, SYN_GAP_OUT): in. Gradients are added to p->params.grad. */
SYN_WARN_UNUSED syn_status syn_perception_backward(syn_ctx *ctx, const syn_perception *p,
                                                   const syn_team_batch *batch,
                                                   syn_perception_cache *cache, const real *dlogit);

/* dckm (batch, SYN_CKM): in, the gradient of vectors as syn_ckm_forward makes them from the same
 * arguments; it goes on into the encoder's p->params.grad, added. */
SYN_WARN_UNUSED syn_status syn_ckm_backward(syn_ctx *ctx, const syn_perception *p,
                                            const syn_seq *seq, const real *items, const real *bias,
                                            const real *dckm);

/* The agents' vectors of a forward pass, (agents, SYN_CKM), before dropout. */
const real *syn_perception_ckm(const syn_perception_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
