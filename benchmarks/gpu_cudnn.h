/* cuDNN's LSTM through its own interface, to be timed beside ours. SYN_ERR_UNSUPPORTED in builds
 * without cuDNN (SYN_HAVE_CUDNN), and where it does not take a shape in the way asked for. */
#ifndef SYN_BENCHMARKS_GPU_CUDNN_H
#define SYN_BENCHMARKS_GPU_CUDNN_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* bf16 and fp32 sum in float, fp16 too; fp16_sums16 leaves the sums in fp16. */
typedef enum syn_cudnn_type {
    SYN_CUDNN_BF16,
    SYN_CUDNN_FP16,
    SYN_CUDNN_FP16_SUMS16,
    SYN_CUDNN_FP32,
    SYN_CUDNN_TYPES
} syn_cudnn_type;

typedef enum syn_cudnn_way {
    SYN_CUDNN_STANDARD,
    SYN_CUDNN_PERSIST_STATIC,
    SYN_CUDNN_PERSIST_DYNAMIC,
    SYN_CUDNN_PERSIST_SMALL,
    SYN_CUDNN_WAYS
} syn_cudnn_way;

const char *syn_cudnn_type_name(syn_cudnn_type type);
const char *syn_cudnn_way_name(syn_cudnn_way way);

/* One layer over T steps of B sequences; `sets` sets of inputs and outputs. Device memory, float,
 * borrowed while it is opened: x (sets, T, B, D) and dh (T, B, directions * H), rounded to the
 * type; W (4H,D), R (4H,H), b (4H) of each direction in our order. */
typedef struct syn_cudnn_layer {
    int64_t T, B, D, H;
    int directions, sets;
    bool train;
    const real *x, *dh, *W[2], *R[2], *b[2];
} syn_cudnn_layer;

typedef struct syn_cudnn syn_cudnn;

/* The version, 0 in builds without it. */
int syn_cudnn_version(void);
SYN_WARN_UNUSED syn_status syn_cudnn_open(syn_ctx *ctx, const syn_cudnn_layer *layer,
                                          syn_cudnn_type type, syn_cudnn_way way, syn_cudnn **out);
/* Queues the forward pass of a set and, where `backward`, the gradients of x and of the weights
 * (added up, as ours). */
SYN_WARN_UNUSED syn_status syn_cudnn_run(syn_ctx *ctx, syn_cudnn *c, int set, bool backward);
/* Set 0's outputs as floats: h (T, B, directions * H); dx (T, B, D) or NULL. */
SYN_WARN_UNUSED syn_status syn_cudnn_output(syn_ctx *ctx, syn_cudnn *c, real *h, real *dx);
void syn_cudnn_close(syn_cudnn *c);

#ifdef __cplusplus
}
#endif
#endif
