/* What the CUDA side of the ops shares. Plain C: cudaStream_t is `void *`, errors are statuses. */
#ifndef SYN_BASE_CUDA_H
#define SYN_BASE_CUDA_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the stream of the current device and reads SYNCOG_CUDA_SYNC. SYN_ERR_UNSUPPORTED where
 * there is no device or no driver, SYN_ERR_DEVICE where it fails. */
SYN_WARN_UNUSED syn_status syn_cuda_ctx_init(syn_ctx *ctx);
void syn_cuda_ctx_free(syn_ctx *ctx);
/* Frees ctx->blas (kernels/gemm.cu), which may be NULL. */
void syn_cuda_blas_free(syn_ctx *ctx);
/* Frees ctx->dnn (kernels/lstm_cudnn.cu), which may be NULL. */
void syn_cuda_dnn_free(syn_ctx *ctx);

/* Devices of the machine; 0 where there is no driver. */
int syn_cuda_count(void);
/* The calling thread's device: number `index` of the machine's, counted round. */
void syn_cuda_select(int index);
/* Bytes free on the calling thread's device. */
size_t syn_cuda_room(void);

/* Device memory, uninitialised; NULL when there is not enough. */
void *syn_cuda_alloc(syn_ctx *ctx, size_t bytes);
void syn_cuda_free(syn_ctx *ctx, void *p);
/* SYN_ERR_DEVICE with a sentence that names `what` and the runtime's reason (error: a cudaError_t,
 * not cudaSuccess), which later checks of launches do not see again. */
SYN_WARN_UNUSED syn_status syn_cuda_failed(int error, const char *what);
/* In stream order. */
SYN_WARN_UNUSED syn_status syn_cuda_zero(syn_ctx *ctx, void *p, size_t bytes);

/* Between any two of host and device memory, in stream order; with `wait`, until it is done. */
SYN_WARN_UNUSED syn_status syn_cuda_copy(syn_ctx *ctx, void *to, const void *from, size_t bytes,
                                         bool wait);
/* What syn_copy_in and syn_copy_out do: kernels/base/bounce.cu. */
SYN_WARN_UNUSED syn_status syn_cuda_copy_in(syn_ctx *ctx, void *device, const void *host,
                                            size_t bytes);
SYN_WARN_UNUSED syn_status syn_cuda_copy_out(syn_ctx *ctx, void *host, const void *device,
                                             size_t bytes);
/* Frees ctx->bounce, which may be NULL. */
void syn_cuda_bounce_free(syn_ctx *ctx);
/* Waits for the stream. */
SYN_WARN_UNUSED syn_status syn_cuda_wait(syn_ctx *ctx);

/* SYN_OK, or SYN_ERR_DEVICE with a sentence that names `what` and the place, when a launch before
 * this call failed (with SYNCOG_CUDA_SYNC=1: when the kernel itself failed, too). */
SYN_WARN_UNUSED syn_status syn_cuda_check(syn_ctx *ctx, const char *what, const char *file,
                                          int line);

/* After every launch, in functions that return syn_status and own nothing. */
#define SYN_LAUNCH_CHECK(ctx, what) SYN_RETURN_IF(syn_cuda_check((ctx), (what), __FILE__, __LINE__))

#ifdef __cplusplus
}
#endif
#endif
