#include "kernels/base/graph.h"

#include <string.h>

bool syn_graph_possible(const syn_ctx *ctx)
{
    return ctx->device == SYN_DEVICE_CUDA && !ctx->sync_every_launch;
}

#ifdef SYN_HAVE_CUDA

syn_status syn_graph_begin(syn_ctx *ctx)
{
    SYN_REQUIRE(ctx->device == SYN_DEVICE_CUDA, "work is recorded on CUDA devices alone");
    return syn_graph_begin_cuda(ctx);
}

syn_status syn_graph_end(syn_ctx *ctx, syn_graph *g)
{
    return syn_graph_end_cuda(ctx, g);
}

syn_status syn_graph_launch(syn_ctx *ctx, const syn_graph *g)
{
    return syn_graph_launch_cuda(ctx, g);
}

static syn_status record(syn_ctx *ctx, syn_graph *g, syn_status (*work)(void *user), void *user)
{
    SYN_RETURN_IF(syn_graph_begin(ctx));
    const syn_status st = work(user);
    if (st == SYN_OK) return syn_graph_end(ctx, g);
    char why[1024];
    strncpy(why, syn_error_text(), sizeof why - 1);
    why[sizeof why - 1] = 0;
    const syn_status ended = syn_graph_end(ctx, NULL);
    return ended == SYN_OK ? syn_fail(st, "%s", why) : ended;
}

syn_status syn_graph_run(syn_ctx *ctx, syn_graph *g, syn_status (*work)(void *user), void *user)
{
    if (!syn_graph_possible(ctx)) return work(user);
    if (!g->warm) {
        SYN_RETURN_IF(work(user));
        g->warm = true;
        return SYN_OK;
    }
    if (!g->exec) SYN_RETURN_IF(record(ctx, g, work, user));
    return syn_graph_launch(ctx, g);
}

void syn_graph_free(syn_ctx *ctx, syn_graph *g)
{
    if (g->exec) syn_graph_free_cuda(ctx, g);
    *g = (syn_graph){0};
}

#else

static syn_status unbuilt(void)
{
    return syn_fail(SYN_ERR_UNSUPPORTED, "this build has no CUDA, and so nothing to record");
}

syn_status syn_graph_begin(syn_ctx *ctx)
{
    (void)ctx;
    return unbuilt();
}

syn_status syn_graph_end(syn_ctx *ctx, syn_graph *g)
{
    (void)ctx, (void)g;
    return unbuilt();
}

syn_status syn_graph_launch(syn_ctx *ctx, const syn_graph *g)
{
    (void)ctx, (void)g;
    return unbuilt();
}

syn_status syn_graph_run(syn_ctx *ctx, syn_graph *g, syn_status (*work)(void *user), void *user)
{
    (void)ctx, (void)g;
    return work(user);
}

void syn_graph_free(syn_ctx *ctx, syn_graph *g)
{
    (void)ctx;
    *g = (syn_graph){0};
}

#endif
