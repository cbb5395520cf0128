/* The observation: from the state of a team to what the networks read. Called by the trainer, the
 * evaluation and the live round alike; nothing else feeds the networks.
 *
 * Never in it: ids, gold, agent numbers, the order of pieces, the data set. Roles are (asker or
 * not). central: the policy sees features of all pieces present; otherwise only what each agent
 * holds and what was sent.
 *
 * Everything is cached per environment and recomputed only for agents in env.changed: those that
 * gave or got something in the last turn. */
#ifndef SYN_ENGINE_OBSERVE_H
#define SYN_ENGINE_OBSERVE_H

#include "engine/perception.h"
#include "kernels/env_core.h"

enum {
    SYN_MESSAGE_META = 31,
    SYN_DM = SYN_DX + 1 + SYN_MESSAGE_META, /* message vector: interaction, logit, meta */
    SYN_PAIR_X = 14 + SYN_DQ + SYN_DV,      /* features of a possible SEND or REQUEST: 52 */
    SYN_AGENT_X = 16,
    SYN_SUMMARY = 24
};

typedef struct syn_observer {
    int64_t envs;
    bool central;
    uint32_t without; /* of the perception that looked last */
    real *own;        /* (E, N, R, SYN_DV): each piece present against what agent i holds */
    real *all;        /* (E, R, SYN_DV): against all pieces present */
    real *again; /* (E, R, SYN_DV): the same by the ranker's probabilities: the refiner's second
                    look */
    real *first; /* (E, R): the ranker's logit under the view of all pieces */
    real *rel;   /* (E, R): the refiner's logit: how relevant a piece is, seen beside all others */
    float *rank; /* (E, N, R): the ranker's logit by what agent i knows: who sends what */
    real *ckm;   /* (E, N, SYN_CKM) */
    real *a, *b; /* (E, N, SYN_GAP_HIDDEN), (2, E, N, SYN_GAP_HIDDEN): gap halves; b: own, others'
                    mean */
    real *link;  /* (E, N, N): calibrated, [i][j]: j holds what i lacks */
    real *gap;   /* (E, N): calibrated: i lacks something it needs */
    real *gap_logit; /* (E, N) */
} syn_observer;

/* What the policy reads in one turn; rows as in the observer. Written by syn_observe_turn. */
typedef struct syn_observation {
    real *message;  /* (E, SYN_DM): the last turn, or the question after a reset */
    real *ckm;      /* (E, N, SYN_CKM) */
    real *pair_x;   /* (E, 2, N, N, SYN_PAIR_X): [kind][from][to] */
    real *agent_x;  /* (E, N, SYN_AGENT_X) */
    real *summary;  /* (E, SYN_SUMMARY) */
    uint8_t *mask;  /* (E, SYN_ACTIONS_MAX) */
    int32_t *count; /* (E): agents */
    uint8_t *reset; /* (E): 1 on the first turn of an episode */
} syn_observation;

SYN_WARN_UNUSED syn_status syn_observer_init(syn_ctx *ctx, syn_observer *o, int64_t envs,
                                             bool central);
void syn_observer_free(syn_ctx *ctx, syn_observer *o);

/* Allocates an observation of `rows` rows, all buffers zeroed. */
SYN_WARN_UNUSED syn_status syn_observation_alloc(syn_ctx *ctx, syn_observation *x, int64_t rows);
void syn_observation_free(syn_ctx *ctx, syn_observation *x);
/* The part that begins at row `at`. */
syn_observation syn_observation_at(const syn_observation *x, int64_t at);

/* What the ranker and the refiner read of one piece, x (SYN_DX): features against the question
 * quest (SYN_DQ), against one view (SYN_DV), and against another, `second` (SYN_DV), or zeros
 * (NULL). Items begin with the same. Without ablations: the caller applies those
 * (engine/without.h). */
void syn_interaction(real *x, const real *quest, const real *view, const real *second);

/* Views, features and ranks of the agents in env.changed (all pieces' view at a reset). */
SYN_WARN_UNUSED syn_status syn_observe_views(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                                             const syn_tasks *tasks, const syn_env *envs);

/* Item vectors of the agents listed in agent[n] (index e*N + i), packed in order. offset (n+1),
 * items (offset[n], SYN_DI) and bias (offset[n]) are overwritten. Returns the longest memory. */
int64_t syn_observe_items(syn_ctx *ctx, const syn_observer *o, const syn_tasks *tasks,
                          const syn_env *envs, int64_t n, const int32_t *agent, int32_t *offset,
                          real *items, real *bias);
int64_t syn_observe_item_count(const syn_env *envs, int64_t n, const int32_t *agent);

/* CKM vectors, links and gaps after syn_observe_views, for the agents in env.changed. */
SYN_WARN_UNUSED syn_status syn_observe_team(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                                            const syn_env *envs, const syn_tasks *tasks);

/* All of the above, then the observation of this turn. */
SYN_WARN_UNUSED syn_status syn_observe_turn(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                                            const syn_tasks *tasks, const syn_env *envs,
                                            const syn_observation *out);

#endif
