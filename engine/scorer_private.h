/* What the parts of the scorer share. */
#ifndef SYN_ENGINE_SCORER_PRIVATE_H
#define SYN_ENGINE_SCORER_PRIVATE_H

#include "engine/observe_core.h"
#include "engine/scorer.h"
#include "engine/scorer_team.h"
#include "kernels/base/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One row of a batch as the host puts it up for the device. */
typedef struct syn_staged {
    uint64_t counter;
    syn_env team;   /* as its caller has it */
    int32_t slot;   /* place in the store */
    uint8_t afresh; /* what the store holds of the last look does not count */
    uint8_t from;   /* the place of the memory before this turn; the other one gets the next */
    uint8_t decides, draws;
    uint8_t mask[SYN_ACTIONS_MAX];
} syn_staged;

/* And as the device gives it back. */
typedef struct syn_settled {
    real gaps[SYN_AGENTS_MAX * SYN_AGENTS_MAX]; /* (agents, agents) */
    float sufficiency, probability;
    syn_action action;
    int32_t finite;
} syn_settled;

/* What the slots keep, (slots, ...) each, device memory. */
typedef struct syn_store {
    real *own;                      /* (N + 1, R, SYN_DV): by agent, then the view of all pieces */
    real *rel;                      /* (R) */
    float *rank;                    /* (N, R) */
    real *ckm, *a, *b, *link, *gap; /* as in syn_observer; b: the agents' own halves */
    real *h, *c;                    /* (2, SYN_STATE) */
    syn_env *seen;                  /* the team of the last look */
    real *quest, *pair;             /* the tasks */
} syn_store;

/* The rows of a batch on the device. live: how many of them there are, rows beyond are idle: teams
 * that nothing has happened to. */
typedef struct syn_batch {
    const int32_t *live;
    const syn_staged *staged;
    syn_settled *settled;
    syn_env *envs;
    uint64_t *counter;
    real *h0, *c0, *hT, *cT; /* (rows, SYN_STATE) */
    real *logit, *all;       /* (rows, A) */
    real *logp[2];           /* (rows): greedy, drawn */
    int32_t *action[2];
    syn_observer o;
    syn_observation x;
} syn_batch;

/* The parts of a team that one turn writes, or leaves and reads. */
typedef struct syn_place {
    real *own, *all, *rel, *ckm, *a, *b, *link, *gap;
    float *rank;
} syn_place;

SYN_HD syn_place syn_place_stored(const syn_store *s, int64_t slot)
{
    const int64_t N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, H = SYN_GAP_HIDDEN;
    syn_place p;
    p.own = s->own + slot * (N + 1) * R * SYN_DV;
    p.all = p.own + N * R * SYN_DV;
    p.rel = s->rel + slot * R;
    p.rank = s->rank + slot * N * R;
    p.ckm = s->ckm + slot * N * SYN_CKM;
    p.a = s->a + slot * N * H;
    p.b = s->b + slot * N * H;
    p.link = s->link + slot * N * N;
    p.gap = s->gap + slot * N;
    return p;
}

SYN_HD syn_place syn_place_observed(const syn_observer *o, int64_t e)
{
    const int64_t N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, H = SYN_GAP_HIDDEN;
    syn_place p;
    p.own = o->own + e * N * R * SYN_DV;
    p.all = o->all + e * R * SYN_DV;
    p.rel = o->rel + e * R;
    p.rank = o->rank + e * N * R;
    p.ckm = o->ckm + e * N * SYN_CKM;
    p.a = o->a + e * N * H;
    p.b = o->b + e * N * H;
    p.link = o->link + e * N * N;
    p.gap = o->gap + e * N;
    return p;
}

/* The team of a staged row as the observation reads it, but for `changed`. */
SYN_HD void syn_staged_env(const syn_staged *s, syn_env *e)
{
    *e = s->team;
    e->task = s->slot;
    /* What moved last may be a claim that is no longer there. */
    if (e->last.piece >= 0 && !(e->present >> e->last.piece & 1)) e->last.piece = -1;
}

/* The decision of a row, given what was chosen: the row that moves is found by the team as its
 * caller has it, of which a choice among unread pieces depends. */
SYN_HD void syn_settle_action(syn_settled *to, const syn_staged *s, const float *rank,
                              int32_t action, real logp, const real *all)
{
    to->action = syn_action_of(action);
    to->probability = action < 0 ? 1 : (float)all[action];
    to->finite = action < 0 || isfinite(logp);
    if (to->action.kind <= SYN_ALONE)
        to->action.piece =
            (int8_t)syn_env_piece(&s->team, to->action.kind, to->action.from, to->action.to, rank);
}

SYN_HD real syn_settle_gap(const syn_place *p, int k, int agents)
{
    const int i = k / agents, j = k % agents;
    return i == j ? p->gap[i] : p->link[i * SYN_AGENTS_MAX + j];
}

/* The batch's steps around the networks, each with two sides; rows: of the buffers. */

/* envs, counter, h0, c0 and the observer's rows from the store. */
SYN_WARN_UNUSED syn_status syn_scorer_gather_cpu(syn_ctx *ctx, const syn_store *s,
                                                 const syn_batch *b, int64_t rows);
/* b->settled, and everything back into the store. */
SYN_WARN_UNUSED syn_status syn_scorer_settle_cpu(syn_ctx *ctx, const syn_store *s,
                                                 const syn_batch *b, int64_t rows, bool decides);
__typeof__(syn_scorer_gather_cpu) syn_scorer_gather_cuda;
__typeof__(syn_scorer_settle_cpu) syn_scorer_settle_cuda;

/* Memory that the device copies from and to without a detour; zeroed. On the CPU, any. */
void *syn_pinned_alloc(syn_ctx *ctx, size_t bytes);
void syn_pinned_free(syn_ctx *ctx, void *p);
void *syn_pinned_alloc_cuda(size_t bytes);
void syn_pinned_free_cuda(void *p);

/* Between host and device in stream order, without waiting; nothing on the CPU. */
SYN_WARN_UNUSED syn_status syn_scorer_send(syn_ctx *ctx, void *to, const void *from, size_t bytes);

/* A clock of the device: marks are set in stream order, and read once the stream has been waited
 * for. On the CPU, and where clock is NULL, the host's. */
enum { SYN_SCORER_MARKS = 4 };
typedef struct syn_scorer_clock {
    void *event[SYN_SCORER_MARKS]; /* on CUDA */
    double at[SYN_SCORER_MARKS];   /* on the CPU */
} syn_scorer_clock;

SYN_WARN_UNUSED syn_status syn_scorer_clock_open(syn_ctx *ctx, syn_scorer_clock *clock);
void syn_scorer_clock_close(syn_ctx *ctx, syn_scorer_clock *clock);
SYN_WARN_UNUSED syn_status syn_scorer_clock_mark(syn_ctx *ctx, syn_scorer_clock *clock, int mark);
/* Seconds between two marks. */
double syn_scorer_clock_s(syn_ctx *ctx, const syn_scorer_clock *clock, int from, int to);
SYN_WARN_UNUSED syn_status syn_scorer_clock_open_cuda(syn_scorer_clock *clock);
void syn_scorer_clock_close_cuda(syn_scorer_clock *clock);
SYN_WARN_UNUSED syn_status syn_scorer_clock_mark_cuda(syn_ctx *ctx, syn_scorer_clock *clock,
                                                      int mark);
double syn_scorer_clock_s_cuda(const syn_scorer_clock *clock, int from, int to);

/* ---- The scorer ---- */

typedef struct syn_slot {
    uint32_t generation; /* odd while it is open */
    int32_t next;        /* of the free ones, -1: the last */
    int32_t rows, decided;
    uint64_t batch; /* the last one it was part of */
    bool known;     /* the store holds what was last seen */
    uint8_t newest; /* of the two places of its memory */
} syn_slot;

/* Rows that the networks by themselves take at a time. */
enum { SYN_SCORER_NET_ROWS = 512 };

enum {
    SYN_SCORER_BUCKETS = 6,
    SYN_SCORER_MODES = 3,
    SYN_SCORER_HEAD_BYTES = 64 /* of an upload, before the rows */
};

extern const int syn_bucket_rows[SYN_SCORER_BUCKETS];
/* The smallest that has so many rows. */
int syn_bucket_of(int64_t rows);

struct syn_scorer {
    syn_ctx *ctx;
    const syn_model *model;
    syn_perception perception; /* the model's, with weights on the device */
    syn_control control;
    bool packed; /* ctx has the model laid out for its products */
    syn_scorer_options options;
    syn_slot *slot;
    int32_t free_slot; /* -1: none */
    int open;
    uint64_t batches;
    syn_store store;
    int64_t rows_max; /* of the batch's buffers */
    syn_batch batch;
    void *upload, *upload_device; /* int32 live, then syn_staged (rows_max); the same on the CPU */
    syn_settled *settled;         /* (batch_max), host */
    real *ckm, *all, *logit;      /* (batch_max, ...), host: what was asked for */
    float *rank;
    int32_t *order; /* (batch_max): requests as they stand in batches, who decides first */
    syn_graph graph[SYN_SCORER_BUCKETS][SYN_SCORER_MODES];
    int32_t *same;           /* 0, 1, ...: the gap detector's rows, device */
    real *pairs, *gap_logit; /* (SYN_SCORER_NET_ROWS, ...), host: its input and output */
    syn_scorer_clock clock;
};

/* Records the graphs of all buckets, where there are graphs. */
SYN_WARN_UNUSED syn_status syn_scorer_warm(syn_scorer *s);

#ifdef __cplusplus
}
#endif
#endif
