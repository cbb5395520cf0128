/* Work on the device that is recorded once and then launched as a whole (a CUDA graph).
 *
 * Recorded work is a function that queues ops on the context's stream and does nothing else: no
 * host copies, no waiting, no allocation, and no decision that depends on anything but what the
 * graph stands for. Every launch repeats it with the same arguments and the same scratch, so all
 * that changes from one to the next lies in device memory. On the CPU, and with SYNCOG_CUDA_SYNC=1,
 * there are no graphs: the function is called each time. */
#ifndef SYN_BASE_GRAPH_H
#define SYN_BASE_GRAPH_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zero: nothing recorded. */
typedef struct syn_graph {
    void *exec;    /* cudaGraphExec_t, owned */
    int64_t nodes; /* kernels, copies and the like that were recorded */
    bool warm;     /* the work has been done once, so that all it takes is there */
} syn_graph;

/* True where work is recorded at all. */
bool syn_graph_possible(const syn_ctx *ctx);

/* Does `work`: calls it the first time, records and launches it the second, and then launches.
 * What ctx's scratch holds when it is called must be the same each time. The errors of `work`, and
 * SYN_ERR_DEVICE; asynchronous as the ops are. */
SYN_WARN_UNUSED syn_status syn_graph_run(syn_ctx *ctx, syn_graph *g, syn_status (*work)(void *user),
                                         void *user);

/* The steps of it, for CUDA contexts alone: what is queued between begin and end is recorded, not
 * done. After an error in between, end is called with g NULL. */
SYN_WARN_UNUSED syn_status syn_graph_begin(syn_ctx *ctx);
SYN_WARN_UNUSED syn_status syn_graph_end(syn_ctx *ctx, syn_graph *g);
SYN_WARN_UNUSED syn_status syn_graph_launch(syn_ctx *ctx, const syn_graph *g);

/* Back to nothing recorded. */
void syn_graph_free(syn_ctx *ctx, syn_graph *g);

/* The CUDA sides. Not for other callers. */
__typeof__(syn_graph_begin) syn_graph_begin_cuda;
__typeof__(syn_graph_end) syn_graph_end_cuda;
__typeof__(syn_graph_launch) syn_graph_launch_cuda;
__typeof__(syn_graph_free) syn_graph_free_cuda;

#ifdef __cplusplus
}
#endif
#endif
