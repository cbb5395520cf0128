#include "kernels/pair.h"

#include <string.h>

#ifdef _OPENMP
#    include <omp.h>
#endif

#include "kernels/base/cpu.h"
#include "kernels/base/vecmath.h"
#include "kernels/gemm.h"

/* The work is cut into chunks of environments with about CHUNK_ROWS pairs each; one thread gathers
 * a chunk's live pairs, multiplies their features by X, and finishes them row by row. Chunks are
 * the same for any number of threads. The backward pass sums over SHARDS ranges of chunks and then
 * over the shards in a fixed tree. */
enum { CHUNK_ROWS = 512, SHARDS = 16, K = SYN_PAIR_KINDS };

typedef struct pair_op {
    int64_t E, N, P, F;
    const int32_t *count;
    const real *s, *q, *r, *x, *X, *w, *w0;
    int64_t chunk_envs, rows_max;
} pair_op;

typedef struct pair_row {
    int64_t env, from, to;
    int64_t at; /* of the logit */
} pair_row;

/* What one thread works in. */
typedef struct pair_space {
    syn_ctx one; /* a context of one thread, for the products */
    pair_row *row;
    real *x; /* (rows, F) gathered features */
    real *z; /* (rows, P) their products, then tanh's gradients */
} pair_space;

/* Sums of one shard. */
typedef struct pair_sums {
    real *dX, *dw, *dw0; /* (K,P,F), (K,P), (K) */
} pair_sums;

static int thread_index(void)
{
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

static syn_status op_check(const pair_op *op)
{
    SYN_REQUIRE(op->E >= 0 && op->N >= 1 && op->N <= SYN_PAIR_AGENTS_MAX && op->P >= 1 &&
                    op->F >= 1,
                "pair scorer: %lld environments of %lld agents, widths %lld and %lld",
                (long long)op->E, (long long)op->N, (long long)op->P, (long long)op->F);
    return SYN_OK;
}

static syn_status op_check_counts(const pair_op *op)
{
    for (int64_t e = 0; e < op->E; e++)
        SYN_REQUIRE(op->count[e] >= 0 && op->count[e] <= op->N,
                    "pair scorer: environment %lld has %d agents, at most %lld fit", (long long)e,
                    (int)op->count[e], (long long)op->N);
    return SYN_OK;
}

static syn_status op_init(pair_op *op)
{
    SYN_RETURN_IF(op_check_counts(op));
    int64_t pairs = op->N > 1 ? op->N * (op->N - 1) : 1;
    op->chunk_envs = pairs < CHUNK_ROWS ? CHUNK_ROWS / pairs : 1;
    if (op->chunk_envs > op->E) op->chunk_envs = op->E > 0 ? op->E : 1;
    op->rows_max = op->chunk_envs * pairs;
    return SYN_OK;
}

static pair_space *spaces_create(syn_ctx *ctx, const pair_op *op)
{
    pair_space *all = SYN_SCRATCH(ctx, pair_space, ctx->threads);
    if (!all) return NULL;
    memset(all, 0, sizeof *all * (size_t)ctx->threads);
    for (int t = 0; t < ctx->threads; t++) {
        all[t].one.threads = 1;
        all[t].row = SYN_SCRATCH(ctx, pair_row, op->rows_max);
        all[t].x = SYN_SCRATCH(ctx, real, op->rows_max * op->F);
        all[t].z = SYN_SCRATCH(ctx, real, op->rows_max * op->P);
        if (!all[t].row || !all[t].x || !all[t].z) return NULL;
    }
    return all;
}

static void spaces_free(pair_space *all, int threads)
{
    for (int t = 0; t < threads; t++) syn_ctx_free(&all[t].one);
}

/* Lists the live pairs of kind k in environments [e0, e1), gathers their features, and multiplies
 * them: z = x X_k^T. With dlogit, pairs without a gradient are left out. Returns the rows. */
static int64_t chunk_products(const pair_op *op, int64_t e0, int64_t e1, int k, const real *dlogit,
                              pair_space *sp, syn_status *st)
{
    int64_t rows = 0;
    for (int64_t e = e0; e < e1; e++) {
        for (int64_t i = 0; i < op->count[e]; i++) {
            for (int64_t j = 0; j < op->count[e]; j++) {
                int64_t at = ((e * K + k) * op->N + i) * op->N + j;
                if (i == j || (dlogit && dlogit[at] == 0)) continue;
                memcpy(sp->x + rows * op->F, op->x + at * op->F, sizeof(real) * (size_t)op->F);
                sp->row[rows++] = (pair_row){e, i, j, at};
            }
        }
    }
    *st = syn_gemm(&sp->one, false, true, rows, op->P, op->F, 1, sp->x, op->F,
                   op->X + k * op->P * op->F, op->F, 0, sp->z, op->P);
    return rows;
}

static real score_row(int64_t P, const real *s, const real *q, const real *r, const real *z,
                      const real *w)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t p = 0; p < P; p++) sum += w[p] * syn_tanh(s[p] + q[p] + r[p] + z[p]);
    return sum;
}

static syn_status chunk_forward(const pair_op *op, int64_t e0, int64_t e1, pair_space *sp,
                                real *logit)
{
    int64_t N = op->N, P = op->P;
    memset(logit + e0 * K * N * N, 0, sizeof *logit * (size_t)((e1 - e0) * K * N * N));
    for (int k = 0; k < K; k++) {
        syn_status st;
        int64_t rows = chunk_products(op, e0, e1, k, NULL, sp, &st);
        if (st != SYN_OK) return st;
        for (int64_t n = 0; n < rows; n++) {
            const pair_row *row = &sp->row[n];
            logit[row->at] = op->w0[k] + score_row(P, op->s + (row->env * K + k) * P,
                                                   op->q + ((row->env * N + row->from) * K + k) * P,
                                                   op->r + ((row->env * N + row->to) * K + k) * P,
                                                   sp->z + n * P, op->w + k * P);
        }
    }
    return SYN_OK;
}

syn_status syn_pair_forward(syn_ctx *ctx, int64_t E, int64_t N, int64_t P, int64_t F,
                            const int32_t *count, const real *s, const real *q, const real *r,
                            const real *x, const real *X, const real *w, const real *w0,
                            real *logit)
{
    pair_op op = {E, N, P, F, count, s, q, r, x, X, w, w0, 0, 0};
    SYN_RETURN_IF(op_check(&op));
    return SYN_DISPATCH(ctx, syn_pair_forward, E, N, P, F, count, s, q, r, x, X, w, w0, logit);
}

syn_status syn_pair_forward_cpu(syn_ctx *ctx, int64_t E, int64_t N, int64_t P, int64_t F,
                                const int32_t *count, const real *s, const real *q, const real *r,
                                const real *x, const real *X, const real *w, const real *w0,
                                real *logit)
{
    pair_op op = {E, N, P, F, count, s, q, r, x, X, w, w0, 0, 0};
    SYN_RETURN_IF(op_init(&op));
    syn_scratch_mark mark = syn_scratch_push(ctx);
    pair_space *space = spaces_create(ctx, &op);
    if (!space) {
        syn_scratch_pop(ctx, mark);
        return SYN_ERR_MEMORY;
    }
    int64_t chunks = syn_chunk_count(E, op.chunk_envs);
    int failed = SYN_OK, threads = chunks > 1 ? ctx->threads : 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(max : failed)
    for (int64_t c = 0; c < chunks; c++) {
        int64_t e0 = c * op.chunk_envs;
        int st = (int)chunk_forward(&op, e0, syn_chunk_end(e0, E, op.chunk_envs),
                                    &space[thread_index()], logit);
        failed = st > failed ? st : failed;
    }
    spaces_free(space, ctx->threads);
    syn_scratch_pop(ctx, mark);
    if (failed) return syn_fail((syn_status)failed, "pair scorer: its products failed");
    return SYN_OK;
}

/* Where one row's gradients go. */
typedef struct pair_grads {
    real *ds, *dq, *dr, *dw;
} pair_grads;

/* Replaces z by the gradient before tanh and adds it where its parts came from. */
static void score_row_backward(int64_t P, const real *s, const real *q, const real *r,
                               const real *w, real dlogit, real *restrict z, const pair_grads *to)
{
    real *restrict ds = to->ds, *restrict dq = to->dq, *restrict dr = to->dr, *restrict dw = to->dw;
#pragma omp simd
    for (int64_t p = 0; p < P; p++) {
        real t = syn_tanh(s[p] + q[p] + r[p] + z[p]);
        real g = dlogit * w[p] * (1 - t * t);
        dw[p] += dlogit * t;
        ds[p] += g;
        dq[p] += g;
        dr[p] += g;
        z[p] = g;
    }
}

static syn_status chunk_backward(const pair_op *op, int64_t e0, int64_t e1, const real *dlogit,
                                 real *ds, real *dq, real *dr, pair_space *sp,
                                 const pair_sums *sums)
{
    int64_t N = op->N, P = op->P, F = op->F;
    memset(ds + e0 * K * P, 0, sizeof *ds * (size_t)((e1 - e0) * K * P));
    memset(dq + e0 * N * K * P, 0, sizeof *dq * (size_t)((e1 - e0) * N * K * P));
    memset(dr + e0 * N * K * P, 0, sizeof *dr * (size_t)((e1 - e0) * N * K * P));
    for (int k = 0; k < K; k++) {
        syn_status st;
        int64_t rows = chunk_products(op, e0, e1, k, dlogit, sp, &st);
        if (st != SYN_OK) return st;
        for (int64_t n = 0; n < rows; n++) {
            const pair_row *row = &sp->row[n];
            int64_t env = (row->env * K + k) * P, from = ((row->env * N + row->from) * K + k) * P;
            int64_t to = ((row->env * N + row->to) * K + k) * P;
            pair_grads grads = {ds + env, dq + from, dr + to, sums->dw + k * P};
            sums->dw0[k] += dlogit[row->at];
            score_row_backward(P, op->s + env, op->q + from, op->r + to, op->w + k * P,
                               dlogit[row->at], sp->z + n * P, &grads);
        }
        st = syn_gemm(&sp->one, true, false, P, F, rows, 1, sp->z, P, sp->x, F, 1,
                      sums->dX + k * P * F, F);
        if (st != SYN_OK) return st;
    }
    return SYN_OK;
}

/* Adds part[1], part[2], ... to part[0] in a fixed tree, then that to the gradient. */
static void sum_shards(int shards, int64_t stride, int64_t n, real *part, real *grad)
{
    for (int step = 1; step < shards; step *= 2)
        for (int a = 0; a + step < shards; a += 2 * step)
            for (int64_t i = 0; i < n; i++) part[a * stride + i] += part[(a + step) * stride + i];
    for (int64_t i = 0; i < n; i++) grad[i] += part[i];
}

syn_status syn_pair_backward(syn_ctx *ctx, int64_t E, int64_t N, int64_t P, int64_t F,
                             const int32_t *count, const real *s, const real *q, const real *r,
                             const real *x, const real *X, const real *w, const real *w0,
                             const real *dlogit, real *ds, real *dq, real *dr, real *dX, real *dw,
                             real *dw0)
{
    pair_op op = {E, N, P, F, count, s, q, r, x, X, w, w0, 0, 0};
    SYN_RETURN_IF(op_check(&op));
    return SYN_DISPATCH(ctx, syn_pair_backward, E, N, P, F, count, s, q, r, x, X, w, w0, dlogit, ds,
                        dq, dr, dX, dw, dw0);
}

syn_status syn_pair_backward_cpu(syn_ctx *ctx, int64_t E, int64_t N, int64_t P, int64_t F,
                                 const int32_t *count, const real *s, const real *q, const real *r,
                                 const real *x, const real *X, const real *w, const real *w0,
                                 const real *dlogit, real *ds, real *dq, real *dr, real *dX,
                                 real *dw, real *dw0)
{
    pair_op op = {E, N, P, F, count, s, q, r, x, X, w, w0, 0, 0};
    SYN_RETURN_IF(op_init(&op));
    syn_scratch_mark mark = syn_scratch_push(ctx);
    int64_t weights = K * P * F, size = weights + K * P + K, sizes = SHARDS * size;
    pair_space *space = spaces_create(ctx, &op);
    real *part = SYN_SCRATCH(ctx, real, sizes);
    if (!space || !part) {
        syn_scratch_pop(ctx, mark);
        return SYN_ERR_MEMORY;
    }
    memset(part, 0, sizeof *part * (size_t)sizes);
    int64_t chunks = syn_chunk_count(E, op.chunk_envs);
    int failed = SYN_OK, threads = chunks > 1 ? ctx->threads : 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(max : failed)
    for (int shard = 0; shard < SHARDS; shard++) {
        real *sum = part + shard * size;
        pair_sums sums = {sum, sum + weights, sum + weights + K * P};
        for (int64_t c = chunks * shard / SHARDS; c < chunks * (shard + 1) / SHARDS; c++) {
            int64_t e0 = c * op.chunk_envs;
            int st = (int)chunk_backward(&op, e0, syn_chunk_end(e0, E, op.chunk_envs), dlogit, ds,
                                         dq, dr, &space[thread_index()], &sums);
            failed = st > failed ? st : failed;
        }
    }
    sum_shards(SHARDS, size, weights, part, dX);
    sum_shards(SHARDS, size, K * P, part + weights, dw);
    sum_shards(SHARDS, size, K, part + weights + K * P, dw0);
    spaces_free(space, ctx->threads);
    syn_scratch_pop(ctx, mark);
    if (failed) return syn_fail((syn_status)failed, "pair scorer: its products failed");
    return SYN_OK;
}
