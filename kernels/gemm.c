#include "kernels/gemm.h"

#include <stdbool.h>

#include "kernels/packed.h"
#include "kernels/tile.h"

#ifdef _OPENMP
#    include <omp.h>
#endif
#if defined(SYN_HAVE_DNNL) && !defined(SYN_REAL_DOUBLE)
#    include <oneapi/dnnl/dnnl.h>
#    define GEMM_ONEDNN
#endif

/* A block of B (GEMM_K x GEMM_N) is packed into panels that stay in the second-level cache; rows of
 * A are read in place, or packed when A is transposed. */
enum { GEMM_K = 256, GEMM_N = 2048, GEMM_M = 1536 };

enum {
    GEMM_THREAD_WORK_MIN = 1 << 17, /* multiplications that are worth waking a second thread for */
    GEMM_DOTS_M = 24,               /* up to so many rows, packing B costs more than it saves ... */
    GEMM_DOTS_M_THREADED = 64,      /* ... and with several threads, which share its packing */
    GEMM_ONEDNN_M_THREADED = 256    /* from here on oneDNN's threading pays */
};

typedef struct product {
    bool ta, tb;
    int64_t m, n, k;
    real alpha, beta;
    const real *a, *b;
    real *c;
    int64_t lda, ldb, ldc;
    int threads;
} product;

static void scale(const product *g)
{
    for (int64_t i = 0; i < g->m; i++) {
        real *c = g->c + i * g->ldc;
        for (int64_t j = 0; j < g->n; j++) c[j] = g->beta == 0 ? 0 : g->beta * c[j];
    }
}

static real update(const product *g, real c, real sum, bool first)
{
    if (!first) return c + g->alpha * sum;
    return g->beta == 0 ? g->alpha * sum : g->beta * c + g->alpha * sum;
}

/* Columns j0..j0+SYN_PANEL of op(B), rows p0..p0+k, zeros beyond the last column. */
static void pack_panel(const product *g, int64_t p0, int64_t k, int64_t j0, real *restrict panel)
{
    if (g->tb) {
        syn_packed_panel(g->n, k, g->b, g->ldb, j0, p0, panel);
        return;
    }
    int64_t cols = g->n - j0 < SYN_PANEL ? g->n - j0 : SYN_PANEL;
    if (cols < SYN_PANEL) memset(panel, 0, sizeof(real) * (size_t)(k * SYN_PANEL));
    for (int64_t p = 0; p < k; p++)
        memcpy(panel + p * SYN_PANEL, g->b + (p0 + p) * g->ldb + j0, sizeof(real) * (size_t)cols);
}

/* Rows i..i+SYN_LANES of the transposed A, columns p0..p0+k, as rows of k. */
static void pack_rows(const product *g, int64_t i0, int64_t m, int64_t p0, int64_t k,
                      real *restrict rows)
{
    for (int64_t p = 0; p < k; p++) {
        const real *a = g->a + (p0 + p) * g->lda + i0;
        for (int64_t i = 0; i < m; i++) rows[i * k + p] = a[i];
    }
}

static void multiply_tile(const product *g, const real *const *a, int rows, int64_t i, int64_t j,
                          int64_t k, const real *panel, bool first)
{
    real z[SYN_TILE_ROWS * SYN_PANEL];
    int64_t cols = g->n - j < SYN_PANEL ? g->n - j : SYN_PANEL;
    syn_tile(rows, a, k, panel, z);
    for (int r = 0; r < rows; r++) {
        real *c = g->c + (i + r) * g->ldc + j;
        const real *zr = z + r * SYN_PANEL;
        if (cols == SYN_PANEL) {
            for (int64_t q = 0; q < SYN_PANEL; q++) c[q] = update(g, c[q], zr[q], first);
        } else {
            for (int64_t q = 0; q < cols; q++) c[q] = update(g, c[q], zr[q], first);
        }
    }
}

static void multiply_blocked(const product *g, real *panels, real *packed)
{
#pragma omp parallel num_threads(g->threads)
    for (int64_t j0 = 0; j0 < g->n; j0 += GEMM_N) {
        int64_t n = g->n - j0 < GEMM_N ? g->n - j0 : GEMM_N;
        int64_t panel_count = (n + SYN_PANEL - 1) / SYN_PANEL;
        for (int64_t p0 = 0; p0 < g->k; p0 += GEMM_K) {
            int64_t k = g->k - p0 < GEMM_K ? g->k - p0 : GEMM_K;
#pragma omp for schedule(static)
            for (int64_t q = 0; q < panel_count; q++)
                pack_panel(g, p0, k, j0 + q * SYN_PANEL, panels + q * k * SYN_PANEL);
            for (int64_t i0 = 0; i0 < g->m; i0 += GEMM_M) {
                int64_t m = g->m - i0 < GEMM_M ? g->m - i0 : GEMM_M;
                if (g->ta) {
#pragma omp for schedule(static)
                    for (int64_t i = 0; i < m; i += SYN_LANES)
                        pack_rows(g, i0 + i, m - i < SYN_LANES ? m - i : SYN_LANES, p0, k,
                                  packed + i * k);
                }
                int64_t groups = (m + SYN_TILE_ROWS - 1) / SYN_TILE_ROWS;
#pragma omp for schedule(static)
                for (int64_t at = 0; at < panel_count * groups; at++) {
                    int64_t q = at / groups, i = at % groups * SYN_TILE_ROWS;
                    int rows = (int)(m - i < SYN_TILE_ROWS ? m - i : SYN_TILE_ROWS);
                    const real *a[SYN_TILE_ROWS] = {0};
                    for (int r = 0; r < rows; r++)
                        a[r] = g->ta ? packed + (i + r) * k : g->a + (i0 + i + r) * g->lda + p0;
                    multiply_tile(g, a, rows, i0 + i, j0 + q * SYN_PANEL, k,
                                  panels + q * k * SYN_PANEL, p0 == 0);
                }
            }
        }
    }
}

/* Against all of B in panels: a row's sums do not depend on the others. */
static void multiply_packed(const product *g, const real *panels)
{
    const int64_t panel_count = (g->n + SYN_PANEL - 1) / SYN_PANEL;
#pragma omp parallel for schedule(static) num_threads(g->threads)
    for (int64_t q = 0; q < panel_count; q++) {
        for (int64_t i = 0; i < g->m; i += SYN_TILE_ROWS) {
            const int rows = (int)(g->m - i < SYN_TILE_ROWS ? g->m - i : SYN_TILE_ROWS);
            const real *a[SYN_TILE_ROWS] = {0};
            for (int r = 0; r < rows; r++) a[r] = g->a + (i + r) * g->lda;
            multiply_tile(g, a, rows, i, q * SYN_PANEL, g->k, panels + q * g->k * SYN_PANEL, true);
        }
    }
}

/* Few rows against the rows of B: B is read once, in place. */
static void multiply_dots(const product *g)
{
#pragma omp parallel for schedule(static) num_threads(g->threads)
    for (int64_t j = 0; j < g->n; j += SYN_DOTS_COLS) {
        int64_t cols = g->n - j < SYN_DOTS_COLS ? g->n - j : SYN_DOTS_COLS;
        const real *b[SYN_DOTS_COLS];
        for (int64_t q = 0; q < SYN_DOTS_COLS; q++) b[q] = g->b + (j + (q < cols ? q : 0)) * g->ldb;
        for (int64_t i = 0; i < g->m; i += SYN_DOTS_ROWS) {
            int rows = (int)(g->m - i < SYN_DOTS_ROWS ? g->m - i : SYN_DOTS_ROWS);
            const real *a[SYN_DOTS_ROWS] = {0};
            real z[SYN_DOTS_ROWS * SYN_DOTS_COLS];
            for (int r = 0; r < rows; r++) a[r] = g->a + (i + r) * g->lda;
            syn_dots(rows, a, b, g->k, z, SYN_DOTS_COLS);
            for (int r = 0; r < rows; r++) {
                real *c = g->c + (i + r) * g->ldc + j;
                for (int64_t q = 0; q < cols; q++)
                    c[q] = update(g, c[q], z[r * SYN_DOTS_COLS + q], true);
            }
        }
    }
}

#ifdef GEMM_ONEDNN
static bool multiply_onednn(const product *g)
{
    /* The team size belongs to the calling thread, which may not be the one that made the context.
     */
#    ifdef _OPENMP
    if (omp_get_max_threads() != g->threads) omp_set_num_threads(g->threads);
#    endif
    return dnnl_sgemm(g->ta ? 'T' : 'N', g->tb ? 'T' : 'N', g->m, g->n, g->k, g->alpha, g->a,
                      g->lda, g->b, g->ldb, g->beta, g->c, g->ldc) == dnnl_success;
}
#endif

static syn_status check(const product *g)
{
    SYN_REQUIRE(g->m >= 0 && g->n >= 0 && g->k >= 0, "a matrix product of %lld x %lld x %lld",
                (long long)g->m, (long long)g->n, (long long)g->k);
    SYN_REQUIRE(g->lda >= (g->ta ? g->m : g->k) && g->ldb >= (g->tb ? g->k : g->n) &&
                    g->ldc >= g->n,
                "a row stride of a matrix product is smaller than its row: lda %lld, ldb %lld, "
                "ldc %lld for %lld x %lld x %lld",
                (long long)g->lda, (long long)g->ldb, (long long)g->ldc, (long long)g->m,
                (long long)g->n, (long long)g->k);
    if (g->m == 0 || g->n == 0) return SYN_OK;
    SYN_REQUIRE(g->c && (g->k == 0 || (g->a && g->b)), "a matrix of a product is NULL");
    return SYN_OK;
}

syn_status syn_gemm(syn_ctx *ctx, bool ta, bool tb, int64_t m, int64_t n, int64_t k, real alpha,
                    const real *a, int64_t lda, const real *b, int64_t ldb, real beta, real *c,
                    int64_t ldc)
{
    product g = {ta, tb, m, n, k, alpha, beta, a, b, c, lda, ldb, ldc, ctx->threads};
    SYN_RETURN_IF(check(&g));
    if (m == 0 || n == 0) return SYN_OK;
    return SYN_DISPATCH(ctx, syn_gemm, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

syn_status syn_gemm_cpu(syn_ctx *ctx, bool ta, bool tb, int64_t m, int64_t n, int64_t k, real alpha,
                        const real *a, int64_t lda, const real *b, int64_t ldb, real beta, real *c,
                        int64_t ldc)
{
    product g = {ta, tb, m, n, k, alpha, beta, a, b, c, lda, ldb, ldc, ctx->threads};
    if (k == 0 || alpha == 0) {
        scale(&g);
        return SYN_OK;
    }
    if ((double)m * (double)n * (double)k < GEMM_THREAD_WORK_MIN) g.threads = 1;
    const real *panels = !ta && tb && ldb == k ? syn_packed_product_find(ctx, n, k, b) : NULL;
    if (panels) {
        multiply_packed(&g, panels);
        return SYN_OK;
    }
    if (!ta && tb && m <= (g.threads > 1 ? GEMM_DOTS_M_THREADED : GEMM_DOTS_M)) {
        multiply_dots(&g);
        return SYN_OK;
    }
#ifdef GEMM_ONEDNN
    if ((g.threads == 1 || m >= GEMM_ONEDNN_M_THREADED) && multiply_onednn(&g)) return SYN_OK;
#endif
    syn_scratch_mark mark = syn_scratch_push(ctx);
    int64_t kmax = k < GEMM_K ? k : GEMM_K, nmax = n < GEMM_N ? n : GEMM_N;
    int64_t mmax = m < GEMM_M ? m : GEMM_M;
    real *blocks = SYN_SCRATCH(ctx, real, kmax * (nmax + SYN_PANEL));
    real *packed = ta ? SYN_SCRATCH(ctx, real, kmax * mmax) : NULL;
    bool enough = blocks && (packed || !ta);
    if (enough) multiply_blocked(&g, blocks, packed);
    syn_scratch_pop(ctx, mark);
    return enough ? SYN_OK : SYN_ERR_MEMORY;
}
