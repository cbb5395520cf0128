#include "benchmarks/gpu_limits.h"

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <stdlib.h>

#include "kernels/base/launch.cuh"
#include "kernels/base/ptx.cuh"

enum { HOP_THREADS = 32, GRID_THREADS = 256, CONVERT_THREADS = 256 };

/* ---- A product of bf16 matrices ---- */

struct syn_gpu_product {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t layout;
    cublasLtMatmulAlgo_t algorithm;
    __nv_bfloat16 *a, *b, *c;
    void *workspace;
};

static const size_t WORKSPACE = 32u << 20;

__global__ void round_numbers(int64_t n, const float *x, __nv_bfloat16 *y)
{
    const int64_t i = (int64_t)blockIdx.x * CONVERT_THREADS + threadIdx.x;
    if (i < n) y[i] = __float2bfloat16(x[i]);
}

static syn_status blas_failed(cublasStatus_t status, const char *what)
{
    return syn_fail(SYN_ERR_DEVICE, "cuBLASLt: %s: status %d", what, (int)status);
}

/* Column-major, which for square random matrices is the same work. */
static syn_status plan(syn_gpu_product *p, int64_t n)
{
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found = {};
    int count = 0;
    const uint64_t size = (uint64_t)n;
    cublasStatus_t s = cublasLtCreate(&p->handle);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulDescCreate(&p->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatrixLayoutCreate(&p->layout, CUDA_R_16BF, size, size, n);
    if (s == CUBLAS_STATUS_SUCCESS) s = cublasLtMatmulPreferenceCreate(&preference);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulPreferenceSetAttribute(
            preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &WORKSPACE, sizeof WORKSPACE);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulAlgoGetHeuristic(p->handle, p->operation, p->layout, p->layout, p->layout,
                                           p->layout, preference, 1, &found, &count);
    if (preference) (void)cublasLtMatmulPreferenceDestroy(preference);
    if (s != CUBLAS_STATUS_SUCCESS || count == 0) return blas_failed(s, "a product of bf16");
    p->algorithm = found.algo;
    return SYN_OK;
}

extern "C" syn_status syn_gpu_product_open(syn_ctx *ctx, int64_t n, const real *random,
                                           syn_gpu_product **product)
{
    syn_gpu_product *p = (syn_gpu_product *)calloc(1, sizeof *p);
    *product = p;
    if (!p) return syn_fail(SYN_ERR_MEMORY, "out of memory for a product");
    const size_t bytes = sizeof(__nv_bfloat16) * (size_t)(n * n);
    if (cudaMalloc((void **)&p->a, bytes) != cudaSuccess ||
        cudaMalloc((void **)&p->b, bytes) != cudaSuccess ||
        cudaMalloc((void **)&p->c, bytes) != cudaSuccess ||
        cudaMalloc(&p->workspace, WORKSPACE) != cudaSuccess) {
        (void)cudaGetLastError();
        return syn_fail(SYN_ERR_MEMORY, "out of device memory for a product");
    }
    const unsigned blocks = (unsigned)((n * n + CONVERT_THREADS - 1) / CONVERT_THREADS);
    SYN_LAUNCH(ctx, round_numbers, blocks, CONVERT_THREADS, 0, n * n, random, p->a);
    SYN_LAUNCH_CHECK(ctx, "rounding numbers");
    SYN_LAUNCH(ctx, round_numbers, blocks, CONVERT_THREADS, 0, n * n, random, p->b);
    SYN_LAUNCH_CHECK(ctx, "rounding numbers");
    return plan(p, n);
}

extern "C" syn_status syn_gpu_product_run(syn_ctx *ctx, syn_gpu_product *p)
{
    const float one = 1, zero = 0;
    const cublasStatus_t s = cublasLtMatmul(
        p->handle, p->operation, &one, p->a, p->layout, p->b, p->layout, &zero, p->c, p->layout,
        p->c, p->layout, &p->algorithm, p->workspace, WORKSPACE, (cudaStream_t)ctx->stream);
    return s == CUBLAS_STATUS_SUCCESS ? SYN_OK : blas_failed(s, "a product of bf16");
}

extern "C" void syn_gpu_product_close(syn_gpu_product *p)
{
    if (!p) return;
    (void)cudaFree(p->a);
    (void)cudaFree(p->b);
    (void)cudaFree(p->c);
    (void)cudaFree(p->workspace);
    if (p->layout) (void)cublasLtMatrixLayoutDestroy(p->layout);
    if (p->operation) (void)cublasLtMatmulDescDestroy(p->operation);
    if (p->handle) (void)cublasLtDestroy(p->handle);
    free(p);
}

/* ---- Delays ---- */

/* Two blocks of a cluster send 16 bytes to and fro; each waits for the other's before it sends. */
__global__ void hop_kernel(int rounds)
{
    SYN_DYNAMIC_SHARED(uint4, box);
    syn_mbarrier *barrier = (syn_mbarrier *)(box + 1);
    const unsigned me = syn_cluster_rank(), peer = me ^ 1;
    if (threadIdx.x == 0) {
        syn_mbarrier_init(barrier, 1);
        syn_mbarrier_fence_init();
    }
    syn_cluster_sync();
    if (threadIdx.x == 0) {
        const syn_cluster_address to = syn_cluster_map(box, peer);
        const syn_cluster_address ring = syn_cluster_map(barrier, peer);
        for (int k = 0; k < rounds; k++) {
            syn_mbarrier_arrive_expect(barrier, 16);
            if (me == 0) syn_st_async16(to, make_uint4(k, k, k, k), ring);
            syn_mbarrier_wait(barrier, (unsigned)k & 1);
            if (me == 1) syn_st_async16(to, make_uint4(k, k, k, k), ring);
        }
    }
    syn_cluster_sync();
}

extern "C" syn_status syn_gpu_hops(syn_ctx *ctx, int rounds)
{
    int device = 0, major = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess)
        return syn_fail(SYN_ERR_DEVICE, "CUDA: the device cannot be asked for its version");
    if (major < 9 || !syn_kernel_for_hopper((const void *)hop_kernel))
        return syn_fail(SYN_ERR_UNSUPPORTED, "no clusters before sm_90");
    const cudaError_t error =
        syn_launch_together(ctx, hop_kernel, dim3(2), dim3(HOP_THREADS), 2, 64, rounds);
    if (error != cudaSuccess)
        return syn_fail(SYN_ERR_DEVICE, "CUDA: hops: %s", cudaGetErrorString(error));
    SYN_LAUNCH_CHECK(ctx, "hops");
    return SYN_OK;
}

__global__ void grid_kernel(int rounds, syn_grid_barrier *barrier)
{
    for (int k = 0; k < rounds; k++) syn_grid_sync(barrier);
}

extern "C" syn_status syn_gpu_grid_barriers(syn_ctx *ctx, int rounds, void *barrier)
{
    int device = 0, blocks = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&blocks, cudaDevAttrMultiProcessorCount, device) != cudaSuccess)
        return syn_fail(SYN_ERR_DEVICE, "CUDA: the device cannot be asked for its size");
    const cudaError_t error =
        syn_launch_together(ctx, grid_kernel, dim3((unsigned)blocks), dim3(GRID_THREADS), 0, 0,
                            rounds, (syn_grid_barrier *)barrier);
    if (error != cudaSuccess)
        return syn_fail(SYN_ERR_DEVICE, "CUDA: grid barriers: %s", cudaGetErrorString(error));
    SYN_LAUNCH_CHECK(ctx, "grid barriers");
    return SYN_OK;
}

__global__ void empty_kernel(void) {}

extern "C" syn_status syn_gpu_empty(syn_ctx *ctx, int launches)
{
    for (int k = 0; k < launches; k++) {
        SYN_LAUNCH(ctx, empty_kernel, 1, 32, 0);
        SYN_LAUNCH_CHECK(ctx, "an empty kernel");
    }
    return SYN_OK;
}
