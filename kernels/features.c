#include "kernels/features.h"

#include <math.h>

enum { R = SYN_ROWS_MAX };

/* Largest value of row[o] * weight[o], and the sum, over all rows; both are >= 0. */
static inline real max_product(const real *row, const real *weight)
{
    real best = 0;
#pragma omp simd reduction(max : best)
    for (int o = 0; o < R; o++) {
        real x = row[o] * weight[o];
        best = x > best ? x : best;
    }
    return best;
}

static inline real sum_product(const real *row, const real *weight)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int o = 0; o < R; o++) sum += row[o] * weight[o];
    return sum;
}

typedef struct view {
    real seen[R];   /* 1 where another visible piece stands */
    real cosine[R]; /* its worth: the cosine with the question, or what the caller says */
    real titled[R]; /* how far its title is in the question */
    real mine;      /* the worth of the piece looked at */
    int count, best;
    real best_cosine, mean_cosine;
} view;

/* The view of piece p: the mask without p. */
static void view_make(view *v, uint32_t mask, int p, const real *quest, const real *worth)
{
    v->mine = worth ? worth[p] : quest[p * SYN_DQ + SYN_Q_COSINE];
    v->count = 0;
    v->best = -1;
    v->best_cosine = v->mean_cosine = 0;
    for (int o = 0; o < R; o++) {
        int on = (int)(mask >> o & 1u) & (o != p);
        v->seen[o] = (real)on;
        v->cosine[o] = !on ? 0 : worth ? worth[o] : quest[o * SYN_DQ + SYN_Q_COSINE];
        v->titled[o] = on ? quest[o * SYN_DQ + SYN_Q_TITLE_IN] : 0;
        v->count += on;
        v->mean_cosine += v->cosine[o];
        if (on && (v->best < 0 || v->cosine[o] > v->best_cosine)) {
            v->best = o;
            v->best_cosine = v->cosine[o];
        }
    }
    if (v->count) v->mean_cosine /= (real)v->count;
}

static void piece_features(const view *v, int p, const real *quest, const real *pair, real *f)
{
    const real *row[SYN_PAIR_CHANNELS];
    for (int c = 0; c < SYN_PAIR_CHANNELS; c++) row[c] = pair + ((int64_t)c * R + p) * R;
    const real *q = quest + p * SYN_DQ;
    const real *by = row[SYN_PAIR_MENTION_T], *of = row[SYN_PAIR_MENTION];

    f[0] = max_product(by, v->seen); /* mentioned by */
    f[1] = sum_product(by, v->cosine);
    f[2] = max_product(by, v->titled);
    f[3] = max_product(of, v->seen); /* mentions */
    f[4] = sum_product(of, v->cosine);
    f[5] = max_product(of, v->titled);
    f[6] = sum_product(of, v->seen) / 4;
    f[7] = sum_product(by, v->seen) / 4;
    f[8] = max_product(row[SYN_PAIR_PARTIAL_T], v->seen);
    f[9] = max_product(row[SYN_PAIR_PARTIAL_T], v->cosine);
    f[10] = max_product(row[SYN_PAIR_PARTIAL], v->seen);
    f[11] = max_product(row[SYN_PAIR_PARTIAL], v->cosine);
    f[12] = max_product(row[SYN_PAIR_CAPITAL], v->seen);
    f[13] = max_product(row[SYN_PAIR_CAPITAL], v->cosine);
    f[15] = max_product(row[SYN_PAIR_SPAN], v->seen);
    f[16] = max_product(row[SYN_PAIR_SPAN], v->cosine);
    f[20] = max_product(row[SYN_PAIR_COSINE], v->seen);

    const bool any = v->best >= 0;
    const real *best_cover = pair + ((int64_t)SYN_PAIR_COVER * R + (any ? v->best : 0)) * R;
    f[14] = any ? row[SYN_PAIR_CAPITAL][v->best] : 0;
    f[17] = any ? row[SYN_PAIR_COVER][v->best] : q[SYN_Q_COVERAGE];
    f[18] = any ? best_cover[p] : 0;
    real joint = q[SYN_Q_COVERAGE]; /* what it and its best partner cover together */
    for (int o = 0; o < R; o++) {
        real x = v->seen[o] * (quest[o * SYN_DQ + SYN_Q_COVERAGE] + row[SYN_PAIR_COVER][o]);
        joint = x > joint ? x : joint;
    }
    f[19] = joint;
    f[21] = any ? row[SYN_PAIR_COSINE][v->best] : 0;
    f[22] = v->mine >= v->best_cosine ? 1 : 0;
    f[23] = v->mine - v->mean_cosine;
    f[24] = v->mine - v->best_cosine;
    f[25] = syn_seen_feature(v->count);
}

syn_status syn_view_features_by_cpu(syn_ctx *ctx, int64_t n, const int32_t *task,
                                    const uint32_t *view_mask, const uint32_t *rows,
                                    const real *quest, const real *pair, const real *worth,
                                    real *out)
{
#pragma omp parallel for schedule(static) num_threads(ctx->threads) if (n > 16)
    for (int64_t i = 0; i < n; i++) {
        const real *q = quest + (int64_t)task[i] * SYN_TASK_QUEST;
        const real *pr = pair + (int64_t)task[i] * SYN_TASK_PAIR;
        for (uint32_t left = rows[i]; left; left &= left - 1) {
            int p = syn_lowest(left);
            view v;
            view_make(&v, view_mask[i], p, q, worth ? worth + i * R : NULL);
            piece_features(&v, p, q, pr, out + (i * R + p) * SYN_DV);
        }
    }
    return SYN_OK;
}

syn_status syn_view_features_by(syn_ctx *ctx, int64_t n, const int32_t *task,
                                const uint32_t *view_mask, const uint32_t *rows, const real *quest,
                                const real *pair, const real *worth, real *out)
{
    SYN_REQUIRE(n >= 0 && task && view_mask && rows && quest && pair && out,
                "view features: a buffer is missing");
    return SYN_DISPATCH(ctx, syn_view_features_by, n, task, view_mask, rows, quest, pair, worth,
                        out);
}

syn_status syn_view_features(syn_ctx *ctx, int64_t n, const int32_t *task,
                             const uint32_t *view_mask, const uint32_t *rows, const real *quest,
                             const real *pair, real *out)
{
    return syn_view_features_by(ctx, n, task, view_mask, rows, quest, pair, NULL, out);
}
