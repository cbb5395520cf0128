/* A block's tile of x w^T, both contiguous along the summed dimension: for products whose number of
 * rows is known on the device alone, which no library takes.
 *
 * A tile is 64 x 64, summed in steps of 32 that go through two buffers in shared memory while the
 * next step's values are under way in registers. With MATRIX the operands are rounded to TF32 and
 * four warps multiply 32 x 32 each (m16n8k8); else every thread multiplies 8 x 4 in float. An
 * element is summed in ascending order of k (in eights on the matrix units), whatever the tile it
 * lies in. Rows are 36 floats apart, so that the rows that a warp reads together lie in other
 * banks. */
#ifndef SYN_TILE_PRODUCT_CUH
#define SYN_TILE_PRODUCT_CUH

#include "kernels/base/ptx.cuh"
#include "kernels/reduce.cuh"

enum {
    SYN_PRODUCT_TILE = 64,
    SYN_PRODUCT_STEP = 32,
    SYN_PRODUCT_STRIDE = SYN_PRODUCT_STEP + 4,
    SYN_PRODUCT_THREADS = 128,
    SYN_PRODUCT_LOADS =
        SYN_PRODUCT_TILE * SYN_PRODUCT_STEP / 4 / SYN_PRODUCT_THREADS /* of four, for each thread */
};

typedef struct syn_product_shared {
    float x[2][SYN_PRODUCT_TILE * SYN_PRODUCT_STRIDE], w[2][SYN_PRODUCT_TILE * SYN_PRODUCT_STRIDE];
} syn_product_shared;

/* Up to SYN_PRODUCT_TILE rows of k elements, `ld` apart. vector: all rows are 16-byte aligned and k
 * is a multiple of 4. */
typedef struct syn_product_operand {
    const float *at;
    int64_t ld;
    int rows, k;
    bool vector;
} syn_product_operand;

static __device__ __forceinline__ syn_product_operand syn_product_operand_make(const float *at,
                                                                               int64_t ld,
                                                                               int64_t rows, int k)
{
    syn_product_operand o = {at, ld, (int)(rows < SYN_PRODUCT_TILE ? rows : SYN_PRODUCT_TILE), k,
                             k % 4 == 0 && ld % 4 == 0 && (uintptr_t)at % 16 == 0};
    return o;
}

/* This thread's part of the operand's columns k0..k0+32; zeros outside. */
static __device__ __forceinline__ void syn_product_load(const syn_product_operand *o, int k0,
                                                        float4 part[SYN_PRODUCT_LOADS])
{
#pragma unroll
    for (int i = 0; i < SYN_PRODUCT_LOADS; i++) {
        const int at = threadIdx.x + i * SYN_PRODUCT_THREADS, row = at / (SYN_PRODUCT_STEP / 4);
        const int k = k0 + at % (SYN_PRODUCT_STEP / 4) * 4;
        const float *from = o->at + row * o->ld + k;
        float4 v = make_float4(0, 0, 0, 0);
        if (row < o->rows && o->vector && k < o->k) {
            v = *(const float4 *)from;
        } else if (row < o->rows) {
            if (k < o->k) v.x = from[0];
            if (k + 1 < o->k) v.y = from[1];
            if (k + 2 < o->k) v.z = from[2];
            if (k + 3 < o->k) v.w = from[3];
        }
        part[i] = v;
    }
}

template <bool MATRIX>
static __device__ __forceinline__ void syn_product_store(const float4 part[SYN_PRODUCT_LOADS],
                                                         float *shared)
{
#pragma unroll
    for (int i = 0; i < SYN_PRODUCT_LOADS; i++) {
        const int at = threadIdx.x + i * SYN_PRODUCT_THREADS, row = at / (SYN_PRODUCT_STEP / 4);
        float4 v = part[i];
        if (MATRIX) {
            v.x = __uint_as_float(syn_to_tf32(v.x));
            v.y = __uint_as_float(syn_to_tf32(v.y));
            v.z = __uint_as_float(syn_to_tf32(v.z));
            v.w = __uint_as_float(syn_to_tf32(v.w));
        }
        *(float4 *)(shared + row * SYN_PRODUCT_STRIDE + at % (SYN_PRODUCT_STEP / 4) * 4) = v;
    }
}

/* Where element i (0..31) of a thread's sums lies in the tile. */
template <bool MATRIX> static __device__ __forceinline__ int syn_product_row(int i)
{
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    if (MATRIX) return warp / 2 * 32 + i / 16 * 16 + i / 2 % 2 * 8 + lane / 4;
    return threadIdx.x / 16 + i / 4 * 8;
}
template <bool MATRIX> static __device__ __forceinline__ int syn_product_column(int i)
{
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    if (MATRIX) return warp % 2 * 32 + i / 4 % 4 * 8 + lane % 4 * 2 + i % 2;
    return threadIdx.x % 16 + i % 4 * 16;
}

static __device__ __forceinline__ void syn_product_step_matrix(const float *x, const float *w,
                                                               float sum[32])
{
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    const float *xa = x + (warp / 2 * 32 + lane / 4) * SYN_PRODUCT_STRIDE + lane % 4;
    const float *wb = w + (warp % 2 * 32 + lane / 4) * SYN_PRODUCT_STRIDE + lane % 4;
#pragma unroll
    for (int k = 0; k < SYN_PRODUCT_STEP; k += 8) {
        uint32_t a[2][4], b[4][2];
#pragma unroll
        for (int r = 0; r < 2; r++)
#pragma unroll
            for (int q = 0; q < 4; q++)
                a[r][q] =
                    __float_as_uint(xa[(r * 16 + q % 2 * 8) * SYN_PRODUCT_STRIDE + k + q / 2 * 4]);
#pragma unroll
        for (int c = 0; c < 4; c++)
#pragma unroll
            for (int q = 0; q < 2; q++)
                b[c][q] = __float_as_uint(wb[c * 8 * SYN_PRODUCT_STRIDE + k + q * 4]);
#pragma unroll
        for (int r = 0; r < 2; r++)
#pragma unroll
            for (int c = 0; c < 4; c++) syn_mma_tf32(sum + r * 16 + c * 4, a[r], b[c]);
    }
}

static __device__ __forceinline__ void syn_product_step_float(const float *x, const float *w,
                                                              float sum[32])
{
    const float *xa = x + threadIdx.x / 16 * SYN_PRODUCT_STRIDE;
    const float *wb = w + threadIdx.x % 16 * SYN_PRODUCT_STRIDE;
#pragma unroll
    for (int k = 0; k < SYN_PRODUCT_STEP; k += 4) {
        float4 b[4];
#pragma unroll
        for (int c = 0; c < 4; c++) b[c] = *(const float4 *)(wb + c * 16 * SYN_PRODUCT_STRIDE + k);
#pragma unroll
        for (int r = 0; r < 8; r++) {
            const float4 a = *(const float4 *)(xa + r * 8 * SYN_PRODUCT_STRIDE + k);
#pragma unroll
            for (int c = 0; c < 4; c++) {
                float *s = sum + r * 4 + c;
                *s = fmaf(a.x, b[c].x, *s);
                *s = fmaf(a.y, b[c].y, *s);
                *s = fmaf(a.z, b[c].z, *s);
                *s = fmaf(a.w, b[c].w, *s);
            }
        }
    }
}

/* sum (32): overwritten with this thread's part of the tile, element i at
 * syn_product_row<MATRIX>(i) and _column. All SYN_PRODUCT_THREADS threads; shared is free again at
 * the end. */
template <bool MATRIX>
static __device__ __forceinline__ void syn_product_tile(syn_product_shared *shared,
                                                        const syn_product_operand *x,
                                                        const syn_product_operand *w, float sum[32])
{
    float4 next_x[SYN_PRODUCT_LOADS], next_w[SYN_PRODUCT_LOADS];
#pragma unroll
    for (int i = 0; i < 32; i++) sum[i] = 0;
    syn_product_load(x, 0, next_x);
    syn_product_load(w, 0, next_w);
    for (int k = 0, buffer = 0; k < x->k; k += SYN_PRODUCT_STEP, buffer ^= 1) {
        syn_product_store<MATRIX>(next_x, shared->x[buffer]);
        syn_product_store<MATRIX>(next_w, shared->w[buffer]);
        __syncthreads(); /* two steps ago everyone was done with this buffer: one barrier a step */
        if (k + SYN_PRODUCT_STEP < x->k) {
            syn_product_load(x, k + SYN_PRODUCT_STEP, next_x);
            syn_product_load(w, k + SYN_PRODUCT_STEP, next_w);
        }
        if (MATRIX)
            syn_product_step_matrix(shared->x[buffer], shared->w[buffer], sum);
        else
            syn_product_step_float(shared->x[buffer], shared->w[buffer], sum);
    }
    __syncthreads();
}

#endif
