/* Many sessions scored at once, on the CPU or a CUDA device: what a service needs beside
 * engine/syncog.h.
 *
 * A scorer holds a model's weights and room for a number of sessions, its slots. A slot keeps on
 * the device what a session needs from one turn to the next: the features of its pieces, the team
 * of its last look with all that the networks said of it, and the memory (h, c) of the state
 * encoder. One call scores a batch: at most one request for a slot, each with the team as its
 * caller has it. What is new since the last look is found out, and the memory takes one step per
 * turn, exactly as in syn_session_observe and syn_session_decide (engine/syncog.h): a team that has
 * played one turn is brought up to date where something moved, any other is looked at afresh; turn
 * 0 clears the memory, a second decision in a turn starts from the memory before it.
 *
 * On the CPU a batch of one has the bits of a session. In larger batches products are summed in
 * another order: numbers differ by at most 1e-6 from a session's. On CUDA the bits
 * of a result do not depend on the rest of its batch, but on its bucket: batches are rounded up to
 * 1, 4, 16, 64, 256 or 1024 rows, each a graph that opening has recorded. After opening, scoring
 * teams allocates nothing on the device.
 *
 * Threads: a scorer and its context are used by one thread at a time; syn_scorer_task_read may run
 * beside. engine/scorer_queue.h puts a queue in front. Deterministic.
 *
 * Errors: SYN_ERR_INVALID for what contradicts itself, naming the request; SYN_ERR_LIMIT for too
 * many; SYN_ERR_UNSUPPORTED where the model cannot; SYN_ERR_MEMORY, SYN_ERR_DEVICE. */
#ifndef SYN_ENGINE_SCORER_H
#define SYN_ENGINE_SCORER_H

#include "engine/model.h"
#include "engine/syncog.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SYN_SCORER_BATCH_MAX = 1024,
    SYN_SCORER_SLOTS_MAX = 1 << 16,
    SYN_SCORER_STEPS_MAX = 64 /* turns of one sequence of syn_scorer_states */
};

typedef struct syn_scorer syn_scorer;

typedef struct syn_scorer_options {
    int slots;     /* sessions at a time, 1 to SYN_SCORER_SLOTS_MAX */
    int batch_max; /* requests of one call, 1 to SYN_SCORER_BATCH_MAX */
    uint64_t seed; /* of decisions that are drawn */
} syn_scorer_options;

#define SYN_SCORER_DEFAULT ((syn_scorer_options){1024, 64, 1})

/* model: in host memory, with perception; it stays as it is while the scorer is open. ctx: the
 * device; it outlives the scorer. A slot takes about 111 KiB of the device's memory; a row of the
 * largest batch about 150 KiB and what the networks take for it, on the CPU for at most 64 rows,
 * and 13 KiB of the host's. */
SYN_WARN_UNUSED syn_status syn_scorer_open(syn_ctx *ctx, const syn_model *model,
                                           const syn_scorer_options *options, syn_scorer **out);
void syn_scorer_close(syn_scorer *scorer); /* NULL is allowed */

/* ---- Slots ---- */

/* A question with its pieces as arrays, in host memory (engine/task.h). */
typedef struct syn_scorer_task {
    int rows; /* pieces, 1 to SYN_ROWS_MAX */
    uint32_t claims;
    real quest[SYN_TASK_QUEST], pair[SYN_TASK_PAIR];
} syn_scorer_task;

/* Makes one from text, with the checks and sentences of syn_session_create. Any thread. */
SYN_WARN_UNUSED syn_status syn_scorer_task_read(const syn_model *model, const char *question,
                                                const syn_document *pieces, int count,
                                                syn_scorer_task *out);

/* A session: its task is copied to the device. *slot names it until it is closed, and nothing
 * afterwards. SYN_ERR_LIMIT: all slots are taken. */
SYN_WARN_UNUSED syn_status syn_scorer_slot_open(syn_scorer *s, const syn_scorer_task *task,
                                                int64_t *slot);
/* Replaces the pieces, as syn_session_pieces does: the memory stays, the next look is afresh. */
SYN_WARN_UNUSED syn_status syn_scorer_slot_pieces(syn_scorer *s, int64_t slot,
                                                  const syn_scorer_task *task);

/* The memory of a session while it has no slot. */
typedef struct syn_scorer_memory {
    int32_t decided; /* the turn of the last decision, -1: none */
    int32_t newest;  /* of the two places: the other one is from before that decision */
    real h[2][SYN_STATE], c[2][SYN_STATE];
} syn_scorer_memory;

/* A slot's memory, to be given to another one that its session goes on in: with the same pieces put
 * there it is as if they had been replaced. */
SYN_WARN_UNUSED syn_status syn_scorer_slot_keep(syn_scorer *s, int64_t slot,
                                                syn_scorer_memory *out);
SYN_WARN_UNUSED syn_status syn_scorer_slot_resume(syn_scorer *s, int64_t slot,
                                                  const syn_scorer_memory *memory);
/* A name that is no session's any more is let pass. */
void syn_scorer_slot_close(syn_scorer *s, int64_t slot);
int syn_scorer_slots_open(const syn_scorer *s);

/* Kernels, copies and the like that a batch of n that decides without drawing is on the device, one
 * after the other; 0 where nothing is recorded. */
int64_t syn_scorer_nodes(const syn_scorer *s, int n);

/* ---- Teams ---- */

/* What is wanted beside gaps and sufficiency, which are always given. */
enum {
    SYN_WANT_DECISION = 1 << 0, /* the most probable action */
    SYN_WANT_DRAW = 1 << 1,     /* beside DECISION: one drawn by `counter` instead */
    SYN_WANT_CKM = 1 << 2,
    SYN_WANT_PROBABILITIES = 1 << 3, /* beside DECISION */
    SYN_WANT_LOGITS = 1 << 4,        /* beside DECISION */
    SYN_WANT_RANKS = 1 << 5,
    SYN_WANT_ALL = (1 << 6) - 1
};

typedef struct syn_score_request {
    int64_t slot;
    const syn_env *team; /* read during the call; the fields that engine/syncog.h names */
    const uint8_t *mask; /* (SYN_ACTIONS_MAX), 0 forbids an action; NULL: all that is legal */
    uint64_t counter;    /* of the draw: equal counters draw equal numbers */
    uint32_t want;
} syn_score_request;

/* N: the team's agents. Pointers lead into the scorer's memory, valid until its next call, and are
 * NULL where not asked for. */
typedef struct syn_score_result {
    syn_status status; /* SYN_ERR_NUMERIC: the policy's probabilities are not finite, and there is
                          no action; otherwise SYN_OK */
    syn_action action; /* with the row that moves; SYN_NO_ACTION where nothing is allowed */
    float probability; /* of the action among the allowed ones; 1 for SYN_NO_ACTION */
    float sufficiency; /* as syn_session_observe gives it */
    const real *gaps;  /* (N, N) likewise */
    const real *ckm;   /* (N, SYN_CKM) */
    const real *all;   /* (SYN_ACTIONS_MAX): probabilities, 0 where not allowed */
    const real *logit; /* (SYN_ACTIONS_MAX): of allowed actions; of others, nothing */
    const float *rank; /* (N, SYN_ROWS_MAX): the logit that a piece supports the answer, as judged
                          by what the agent knows; of rows that are not present, nothing */
} syn_score_result;

/* Of one call: requests to the device and results from it, and what lies between. */
typedef struct syn_score_times {
    double copy_s, compute_s;
} syn_score_times;

/* Whether a request is one that syn_scorer_score takes, by itself. */
SYN_WARN_UNUSED syn_status syn_scorer_check(const syn_scorer *s, const syn_score_request *request);

/* n requests (0 to batch_max) of different slots; result (n): overwritten. times may be NULL. With
 * an error nothing is given, and the slots of all requests are looked at afresh next time. */
SYN_WARN_UNUSED syn_status syn_scorer_score(syn_scorer *s, int n, const syn_score_request *request,
                                            syn_score_result *result, syn_score_times *times);

/* ---- The networks by themselves: rows in, rows out, all in host memory ----
 *
 * Any number of rows, computed in pieces; device scratch grows with the largest call so far. times
 * may be NULL. Outputs are overwritten and overlap nothing. Inputs are not checked for what is not
 * finite: a row of such gives a row of such. */

/* Rows of one caller; all callers' rows are computed together. */
typedef struct syn_gap_part {
    int64_t n;
    const real *pair; /* (n, 2 * SYN_CKM): ckm_i, then ckm_j or the mean of the others */
    float *link;      /* (n): probability that j holds what i lacks */
    float *gap;       /* (n): that i lacks something; of the mean form */
} syn_gap_part;

SYN_WARN_UNUSED syn_status syn_scorer_gaps(syn_scorer *s, int parts, const syn_gap_part *part,
                                           syn_score_times *times);

/* n memories of at most m (1 to SYN_ROWS_MAX) items: items (n, m, SYN_DI), of which the first
 * length[i] (0 to m) count -> ckm (n, SYN_CKM), relevance (n, m) or NULL: attention weights, 0
 * beyond the length. */
typedef struct syn_ckm_call {
    int64_t n, m;
    const real *items;
    const int32_t *length;
    real *ckm, *relevance;
} syn_ckm_call;

SYN_WARN_UNUSED syn_status syn_scorer_ckm(syn_scorer *s, const syn_ckm_call *call,
                                          syn_score_times *times);

/* n sequences of at most T (1 to SYN_SCORER_STEPS_MAX) messages: message (n, T, SYN_DM), of which
 * the first length[i] (0 to T) are walked; h, c (n, SYN_STATE): inout. */
typedef struct syn_state_call {
    int64_t n, T;
    const real *message;
    const int32_t *length;
    real *h, *c;
} syn_state_call;

SYN_WARN_UNUSED syn_status syn_scorer_states(syn_scorer *s, const syn_state_call *call,
                                             syn_score_times *times);

/* n decisions from given features (engine/observe.h): state (n, SYN_STATE), ckm (n, N, SYN_CKM),
 * pair_x (n, 2, N, N, SYN_PAIR_X), agent_x (n, N, SYN_AGENT_X), summary (n, SYN_SUMMARY) with N =
 * SYN_AGENTS_MAX, agents (n): 2 to N, mask (n, SYN_ACTIONS_MAX) -> probability (n,
 * SYN_ACTIONS_MAX), 0 where mask is, and value (n). */
typedef struct syn_policy_call {
    int64_t n;
    const real *state, *ckm, *pair_x, *agent_x, *summary;
    const int32_t *agents;
    const uint8_t *mask;
    real *probability, *value;
} syn_policy_call;

SYN_WARN_UNUSED syn_status syn_scorer_policy(syn_scorer *s, const syn_policy_call *call,
                                             syn_score_times *times);

#ifdef __cplusplus
}
#endif
#endif
