/* The LSTM of width 512 or 256 in clusters, for many sequences: the forward pass in tiles of 64,
 * with the matrix units of warpgroups and h by multicast through L2. The backward pass is that of
 * the cluster variant, whose sums of dh have no room in tiles as large.
 *
 * 256 threads, two warpgroups. A warp holds the same 16 rows of R as in the cluster variant, 128
 * registers a thread at H = 512, and the h of 64 sequences lies in shared memory as right operand,
 * in two planes by turns, of two sub-tiles of 32. A warpgroup multiplies a sub-tile by itself,
 * makes the gates of its 16 units, writes their h (bf16, 1 KB, as it is to lie in shared memory) to
 * global memory, and one thread of it lets the copy engine bring that to all blocks of the cluster
 * by one read of L2; the phase of a sub-tile's barrier ends when 32 H * 2 bytes have come. Planes
 * are written again as in the cluster variant: h of step s + 2 is sent by those who have all of
 * step s + 1, which each warpgroup sends after its products of step s are done.
 *
 * What binds, for the choice of this design at B = 1024, H = 512, per step and SM:
 *     cluster variant, tiles of 32, 4 waves    products 4 * 1680 cycles (mma.sync: 1.6 a product
 *                                              m16n8k16); received 4 * 32 KB by stores between SMs,
 *                                              about 14 bytes a cycle: 4 * 2340 cycles = 5.2 us
 *     this one, tiles of 64, 2 waves           products 2 * 2048 cycles (64 x 32 x 16 in 16);
 *                                              received 2 * 64 KB by multicast, at 64 bytes a cycle
 *                                              2 * 1024, at 32 2 * 2048 cycles: 2.3 us, and what of
 *                                              gates and latency is not hidden, 0.3 us a wave
 *     h from L2 by each SM for itself          128 * 64 KB a wave = 8.4 MB at 5.5 TB/s: 2 * 1.5 us,
 *                                              beside the products at best
 *     a product per step (TF32, cuBLASLt)      one tile of 128 x 128 an SM, 512 deep: 5.7 us; 24 MB
 *                                              of pre-activations, sums and states: 5 us; two
 *                                              launches
 * The latency of an exchange (store, copy, barrier: 0.8 us) lies behind the other sub-tile's
 * products, 0.57 us, and the other warpgroup's gates. Expected, not measured: 1.6 us a step and
 * wave of 512 sequences. Beside it the products outside (TF32) take 5.4 us a step at B = 1024, and
 * the pre-activations 2 x 8 MB of HBM, 4 us, which lie partly behind both.
 *
 * ptxas 13.0, sm_90a, no spills: 224 registers a thread and 128.5 KB of shared memory at H = 512,
 * 178 and 64.5 KB at 256. One block per SM. */
#include "kernels/lstm_cluster.cuh"

enum {
    THREADS = SYN_CLUSTER_THREADS,
    GROUP_THREADS = 128,
    UNITS = SYN_CLUSTER_UNITS,
    WARP_UNITS = 4,
    SUBS = 2,
    COLUMNS = 32, /* of a sub-tile */
    PARTS = COLUMNS / SYN_LSTM_LANES,
    CORE = 128,                     /* bytes of 8 sequences by 8 units */
    SLICE_BYTES = 16 * COLUMNS * 2, /* of a warpgroup's units in a sub-tile */
    TILES_AT = COLUMNS / 8 * CORE   /* from 8 units to the next */
};

/* Where a block's planes, places and barriers lie, in bytes. */
template <int H> struct wide_layout {
    enum {
        BLOCKS = H / UNITS,
        GROUPS = H / 32,
        COUNT = SUBS * COLUMNS,
        SUB = COLUMNS * H * 2, /* also what comes to each block, by sub-tile and step */
        PLANE = SUBS * SUB,
        PLACES_AT = 2 * PLANE,
        BARRIERS_AT = PLACES_AT + COUNT * 8, /* (2, SUBS) */
        BYTES = BARRIERS_AT + 2 * SUBS * 8
    };
    /* Of h in a plane: cores of 8 sequences by 8 units, in each a sequence's 8 units together. */
    static __device__ __forceinline__ int element(int n, int u)
    {
        return (n / COLUMNS * SUB + u / 8 * TILES_AT + n % COLUMNS / 8 * CORE) / 2 + n % 8 * 8 +
               u % 8;
    }
};

/* d = the warp's rows of R times the h of a sub-tile. */
template <int GROUPS>
static __device__ __forceinline__ void multiply(const uint32_t r[GROUPS][2][4],
                                                const unsigned char *h, float d[4 * PARTS])
{
    syn_wgmma_begin();
    syn_wgmma_bf16_n32<false>(d, r[0][0], syn_wgmma_right(h, TILES_AT, CORE));
#pragma unroll
    for (int i = 1; i < 2 * GROUPS; i++)
        syn_wgmma_bf16_n32<true>(d, r[i / 2][i % 2],
                                 syn_wgmma_right(h + i * 2 * TILES_AT, TILES_AT, CORE));
    syn_wgmma_end(d);
}

/* Step s of a lane's unit in the PARTS sequences n, n + 8 .. of a sub-tile: z = R h as
 * syn_wgmma_bf16_n32 leaves it. c: their cells, which become those of step s + 1. Returns h of the
 * warp's four units for one of them, that of part `unit`. */
template <int H>
static __device__ __forceinline__ uint2 step_units(const syn_lstm_pass &p, const syn_lstm_call &a,
                                                   int b0, const int2 *place, int n, int s, int u,
                                                   int unit, bool high, const float x[PARTS][4],
                                                   const float d[4 * PARTS], float c[PARTS])
{
    uint2 sent = make_uint2(0, 0);
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        const int m = n + SYN_LSTM_LANES * i, b = b0 + m;
        const int2 at = place[m];
        float z[4];
        syn_lstm_gather_gates(&d[4 * i], high, z);
#pragma unroll
        for (int g = 0; g < SYN_LSTM_GATES; g++) z[g] += x[i][g];
        const float h = syn_lstm_gates<true>(z, &c[i]);
        if (s < at.y) syn_lstm_store_step<H>(p, a, b, at, s, u, z, c[i], h);
        const bool zero = s + 1 >= at.y || syn_lstm_reset(p.seq, a.reverse, b, s + 1);
        c[i] = zero ? 0 : c[i];
        const uint2 units = syn_cluster_gather_units(zero ? 0 : h, unit);
        sent = unit == i ? units : sent;
    }
    return sent;
}

template <int H>
static __device__ __forceinline__ void load_inputs(const syn_lstm_pass &p, const syn_lstm_call &a,
                                                   const int2 *place, int n, int s, int u,
                                                   float x[PARTS][4])
{
    const int stride = syn_lstm_stride(p.seq, a.reverse);
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        const int2 at = place[n + SYN_LSTM_LANES * i];
        const float *const v = a.v + (int64_t)(at.x + s * stride) * (SYN_LSTM_GATES * H) + u;
#pragma unroll
        for (int g = 0; g < SYN_LSTM_GATES; g++) x[i][g] = s < at.y ? v[g * H] : 0;
    }
}

template <int H> static __global__ void __launch_bounds__(THREADS, 1) wide_forward(syn_lstm_pass p)
{
    typedef wide_layout<H> at;
    SYN_DYNAMIC_SHARED(unsigned char, planes);
    int2 *const place = (int2 *)(planes + at::PLACES_AT);
    syn_mbarrier *const barrier = (syn_mbarrier *)(planes + at::BARRIERS_AT);
    const unsigned rank = syn_cluster_rank();
    const syn_lstm_share share = syn_lstm_share_of(p, at::BLOCKS, at::COUNT);
    const syn_lstm_call &a = p.call[share.direction];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, unit = lane / 4 % 4;
    const bool high = lane >= 16;
    const int column = lane % 4 * 2 + high; /* the lane's sequence of 8 */
    const int u0 = (int)rank * UNITS + warp * WARP_UNITS, u = u0 + unit;
    const int half = threadIdx.x / GROUP_THREADS; /* the warpgroup */
    unsigned char *const exchange =
        p.exchange + (int64_t)(blockIdx.x / at::BLOCKS) * (2 * at::PLANE);

    uint32_t r[at::GROUPS][2][4];
    syn_lstm_load_fragments<at::GROUPS>(p.fragments[share.direction], (int)rank, warp, THREADS / 32,
                                        lane, r);
    const int steps = syn_lstm_places(p, a.reverse, share.b0, p.seq.batch, at::COUNT, place);
    syn_lstm_start<H, THREADS, UNITS, at>(p, a, share.b0, p.seq.batch, (int)rank, place,
                                          (uint16_t *)planes);
    syn_cluster_barriers(barrier, SUBS, at::SUB);
    float c[SUBS][PARTS];
#pragma unroll
    for (int i = 0; i < SUBS * PARTS; i++) {
        const int n = column + SYN_LSTM_LANES * i, b = share.b0 + n;
        c[i / PARTS][i % PARTS] = syn_lstm_first_cell(p, a, b, place[n], (int64_t)b * H + u);
    }
    syn_fence_proxy_async(); /* the matrix units read what was written above */
    syn_cluster_sync();
#pragma unroll 1
    for (int s = 0; s < steps; s++) {
#pragma unroll
        for (int t = 0; t < SUBS; t++) {
            const int n = t * COLUMNS + column, next = ~s & 1;
            float x[PARTS][4], d[4 * PARTS];
            load_inputs<H>(p, a, place, n, s, u, x);
            if (s > 0) syn_cluster_take(&barrier[(s & 1) * SUBS + t], s - 1, at::SUB);
            multiply<at::GROUPS>(r, planes + (s & 1) * at::PLANE + t * at::SUB, d);
            const uint2 h = step_units<H>(p, a, share.b0, place, n, s, u, unit, high, x, d, c[t]);
            if (s + 1 == steps) continue;
            const int sub = next * at::PLANE + t * at::SUB;
            *(uint2 *)(exchange + sub + 2 * at::element(SYN_LSTM_LANES * unit + column, u0)) = h;
            syn_fence_proxy_async();
            syn_barrier_sync(1 + half, GROUP_THREADS);
            const int slice = sub + ((int)rank * 4 + half * 2) * TILES_AT;
            if (threadIdx.x % GROUP_THREADS == 0)
                syn_bulk_multicast(planes + slice, exchange + slice, SLICE_BYTES,
                                   &barrier[next * SUBS + t], (1u << at::BLOCKS) - 1);
            __syncwarp(); /* the matrix units ask for all lanes together */
        }
    }
    syn_cluster_sync(); /* no block ends while peers may send to it */
}

/* ---- Launcher ---- */

/* Of a build for plain sm_90 the kernel is a stub, which R, 128 or 64 registers, does not fit in.
 */
static bool built(int64_t H)
{
#ifdef SYN_CUDA_EMULATED
    (void)H;
    return true;
#else
    cudaFuncAttributes attributes;
    const void *const kernel =
        H == 512 ? (const void *)wide_forward<512> : (const void *)wide_forward<256>;
    if (cudaFuncGetAttributes(&attributes, kernel) != cudaSuccess) {
        (void)cudaGetLastError(); /* answered here */
        return false;
    }
    return attributes.numRegs > H / 4;
#endif
}

const char *syn_lstm_wide_refuses(const syn_ctx *ctx, const syn_lstm_pass *p)
{
    const char *const why = syn_cluster_refuses(ctx, p, wide_forward<512>, wide_layout<512>::BYTES,
                                                wide_forward<256>, wide_layout<256>::BYTES);
    return why || built(p->call[0].H) ? why : "this build is not for sm_90a";
}

template <int H> static syn_status forward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    typedef wide_layout<H> at;
    const unsigned clusters =
        (unsigned)(p->directions * syn_ceil_div(p->seq.batch, (int64_t)at::COUNT));
    syn_lstm_pass packed = *p;
    int together;
    const cudaError_t error =
        syn_cluster_at_once(ctx, wide_forward<H>, at::BLOCKS, at::BYTES, &together);
    if (error != cudaSuccess) return syn_cuda_failed(error, "counting the LSTM's clusters");
    SYN_RETURN_IF(syn_lstm_pack(ctx, SYN_LSTM_WIDE_FORWARD, &packed));
    SYN_TAKE(ctx, packed.exchange, unsigned char, (size_t)clusters * 2 * at::PLANE);
    (void)syn_launch_together(ctx, wide_forward<H>, dim3(clusters * at::BLOCKS), dim3(THREADS),
                              at::BLOCKS, at::BYTES, packed);
    SYN_LAUNCH_CHECK(ctx, "LSTM of wide clusters, forward");
    return SYN_OK;
}

syn_status syn_lstm_wide_forward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    if (p->seq.batch == 0) return SYN_OK;
    return p->call[0].H == 512 ? forward<512>(ctx, p) : forward<256>(ctx, p);
}
