#include "kernels/base/launch.cuh"
#include "kernels/tree_sum.h"

static __global__ void tree_sum_kernel(real *x, int64_t R, int64_t n)
{
    SYN_EACH(i, n) x[i] = syn_tree_sum_strided(x + i, R, n);
}

extern "C" syn_status syn_tree_sum_cuda(syn_ctx *ctx, real *x, int64_t R, int64_t n)
{
    if (!n) return SYN_OK;
    SYN_LAUNCH(ctx, tree_sum_kernel, syn_each_blocks(n), SYN_EACH_THREADS, 0, x, R, n);
    SYN_LAUNCH_CHECK(ctx, "tree sum");
    return SYN_OK;
}
