/* Sums of a warp and of a block in a fixed order, and sizes of launches. For .cu files. */
#ifndef SYN_REDUCE_CUH
#define SYN_REDUCE_CUH

#include "kernels/base/launch.cuh"

enum { SYN_WARP = 32 };

#define SYN_ALL_LANES 0xffffffffu

/* Blocks for n things, `each` to a block. */
static inline unsigned syn_blocks(int64_t n, int64_t each)
{
    return (unsigned)((n + each - 1) / each);
}

/* The same, but at most so many that `resident` lie on each multiprocessor: for kernels whose
 * blocks go on to the next piece, and whose results do not depend on who does which. */
static inline unsigned syn_blocks_resident(int64_t n, int64_t each, int resident)
{
    int device = 0, processors = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device) != cudaSuccess)
        processors = 1;
    const int64_t most = (int64_t)processors * resident, blocks = (n + each - 1) / each;
    return (unsigned)(blocks < most ? blocks : most);
}

/* What op->live says, within [0, capacity]; NULL: all. */
static __device__ __forceinline__ int64_t syn_live(int64_t capacity, const int32_t *live)
{
    const int64_t n = live ? *live : capacity;
    return n < 0 ? 0 : n < capacity ? n : capacity;
}

/* The sum over the lanes, the same bits in each of them. */
template <typename T> static __device__ __forceinline__ T syn_warp_sum(T v)
{
    for (int half = SYN_WARP / 2; half; half /= 2) v += __shfl_xor_sync(SYN_ALL_LANES, v, half);
    return v;
}

/* The sum over the THREADS threads of a block, in all of them. shared: THREADS / 32 elements, free
 * to be written, and again after the call. */
template <int THREADS, typename T> static __device__ __forceinline__ T syn_block_sum(T v, T *shared)
{
    const int lane = threadIdx.x % SYN_WARP, warp = threadIdx.x / SYN_WARP;
    v = syn_warp_sum(v);
    if (lane == 0) shared[warp] = v;
    __syncthreads();
    T sum = shared[0];
    for (int i = 1; i < THREADS / SYN_WARP; i++) sum += shared[i];
    __syncthreads();
    return sum;
}

#endif
