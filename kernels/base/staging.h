/* Batches on their way from the host to the device: two buffers in turn, so that the host fills one
 * while the other is copied and computed with. On CUDA they are page-locked, and a copy takes its
 * place in the stream without anybody waiting for it. On the CPU there is one, and sending copies
 * at once. Not for work that is recorded (kernels/base/graph.h): send before it is launched. */
#ifndef SYN_BASE_STAGING_H
#define SYN_BASE_STAGING_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SYN_STAGING_BUFFERS = 2 };

/* All zero: nothing. */
typedef struct syn_staging {
    size_t bytes;                     /* of each buffer */
    void *host[SYN_STAGING_BUFFERS];  /* owned */
    void *event[SYN_STAGING_BUFFERS]; /* cudaEvent_t, owned: when a buffer's copy is done */
    bool sent[SYN_STAGING_BUFFERS];   /* it has been on its way at all */
    int turn;                         /* the buffer that is being filled */
} syn_staging;

/* s is overwritten, and empty on an error. Errors: SYN_ERR_MEMORY, SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_staging_init(syn_ctx *ctx, syn_staging *s, size_t bytes);
/* Waits for the context's stream. */
void syn_staging_free(syn_ctx *ctx, syn_staging *s);

/* *host: the next buffer (s->bytes), in host memory, once its last copy is done. It keeps what it
 * held. The caller's until it is sent. Errors: SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_staging_next(syn_ctx *ctx, syn_staging *s, void **host);

/* Queues the copy of the first `bytes` of that buffer to `device`, after what is queued on the
 * context's stream and before what will be. Errors: SYN_ERR_INVALID (more than s->bytes),
 * SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_staging_send(syn_ctx *ctx, syn_staging *s, void *device,
                                            size_t bytes);

/* The CUDA sides. Not for other callers. */
__typeof__(syn_staging_init) syn_staging_init_cuda;
__typeof__(syn_staging_free) syn_staging_free_cuda;
__typeof__(syn_staging_next) syn_staging_next_cuda;
__typeof__(syn_staging_send) syn_staging_send_cuda;

#ifdef __cplusplus
}
#endif
#endif
