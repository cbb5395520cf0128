/* The product of a few rows with a matrix that lies in shared memory, as fused kernels chain them:
 * blocks of SYN_ROWS_THREADS threads, both operands contiguous along the summed dimension.
 *
 * MIXED: bf16 elements; a warp multiplies 16 rows with 32 columns at a time (m16n8k16, float sums),
 * ROWS / 16 warps share the rows, the others the columns. Else float: a warp takes every eighth
 * row, a lane every 32nd column. An element is summed in ascending order of k (in sixteens on the
 * matrix units). Rows are padded so that eight consecutive ones lie in other banks. */
#ifndef SYN_ROWS_PRODUCT_CUH
#define SYN_ROWS_PRODUCT_CUH

#include "kernels/base/ptx.cuh"
#include "kernels/reduce.cuh"

enum {
    SYN_ROWS_THREADS = 256,
    SYN_ROWS_WARPS = SYN_ROWS_THREADS / SYN_WARP,
    SYN_ROWS_COLUMNS = 64 /* rows of the matrix are there, if only as zeros, up to a multiple */
};

template <bool MIXED> struct syn_rows_element;
template <> struct syn_rows_element<true> {
    typedef uint16_t type;
    enum { STEP = 16, PAD = 8 }; /* of k; a row is k rounded up to STEP, and PAD */
};
template <> struct syn_rows_element<false> {
    typedef float type;
    enum { STEP = 4, PAD = 4 };
};

/* k rounded up to what the product needs; elements from row to row. */
template <bool MIXED> static __host__ __device__ __forceinline__ int syn_rows_width(int k)
{
    const int step = syn_rows_element<MIXED>::STEP;
    return (k + step - 1) / step * step;
}
template <bool MIXED> static __host__ __device__ __forceinline__ int syn_rows_stride(int k)
{
    const int width = syn_rows_width<MIXED>(k), pad = syn_rows_element<MIXED>::PAD;
    return width / pad % 2 ? width : width + pad; /* an odd number of 16 bytes */
}
/* Columns of the product, rounded up. */
static __host__ __device__ __forceinline__ int syn_rows_columns(int n)
{
    return (n + SYN_ROWS_COLUMNS - 1) / SYN_ROWS_COLUMNS * SYN_ROWS_COLUMNS;
}

/* Four elements, rounded where they have to be; 16- and 8-byte aligned. */
static __device__ __forceinline__ void syn_rows_put(float *to, float4 v)
{
    *(float4 *)to = v;
}
static __device__ __forceinline__ void syn_rows_put(uint16_t *to, float4 v)
{
    *(uint2 *)to = make_uint2(syn_pack_bf16(v.x, v.y), syn_pack_bf16(v.z, v.w));
}
static __device__ __forceinline__ float4 syn_rows_get(const float *from)
{
    return *(const float4 *)from;
}
static __device__ __forceinline__ float4 syn_rows_get(const uint16_t *from)
{
    const uint2 v = *(const uint2 *)from;
    return make_float4(syn_bf16_low(v.x), syn_bf16_high(v.x), syn_bf16_low(v.y),
                       syn_bf16_high(v.y));
}

/* Elements k..k+3 of a row of `width` in global memory, zeros beyond it. aligned: a vector load
 * will do, which also asks for a width that is a multiple of 4. */
static __device__ __forceinline__ float4 syn_rows_load(const float *row, int k, int width,
                                                       bool aligned)
{
    if (aligned && k < width) return *(const float4 *)(row + k);
    return make_float4(k < width ? row[k] : 0, k + 1 < width ? row[k + 1] : 0,
                       k + 2 < width ? row[k + 2] : 0, k + 3 < width ? row[k + 3] : 0);
}

/* The matrix w (n, k) from global memory into `to`, padded, with zeros for rows up to
 * syn_rows_columns(n). */
template <bool MIXED>
static __device__ __forceinline__ void syn_rows_matrix(int n, int k, const float *w,
                                                       typename syn_rows_element<MIXED>::type *to)
{
    const int width = syn_rows_width<MIXED>(k), stride = syn_rows_stride<MIXED>(k);
    const bool aligned = k % 4 == 0 && (uintptr_t)w % 16 == 0;
    for (int i = threadIdx.x * 4; i < syn_rows_columns(n) * width; i += SYN_ROWS_THREADS * 4) {
        const int row = i / width, at = i % width;
        const float4 zero = make_float4(0, 0, 0, 0);
        syn_rows_put(to + row * stride + at,
                     row < n ? syn_rows_load(w + (int64_t)row * k, at, k, aligned) : zero);
    }
}

/* put(row, column, v0, next, v1) gets every element of the product once, two of a row at a time:
 * next is column + 1 (MIXED) or column + 32. column < n; where next is not, v1 is 0. */
template <int ROWS, typename PUT>
static __device__ __forceinline__ void syn_rows_product(int k, int n, const uint16_t *rows,
                                                        const uint16_t *matrix, PUT put)
{
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    const int row = warp % (ROWS / 16) * 16, stride = syn_rows_stride<true>(k);
    const int across = SYN_ROWS_WARPS / (ROWS / 16) * 32;
    const uint16_t *from = rows + (row + lane % 16) * stride + lane / 16 * 8;
    for (int column = warp / (ROWS / 16) * 32; column < n; column += across) {
        const uint16_t *with =
            matrix + (column + lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8;
        float sum[4][4] = {};
        for (int at = 0; at < k; at += 16) {
            uint32_t x[4], y[2][4];
            syn_ldmatrix_x4(x, from + at);
            syn_ldmatrix_x4(y[0], with + at);
            syn_ldmatrix_x4(y[1], with + 16 * stride + at);
#pragma unroll
            for (int c = 0; c < 4; c++) syn_mma_bf16(sum[c], x, y[c / 2] + c % 2 * 2);
        }
#pragma unroll
        for (int c = 0; c < 4; c++) {
            const int j = column + c * 8 + lane % 4 * 2;
            if (j >= n) continue;
            put(row + lane / 4, j, sum[c][0], j + 1, sum[c][1]);
            put(row + lane / 4 + 8, j, sum[c][2], j + 1, sum[c][3]);
        }
    }
}

template <int ROWS, typename PUT>
static __device__ __forceinline__ void syn_rows_product(int k, int n, const float *rows,
                                                        const float *matrix, PUT put)
{
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    const int stride = syn_rows_stride<false>(k);
    for (int column = lane; column < n; column += 2 * SYN_WARP) {
        const float *with = matrix + column * stride;
        float sum[ROWS / SYN_ROWS_WARPS][2] = {};
        for (int at = 0; at < k; at += 4) {
            const float4 y0 = *(const float4 *)(with + at);
            const float4 y1 = *(const float4 *)(with + SYN_WARP * stride + at);
#pragma unroll
            for (int r = 0; r < ROWS / SYN_ROWS_WARPS; r++) {
                const float4 x =
                    *(const float4 *)(rows + (warp + r * SYN_ROWS_WARPS) * stride + at);
                float *s = sum[r];
                s[0] = fmaf(x.w, y0.w, fmaf(x.z, y0.z, fmaf(x.y, y0.y, fmaf(x.x, y0.x, s[0]))));
                s[1] = fmaf(x.w, y1.w, fmaf(x.z, y1.z, fmaf(x.y, y1.y, fmaf(x.x, y1.x, s[1]))));
            }
        }
#pragma unroll
        for (int r = 0; r < ROWS / SYN_ROWS_WARPS; r++)
            put(warp + r * SYN_ROWS_WARPS, column, sum[r][0], column + SYN_WARP, sum[r][1]);
    }
}

#endif
