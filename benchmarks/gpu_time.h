/* Times work on a CUDA device: one pass over several sets of inputs is recorded as a graph, the
 * graph is replayed, and events around each replay give its time. Sets that are together larger
 * than the device's L2 keep it from holding them. */
#ifndef SYN_BENCHMARKS_GPU_TIME_H
#define SYN_BENCHMARKS_GPU_TIME_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Queues the work once, on input set `set`. */
typedef syn_status (*syn_gpu_work)(void *user, int set);

typedef struct syn_gpu_timed {
    double us; /* median of the replays, per set */
    double p99_us;
    int replays;
    bool graph; /* false: the work could not be recorded and was called directly */
} syn_gpu_timed;

/* seconds: how long it may replay, at least 5 times and at most 200; 0: once, unwarmed. ctx is on
 * CUDA, sets >= 1. Errors: those of the work when it is called directly; SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_gpu_time(syn_ctx *ctx, syn_gpu_work work, void *user, int sets,
                                        double seconds, syn_gpu_timed *out);

/* How many sets of so many bytes are larger than twice the L2: 2 to 64. */
int syn_gpu_sets(const syn_ctx *ctx, double bytes);

/* What stands in the tables' heads. */
typedef struct syn_gpu_facts {
    char name[256], driver[32], runtime[32];
    int major, minor, multiprocessors;
    double memory_gb, l2_mb, clock_mhz;
    int shared_kb; /* dynamic shared memory that a block can have */
} syn_gpu_facts;

SYN_WARN_UNUSED syn_status syn_gpu_describe(syn_gpu_facts *facts);

/* The CUDA sides; SYN_ERR_UNSUPPORTED in builds without. Not for other callers. */
typedef struct syn_gpu_clock syn_gpu_clock;
SYN_WARN_UNUSED syn_status syn_gpu_clock_open(syn_gpu_clock **clock);
/* Around what is queued between; stop waits for it. */
SYN_WARN_UNUSED syn_status syn_gpu_clock_start(syn_ctx *ctx, syn_gpu_clock *clock);
SYN_WARN_UNUSED syn_status syn_gpu_clock_stop(syn_ctx *ctx, syn_gpu_clock *clock, double *us);
void syn_gpu_clock_close(syn_gpu_clock *clock);
int64_t syn_gpu_l2_bytes(void);

#ifdef __cplusplus
}
#endif
#endif
