#include "kernels/base/ctx.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

enum {
    SCRATCH_BLOCK_BYTES_MIN = 1 << 20,
    ALIGN = 64,
    PRODUCT_ALIGN = 256 /* of what products work in: as the runtime aligns what it gives */
};

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

static size_t padded_to(size_t bytes)
{
    const size_t padded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return padded ? padded : ALIGN;
}

static void *raw_alloc(syn_ctx *ctx, size_t bytes)
{
    const size_t padded = padded_to(bytes);
    if (padded < bytes) return NULL;
#ifdef SYN_HAVE_CUDA
    /* As asked: the emulated device sees what goes past it. */
    if (ctx->device == SYN_DEVICE_CUDA) return syn_cuda_alloc(ctx, bytes ? bytes : ALIGN);
#endif
    (void)ctx;
    return aligned_alloc(ALIGN, padded);
}

/* ---- Memory taken in one piece ---- */

static void *arena_alloc(syn_device_arena *a, size_t bytes)
{
    const size_t padded = padded_to(bytes);
    if (padded < bytes || a->bytes_max - a->bytes < padded) return NULL;
    void *p = a->data + a->bytes;
    a->bytes += padded;
    a->live++;
    return p;
}

static bool arena_free(syn_device_arena *a, const void *p)
{
    const unsigned char *at = p;
    if (!a->data || at < a->data || at >= a->data + a->bytes_max) return false;
    if (--a->live == 0) a->bytes = 0;
    return true;
}

int syn_device_count(void)
{
#ifdef SYN_HAVE_CUDA
    return syn_cuda_count();
#else
    return 0;
#endif
}

void syn_device_select(int index)
{
#ifdef SYN_HAVE_CUDA
    syn_cuda_select(index);
#else
    (void)index;
#endif
}

size_t syn_device_room(syn_ctx *ctx)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_cuda_room();
#endif
    (void)ctx;
    return 0;
}

syn_status syn_ctx_reserve(syn_ctx *ctx, size_t bytes, size_t scratch)
{
    if (ctx->device == SYN_DEVICE_CPU || ctx->arena.data) return SYN_OK;
    bytes = padded_to(bytes);
    scratch = padded_to(scratch);
    scratch += (PRODUCT_ALIGN - (bytes + scratch) % PRODUCT_ALIGN) % PRODUCT_ALIGN;
    syn_scratch_block *b = calloc(1, sizeof *b);
    const size_t all = bytes + scratch + (ctx->blas ? 0 : SYN_PRODUCT_WORKSPACE_BYTES);
    unsigned char *data = b ? raw_alloc(ctx, all) : NULL;
    if (!data) {
        free(b);
        return syn_fail(SYN_ERR_MEMORY,
                        "out of memory: %.1f MiB of the device were asked for, %.1f MiB are free",
                        (double)all / (1 << 20), (double)syn_device_room(ctx) / (1 << 20));
    }
    ctx->arena = (syn_device_arena){.data = data, .bytes_max = bytes};
    if (!ctx->blas) ctx->workspace = data + bytes + scratch;
    *b = (syn_scratch_block){
        .next = ctx->scratch.first, .bytes_max = scratch, .data = data + bytes, .reserved = true};
    if (!ctx->scratch.top) ctx->scratch.top = b;
    ctx->scratch.first = b;
    return SYN_OK;
}

/* Of the CPU. The pages of a large block are left to the kernel: they are zero, and come when they
 * are first touched. A scorer has room for thousands of sessions, most of which may never come. */
static void zero_fresh(unsigned char *p, size_t bytes)
{
    enum { LARGE_BYTES = 4 << 20 };
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const size_t before = (page - (uintptr_t)p % page) % page;
    const size_t pages = bytes < LARGE_BYTES ? 0 : (bytes - before) / page * page;
    if (pages == 0 || madvise(p + before, pages, MADV_DONTNEED) != 0) {
        memset(p, 0, bytes);
        return;
    }
    memset(p, 0, before);
    memset(p + before + pages, 0, bytes - before - pages);
}

void *syn_device_alloc(syn_ctx *ctx, size_t bytes)
{
    void *p = ctx->arena.data ? arena_alloc(&ctx->arena, bytes) : NULL;
    if (!p) p = raw_alloc(ctx, bytes);
    if (!p) {
        (void)syn_fail(SYN_ERR_MEMORY, "out of memory: %.1f MiB were asked for",
                       (double)bytes / (1 << 20));
        return NULL;
    }
    if (ctx->device == SYN_DEVICE_CPU) {
        zero_fresh(p, bytes);
        return p;
    }
    if (syn_zero(ctx, p, bytes) == SYN_OK) return p;
    syn_device_free(ctx, p);
    return NULL;
}

void syn_device_free(syn_ctx *ctx, void *p)
{
    if (!p || arena_free(&ctx->arena, p)) return;
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) {
        syn_cuda_free(ctx, p);
        return;
    }
#endif
    free(p);
}

static void stack_free(syn_ctx *ctx, syn_scratch_stack *s, bool host)
{
    for (syn_scratch_block *b = s->first; b;) {
        syn_scratch_block *next = b->next;
        if (host)
            free(b->data);
        else if (!b->reserved)
            syn_device_free(ctx, b->data);
        free(b);
        b = next;
    }
}

void syn_ctx_free(syn_ctx *ctx)
{
    stack_free(ctx, &ctx->scratch, false);
    stack_free(ctx, &ctx->host_scratch, true);
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) {
        syn_cuda_ctx_free(ctx);
        if (ctx->arena.data) syn_cuda_free(ctx, ctx->arena.data);
    }
#endif
    memset(ctx, 0, sizeof *ctx);
}

/* ---- Copies ---- */

static syn_status copy_host(void *to, const void *from, size_t bytes)
{
    if (bytes) memcpy(to, from, bytes);
    return SYN_OK;
}

syn_status syn_copy_in(syn_ctx *ctx, void *device, const void *host, size_t bytes)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_cuda_copy_in(ctx, device, host, bytes);
#endif
    (void)ctx;
    return copy_host(device, host, bytes);
}

syn_status syn_copy_out(syn_ctx *ctx, void *host, const void *device, size_t bytes)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_cuda_copy_out(ctx, host, device, bytes);
#endif
    (void)ctx;
    return copy_host(host, device, bytes);
}

syn_status syn_copy(syn_ctx *ctx, void *to, const void *from, size_t bytes)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_cuda_copy(ctx, to, from, bytes, false);
#endif
    (void)ctx;
    return copy_host(to, from, bytes);
}

syn_status syn_zero(syn_ctx *ctx, void *p, size_t bytes)
{
    if (bytes == 0) return SYN_OK;
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_cuda_zero(ctx, p, bytes);
#endif
    (void)ctx;
    memset(p, 0, bytes);
    return SYN_OK;
}

syn_status syn_wait(syn_ctx *ctx)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_cuda_wait(ctx);
#endif
    (void)ctx;
    return SYN_OK;
}

/* ---- Scratch ---- */

syn_scratch_mark syn_scratch_push(syn_ctx *ctx)
{
    const syn_scratch_block *d = ctx->scratch.top, *h = ctx->host_scratch.top;
    return (syn_scratch_mark){ctx->scratch.top, ctx->host_scratch.top, d ? d->bytes : 0,
                              h ? h->bytes : 0};
}

static void stack_pop(syn_scratch_stack *s, syn_scratch_block *block, size_t bytes)
{
    for (syn_scratch_block *b = block ? block->next : s->first; b; b = b->next) b->bytes = 0;
    s->top = block ? block : s->first;
    if (s->top) s->top->bytes = bytes;
}

void syn_scratch_pop(syn_ctx *ctx, syn_scratch_mark mark)
{
    stack_pop(&ctx->scratch, mark.block, mark.bytes);
    stack_pop(&ctx->host_scratch, mark.host_block, mark.host_bytes);
}

static syn_scratch_block *block_create(syn_ctx *ctx, const syn_scratch_stack *s, bool host,
                                       size_t bytes_min)
{
    syn_scratch_block *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    size_t size = s->top ? 2 * s->top->bytes_max : SCRATCH_BLOCK_BYTES_MIN;
    b->bytes_max = size < bytes_min ? bytes_min : size;
    b->data = host ? aligned_alloc(ALIGN, b->bytes_max) : raw_alloc(ctx, b->bytes_max);
    if (!b->data) {
        free(b);
        return NULL;
    }
    return b;
}

static void *stack_alloc(syn_ctx *ctx, syn_scratch_stack *s, bool host, size_t bytes)
{
    const size_t padded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    syn_scratch_block *b = s->top;
    while (b && b->bytes_max - b->bytes < padded) b = b->next;
    if (!b && padded >= bytes) {
        b = block_create(ctx, s, host, padded);
        syn_scratch_block **link = s->top ? &s->top->next : &s->first;
        while (*link) link = &(*link)->next;
        *link = b;
    }
    if (!b) {
        (void)syn_fail(SYN_ERR_MEMORY, "out of memory: %.1f MiB of scratch were asked for",
                       (double)bytes / (1 << 20));
        return NULL;
    }
    s->top = b;
    void *p = b->data + b->bytes;
    b->bytes += padded;
    return p;
}

void *syn_scratch_alloc(syn_ctx *ctx, size_t bytes)
{
    return stack_alloc(ctx, &ctx->scratch, false, bytes);
}

void *syn_host_scratch_alloc(syn_ctx *ctx, size_t bytes)
{
    return stack_alloc(ctx, &ctx->host_scratch, true, bytes);
}
