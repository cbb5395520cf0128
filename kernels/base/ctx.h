/* The context every op takes: device, threads, stream and scratch memory.
 *
 * One context per thread of the caller. Scratch is a stack of blocks that never move: ops take what
 * they need between mark and release, and after the first step of a fixed shape nothing is
 * allocated any more. There are two such stacks, one on the device and one on the host; on the CPU
 * both are host memory. */
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

/* How CUDA computes; the CPU always computes in `real`. */
typedef enum syn_math {
    SYN_MATH_FP32, /* float throughout: what parity is measured in */
    SYN_MATH_MIXED /* operands rounded (products to TF32, recurrent weights and states to bf16),
                      sums in float; master weights stay float */
} syn_math;

typedef struct syn_scratch_block {
    struct syn_scratch_block *next;
    size_t bytes_max, bytes;
    unsigned char *data; /* 64-byte aligned */
    bool reserved;       /* part of what syn_ctx_reserve took */
} syn_scratch_block;

typedef struct syn_scratch_stack {
    syn_scratch_block *first, *top;
} syn_scratch_stack;

/* Device memory taken in one piece, from which allocations are cut in order. */
typedef struct syn_device_arena {
    unsigned char *data;
    size_t bytes_max, bytes;
    int64_t live; /* allocations not yet freed; without any, it begins anew */
} syn_device_arena;

typedef struct syn_ctx {
    syn_device device;
    int threads;            /* OpenMP threads of the CPU ops, >= 1 */
    syn_math math;          /* SYN_MATH_FP32 until set otherwise */
    void *stream;           /* cudaStream_t on CUDA, NULL on the CPU */
    void *blas;             /* the library handle of matrix products on CUDA; owned */
    void *dnn;              /* cuDNN's handle on CUDA, where it is asked for; owned */
    void *bounce;           /* page-locked memory for copies on CUDA; owned */
    bool sync_every_launch; /* SYNCOG_CUDA_SYNC=1 */
    syn_scratch_stack scratch, host_scratch;
    syn_device_arena arena; /* empty until syn_ctx_reserve */
    void *workspace;        /* of matrix products on CUDA, a part of the same; NULL: none */
    int64_t allocations;    /* that the device's runtime was asked for; CUDA */
    /* (1), on the device, borrowed, or NULL: dropout adds it to its counter, so that work that is
     * recorded once draws another mask each time. */
    const uint64_t *draws;
    struct syn_packed *packed; /* kernels/packed.h */
} syn_ctx;

/* threads 0: one per available core. SYN_ERR_UNSUPPORTED for CUDA where the build or the machine
 * has none. Sets flush-to-zero and denormals-are-zero on the calling thread and on the OpenMP team.
 */
SYN_WARN_UNUSED syn_status syn_ctx_init(syn_ctx *ctx, syn_device device, int threads);
void syn_ctx_free(syn_ctx *ctx);

/* CUDA devices of the machine; 0 where the build or the machine has none. */
int syn_device_count(void);
/* Which CUDA device the contexts that this thread opens from now on are on: number `index` of the
 * machine's, counted round. Nothing where the build or the machine has none. */
void syn_device_select(int index);

/* Takes device memory for all that follows in one piece: `bytes` for syn_device_alloc, each
 * allocation rounded up to 64 bytes and freed when all are, `scratch` for scratch, and what matrix
 * products work in (SYN_PRODUCT_WORKSPACE_BYTES). What goes beyond that is taken by itself, and
 * counted in ctx->allocations. Only a context's first call counts; on the CPU none does.
 * SYN_ERR_MEMORY where there is not as much. */
enum { SYN_PRODUCT_WORKSPACE_BYTES = 32 << 20 };
SYN_WARN_UNUSED syn_status syn_ctx_reserve(syn_ctx *ctx, size_t bytes, size_t scratch);
/* Bytes of device memory that are free; 0 on the CPU, where nobody counts. */
size_t syn_device_room(syn_ctx *ctx);

/* Sets FTZ/DAZ for the calling thread; a thread that runs CPU ops without its own context calls it.
 */
void syn_flush_denormals(void);

/* Zeroed device memory, 64-byte aligned; NULL on failure (the sentence says how much was asked). */
void *syn_device_alloc(syn_ctx *ctx, size_t bytes);
void syn_device_free(syn_ctx *ctx, void *p);

/* Between host and device memory, in stream order. In: `host` is free to be written again when the
 * call returns, whether or not the copy has been made. Out: waits until it is there. */
SYN_WARN_UNUSED syn_status syn_copy_in(syn_ctx *ctx, void *device, const void *host, size_t bytes);
SYN_WARN_UNUSED syn_status syn_copy_out(syn_ctx *ctx, void *host, const void *device, size_t bytes);
/* Within device memory, in stream order; to and from do not overlap. */
SYN_WARN_UNUSED syn_status syn_copy(syn_ctx *ctx, void *to, const void *from, size_t bytes);
SYN_WARN_UNUSED syn_status syn_zero(syn_ctx *ctx, void *p, size_t bytes);
/* Until all that was asked of the device is done, and whether it went well. */
SYN_WARN_UNUSED syn_status syn_wait(syn_ctx *ctx);

/* A place on both stacks. */
typedef struct syn_scratch_mark {
    syn_scratch_block *block, *host_block;
    size_t bytes, host_bytes;
} syn_scratch_mark;

syn_scratch_mark syn_scratch_push(syn_ctx *ctx);
void syn_scratch_pop(syn_ctx *ctx, syn_scratch_mark mark);
/* Uninitialised device memory until the matching pop; NULL when out of memory. */
void *syn_scratch_alloc(syn_ctx *ctx, size_t bytes);
/* Host memory likewise: for what host code reads and writes, whatever the device. */
void *syn_host_scratch_alloc(syn_ctx *ctx, size_t bytes);

#define SYN_SCRATCH(ctx, type, count)                                                              \
    ((type *)syn_scratch_alloc((ctx), sizeof(type) * (size_t)(count)))
#define SYN_HOST_SCRATCH(ctx, type, count)                                                         \
    ((type *)syn_host_scratch_alloc((ctx), sizeof(type) * (size_t)(count)))

/* Scratch into `ptr`, in functions that leave the release to whoever holds the mark. */
#define SYN_TAKE(ctx, ptr, type, count)                                                            \
    do {                                                                                           \
        (ptr) = SYN_SCRATCH(ctx, type, count);                                                     \
        if (!(ptr)) return SYN_ERR_MEMORY;                                                         \
    } while (0)
#define SYN_HOST_TAKE(ctx, ptr, type, count)                                                       \
    do {                                                                                           \
        (ptr) = SYN_HOST_SCRATCH(ctx, type, count);                                                \
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
