#include "kernels/reduce.h"

#include "kernels/reduce.cuh"

enum {
    COLUMNS = 32, /* of a block: one line of memory in each row */
    ROWS = 8,     /* that it reads side by side */
    CHUNK_ROWS = 256,
    CHUNKS_MAX = 128
};

/* Block (g, c) sums the columns of group g over the rows of chunk c into part (chunks, cols), or,
 * where there is one chunk, adds them to y. Each of the ROWS threads of a column takes every
 * ROWS-th row; their sums are added in the order of the threads. */
static __global__ void column_sum_kernel(int64_t rows, int64_t cols, int64_t chunk_rows,
                                         const float *__restrict__ x, int64_t ldx,
                                         const float *__restrict__ weight, float *part, float *y)
{
    __shared__ float sum[ROWS][COLUMNS];
    const int tx = threadIdx.x % COLUMNS, ty = threadIdx.x / COLUMNS;
    const int64_t j = (int64_t)blockIdx.x * COLUMNS + tx;
    const int64_t start = (int64_t)blockIdx.y * chunk_rows;
    const int64_t end = start + chunk_rows < rows ? start + chunk_rows : rows;
    float s = 0;
    if (j < cols) {
#pragma unroll 4
        for (int64_t i = start + ty; i < end; i += ROWS) {
            const float w = weight ? weight[i] : 1.0f;
            if (w != 0) s = fmaf(w, x[i * ldx + j], s);
        }
    }
    sum[ty][tx] = s;
    __syncthreads();
    if (ty != 0 || j >= cols) return;
    for (int r = 1; r < ROWS; r++) s += sum[r][tx];
    if (gridDim.y == 1)
        y[j] += s;
    else
        part[(int64_t)blockIdx.y * cols + j] = s;
}

static __global__ void column_finish_kernel(int64_t chunks, int64_t cols, const float *part,
                                            float *y)
{
    const int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= cols) return;
    float s = 0;
    for (int64_t c = 0; c < chunks; c++) s += part[c * cols + j];
    y[j] += s;
}

extern "C" syn_status syn_column_sum_weighted_cuda(syn_ctx *ctx, int64_t rows, int64_t cols,
                                                   const float *x, int64_t ldx, const float *weight,
                                                   float *y)
{
    if (rows == 0 || cols == 0) return SYN_OK;
    int64_t chunks = (rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
    if (chunks > CHUNKS_MAX) chunks = CHUNKS_MAX;
    const int64_t chunk_rows = (rows + chunks - 1) / chunks;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    float *part = chunks > 1 ? SYN_SCRATCH(ctx, float, chunks *cols) : NULL;
    syn_status st = SYN_ERR_MEMORY;
    if (chunks > 1 && !part) goto done;
    SYN_LAUNCH(ctx, column_sum_kernel, dim3(syn_blocks(cols, COLUMNS), (unsigned)chunks),
               COLUMNS * ROWS, 0, rows, cols, chunk_rows, x, ldx, weight, part, y);
    SYN_TRY(syn_cuda_check(ctx, "column sums", __FILE__, __LINE__));
    if (chunks > 1) {
        SYN_LAUNCH(ctx, column_finish_kernel, syn_blocks(cols, 256), 256, 0, chunks, cols, part, y);
        SYN_TRY(syn_cuda_check(ctx, "column sums", __FILE__, __LINE__));
    }
    st = SYN_OK;
done:
    syn_scratch_pop(ctx, mark);
    return st;
}

extern "C" syn_status syn_column_sum_cuda(syn_ctx *ctx, int64_t rows, int64_t cols, const float *x,
                                          int64_t ldx, float *y)
{
    return syn_column_sum_weighted_cuda(ctx, rows, cols, x, ldx, NULL, y);
}
