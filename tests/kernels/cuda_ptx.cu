#include "tests/kernels/cuda_ptx.h"

#include "kernels/base/launch.cuh"
#include "kernels/base/ptx.cuh"

/* ---- blocks and warps ---- */

static __global__ void block_sum_kernel(int n, const float *x, float *y)
{
    __shared__ float part[256];
    const int i = (int)(blockIdx.x * 256 + threadIdx.x);
    part[threadIdx.x] = i < n ? x[i] : 0;
    __syncthreads();
    for (unsigned half = 128; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) y[blockIdx.x] = part[0];
}

syn_status ptx_block_sum(syn_ctx *ctx, int n, const float *x, float *y)
{
    SYN_LAUNCH(ctx, block_sum_kernel, (n + 255) / 256, 256, 0, n, x, y);
    SYN_LAUNCH_CHECK(ctx, "block sum");
    return SYN_OK;
}

static __global__ void warp_kernel(const int32_t *in, int32_t *y)
{
    const unsigned all = 0xffffffffu;
    const int lane = (int)threadIdx.x, x = in[lane];
    int32_t said[PTX_WARP_ROWS];
    int every;
    said[0] = __shfl_sync(all, x, (lane + 5) % 32);
    said[1] = __shfl_xor_sync(all, x, 9);
    said[2] = __shfl_up_sync(all, x, 3);
    said[3] = __shfl_down_sync(all, x, 3, 8);
    said[4] = (int32_t)__ballot_sync(all, x > 0);
    said[5] = __any_sync(all, x == in[7]);
    said[6] = __all_sync(all, x > 0);
    said[7] = (int32_t)__match_any_sync(all, x & 3);
    said[8] = __reduce_add_sync(all, x);
    said[9] = __reduce_min_sync(all, x);
    said[10] = (int32_t)__reduce_max_sync(all, (unsigned)x);
    said[11] = (int32_t)__match_all_sync(all, 1, &every) + every;
    /* The halves of the warp meet apart. */
    said[12] = __shfl_sync(lane < 16 ? 0xffffu : 0xffff0000u, x, lane < 16 ? 2 : 30);
    for (int i = 0; i < PTX_WARP_ROWS; i++) y[i * 32 + lane] = said[i];
}

syn_status ptx_warp(syn_ctx *ctx, const int32_t *x, int32_t *y)
{
    SYN_LAUNCH(ctx, warp_kernel, 1, 32, 0, x, y);
    SYN_LAUNCH_CHECK(ctx, "warp");
    return SYN_OK;
}

static __global__ void halves_kernel(const float *x, float *y)
{
    __shared__ float part[128];
    const unsigned half = threadIdx.x / 64, at = threadIdx.x % 64;
    part[threadIdx.x] = x[threadIdx.x];
    syn_barrier_sync(1 + (int)half, 64);
    float sum = 0;
    for (int i = 0; at == 0 && i < 64; i++) sum += part[half * 64 + i];
    if (at == 0) y[half] = sum;
}

syn_status ptx_halves(syn_ctx *ctx, const float *x, float *y)
{
    SYN_LAUNCH(ctx, halves_kernel, 1, 128, 0, x, y);
    SYN_LAUNCH_CHECK(ctx, "named barriers");
    return SYN_OK;
}

/* ---- numbers and products ---- */

static __global__ void numbers_kernel(int n, const float *in, float *y)
{
    const int i = (int)(blockIdx.x * 128 + threadIdx.x);
    if (i >= n) return;
    const float x = in[i];
    const uint32_t pair = syn_pack_bf16(x, -x);
    y[0 * n + i] = syn_bf16_low(pair);
    y[1 * n + i] = syn_bf16_high(pair);
    y[2 * n + i] = syn_from_bf16(syn_to_bf16(x));
    y[3 * n + i] = __uint_as_float(syn_to_tf32(x));
    y[4 * n + i] = syn_tanh_approx(x);
}

syn_status ptx_numbers(syn_ctx *ctx, int n, const float *x, float *y)
{
    SYN_LAUNCH(ctx, numbers_kernel, (n + 127) / 128, 128, 0, n, x, y);
    SYN_LAUNCH_CHECK(ctx, "numbers");
    return SYN_OK;
}

/* The fragments as ptx.cuh describes them, element by element. */
static __device__ void load_bf16(const float *a, const float *b, uint32_t fa[4], uint32_t fb[2])
{
    const int group = (int)threadIdx.x / 4, quad = (int)threadIdx.x % 4;
    for (int i = 0; i < 4; i++) {
        const float *from = a + (group + i % 2 * 8) * 16 + 2 * quad + i / 2 * 8;
        fa[i] = syn_pack_bf16(from[0], from[1]);
    }
    for (int i = 0; i < 2; i++) {
        const float *from = b + (2 * quad + i * 8) * 8 + group;
        fb[i] = syn_pack_bf16(from[0], from[8]);
    }
}

static __device__ void load_tf32(const float *a, const float *b, uint32_t fa[4], uint32_t fb[2])
{
    const int group = (int)threadIdx.x / 4, quad = (int)threadIdx.x % 4;
    for (int i = 0; i < 4; i++) fa[i] = syn_to_tf32(a[(group + i % 2 * 8) * 8 + quad + i / 2 * 4]);
    for (int i = 0; i < 2; i++) fb[i] = syn_to_tf32(b[(quad + i * 4) * 8 + group]);
}

static __device__ void load_matrices(int how, const float *a, const float *b, uint16_t *shared,
                                     uint32_t fa[4], uint32_t fb[2])
{
    const int lane = (int)threadIdx.x;
    uint16_t *sa = shared, *sb = shared + 256;
    const bool a_by_columns = how == PTX_LDMATRIX_X4_TRANS, b_by_rows = how == PTX_LDMATRIX_TRANS;
    for (int e = lane; e < 256; e += 32)
        sa[a_by_columns ? e % 16 * 16 + e / 16 : e] = syn_to_bf16(a[e]);
    for (int e = lane; e < 128; e += 32) sb[b_by_rows ? e : e % 8 * 16 + e / 8] = syn_to_bf16(b[e]);
    __syncwarp();
    /* Lane l gives row l % 8 of quadrant l / 8: top left, bottom left, top right, bottom right. */
    if (a_by_columns)
        syn_ldmatrix_x4_trans(fa, sa + (lane % 8 + lane / 16 * 8) * 16 + lane / 8 % 2 * 8);
    else
        syn_ldmatrix_x4(fa, sa + lane % 16 * 16 + lane / 16 * 8);
    if (b_by_rows)
        syn_ldmatrix_x2_trans(fb, sb + lane % 16 * 8);
    else
        syn_ldmatrix_x2(fb, sb + lane % 8 * 16 + lane / 8 % 2 * 8);
}

static __global__ void product_kernel(int how, const float *a, const float *b, const float *c,
                                      float *d)
{
    SYN_DYNAMIC_SHARED(uint16_t, shared);
    const int group = (int)threadIdx.x / 4, quad = (int)threadIdx.x % 4;
    uint32_t fa[4], fb[2];
    float fd[4];
    for (int i = 0; i < 4; i++) fd[i] = c[(group + i / 2 * 8) * 8 + 2 * quad + i % 2];
    if (how == PTX_TF32) {
        load_tf32(a, b, fa, fb);
        syn_mma_tf32(fd, fa, fb);
    } else {
        if (how == PTX_BF16)
            load_bf16(a, b, fa, fb);
        else
            load_matrices(how, a, b, shared, fa, fb);
        syn_mma_bf16(fd, fa, fb);
    }
    for (int i = 0; i < 4; i++) d[(group + i / 2 * 8) * 8 + 2 * quad + i % 2] = fd[i];
}

syn_status ptx_product(syn_ctx *ctx, int how, const float *a, const float *b, const float *c,
                       float *d)
{
    SYN_LAUNCH(ctx, product_kernel, 1, 32, 384 * sizeof(uint16_t), how, a, b, c, d);
    SYN_LAUNCH_CHECK(ctx, "product of a warp");
    return SYN_OK;
}

/* ---- copies ---- */

enum { COPY_THREADS = PTX_TILE / 4, COPY_AHEAD = 3 };

static __device__ void copy_tile(float *stage, int n, const float *x, int tile)
{
    const int at = tile * PTX_TILE + 4 * (int)threadIdx.x;
    if (at < n) /* n is a multiple of 4 */
        syn_cp_async16(stage + 4 * threadIdx.x, x + at);
    else
        syn_cp_async16_or_zero(stage + 4 * threadIdx.x, x, false);
}

static __global__ void copies_kernel(int n, int tiles, const float *x, float *y)
{
    SYN_DYNAMIC_SHARED(float, stage);
    for (int tile = 0; tile < COPY_AHEAD; tile++) {
        if (tile < tiles) copy_tile(stage + tile * PTX_TILE, n, x, tile);
        syn_cp_async_commit();
    }
    for (int tile = 0; tile < tiles; tile++) {
        syn_cp_async_wait<COPY_AHEAD - 1>();
        __syncthreads(); /* all have waited; and all have read the stage that is filled next */
        const float *from = stage + tile % (COPY_AHEAD + 1) * PTX_TILE;
        const int next = tile + COPY_AHEAD;
        if (next < tiles) copy_tile(stage + next % (COPY_AHEAD + 1) * PTX_TILE, n, x, next);
        syn_cp_async_commit();
        /* Another thread's elements, so that the barrier matters. */
        for (int i = 0; i < 4; i++) {
            const int at = (int)threadIdx.x + i * COPY_THREADS;
            y[tile * PTX_TILE + at] = 2 * from[at];
        }
    }
}

syn_status ptx_copies(syn_ctx *ctx, int n, const float *x, float *y)
{
    const int tiles = (n + PTX_TILE - 1) / PTX_TILE;
    SYN_LAUNCH(ctx, copies_kernel, 1, COPY_THREADS, sizeof(float) * PTX_TILE * (COPY_AHEAD + 1), n,
               tiles, x, y);
    SYN_LAUNCH_CHECK(ctx, "asynchronous copies");
    return SYN_OK;
}

/* ---- clusters ---- */

enum { VALUES = 64, CLUSTER_MAX = 16 };

/* came[2]: what each block sent, of the even and of the odd rounds. */
typedef struct inbox {
    float came[2][CLUSTER_MAX][VALUES];
    syn_mbarrier full[2];
} inbox;

static __device__ void send(inbox *box, int parity, unsigned to, int bytes, const float *value)
{
    const unsigned rank = syn_cluster_rank();
    const syn_cluster_address bar = syn_cluster_map(&box->full[parity], to);
    const int count = bytes / 4, at = (int)threadIdx.x * count;
    if (at >= VALUES) return;
    const syn_cluster_address there = syn_cluster_map(&box->came[parity][rank][at], to);
    const uint32_t *v = (const uint32_t *)(value + at);
    if (count == 1) syn_st_async4(there, v[0], bar);
    if (count == 2) syn_st_async8(there, make_uint2(v[0], v[1]), bar);
    if (count == 4) syn_st_async16(there, make_uint4(v[0], v[1], v[2], v[3]), bar);
}

static __global__ void exchange_kernel(int bytes, int rounds, const float *x, float *y)
{
    SYN_DYNAMIC_SHARED(inbox, box);
    float *own = (float *)(box + 1);
    const unsigned size = syn_cluster_size(), rank = syn_cluster_rank();
    if (threadIdx.x == 0) {
        syn_mbarrier_init(&box->full[0], 1);
        syn_mbarrier_init(&box->full[1], 1);
        syn_mbarrier_fence_init();
    }
    own[threadIdx.x] = x[blockIdx.x * VALUES + threadIdx.x];
    syn_cluster_sync();
    for (int round = 0; round < rounds; round++) {
        const int parity = round & 1;
        if (threadIdx.x == 0)
            syn_mbarrier_arrive_expect(&box->full[parity], size * VALUES * (unsigned)sizeof(float));
        for (unsigned to = 0; to < size; to++) send(box, parity, to, bytes, own);
        syn_mbarrier_wait(&box->full[parity], (unsigned)round >> 1);
        float sum = 0;
        for (unsigned from = 0; from < size; from++) sum += box->came[parity][from][threadIdx.x];
        __syncthreads(); /* own[] has been sent by all threads */
        own[threadIdx.x] = sum / (float)size + (float)rank;
        __syncthreads();
    }
    y[blockIdx.x * VALUES + threadIdx.x] = own[threadIdx.x];
    syn_cluster_sync(); /* nobody's shared memory goes while peers send to it */
}

/* Raises the limits of a kernel for clusters of any size. */
template <typename F> static syn_status allow(F *kernel, size_t shared_bytes)
{
    cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                             (int)shared_bytes);
    if (error == cudaSuccess)
        error = cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
    if (error == cudaSuccess) return SYN_OK;
    (void)cudaGetLastError(); /* answered here */
    return syn_fail(SYN_ERR_DEVICE, "CUDA: %s", cudaGetErrorString(error));
}

syn_status ptx_exchange(syn_ctx *ctx, int clusters, int size, int bytes, int rounds, const float *x,
                        float *y)
{
    const size_t shared_bytes = sizeof(inbox) + VALUES * sizeof(float);
    SYN_RETURN_IF(allow(exchange_kernel, shared_bytes));
    (void)syn_launch_together(ctx, exchange_kernel, (unsigned)(clusters * size), VALUES,
                              (unsigned)size, shared_bytes, bytes, rounds, x, y);
    SYN_LAUNCH_CHECK(ctx, "exchange in a cluster");
    return SYN_OK;
}

/* ---- A warpgroup ---- */

enum { WIDE_THREADS = 128, WIDE_COLUMNS = 32, CORE = 128 };

static __global__ void wide_product_kernel(int k, const float *a, const float *b, float *d)
{
    SYN_DYNAMIC_SHARED(uint16_t, right);
    const int lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4;
    const int row = threadIdx.x / 32 * 16 + group;
    for (int e = threadIdx.x; e < k * WIDE_COLUMNS; e += WIDE_THREADS) {
        const int j = e / WIDE_COLUMNS, n = e % WIDE_COLUMNS;
        right[(j / 8 * (WIDE_COLUMNS / 8) + n / 8) * CORE / 2 + n % 8 * 8 + j % 8] =
            syn_to_bf16(b[e]);
    }
    syn_fence_proxy_async();
    __syncthreads();
    float sum[16] = {};
    for (int j = 0; j < k; j += 16) {
        uint32_t left[4];
        for (int i = 0; i < 4; i++) {
            const float *at = a + (row + 8 * (i & 1)) * k + j + 2 * quad + 8 * (i >> 1);
            left[i] = syn_pack_bf16(at[0], at[1]);
        }
        const uint64_t operand =
            syn_wgmma_right(right + j * WIDE_COLUMNS, WIDE_COLUMNS / 8 * CORE, CORE);
        syn_wgmma_begin();
        if (j == 0)
            syn_wgmma_bf16_n32<false>(sum, left, operand);
        else
            syn_wgmma_bf16_n32<true>(sum, left, operand);
        syn_wgmma_end(sum);
    }
    for (int i = 0; i < 16; i++)
        d[(row + 8 * (i >> 1 & 1)) * WIDE_COLUMNS + i / 4 * 8 + 2 * quad + (i & 1)] = sum[i];
}

syn_status ptx_wide_product(syn_ctx *ctx, int k, const float *a, const float *b, float *d)
{
    SYN_LAUNCH(ctx, wide_product_kernel, 1, WIDE_THREADS,
               PTX_WIDE_K * WIDE_COLUMNS * sizeof(uint16_t), k, a, b, d);
    SYN_LAUNCH_CHECK(ctx, "product of a warpgroup");
    return SYN_OK;
}

/* ---- One read for all blocks of a cluster ---- */

typedef struct multicast_box {
    float came[CLUSTER_MAX][VALUES];
    syn_mbarrier full;
} multicast_box;

static __global__ void multicast_kernel(const float *x, float *scratch, float *y)
{
    SYN_DYNAMIC_SHARED(multicast_box, box);
    const unsigned size = syn_cluster_size(), rank = syn_cluster_rank();
    const unsigned bytes = VALUES * (unsigned)sizeof(float);
    float *const own = scratch + blockIdx.x * VALUES;
    if (threadIdx.x == 0) {
        syn_mbarrier_init(&box->full, 1);
        syn_mbarrier_fence_init();
        syn_mbarrier_arrive_expect(&box->full, size * bytes);
    }
    own[threadIdx.x] = 2 * x[blockIdx.x * VALUES + threadIdx.x];
    syn_fence_proxy_async();
    syn_cluster_sync();
    if (threadIdx.x == 0)
        syn_bulk_multicast(box->came[rank], own, bytes, &box->full, (1u << size) - 1);
    syn_mbarrier_wait(&box->full, 0);
    float sum = 0;
    for (unsigned from = 0; from < size; from++) sum += box->came[from][threadIdx.x];
    y[blockIdx.x * VALUES + threadIdx.x] = sum;
    syn_cluster_sync();
}

syn_status ptx_multicast(syn_ctx *ctx, int clusters, int size, const float *x, float *scratch,
                         float *y)
{
    SYN_RETURN_IF(allow(multicast_kernel, sizeof(multicast_box)));
    (void)syn_launch_together(ctx, multicast_kernel, (unsigned)(clusters * size), VALUES,
                              (unsigned)size, sizeof(multicast_box), x, scratch, y);
    SYN_LAUNCH_CHECK(ctx, "multicast in a cluster");
    return SYN_OK;
}

static __global__ void peers_kernel(const float *x, float *y)
{
    SYN_DYNAMIC_SHARED(float, own);
    if (threadIdx.x == 0) *own = x[blockIdx.x];
    syn_cluster_sync();
    float sum = 0;
    for (unsigned peer = 0; peer < syn_cluster_size(); peer++) sum += *syn_cluster_peer(own, peer);
    syn_cluster_arrive(); /* two halves, with something between them */
    if (threadIdx.x == 0) y[blockIdx.x] = sum;
    syn_cluster_wait();
}

syn_status ptx_peers(syn_ctx *ctx, int clusters, int size, const float *x, float *y)
{
    SYN_RETURN_IF(allow(peers_kernel, 48 << 10));
    (void)syn_launch_together(ctx, peers_kernel, (unsigned)(clusters * size), 64, (unsigned)size,
                              sizeof(float), x, y);
    SYN_LAUNCH_CHECK(ctx, "peers of a cluster");
    return SYN_OK;
}

/* ---- grids ---- */

static __global__ void ring_kernel(int rounds, const float *x, float *y, float *scratch,
                                   syn_grid_barrier *barrier)
{
    const unsigned b = blockIdx.x, blocks = gridDim.x;
    float value = x[b];
    for (int round = 0; round < rounds; round++) {
        float *slot = scratch + (unsigned)(round & 1) * blocks;
        if (threadIdx.x == 0) slot[b] = value;
        syn_grid_sync(barrier);
        value = __ldcg(&slot[(b + blocks - 1) % blocks]);
    }
    if (threadIdx.x == 33) y[b] = value;
}

syn_status ptx_ring(syn_ctx *ctx, int blocks, int rounds, const float *x, float *y, float *scratch,
                    void *barrier)
{
    (void)syn_launch_together(ctx, ring_kernel, (unsigned)blocks, 64, 0, 0, rounds, x, y, scratch,
                              (syn_grid_barrier *)barrier);
    SYN_LAUNCH_CHECK(ctx, "ring of blocks");
    return SYN_OK;
}

/* ---- graphs ---- */

static __global__ void add_kernel(int n, const float *step, float *y)
{
    const int i = (int)(blockIdx.x * 64 + threadIdx.x);
    if (i < n) y[i] += *step;
}

static syn_status replay(syn_ctx *ctx, cudaGraphExec_t exec, int count, const float *steps,
                         float *step)
{
    for (int i = 0; i < count; i++) {
        SYN_RETURN_IF(syn_copy_in(ctx, step, &steps[i], sizeof *step));
        if (cudaGraphLaunch(exec, (cudaStream_t)ctx->stream) != cudaSuccess)
            return syn_fail(SYN_ERR_DEVICE, "CUDA: a graph was not launched");
    }
    return syn_wait(ctx);
}

syn_status ptx_replay(syn_ctx *ctx, int n, int count, const float *steps, float *step, float *y)
{
    cudaStream_t stream = (cudaStream_t)ctx->stream;
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    cudaError_t error = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    SYN_LAUNCH(ctx, add_kernel, (n + 63) / 64, 64, 0, n, step, y);
    if (error == cudaSuccess) error = cudaStreamEndCapture(stream, &graph);
    if (error == cudaSuccess) error = cudaGraphInstantiate(&exec, graph, 0);
    if (error != cudaSuccess)
        return syn_fail(SYN_ERR_DEVICE, "CUDA: capture: %s", cudaGetErrorString(error));
    syn_status st = replay(ctx, exec, count, steps, step);
    (void)cudaGraphExecDestroy(exec);
    (void)cudaGraphDestroy(graph);
    return st;
}
