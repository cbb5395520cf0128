/* The LSTM of width 512 or 256 in clusters of 16 or 8 blocks: the forward pass.
 *
 * 256 threads. Warp w of block `rank` holds 16 rows of R over K = H as left fragments, 128
 * registers a thread at H = 512: rows i,f (lanes of groups 0-3) and g,o (groups 4-7) of units 32
 * rank + 4w .. + 3. Two shuffles give each lane all four gates of one unit of one sequence; it
 * keeps that cell. Its h (bf16) is joined with those of the three other units of the warp and sent
 * as 8 bytes to every block of the cluster (st.async), where 8 H * 2 bytes complete the phase of
 * the sub-tile's barrier. h has two planes, by turns: a peer writes h of step s + 2 only after it
 * has got h of step s + 1 from every warp of the cluster, each of which had read h of step s
 * before. One hop per step, no cluster barrier inside the loop, and with several sub-tiles the hop
 * of one hides behind the products of the others.
 *
 * What binds (H = 512): per sub-tile and step 256 products m16n8k16 in each SM, about 420 cycles at
 * the rate of mma.sync (0.23 us), then the gates, 0.1 us, and one hop from st.async to the end of
 * the barrier's phase, 0.3 to 0.4 us. Expected from that, not measured: 0.7 to 0.9 us a step while
 * 8 clusters hold the batch 8 sequences each, 0.25 us more for every further 8. Once per call R is
 * packed (one launch per direction) and each block reads 128 KB of it, together about 4 us.
 *
 * ptxas 13.0, sm_90a, no spills:                registers a thread    shared memory
 *     H = 512   1, 2, 4 sub-tiles per cluster   199, 208, 220         17.1, 34.2, 68.3 KB
 *     H = 256   1, 2, 4 sub-tiles per cluster   134, 142, 154         9.1, 18.2, 36.3 KB
 * Above 128 registers, 256 threads fill the register file: one block per SM, so 132 SMs hold at
 * most 8 clusters of 16 (fewer where a GPC has less than 16 SMs free: asked at run time) and 16
 * of 8. */
#include "kernels/lstm_cluster.cuh"

enum { THREADS = SYN_CLUSTER_THREADS, UNITS = SYN_CLUSTER_UNITS, WARP_UNITS = 4 };

/* Step s of a lane's unit: pre-activations, and whether the state is zero after it. */
typedef struct step_inputs {
    float x[4];
    bool zero_after;
} step_inputs;

template <int H>
static __device__ __forceinline__ void load_inputs(const syn_lstm_pass &p, const syn_lstm_call &a,
                                                   int b, int2 place, int s, int u, step_inputs *in)
{
    const int row = place.x + s * syn_lstm_stride(p.seq, a.reverse);
    const float *const v = a.v + (int64_t)row * (SYN_LSTM_GATES * H) + u;
#pragma unroll
    for (int g = 0; g < SYN_LSTM_GATES; g++) in->x[g] = s < place.y ? v[g * H] : 0;
    in->zero_after = s + 1 >= place.y || syn_lstm_reset(p.seq, a.reverse, b, s + 1);
}

/* Where a block's planes, places and barriers lie, in elements of bf16 and in bytes. */
template <int H, int TILES> struct forward_layout {
    enum {
        BLOCKS = H / UNITS,
        GROUPS = H / 32,
        ROW = SYN_LSTM_ROW(H),
        COUNT = SYN_LSTM_LANES * TILES,
        PLANE = COUNT * ROW,
        PLACES_AT = 2 * PLANE * 2,
        BARRIERS_AT = PLACES_AT + COUNT * 8, /* (2, TILES) */
        SENT_BYTES = SYN_LSTM_LANES * H * 2  /* to each block, by sub-tile and step */
    };
    static __device__ __forceinline__ int element(int n, int u) { return n * ROW + u; }
};

/* h of the warp's four units of sequence n, the first of which is u, into every block's plane for
 * step s; the four lanes of a sequence share the blocks. */
template <int H, int TILES>
static __device__ __forceinline__ void send(const syn_cluster_address *peer, int s, int t, int n,
                                            int u, int unit, float h)
{
    typedef forward_layout<H, TILES> at;
    const uint2 units = syn_cluster_gather_units(h, unit);
    const unsigned plane = s & 1, to = (plane * at::PLANE + n * at::ROW + u) * 2;
    const unsigned end = at::BARRIERS_AT + (plane * TILES + t) * sizeof(syn_mbarrier);
#pragma unroll
    for (int i = 0; i < at::BLOCKS / 4; i++) syn_st_async8(peer[i] + to, units, peer[i] + end);
}

template <int H, int TILES>
static __global__ void __launch_bounds__(THREADS, 1) cluster_forward(syn_lstm_pass p)
{
    typedef forward_layout<H, TILES> at;
    SYN_DYNAMIC_SHARED(uint16_t, planes);
    int2 *const place = (int2 *)((char *)planes + at::PLACES_AT);
    syn_mbarrier *const barrier = (syn_mbarrier *)((char *)planes + at::BARRIERS_AT);
    const unsigned rank = syn_cluster_rank();
    const syn_lstm_share share = syn_lstm_share_of(p, at::BLOCKS, at::COUNT);
    const syn_lstm_call &a = p.call[share.direction];
    const int lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4, unit = group % 4;
    const bool high = group >= 4;
    const int column = 2 * quad + high; /* the lane's sequence of each sub-tile */
    const int u0 = (int)rank * UNITS + threadIdx.x / 32 * WARP_UNITS, u = u0 + unit;

    uint32_t r[at::GROUPS][2][4];
    syn_lstm_load_fragments<at::GROUPS>(p.fragments[share.direction], (int)rank, threadIdx.x / 32,
                                        THREADS / 32, lane, r);
    const int steps = syn_lstm_places(p, a.reverse, share.b0, p.seq.batch, at::COUNT, place);
    syn_lstm_start<H, THREADS, UNITS, at>(p, a, share.b0, p.seq.batch, (int)rank, place, planes);
    syn_cluster_barriers(barrier, TILES, at::SENT_BYTES);
    float c[TILES];
#pragma unroll
    for (int t = 0; t < TILES; t++) {
        const int n = t * SYN_LSTM_LANES + column, b = share.b0 + n;
        c[t] = syn_lstm_first_cell(p, a, b, place[n], (int64_t)b * H + u);
    }
    syn_cluster_address peer[at::BLOCKS / 4]; /* the lane sends to every fourth block */
#pragma unroll
    for (int i = 0; i < at::BLOCKS / 4; i++) peer[i] = syn_cluster_map(planes, 4 * i + unit);
    step_inputs next;
    load_inputs<H>(p, a, share.b0 + column, place[column], 0, u, &next);
    syn_cluster_sync(); /* every block's barriers are ready and its h0 is read */
#pragma unroll 1
    for (int s = 0; s < steps; s++) {
        const uint16_t *const from = planes + (s & 1) * at::PLANE;
#pragma unroll
        for (int t = 0; t < TILES; t++) {
            const step_inputs in = next;
            const int n = t * SYN_LSTM_LANES + column, n_next = (n + SYN_LSTM_LANES) % at::COUNT;
            load_inputs<H>(p, a, share.b0 + n_next, place[n_next], t + 1 < TILES ? s : s + 1, u,
                           &next);
            if (s > 0) syn_cluster_take(&barrier[(s & 1) * TILES + t], s - 1, at::SENT_BYTES);
            float d[4], z[4];
            syn_lstm_product<at::GROUPS>(r, from + (t * SYN_LSTM_LANES + group) * at::ROW, quad, d);
            syn_lstm_gather_gates(d, high, z);
#pragma unroll
            for (int g = 0; g < SYN_LSTM_GATES; g++) z[g] += in.x[g];
            const float h = syn_lstm_gates<true>(z, &c[t]);
            if (s + 1 < steps) send<H, TILES>(peer, s + 1, t, n, u0, unit, in.zero_after ? 0 : h);
            if (s < place[n].y)
                syn_lstm_store_step<H>(p, a, share.b0 + n, place[n], s, u, z, c[t], h);
            c[t] = in.zero_after ? 0 : c[t];
        }
    }
    syn_cluster_sync(); /* no block ends while peers may send to it */
}

/* ---- Launchers ---- */

template <int H, int TILES> static constexpr size_t forward_bytes(void)
{
    return forward_layout<H, TILES>::BARRIERS_AT + 2 * TILES * sizeof(syn_mbarrier);
}

cudaError_t syn_cluster_at_once(const syn_ctx *ctx, syn_cluster_kernel kernel, unsigned size,
                                size_t bytes, int *count)
{
    cudaError_t error = cudaFuncSetAttribute(
        (const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
    if (error == cudaSuccess && size > 8)
        error = cudaFuncSetAttribute((const void *)kernel,
                                     cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
    if (error != cudaSuccess) return error;
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = size;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(size);
    config.blockDim = dim3(SYN_CLUSTER_THREADS);
    config.dynamicSmemBytes = bytes;
    config.stream = (cudaStream_t)ctx->stream;
    config.attrs = &attribute;
    config.numAttrs = 1;
    return cudaOccupancyMaxActiveClusters(count, kernel, &config);
}

const char *syn_cluster_refuses(const syn_ctx *ctx, const syn_lstm_pass *p,
                                syn_cluster_kernel by_512, size_t bytes_512,
                                syn_cluster_kernel by_256, size_t bytes_256)
{
    const int64_t H = p->call[0].H;
    const syn_cluster_kernel kernel = H == 512 ? by_512 : by_256;
    int device = 0, major = 0, count = 0;
    if (H != 256 && H != 512) return "clusters take the widths 256 and 512";
    if (p->live) return "it needs the number of sequences on the host";
    if (ctx->math != SYN_MATH_MIXED) return "its weights are bf16: it needs mixed precision";
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess ||
        major < 9)
        return "the device has no clusters";
    if (!syn_kernel_for_hopper((const void *)kernel)) return "this build is not for sm_90";
    const cudaError_t error = syn_cluster_at_once(ctx, kernel, (unsigned)H / SYN_CLUSTER_UNITS,
                                                  H == 512 ? bytes_512 : bytes_256, &count);
    if (error == cudaSuccess && count > 0) return NULL;
    (void)cudaGetLastError(); /* answered here */
    return "the device has no room for a cluster of that many blocks";
}

const char *syn_lstm_cluster_refuses(const syn_ctx *ctx, const syn_lstm_pass *p)
{
    return syn_cluster_refuses(ctx, p, cluster_forward<512, 1>, forward_bytes<512, 1>(),
                               cluster_forward<256, 1>, forward_bytes<256, 1>());
}

syn_status syn_cluster_run(syn_ctx *ctx, const syn_lstm_pass *p, syn_lstm_layout layout,
                           const syn_cluster_kernel kernels[3], const size_t bytes[3],
                           const char *what)
{
    const unsigned size = (unsigned)p->call[0].H / SYN_CLUSTER_UNITS;
    unsigned clusters = 0;
    int i = 0;
    for (;; i++) {
        int together = 0;
        clusters = (unsigned)(p->directions * syn_ceil_div(p->seq.batch, SYN_LSTM_LANES << i));
        const cudaError_t error = syn_cluster_at_once(ctx, kernels[i], size, bytes[i], &together);
        if (error != cudaSuccess) return syn_cuda_failed(error, "counting the LSTM's clusters");
        if (clusters <= (unsigned)together || i == 2) break;
    }
    syn_lstm_pass packed = *p;
    SYN_RETURN_IF(syn_lstm_pack(ctx, layout, &packed));
    (void)syn_launch_together(ctx, kernels[i], dim3(clusters * size), dim3(SYN_CLUSTER_THREADS),
                              size, bytes[i], packed);
    SYN_LAUNCH_CHECK(ctx, what);
    return SYN_OK;
}

template <int H> static syn_status forward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    const syn_cluster_kernel kernels[3] = {cluster_forward<H, 1>, cluster_forward<H, 2>,
                                           cluster_forward<H, 4>};
    const size_t bytes[3] = {forward_bytes<H, 1>(), forward_bytes<H, 2>(), forward_bytes<H, 4>()};
    return syn_cluster_run(ctx, p, SYN_LSTM_CLUSTER_FORWARD, kernels, bytes,
                           "LSTM of a cluster, forward");
}

syn_status syn_lstm_cluster_forward(syn_ctx *ctx, const syn_lstm_pass *p)
{
    if (p->seq.batch == 0) return SYN_OK;
    return p->call[0].H == 512 ? forward<512>(ctx, p) : forward<256>(ctx, p);
}
