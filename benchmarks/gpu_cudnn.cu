#include "benchmarks/gpu_cudnn.h"

#ifdef SYN_HAVE_CUDNN

#    include <cuda_bf16.h>
#    include <cuda_fp16.h>
#    include <cudnn.h>
#    include <stdlib.h>
#    include <string.h>

#    include "kernels/base/launch.cuh"

enum { THREADS = 256, OWNED_MAX = 16 };

struct syn_cudnn {
    syn_ctx *ctx;
    syn_cudnn_layer layer;
    cudnnDataType_t type;
    size_t width; /* bytes of an element */
    cudnnHandle_t handle;
    cudnnDropoutDescriptor_t dropout;
    cudnnRNNDescriptor_t rnn;
    cudnnRNNDataDescriptor_t x_of, y_of;
    cudnnTensorDescriptor_t state_of, matrix_of, bias_of;
    size_t weight_bytes, work_bytes, reserve_bytes;
    char *x, *y, *dx, *dy, *weights, *dweights, *work,
        *reserve;    /* x, y, dx, reserve: of each set */
    int32_t *length; /* (B), device */
    void *owned[OWNED_MAX];
    int owned_count;
};

#    define TRY_CUDNN(call)                                                                        \
        do {                                                                                       \
            const cudnnStatus_t status_ = (call);                                                  \
            if (status_ != CUDNN_STATUS_SUCCESS) return failed(status_, #call);                    \
        } while (0)

static syn_status failed(cudnnStatus_t status, const char *call)
{
    (void)cudaGetLastError();
    int length = 0;
    while (call[length] && call[length] != '(') length++;
    const bool refused = status / 1000 == CUDNN_STATUS_NOT_SUPPORTED / 1000 ||
                         status / 1000 == CUDNN_STATUS_BAD_PARAM / 1000;
    return syn_fail(refused ? SYN_ERR_UNSUPPORTED : SYN_ERR_DEVICE, "cuDNN: %.*s: %s", length, call,
                    cudnnGetErrorString(status));
}

/* ---- Numbers ---- */

template <typename T> __global__ void narrow(int64_t n, const float *x, T *y)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < n) y[i] = (T)x[i];
}

template <typename T> __global__ void widen(int64_t n, const T *x, float *y)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < n) y[i] = (float)x[i];
}

static unsigned blocks_of(int64_t n)
{
    return (unsigned)((n + THREADS - 1) / THREADS);
}

static syn_status to_type(syn_ctx *ctx, const syn_cudnn *c, int64_t n, const real *from, void *to)
{
    if (c->type == CUDNN_DATA_BFLOAT16)
        SYN_LAUNCH(ctx, narrow, blocks_of(n), THREADS, 0, n, from, (__nv_bfloat16 *)to);
    else if (c->type == CUDNN_DATA_HALF)
        SYN_LAUNCH(ctx, narrow, blocks_of(n), THREADS, 0, n, from, (__half *)to);
    else
        SYN_LAUNCH(ctx, narrow, blocks_of(n), THREADS, 0, n, from, (float *)to);
    SYN_LAUNCH_CHECK(ctx, "rounding numbers");
    return SYN_OK;
}

static syn_status from_type(syn_ctx *ctx, const syn_cudnn *c, int64_t n, const void *from, real *to)
{
    if (c->type == CUDNN_DATA_BFLOAT16)
        SYN_LAUNCH(ctx, widen, blocks_of(n), THREADS, 0, n, (const __nv_bfloat16 *)from, to);
    else if (c->type == CUDNN_DATA_HALF)
        SYN_LAUNCH(ctx, widen, blocks_of(n), THREADS, 0, n, (const __half *)from, to);
    else
        SYN_LAUNCH(ctx, widen, blocks_of(n), THREADS, 0, n, (const float *)from, to);
    SYN_LAUNCH_CHECK(ctx, "widening numbers");
    return SYN_OK;
}

/* Zeroed device memory of c; NULL when there is not enough. */
static char *take(syn_ctx *ctx, syn_cudnn *c, size_t bytes)
{
    char *p = (char *)syn_device_alloc(ctx, bytes ? bytes : 1);
    if (p) c->owned[c->owned_count++] = p;
    return p;
}

/* ---- Opening ---- */

static syn_status describe(syn_cudnn *c, syn_cudnn_type type, syn_cudnn_way way)
{
    static const cudnnRNNAlgo_t ways[] = {CUDNN_RNN_ALGO_STANDARD, CUDNN_RNN_ALGO_PERSIST_STATIC,
                                          CUDNN_RNN_ALGO_PERSIST_DYNAMIC,
                                          CUDNN_RNN_ALGO_PERSIST_STATIC_SMALL_H};
    const syn_cudnn_layer *l = &c->layer;
    const int both = l->directions == 2;
    int *lengths = (int *)malloc(sizeof *lengths * (size_t)l->B);
    if (!lengths) return syn_fail(SYN_ERR_MEMORY, "out of memory for lengths");
    for (int64_t b = 0; b < l->B; b++) lengths[b] = (int)l->T;
    cudnnStatus_t s = cudnnSetRNNDescriptor_v8(
        c->rnn, ways[way], CUDNN_LSTM, CUDNN_RNN_SINGLE_INP_BIAS,
        both ? CUDNN_BIDIRECTIONAL : CUDNN_UNIDIRECTIONAL, CUDNN_LINEAR_INPUT, c->type,
        type == SYN_CUDNN_FP16_SUMS16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT,
        type == SYN_CUDNN_FP32 ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH, (int32_t)l->D,
        (int32_t)l->H, (int32_t)l->H, 1, c->dropout, CUDNN_RNN_PADDED_IO_ENABLED);
    const cudnnRNNDataLayout_t layout = CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED;
    if (s == CUDNN_STATUS_SUCCESS)
        s = cudnnSetRNNDataDescriptor(c->x_of, c->type, layout, (int)l->T, (int)l->B, (int)l->D,
                                      lengths, NULL);
    if (s == CUDNN_STATUS_SUCCESS)
        s = cudnnSetRNNDataDescriptor(c->y_of, c->type, layout, (int)l->T, (int)l->B,
                                      (int)(l->directions * l->H), lengths, NULL);
    free(lengths);
    TRY_CUDNN(s);
    const int size[3] = {l->directions, (int)l->B, (int)l->H};
    const int stride[3] = {size[1] * size[2], size[2], 1};
    TRY_CUDNN(cudnnSetTensorNdDescriptor(c->state_of, c->type, 3, size, stride));
    if (way == SYN_CUDNN_PERSIST_DYNAMIC)
        TRY_CUDNN(cudnnBuildRNNDynamic(c->handle, c->rnn, (int)l->B));
    return SYN_OK;
}

static syn_status fill_weights(syn_ctx *ctx, syn_cudnn *c)
{
    const syn_cudnn_layer *l = &c->layer;
    const int64_t H = l->H, D = l->D;
    for (int d = 0; d < l->directions; d++) {
        for (int k = 0; k < 8; k++) { /* gates i, f, g, o of the input, then of the state */
            void *matrix = NULL, *bias = NULL;
            TRY_CUDNN(cudnnGetRNNWeightParams(c->handle, c->rnn, d, c->weight_bytes, c->weights, k,
                                              c->matrix_of, &matrix, c->bias_of, &bias));
            const int64_t gate = k % 4;
            const real *from = k < 4 ? l->W[d] + gate * H * D : l->R[d] + gate * H * H;
            if (!matrix) return syn_fail(SYN_ERR_DEVICE, "cuDNN: a weight matrix is missing");
            SYN_RETURN_IF(to_type(ctx, c, H * (k < 4 ? D : H), from, matrix));
            if (bias && k < 4) SYN_RETURN_IF(to_type(ctx, c, H, l->b[d] + gate * H, bias));
        }
    }
    return SYN_OK;
}

static syn_status take_memory(syn_ctx *ctx, syn_cudnn *c)
{
    const syn_cudnn_layer *l = &c->layer;
    const size_t rows = (size_t)(l->T * l->B), sets = (size_t)l->sets;
    const size_t in = rows * (size_t)l->D * c->width;
    const size_t out = rows * (size_t)(l->directions * l->H) * c->width;
    TRY_CUDNN(cudnnGetRNNWeightSpaceSize(c->handle, c->rnn, &c->weight_bytes));
    TRY_CUDNN(cudnnGetRNNTempSpaceSizes(
        c->handle, c->rnn, l->train ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE, c->x_of,
        &c->work_bytes, &c->reserve_bytes));
    c->x = take(ctx, c, in * sets);
    c->y = take(ctx, c, out * sets);
    c->weights = take(ctx, c, c->weight_bytes);
    c->work = take(ctx, c, c->work_bytes);
    c->length = (int32_t *)take(ctx, c, sizeof(int32_t) * (size_t)l->B);
    if (!c->x || !c->y || !c->weights || !c->work || !c->length) return SYN_ERR_MEMORY;
    if (!l->train) return SYN_OK;
    c->dx = take(ctx, c, in * sets);
    c->dy = take(ctx, c, out);
    c->dweights = take(ctx, c, c->weight_bytes);
    c->reserve = take(ctx, c, c->reserve_bytes * sets);
    return c->dx && c->dy && c->dweights && c->reserve ? SYN_OK : SYN_ERR_MEMORY;
}

static syn_status fill(syn_ctx *ctx, syn_cudnn *c)
{
    const syn_cudnn_layer *l = &c->layer;
    const int64_t rows = l->T * l->B;
    int32_t *lengths = (int32_t *)malloc(sizeof *lengths * (size_t)l->B);
    if (!lengths) return syn_fail(SYN_ERR_MEMORY, "out of memory for lengths");
    for (int64_t b = 0; b < l->B; b++) lengths[b] = (int32_t)l->T;
    const syn_status st = syn_copy_in(ctx, c->length, lengths, sizeof *lengths * (size_t)l->B);
    free(lengths);
    SYN_RETURN_IF(st);
    SYN_RETURN_IF(fill_weights(ctx, c));
    SYN_RETURN_IF(to_type(ctx, c, rows * l->D * l->sets, l->x, c->x));
    if (l->train) SYN_RETURN_IF(to_type(ctx, c, rows * l->directions * l->H, l->dh, c->dy));
    return syn_wait(ctx);
}

static syn_status open_parts(syn_ctx *ctx, syn_cudnn *c, syn_cudnn_type type, syn_cudnn_way way)
{
    TRY_CUDNN(cudnnCreate(&c->handle));
    TRY_CUDNN(cudnnSetStream(c->handle, (cudaStream_t)ctx->stream));
    TRY_CUDNN(cudnnCreateDropoutDescriptor(&c->dropout));
    TRY_CUDNN(cudnnSetDropoutDescriptor(c->dropout, c->handle, 0, NULL, 0, 0));
    TRY_CUDNN(cudnnCreateRNNDescriptor(&c->rnn));
    TRY_CUDNN(cudnnCreateRNNDataDescriptor(&c->x_of));
    TRY_CUDNN(cudnnCreateRNNDataDescriptor(&c->y_of));
    TRY_CUDNN(cudnnCreateTensorDescriptor(&c->state_of));
    TRY_CUDNN(cudnnCreateTensorDescriptor(&c->matrix_of));
    TRY_CUDNN(cudnnCreateTensorDescriptor(&c->bias_of));
    SYN_RETURN_IF(describe(c, type, way));
    SYN_RETURN_IF(take_memory(ctx, c));
    return fill(ctx, c);
}

extern "C" int syn_cudnn_version(void)
{
    return (int)cudnnGetVersion();
}

extern "C" syn_status syn_cudnn_open(syn_ctx *ctx, const syn_cudnn_layer *layer,
                                     syn_cudnn_type type, syn_cudnn_way way, syn_cudnn **out)
{
    static const cudnnDataType_t types[] = {CUDNN_DATA_BFLOAT16, CUDNN_DATA_HALF, CUDNN_DATA_HALF,
                                            CUDNN_DATA_FLOAT};
    syn_cudnn *c = (syn_cudnn *)calloc(1, sizeof *c);
    *out = NULL;
    if (!c) return syn_fail(SYN_ERR_MEMORY, "out of memory for cuDNN");
    c->ctx = ctx;
    c->layer = *layer;
    c->type = types[type];
    c->width = type == SYN_CUDNN_FP32 ? 4 : 2;
    const syn_status st = open_parts(ctx, c, type, way);
    if (st == SYN_OK)
        *out = c;
    else
        syn_cudnn_close(c);
    return st;
}

extern "C" void syn_cudnn_close(syn_cudnn *c)
{
    if (!c) return;
    (void)cudaDeviceSynchronize();
    for (int k = 0; k < c->owned_count; k++) syn_device_free(c->ctx, c->owned[k]);
    if (c->bias_of) (void)cudnnDestroyTensorDescriptor(c->bias_of);
    if (c->matrix_of) (void)cudnnDestroyTensorDescriptor(c->matrix_of);
    if (c->state_of) (void)cudnnDestroyTensorDescriptor(c->state_of);
    if (c->y_of) (void)cudnnDestroyRNNDataDescriptor(c->y_of);
    if (c->x_of) (void)cudnnDestroyRNNDataDescriptor(c->x_of);
    if (c->rnn) (void)cudnnDestroyRNNDescriptor(c->rnn);
    if (c->dropout) (void)cudnnDestroyDropoutDescriptor(c->dropout);
    if (c->handle) (void)cudnnDestroy(c->handle);
    free(c);
}

/* ---- Running ---- */

extern "C" syn_status syn_cudnn_run(syn_ctx *ctx, syn_cudnn *c, int set, bool backward)
{
    (void)ctx;
    const syn_cudnn_layer *l = &c->layer;
    const size_t rows = (size_t)(l->T * l->B), s = (size_t)set;
    const size_t in = rows * (size_t)l->D * c->width;
    const size_t out = rows * (size_t)(l->directions * l->H) * c->width;
    char *x = c->x + s * in, *y = c->y + s * out;
    char *reserve = l->train ? c->reserve + s * c->reserve_bytes : NULL;
    const size_t reserve_bytes = l->train ? c->reserve_bytes : 0;
    TRY_CUDNN(cudnnRNNForward(
        c->handle, c->rnn, l->train ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE, c->length,
        c->x_of, x, c->y_of, y, c->state_of, NULL, NULL, c->state_of, NULL, NULL, c->weight_bytes,
        c->weights, c->work_bytes, c->work, reserve_bytes, reserve));
    if (!backward) return SYN_OK;
    TRY_CUDNN(cudnnRNNBackwardData_v8(c->handle, c->rnn, c->length, c->y_of, y, c->dy, c->x_of,
                                      c->dx + s * in, c->state_of, NULL, NULL, NULL, c->state_of,
                                      NULL, NULL, NULL, c->weight_bytes, c->weights, c->work_bytes,
                                      c->work, reserve_bytes, reserve));
    TRY_CUDNN(cudnnRNNBackwardWeights_v8(
        c->handle, c->rnn, CUDNN_WGRAD_MODE_ADD, c->length, c->x_of, x, c->state_of, NULL, c->y_of,
        y, c->weight_bytes, c->dweights, c->work_bytes, c->work, reserve_bytes, reserve));
    return SYN_OK;
}

extern "C" syn_status syn_cudnn_output(syn_ctx *ctx, syn_cudnn *c, real *h, real *dx)
{
    const syn_cudnn_layer *l = &c->layer;
    const int64_t rows = l->T * l->B;
    SYN_RETURN_IF(from_type(ctx, c, rows * l->directions * l->H, c->y, h));
    if (dx) SYN_RETURN_IF(from_type(ctx, c, rows * l->D, c->dx, dx));
    return SYN_OK;
}

#endif
