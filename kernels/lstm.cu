/* The CUDA side of the LSTM: what does not depend on the step is one product over all rows outside
 * the time loop; the recurrence between is one of the variants of kernels/lstm_<variant>.cu. Every
 * sum has one owner and a fixed order, so results are equal from run to run. */
#include <stdio.h>
#include <string.h>

#include "kernels/gemm.h"
#include "kernels/linear.h"
#include "kernels/lstm_choose.h"
#include "kernels/lstm_cuda.cuh"
#include "kernels/reduce.h"

enum { THREADS = 256 };

/* ---- Which variant ---- */

typedef struct offer {
    const char *(*refuses)(const syn_ctx *ctx, const syn_lstm_pass *p);
    syn_status (*forward)(syn_ctx *ctx, const syn_lstm_pass *p);
    syn_status (*backward)(syn_ctx *ctx, const syn_lstm_pass *p);
} offer;

/* By variant; cuDNN takes the whole call. */
static const offer OFFERS[SYN_LSTM_VARIANTS] = {
    {},
    {syn_lstm_step_refuses, syn_lstm_step_forward, syn_lstm_step_backward},
    {syn_lstm_block_refuses, syn_lstm_block_forward, syn_lstm_block_backward},
    {syn_lstm_cluster_refuses, syn_lstm_cluster_forward, syn_lstm_cluster_backward},
    {syn_lstm_wide_refuses, syn_lstm_wide_forward, syn_lstm_cluster_backward},
    {syn_lstm_grid_refuses, syn_lstm_grid_forward, syn_lstm_grid_backward},
    {syn_lstm_cudnn_refuses},
};

static syn_lstm_pass pass_of(const syn_lstm_call *a, int directions)
{
    syn_lstm_pass p = {};
    p.seq = *a->seq;
    p.directions = directions;
    p.keep = a->v != NULL;
    for (int d = 0; d < directions; d++) p.call[d] = a[d];
    return p;
}

static syn_lstm_layer layer_of(const syn_lstm_call *a, int directions, bool backward)
{
    const syn_seq *q = a->seq;
    return {a->H, directions, q->batch, q->steps, q->offset != NULL, q->reset != NULL, backward};
}

static const char *device_name(void)
{
    static cudaDeviceProp properties;
    int device = 0;
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaGetDeviceProperties(&properties, device) != cudaSuccess) {
        (void)cudaGetLastError(); /* answered here */
        return "";
    }
    return properties.name;
}

/* The first of the rule that takes the pass; step takes all. */
static syn_status fastest(const syn_ctx *ctx, const syn_lstm_pass *p, const syn_lstm_layer *layer,
                          syn_lstm_variant *variant)
{
    SYN_RETURN_IF(syn_lstm_table_open(device_name));
    const syn_lstm_rule *rule = syn_lstm_rule_for(layer, ctx->math);
    for (int i = 0; i < SYN_LSTM_ORDER_MAX && rule->order[i] != SYN_LSTM_AUTO; i++) {
        *variant = rule->order[i];
        if (!OFFERS[*variant].refuses(ctx, p)) return SYN_OK;
    }
    *variant = SYN_LSTM_STEP;
    return SYN_OK;
}

/* Whether the forward pass of this backward pass was cuDNN's, which nobody else can go on from. */
static bool cudnn_began(const syn_ctx *ctx, const syn_lstm_pass *p, const syn_lstm_layer *layer)
{
    syn_lstm_pass forward = *p;
    for (int d = 0; d < p->directions; d++) forward.call[d].dh = forward.call[d].dx = NULL;
    return layer->backward && !syn_lstm_cudnn_refuses(ctx, &forward);
}

static syn_status choose(const syn_ctx *ctx, const syn_lstm_pass *p, const syn_lstm_layer *layer,
                         syn_lstm_variant *variant)
{
    bool forced;
    SYN_RETURN_IF(syn_lstm_variant_get(variant, &forced));
    if (*variant != SYN_LSTM_AUTO) {
        const char *why = OFFERS[*variant].refuses(ctx, p);
        if (!why) return SYN_OK;
        if (forced || (*variant == SYN_LSTM_CUDNN && cudnn_began(ctx, p, layer)))
            return syn_fail(SYN_ERR_UNSUPPORTED, "LSTM of width %lld by \"%s\": %s",
                            (long long)layer->H, syn_lstm_variant_name(*variant), why);
        syn_lstm_variant_passed_over(*variant, layer->H, layer->directions, why);
    }
    return fastest(ctx, p, layer, variant);
}

/* A pass of that shape without its buffers: it is asked about, not run. */
static syn_lstm_pass imagined(const syn_lstm_layer *layer)
{
    static const int32_t offset = 0;
    static const uint8_t reset = 0;
    static float rows[2];
    syn_lstm_pass p = {};
    p.seq = {layer->batch, layer->steps, layer->batch * layer->steps,
             layer->packed ? &offset : NULL, layer->resets ? &reset : NULL};
    p.directions = layer->directions;
    p.keep = true;
    for (int d = 0; d < layer->directions; d++) {
        syn_lstm_call *a = &p.call[d];
        a->H = layer->H;
        a->reverse = d == 1;
        a->ldh = a->lddh = layer->directions * layer->H;
        a->h = (float *)((uintptr_t)rows + (size_t)(d * layer->H) * sizeof(float));
        a->dh = layer->backward ? a->h : NULL;
    }
    return p;
}

extern "C" syn_status syn_lstm_variant_taken_cuda(syn_ctx *ctx, const syn_lstm_layer *layer,
                                                  syn_lstm_variant *variant)
{
    const syn_lstm_pass p = imagined(layer);
    return choose(ctx, &p, layer, variant);
}

extern "C" syn_status syn_lstm_variant_check_cuda(syn_ctx *ctx, const syn_lstm_layer *layers,
                                                  int count)
{
    syn_lstm_variant variant;
    bool forced;
    char reasons[512] = "";
    SYN_RETURN_IF(syn_lstm_variant_get(&variant, &forced));
    if (variant == SYN_LSTM_AUTO || count == 0) return SYN_OK;
    for (int i = 0; i < count; i++) {
        const syn_lstm_pass p = imagined(&layers[i]);
        const char *why = OFFERS[variant].refuses(ctx, &p);
        if (!why) return SYN_OK;
        const size_t length = strlen(reasons);
        snprintf(reasons + length, sizeof reasons - length, "%swidth %lld: %s", i ? "; " : "",
                 (long long)layers[i].H, why);
    }
    return syn_fail(SYN_ERR_UNSUPPORTED,
                    "none of the networks' LSTMs can be computed by \"%s\": %s",
                    syn_lstm_variant_name(variant), reasons);
}

/* ---- Forward ---- */

static syn_status forward_in_scratch(syn_ctx *ctx, const syn_lstm_call *a, int directions)
{
    syn_lstm_pass p = pass_of(a, directions);
    const int64_t rows = p.seq.rows, D = a->D, width = SYN_LSTM_GATES * a->H;
    const syn_lstm_layer layer = layer_of(a, directions, false);
    syn_lstm_variant variant;
    SYN_RETURN_IF(choose(ctx, &p, &layer, &variant));
    if (variant == SYN_LSTM_CUDNN) return syn_lstm_cudnn_forward(ctx, a, directions);
    for (int d = 0; d < directions; d++) {
        syn_lstm_call *call = &p.call[d];
        if (!call->v) SYN_TAKE(ctx, call->v, float, rows *width);
        SYN_RETURN_IF(syn_linear_forward(ctx, rows, D, width, call->x, D, call->W, call->b,
                                         SYN_ACT_NONE, call->v, width));
    }
    return OFFERS[variant].forward(ctx, &p);
}

extern "C" syn_status syn_lstm_forward_cuda(syn_ctx *ctx, const syn_lstm_call *a, int directions)
{
    const syn_scratch_mark mark = syn_scratch_push(ctx);
    const syn_status st = forward_in_scratch(ctx, a, directions);
    syn_scratch_pop(ctx, mark);
    return st;
}

/* ---- Backward ---- */

/* previous (rows,H) = the h that entered each row's step. A block takes 256 units of a sequence. */
static __global__ void previous_kernel(syn_seq q, syn_lstm_call a, int64_t unit_blocks,
                                       float *previous)
{
    const int64_t b = blockIdx.x / unit_blocks;
    const int64_t u = (int64_t)(blockIdx.x % unit_blocks) * THREADS + threadIdx.x;
    if (u >= a.H) return;
    const int64_t length = syn_lstm_length(q, b);
    for (int64_t s = blockIdx.y; s < length; s += gridDim.y) {
        float h = 0;
        if (syn_lstm_reset(q, a.reverse, b, s))
            h = 0;
        else if (s > 0)
            h = a.h[syn_lstm_row(q, a.reverse, b, length, s - 1) * a.ldh + u];
        else if (a.h0)
            h = a.h0[b * a.H + u];
        previous[syn_lstm_row(q, a.reverse, b, length, s) * a.H + u] = h;
    }
}

/* dR += v^T (what entered each row's step). */
static syn_status recurrent_gradient(syn_ctx *ctx, const syn_lstm_call *a)
{
    const syn_seq q = *a->seq;
    const int64_t H = a->H, width = SYN_LSTM_GATES * H, unit_blocks = syn_ceil_div(H, THREADS);
    float *previous;
    SYN_TAKE(ctx, previous, float, q.rows *H);
    const int64_t steps_at_once = 64;
    const dim3 grid((unsigned)(unit_blocks * q.batch),
                    (unsigned)(q.steps < steps_at_once ? q.steps : steps_at_once));
    SYN_LAUNCH(ctx, previous_kernel, grid, THREADS, 0, q, *a, unit_blocks, previous);
    SYN_LAUNCH_CHECK(ctx, "previous states of the LSTM");
    return syn_gemm(ctx, true, false, width, H, q.rows, 1, a->v, width, previous, H, 1, a->dR, H);
}

static syn_status sequence_gradients(syn_ctx *ctx, const syn_lstm_call *a)
{
    const int64_t rows = a->seq->rows, D = a->D, width = SYN_LSTM_GATES * a->H;
    if (rows == 0) return SYN_OK;
    if (a->dW)
        SYN_RETURN_IF(
            syn_gemm(ctx, true, false, width, D, rows, 1, a->v, width, a->x, D, 1, a->dW, D));
    if (a->dR) SYN_RETURN_IF(recurrent_gradient(ctx, a));
    if (a->db) SYN_RETURN_IF(syn_column_sum(ctx, rows, width, a->v, width, a->db));
    if (!a->dx) return SYN_OK;
    return syn_gemm(ctx, false, false, rows, D, width, 1, a->v, width, a->W, D,
                    a->dx_accumulate ? 1 : 0, a->dx, D);
}

static syn_status backward_in_scratch(syn_ctx *ctx, const syn_lstm_call *a, int directions)
{
    const syn_lstm_pass p = pass_of(a, directions);
    const syn_lstm_layer layer = layer_of(a, directions, true);
    syn_lstm_variant variant;
    SYN_RETURN_IF(choose(ctx, &p, &layer, &variant));
    if (variant == SYN_LSTM_CUDNN) return syn_lstm_cudnn_backward(ctx, a, directions);
    SYN_RETURN_IF(OFFERS[variant].backward(ctx, &p));
    for (int d = 0; d < directions; d++) SYN_RETURN_IF(sequence_gradients(ctx, &a[d]));
    return SYN_OK;
}

extern "C" syn_status syn_lstm_backward_cuda(syn_ctx *ctx, const syn_lstm_call *a, int directions)
{
    const syn_scratch_mark mark = syn_scratch_push(ctx);
    const syn_status st = backward_in_scratch(ctx, a, directions);
    syn_scratch_pop(ctx, mark);
    return st;
}
