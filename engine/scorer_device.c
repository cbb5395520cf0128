/* What the scorer asks of its device beside the ops: memory that is copied fast, copies that do not
 * wait, and a clock. */
#include <stdlib.h>
#include <string.h>

#include "engine/scorer_private.h"
#include "kernels/base/progress.h"
#ifdef SYN_HAVE_CUDA
#    include "kernels/base/cuda.h"
#endif

void *syn_pinned_alloc(syn_ctx *ctx, size_t bytes)
{
    void *p;
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA)
        p = syn_pinned_alloc_cuda(bytes);
    else
#endif
        p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    (void)ctx;
    if (p)
        memset(p, 0, bytes);
    else
        (void)syn_fail(SYN_ERR_MEMORY, "out of memory: %.1f MiB were asked for",
                       (double)bytes / (1 << 20));
    return p;
}

void syn_pinned_free(syn_ctx *ctx, void *p)
{
    if (!p) return;
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) {
        syn_pinned_free_cuda(p);
        return;
    }
#endif
    (void)ctx;
    free(p);
}

syn_status syn_scorer_send(syn_ctx *ctx, void *to, const void *from, size_t bytes)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_cuda_copy(ctx, to, from, bytes, false);
#endif
    (void)ctx;
    memcpy(to, from, bytes);
    return SYN_OK;
}

syn_status syn_scorer_clock_open(syn_ctx *ctx, syn_scorer_clock *clock)
{
    memset(clock, 0, sizeof *clock);
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_scorer_clock_open_cuda(clock);
#endif
    (void)ctx;
    return SYN_OK;
}

void syn_scorer_clock_close(syn_ctx *ctx, syn_scorer_clock *clock)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) syn_scorer_clock_close_cuda(clock);
#endif
    (void)ctx;
    memset(clock, 0, sizeof *clock);
}

syn_status syn_scorer_clock_mark(syn_ctx *ctx, syn_scorer_clock *clock, int mark)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_scorer_clock_mark_cuda(ctx, clock, mark);
#endif
    (void)ctx;
    clock->at[mark] = syn_clock_s();
    return SYN_OK;
}

double syn_scorer_clock_s(syn_ctx *ctx, const syn_scorer_clock *clock, int from, int to)
{
#ifdef SYN_HAVE_CUDA
    if (ctx->device == SYN_DEVICE_CUDA) return syn_scorer_clock_s_cuda(clock, from, to);
#endif
    (void)ctx;
    return clock->at[to] - clock->at[from];
}
