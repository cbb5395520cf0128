/* Teams as one batch for CKM and gap detector, with their labels: what phase 1 and the finetuning
 * of phase 2 learn from. Everything lives in the context's scratch: take a mark before, release it
 * after the last use. */
#ifndef SYN_TRAINER_GAP_BATCH_H
#define SYN_TRAINER_GAP_BATCH_H

#include "engine/observe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct syn_gap_batch {
    syn_team_batch team;
    int32_t *agent;    /* (team.agents): index e * SYN_AGENTS_MAX + i; NULL on CUDA */
    real *items;       /* team.items, to be changed in place */
    real *target;      /* (agents + links): gaps, then links; 0 or 1 */
    real *weight;      /* (agents) of the gaps: 1 for the asker, 2 / team size for the others */
    real *link_weight; /* (links); NULL: ones */
} syn_gap_batch;

/* The teams of envs (count), as o has seen them by syn_observe_views. label (count), NULL: envs
 * themselves, else the environments whose labels they get. On the CPU. SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_gap_batch_make(syn_ctx *ctx, const syn_observer *o,
                                              const syn_tasks *tasks, const syn_env *envs,
                                              const syn_env *const *label, int64_t count,
                                              syn_gap_batch *b);

/* How much a batch holds. */
typedef struct syn_gap_shape {
    int64_t agents, links, items, longest; /* longest: items of one agent */
} syn_gap_shape;

/* Adds the team of one environment in host memory, all of whose agents count. */
void syn_gap_shape_add(syn_gap_shape *s, const syn_env *env);

/* The shape that a batch is filled up to, so that few different ones come and recorded work fits
 * many batches: at most twice as many agents, links and items and a few more. */
syn_gap_shape syn_gap_shape_fill(const syn_gap_shape *s);

/* The same on CUDA: envs (count), all of whose agents have changed, label (count, numbers of
 * environments relative to envs, or NULL) and scale (SYN_GAP_OUT) in device memory; scale is
 * multiplied into both weights. The batch is filled up to `shape`, which syn_gap_shape_fill has
 * made of its own, by agents and links of weight 0, whose items are zeros: they get no gradient and
 * give none. Waits for nothing. Errors: SYN_ERR_MEMORY, SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_gap_batch_make_cuda(syn_ctx *ctx, const syn_observer *o,
                                                   const syn_tasks *tasks, const syn_env *envs,
                                                   const int32_t *label, const real *scale,
                                                   const syn_gap_shape *shape, syn_gap_batch *b);

/* loss[SYN_GAP] += scale[SYN_GAP] * the weighted sum of the gaps' binary cross-entropies,
 * loss[SYN_LINK] likewise of the links, loss on the context's device; p->params.grad += the
 * gradient of both. Dropout by (seed, counter), as of syn_perception_forward. Errors:
 * SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_gap_batch_learn(syn_ctx *ctx, const syn_perception *p,
                                               const syn_gap_batch *b,
                                               const real scale[SYN_GAP_OUT], uint64_t seed,
                                               uint64_t counter, real loss[SYN_GAP_OUT]);

#ifdef __cplusplus
}
#endif
#endif
