#include "kernels/elementwise.h"

syn_status syn_add_cpu(syn_ctx *ctx, int64_t rows, int64_t width, real *to, int64_t ldto,
                       const real *x, int64_t ldx)
{
    (void)ctx;
    for (int64_t r = 0; r < rows; r++) {
        real *restrict sum = to + r * ldto;
        const real *restrict more = x + r * ldx;
        for (int64_t j = 0; j < width; j++) sum[j] += more[j];
    }
    return SYN_OK;
}

syn_status syn_add(syn_ctx *ctx, int64_t rows, int64_t width, real *to, int64_t ldto, const real *x,
                   int64_t ldx)
{
    SYN_REQUIRE(rows >= 0 && width >= 0 && (rows < 2 || (ldto >= width && ldx >= width)),
                "syn_add: %lld rows of %lld numbers, %lld and %lld apart", (long long)rows,
                (long long)width, (long long)ldto, (long long)ldx);
    if (!rows || !width) return SYN_OK;
    return SYN_DISPATCH(ctx, syn_add, rows, width, to, ldto, x, ldx);
}

syn_status syn_scale_cpu(syn_ctx *ctx, int64_t n, real factor, real *x)
{
    (void)ctx;
    for (int64_t i = 0; i < n; i++) x[i] *= factor;
    return SYN_OK;
}

syn_status syn_scale(syn_ctx *ctx, int64_t n, real factor, real *x)
{
    SYN_REQUIRE(n >= 0, "syn_scale: %lld numbers", (long long)n);
    return n ? SYN_DISPATCH(ctx, syn_scale, n, factor, x) : SYN_OK;
}
