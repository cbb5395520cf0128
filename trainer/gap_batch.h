/* Teams as one batch for CKM and gap detector, with their labels: what phase 1 and the finetuning
 * of phase 2 learn from. Everything lives in the context's scratch: take a mark before, release it
 * after the last use. */
#ifndef SYN_TRAINER_GAP_BATCH_H
#define SYN_TRAINER_GAP_BATCH_H

#include "engine/observe.h"

typedef struct syn_gap_batch {
    syn_team_batch team;
    int32_t *agent; /* (team.agents): index e * SYN_AGENTS_MAX + i */
    real *items;    /* team.items, to be changed in place */
    real *target;   /* (agents + links): gaps, then links; 0 or 1 */
    real *weight;   /* (agents) of the gaps: 1 for the asker, 2 / team size for the others */
} syn_gap_batch;

/* The teams of envs (count), as o has seen them by syn_observe_views. label (count), NULL: envs
 * themselves, else the environments whose labels they get. SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_gap_batch_make(syn_ctx *ctx, const syn_observer *o,
                                              const syn_tasks *tasks, const syn_env *envs,
                                              const syn_env *const *label, int64_t count,
                                              syn_gap_batch *b);

/* loss[SYN_GAP] += scale[SYN_GAP] * the weighted sum of the gaps' binary cross-entropies,
 * loss[SYN_LINK] likewise of the links; p->params.grad += the gradient of both. Dropout by (seed,
 * counter), as of syn_perception_forward. Errors: SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_gap_batch_learn(syn_ctx *ctx, const syn_perception *p,
                                               const syn_gap_batch *b,
                                               const real scale[SYN_GAP_OUT], uint64_t seed,
                                               uint64_t counter, real loss[SYN_GAP_OUT]);

#endif
