#include "kernels/linear.h"

#include <math.h>

#include "kernels/base/cpu.h"
#include "kernels/base/vecmath.h"
#include "kernels/gemm.h"
#include "kernels/reduce.h"

/* Elementwise loops below this many elements stay on one thread. */
enum { LINEAR_THREAD_WORK_MIN = 1 << 15 };

static void finish_row(int64_t dout, const real *b, syn_activation act, real *restrict y)
{
    if (b)
        for (int64_t j = 0; j < dout; j++) y[j] += b[j];
    if (act == SYN_ACT_RELU) {
        for (int64_t j = 0; j < dout; j++) y[j] = y[j] < 0 ? 0 : y[j]; /* keeps NaN */
    } else if (act == SYN_ACT_TANH) {
#pragma omp simd
        for (int64_t j = 0; j < dout; j++) y[j] = syn_tanh(y[j]);
    }
}

static void derive_row(int64_t dout, const real *restrict y, syn_activation act, real *restrict dy)
{
    if (act == SYN_ACT_RELU) {
        for (int64_t j = 0; j < dout; j++) dy[j] = y[j] > 0 ? dy[j] : 0;
    } else {
        for (int64_t j = 0; j < dout; j++) dy[j] *= 1 - y[j] * y[j];
    }
}

static syn_status check(int64_t n, int64_t din, int64_t dout, const real *x, int64_t ldx,
                        const real *w)
{
    SYN_REQUIRE(n >= 0 && din > 0 && dout > 0, "a linear layer of %lld rows, %lld to %lld",
                (long long)n, (long long)din, (long long)dout);
    SYN_REQUIRE(w && (x || n == 0) && ldx >= din, "a linear layer without input or weights");
    return SYN_OK;
}

syn_status syn_linear_forward(syn_ctx *ctx, int64_t n, int64_t din, int64_t dout, const real *x,
                              int64_t ldx, const real *w, const real *b, syn_activation act,
                              real *y, int64_t ldy)
{
    SYN_RETURN_IF(check(n, din, dout, x, ldx, w));
    SYN_REQUIRE((y || n == 0) && ldy >= dout, "a linear layer without output");
    return SYN_DISPATCH(ctx, syn_linear_forward, n, din, dout, x, ldx, w, b, act, y, ldy);
}

syn_status syn_linear_forward_cpu(syn_ctx *ctx, int64_t n, int64_t din, int64_t dout, const real *x,
                                  int64_t ldx, const real *w, const real *b, syn_activation act,
                                  real *y, int64_t ldy)
{
    SYN_RETURN_IF(syn_gemm(ctx, false, true, n, dout, din, 1, x, ldx, w, din, 0, y, ldy));
    if (!b && act == SYN_ACT_NONE) return SYN_OK;
#pragma omp parallel for schedule(static)                                                          \
    num_threads(ctx->threads) if (n * dout >= LINEAR_THREAD_WORK_MIN)
    for (int64_t i = 0; i < n; i++) finish_row(dout, b, act, y + i * ldy);
    return SYN_OK;
}

syn_status syn_linear_live(syn_ctx *ctx, int64_t capacity, const int32_t *live, int64_t din,
                           int64_t dout, const real *x, int64_t ldx, const real *w, const real *b,
                           syn_activation act, real *y, int64_t ldy)
{
    SYN_RETURN_IF(check(capacity, din, dout, x, ldx, w));
    SYN_REQUIRE((y || capacity == 0) && ldy >= dout, "a linear layer without output");
    return SYN_DISPATCH(ctx, syn_linear_live, capacity, live, din, dout, x, ldx, w, b, act, y, ldy);
}

syn_status syn_linear_live_cpu(syn_ctx *ctx, int64_t capacity, const int32_t *live, int64_t din,
                               int64_t dout, const real *x, int64_t ldx, const real *w,
                               const real *b, syn_activation act, real *y, int64_t ldy)
{
    return syn_linear_forward_cpu(ctx, syn_live_rows(capacity, live), din, dout, x, ldx, w, b, act,
                                  y, ldy);
}

syn_status syn_linear_backward(syn_ctx *ctx, int64_t n, int64_t din, int64_t dout, const real *x,
                               int64_t ldx, const real *w, const real *y, int64_t ldy,
                               syn_activation act, real *dy, int64_t lddy, real *dx, int64_t lddx,
                               real *dw, real *db)
{
    SYN_RETURN_IF(check(n, din, dout, x, ldx, w));
    SYN_REQUIRE((dy || n == 0) && lddy >= dout && (!dx || lddx >= din),
                "a linear layer without the gradient of its output");
    SYN_REQUIRE(act == SYN_ACT_NONE || n == 0 || (y && ldy >= dout),
                "a linear layer without its output");
    if (act != SYN_ACT_NONE)
        SYN_RETURN_IF(SYN_DISPATCH(ctx, syn_linear_derive, n, dout, y, ldy, act, dy, lddy));
    if (dx)
        SYN_RETURN_IF(syn_gemm(ctx, false, false, n, din, dout, 1, dy, lddy, w, din, 0, dx, lddx));
    if (dw)
        SYN_RETURN_IF(syn_gemm(ctx, true, false, dout, din, n, 1, dy, lddy, x, ldx, 1, dw, din));
    return db ? syn_column_sum(ctx, n, dout, dy, lddy, db) : SYN_OK;
}

syn_status syn_linear_derive_cpu(syn_ctx *ctx, int64_t n, int64_t dout, const real *y, int64_t ldy,
                                 syn_activation act, real *dy, int64_t lddy)
{
#pragma omp parallel for schedule(static)                                                          \
    num_threads(ctx->threads) if (n * dout >= LINEAR_THREAD_WORK_MIN)
    for (int64_t i = 0; i < n; i++) derive_row(dout, y + i * ldy, act, dy + i * lddy);
    return SYN_OK;
}
