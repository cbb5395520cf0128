/* One warp per view and piece, one lane per other piece: rows of the pair array are one coalesced
 * read of 128 bytes each, maxima are one instruction over the warp (all values are >= 0, where the
 * bits of floats are ordered as integers), sums a butterfly, whose order is fixed. What binds at
 * many views is reading the rows: 8 x 128 bytes per piece. */
#include "kernels/base/launch.cuh"
#include "kernels/features.h"
#include "kernels/reduce.cuh"

enum {
    R = SYN_ROWS_MAX,
    WARPS = 8,
    THREADS = SYN_WARP * WARPS,
    RESIDENT = 8 /* blocks on a multiprocessor; they take the views in turn, so that what is beyond
                  *live costs nothing */
};

static_assert((int)R == (int)SYN_WARP, "a lane is a row");

/* syn_seen_feature of 0 to R - 1, as the host computes it. */
typedef struct seen_table {
    float of[R];
} seen_table;

typedef struct view_batch {
    int64_t capacity;
    const int32_t *live; /* NULL: all of them */
    const int32_t *task, *slot;
    const uint32_t *view, *rows;
    const float *quest, *pair, *worth;
    float *out;
} view_batch;

/* The largest of the values of all lanes, but not below 0. */
static __device__ float warp_max(float x)
{
    return __uint_as_float(__reduce_max_sync(SYN_ALL_LANES, x > 0 ? __float_as_uint(x) : 0u));
}

/* Keeps feature k in lane k. */
static __device__ void put(float *mine, int lane, int k, float x)
{
    if (lane == k) *mine = x;
}

/* The features of piece p: quest and pair of its task, worth (R) or NULL; `lane` is the other
 * piece. Returns in lane k feature k. */
static __device__ float piece_features(uint32_t view, int p, const float *quest, const float *pair,
                                       const float *worth, const seen_table *table, int lane)
{
    const uint32_t others = view & ~(1u << p);
    const bool on = others >> lane & 1u;
    float row[SYN_PAIR_CHANNELS], f = 0;
    for (int c = 0; c < SYN_PAIR_CHANNELS; c++) row[c] = on ? pair[(c * R + p) * R + lane] : 0.0f;
    const float *q = quest + lane * SYN_DQ;
    const float cosine = on ? (worth ? worth[lane] : q[SYN_Q_COSINE]) : 0.0f;
    const float titled = on ? q[SYN_Q_TITLE_IN] : 0.0f;
    const float mine = worth ? worth[p] : quest[p * SYN_DQ + SYN_Q_COSINE];
    const float by = row[SYN_PAIR_MENTION_T], of = row[SYN_PAIR_MENTION];

    put(&f, lane, 0, warp_max(by));
    put(&f, lane, 1, syn_warp_sum(by * cosine));
    put(&f, lane, 2, warp_max(by * titled));
    put(&f, lane, 3, warp_max(of));
    put(&f, lane, 4, syn_warp_sum(of * cosine));
    put(&f, lane, 5, warp_max(of * titled));
    put(&f, lane, 6, syn_warp_sum(of) / 4);
    put(&f, lane, 7, syn_warp_sum(by) / 4);
    put(&f, lane, 8, warp_max(row[SYN_PAIR_PARTIAL_T]));
    put(&f, lane, 9, warp_max(row[SYN_PAIR_PARTIAL_T] * cosine));
    put(&f, lane, 10, warp_max(row[SYN_PAIR_PARTIAL]));
    put(&f, lane, 11, warp_max(row[SYN_PAIR_PARTIAL] * cosine));
    put(&f, lane, 12, warp_max(row[SYN_PAIR_CAPITAL]));
    put(&f, lane, 13, warp_max(row[SYN_PAIR_CAPITAL] * cosine));
    put(&f, lane, 15, warp_max(row[SYN_PAIR_SPAN]));
    put(&f, lane, 16, warp_max(row[SYN_PAIR_SPAN] * cosine));
    put(&f, lane, 20, warp_max(row[SYN_PAIR_COSINE]));

    const int count = __popc(others);
    const float best_cosine = warp_max(cosine), sum = syn_warp_sum(cosine);
    const float mean_cosine = count ? sum / (float)count : 0.0f;
    const float coverage = quest[p * SYN_DQ + SYN_Q_COVERAGE];
    /* The first of the best; without one (no others, or NaN) any lane does. */
    const uint32_t bests = __ballot_sync(SYN_ALL_LANES, on && cosine >= best_cosine);
    const int best = bests ? __ffs((int)bests) - 1 : 0;
    put(&f, lane, 14, __shfl_sync(SYN_ALL_LANES, row[SYN_PAIR_CAPITAL], best));
    const float beyond_best = __shfl_sync(SYN_ALL_LANES, row[SYN_PAIR_COVER], best);
    put(&f, lane, 17, count ? beyond_best : coverage);
    if (lane == 18 && count) f = pair[(SYN_PAIR_COVER * R + best) * R + p];
    const float joint = warp_max(on ? q[SYN_Q_COVERAGE] + row[SYN_PAIR_COVER] : 0.0f);
    put(&f, lane, 19, joint > coverage ? joint : coverage);
    put(&f, lane, 21, __shfl_sync(SYN_ALL_LANES, row[SYN_PAIR_COSINE], best));
    put(&f, lane, 22, mine >= best_cosine ? 1.0f : 0.0f);
    put(&f, lane, 23, mine - mean_cosine);
    put(&f, lane, 24, mine - best_cosine);
    put(&f, lane, 25, table->of[count]);
    return f;
}

/* A block takes a view, its warps the pieces of the view in turn. */
static __global__ void __launch_bounds__(THREADS) features_kernel(view_batch b, seen_table table)
{
    const int lane = (int)threadIdx.x % SYN_WARP, warp = (int)threadIdx.x / SYN_WARP;
    const int64_t n = syn_live(b.capacity, b.live);
    for (int64_t i = blockIdx.x; i < n; i += gridDim.x) {
        const int64_t slot = b.slot ? b.slot[i] : i;
        const float *quest = b.quest + (int64_t)b.task[i] * SYN_TASK_QUEST;
        const float *pair = b.pair + (int64_t)b.task[i] * SYN_TASK_PAIR;
        const float *worth = b.worth ? b.worth + slot * R : NULL;
        int k = 0;
        for (uint32_t left = b.rows[i]; left; left &= left - 1, k++) {
            if (k % WARPS != warp) continue;
            const int p = syn_lowest(left);
            const float f = piece_features(b.view[i], p, quest, pair, worth, &table, lane);
            if (lane < SYN_DV) b.out[(slot * R + p) * SYN_DV + lane] = f;
        }
    }
}

static syn_status launch(syn_ctx *ctx, view_batch b)
{
    seen_table table;
    if (b.capacity == 0) return SYN_OK;
    for (int count = 0; count < R; count++) table.of[count] = syn_seen_feature(count);
    SYN_LAUNCH(ctx, features_kernel, syn_blocks_resident(b.capacity, 1, RESIDENT), THREADS, 0, b,
               table);
    SYN_LAUNCH_CHECK(ctx, "view features");
    return SYN_OK;
}

extern "C" syn_status syn_view_features_by_cuda(syn_ctx *ctx, int64_t n, const int32_t *task,
                                                const uint32_t *view, const uint32_t *rows,
                                                const real *quest, const real *pair,
                                                const real *worth, real *out)
{
    const view_batch b = {n, NULL, task, NULL, view, rows, quest, pair, worth, out};
    return launch(ctx, b);
}

extern "C" syn_status syn_view_features_live_cuda(syn_ctx *ctx, int64_t capacity,
                                                  const int32_t *live, const int32_t *task,
                                                  const uint32_t *view, const uint32_t *rows,
                                                  const int32_t *slot, const real *quest,
                                                  const real *pair, const real *worth, real *out)
{
    const view_batch b = {capacity, live, task, slot, view, rows, quest, pair, worth, out};
    return launch(ctx, b);
}
