/* What a device can do at most, measured with the plainest programs: the rates and delays that
 * other figures are set against. */
#ifndef SYN_BENCHMARKS_GPU_LIMITS_H
#define SYN_BENCHMARKS_GPU_LIMITS_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct syn_gpu_limits {
    double copy_gbs;    /* a large copy on the device, bytes read plus bytes written, 1e9/s */
    double bf16_tflops; /* a large cuBLASLt product of random bf16 numbers, sums in float */
    double tf32_tflops; /* syn_gemm with SYN_MATH_MIXED */
    double fp32_tflops; /* syn_gemm with SYN_MATH_FP32 */
    double hop_us;      /* 16 bytes sent to another block of a cluster and seen there; 0: none */
    double grid_us;     /* one barrier of all blocks of a cooperative launch */
    double launch_us;   /* one empty kernel after the other in a graph */
} syn_gpu_limits;

/* tiny: sizes for an emulated device, whose rates say nothing. Errors: SYN_ERR_DEVICE,
 * SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_gpu_limits_measure(syn_ctx *ctx, bool tiny, syn_gpu_limits *limits);

/* What the device must do for one pass of a recurrent layer. */
typedef struct syn_gpu_demand {
    double flops; /* on the tensor cores */
    double bytes; /* of device memory: inputs, outputs and weights once */
    double steps; /* that follow each other: T, or 2T with the backward pass */
} syn_gpu_demand;

/* The least time that the limits allow, and what sets it: "exchange" (a hop per step), "tensor
 * cores" or "memory". */
double syn_gpu_least_us(const syn_gpu_limits *limits, const syn_gpu_demand *demand,
                        const char **binds);

/* The CUDA side. Not for other callers. */
typedef struct syn_gpu_product syn_gpu_product;
SYN_WARN_UNUSED syn_status syn_gpu_product_open(syn_ctx *ctx, int64_t n, const real *random,
                                                syn_gpu_product **product);
SYN_WARN_UNUSED syn_status syn_gpu_product_run(syn_ctx *ctx, syn_gpu_product *product);
void syn_gpu_product_close(syn_gpu_product *product);
/* `rounds` messages to and fro; SYN_ERR_UNSUPPORTED before sm_90. */
SYN_WARN_UNUSED syn_status syn_gpu_hops(syn_ctx *ctx, int rounds);
/* barrier: 64 zeroed bytes of device memory. */
SYN_WARN_UNUSED syn_status syn_gpu_grid_barriers(syn_ctx *ctx, int rounds, void *barrier);
SYN_WARN_UNUSED syn_status syn_gpu_empty(syn_ctx *ctx, int launches);

#ifdef __cplusplus
}
#endif
#endif
