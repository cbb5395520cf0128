#include "kernels/tree_sum.h"

syn_status syn_tree_sum_cpu(syn_ctx *ctx, real *x, int64_t R, int64_t n)
{
#pragma omp parallel for num_threads(ctx->threads) if (n * R > 65536)
    for (int64_t i = 0; i < n; i++) x[i] = syn_tree_sum_strided(x + i, R, n);
    return SYN_OK;
}

syn_status syn_tree_sum(syn_ctx *ctx, real *x, int64_t R, int64_t n)
{
    SYN_REQUIRE(ctx && x && n >= 0 && R >= 1 && R <= SYN_TREE_ROWS_MAX,
                "tree sum: %lld rows of %lld numbers", (long long)R, (long long)n);
    return SYN_DISPATCH(ctx, syn_tree_sum, x, R, n);
}
