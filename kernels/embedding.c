#include "kernels/embedding.h"

#include <math.h>
#include <string.h>

#include "kernels/base/cpu.h"

enum {
    BAG_GRAIN = 16,  /* bags that a thread takes at a time */
    RUN_GRAIN = 256, /* positions, likewise */
    PREFETCH_ROWS = 4
};

/* Rows lie all over a table larger than the caches; asked for early, they arrive in time. */
static inline void prefetch_row(int64_t D, const real *row)
{
    for (int64_t d = 0; d < D; d += 64 / (int64_t)sizeof(real)) __builtin_prefetch(row + d);
}

static void bag_forward(int64_t D, int64_t count, const int32_t *id, const real *weight,
                        const real *table, real *restrict y, real *norm)
{
    for (int64_t d = 0; d < D; d++) y[d] = 0;
    for (int64_t k = 0; k < count; k++) {
        const real *row = table + id[k] * D;
        if (k + PREFETCH_ROWS < count) prefetch_row(D, table + id[k + PREFETCH_ROWS] * D);
        for (int64_t d = 0; d < D; d++) y[d] += weight[k] * row[d];
    }
    double square = 0;
#pragma omp simd reduction(+ : square)
    for (int64_t d = 0; d < D; d++) square += (double)y[d] * (double)y[d];
    *norm = (real)sqrt(square);
    real scale = *norm > 0 ? 1 / *norm : 0;
    for (int64_t d = 0; d < D; d++) y[d] *= scale;
}

syn_status syn_embedding_bag_forward(syn_ctx *ctx, int64_t n, int64_t D, const int32_t *offset,
                                     const int32_t *id, const real *weight, const real *table,
                                     real *y, real *norm)
{
    SYN_REQUIRE(n >= 0 && D >= 1, "syn_embedding_bag_forward: %lld bags of width %lld",
                (long long)n, (long long)D);
    return SYN_DISPATCH(ctx, syn_embedding_bag_forward, n, D, offset, id, weight, table, y, norm);
}

syn_status syn_embedding_bag_forward_cpu(syn_ctx *ctx, int64_t n, int64_t D, const int32_t *offset,
                                         const int32_t *id, const real *weight, const real *table,
                                         real *y, real *norm)
{
#pragma omp parallel for num_threads(ctx->threads) schedule(dynamic, BAG_GRAIN) if (n > BAG_GRAIN)
    for (int64_t b = 0; b < n; b++) {
        int32_t k = offset[b];
        bag_forward(D, offset[b + 1] - k, id + k, weight + k, table, y + b * D, norm + b);
    }
    return SYN_OK;
}

static syn_status plan_check(int64_t n, const int32_t *offset, const int32_t *id, int64_t V)
{
    SYN_REQUIRE(offset[0] == 0, "embedding bags: the first offset is %d, not 0", (int)offset[0]);
    for (int64_t b = 0; b < n; b++)
        SYN_REQUIRE(offset[b] <= offset[b + 1],
                    "embedding bags: bag %lld ends at %d, before it begins", (long long)b,
                    (int)offset[b + 1]);
    for (int64_t k = 0; k < offset[n]; k++)
        SYN_REQUIRE(id[k] >= 0 && id[k] < V,
                    "embedding bags: id %d at position %lld, the table has %lld", (int)id[k],
                    (long long)k, (long long)V);
    return SYN_OK;
}

syn_status syn_embedding_bag_plan(syn_ctx *ctx, int64_t n, const int32_t *offset, const int32_t *id,
                                  int64_t V, int32_t *order, int32_t *owner)
{
    SYN_REQUIRE(n >= 0 && V >= 1, "syn_embedding_bag_plan: %lld bags, a table of %lld rows",
                (long long)n, (long long)V);
    return SYN_DISPATCH(ctx, syn_embedding_bag_plan, n, offset, id, V, order, owner);
}

syn_status syn_embedding_bag_plan_cpu(syn_ctx *ctx, int64_t n, const int32_t *offset,
                                      const int32_t *id, int64_t V, int32_t *order, int32_t *owner)
{
    SYN_RETURN_IF(plan_check(n, offset, id, V));
    syn_scratch_mark mark = syn_scratch_push(ctx);
    int32_t *place = SYN_SCRATCH(ctx, int32_t, V + 1);
    if (!place) return SYN_ERR_MEMORY;
    memset(place, 0, sizeof *place * (size_t)(V + 1));
    /* Counting sort: stable, hence equal ids stay in the order of their positions. */
    for (int64_t k = 0; k < offset[n]; k++) place[id[k] + 1]++;
    for (int64_t v = 0; v < V; v++) place[v + 1] += place[v];
    for (int64_t b = 0; b < n; b++) {
        for (int32_t k = offset[b]; k < offset[b + 1]; k++) {
            owner[k] = (int32_t)b;
            order[place[id[k]]++] = k;
        }
    }
    syn_scratch_pop(ctx, mark);
    return SYN_OK;
}

/* Through the division by the length: ds = (dy - y (y . dy)) / |s|. */
static void norm_backward(int64_t D, const real *y, real norm, const real *dy, real *ds)
{
    double dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t d = 0; d < D; d++) dot += (double)y[d] * (double)dy[d];
    real scale = norm > 0 ? 1 / norm : 0;
    for (int64_t d = 0; d < D; d++) ds[d] = scale * (dy[d] - y[d] * (real)dot);
}

syn_status syn_embedding_bag_backward(syn_ctx *ctx, int64_t n, int64_t D, const int32_t *offset,
                                      const int32_t *id, const real *weight, const real *y,
                                      const real *norm, const real *dy, int64_t V, real *dtable,
                                      const int32_t *order, const int32_t *owner)
{
    SYN_REQUIRE(n >= 0 && D >= 1 && V >= 1, "syn_embedding_bag_backward: %lld bags of width %lld",
                (long long)n, (long long)D);
    return SYN_DISPATCH(ctx, syn_embedding_bag_backward, n, D, offset, id, weight, y, norm, dy, V,
                        dtable, order, owner);
}

syn_status syn_embedding_bag_backward_cpu(syn_ctx *ctx, int64_t n, int64_t D, const int32_t *offset,
                                          const int32_t *id, const real *weight, const real *y,
                                          const real *norm, const real *dy, int64_t V, real *dtable,
                                          const int32_t *order, const int32_t *owner)
{
    (void)V;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    real *ds = SYN_SCRATCH(ctx, real, n * D);
    if (!ds) return SYN_ERR_MEMORY;
#pragma omp parallel for num_threads(ctx->threads) schedule(static) if (n > BAG_GRAIN)
    for (int64_t b = 0; b < n; b++) norm_backward(D, y + b * D, norm[b], dy + b * D, ds + b * D);

    /* Whoever meets the first position of an id sums all of that id's: one writer for each row. */
    int64_t count = offset[n];
    int threads = count > RUN_GRAIN ? ctx->threads : 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic, RUN_GRAIN)
    for (int64_t p = 0; p < count; p++) {
        int32_t v = id[order[p]];
        if (p > 0 && id[order[p - 1]] == v) continue;
        real *restrict row = dtable + v * D;
        for (int64_t r = p; r < count && id[order[r]] == v; r++) {
            const real *from = ds + owner[order[r]] * D;
            real w = weight[order[r]];
            for (int64_t d = 0; d < D; d++) row[d] += w * from[d];
        }
    }
    syn_scratch_pop(ctx, mark);
    return SYN_OK;
}
