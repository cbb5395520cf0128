/* The LSTM of width 512 or 256 in clusters of 16 or 8 blocks: the backward pass.
 *
 * A block keeps the same 128 rows of R as in the forward pass, transposed: left fragments over
 * K = 128 (its own gate gradients), of which warp w holds the rows of the units of blocks 2w and
 * 2w + 1 (at H = 256: of block w), 128 registers a thread at H = 512. Per step each thread makes
 * the gate gradients of its unit in one sequence of each sub-tile, they go (bf16) through shared
 * memory to the matrix units, and the partial dh of all H units is scattered: 16 bytes at a time
 * (st.async) to the block that owns the units. There it lies by source, and the owner adds the H /
 * 32 partial sums in the order of the sources: the same bits in every run. The planes take turns as
 * those of the forward pass, for the same reason.
 *
 * What binds (H = 512): per sub-tile and step 256 products m16n8k16 in each SM, about 420 cycles
 * (0.23 us), 16 KB received and 16 shared-memory loads a thread, one block barrier and one hop
 * (0.4 us). Expected from that, not measured: 1 to 1.2 us a step at one sub-tile, 2.2 us at four.
 *
 * ptxas 13.0, sm_90a, no spills:                registers a thread    shared memory
 *     H = 512   1, 2, 4 sub-tiles per cluster   221, 252, 252         37.1, 74.2, 148.3 KB
 *     H = 256   1, 2, 4 sub-tiles per cluster   128, 155, 152         21.1, 42.2, 84.3 KB
 * One block per SM: as many clusters at once as in the forward pass, asked at run time. */
#include "kernels/lstm_cluster.cuh"

enum {
    THREADS = SYN_CLUSTER_THREADS,
    UNITS = SYN_CLUSTER_UNITS,
    WARPS = THREADS / 32,
    K = SYN_LSTM_GATES * UNITS,
    ROW = SYN_LSTM_ROW(K)
};

/* Step s of a lane's unit; the lanes of a warp share the sequence. */
typedef struct step_inputs {
    float v[4], c, before, dh;
    bool zero; /* the state is zero before the step */
} step_inputs;

template <int H>
static __device__ __forceinline__ void load_inputs(const syn_lstm_pass &p, const syn_lstm_call &a,
                                                   int b, int2 place, int s, int u, step_inputs *in)
{
    *in = {};
    if (s < 0 || s >= place.y) return;
    const int stride = syn_lstm_stride(p.seq, a.reverse);
    const int64_t row = place.x + s * stride;
    const float *const v = a.v + row * (SYN_LSTM_GATES * H) + u;
#pragma unroll
    for (int g = 0; g < SYN_LSTM_GATES; g++) in->v[g] = v[g * H];
    in->c = a.c[row * H + u];
    in->dh = a.dh[row * a.lddh + u];
    in->zero = syn_lstm_reset(p.seq, a.reverse, b, s);
    if (!in->zero && s > 0) in->before = a.c[(row - stride) * H + u];
    if (!in->zero && s == 0 && a.c0) in->before = a.c0[(int64_t)b * H + u];
    if (s + 1 == place.y && a.dhT) in->dh += a.dhT[(int64_t)b * H + u];
}

/* The block's part of dh of a lane's unit in sequence n: what the blocks of the cluster sent. */
template <int BLOCKS>
static __device__ __forceinline__ float gather(const float *plane, int count, int n, int lane)
{
    float part[BLOCKS], sum = 0;
#pragma unroll
    for (int i = 0; i < BLOCKS; i++) part[i] = plane[(i * count + n) * UNITS + lane];
#pragma unroll
    for (int i = 0; i < BLOCKS; i++) sum += part[i];
    return sum;
}

/* Where a block's planes of partial dh (by source, sequence and unit, in floats), of gate
 * gradients, its places and barriers lie, in bytes. */
template <int H, int TILES> struct backward_layout {
    enum {
        BLOCKS = H / UNITS,
        SENDS = BLOCKS / WARPS, /* blocks that a warp sends to */
        FRAGMENTS = SENDS * 2 * SYN_LSTM_GATES,
        COUNT = SYN_LSTM_LANES * TILES,
        PLANE = BLOCKS * COUNT * UNITS,
        GRADIENTS_AT = 2 * PLANE * 4,
        PLACES_AT = GRADIENTS_AT + 2 * COUNT * ROW * 2,
        BARRIERS_AT = PLACES_AT + COUNT * 8,             /* (2, TILES) */
        SENT_BYTES = BLOCKS * SYN_LSTM_LANES * UNITS * 4 /* to each block, by sub-tile and step */
    };
};

/* Step s of the lane's unit: dh is what came from the step after it; the gate gradients go to
 * global memory and, as bf16, to `own`. Returns dc for the step before. */
template <int H>
static __device__ __forceinline__ float
step_gradient(const syn_lstm_call &a, int64_t row, bool live, int u, int lane,
              const step_inputs &in, float dh, float dc, uint16_t *own)
{
    float v[4];
#pragma unroll
    for (int g = 0; g < SYN_LSTM_GATES; g++) v[g] = in.v[g];
    if (live) dc = syn_lstm_gates_backward<true>(v, in.dh + dh, dc, in.c, in.before);
    float *const to = a.v + row * (SYN_LSTM_GATES * H) + u;
#pragma unroll
    for (int g = 0; g < SYN_LSTM_GATES; g++) {
        if (live) to[g * H] = v[g];
        own[g * UNITS + lane] = syn_to_bf16(in.zero ? 0 : v[g]);
    }
    return in.zero ? 0 : dc;
}

/* Multiplies sub-tile t of the block's gate gradients and sends the sums as exchange i. */
template <int H, int TILES>
static __device__ __forceinline__ void
multiply_and_send(const uint32_t r[][2][4], const uint16_t *own, const syn_cluster_address *peer,
                  unsigned rank, int lane, int i, int t)
{
    typedef backward_layout<H, TILES> at;
    const int group = lane / 4, quad = lane % 4;
    float d[at::SENDS * 2][4] = {};
    syn_lstm_products<at::SENDS * 2, SYN_LSTM_GATES>(r, own + (t * SYN_LSTM_LANES + group) * ROW,
                                                     quad, d);
    const unsigned plane = i & 1;
    const unsigned end = at::BARRIERS_AT + (plane * TILES + t) * sizeof(syn_mbarrier);
#pragma unroll
    for (int e = 0; e < at::SENDS * 2; e++) { /* columns 2 quad and 2 quad + 1 */
        const float *const low = d[e / 2 * 2] + e % 2, *const high = d[e / 2 * 2 + 1] + e % 2;
        const int n = t * SYN_LSTM_LANES + 2 * quad + e % 2;
        const unsigned to =
            (plane * at::PLANE + ((int)rank * at::COUNT + n) * UNITS + 4 * group) * 4;
        const uint4 sums = {__float_as_uint(low[0]), __float_as_uint(low[2]),
                            __float_as_uint(high[0]), __float_as_uint(high[2])};
        syn_st_async16(peer[e / 2] + to, sums, peer[e / 2] + end);
    }
}

template <int H, int TILES>
static __global__ void __launch_bounds__(THREADS, 1) cluster_backward(syn_lstm_pass p)
{
    typedef backward_layout<H, TILES> at;
    SYN_DYNAMIC_SHARED(float, planes);
    uint16_t *const gradients = (uint16_t *)((char *)planes + at::GRADIENTS_AT);
    int2 *const place = (int2 *)((char *)planes + at::PLACES_AT);
    syn_mbarrier *const barrier = (syn_mbarrier *)((char *)planes + at::BARRIERS_AT);
    const unsigned rank = syn_cluster_rank();
    const syn_lstm_share share = syn_lstm_share_of(p, at::BLOCKS, at::COUNT);
    const syn_lstm_call &a = p.call[share.direction];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int u = (int)rank * UNITS + lane, stride = syn_lstm_stride(p.seq, a.reverse);

    uint32_t r[at::FRAGMENTS][2][4]; /* by block that the sums go to, half of its units, gate */
    syn_lstm_load_fragments<at::FRAGMENTS>(p.fragments[share.direction], (int)rank, warp, WARPS,
                                           lane, r);
    const int steps = syn_lstm_places(p, a.reverse, share.b0, p.seq.batch, at::COUNT, place);
    syn_cluster_barriers(barrier, TILES, at::SENT_BYTES);
    syn_cluster_address peer[at::SENDS];
#pragma unroll
    for (int i = 0; i < at::SENDS; i++) peer[i] = syn_cluster_map(planes, warp * at::SENDS + i);
    float dc[TILES];
#pragma unroll
    for (int t = 0; t < TILES; t++) {
        const int64_t b = share.b0 + t * SYN_LSTM_LANES + warp;
        dc[t] = a.dcT && b < p.seq.batch ? a.dcT[b * H + u] : 0;
    }
    step_inputs next;
    load_inputs<H>(p, a, share.b0 + warp, place[warp], steps - 1, u, &next);
    syn_cluster_sync();
    const int exchanges = a.dh0 ? steps : steps - 1; /* each carries what the step before needs */
#pragma unroll 1
    for (int i = 0; i < steps; i++) {
        const int s = steps - 1 - i;
        /* Two planes: a warp that has its sums may be a step ahead of one that still multiplies. */
        uint16_t *const own = gradients + (i & 1) * at::COUNT * ROW;
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            const step_inputs in = next;
            const int n = t * SYN_LSTM_LANES + warp, n_next = (n + SYN_LSTM_LANES) % at::COUNT;
            load_inputs<H>(p, a, share.b0 + n_next, place[n_next], t + 1 < TILES ? s : s - 1, u,
                           &next);
            float dh = 0;
            if (i > 0) {
                syn_cluster_take(&barrier[(~i & 1) * TILES + t], i - 1, at::SENT_BYTES);
                dh = gather<at::BLOCKS>(planes + (~i & 1) * at::PLANE, at::COUNT, n, lane);
            }
            dc[t] = step_gradient<H>(a, place[n].x + s * stride, s < place[n].y, u, lane, in, dh,
                                     dc[t], own + n * ROW);
        }
        __syncthreads();
        if (i >= exchanges) continue;
#pragma unroll
        for (int t = 0; t < TILES; t++) multiply_and_send<H, TILES>(r, own, peer, rank, lane, i, t);
    }
#pragma unroll
    for (int t = 0; t < TILES; t++) {
        const int n = t * SYN_LSTM_LANES + warp;
        const int64_t b = share.b0 + n;
        float dh = 0;
        if (exchanges == steps && steps > 0) {
            syn_cluster_take(&barrier[(~steps & 1) * TILES + t], steps - 1, at::SENT_BYTES);
            dh = gather<at::BLOCKS>(planes + (~steps & 1) * at::PLANE, at::COUNT, n, lane);
        }
        if (b < p.seq.batch) syn_lstm_store_initial(a, place[n].y, b * H + u, dh, dc[t]);
    }
    syn_cluster_sync(); /* no block ends while peers may send to it */
}

/* ---- Launcher ---- */

template <int H, int TILES> static constexpr size_t backward_bytes(void)
{
    return backward_layout<H, TILES>::BARRIERS_AT + 2 * TILES * sizeof(syn_mbarrier);
}

template <int H> static syn_status backward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    const syn_cluster_kernel kernels[3] = {cluster_backward<H, 1>, cluster_backward<H, 2>,
                                           cluster_backward<H, 4>};
    const size_t bytes[3] = {backward_bytes<H, 1>(), backward_bytes<H, 2>(),
                             backward_bytes<H, 4>()};
    return syn_cluster_run(ctx, p, SYN_LSTM_CLUSTER_BACKWARD, kernels, bytes,
                           "LSTM of a cluster, backward");
}

syn_status syn_lstm_cluster_backward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    if (p->seq.batch == 0) return SYN_OK;
    return p->call[0].H == 512 ? backward<512>(ctx, p) : backward<256>(ctx, p);
}
