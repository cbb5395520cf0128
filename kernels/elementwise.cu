#include "kernels/base/launch.cuh"
#include "kernels/elementwise.h"

static __global__ void add_kernel(int64_t rows, int64_t width, float *to, int64_t ldto,
                                  const float *x, int64_t ldx)
{
    SYN_EACH(i, rows * width)
    {
        const int64_t r = i / width, j = i - r * width;
        to[r * ldto + j] += x[r * ldx + j];
    }
}

extern "C" syn_status syn_add_cuda(syn_ctx *ctx, int64_t rows, int64_t width, float *to,
                                   int64_t ldto, const float *x, int64_t ldx)
{
    if (ldto == width && ldx == width) { /* no division where rows follow one another */
        width *= rows;
        rows = 1;
    }
    SYN_LAUNCH(ctx, add_kernel, syn_each_blocks(rows * width), SYN_EACH_THREADS, 0, rows, width, to,
               ldto, x, ldx);
    SYN_LAUNCH_CHECK(ctx, "sum of two buffers");
    return SYN_OK;
}

static __global__ void scale_kernel(int64_t n, float factor, float *x)
{
    SYN_EACH(i, n) x[i] *= factor;
}

extern "C" syn_status syn_scale_cuda(syn_ctx *ctx, int64_t n, float factor, float *x)
{
    SYN_LAUNCH(ctx, scale_kernel, syn_each_blocks(n), SYN_EACH_THREADS, 0, n, factor, x);
    SYN_LAUNCH_CHECK(ctx, "scaling a buffer");
    return SYN_OK;
}
