/* Kernels that show what kernels/base/ptx.cuh promises, for cuda_ptx.c. All pointers are of the
 * device of ctx; all calls are asynchronous on its stream. */
#ifndef SYN_TESTS_CUDA_PTX_H
#define SYN_TESTS_CUDA_PTX_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y[block] = the sum of that block's 256 of the n values of x. */
syn_status ptx_block_sum(syn_ctx *ctx, int n, const float *x, float *y);

/* What one warp says of x (32): y (PTX_WARP_ROWS, 32). */
enum { PTX_WARP_ROWS = 13 };
syn_status ptx_warp(syn_ctx *ctx, const int32_t *x, int32_t *y);

/* One of each conversion of x[i]: bf16 low, bf16 high of (x, -x), bf16, TF32, approximate tanh. */
enum { PTX_NUMBERS = 5 };
syn_status ptx_numbers(syn_ctx *ctx, int n, const float *x, float *y);

/* d (16,8) = c + a b, rows contiguous. How a and b reach the registers: */
enum {
    PTX_BF16,              /* k = 16, element by element */
    PTX_TF32,              /* k = 8, element by element */
    PTX_LDMATRIX,          /* k = 16, x4 of a, x2 of b by columns */
    PTX_LDMATRIX_TRANS,    /* k = 16, x4 of a, x2_trans of b by rows */
    PTX_LDMATRIX_X4_TRANS, /* k = 16, x4_trans of a by columns, x2 of b by columns */
    PTX_PRODUCTS
};
syn_status ptx_product(syn_ctx *ctx, int how, const float *a, const float *b, const float *c,
                       float *d);

/* y = 2 x through shared memory, copied three tiles ahead; what lies past n is zero. y: whole
 * tiles of PTX_TILE. */
enum { PTX_TILE = 512 };
syn_status ptx_copies(syn_ctx *ctx, int n, const float *x, float *y);

/* Each of two halves of a block of 128 sums its x (128) over a barrier of its own: y (2). */
syn_status ptx_halves(syn_ctx *ctx, const float *x, float *y);

/* Clusters of `size` blocks, `clusters` of them. In each of `rounds` rounds every block sends its
 * 64 values (4, 8 or 16 bytes at a time) to all blocks and takes as its next values the mean of
 * what came, plus its rank. x, y (clusters * size, 64). */
syn_status ptx_exchange(syn_ctx *ctx, int clusters, int size, int bytes, int rounds, const float *x,
                        float *y);

/* y[block] = the sum over the cluster of x[block], read from the peers. */
syn_status ptx_peers(syn_ctx *ctx, int clusters, int size, const float *x, float *y);

/* d (64,32) = a (64,k) b (k,32) by one warpgroup, rows contiguous; k: a multiple of 16 up to
 * PTX_WIDE_K. */
enum { PTX_WIDE_K = 64 };
syn_status ptx_wide_product(syn_ctx *ctx, int k, const float *a, const float *b, float *d);

/* Clusters of `size` blocks. Every block puts twice its 64 values into scratch and copies them from
 * there to all blocks at once: y = the sums of what came. x, scratch, y (clusters * size, 64). */
syn_status ptx_multicast(syn_ctx *ctx, int clusters, int size, const float *x, float *scratch,
                         float *y);

/* Blocks of a cooperative launch pass their value to the next block `rounds` times: x, y (blocks).
 * scratch: 2 * blocks floats; barrier: a syn_grid_barrier, zero. */
syn_status ptx_ring(syn_ctx *ctx, int blocks, int rounds, const float *x, float *y, float *scratch,
                    void *barrier);

/* A graph that adds *step to each of y (n), replayed with each of the steps (host). */
syn_status ptx_replay(syn_ctx *ctx, int n, int count, const float *steps, float *step, float *y);

#ifdef __cplusplus
}
#endif
#endif
