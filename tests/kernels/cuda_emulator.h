/* Kernels with faults, for cuda_emulator.c. Each call runs to its end, if it has one. */
#ifndef SYN_TESTS_CUDA_EMULATOR_H
#define SYN_TESTS_CUDA_EMULATOR_H

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What one thread or all of them do wrong. */
enum {
    FAULT_SHARED_BOUNDS,   /* writes behind its shared memory */
    FAULT_SHARED_BEFORE,   /* and before */
    FAULT_BARRIER_ENDED,   /* ends while others wait */
    FAULT_BARRIERS_DIFFER, /* waits at another barrier than the others */
    FAULT_LANES_DIVERGE,   /* half a warp votes, half shuffles */
    FAULT_LANE_ENDED,      /* shuffles with lanes that have ended */
    FAULT_NEVER_CHANGED,   /* waits for a word that nobody changes */
    FAULT_SPIN,            /* loads such a word in a loop */
    FAULT_LOCK,            /* tries for a lock that nobody opens */
    FAULT_MBARRIER,        /* waits at a barrier that was never initialised */
    FAULT_TRANSACTION,     /* waits for more bytes than are sent */
    FAULT_COPIES_LEFT,     /* ends without a wait for its copies */
    FAULT_MATRIX_ALIGN,    /* loads a matrix from an odd address */
    FAULT_STACK,           /* needs more stack than there is */
    FAULT_EARLY,           /* launched early, does not wait for the kernel before */
    FAULTS_OF_A_BLOCK,
    FAULT_PEER_ENDED = FAULTS_OF_A_BLOCK, /* sends to a block that has ended */
    FAULT_CLUSTER_BARRIER,                /* one block does not come */
    FAULT_STATIC_SHARED, /* has a static variable although its blocks run together */
    FAULTS
};
syn_status fault_launch(syn_ctx *ctx, int fault);

/* Each thread takes the value of the next lower one, with no barrier between: y (64), x + 1 (63).
 */
syn_status race_launch(syn_ctx *ctx, const float *x, float *y);
/* y (n) = x, then x = -1 past what was asked for when `past`. */
syn_status bounds_launch(syn_ctx *ctx, int n, bool past, const float *x, float *y);
/* Sum of what a block finds in memory that nobody wrote: device x (32) or its shared memory. */
syn_status unwritten_launch(syn_ctx *ctx, bool shared, bool stat, const float *x, float *y);

/* Launches that CUDA refuses; SYN_OK when it did, the device is usable after each. */
syn_status refused_launches(syn_ctx *ctx);
/* What a capture forbids; SYN_OK when it was refused and the capture is void. */
syn_status refused_captures(syn_ctx *ctx);
/* Copies x to pinned memory and gives what lies there before and after the stream was waited for.
 */
syn_status pinned_copy(syn_ctx *ctx, const float *x, float *before, float *after);

#ifdef __cplusplus
}
#endif
#endif
