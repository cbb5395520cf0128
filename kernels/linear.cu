#include "kernels/linear.h"

#include "kernels/base/expmath.h"
#include "kernels/gemm.h"
#include "kernels/tile_product.cuh"

enum {
    ROWS = 8, /* of a block of the elementwise kernels: one for each warp */
    THREADS = ROWS * SYN_WARP,
    TILES_RESIDENT = 4 /* blocks of tiles on a multiprocessor */
};

static __device__ __forceinline__ float activate(float x, syn_activation act)
{
    if (act == SYN_ACT_RELU) return x < 0 ? 0 : x; /* keeps NaN */
    return act == SYN_ACT_TANH ? syn_tanh(x) : x;
}

static __global__ void finish_kernel(int64_t n, int64_t dout, const float *b, syn_activation act,
                                     float *y, int64_t ldy)
{
    const int64_t i = (int64_t)blockIdx.x * ROWS + threadIdx.x / SYN_WARP;
    if (i >= n) return;
    for (int64_t j = threadIdx.x % SYN_WARP; j < dout; j += SYN_WARP)
        y[i * ldy + j] = activate(y[i * ldy + j] + (b ? b[j] : 0), act);
}

/* The bias of a layer without activation is added by the product itself, where the library can. A
 * ReLU is not left to it: NaN would become 0 there, and a bad weight stay unseen. */
extern "C" syn_status syn_linear_forward_cuda(syn_ctx *ctx, int64_t n, int64_t din, int64_t dout,
                                              const float *x, int64_t ldx, const float *w,
                                              const float *b, syn_activation act, float *y,
                                              int64_t ldy)
{
    if (n == 0) return SYN_OK;
    if (b && act == SYN_ACT_NONE) {
        const syn_status st = syn_gemm_bias_cuda(ctx, n, dout, din, x, ldx, w, din, b, y, ldy);
        if (st != SYN_ERR_UNSUPPORTED) return st;
    }
    SYN_RETURN_IF(syn_gemm_cuda(ctx, false, true, n, dout, din, 1, x, ldx, w, din, 0, y, ldy));
    if (!b && act == SYN_ACT_NONE) return SYN_OK;
    SYN_LAUNCH(ctx, finish_kernel, syn_blocks(n, ROWS), THREADS, 0, n, dout, b, act, y, ldy);
    SYN_LAUNCH_CHECK(ctx, "activation of a linear layer");
    return SYN_OK;
}

static __global__ void derive_kernel(int64_t n, int64_t dout, const float *y, int64_t ldy,
                                     syn_activation act, float *dy, int64_t lddy)
{
    const int64_t i = (int64_t)blockIdx.x * ROWS + threadIdx.x / SYN_WARP;
    if (i >= n) return;
    for (int64_t j = threadIdx.x % SYN_WARP; j < dout; j += SYN_WARP) {
        const float out = y[i * ldy + j], d = dy[i * lddy + j];
        dy[i * lddy + j] = act == SYN_ACT_TANH ? d * (1 - out * out) : out > 0 ? d : 0;
    }
}

extern "C" syn_status syn_linear_derive_cuda(syn_ctx *ctx, int64_t n, int64_t dout, const float *y,
                                             int64_t ldy, syn_activation act, float *dy,
                                             int64_t lddy)
{
    if (n == 0) return SYN_OK;
    SYN_LAUNCH(ctx, derive_kernel, syn_blocks(n, ROWS), THREADS, 0, n, dout, y, ldy, act, dy, lddy);
    SYN_LAUNCH_CHECK(ctx, "gradient of an activation");
    return SYN_OK;
}

typedef struct layer {
    const float *x, *w, *b;
    int64_t ldx, ldy;
    int din, dout;
    syn_activation act;
    float *y;
} layer;

/* Every block takes every gridDim.x-th tile of the live rows; the tiles of the same rows are
 * neighbours, so that x is read from memory once. */
template <bool MATRIX>
static __global__ __launch_bounds__(SYN_PRODUCT_THREADS) void live_kernel(int64_t capacity,
                                                                          const int32_t *live,
                                                                          layer l)
{
    __shared__ __align__(16) syn_product_shared shared;
    const int64_t rows = syn_live(capacity, live);
    const int64_t across = (l.dout + SYN_PRODUCT_TILE - 1) / SYN_PRODUCT_TILE;
    const int64_t tiles = (rows + SYN_PRODUCT_TILE - 1) / SYN_PRODUCT_TILE * across;
    for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const int64_t row = tile / across * SYN_PRODUCT_TILE;
        const int column = (int)(tile % across) * SYN_PRODUCT_TILE;
        const syn_product_operand x =
            syn_product_operand_make(l.x + row * l.ldx, l.ldx, rows - row, l.din);
        const syn_product_operand w =
            syn_product_operand_make(l.w + (int64_t)column * l.din, l.din, l.dout - column, l.din);
        float sum[32];
        syn_product_tile<MATRIX>(&shared, &x, &w, sum);
#pragma unroll
        for (int i = 0; i < 32; i++) {
            const int r = syn_product_row<MATRIX>(i), c = syn_product_column<MATRIX>(i);
            if (r >= x.rows || c >= w.rows) continue;
            const float bias = l.b ? l.b[column + c] : 0;
            l.y[(row + r) * l.ldy + column + c] = activate(sum[i] + bias, l.act);
        }
    }
}

extern "C" syn_status syn_linear_live_cuda(syn_ctx *ctx, int64_t capacity, const int32_t *live,
                                           int64_t din, int64_t dout, const float *x, int64_t ldx,
                                           const float *w, const float *b, syn_activation act,
                                           float *y, int64_t ldy)
{
    if (capacity == 0) return SYN_OK;
    const layer l = {x, w, b, ldx, ldy, (int)din, (int)dout, act, y};
    const int64_t tiles = (int64_t)syn_blocks(capacity, SYN_PRODUCT_TILE) *
                          (int64_t)syn_blocks(dout, SYN_PRODUCT_TILE);
    const unsigned grid = syn_blocks_resident(tiles, 1, TILES_RESIDENT);
    if (ctx->math == SYN_MATH_MIXED)
        SYN_LAUNCH(ctx, live_kernel<true>, grid, SYN_PRODUCT_THREADS, 0, capacity, live, l);
    else
        SYN_LAUNCH(ctx, live_kernel<false>, grid, SYN_PRODUCT_THREADS, 0, capacity, live, l);
    SYN_LAUNCH_CHECK(ctx, "linear layer of live rows");
    return SYN_OK;
}
