/* What the two precisions of the grid variant share: T is what states and gate gradients are
 * exchanged in, float or bf16 (uint16_t). One cooperative launch per direction; a block keeps its
 * part of R in shared memory for all steps, the exchange goes through L2, with one barrier of the
 * grid per step. */
#ifndef SYN_LSTM_GRID_CUH
#define SYN_LSTM_GRID_CUH

#include "kernels/lstm_cuda.cuh"

enum { SYN_GRID_THREADS = 256 };

/* Two planes of `sequences` rows: what the next step reads, zero where nothing flows. */
template <typename T> struct syn_grid_exchange {
    T *planes;
    float *cell; /* (B,H): forward, c as it enters the next step; backward, its gradient */
    int64_t sequences, width; /* padded */
    syn_grid_barrier *barrier;
};

/* The row of sequence b in the plane of step s. */
template <typename T>
SYN_LSTM_INLINE T *syn_grid_row(const syn_grid_exchange<T> &x, int64_t s, int64_t b)
{
    return x.planes + ((s & 1) * x.sequences + b) * x.width;
}

SYN_LSTM_INLINE void syn_grid_put(float *to, float x)
{
    *to = x;
}

SYN_LSTM_INLINE void syn_grid_put(uint16_t *to, float x)
{
    *to = syn_to_bf16(x);
}

/* Whether one of `count` sequences from b0 on has a step s. */
SYN_LSTM_INLINE bool syn_grid_live(const syn_seq &q, int64_t b0, int count, int64_t s)
{
    bool live = false;
    for (int64_t b = b0; b < b0 + count && b < q.batch; b++)
        live = live || s < syn_lstm_length(q, b);
    return live;
}

/* Zeros in both planes but for the h that enters step 0; the cells that enter it. A sequence of
 * length 0 is done. */
template <typename T>
static __global__ void syn_grid_start_forward(syn_lstm_pass p, syn_lstm_call a,
                                              syn_grid_exchange<T> x)
{
    const int64_t at = (int64_t)blockIdx.x * SYN_GRID_THREADS + threadIdx.x;
    const int64_t b = at / x.width, u = at % x.width;
    if (b >= x.sequences) return;
    float h = 0, c = 0;
    if (b < p.seq.batch && u < a.H) {
        const int64_t state = b * a.H + u;
        h = a.h0 ? a.h0[state] : 0;
        c = a.c0 ? a.c0[state] : 0;
        if (syn_lstm_length(p.seq, b) == 0) {
            if (a.hT) a.hT[state] = h;
            if (a.cT) a.cT[state] = c;
        } else if (syn_lstm_reset(p.seq, a.reverse, b, 0)) {
            h = c = 0;
        }
        x.cell[state] = c;
    }
    syn_grid_put(&x.planes[at], h);
    syn_grid_put(&x.planes[x.sequences * x.width + at], 0);
}

/* Step s of unit u of sequence b: z = R h, by gate. */
template <bool FAST, typename T>
static __device__ void syn_grid_unit_forward(const syn_lstm_pass &p, const syn_lstm_call &a,
                                             const syn_grid_exchange<T> &x, int64_t b, int64_t u,
                                             int64_t s, float z[4])
{
    const int64_t H = a.H, at = b * H + u, length = syn_lstm_length(p.seq, b);
    if (s >= length) return;
    const int64_t row = syn_lstm_row(p.seq, a.reverse, b, length, s);
    float *v = a.v + row * SYN_LSTM_GATES * H + u;
    for (int g = 0; g < SYN_LSTM_GATES; g++) z[g] += v[g * H];
    float c = x.cell[at];
    const float h = syn_lstm_gates<FAST>(z, &c);
    a.h[row * a.ldh + u] = h;
    if (p.keep) {
        for (int g = 0; g < SYN_LSTM_GATES; g++) v[g * H] = z[g];
        a.c[row * H + u] = c;
    }
    const bool last = s + 1 == length;
    const bool zero = last || syn_lstm_reset(p.seq, a.reverse, b, s + 1);
    if (last && a.hT) a.hT[at] = h;
    if (last && a.cT) a.cT[at] = c;
    x.cell[at] = zero ? 0 : c;
    syn_grid_put(&syn_grid_row(x, s + 1, b)[u], zero ? 0 : h);
}

/* Zeros in both planes: no gradient flows from behind the last step. */
template <typename T>
static __global__ void syn_grid_start_backward(syn_lstm_pass p, syn_lstm_call a,
                                               syn_grid_exchange<T> x)
{
    const int64_t at = (int64_t)blockIdx.x * SYN_GRID_THREADS + threadIdx.x;
    if (at < x.sequences * x.width) {
        syn_grid_put(&x.planes[at], 0);
        syn_grid_put(&x.planes[x.sequences * x.width + at], 0);
    }
    if (at < p.seq.batch * a.H) x.cell[at] = a.dcT ? a.dcT[at] : 0;
}

/* Step s of unit u of sequence b: z = (R^T gate gradients of the following step). */
template <bool FAST, typename T>
static __device__ void syn_grid_unit_backward(const syn_lstm_pass &p, const syn_lstm_call &a,
                                              const syn_grid_exchange<T> &x, int64_t b, int64_t u,
                                              int64_t s, float z)
{
    const int64_t H = a.H, at = b * H + u, length = syn_lstm_length(p.seq, b);
    if (s >= length) return;
    const int64_t row = syn_lstm_row(p.seq, a.reverse, b, length, s);
    const bool zero = syn_lstm_reset(p.seq, a.reverse, b, s);
    float dh = z + a.dh[row * a.lddh + u], v[4];
    if (s + 1 == length && a.dhT) dh += a.dhT[at];
    float *gates = a.v + row * SYN_LSTM_GATES * H + u;
    for (int g = 0; g < SYN_LSTM_GATES; g++) v[g] = gates[g * H];
    const float next = syn_lstm_gates_backward<FAST>(
        v, dh, x.cell[at], a.c[row * H + u], syn_lstm_cell_before(p.seq, a, b, u, length, s));
    x.cell[at] = zero ? 0 : next;
    T *to = syn_grid_row(x, s, b) + u;
    for (int g = 0; g < SYN_LSTM_GATES; g++) {
        gates[g * H] = v[g];
        syn_grid_put(&to[g * (x.width / SYN_LSTM_GATES)], zero ? 0 : v[g]);
    }
}

/* dh0 and dc0; z: what came from step 0. */
template <typename T>
static __device__ void syn_grid_finish_backward(const syn_lstm_pass &p, const syn_lstm_call &a,
                                                const syn_grid_exchange<T> &x, int64_t b, int64_t u,
                                                float z)
{
    const int64_t at = b * a.H + u;
    if (syn_lstm_length(p.seq, b) == 0) z = a.dhT ? a.dhT[at] : 0;
    if (a.dh0) a.dh0[at] = z;
    if (a.dc0) a.dc0[at] = x.cell[at];
}

/* ---- Launchers ---- */

/* One pass of one precision, its blocks, their shared memory, and the row of an exchange. */
template <typename T> struct syn_grid_kernel {
    void (*run)(syn_lstm_pass, syn_lstm_call, syn_grid_exchange<T>);
    unsigned blocks;
    size_t bytes;
    int64_t width;
    int tile; /* sequences are padded to a multiple of it */
};

/* Whether all blocks of the kernel run at once. */
template <typename T> static inline bool syn_grid_fits(const syn_grid_kernel<T> &k)
{
    int device = 0, processors = 0, blocks = 0, bytes_max = 0;
    const bool known = cudaGetDevice(&device) == cudaSuccess &&
                       cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount,
                                              device) == cudaSuccess &&
                       cudaDeviceGetAttribute(&bytes_max, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                                              device) == cudaSuccess;
    if (!known || k.bytes > (size_t)bytes_max) return false;
    if (cudaFuncSetAttribute((const void *)k.run, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             (int)k.bytes) != cudaSuccess ||
        cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, (const void *)k.run,
                                                      SYN_GRID_THREADS, k.bytes) != cudaSuccess)
        (void)cudaGetLastError(); /* answered here */
    return k.blocks <= (unsigned)(blocks * processors);
}

template <typename T>
static inline syn_status syn_grid_exchange_create(syn_ctx *ctx, const syn_lstm_pass *p,
                                                  const syn_grid_kernel<T> &k,
                                                  syn_grid_exchange<T> *x)
{
    x->sequences = syn_ceil_div(p->seq.batch, k.tile) * k.tile;
    x->width = k.width;
    SYN_TAKE(ctx, x->planes, T, 2 * x->sequences * x->width);
    SYN_TAKE(ctx, x->cell, float, p->seq.batch * p->call[0].H);
    SYN_TAKE(ctx, x->barrier, syn_grid_barrier, 1);
    return syn_zero(ctx, x->barrier, sizeof *x->barrier);
}

/* Every direction by itself: `start` fills the exchange, then all steps. `what` names it in errors.
 */
template <typename T>
static inline syn_status
syn_grid_run(syn_ctx *ctx, const syn_lstm_pass *p, const syn_grid_kernel<T> &k,
             void (*start)(syn_lstm_pass, syn_lstm_call, syn_grid_exchange<T>), const char *what)
{
    if (p->seq.batch == 0) return SYN_OK;
    for (int d = 0; d < p->directions; d++) {
        syn_grid_exchange<T> x;
        SYN_RETURN_IF(syn_grid_exchange_create(ctx, p, k, &x));
        const unsigned blocks = (unsigned)syn_ceil_div(x.sequences * x.width, SYN_GRID_THREADS);
        SYN_LAUNCH(ctx, start, blocks, SYN_GRID_THREADS, 0, *p, p->call[d], x);
        SYN_LAUNCH_CHECK(ctx, "LSTM of the grid, start");
        (void)syn_launch_together(ctx, k.run, dim3(k.blocks), dim3(SYN_GRID_THREADS), 0, k.bytes,
                                  *p, p->call[d], x);
        SYN_LAUNCH_CHECK(ctx, what);
    }
    return SYN_OK;
}

/* bf16: kernels/lstm_grid_mixed.cu. */
bool syn_lstm_grid_mixed_fits(int64_t H);
syn_status syn_lstm_grid_mixed_forward(syn_ctx *ctx, const syn_lstm_pass *p);
syn_status syn_lstm_grid_mixed_backward(syn_ctx *ctx, const syn_lstm_pass *p);

#endif
