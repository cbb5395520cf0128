/* What the forward and the backward pass of the cluster variant share. A cluster of H / 32 blocks
 * holds R: block `rank` the 128 rows of units 32 rank .. 32 rank + 31, all four gates. It walks a
 * tile of up to 32 sequences, in sub-tiles of 8, each with its own two memory barriers. */
#ifndef SYN_LSTM_CLUSTER_CUH
#define SYN_LSTM_CLUSTER_CUH

#include "kernels/lstm_cuda.cuh"

enum { SYN_CLUSTER_THREADS = 256, SYN_CLUSTER_UNITS = 32, SYN_CLUSTER_TILES_MAX = 4 };

/* Which part of the work the block has: every kernel of the variant opens with it. */
typedef struct syn_cluster_share {
    unsigned rank; /* of the block in its cluster */
    int direction, b0;
} syn_cluster_share;

SYN_LSTM_INLINE syn_cluster_share syn_cluster_share_of(const syn_lstm_pass &p, int blocks,
                                                       int sequences)
{
    const int cluster = blockIdx.x / blocks, tiles = gridDim.x / blocks / p.directions;
    return {syn_cluster_rank(), cluster / tiles, cluster % tiles * sequences};
}

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
}

/* ---- For launchers ---- */

/* One pass, packed and launched. kernels[i] has 1 << i sub-tiles per cluster and takes bytes[i] of
 * shared memory; the fewest sub-tiles with which all clusters run at once are taken, or 4. `what`
 * names it in errors. */
syn_status syn_cluster_run(syn_ctx *ctx, const syn_lstm_pass *p, syn_lstm_layout layout,
                           void (*const kernels[3])(syn_lstm_pass), const size_t bytes[3],
                           const char *what);

#endif
