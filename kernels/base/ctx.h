/* The context every op takes: device, threads, stream and scratch memory.
 *
 * One context per thread of the caller. Scratch is a stack of blocks that never move: ops take what
 * they need between mark and release, and after the first step of a fixed shape nothing is
 * allocated any more. */
#ifndef SYN_BASE_CTX_H
#define SYN_BASE_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/base/real.h"
#include "kernels/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum syn_device { SYN_DEVICE_CPU, SYN_DEVICE_CUDA } syn_device;

typedef struct syn_scratch_block {
    struct syn_scratch_block *next;
    size_t bytes_max, bytes;
    unsigned char *data; /* 64-byte aligned, on the context's device */
} syn_scratch_block;

typedef struct syn_ctx {
    syn_device device;
    int threads;              /* OpenMP threads of the CPU ops, >= 1 */
    void *stream;             /* cudaStream_t on CUDA, NULL on the CPU */
    bool sync_every_launch;   /* SYNCOG_CUDA_SYNC=1 */
    syn_scratch_block *first; /* scratch stack */
    syn_scratch_block *top;
} syn_ctx;

/* threads 0: one per available core. SYN_ERR_UNSUPPORTED for CUDA where the build or the machine
 * has none. Sets flush-to-zero and denormals-are-zero on the calling thread and on the OpenMP team.
 */
SYN_WARN_UNUSED syn_status syn_ctx_init(syn_ctx *ctx, syn_device device, int threads);
void syn_ctx_free(syn_ctx *ctx);

/* Sets FTZ/DAZ for the calling thread; a thread that runs CPU ops without its own context calls it.
 */
void syn_flush_denormals(void);

/* Zeroed device memory, 64-byte aligned; NULL on failure (the sentence says how much was asked). */
void *syn_device_alloc(syn_ctx *ctx, size_t bytes);
void syn_device_free(syn_ctx *ctx, void *p);

typedef struct syn_scratch_mark {
    syn_scratch_block *block;
    size_t bytes;
} syn_scratch_mark;

syn_scratch_mark syn_scratch_push(syn_ctx *ctx);
void syn_scratch_pop(syn_ctx *ctx, syn_scratch_mark mark);
/* Uninitialised device memory until the matching pop; NULL when out of memory. */
void *syn_scratch_alloc(syn_ctx *ctx, size_t bytes);

#define SYN_SCRATCH(ctx, type, count)                                                              \
    ((type *)syn_scratch_alloc((ctx), sizeof(type) * (size_t)(count)))

/* Scratch into `ptr`, in functions that leave the release to whoever holds the mark. */
#define SYN_TAKE(ctx, ptr, type, count)                                                            \
    do {                                                                                           \
        (ptr) = SYN_SCRATCH(ctx, type, count);                                                     \
        if (!(ptr)) return SYN_ERR_MEMORY;                                                         \
    } while (0)

/* Calls the CPU or the CUDA side of an op; builds without CUDA have the first only. */
#ifdef SYN_HAVE_CUDA
#    define SYN_DISPATCH(ctx, op, ...)                                                             \
        ((ctx)->device == SYN_DEVICE_CUDA ? op##_cuda(ctx, __VA_ARGS__)                            \
                                          : op##_cpu(ctx, __VA_ARGS__))
#else
#    define SYN_DISPATCH(ctx, op, ...) op##_cpu(ctx, __VA_ARGS__)
#endif

#ifdef __cplusplus
}
#endif
#endif
