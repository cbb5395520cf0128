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
    SYN_PAIR_HEAD = 14, /* of a possible SEND or REQUEST: what is no feature of the piece */
    SYN_PAIR_X = SYN_PAIR_HEAD + SYN_DQ + SYN_DV, /* all that is said of it: 52 */
    SYN_AGENT_X = 16,
    SYN_SUMMARY = 24,
    SYN_OBSERVER_ENVS_MAX = 1 << 22 /* of one observer: places of pieces are 32-bit numbers */
};

/* What one turn is about, as lists in device memory that kernels write and read: only the device
 * knows how long they are. Entries ascend with the environment. */
typedef enum syn_turn_list {
    SYN_TURN_AGENTS, /* agents in env.changed */
    SYN_TURN_ITEMS,  /* what these hold, in order of arrival */
    SYN_TURN_VIEWS,  /* to be made: of these agents; of all pieces where all have changed */
    SYN_TURN_RANKS,  /* a piece present by one of these views */
    SYN_TURN_FRESH,  /* environments where all agents have changed, if central */
    SYN_TURN_LOOKS,  /* a piece present in one of these */
    SYN_TURN_GAPS,   /* rows of the gap detector: every agent's gap, links with a changed end */
    SYN_TURN_LISTS
} syn_turn_list;

/* A piece in a view: (e N + i) R + row, or, of the view of all pieces, E N R + e R + row. */
typedef struct syn_turn {
    int32_t *at; /* (SYN_TURN_LISTS, E + 1): where environment e's entries begin; [E]: the length */
    int32_t *agent;                 /* (E N): e N + i */
    int32_t *offset;                /* (E N + 1): where the agent's items begin */
    int32_t *item;                  /* (E N R): piece in agent i's view */
    int32_t *view_task, *view_slot; /* (E (N + 1)): task; e N + i, or E N + e */
    uint32_t *view, *view_rows;     /* (E (N + 1)): pieces seen; pieces looked at */
    int32_t *rank;                  /* (E (N + 1) R): piece in view */
    int32_t *fresh_task, *fresh;    /* (E): task; e */
    uint32_t *fresh_rows;           /* (E) */
    int32_t *look;                  /* (E R): e R + row */
    int32_t *ia, *ib;               /* (E N N): first and second half; second: E N + e N + i for the
                                       others' mean */
} syn_turn;

typedef struct syn_observer {
    int64_t envs;
    bool central;
    uint32_t without; /* of the perception that looked last */
    real *own;        /* (E, N, R, SYN_DV): each piece present against what agent i holds */
    real *all;        /* (E, R, SYN_DV), right behind `own`: against all pieces present */
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
    syn_turn turn;   /* on CUDA; the CPU makes lists as it goes */
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
    /* Read, borrowed; NULL: nothing. Where a byte is 0 the mask is too: E rows of SYN_ACTIONS_MAX
     * bytes, 0 or 1, each allow_stride bytes behind the one before. */
    const uint8_t *allow;
    int64_t allow_stride;
} syn_observation;

#ifdef __cplusplus
extern "C" {
#endif

/* All buffers of an observer, an observation, tasks and environments are on the context's device.
 * On CUDA a turn waits for nothing, allocates nothing after the first of its kind and can be
 * captured; the two devices differ by at most 1e-5 relative L2 per buffer in SYN_MATH_FP32, masks,
 * counts and resets are equal. Where there is no agent, pair or piece, buffers keep what they held.
 * Errors: SYN_ERR_INVALID (envs), SYN_ERR_MEMORY, SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_observer_init(syn_ctx *ctx, syn_observer *o, int64_t envs,
                                             bool central);
void syn_observer_free(syn_ctx *ctx, syn_observer *o);
/* What each environment of an observer takes: its buffers and, on CUDA, scratch in a turn, which
 * must do for a turn when everything changes. */
int64_t syn_observer_env_bytes(syn_device device);
/* The part of it that is scratch; 0 on the CPU. */
int64_t syn_observer_scratch_bytes(syn_device device);

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
 * items (offset[n], SYN_DI) and bias (offset[n]) are overwritten. Returns the longest memory. Host
 * memory throughout, an observer of a CPU context. */
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

/* The two sides of each op. Not for other callers. */
__typeof__(syn_observe_views) syn_observe_views_cpu, syn_observe_views_cuda;
__typeof__(syn_observe_team) syn_observe_team_cpu, syn_observe_team_cuda;
__typeof__(syn_observe_turn) syn_observe_turn_cpu, syn_observe_turn_cuda;

#ifdef __cplusplus
}
#endif
#endif
