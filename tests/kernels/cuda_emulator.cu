#include "tests/kernels/cuda_emulator.h"

#include "kernels/base/launch.cuh"
#include "kernels/base/ptx.cuh"

enum { THREADS = 64, SHARED_BYTES = 1024 };

/* A little more than tests/emulator/fiber.cpp gives a thread. */
#ifdef __SANITIZE_ADDRESS__
enum { STACK_FRAMES = 16 };
#else
enum { STACK_FRAMES = 4 };
#endif

static __device__ __attribute__((noinline)) float burn_stack(int depth)
{
    volatile float room[4096];
    for (int i = 0; i < 4096; i++) room[i] = (float)(depth + i);
    const float below = depth ? burn_stack(depth - 1) : 0;
    return below + room[depth];
}

static __device__ void fault_of_warp(int fault, int lane, uint32_t *word)
{
    if (fault == FAULT_LANES_DIVERGE) {
        if (lane < 16)
            *word += __ballot_sync(0xffffffffu, 1);
        else
            *word += __shfl_sync(0xffffffffu, 1u, 0);
    }
    if (fault == FAULT_LANE_ENDED) *word += __shfl_xor_sync(0xffffffffu, 1u, 1);
}

static __device__ void fault_of_shared(int fault, int t, unsigned char *shared)
{
    syn_mbarrier *bar = (syn_mbarrier *)shared;
    if (fault == FAULT_SHARED_BOUNDS && t == 3) shared[SHARED_BYTES] = 0;
    if (fault == FAULT_SHARED_BEFORE && t == 3) shared[-1] = 0;
    if (fault == FAULT_MBARRIER) syn_mbarrier_wait(bar, 0);
    if (fault == FAULT_TRANSACTION) {
        if (t == 0) syn_mbarrier_init(bar, 1);
        __syncthreads();
        if (t == 0) syn_mbarrier_arrive_expect(bar, 8);
        if (t == 0) syn_st_async4(syn_cluster_map(shared + 16, 0), 1, syn_cluster_map(bar, 0));
        syn_mbarrier_wait(bar, 0);
    }
    if (fault == FAULT_MATRIX_ALIGN) {
        uint32_t d[2];
        syn_ldmatrix_x2(d, shared + t % 32 * 2);
    }
}

static __global__ void fault_kernel(int fault, uint32_t *word)
{
    SYN_DYNAMIC_SHARED(unsigned char, shared);
    const int t = (int)threadIdx.x;
    if (fault == FAULT_LANE_ENDED && t == 7) return;
    fault_of_warp(fault, t % 32, word);
    fault_of_shared(fault, t, shared);
    if (fault == FAULT_BARRIER_ENDED && t == 5) return;
    if (fault == FAULT_BARRIERS_DIFFER && t == 5) word[0] = (uint32_t)__syncthreads_or(0);
    if (fault == FAULT_NEVER_CHANGED) syn_wait_changed(word, 0);
    while (fault == FAULT_SPIN && syn_ld_acquire(word) == 0) continue;
    while (fault == FAULT_LOCK && atomicCAS(word, 1u, 2u) != 1u) continue;
    if (fault == FAULT_COPIES_LEFT) syn_cp_async16(shared + 16 * t, word);
    if (fault == FAULT_STACK && t == 0) word[0] = (uint32_t)burn_stack(STACK_FRAMES);
    __syncthreads();
}

static __global__ void cluster_kernel(int fault)
{
    SYN_DYNAMIC_SHARED(unsigned char, shared);
    syn_mbarrier *bar = (syn_mbarrier *)shared;
    if (threadIdx.x == 0) syn_mbarrier_init(bar, 1);
    syn_cluster_sync();
    if (fault == FAULT_PEER_ENDED && syn_cluster_rank() == 0) {
        for (int i = 0; i < 3; i++) __syncthreads(); /* the other one ends in the meantime */
        syn_st_async4(syn_cluster_map(shared + 16, 1), 1, syn_cluster_map(bar, 1));
    }
    if (fault == FAULT_CLUSTER_BARRIER) {
        if (syn_cluster_rank() == 0)
            syn_cluster_sync();
        else
            syn_mbarrier_wait(bar, 0);
    }
}

static __global__ void static_kernel(void)
{
    __shared__ float variable[32];
    variable[threadIdx.x % 32] = (float)threadIdx.x;
    syn_cluster_sync();
    if (variable[0] < 0) __trap();
}

static __global__ void early_kernel(void)
{
    if (threadIdx.x != 5) syn_early_wait();
}

extern "C" syn_status fault_launch(syn_ctx *ctx, int fault)
{
    uint32_t *word = (uint32_t *)syn_device_alloc(ctx, 64);
    if (!word) return SYN_ERR_MEMORY;
    if (fault == FAULT_EARLY) {
        (void)syn_launch_early(ctx, early_kernel, 1, THREADS);
    } else if (fault < FAULTS_OF_A_BLOCK) {
        SYN_LAUNCH(ctx, fault_kernel, 1, THREADS, SHARED_BYTES, fault, word);
    } else if (fault == FAULT_STATIC_SHARED) {
        (void)syn_launch_together(ctx, static_kernel, 2, THREADS, 2, 0);
    } else {
        (void)syn_launch_together(ctx, cluster_kernel, 2, THREADS, 2, SHARED_BYTES, fault);
    }
    SYN_LAUNCH_CHECK(ctx, "a fault");
    SYN_RETURN_IF(syn_wait(ctx));
    syn_device_free(ctx, word);
    return SYN_OK;
}

/* ---- memory ---- */

static __global__ void race_kernel(const float *x, float *y)
{
    SYN_DYNAMIC_SHARED(float, shared);
    const int t = (int)threadIdx.x;
    shared[t] = x[t];
    y[t] = t ? shared[t - 1] : 0;
}

extern "C" syn_status race_launch(syn_ctx *ctx, const float *x, float *y)
{
    SYN_LAUNCH(ctx, race_kernel, 1, THREADS, THREADS * sizeof(float), x, y);
    SYN_LAUNCH_CHECK(ctx, "a race");
    return syn_wait(ctx);
}

static __global__ void bounds_kernel(int n, bool past, const float *x, float *y)
{
    for (int i = (int)threadIdx.x; i < n; i += THREADS) y[i] = x[i];
    if (past && threadIdx.x == 0) y[n] = -1;
}

extern "C" syn_status bounds_launch(syn_ctx *ctx, int n, bool past, const float *x, float *y)
{
    SYN_LAUNCH(ctx, bounds_kernel, 1, THREADS, 0, n, past, x, y);
    SYN_LAUNCH_CHECK(ctx, "bounds");
    return syn_wait(ctx);
}

static __global__ void unwritten_kernel(bool shared, bool stat, const float *x, float *y)
{
    __shared__ float variable[32];
    SYN_DYNAMIC_SHARED(float, dynamic);
    float sum = 0;
    for (int i = 0; i < 32; i++) sum += shared ? stat ? variable[i] : dynamic[i] : x[i];
    if (threadIdx.x == 0) *y = sum;
    variable[threadIdx.x] = 0; /* the next block finds it poisoned again */
}

extern "C" syn_status unwritten_launch(syn_ctx *ctx, bool shared, bool stat, const float *x,
                                       float *y)
{
    SYN_LAUNCH(ctx, unwritten_kernel, 2, 32, 32 * sizeof(float), shared, stat, x, y);
    SYN_LAUNCH_CHECK(ctx, "memory that nobody wrote");
    return syn_wait(ctx);
}

/* ---- refusals ---- */

static __global__ void nothing_kernel(void) {}

static syn_status expect_refused(cudaError_t error, const char *what)
{
    const cudaError_t last = cudaGetLastError();
    if (error == cudaSuccess || last != error)
        return syn_fail(SYN_ERR_INVALID, "%s was not refused, or not remembered", what);
    return SYN_OK;
}

static cudaError_t try_launch(syn_ctx *ctx, dim3 grid, dim3 block, size_t shared_bytes)
{
    SYN_LAUNCH(ctx, nothing_kernel, grid, block, shared_bytes);
    return cudaPeekAtLastError();
}

extern "C" syn_status refused_launches(syn_ctx *ctx)
{
    const size_t large = 49 << 10, all = 227 << 10;
    SYN_RETURN_IF(expect_refused(try_launch(ctx, 1, 1025, 0), "a block of 1025 threads"));
    SYN_RETURN_IF(expect_refused(try_launch(ctx, 0, 32, 0), "a grid of no blocks"));
    SYN_RETURN_IF(expect_refused(try_launch(ctx, dim3(1, 65536), 32, 0), "65536 blocks in y"));
    SYN_RETURN_IF(expect_refused(try_launch(ctx, 1, 32, large), "49 KB of shared memory"));
    SYN_RETURN_IF(expect_refused(cudaFuncSetAttribute(nothing_kernel,
                                                      cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                      (int)all + 1),
                                 "more shared memory than there is"));
    SYN_RETURN_IF(
        expect_refused(syn_launch_together(ctx, nothing_kernel, 32, 32, 16, 0), "a cluster of 16"));
    SYN_RETURN_IF(expect_refused(syn_launch_together(ctx, nothing_kernel, 6, 32, 4, 0),
                                 "6 blocks in clusters of 4"));
    SYN_RETURN_IF(expect_refused(syn_launch_together(ctx, nothing_kernel, 132 * 32 + 1, 32, 0, 0),
                                 "a cooperative grid that does not fit"));
    if (cudaFuncSetAttribute(nothing_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             (int)all) != cudaSuccess ||
        cudaFuncSetAttribute(nothing_kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1) !=
            cudaSuccess ||
        try_launch(ctx, 1, 32, all) != cudaSuccess ||
        syn_launch_together(ctx, nothing_kernel, 32, 32, 16, 0) != cudaSuccess)
        return syn_fail(SYN_ERR_INVALID, "what was allowed is refused");
    void *p;
    SYN_RETURN_IF(expect_refused(cudaMalloc(&p, (size_t)1 << 40), "a TiB of memory"));
    return syn_wait(ctx);
}

extern "C" syn_status refused_captures(syn_ctx *ctx)
{
    cudaStream_t stream = (cudaStream_t)ctx->stream;
    for (int i = 0; i < 3; i++) {
        void *p = NULL;
        cudaGraph_t graph = NULL;
        if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) != cudaSuccess)
            return syn_fail(SYN_ERR_DEVICE, "no capture");
        cudaError_t error = i == 0   ? cudaMalloc(&p, 64)
                            : i == 1 ? cudaStreamSynchronize(stream)
                                     : cudaDeviceSynchronize();
        SYN_RETURN_IF(expect_refused(error, "a call that a capture forbids"));
        SYN_RETURN_IF(expect_refused(cudaStreamEndCapture(stream, &graph), "the void capture"));
    }
    return syn_wait(ctx);
}

extern "C" syn_status pinned_copy(syn_ctx *ctx, const float *x, float *before, float *after)
{
    float *pinned;
    if (cudaHostAlloc(&pinned, sizeof *pinned, 0) != cudaSuccess ||
        cudaMemcpyAsync(pinned, x, sizeof *x, cudaMemcpyDeviceToHost, (cudaStream_t)ctx->stream) !=
            cudaSuccess)
        return syn_fail(SYN_ERR_DEVICE, "no copy");
    *before = *(volatile float *)pinned;
    SYN_RETURN_IF(syn_wait(ctx));
    *after = *(volatile float *)pinned;
    (void)cudaFreeHost(pinned);
    return SYN_OK;
}
