#include "kernels/attention.h"

#include <string.h>

#include "kernels/base/cpu.h"
#include "kernels/base/vecmath.h"
#include "kernels/gemm.h"

/* Products below this many multiplications stay on one thread. */
enum { ATTENTION_THREAD_WORK_MIN = 1 << 16 };

static real dot(const real *a, const real *b, int64_t n)
{
    syn_vec sum = {0};
    int64_t i = 0;
    for (; i + SYN_LANES <= n; i += SYN_LANES) sum += syn_vec_load(a + i) * syn_vec_load(b + i);
    real total = syn_vec_sum(sum);
    for (; i < n; i++) total += a[i] * b[i];
    return total;
}

static void add_scaled(real *restrict y, real scale, const real *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] += scale * x[i];
}

/* One sequence: scores into alpha, softmax over its steps in place, weighted sum into out. */
static void pool(const syn_seq *q, int64_t b, int64_t D, int64_t A, const real *h, const real *w,
                 const real *bias, const real *empty, real *u, real *alpha, real *out)
{
    int64_t length = syn_seq_length(q, b);
    if (length == 0) {
        memcpy(out, empty, sizeof(real) * (size_t)D);
        return;
    }
    real top = -INFINITY, sum = 0;
    for (int64_t t = 0; t < length; t++) {
        int64_t row = syn_seq_row(q, b, t);
        real *ur = u + row * A;
#pragma omp simd
        for (int64_t j = 0; j < A; j++) ur[j] = syn_tanh(ur[j]);
        alpha[row] = dot(ur, w, A) + (bias ? bias[row] : 0);
        top = alpha[row] > top ? alpha[row] : top;
    }
    for (int64_t t = 0; t < length; t++) {
        int64_t row = syn_seq_row(q, b, t);
        alpha[row] = syn_exp(alpha[row] - top);
        sum += alpha[row];
    }
    memset(out, 0, sizeof(real) * (size_t)D);
    for (int64_t t = 0; t < length; t++) {
        int64_t row = syn_seq_row(q, b, t);
        alpha[row] /= sum;
        add_scaled(out, alpha[row], h + row * D, D);
    }
}

/* One sequence: dscore of its rows, dz = the gradient of Wa h, and the part of dh through out. */
static void pool_backward(const syn_seq *q, int64_t b, int64_t D, int64_t A, const real *h,
                          const real *w, const real *u, const real *alpha, const real *dout,
                          real *dscore, real *restrict dz, real *dh)
{
    int64_t length = syn_seq_length(q, b);
    real mean = 0;
    for (int64_t t = 0; t < length; t++) {
        int64_t row = syn_seq_row(q, b, t);
        dscore[row] = dot(dout, h + row * D, D);
        mean += alpha[row] * dscore[row];
    }
    for (int64_t t = 0; t < length; t++) {
        int64_t row = syn_seq_row(q, b, t);
        const real *ur = u + row * A;
        real ds = alpha[row] * (dscore[row] - mean);
        dscore[row] = ds;
        for (int64_t j = 0; j < A; j++) dz[row * A + j] = ds * w[j] * (1 - ur[j] * ur[j]);
        for (int64_t d = 0; d < D; d++) dh[row * D + d] = alpha[row] * dout[d];
    }
}

static syn_status check(const syn_ctx *ctx, const syn_seq *q, int64_t D, int64_t A)
{
    SYN_REQUIRE(q && q->batch >= 0 && q->steps >= 0 && q->rows >= 0 && D > 0 && A > 0,
                "attention pooling: sizes below zero");
    SYN_REQUIRE(q->offset || q->rows == q->steps * q->batch,
                "attention pooling: %lld rows for %lld steps of %lld sequences", (long long)q->rows,
                (long long)q->steps, (long long)q->batch);
    if (!q->offset || ctx->device != SYN_DEVICE_CPU) return SYN_OK;
    SYN_REQUIRE(q->offset[0] == 0 && q->offset[q->batch] == q->rows,
                "attention pooling: the offsets do not run from 0 to the %lld rows",
                (long long)q->rows);
    for (int64_t b = 0; b < q->batch; b++)
        SYN_REQUIRE(syn_seq_length(q, b) >= 0,
                    "attention pooling: sequence %lld ends before it begins", (long long)b);
    return SYN_OK;
}

syn_status syn_attention_forward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t A,
                                 const real *h, const real *Wa, const real *w, const real *bias,
                                 const real *empty, real *u, real *alpha, real *out)
{
    SYN_RETURN_IF(check(ctx, seq, D, A));
    SYN_REQUIRE(Wa && w && empty && (seq->batch == 0 || out), "attention pooling: NULL argument");
    SYN_REQUIRE(seq->rows == 0 || (h && u && alpha), "attention pooling: NULL argument");
    return SYN_DISPATCH(ctx, syn_attention_forward, seq, D, A, h, Wa, w, bias, empty, u, alpha,
                        out);
}

syn_status syn_attention_forward_cpu(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t A,
                                     const real *h, const real *Wa, const real *w, const real *bias,
                                     const real *empty, real *u, real *alpha, real *out)
{
    SYN_RETURN_IF(syn_gemm(ctx, false, true, seq->rows, A, D, 1, h, D, Wa, D, 0, u, A));
#pragma omp parallel for schedule(static)                                                          \
    num_threads(ctx->threads) if (seq->rows * (A + D) >= ATTENTION_THREAD_WORK_MIN)
    for (int64_t b = 0; b < seq->batch; b++)
        pool(seq, b, D, A, h, w, bias, empty, u, alpha, out + b * D);
    return SYN_OK;
}

syn_status syn_attention_backward(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t A,
                                  const real *h, const real *Wa, const real *w, const real *u,
                                  const real *alpha, const real *dout, real *dh, real *dWa,
                                  real *dw, real *dbias, real *dempty)
{
    SYN_RETURN_IF(check(ctx, seq, D, A));
    SYN_REQUIRE(Wa && w && (seq->batch == 0 || dout), "attention pooling: NULL argument");
    SYN_REQUIRE(seq->rows == 0 || (h && u && alpha && dh), "attention pooling: NULL argument");
    return SYN_DISPATCH(ctx, syn_attention_backward, seq, D, A, h, Wa, w, u, alpha, dout, dh, dWa,
                        dw, dbias, dempty);
}

syn_status syn_attention_backward_cpu(syn_ctx *ctx, const syn_seq *seq, int64_t D, int64_t A,
                                      const real *h, const real *Wa, const real *w, const real *u,
                                      const real *alpha, const real *dout, real *dh, real *dWa,
                                      real *dw, real *dbias, real *dempty)
{
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    real *dz = SYN_SCRATCH(ctx, real, seq->rows * A);
    real *dscore = dbias ? dbias : SYN_SCRATCH(ctx, real, seq->rows);
    if (!dz || !dscore) goto done;
#pragma omp parallel for schedule(static)                                                          \
    num_threads(ctx->threads) if (seq->rows * (A + D) >= ATTENTION_THREAD_WORK_MIN)
    for (int64_t b = 0; b < seq->batch; b++)
        pool_backward(seq, b, D, A, h, w, u, alpha, dout + b * D, dscore, dz, dh);
    /* Sums over rows and sequences run on one thread, in a fixed order: they are small. */
    if (dw)
        for (int64_t i = 0; i < seq->rows; i++) add_scaled(dw, dscore[i], u + i * A, A);
    if (dempty)
        for (int64_t b = 0; b < seq->batch; b++)
            if (syn_seq_length(seq, b) == 0) add_scaled(dempty, 1, dout + b * D, D);
    if (dWa) SYN_TRY(syn_gemm(ctx, true, false, A, D, seq->rows, 1, dz, A, h, D, 1, dWa, D));
    SYN_TRY(syn_gemm(ctx, false, false, seq->rows, D, A, 1, dz, A, Wa, D, 1, dh, D));
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

syn_status syn_attention_live(syn_ctx *ctx, int64_t batch_max, const int32_t *batch,
                              int64_t rows_max, const int32_t *rows, const int32_t *offset,
                              int64_t D, int64_t A, const real *h, const real *Wa, const real *w,
                              const real *bias, const real *empty, real *alpha, real *out)
{
    SYN_REQUIRE(batch_max >= 0 && rows_max >= 0 && D > 0 && A > 0,
                "attention pooling: sizes below zero");
    SYN_REQUIRE(batch && rows && offset && Wa && w && empty && (batch_max == 0 || out) &&
                    (rows_max == 0 || (h && alpha)),
                "attention pooling: NULL argument");
    return SYN_DISPATCH(ctx, syn_attention_live, batch_max, batch, rows_max, rows, offset, D, A, h,
                        Wa, w, bias, empty, alpha, out);
}

syn_status syn_attention_live_cpu(syn_ctx *ctx, int64_t batch_max, const int32_t *batch,
                                  int64_t rows_max, const int32_t *rows, const int32_t *offset,
                                  int64_t D, int64_t A, const real *h, const real *Wa,
                                  const real *w, const real *bias, const real *empty, real *alpha,
                                  real *out)
{
    const syn_seq seq = {.batch = syn_live_rows(batch_max, batch),
                         .rows = syn_live_rows(rows_max, rows),
                         .offset = offset};
    syn_scratch_mark mark = syn_scratch_push(ctx);
    real *u = SYN_SCRATCH(ctx, real, seq.rows * A);
    syn_status st = u ? syn_attention_forward(ctx, &seq, D, A, h, Wa, w, bias, empty, u, alpha, out)
                      : SYN_ERR_MEMORY;
    syn_scratch_pop(ctx, mark);
    return st;
}
