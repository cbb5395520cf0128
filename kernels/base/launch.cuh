/* How .cu files launch kernels and name shared memory. They include this in the place of
 * cuda_runtime.h.
 *
 * A kernel is written in the part of CUDA that tests/emulator/ runs on the CPU, thread by thread:
 * launches go through SYN_LAUNCH or syn_launch_together, dynamic shared memory through
 * SYN_DYNAMIC_SHARED, matrix units, asynchronous copies and clusters through kernels/base/ptx.cuh.
 * Static __shared__ variables only in kernels whose blocks do not wait for each other. */
#ifndef SYN_BASE_LAUNCH_CUH
#define SYN_BASE_LAUNCH_CUH

#include <cuda_runtime.h>

#include "kernels/base/cuda.h"

#ifndef SYN_CUDA_EMULATED

/* A templated kernel is given in parentheses: SYN_LAUNCH(ctx, (kernel<64, true>), ...). */
#    define SYN_LAUNCH(ctx, kernel, grid, block, shared_bytes, ...)                                \
        kernel<<<(grid), (block), (shared_bytes), (cudaStream_t)(ctx)->stream>>>(__VA_ARGS__)

/* `name`: the block's dynamic shared memory, 128-byte aligned, as type *. */
#    define SYN_DYNAMIC_SHARED(type, name)                                                         \
        extern __shared__ __align__(128) unsigned char syn_dynamic_shared[];                       \
        type *const name = (type *)syn_dynamic_shared

#else /* emu_* are declared by the emulated cuda_runtime.h */

#    define SYN_LAUNCH(ctx, kernel, grid, block, shared_bytes, ...)                                \
        emu_start(#kernel, kernel, (grid), (block), (shared_bytes), (ctx)->stream, ##__VA_ARGS__)

#    define SYN_DYNAMIC_SHARED(type, name) type *const name = (type *)emu_block_shared()

#endif

/* Kernels with one thread an element: launched with syn_each_blocks(n) blocks of SYN_EACH_THREADS,
 * they walk over all n with SYN_EACH, i from the thread's first element on. Consecutive threads
 * have consecutive elements; beyond the cap on blocks a thread has several. */
enum { SYN_EACH_THREADS = 256, SYN_EACH_BLOCKS_MAX = 1 << 20 };

#define SYN_EACH(i, n)                                                                             \
    for (int64_t i = (int64_t)blockIdx.x * SYN_EACH_THREADS + threadIdx.x; i < (n);                \
         i += (int64_t)gridDim.x * SYN_EACH_THREADS)

static inline unsigned syn_each_blocks(int64_t n)
{
    const int64_t blocks = (n + SYN_EACH_THREADS - 1) / SYN_EACH_THREADS;
    return (unsigned)(blocks < SYN_EACH_BLOCKS_MAX ? blocks : SYN_EACH_BLOCKS_MAX);
}

/* Blocks that are launched together in clusters of `cluster` (grid.x is a multiple of it), or, with
 * cluster 0, that are all resident at once (a cooperative launch). The kernel's limit of dynamic
 * shared memory has been raised before. */
template <typename... P, typename... A>
static inline cudaError_t syn_launch_together(const syn_ctx *ctx, void (*kernel)(P...), dim3 grid,
                                              dim3 block, unsigned cluster, size_t shared_bytes,
                                              A... arguments)
{
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attribute[1] = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = (cudaStream_t)ctx->stream;
    if (cluster) {
        attribute[0].id = cudaLaunchAttributeClusterDimension;
        attribute[0].val.clusterDim.x = cluster;
        attribute[0].val.clusterDim.y = attribute[0].val.clusterDim.z = 1;
    } else {
        attribute[0].id = cudaLaunchAttributeCooperative;
        attribute[0].val.cooperative = 1;
    }
    config.attrs = attribute;
    config.numAttrs = 1;
    return cudaLaunchKernelEx(&config, kernel, (P)arguments...);
}

/* Whether what the device runs of a kernel has been compiled for sm_90 or later: a build for older
 * ones alone runs on later ones too, without what those can do. */
static inline bool syn_kernel_for_hopper(const void *kernel)
{
    cudaFuncAttributes attributes;
    if (cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess)
        return attributes.ptxVersion >= 90;
    (void)cudaGetLastError(); /* its launch says what is wrong */
    return false;
}

/* A launch whose blocks may begin while the kernel before it in the stream still runs, or has ended
 * without what it wrote being seen. Until a thread has called syn_early_wait, as every one does, it
 * reads nothing that this kernel writes, and writes nothing that anybody reads. */
template <typename... P, typename... A>
static inline cudaError_t syn_launch_early(const syn_ctx *ctx, void (*kernel)(P...), dim3 grid,
                                           dim3 block, A... arguments)
{
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attribute[1] = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.stream = (cudaStream_t)ctx->stream;
    attribute[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute[0].val.programmaticStreamSerializationAllowed = 1;
    config.attrs = attribute;
    config.numAttrs = syn_kernel_for_hopper((const void *)kernel) ? 1 : 0;
    return cudaLaunchKernelEx(&config, kernel, (P)arguments...);
}

/* Until the kernel before it is done and what it wrote is to be seen. */
static __device__ __forceinline__ void syn_early_wait(void)
{
#ifdef SYN_CUDA_EMULATED
    emu_early_wait();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    cudaGridDependencySynchronize();
#endif
}

/* The next kernel of the stream may begin, if it is launched early. */
static __device__ __forceinline__ void syn_early_next(void)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    cudaTriggerProgrammaticLaunchCompletion();
#endif
}

#ifdef SYN_CUDA_EMULATED
#    define syn_launch_early(ctx, kernel, ...)                                                     \
        (emu_name(#kernel), syn_launch_early(ctx, kernel, __VA_ARGS__))
#    define syn_launch_together(ctx, kernel, ...)                                                  \
        (emu_name(#kernel), syn_launch_together(ctx, kernel, __VA_ARGS__))
#endif

#endif
