#include "kernels/base/ctx.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef _OPENMP
#    include <omp.h>
#endif
#if defined(__x86_64__)
#    include <immintrin.h>
#endif
#ifdef SYN_HAVE_CUDA
#    include "kernels/base/cuda.h"
#endif

enum { SCRATCH_BLOCK_BYTES_MIN = 1 << 20, ALIGN = 64 };

void syn_flush_denormals(void)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040u); /* FTZ | DAZ */
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr | (1ull << 24)));
#endif
}

static int cores_available(void)
{
#ifdef _OPENMP
    return omp_get_num_procs();
#else
    return 1;
#endif
}

syn_status syn_ctx_init(syn_ctx *ctx, syn_device device, int threads)
{
    memset(ctx, 0, sizeof *ctx);
    SYN_REQUIRE(threads >= 0 && threads <= 1024, "threads is %d, allowed are 0 to 1024", threads);
    ctx->device = device;
    ctx->threads = threads ? threads : cores_available();
#ifdef _OPENMP
    omp_set_num_threads(ctx->threads); /* oneDNN uses the same team */
#    pragma omp parallel num_threads(ctx->threads)
    syn_flush_denormals();
#else
    ctx->threads = 1;
    syn_flush_denormals();
#endif
    if (device == SYN_DEVICE_CPU) return SYN_OK;
#ifdef SYN_HAVE_CUDA
    return syn_cuda_ctx_init(ctx);
#else
    return syn_fail(SYN_ERR_UNSUPPORTED,
                    "this build has no CUDA: use --device cpu, or build with -DSYN_CUDA=ON");
#endif
}

static void *raw_alloc(syn_ctx *ctx, size_t bytes)
{
    size_t padded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (padded < bytes) return NULL;
    if (padded == 0) padded = ALIGN;
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_cuda_alloc(ctx, padded);
#endif
    (void)ctx;
    return aligned_alloc(ALIGN, padded);
}

void *syn_device_alloc(syn_ctx *ctx, size_t bytes)
{
    void *p = raw_alloc(ctx, bytes);
    if (!p) {
        (void)syn_fail(SYN_ERR_MEMORY, "out of memory: %.1f MiB were asked for",
                       (double)bytes / (1 << 20));
        return NULL;
    }
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) {
        syn_cuda_zero(ctx, p, bytes);
        return p;
    }
#endif
    memset(p, 0, bytes);
    return p;
}

void syn_device_free(syn_ctx *ctx, void *p)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) {
        syn_cuda_free(ctx, p);
        return;
    }
#endif
    (void)ctx;
    free(p);
}

void syn_ctx_free(syn_ctx *ctx)
{
    for (syn_scratch_block *b = ctx->first; b;) {
        syn_scratch_block *next = b->next;
        syn_device_free(ctx, b->data);
        free(b);
        b = next;
    }
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) syn_cuda_ctx_free(ctx);
#endif
    memset(ctx, 0, sizeof *ctx);
}

syn_scratch_mark syn_scratch_push(syn_ctx *ctx)
{
    syn_scratch_mark m = {ctx->top, ctx->top ? ctx->top->bytes : 0};
    return m;
}

void syn_scratch_pop(syn_ctx *ctx, syn_scratch_mark mark)
{
    syn_scratch_block *b = mark.block ? mark.block->next : ctx->first;
    for (; b; b = b->next) b->bytes = 0;
    ctx->top = mark.block ? mark.block : ctx->first;
    if (ctx->top) ctx->top->bytes = mark.bytes;
}

static syn_scratch_block *block_create(syn_ctx *ctx, size_t bytes_min)
{
    syn_scratch_block *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    size_t size = ctx->top ? 2 * ctx->top->bytes_max : SCRATCH_BLOCK_BYTES_MIN;
    b->bytes_max = size < bytes_min ? bytes_min : size;
    b->data = raw_alloc(ctx, b->bytes_max);
    if (!b->data) {
        free(b);
        return NULL;
    }
    return b;
}

void *syn_scratch_alloc(syn_ctx *ctx, size_t bytes)
{
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    syn_scratch_block *b = ctx->top;
    while (b && b->bytes_max - b->bytes < bytes) b = b->next;
    if (!b) {
        b = block_create(ctx, bytes);
        if (!b) {
            (void)syn_fail(SYN_ERR_MEMORY, "out of memory: %.1f MiB of scratch were asked for",
                           (double)bytes / (1 << 20));
            return NULL;
        }
        syn_scratch_block **link = ctx->top ? &ctx->top->next : &ctx->first;
        while (*link) link = &(*link)->next;
        *link = b;
    }
    ctx->top = b;
    void *p = b->data + b->bytes;
    b->bytes += bytes;
    return p;
}
