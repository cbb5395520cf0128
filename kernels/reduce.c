#include "kernels/reduce.h"

enum { COLUMNS = 64 /* that one thread sums */, THREAD_WORK_MIN = 1 << 15 };

syn_status syn_column_sum(syn_ctx *ctx, int64_t rows, int64_t cols, const real *x, int64_t ldx,
                          real *y)
{
    SYN_REQUIRE(rows >= 0 && cols >= 0 && ldx >= cols && (y || cols == 0) &&
                    (x || rows == 0 || cols == 0),
                "column sums of %lld rows of %lld, %lld apart", (long long)rows, (long long)cols,
                (long long)ldx);
    return SYN_DISPATCH(ctx, syn_column_sum, rows, cols, x, ldx, y);
}

/* Threads share the columns, so the order of a sum is fixed. */
syn_status syn_column_sum_cpu(syn_ctx *ctx, int64_t rows, int64_t cols, const real *x, int64_t ldx,
                              real *y)
{
#pragma omp parallel for schedule(static)                                                          \
    num_threads(ctx->threads) if (rows * cols >= THREAD_WORK_MIN)
    for (int64_t j0 = 0; j0 < cols; j0 += COLUMNS) {
        int64_t n = cols - j0 < COLUMNS ? cols - j0 : COLUMNS;
        real sum[COLUMNS] = {0};
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < n; j++) sum[j] += x[i * ldx + j0 + j];
        for (int64_t j = 0; j < n; j++) y[j0 + j] += sum[j];
    }
    return SYN_OK;
}
