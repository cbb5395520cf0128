#include "kernels/ffn.h"

#include <string.h>

#include "kernels/base/cpu.h"
#include "kernels/base/rng.h"
#include "kernels/base/vecmath.h"

enum {
    DROPOUT_LANES = 8, /* Philox blocks computed side by side, four elements each */
    DROPOUT_STEP = 4 * DROPOUT_LANES,
    GATHER_COLUMNS = 64 /* columns that one thread sums over all rows */
};

/* 32-bit words in 64-bit lanes, so that a product keeps its upper half. */
typedef uint64_t lanes __attribute__((vector_size(8 * DROPOUT_LANES)));

/* syn_rng_block for DROPOUT_LANES consecutive blocks side by side; word (4 * DROPOUT_LANES) in the
 * order of the blocks. */
static inline void philox_lanes(uint64_t seed, uint64_t stream, uint64_t block, uint32_t *word)
{
    const uint64_t low = UINT32_MAX;
    lanes counter = block + (lanes){0, 1, 2, 3, 4, 5, 6, 7};
    lanes x0 = counter & low, x1 = counter >> 32;
    lanes x2 = (lanes){0} + (stream & low), x3 = (lanes){0} + (stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int i = 0; i < 10; i++) {
        lanes p0 = x0 * 0xD2511F53ull, p1 = x2 * 0xCD9E8D57ull;
        x0 = (p1 >> 32) ^ x1 ^ k0;
        x1 = p1 & low;
        x2 = (p0 >> 32) ^ x3 ^ k1;
        x3 = p0 & low;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    /* Little-endian: the lower half of a lane is the earlier word. */
    lanes even = x0 | x1 << 32, odd = x2 | x3 << 32;
    lanes first = __builtin_shufflevector(even, odd, 0, 8, 1, 9, 2, 10, 3, 11);
    lanes second = __builtin_shufflevector(even, odd, 4, 12, 5, 13, 6, 14, 7, 15);
    memcpy(word, &first, sizeof first);
    memcpy(word + DROPOUT_STEP / 2, &second, sizeof second);
}

static inline void dropout_step(const syn_dropout_source *src, int64_t n, const uint32_t *word,
                                real *restrict x)
{
    const uint32_t threshold = src->threshold;
    const real scale = src->scale;
    for (int64_t i = 0; i < n; i++) x[i] = word[i] >> 8 >= threshold ? x[i] * scale : 0;
}

/* Elements [start, end) of x; start is a multiple of 4. */
static void dropout_chunk(const syn_dropout_source *src, int64_t start, int64_t end, real *x)
{
    uint32_t word[DROPOUT_STEP];
    uint64_t stream = syn_dropout_counter(src) << 8 | SYN_STREAM_DROPOUT;
    uint64_t base = (uint64_t)src->layer << 56;
    int64_t at = start;
    for (; at + DROPOUT_STEP <= end; at += DROPOUT_STEP) {
        philox_lanes(src->seed, stream, base | (uint64_t)at / 4, word);
        dropout_step(src, DROPOUT_STEP, word, x + at);
    }
    if (at == end) return;
    philox_lanes(src->seed, stream, base | (uint64_t)at / 4, word);
    dropout_step(src, end - at, word, x + at);
}

syn_status syn_dropout_cpu(syn_ctx *ctx, int64_t n, const syn_dropout_source *src, real *x)
{
    int64_t chunks = syn_chunk_count(n, SYN_CPU_CHUNK);
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (chunks > 1)
    for (int64_t c = 0; c < chunks; c++)
        dropout_chunk(src, c * SYN_CPU_CHUNK, syn_chunk_end(c * SYN_CPU_CHUNK, n, SYN_CPU_CHUNK),
                      x);
    return SYN_OK;
}

static syn_status dropout_apply(syn_ctx *ctx, int64_t n, real p, uint64_t seed, uint64_t counter,
                                int layer, real *x)
{
    if (p <= 0 || n == 0) return SYN_OK;
    const syn_dropout_source src = {
        seed, counter, ctx->draws, layer, (uint32_t)((double)p * 16777216 + 0.5), 1 / (1 - p)};
    return SYN_DISPATCH(ctx, syn_dropout, n, &src, x);
}

syn_status syn_dropout(syn_ctx *ctx, int64_t n, real p, uint64_t seed, uint64_t counter, real *x)
{
    SYN_REQUIRE(n >= 0 && p >= 0 && p < 1, "syn_dropout: %lld elements with probability %g",
                (long long)n, (double)p);
    return dropout_apply(ctx, n, p, seed, counter, 0, x);
}

static syn_status ffn_check(const syn_ffn *ffn, int64_t n)
{
    SYN_REQUIRE(ffn->layers >= 1 && ffn->layers <= SYN_FFN_LAYERS_MAX,
                "feed-forward network: %d layers, allowed are 1 to %d", ffn->layers,
                SYN_FFN_LAYERS_MAX);
    SYN_REQUIRE(ffn->dropout >= 0 && ffn->dropout < 1,
                "feed-forward network: dropout is %g, allowed is [0, 1)", (double)ffn->dropout);
    for (int l = 0; l <= ffn->layers; l++)
        SYN_REQUIRE(ffn->dim[l] >= 1, "feed-forward network: width %d is %lld", l,
                    (long long)ffn->dim[l]);
    SYN_REQUIRE(n >= 0, "feed-forward network: %lld rows", (long long)n);
    return SYN_OK;
}

int64_t syn_ffn_cache_size(const syn_ffn *ffn, int64_t n)
{
    int64_t width = 0;
    for (int l = 1; l < ffn->layers; l++) width += ffn->dim[l];
    return n * width;
}

syn_status syn_ffn_forward(syn_ctx *ctx, const syn_ffn *ffn, int64_t n, const real *x, int64_t ldx,
                           bool train, uint64_t seed, uint64_t counter, real *cache, real *y)
{
    SYN_RETURN_IF(ffn_check(ffn, n));
    const real *in = x;
    int64_t ldin = ldx;
    for (int l = 0; l < ffn->layers; l++) {
        bool last = l == ffn->layers - 1;
        int64_t width = ffn->dim[l + 1];
        real *out = last ? y : cache;
        SYN_RETURN_IF(syn_linear_forward(ctx, n, ffn->dim[l], width, in, ldin, ffn->w[l], ffn->b[l],
                                         last ? SYN_ACT_NONE : SYN_ACT_RELU, out, width));
        if (last) break;
        if (train)
            SYN_RETURN_IF(dropout_apply(ctx, n * width, ffn->dropout, seed, counter, l + 1, out));
        in = out;
        ldin = width;
        cache += n * width;
    }
    return SYN_OK;
}

/* The cached activation is positive exactly where the unit was active and kept, so that the ReLU's
 * mask by it is right after dropout too. */
syn_status syn_ffn_backward(syn_ctx *ctx, const syn_ffn *ffn, int64_t n, const real *x, int64_t ldx,
                            bool train, uint64_t seed, uint64_t counter, const real *cache,
                            const real *dy, real *dx, int64_t lddx)
{
    SYN_RETURN_IF(ffn_check(ffn, n));
    int64_t widest = 0, outputs = n * ffn->dim[ffn->layers];
    for (int l = 1; l < ffn->layers; l++) widest = ffn->dim[l] > widest ? ffn->dim[l] : widest;
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    real *grad = SYN_SCRATCH(ctx, real, outputs);
    real *buffer = SYN_SCRATCH(ctx, real, 2 * n * widest);
    if (!grad || !buffer) goto done;
    SYN_TRY(syn_copy(ctx, grad, dy, sizeof *grad * (size_t)outputs));

    const real *out = NULL, *end = cache + syn_ffn_cache_size(ffn, n);
    for (int l = ffn->layers - 1; l >= 0; l--) {
        bool last = l == ffn->layers - 1;
        int64_t din = ffn->dim[l], dout = ffn->dim[l + 1];
        const real *in = l > 0 ? end - n * din : x;
        real *din_grad = l > 0 ? buffer + (l % 2) * n * widest : dx;
        if (!last && train)
            SYN_TRY(dropout_apply(ctx, n * dout, ffn->dropout, seed, counter, l + 1, grad));
        SYN_TRY(syn_linear_backward(ctx, n, din, dout, in, l > 0 ? din : ldx, ffn->w[l], out, dout,
                                    last ? SYN_ACT_NONE : SYN_ACT_RELU, grad, dout, din_grad,
                                    l > 0 ? din : lddx, ffn->dw[l], ffn->db[l]));
        grad = din_grad;
        out = end = in;
    }
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_ffn_score(syn_ctx *ctx, const syn_ffn *ffn, int64_t capacity, const int32_t *live,
                         const real *x, int64_t ldx, real *y)
{
    SYN_RETURN_IF(ffn_check(ffn, capacity));
    SYN_REQUIRE(ldx >= ffn->dim[0], "feed-forward network: rows of %lld lie %lld apart",
                (long long)ffn->dim[0], (long long)ldx);
    return SYN_DISPATCH(ctx, syn_ffn_score, ffn, capacity, live, x, ldx, y);
}

syn_status syn_ffn_score_cpu(syn_ctx *ctx, const syn_ffn *ffn, int64_t capacity,
                             const int32_t *live, const real *x, int64_t ldx, real *y)
{
    const int64_t n = syn_live_rows(capacity, live);
    syn_scratch_mark mark = syn_scratch_push(ctx);
    real *cache = SYN_SCRATCH(ctx, real, syn_ffn_cache_size(ffn, n));
    syn_status st =
        cache ? syn_ffn_forward(ctx, ffn, n, x, ldx, false, 0, 0, cache, y) : SYN_ERR_MEMORY;
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_ffn_gather_score(syn_ctx *ctx, const syn_ffn *ffn, int64_t capacity,
                                const int32_t *live, const real *a, const int32_t *ia,
                                const real *b, const int32_t *ib, const real *bias, real *y)
{
    SYN_RETURN_IF(ffn_check(ffn, capacity));
    return SYN_DISPATCH(ctx, syn_ffn_gather_score, ffn, capacity, live, a, ia, b, ib, bias, y);
}

syn_status syn_ffn_gather_score_cpu(syn_ctx *ctx, const syn_ffn *ffn, int64_t capacity,
                                    const int32_t *live, const real *a, const int32_t *ia,
                                    const real *b, const int32_t *ib, const real *bias, real *y)
{
    const int64_t n = syn_live_rows(capacity, live), D = ffn->dim[0];
    syn_scratch_mark mark = syn_scratch_push(ctx);
    syn_status st = SYN_ERR_MEMORY;
    real *first = SYN_SCRATCH(ctx, real, n * D);
    if (!first) goto done;
    SYN_TRY(syn_gather_sum_forward(ctx, n, D, a, ia, b, ib, bias, SYN_ACT_RELU, first));
    SYN_TRY(syn_ffn_score(ctx, ffn, n, NULL, first, D, y));
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

static void gather_row(int64_t D, const real *a, const real *b, const real *bias,
                       syn_activation act, real *restrict y)
{
    for (int64_t d = 0; d < D; d++) y[d] = a[d] + b[d];
    if (bias)
        for (int64_t d = 0; d < D; d++) y[d] += bias[d];
    if (act == SYN_ACT_RELU)
        for (int64_t d = 0; d < D; d++) y[d] = y[d] < 0 ? 0 : y[d]; /* keeps NaN */
    if (act == SYN_ACT_TANH)
        for (int64_t d = 0; d < D; d++) y[d] = syn_tanh(y[d]);
}

syn_status syn_gather_sum_forward(syn_ctx *ctx, int64_t rows, int64_t D, const real *a,
                                  const int32_t *ia, const real *b, const int32_t *ib,
                                  const real *bias, syn_activation act, real *y)
{
    SYN_REQUIRE(rows >= 0 && D >= 1, "syn_gather_sum_forward: %lld rows of %lld", (long long)rows,
                (long long)D);
    return SYN_DISPATCH(ctx, syn_gather_sum_forward, rows, D, a, ia, b, ib, bias, act, y);
}

syn_status syn_gather_sum_forward_cpu(syn_ctx *ctx, int64_t rows, int64_t D, const real *a,
                                      const int32_t *ia, const real *b, const int32_t *ib,
                                      const real *bias, syn_activation act, real *y)
{
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (rows * D > SYN_CPU_CHUNK)
    for (int64_t r = 0; r < rows; r++)
        gather_row(D, a + ia[r] * D, b + ib[r] * D, bias, act, y + r * D);
    return SYN_OK;
}

static void activation_backward(int64_t n, const real *y, syn_activation act, real *dy)
{
    if (act == SYN_ACT_RELU)
        for (int64_t i = 0; i < n; i++) dy[i] = y[i] > 0 ? dy[i] : 0;
    if (act == SYN_ACT_TANH)
        for (int64_t i = 0; i < n; i++) dy[i] *= 1 - y[i] * y[i];
}

/* Columns [start, start + n) of all rows, by one thread. */
static void scatter_columns(int64_t rows, int64_t D, int64_t start, int64_t n, const int32_t *ia,
                            const int32_t *ib, const real *dy, real *da, real *db, real *dbias)
{
    for (int64_t r = 0; r < rows; r++) {
        const real *from = dy + r * D + start;
        real *to = da + ia[r] * D + start;
        for (int64_t d = 0; d < n; d++) to[d] += from[d];
        to = db + ib[r] * D + start;
        for (int64_t d = 0; d < n; d++) to[d] += from[d];
        if (!dbias) continue;
        for (int64_t d = 0; d < n; d++) dbias[start + d] += from[d];
    }
}

syn_status syn_gather_sum_backward(syn_ctx *ctx, int64_t rows, int64_t D, const int32_t *ia,
                                   const int32_t *ib, const real *y, syn_activation act, real *dy,
                                   int64_t na, real *da, int64_t nb, real *db, real *dbias)
{
    SYN_REQUIRE(rows >= 0 && D >= 1 && na >= 0 && nb >= 0,
                "syn_gather_sum_backward: %lld rows of %lld", (long long)rows, (long long)D);
    return SYN_DISPATCH(ctx, syn_gather_sum_backward, rows, D, ia, ib, y, act, dy, na, da, nb, db,
                        dbias);
}

syn_status syn_gather_sum_backward_cpu(syn_ctx *ctx, int64_t rows, int64_t D, const int32_t *ia,
                                       const int32_t *ib, const real *y, syn_activation act,
                                       real *dy, int64_t na, real *da, int64_t nb, real *db,
                                       real *dbias)
{
    (void)na;
    (void)nb;
    if (act != SYN_ACT_NONE) {
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (rows * D > SYN_CPU_CHUNK)
        for (int64_t r = 0; r < rows; r++) activation_backward(D, y + r * D, act, dy + r * D);
    }
    int64_t chunks = syn_chunk_count(D, GATHER_COLUMNS);
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (rows * D > SYN_CPU_CHUNK)
    for (int64_t c = 0; c < chunks; c++) {
        int64_t start = c * GATHER_COLUMNS;
        scatter_columns(rows, D, start, syn_chunk_end(start, D, GATHER_COLUMNS) - start, ia, ib, dy,
                        da, db, dbias);
    }
    return SYN_OK;
}
