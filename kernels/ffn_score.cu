/* Scoring networks as one kernel each. A block keeps all weights in shared memory and takes tiles
 * of rows through every layer without leaving it: a row of the gap detector's 256-128-64-2 costs 2
 * KB of gathered halves and 8 bytes of logits.
 *
 * Hidden layers are products of rows with a resident matrix (kernels/rows_product.cuh): 64 rows a
 * tile and bf16 activations (MIXED), 32 rows and float (FP32). The last layer is summed in float by
 * the threads of a row. Shared memory of the gap detector: 134 KiB (MIXED), 213 KiB (FP32); where a
 * device has less, the layers run one by one. */
#include "kernels/ffn.h"
#include "kernels/rows_product.cuh"

enum { THREADS = SYN_ROWS_THREADS, LAYERS_MAX = 3 };

template <bool MIXED> struct tile;
template <> struct tile<true> {
    enum { ROWS = 64 };
};
template <> struct tile<false> {
    enum { ROWS = 32 };
};

typedef struct network {
    int layers, dim[LAYERS_MAX + 1];
    const float *w[LAYERS_MAX], *b[LAYERS_MAX];
} network;

/* x, or the sum of the rows of two factors. */
typedef struct source {
    const float *x;
    int64_t ldx;
    const float *a, *b, *bias;
    const int32_t *ia, *ib;
} source;

/* Offsets in shared memory in bytes; weights and activations as elements, biases and the last
 * layer's weights as floats. */
typedef struct plan {
    int w[LAYERS_MAX], b[LAYERS_MAX], act[2], bytes;
} plan;

static int taken(int *bytes, int more)
{
    const int at = *bytes;
    *bytes += (more + 15) / 16 * 16;
    return at;
}

template <bool MIXED> static plan plan_make(const network *n)
{
    const int size = sizeof(typename syn_rows_element<MIXED>::type);
    plan p = {};
    for (int l = 0; l < n->layers; l++) {
        const bool last = l == n->layers - 1;
        const int columns = syn_rows_columns(n->dim[l + 1]);
        p.w[l] = taken(&p.bytes, last ? n->dim[l + 1] * n->dim[l] * (int)sizeof(float)
                                      : columns * syn_rows_stride<MIXED>(n->dim[l]) * size);
        p.b[l] = taken(&p.bytes, n->dim[l + 1] * (int)sizeof(float));
    }
    for (int i = 0; i < 2; i++) {
        int stride = 0;
        for (int l = i; l < n->layers; l += 2)
            stride = max(stride, syn_rows_stride<MIXED>(n->dim[l]));
        p.act[i] = taken(&p.bytes, tile<MIXED>::ROWS * stride * size);
    }
    return p;
}

static __device__ __forceinline__ float positive(float x)
{
    return x < 0 ? 0 : x; /* keeps NaN */
}

/* The rows row.. of the source as the first activations; zeros beyond the last. */
template <bool MIXED>
static __device__ __forceinline__ void rows_load(const source &s, int width, int64_t row,
                                                 int64_t rows,
                                                 typename syn_rows_element<MIXED>::type *act)
{
    const int stride = syn_rows_stride<MIXED>(width);
    const bool aligned = s.x ? (uintptr_t)s.x % 16 == 0 && s.ldx % 4 == 0
                             : ((uintptr_t)s.a | (uintptr_t)s.b | (uintptr_t)s.bias) % 16 == 0;
    for (int i = threadIdx.x * 4; i < tile<MIXED>::ROWS * width; i += THREADS * 4) {
        const int64_t r = row + i / width;
        const int k = i % width;
        float4 v = make_float4(0, 0, 0, 0);
        if (r < rows && s.x) v = syn_rows_load(s.x + r * s.ldx, k, width, aligned);
        if (r < rows && !s.x) {
            const float4 a = syn_rows_load(s.a + (int64_t)s.ia[r] * width, k, width, aligned);
            const float4 b = syn_rows_load(s.b + (int64_t)s.ib[r] * width, k, width, aligned);
            if (s.bias) v = syn_rows_load(s.bias, k, width, aligned);
            v = make_float4(positive(a.x + b.x + v.x), positive(a.y + b.y + v.y),
                            positive(a.z + b.z + v.z), positive(a.w + b.w + v.w));
        }
        syn_rows_put(act + i / width * stride + k, v);
    }
}

/* out (rows, n) = max(0, in (rows, k) w^T + b), padded. */
static __device__ __forceinline__ void
hidden_layer(int k, int n, const uint16_t *in, const uint16_t *w, const float *b, uint16_t *out)
{
    const int stride = syn_rows_stride<true>(n);
    syn_rows_product<tile<true>::ROWS>(
        k, n, in, w, [=](int row, int column, float v0, int next, float v1) {
            *(uint32_t *)(out + row * stride + column) =
                syn_pack_bf16(positive(v0 + b[column]), positive(v1 + b[next]));
        });
}
static __device__ __forceinline__ void hidden_layer(int k, int n, const float *in, const float *w,
                                                    const float *b, float *out)
{
    const int stride = syn_rows_stride<false>(n);
    syn_rows_product<tile<false>::ROWS>(k, n, in, w,
                                        [=](int row, int column, float v0, int next, float v1) {
                                            out[row * stride + column] = positive(v0 + b[column]);
                                            if (next < n)
                                                out[row * stride + next] = positive(v1 + b[next]);
                                        });
}

/* The last layer, THREADS / ROWS neighbouring lanes to a row: each takes every so many fours of k.
 */
template <bool MIXED>
static __device__ __forceinline__ void
last_layer(int k, int n, const typename syn_rows_element<MIXED>::type *in, const float *w,
           const float *b, int64_t rows, float *y)
{
    const int share = THREADS / tile<MIXED>::ROWS, part = threadIdx.x % share;
    const int row = threadIdx.x / share;
    for (int j = 0; j < n; j++) {
        float sum = 0;
        for (int at = part * 4; at < k; at += share * 4) {
            const float4 x = syn_rows_get(in + row * syn_rows_stride<MIXED>(k) + at);
            const float4 v = *(const float4 *)(w + j * k + at);
            sum = fmaf(x.w, v.w, fmaf(x.z, v.z, fmaf(x.y, v.y, fmaf(x.x, v.x, sum))));
        }
        for (int half = share / 2; half; half /= 2)
            sum += __shfl_xor_sync(SYN_ALL_LANES, sum, half);
        if (part == 0 && row < rows) y[row * n + j] = sum + b[j];
    }
}

/* All weights into shared memory: hidden layers' as matrices, the last one's as floats, in rows. */
template <bool MIXED>
static __device__ __forceinline__ void weights_load(const network &n, const plan &p,
                                                    unsigned char *shared)
{
    for (int l = 0; l < n.layers; l++) {
        const int k = n.dim[l], out = n.dim[l + 1];
        float *b = (float *)(shared + p.b[l]), *w = (float *)(shared + p.w[l]);
        for (int i = threadIdx.x; i < out; i += THREADS) b[i] = n.b[l] ? n.b[l][i] : 0;
        if (l < n.layers - 1)
            syn_rows_matrix<MIXED>(out, k, n.w[l],
                                   (typename syn_rows_element<MIXED>::type *)(shared + p.w[l]));
        else
            for (int i = threadIdx.x; i < out * k; i += THREADS) w[i] = n.w[l][i];
    }
}

template <bool MIXED>
static __global__ __launch_bounds__(THREADS) void score_kernel(const __grid_constant__ network n,
                                                               const __grid_constant__ plan p,
                                                               source s, int64_t capacity,
                                                               const int32_t *live, float *y)
{
    typedef typename syn_rows_element<MIXED>::type type;
    SYN_DYNAMIC_SHARED(unsigned char, shared);
    const int64_t rows = syn_live(capacity, live);
    const int ROWS = tile<MIXED>::ROWS;
    if ((int64_t)blockIdx.x * ROWS >= rows) return;
    weights_load<MIXED>(n, p, shared);
    for (int64_t row = (int64_t)blockIdx.x * ROWS; row < rows; row += (int64_t)gridDim.x * ROWS) {
        rows_load<MIXED>(s, n.dim[0], row, rows, (type *)(shared + p.act[0]));
        __syncthreads();
        for (int l = 0; l < n.layers; l++) {
            const type *in = (const type *)(shared + p.act[l % 2]);
            const float *b = (const float *)(shared + p.b[l]);
            if (l < n.layers - 1)
                hidden_layer(n.dim[l], n.dim[l + 1], in, (const type *)(shared + p.w[l]), b,
                             (type *)(shared + p.act[(l + 1) % 2]));
            else
                last_layer<MIXED>(n.dim[l], n.dim[l + 1], in, (const float *)(shared + p.w[l]), b,
                                  rows - row, y + row * n.dim[l + 1]);
            __syncthreads();
        }
    }
}

/* *fused: whether the network is one that fits; then its scores have been asked for. */
template <bool MIXED>
static syn_status score_fused(syn_ctx *ctx, const network *n, const source *s, int64_t capacity,
                              const int32_t *live, float *y, bool *fused)
{
    const plan p = plan_make<MIXED>(n);
    int device = 0, most = 0;
    *fused = cudaGetDevice(&device) == cudaSuccess &&
             cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) ==
                 cudaSuccess &&
             p.bytes <= most &&
             cudaFuncSetAttribute(score_kernel<MIXED>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  p.bytes) == cudaSuccess;
    if (!*fused) return SYN_OK;
    const int resident = most / p.bytes < 1 ? 1 : most / p.bytes > 8 ? 8 : most / p.bytes;
    SYN_LAUNCH(ctx, score_kernel<MIXED>, syn_blocks_resident(capacity, tile<MIXED>::ROWS, resident),
               THREADS, p.bytes, *n, p, *s, capacity, live, y);
    SYN_LAUNCH_CHECK(ctx, "scores of a network");
    return SYN_OK;
}

static bool network_make(const syn_ffn *ffn, network *n)
{
    *n = network();
    if (ffn->layers > LAYERS_MAX || ffn->dim[ffn->layers] > SYN_FFN_SCORE_OUT_MAX) return false;
    n->layers = ffn->layers;
    for (int l = 0; l <= ffn->layers; l++) {
        if (l < ffn->layers && (ffn->dim[l] % 16 || ffn->dim[l] > SYN_FFN_SCORE_WIDTH_MAX))
            return false;
        n->dim[l] = (int)ffn->dim[l];
        if (l == ffn->layers) break;
        n->w[l] = ffn->w[l];
        n->b[l] = ffn->b[l];
    }
    return true;
}

/* Layer by layer. */
static syn_status score_layers(syn_ctx *ctx, const syn_ffn *ffn, int64_t capacity,
                               const int32_t *live, const float *x, int64_t ldx, float *y)
{
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    float *cache = SYN_SCRATCH(ctx, float, syn_ffn_cache_size(ffn, capacity));
    if (!cache) goto done;
    for (int l = 0; l < ffn->layers; l++) {
        const bool last = l == ffn->layers - 1;
        float *out = last ? y : cache;
        SYN_TRY(syn_linear_live_cuda(ctx, capacity, live, ffn->dim[l], ffn->dim[l + 1], x, ldx,
                                     ffn->w[l], ffn->b[l], last ? SYN_ACT_NONE : SYN_ACT_RELU, out,
                                     ffn->dim[l + 1]));
        x = out;
        ldx = ffn->dim[l + 1];
        cache += capacity * ldx;
    }
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

static syn_status score(syn_ctx *ctx, const syn_ffn *ffn, int64_t capacity, const int32_t *live,
                        const source *s, float *y, bool *fused)
{
    network n;
    *fused = capacity == 0;
    if (*fused || !network_make(ffn, &n)) return SYN_OK;
    return ctx->math == SYN_MATH_MIXED ? score_fused<true>(ctx, &n, s, capacity, live, y, fused)
                                       : score_fused<false>(ctx, &n, s, capacity, live, y, fused);
}

extern "C" syn_status syn_ffn_score_cuda(syn_ctx *ctx, const syn_ffn *ffn, int64_t capacity,
                                         const int32_t *live, const float *x, int64_t ldx, float *y)
{
    const source s = {x, ldx, NULL, NULL, NULL, NULL, NULL};
    bool fused;
    SYN_RETURN_IF(score(ctx, ffn, capacity, live, &s, y, &fused));
    return fused ? SYN_OK : score_layers(ctx, ffn, capacity, live, x, ldx, y);
}

static __global__ void gather_kernel(int64_t width, source s, int64_t capacity, const int32_t *live,
                                     float *x)
{
    const int64_t rows = syn_live(capacity, live);
    for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
        const float *a = s.a + s.ia[r] * width, *b = s.b + s.ib[r] * width;
        for (int64_t k = threadIdx.x; k < width; k += blockDim.x)
            x[r * width + k] = positive(a[k] + b[k] + (s.bias ? s.bias[k] : 0));
    }
}

extern "C" syn_status syn_ffn_gather_score_cuda(syn_ctx *ctx, const syn_ffn *ffn, int64_t capacity,
                                                const int32_t *live, const float *a,
                                                const int32_t *ia, const float *b,
                                                const int32_t *ib, const float *bias, float *y)
{
    const source s = {NULL, 0, a, b, bias, ia, ib};
    const int64_t width = ffn->dim[0];
    bool fused;
    SYN_RETURN_IF(score(ctx, ffn, capacity, live, &s, y, &fused));
    if (fused) return SYN_OK;
    syn_status st = SYN_ERR_MEMORY;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    float *x = SYN_SCRATCH(ctx, float, capacity *width);
    if (!x) goto done;
    SYN_LAUNCH(ctx, gather_kernel, syn_blocks_resident(capacity, 1, 16), 128, 0, width, s, capacity,
               live, x);
    SYN_TRY(syn_cuda_check(ctx, "gathering of factored rows", __FILE__, __LINE__));
    SYN_TRY(score_layers(ctx, ffn, capacity, live, x, width, y));
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}
