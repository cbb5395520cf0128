/* The LSTM by cuDNN, for the layouts that it has: dense, without resets, one direction forward or
 * both, inputs and outputs in one piece. Float data; in mixed precision the library may use the
 * matrix units.
 *
 * It shows neither the cells nor the gates of a step, so `c` is left as it is, and v keeps nothing
 * but the bias: the backward pass makes the forward one again, with the library's own reserve. */
#include "kernels/lstm_cuda.cuh"

#ifdef SYN_HAVE_CUDNN

#    include <cudnn.h>
#    include <stdlib.h>

enum { THREADS = 256, MATRICES = 2 * SYN_LSTM_GATES };

#    define TRY_CUDNN(call)                                                                        \
        do {                                                                                       \
            const cudnnStatus_t status_ = (call);                                                  \
            if (status_ != CUDNN_STATUS_SUCCESS)                                                   \
                return syn_fail(SYN_ERR_DEVICE, "cuDNN: " #call ": %s",                            \
                                cudnnGetErrorString(status_));                                     \
        } while (0)

/* One layer of one shape, for the length of a call. */
typedef struct layer {
    cudnnHandle_t handle;
    cudnnDropoutDescriptor_t dropout;
    cudnnRNNDescriptor_t rnn;
    cudnnRNNDataDescriptor_t x_of, h_of;
    cudnnTensorDescriptor_t state_of, matrix_of, bias_of;
    size_t weight_bytes, work_bytes, reserve_bytes;
    char *weights, *work, *reserve;
    int32_t *lengths; /* (B), device */
} layer;

/* What of our layout the library has no word for. */
static const char *layout_refused(const syn_lstm_pass *p)
{
    const syn_lstm_call *a = p->call;
    const int64_t width = p->directions * a->H;
    if (p->live || p->seq.offset) return "it takes dense sequences alone";
    if (p->seq.reset) return "it has no resets";
    if (p->seq.rows == 0) return "there are no steps";
    if (p->directions == 1 && a->reverse) return "it has no single reverse direction";
    if (a->ldh != width || (a->dh && a->lddh != width)) return "its outputs lie in one piece";
    if (p->directions == 1) return NULL;
    if (a->reverse || !a[1].reverse || a[1].h != a[0].h + a->H)
        return "its outputs lie in one piece";
    if (a->dh && a[1].dh != a[0].dh + a->H) return "its outputs lie in one piece";
    return a[0].dx == a[1].dx ? NULL : "it adds up what both directions give to x";
}

const char *syn_lstm_cudnn_refuses(const syn_ctx *ctx, const syn_lstm_pass *p)
{
    (void)ctx;
    return layout_refused(p);
}

/* ---- Opening and closing ---- */

static syn_status handle_of(syn_ctx *ctx, cudnnHandle_t *handle)
{
    if (!ctx->dnn) {
        TRY_CUDNN(cudnnCreate(handle));
        ctx->dnn = *handle;
    }
    *handle = (cudnnHandle_t)ctx->dnn;
    TRY_CUDNN(cudnnSetStream(*handle, (cudaStream_t)ctx->stream));
    return SYN_OK;
}

extern "C" void syn_cuda_dnn_free(syn_ctx *ctx)
{
    if (ctx->dnn) (void)cudnnDestroy((cudnnHandle_t)ctx->dnn);
    ctx->dnn = NULL;
}

static void layer_close(layer *l)
{
    if (l->bias_of) (void)cudnnDestroyTensorDescriptor(l->bias_of);
    if (l->matrix_of) (void)cudnnDestroyTensorDescriptor(l->matrix_of);
    if (l->state_of) (void)cudnnDestroyTensorDescriptor(l->state_of);
    if (l->h_of) (void)cudnnDestroyRNNDataDescriptor(l->h_of);
    if (l->x_of) (void)cudnnDestroyRNNDataDescriptor(l->x_of);
    if (l->rnn) (void)cudnnDestroyRNNDescriptor(l->rnn);
    if (l->dropout) (void)cudnnDestroyDropoutDescriptor(l->dropout);
}

static syn_status describe(syn_ctx *ctx, const syn_lstm_call *a, int directions, layer *l)
{
    const int T = (int)a->seq->steps, B = (int)a->seq->batch, D = (int)a->D, H = (int)a->H;
    int *lengths;
    SYN_HOST_TAKE(ctx, lengths, int, B);
    for (int b = 0; b < B; b++) lengths[b] = T;
    TRY_CUDNN(cudnnCreateDropoutDescriptor(&l->dropout));
    TRY_CUDNN(cudnnSetDropoutDescriptor(l->dropout, l->handle, 0, NULL, 0, 0));
    TRY_CUDNN(cudnnCreateRNNDescriptor(&l->rnn));
    TRY_CUDNN(cudnnSetRNNDescriptor_v8(
        l->rnn, CUDNN_RNN_ALGO_STANDARD, CUDNN_LSTM, CUDNN_RNN_SINGLE_INP_BIAS,
        directions == 2 ? CUDNN_BIDIRECTIONAL : CUDNN_UNIDIRECTIONAL, CUDNN_LINEAR_INPUT,
        CUDNN_DATA_FLOAT, CUDNN_DATA_FLOAT,
        ctx->math == SYN_MATH_MIXED ? CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION : CUDNN_FMA_MATH, D, H,
        H, 1, l->dropout, CUDNN_RNN_PADDED_IO_ENABLED));
    const cudnnRNNDataLayout_t rows = CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED;
    TRY_CUDNN(cudnnCreateRNNDataDescriptor(&l->x_of));
    TRY_CUDNN(cudnnSetRNNDataDescriptor(l->x_of, CUDNN_DATA_FLOAT, rows, T, B, D, lengths, NULL));
    TRY_CUDNN(cudnnCreateRNNDataDescriptor(&l->h_of));
    TRY_CUDNN(cudnnSetRNNDataDescriptor(l->h_of, CUDNN_DATA_FLOAT, rows, T, B, directions * H,
                                        lengths, NULL));
    const int size[3] = {directions, B, H}, stride[3] = {B * H, H, 1};
    TRY_CUDNN(cudnnCreateTensorDescriptor(&l->state_of));
    TRY_CUDNN(cudnnSetTensorNdDescriptor(l->state_of, CUDNN_DATA_FLOAT, 3, size, stride));
    TRY_CUDNN(cudnnCreateTensorDescriptor(&l->matrix_of));
    TRY_CUDNN(cudnnCreateTensorDescriptor(&l->bias_of));
    return SYN_OK;
}

static __global__ void fill_kernel(int n, int32_t value, int32_t *to)
{
    const int i = blockIdx.x * THREADS + threadIdx.x;
    if (i < n) to[i] = value;
}

/* Takes scratch. `train`: with what the backward pass needs. */
static syn_status layer_open(syn_ctx *ctx, const syn_lstm_call *a, int directions, bool train,
                             layer *l)
{
    const int B = (int)a->seq->batch;
    SYN_RETURN_IF(handle_of(ctx, &l->handle));
    SYN_RETURN_IF(describe(ctx, a, directions, l));
    TRY_CUDNN(cudnnGetRNNWeightSpaceSize(l->handle, l->rnn, &l->weight_bytes));
    TRY_CUDNN(cudnnGetRNNTempSpaceSizes(l->handle, l->rnn,
                                        train ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE,
                                        l->x_of, &l->work_bytes, &l->reserve_bytes));
    SYN_TAKE(ctx, l->weights, char, l->weight_bytes);
    SYN_TAKE(ctx, l->work, char, l->work_bytes);
    SYN_TAKE(ctx, l->reserve, char, l->reserve_bytes);
    SYN_TAKE(ctx, l->lengths, int32_t, B);
    SYN_LAUNCH(ctx, fill_kernel, (unsigned)syn_ceil_div(B, THREADS), THREADS, 0, B,
               (int32_t)a->seq->steps, l->lengths);
    SYN_LAUNCH_CHECK(ctx, "lengths for cuDNN");
    return SYN_OK;
}

/* ---- Weights ---- */

/* Where matrix k of a direction (gates of the input, then of the state) and its bias lie in
 * `space`, which is as large as the weights. */
static syn_status weight_at(const layer *l, int direction, int k, char *space, float **matrix,
                            float **bias)
{
    void *m = NULL, *b = NULL;
    TRY_CUDNN(cudnnGetRNNWeightParams(l->handle, l->rnn, direction, l->weight_bytes, space, k,
                                      l->matrix_of, &m, l->bias_of, &b));
    if (!m || (k < SYN_LSTM_GATES && !b))
        return syn_fail(SYN_ERR_DEVICE, "cuDNN: weight %d of direction %d has no place", k,
                        direction);
    *matrix = (float *)m;
    *bias = (float *)b;
    return SYN_OK;
}

/* b: the bias of each direction. */
static syn_status fill_weights(syn_ctx *ctx, const layer *l, const syn_lstm_call *a, int directions,
                               const float *const b[2])
{
    const int64_t D = a->D, H = a->H;
    SYN_RETURN_IF(syn_zero(ctx, l->weights, l->weight_bytes));
    for (int i = 0; i < directions * MATRICES; i++) {
        const int d = i / MATRICES, k = i % MATRICES, gate = k % SYN_LSTM_GATES;
        const bool input = k < SYN_LSTM_GATES;
        const int64_t count = H * (input ? D : H);
        float *matrix, *bias;
        SYN_RETURN_IF(weight_at(l, d, k, l->weights, &matrix, &bias));
        SYN_RETURN_IF(syn_copy(ctx, matrix, (input ? a[d].W : a[d].R) + gate * count,
                               sizeof(float) * (size_t)count));
        if (input) SYN_RETURN_IF(syn_copy(ctx, bias, b[d] + gate * H, sizeof(float) * (size_t)H));
    }
    return SYN_OK;
}

static __global__ void add_kernel(int64_t n, const float *x, float *to)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < n) to[i] += x[i];
}

static syn_status add(syn_ctx *ctx, int64_t n, const float *x, float *to)
{
    if (!to) return SYN_OK;
    SYN_LAUNCH(ctx, add_kernel, (unsigned)syn_ceil_div(n, THREADS), THREADS, 0, n, x, to);
    SYN_LAUNCH_CHECK(ctx, "gradients from cuDNN");
    return SYN_OK;
}

/* p + n, or NULL where there is no p. */
static float *beyond(float *p, int64_t n)
{
    return p ? p + n : NULL;
}

static syn_status add_gradients(syn_ctx *ctx, const layer *l, const syn_lstm_call *a,
                                int directions, char *gradients)
{
    const int64_t D = a->D, H = a->H;
    for (int i = 0; i < directions * MATRICES; i++) {
        const int d = i / MATRICES, k = i % MATRICES, gate = k % SYN_LSTM_GATES;
        const bool input = k < SYN_LSTM_GATES;
        const int64_t count = H * (input ? D : H);
        float *matrix, *bias;
        SYN_RETURN_IF(weight_at(l, d, k, gradients, &matrix, &bias));
        SYN_RETURN_IF(add(ctx, count, matrix, beyond(input ? a[d].dW : a[d].dR, gate * count)));
        if (input) SYN_RETURN_IF(add(ctx, H, bias, beyond(a[d].db, gate * H)));
    }
    return SYN_OK;
}

/* ---- Forward and backward ---- */

/* hT, cT through scratch, since they may be h0, c0. */
static syn_status forward(syn_ctx *ctx, const layer *l, const syn_lstm_call *a, int directions,
                          bool train, float *h)
{
    const int64_t state = directions * a->seq->batch * a->H;
    float *hT, *cT;
    SYN_TAKE(ctx, hT, float, state);
    SYN_TAKE(ctx, cT, float, state);
    TRY_CUDNN(cudnnRNNForward(
        l->handle, l->rnn, train ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE, l->lengths,
        l->x_of, a->x, l->h_of, h, l->state_of, a->h0, hT, l->state_of, a->c0, cT, l->weight_bytes,
        l->weights, l->work_bytes, l->work, l->reserve_bytes, l->reserve));
    const size_t bytes = sizeof(float) * (size_t)state;
    if (a->hT) SYN_RETURN_IF(syn_copy(ctx, a->hT, hT, bytes));
    return a->cT ? syn_copy(ctx, a->cT, cT, bytes) : SYN_OK;
}

static syn_status forward_in(syn_ctx *ctx, const syn_lstm_call *a, int directions, layer *l)
{
    const float *const b[2] = {a[0].b, a[directions - 1].b};
    const size_t bytes = sizeof(float) * (size_t)(SYN_LSTM_GATES * a->H);
    SYN_RETURN_IF(layer_open(ctx, a, directions, false, l));
    SYN_RETURN_IF(fill_weights(ctx, l, a, directions, b));
    for (int d = 0; d < directions; d++)
        if (a[d].v) SYN_RETURN_IF(syn_copy(ctx, a[d].v, a[d].b, bytes));
    return forward(ctx, l, a, directions, false, a->h);
}

static syn_status backward_in(syn_ctx *ctx, const syn_lstm_call *a, int directions, layer *l)
{
    const int64_t rows = a->seq->rows, state = directions * a->seq->batch * a->H;
    const float *const b[2] = {a[0].v, a[directions - 1].v};
    float *h, *dx = a->dx, *dh0, *dc0;
    char *gradients;
    SYN_RETURN_IF(layer_open(ctx, a, directions, true, l));
    SYN_RETURN_IF(fill_weights(ctx, l, a, directions, b));
    SYN_TAKE(ctx, h, float, rows *directions * a->H);
    SYN_TAKE(ctx, dh0, float, state);
    SYN_TAKE(ctx, dc0, float, state);
    SYN_TAKE(ctx, gradients, char, l->weight_bytes);
    if (!dx) SYN_TAKE(ctx, dx, float, rows * a->D);
    SYN_RETURN_IF(syn_zero(ctx, gradients, l->weight_bytes));
    SYN_RETURN_IF(forward(ctx, l, a, directions, true, h));
    TRY_CUDNN(cudnnRNNBackwardData_v8(l->handle, l->rnn, l->lengths, l->h_of, h, a->dh, l->x_of, dx,
                                      l->state_of, a->h0, a->dhT, dh0, l->state_of, a->c0, a->dcT,
                                      dc0, l->weight_bytes, l->weights, l->work_bytes, l->work,
                                      l->reserve_bytes, l->reserve));
    TRY_CUDNN(cudnnRNNBackwardWeights_v8(l->handle, l->rnn, CUDNN_WGRAD_MODE_ADD, l->lengths,
                                         l->x_of, a->x, l->state_of, a->h0, l->h_of, h,
                                         l->weight_bytes, gradients, l->work_bytes, l->work,
                                         l->reserve_bytes, l->reserve));
    SYN_RETURN_IF(add_gradients(ctx, l, a, directions, gradients));
    const size_t bytes = sizeof(float) * (size_t)state;
    if (a->dh0) SYN_RETURN_IF(syn_copy(ctx, a->dh0, dh0, bytes));
    return a->dc0 ? syn_copy(ctx, a->dc0, dc0, bytes) : SYN_OK;
}

syn_status syn_lstm_cudnn_forward(syn_ctx *ctx, const syn_lstm_call *a, int directions)
{
    layer l = {};
    const syn_status st = forward_in(ctx, a, directions, &l);
    layer_close(&l);
    return st;
}

syn_status syn_lstm_cudnn_backward(syn_ctx *ctx, const syn_lstm_call *a, int directions)
{
    layer l = {};
    const syn_status st = backward_in(ctx, a, directions, &l);
    layer_close(&l);
    return st;
}

#else

static const char *const ABSENT = "this build has no cuDNN";

const char *syn_lstm_cudnn_refuses(const syn_ctx *ctx, const syn_lstm_pass *p)
{
    (void)ctx;
    (void)p;
    return ABSENT;
}

extern "C" void syn_cuda_dnn_free(syn_ctx *ctx)
{
    ctx->dnn = NULL;
}

syn_status syn_lstm_cudnn_forward(syn_ctx *ctx, const syn_lstm_call *a, int directions)
{
    (void)ctx;
    (void)a;
    (void)directions;
    return syn_fail(SYN_ERR_UNSUPPORTED, "%s", ABSENT);
}

syn_status syn_lstm_cudnn_backward(syn_ctx *ctx, const syn_lstm_call *a, int directions)
{
    (void)ctx;
    (void)a;
    (void)directions;
    return syn_fail(SYN_ERR_UNSUPPORTED, "%s", ABSENT);
}

#endif
