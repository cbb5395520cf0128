/* Interaction features of a piece with the question and with a view (a set of visible pieces).
 *
 * What can be said of a piece alone, and of two pieces, is prepared once per task (engine/task.h):
 * quest (rows, SYN_DQ) and pair (SYN_PAIR_CHANNELS, rows, rows). A view is a bit mask over the
 * rows, so its features are masked reductions over rows of those arrays: no text, no allocation. */
#ifndef SYN_KERNELS_FEATURES_H
#define SYN_KERNELS_FEATURES_H

#include <math.h>
#include <stdint.h>

#include "kernels/base/ctx.h"
#include "kernels/env_core.h"

/* Columns of quest: a piece against the question. */
enum {
    SYN_Q_COSINE,      /* 3 x tf-idf cosine */
    SYN_Q_COVERAGE,    /* share of the question's idf mass that it covers */
    SYN_Q_RARE,        /* the same over the question's rare words, idf > 4 */
    SYN_Q_CAPITAL,     /* the same over the question's capitalised words */
    SYN_Q_TITLE_IN,    /* its title occurs in the question: 1 whole, .8 without its last part */
    SYN_Q_TITLE_SHARE, /* share of its title's idf that is in the question */
    SYN_Q_TITLE_COVER, /* share of the question's capitalised idf that is in its title */
    SYN_Q_SPAN,        /* capitalised word pairs of it in the question, 1 = two or more */
    SYN_Q_NUMBER,      /* 1: a number of the question occurs in it */
    SYN_Q_LENGTH,      /* log(1 + words) / 6 */
    SYN_Q_CLAIM,       /* 1: a claim of an agent, not a document */
    SYN_Q_TITLED,      /* 1: it has a title of its own */
    SYN_DQ
};

/* Channels of pair[c][a][b], all in [0, 1]; _T: the transpose, so that both are read by rows. */
enum {
    SYN_PAIR_MENTION, /* b's title occurs in a's text: 1 whole, .8 without its last part */
    SYN_PAIR_MENTION_T,
    SYN_PAIR_PARTIAL, /* share of b's title's idf that occurs in a's text */
    SYN_PAIR_PARTIAL_T,
    SYN_PAIR_CAPITAL, /* w / (w + 8), w = idf of shared capitalised words not in the question */
    SYN_PAIR_SPAN,    /* shared capitalised word pairs not in the question, 1 = two or more */
    SYN_PAIR_COSINE,  /* tf-idf cosine */
    SYN_PAIR_COVER,   /* share of the question's idf that a covers and b does not */
    SYN_PAIR_CHANNELS
};

enum {
    SYN_DV = 26,                  /* features of a piece against one view */
    SYN_DX = SYN_DQ + 2 * SYN_DV, /* question, the knower's view, all pieces present: 64 */
    SYN_TASK_QUEST = SYN_ROWS_MAX * SYN_DQ,
    SYN_TASK_PAIR = SYN_PAIR_CHANNELS * SYN_ROWS_MAX * SYN_ROWS_MAX
};

/* How many other pieces are seen, as a feature. */
static inline real syn_seen_feature(int count)
{
    return (real)log(1.0 + count) / 3;
}

#ifdef __cplusplus
extern "C" {
#endif

/* For each i of n: the features of every piece of rows[i] against the view view[i] (the piece
 * itself does not count as seen). task (n): index into quest (tasks, SYN_TASK_QUEST) and pair
 * (tasks, SYN_TASK_PAIR), whose values are >= 0; out (n, SYN_ROWS_MAX, SYN_DV): overwritten in the
 * rows asked for, the others are left as they were. All arrays are on the context's device, none
 * overlap. Asynchronous on ctx->stream on CUDA, without scratch. Deterministic, any number of
 * threads. Errors: SYN_ERR_INVALID (a buffer is missing), SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_view_features(syn_ctx *ctx, int64_t n, const int32_t *task,
                                             const uint32_t *view, const uint32_t *rows,
                                             const real *quest, const real *pair, real *out);

/* The same with another worth of each piece in the place of its cosine with the question: worth
 * (n, SYN_ROWS_MAX), >= 0, or NULL. Where it is the relevance judged from the plain features,
 * pieces are linked to those believed relevant: a second look. */
SYN_WARN_UNUSED syn_status syn_view_features_by(syn_ctx *ctx, int64_t n, const int32_t *task,
                                                const uint32_t *view, const uint32_t *rows,
                                                const real *quest, const real *pair,
                                                const real *worth, real *out);

/* The same on CUDA for a number of views that is known on the device alone, *live <= capacity.
 * slot (capacity), NULL: 0, 1, ...: features and worth of view i stand in place slot[i] of out and
 * worth, (any, SYN_ROWS_MAX, SYN_DV) and (any, SYN_ROWS_MAX). */
SYN_WARN_UNUSED syn_status syn_view_features_live_cuda(syn_ctx *ctx, int64_t capacity,
                                                       const int32_t *live, const int32_t *task,
                                                       const uint32_t *view, const uint32_t *rows,
                                                       const int32_t *slot, const real *quest,
                                                       const real *pair, const real *worth,
                                                       real *out);

/* The two sides. Not for other callers. */
__typeof__(syn_view_features_by) syn_view_features_by_cpu, syn_view_features_by_cuda;

#ifdef __cplusplus
}
#endif
#endif
