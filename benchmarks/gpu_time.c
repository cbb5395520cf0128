#include "benchmarks/gpu_time.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/base/graph.h"

enum { REPLAYS_MIN = 5, REPLAYS_MAX = 200, WARM_UP = 2, SETS_MIN = 2, SETS_MAX = 64 };

typedef struct pass {
    syn_gpu_work work;
    void *user;
    int sets;
} pass;

static syn_status all_sets(void *user)
{
    const pass *p = user;
    for (int k = 0; k < p->sets; k++) SYN_RETURN_IF(p->work(p->user, k));
    return SYN_OK;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Replays a recorded pass, or calls it, between two events. */
static syn_status replay(syn_ctx *ctx, const syn_graph *g, pass *p, syn_gpu_clock *clock,
                         double *us)
{
    SYN_RETURN_IF(syn_gpu_clock_start(ctx, clock));
    SYN_RETURN_IF(g->exec ? syn_graph_launch(ctx, g) : all_sets(p));
    return syn_gpu_clock_stop(ctx, clock, us);
}

/* What cannot be recorded is timed as it is. */
static syn_status record(syn_ctx *ctx, syn_graph *g, pass *p)
{
    if (!syn_graph_possible(ctx)) return SYN_OK;
    SYN_RETURN_IF(syn_graph_begin(ctx));
    const bool good = all_sets(p) == SYN_OK;
    if (syn_graph_end(ctx, good ? g : NULL) != SYN_OK) *g = (syn_graph){0};
    return SYN_OK;
}

syn_status syn_gpu_time(syn_ctx *ctx, syn_gpu_work work, void *user, int sets, double seconds,
                        syn_gpu_timed *out)
{
    syn_status st;
    pass p = {work, user, sets};
    syn_graph g = {0};
    syn_gpu_clock *clock = NULL;
    double times[REPLAYS_MAX], spent = 0;
    *out = (syn_gpu_timed){0};
    SYN_TRY(syn_gpu_clock_open(&clock));
    SYN_TRY(all_sets(&p)); /* what is allocated or chosen once is done here */
    SYN_TRY(syn_wait(ctx));
    SYN_TRY(record(ctx, &g, &p));
    const bool once = seconds <= 0;
    for (int k = once ? 0 : -WARM_UP; k < REPLAYS_MAX; k++) {
        double us = 0;
        SYN_TRY(replay(ctx, &g, &p, clock, &us));
        if (k < 0) continue;
        times[k] = us / sets;
        spent += us * 1e-6;
        out->replays = k + 1;
        if (once || (out->replays >= REPLAYS_MIN && spent >= seconds)) break;
    }
    qsort(times, (size_t)out->replays, sizeof *times, compare);
    out->us = times[out->replays / 2];
    out->p99_us = times[(out->replays * 99 - 1) / 100];
    out->graph = g.exec != NULL;
done:
    syn_graph_free(ctx, &g);
    if (clock) syn_gpu_clock_close(clock);
    return st;
}

int syn_gpu_sets(const syn_ctx *ctx, double bytes)
{
    const double l2 = ctx->device == SYN_DEVICE_CUDA ? (double)syn_gpu_l2_bytes() : 0;
    const double wanted = bytes > 0 ? 2 * l2 / bytes + 1 : SETS_MIN;
    return wanted < SETS_MIN ? SETS_MIN : wanted > SETS_MAX ? SETS_MAX : (int)wanted;
}

#ifndef SYN_HAVE_CUDA

static syn_status unbuilt(void)
{
    return syn_fail(SYN_ERR_UNSUPPORTED, "this build has no CUDA, and so no device to time");
}

syn_status syn_gpu_describe(syn_gpu_facts *facts)
{
    memset(facts, 0, sizeof *facts);
    return unbuilt();
}

syn_status syn_gpu_clock_open(syn_gpu_clock **clock)
{
    *clock = NULL;
    return unbuilt();
}

syn_status syn_gpu_clock_start(syn_ctx *ctx, syn_gpu_clock *clock)
{
    (void)ctx, (void)clock;
    return unbuilt();
}

syn_status syn_gpu_clock_stop(syn_ctx *ctx, syn_gpu_clock *clock, double *us)
{
    (void)ctx, (void)clock, (void)us;
    return unbuilt();
}

void syn_gpu_clock_close(syn_gpu_clock *clock)
{
    (void)clock;
}

int64_t syn_gpu_l2_bytes(void)
{
    return 0;
}

#endif
