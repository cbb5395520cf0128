#include "kernels/key_order.h"

#include "kernels/reduce.cuh"

/* The positions are cut into BLOCKS_MAX ranges at most. A pass over one digit: every block counts
 * its digits; one block turns the counts, ordered by digit and then by range, into places; every
 * block hands its positions their places, in their order. Integer atomics alone, whose result does
 * not depend on who comes first. */
enum {
    DIGITS = 256,
    THREADS = DIGITS,
    WARPS = THREADS / SYN_WARP,
    BLOCKS_MAX = 128,
    BLOCK_KEYS = 2048,
    SCAN_THREADS = 1024
};

typedef struct pass {
    int64_t n;
    const int32_t *count, *key, *from; /* from: NULL in the first pass */
    int64_t bound;
    int shift;
    int32_t *place, *to; /* place (DIGITS, blocks) */
} pass;

/* The range of positions of this block. */
static __device__ __forceinline__ void range(const pass &p, int64_t *start, int64_t *end)
{
    const int64_t n = p.count ? *p.count : p.n, each = (n + gridDim.x - 1) / gridDim.x;
    *start = blockIdx.x * each < n ? blockIdx.x * each : n;
    *end = *start + each < n ? *start + each : n;
}

static __device__ __forceinline__ int digit_of(const pass &p, int32_t position)
{
    int64_t key = p.key[position];
    if (key < 0 || key >= p.bound) key = p.bound;
    return (int)(key >> p.shift & (DIGITS - 1));
}

static __global__ void count_kernel(pass p)
{
    __shared__ int32_t digits[DIGITS];
    int64_t start, end;
    range(p, &start, &end);
    digits[threadIdx.x] = 0;
    __syncthreads();
    for (int64_t i = start + threadIdx.x; i < end; i += THREADS)
        atomicAdd(&digits[digit_of(p, p.from ? p.from[i] : (int32_t)i)], 1);
    __syncthreads();
    p.place[threadIdx.x * gridDim.x + blockIdx.x] = digits[threadIdx.x];
}

/* place (n): each element becomes the sum of those before it. */
static __global__ void scan_kernel(int n, int32_t *place)
{
    __shared__ int32_t warp_sum[SCAN_THREADS / SYN_WARP];
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    const int each = (n + SCAN_THREADS - 1) / SCAN_THREADS;
    const int start = threadIdx.x * each, end = start + each < n ? start + each : n;
    int32_t sum = 0;
    for (int i = start; i < end; i++) sum += place[i];
    int32_t before = sum;
    for (int step = 1; step < SYN_WARP; step *= 2) {
        const int32_t other = __shfl_up_sync(SYN_ALL_LANES, before, step);
        if (lane >= step) before += other;
    }
    if (lane == SYN_WARP - 1) warp_sum[warp] = before;
    __syncthreads();
    before -= sum;
    for (int i = 0; i < warp; i++) before += warp_sum[i];
    for (int i = start; i < end; i++) {
        const int32_t mine = place[i];
        place[i] = before;
        before += mine;
    }
}

static __global__ void place_kernel(pass p)
{
    __shared__ int32_t next[DIGITS];               /* the place of a digit's next position */
    __shared__ int32_t of_warp[WARPS][DIGITS + 1]; /* counts, then places; DIGITS: no position */
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    int64_t start, end;
    range(p, &start, &end);
    next[threadIdx.x] = p.place[threadIdx.x * gridDim.x + blockIdx.x];
    for (int64_t base = start; base < end; base += THREADS) {
        for (int w = 0; w < WARPS; w++) of_warp[w][threadIdx.x] = 0;
        __syncthreads();
        const int64_t i = base + threadIdx.x;
        const int32_t position = i < end ? (p.from ? p.from[i] : (int32_t)i) : 0;
        const int digit = i < end ? digit_of(p, position) : DIGITS;
        const unsigned same = __match_any_sync(SYN_ALL_LANES, digit);
        const int rank = __popc(same & ((1u << lane) - 1));
        if (rank == 0) of_warp[warp][digit] = __popc(same);
        __syncthreads();
        int32_t at = next[threadIdx.x];
        for (int w = 0; w < WARPS; w++) {
            const int32_t mine = of_warp[w][threadIdx.x];
            of_warp[w][threadIdx.x] = at;
            at += mine;
        }
        next[threadIdx.x] = at;
        __syncthreads();
        if (i < end) p.to[of_warp[warp][digit] + rank] = position;
        __syncthreads();
    }
}

extern "C" syn_status syn_key_order_cuda(syn_ctx *ctx, int64_t n, const int32_t *count,
                                         const int32_t *key, int64_t bound, int32_t *order,
                                         int32_t *spare)
{
    if (n == 0 && !count) return SYN_OK;
    const int64_t wanted = count ? BLOCKS_MAX : (n + BLOCK_KEYS - 1) / BLOCK_KEYS;
    const unsigned blocks = (unsigned)(wanted < BLOCKS_MAX ? wanted : BLOCKS_MAX);
    int passes = 1;
    while (passes < 4 && bound >> 8 * passes) passes++;
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    pass p = {n, count, key, NULL, bound, 0, SYN_SCRATCH(ctx, int32_t, DIGITS * blocks), NULL};
    if (!p.place) goto done;
    for (int i = 0; i < passes; i++) { /* the last pass writes `order` */
        p.shift = 8 * i;
        p.to = (passes - i) % 2 ? order : spare;
        SYN_LAUNCH(ctx, count_kernel, blocks, THREADS, 0, p);
        SYN_TRY(syn_cuda_check(ctx, "sorting of keys", __FILE__, __LINE__));
        SYN_LAUNCH(ctx, scan_kernel, 1, SCAN_THREADS, 0, (int)(DIGITS * blocks), p.place);
        SYN_TRY(syn_cuda_check(ctx, "sorting of keys", __FILE__, __LINE__));
        SYN_LAUNCH(ctx, place_kernel, blocks, THREADS, 0, p);
        SYN_TRY(syn_cuda_check(ctx, "sorting of keys", __FILE__, __LINE__));
        p.from = p.to;
    }
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

enum { SUM_COLUMNS = 4 /* that a lane sums at a time */ };

/* A warp that meets the first position of a key sums all of that key's. */
static __global__ void sum_kernel(int64_t n, const int32_t *count, const int32_t *key,
                                  int64_t bound, const int32_t *order, const float *weight,
                                  const int32_t *owner, int64_t D, const float *x, float *to)
{
    const int lane = threadIdx.x % SYN_WARP;
    const int64_t warps = (int64_t)gridDim.x * WARPS, positions = count ? *count : n;
    int64_t p = (int64_t)blockIdx.x * WARPS + threadIdx.x / SYN_WARP;
    for (; p < positions; p += warps) {
        const int32_t k = key[order[p]];
        if (k < 0 || k >= bound || (p > 0 && key[order[p - 1]] == k)) continue;
        for (int64_t base = lane; base < D; base += SUM_COLUMNS * SYN_WARP) {
            float sum[SUM_COLUMNS];
#pragma unroll
            for (int c = 0; c < SUM_COLUMNS; c++)
                sum[c] = base + c * SYN_WARP < D ? to[k * D + base + c * SYN_WARP] : 0;
            for (int64_t r = p; r < positions && key[order[r]] == k; r++) {
                const int32_t at = order[r];
                const float w = weight ? weight[at] : 1;
                const float *from = x + (int64_t)(owner ? owner[at] : at) * D + base;
#pragma unroll
                for (int c = 0; c < SUM_COLUMNS; c++)
                    if (base + c * SYN_WARP < D) sum[c] = fmaf(w, from[c * SYN_WARP], sum[c]);
            }
#pragma unroll
            for (int c = 0; c < SUM_COLUMNS; c++)
                if (base + c * SYN_WARP < D) to[k * D + base + c * SYN_WARP] = sum[c];
        }
    }
}

extern "C" syn_status syn_key_sum_cuda(syn_ctx *ctx, int64_t n, const int32_t *count,
                                       const int32_t *key, int64_t bound, const int32_t *order,
                                       const float *weight, const int32_t *owner, int64_t D,
                                       const float *x, float *to)
{
    if (n == 0 && !count) return SYN_OK;
    const int64_t guess = count ? 1 << 20 : n;
    SYN_LAUNCH(ctx, sum_kernel, syn_blocks_resident(guess, WARPS, 8), THREADS, 0, n, count, key,
               bound, order, weight, owner, D, x, to);
    SYN_LAUNCH_CHECK(ctx, "sums by key");
    return SYN_OK;
}
