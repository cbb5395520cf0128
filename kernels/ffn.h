/* Feed-forward networks: layers of linear + ReLU + inverted dropout, the last layer linear; dropout
 * alone; and the factored first layer of pairwise networks.
 *
 * All data pointers are on the context's device. Errors everywhere: SYN_ERR_INVALID (shape),
 * SYN_ERR_MEMORY for scratch, SYN_ERR_DEVICE. Deterministic; the dropout mask is a
 * pure function of (seed, counter, layer, element) whatever the number of threads, and draws from
 * SYN_STREAM_DROPOUT: no two calls under one seed should share a counter. Where ctx->draws is set,
 * what it points to is added to the counter when the mask is made. */
#ifndef SYN_FFN_H
#define SYN_FFN_H

#include "kernels/base/ctx.h"
#include "kernels/base/rng.h"
#include "kernels/linear.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SYN_FFN_LAYERS_MAX = 6 };

/* w[l] (dim[l+1], dim[l]), b[l] (dim[l+1]) or NULL. dw, db: accumulated where not NULL. */
typedef struct syn_ffn {
    int layers; /* 1 to SYN_FFN_LAYERS_MAX */
    int64_t dim[SYN_FFN_LAYERS_MAX + 1];
    const real *w[SYN_FFN_LAYERS_MAX], *b[SYN_FFN_LAYERS_MAX];
    real *dw[SYN_FFN_LAYERS_MAX], *db[SYN_FFN_LAYERS_MAX];
    real dropout; /* probability of a hidden unit to be zeroed in training, in [0, 1) */
} syn_ffn;

/* Reals to keep between forward and backward for n rows: the hidden activations. 0 for one layer.
 */
int64_t syn_ffn_cache_size(const syn_ffn *ffn, int64_t n);

/* x (n, ldx): in; cache (syn_ffn_cache_size) and y (n, dim[layers]): overwritten. The cache is
 * needed at inference too. Dropout only where `train`. counter < 2^56. No scratch of its own. */
SYN_WARN_UNUSED syn_status syn_ffn_forward(syn_ctx *ctx, const syn_ffn *ffn, int64_t n,
                                           const real *x, int64_t ldx, bool train, uint64_t seed,
                                           uint64_t counter, real *cache, real *y);

/* x, train, seed, counter, cache as in the forward pass; dy (n, dim[layers]): in. dx (n, lddx):
 * overwritten, or NULL. Scratch: at most n * (dim[layers] + 2 * the widest hidden layer) reals. */
SYN_WARN_UNUSED syn_status syn_ffn_backward(syn_ctx *ctx, const syn_ffn *ffn, int64_t n,
                                            const real *x, int64_t ldx, bool train, uint64_t seed,
                                            uint64_t counter, const real *cache, const real *dy,
                                            real *dx, int64_t lddx);

/* x (n): inout. With probability p an element becomes 0, else it is multiplied by 1/(1-p). The same
 * call on the gradient is the backward pass. p in [0, 1); counter < 2^56. */
SYN_WARN_UNUSED syn_status syn_dropout(syn_ctx *ctx, int64_t n, real p, uint64_t seed,
                                       uint64_t counter, real *x);

/* The first layer of a network over pairs of vectors, its two halves computed once per vector:
 *   y[r] = act(a[ia[r]] + b[ib[r]] + bias)
 * a (na,D), b (nb,D), ia, ib (rows) in range, bias (D) or NULL: in. y (rows,D): overwritten. */
SYN_WARN_UNUSED syn_status syn_gather_sum_forward(syn_ctx *ctx, int64_t rows, int64_t D,
                                                  const real *a, const int32_t *ia, const real *b,
                                                  const int32_t *ib, const real *bias,
                                                  syn_activation act, real *y);

/* dy (rows,D): in, overwritten with the gradient before the activation. da (na,D), db (nb,D) and
 * dbias (D) or NULL: accumulated (+=), rows in ascending order, so bit-equal for any number of
 * threads. da and db may be the same buffer. */
SYN_WARN_UNUSED syn_status syn_gather_sum_backward(syn_ctx *ctx, int64_t rows, int64_t D,
                                                   const int32_t *ia, const int32_t *ib,
                                                   const real *y, syn_activation act, real *dy,
                                                   int64_t na, real *da, int64_t nb, real *db,
                                                   real *dbias);

/* ---- Scoring: inference for a number of rows that may be known on the device alone ----
 * *live (int32, on the context's device) rows, at most `capacity`; NULL: all of them. Rows of y
 * beyond *live are left alone, and nothing is read there. Networks of up to three layers whose
 * widths are multiples of 16, at most SYN_FFN_SCORE_WIDTH_MAX, and whose last is at most
 * SYN_FFN_SCORE_OUT_MAX wide (all that the engine has) are one kernel on CUDA; others take scratch
 * for the cache of `capacity` rows, as the CPU does. On CUDA the bits of a row do not
 * depend on the other rows, or on how many there are. */
enum { SYN_FFN_SCORE_WIDTH_MAX = 256, SYN_FFN_SCORE_OUT_MAX = 8 };

/* y (capacity, dim[layers]) of x (capacity, ldx): what syn_ffn_forward gives without training. */
SYN_WARN_UNUSED syn_status syn_ffn_score(syn_ctx *ctx, const syn_ffn *ffn, int64_t capacity,
                                         const int32_t *live, const real *x, int64_t ldx, real *y);

/* The same of x[r] = max(0, a[ia[r]] + b[ib[r]] + bias): a (any, dim[0]), b (any, dim[0]), ia, ib
 * (capacity), bias (dim[0]) or NULL. */
SYN_WARN_UNUSED syn_status syn_ffn_gather_score(syn_ctx *ctx, const syn_ffn *ffn, int64_t capacity,
                                                const int32_t *live, const real *a,
                                                const int32_t *ia, const real *b, const int32_t *ib,
                                                const real *bias, real *y);

/* The two sides of each op. Not for other callers. */
/* Where a mask comes from: block `layer << 56 | element / 4` of stream `(counter + *draws) << 8 |
 * DROPOUT`. */
typedef struct syn_dropout_source {
    uint64_t seed, counter;
    const uint64_t *draws; /* on the device; NULL: 0 */
    int layer;
    uint32_t threshold; /* of the 24 bits of a draw: below it the element is dropped */
    real scale;
} syn_dropout_source;

SYN_HD uint64_t syn_dropout_counter(const syn_dropout_source *src)
{
    return src->counter + (src->draws ? *src->draws : 0);
}

SYN_WARN_UNUSED syn_status syn_dropout_cpu(syn_ctx *ctx, int64_t n, const syn_dropout_source *src,
                                           real *x);
__typeof__(syn_dropout_cpu) syn_dropout_cuda;
__typeof__(syn_gather_sum_forward) syn_gather_sum_forward_cpu, syn_gather_sum_forward_cuda;
__typeof__(syn_gather_sum_backward) syn_gather_sum_backward_cpu, syn_gather_sum_backward_cuda;
__typeof__(syn_ffn_score) syn_ffn_score_cpu, syn_ffn_score_cuda;
__typeof__(syn_ffn_gather_score) syn_ffn_gather_score_cpu, syn_ffn_gather_score_cuda;

#ifdef __cplusplus
}
#endif
#endif
