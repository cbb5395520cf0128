/* What the kernels in clusters share: both passes of the cluster variant and the wide one's forward
 * pass. A cluster of H / 32 blocks holds R: block `rank` the 128 rows of units 32 rank .. 32 rank +
 * 31, all four gates. It walks a tile of sequences in sub-tiles (of 8; of 32 in the wide variant),
 * each with its own two memory barriers. */
#ifndef SYN_LSTM_CLUSTER_CUH
#define SYN_LSTM_CLUSTER_CUH

#include "kernels/lstm_cuda.cuh"

enum { SYN_CLUSTER_THREADS = 256, SYN_CLUSTER_UNITS = 32, SYN_CLUSTER_TILES_MAX = 4 };

/* Makes barrier (2, tiles) ready for the first two phases' bytes; the caller synchronises the
 * cluster afterwards. */
SYN_LSTM_INLINE void syn_cluster_barriers(syn_mbarrier *barrier, int tiles, unsigned bytes)
{
    if (threadIdx.x != 0) return;
    for (int i = 0; i < 2 * tiles; i++) syn_mbarrier_init(&barrier[i], 1);
    syn_mbarrier_fence_init();
    for (int i = 0; i < 2 * tiles; i++) syn_mbarrier_arrive_expect(&barrier[i], bytes);
}

/* Waits for what is exchanged the `n`th time, n from 0, by turns over two planes; then the plane's
 * barrier expects the bytes of exchange n + 2, which no peer sends before all threads of this block
 * have sent n + 1. */
SYN_LSTM_INLINE void syn_cluster_take(syn_mbarrier *barrier, int n, unsigned bytes)
{
    syn_mbarrier_wait(barrier, (n >> 1) & 1);
    if (threadIdx.x == 0) syn_mbarrier_arrive_expect(barrier, bytes);
    __syncwarp(); /* the matrix units ask for all lanes together */
}

/* The warp's four units of a lane's sequence, from one in each of the four lanes that share it. */
SYN_LSTM_INLINE uint2 syn_cluster_gather_units(float h, int unit)
{
    const uint32_t mine = syn_to_bf16(h), other = __shfl_xor_sync(0xffffffffu, mine, 4);
    const uint32_t pair = unit & 1 ? other | mine << 16 : mine | other << 16;
    const uint32_t far = __shfl_xor_sync(0xffffffffu, pair, 8);
    return unit & 2 ? make_uint2(far, pair) : make_uint2(pair, far);
}

/* ---- For launchers ---- */

typedef void (*syn_cluster_kernel)(syn_lstm_pass);

/* How many clusters of `size` blocks the device runs at once, after which they may be launched. */
cudaError_t syn_cluster_at_once(const syn_ctx *ctx, syn_cluster_kernel kernel, unsigned size,
                                size_t bytes, int *count);

/* NULL, or why clusters cannot take the pass; by_512 and by_256: the smallest kernels. */
const char *syn_cluster_refuses(const syn_ctx *ctx, const syn_lstm_pass *p,
                                syn_cluster_kernel by_512, size_t bytes_512,
                                syn_cluster_kernel by_256, size_t bytes_256);

/* One pass, packed and launched. kernels[i] has 1 << i sub-tiles per cluster and takes bytes[i] of
 * shared memory; the fewest sub-tiles with which all clusters run at once are taken, or 4. `what`
 * names it in errors. */
syn_status syn_cluster_run(syn_ctx *ctx, const syn_lstm_pass *p, syn_lstm_layout layout,
                           const syn_cluster_kernel kernels[3], const size_t bytes[3],
                           const char *what);

#endif
