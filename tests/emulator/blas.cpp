/* Matrix products: plain loops, sums in double. What the library leaves undefined (pointers less
 * aligned than the preference promised, a product that overlaps its operands) ends the program. */
#include <cublasLt.h>

#include <cstring>
#include <vector>

#include "tests/emulator/device.h"

struct emu_blas_handle {
    int unused;
};

struct emu_matmul {
    cublasComputeType_t compute;
    cublasOperation_t ta, tb;
    cublasLtEpilogue_t epilogue;
    const void *bias;
};

struct emu_layout {
    cudaDataType type;
    cublasLtOrder_t order;
    uint64_t rows, cols;
    int64_t ld, stride;
    int32_t batch;
};

struct emu_preference {
    uint64_t workspace;
    uint32_t align[4]; /* of a, b, c, d */
};

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    *handle = new emu_blas_handle();
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion()
{
    return 130000;
}

/* ---- Descriptions ---- */

/* Copies an attribute of just this size. */
template <typename T> static cublasStatus_t set(T *to, const void *value, size_t bytes)
{
    if (bytes != sizeof *to) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *product, cublasComputeType_t compute,
                                        cudaDataType_t scale)
{
    if (scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
    *product =
        new emu_matmul{compute, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product)
{
    delete product;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t what,
                                              const void *value, size_t bytes)
{
    switch (what) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return set(&product->ta, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return set(&product->tb, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return set(&product->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return set(&product->bias, value, bytes);
    }
    return CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld)
{
    *layout = new emu_layout{type, CUBLASLT_ORDER_COL, rows, cols, ld, 0, 1};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    delete layout;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t what,
                                                const void *value, size_t bytes)
{
    switch (what) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
        return set(&layout->type, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
        return set(&layout->order, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
        return set(&layout->rows, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
        return set(&layout->cols, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD:
        return set(&layout->ld, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
        return set(&layout->batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
        return set(&layout->stride, value, bytes);
    }
    return CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    *preference = new emu_preference{0, {256, 256, 256, 256}};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    delete preference;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t what,
                                                    const void *value, size_t bytes)
{
    if (what == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
        return set(&preference->workspace, value, bytes);
    if (what >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
        what <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES)
        return set(&preference->align[what - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value,
                   bytes);
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- Products ---- */

struct shape {
    uint64_t m, n, k;
};

static bool known(const emu_layout *l)
{
    const uint64_t least = l->order == CUBLASLT_ORDER_COL ? l->rows : l->cols;
    return (l->type == CUDA_R_32F || l->type == CUDA_R_16BF) && l->rows && l->cols &&
           l->ld >= (int64_t)least;
}

static bool fits(const emu_matmul *p, const emu_layout *a, const emu_layout *b, const emu_layout *c,
                 const emu_layout *d, shape *s)
{
    s->m = p->ta == CUBLAS_OP_N ? a->rows : a->cols;
    s->k = p->ta == CUBLAS_OP_N ? a->cols : a->rows;
    s->n = p->tb == CUBLAS_OP_N ? b->cols : b->rows;
    return known(a) && known(b) && known(c) && known(d) &&
           (p->tb == CUBLAS_OP_N ? b->rows : b->cols) == s->k && c->rows == s->m &&
           c->cols == s->n && d->rows == s->m && d->cols == s->n && c->batch == a->batch &&
           c->batch == b->batch && c->batch == d->batch;
}

/* algo->data: 1, the alignments of a, b, c, d, the workspace. The workspace is never needed, but is
 * asked for where the preference allows some, so that callers pass it. */
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t *results, int *count)
{
    shape s;
    *count = 0;
    if (!handle || most < 1 || !fits(product, a, b, c, d, &s)) return CUBLAS_STATUS_INVALID_VALUE;
    memset(results, 0, sizeof *results);
    results->algo.data[0] = 1;
    for (int i = 0; i < 4; i++) results->algo.data[1 + i] = preference->align[i];
    results->workspaceSize = results->algo.data[5] =
        preference->workspace < 1024 ? preference->workspace : 1024;
    *count = 1;
    return CUBLAS_STATUS_SUCCESS;
}

static float rounded(const emu_matmul *p, float x)
{
    uint32_t bits;
    if (p->compute == CUBLAS_COMPUTE_32F || p->compute == CUBLAS_COMPUTE_32F_PEDANTIC || x != x)
        return x;
    memcpy(&bits, &x, sizeof bits);
    bits = p->compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? (bits + 0x1000) & 0xffffe000u
                                                      : (bits + 0x8000) & 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float load(const emu_layout *l, const void *p, uint64_t row, uint64_t col)
{
    const uint64_t ld = (uint64_t)l->ld;
    const uint64_t at = l->order == CUBLASLT_ORDER_COL ? col * ld + row : row * ld + col;
    if (l->type == CUDA_R_32F) return ((const float *)p)[at];
    const uint32_t bits = (uint32_t)((const uint16_t *)p)[at] << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void store(const emu_layout *l, void *p, uint64_t row, uint64_t col, float x)
{
    const uint64_t ld = (uint64_t)l->ld;
    const uint64_t at = l->order == CUBLASLT_ORDER_COL ? col * ld + row : row * ld + col;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (l->type == CUDA_R_32F)
        ((float *)p)[at] = x;
    else
        ((uint16_t *)p)[at] =
            x != x ? 0x7fff : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static const void *batch_at(const emu_layout *l, const void *p, int32_t i)
{
    const int64_t bytes = l->type == CUDA_R_32F ? 4 : 2;
    return (const unsigned char *)p + i * l->stride * bytes;
}

struct call {
    emu_matmul p;
    emu_layout la, lb, lc, ld;
    shape s;
    float alpha, beta;
    const void *a, *b, *c;
    void *d;
};

/* Column j of one product of the batch: op(a), (k, m) so that its rows are contiguous. */
static void column(const call &q, const std::vector<float> &at, const void *b, const void *c,
                   void *d, uint64_t j, std::vector<double> *sums)
{
    const uint64_t m = q.s.m;
    sums->assign(m, 0);
    for (uint64_t p = 0; p < q.s.k; p++) {
        const bool n = q.p.tb == CUBLAS_OP_N;
        const double x = (double)rounded(&q.p, load(&q.lb, b, n ? p : j, n ? j : p));
        const float *row = &at[p * m];
        double *sum = sums->data();
        for (uint64_t i = 0; i < m; i++) sum[i] += (double)row[i] * x;
    }
    for (uint64_t i = 0; i < m; i++) {
        double x = (double)q.alpha * (*sums)[i];
        if (q.beta != 0) x += (double)q.beta * (double)load(&q.lc, c, i, j);
        if (q.p.epilogue & CUBLASLT_EPILOGUE_BIAS) x += (double)((const float *)q.p.bias)[i];
        if (q.p.epilogue & CUBLASLT_EPILOGUE_RELU && x < 0) x = 0;
        store(&q.ld, d, i, j, (float)x);
    }
}

static void multiply(const call &q)
{
    std::vector<float> at(q.s.k * q.s.m);
    std::vector<double> sums;
    for (int32_t batch = 0; batch < q.la.batch; batch++) {
        const void *a = batch_at(&q.la, q.a, batch);
        for (uint64_t p = 0; p < q.s.k; p++)
            for (uint64_t i = 0; i < q.s.m; i++)
                at[p * q.s.m + i] = rounded(&q.p, q.p.ta == CUBLAS_OP_N ? load(&q.la, a, i, p)
                                                                        : load(&q.la, a, p, i));
        for (uint64_t j = 0; j < q.s.n; j++)
            column(q, at, batch_at(&q.lb, q.b, batch), batch_at(&q.lc, q.c, batch),
                   const_cast<void *>(batch_at(&q.ld, q.d, batch)), j, &sums);
    }
}

static size_t span(const emu_layout *l)
{
    const bool by_columns = l->order == CUBLASLT_ORDER_COL;
    const uint64_t lines = by_columns ? l->cols : l->rows, line = by_columns ? l->rows : l->cols;
    const uint64_t last = (uint64_t)(l->batch - 1) * (uint64_t)l->stride;
    return (last + (lines - 1) * (uint64_t)l->ld + line) * (l->type == CUDA_R_32F ? 4 : 2);
}

static void check_operand(const char *name, const emu_layout *l, const void *p, uint64_t align)
{
    if (align && (uintptr_t)p % align)
        emu_fail("cublasLtMatmul: %s at %p is not aligned to the %llu bytes that were promised",
                 name, p, (unsigned long long)align);
    if (!emu_device_range(p, span(l)))
        emu_fail("cublasLtMatmul: %s, %zu bytes at %p, is no device memory", name, span(l), p);
}

/* Two slices of the columns of one wide matrix do not overlap, though their ranges do. */
static void check_overlap(const char *name, const emu_layout *l, const void *p,
                          const emu_layout *ld, const void *d)
{
    const uintptr_t first = (uintptr_t)p, second = (uintptr_t)d;
    const bool slices = l->ld == ld->ld && first != second;
    if (!slices && first < second + span(ld) && second < first + span(l))
        emu_fail("cublasLtMatmul: the result overlaps %s", name);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                              const void *alpha, const void *a, cublasLtMatrixLayout_t a_layout,
                              const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream)
{
    emu_guard guard(emu_mutex);
    call q = {*product, *a_layout, *b_layout, *c_layout, *d_layout, {}, 0, 0, a, b, c, d};
    if (!handle || !fits(product, a_layout, b_layout, c_layout, d_layout, &q.s))
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(&q.alpha, alpha, sizeof q.alpha);
    memcpy(&q.beta, beta, sizeof q.beta);
    const uint64_t *align = algo ? &algo->data[1] : nullptr;
    check_operand("a", &q.la, a, align ? align[0] : 0);
    check_operand("b", &q.lb, b, align ? align[1] : 0);
    check_operand("c", &q.lc, c, align ? align[2] : 0);
    check_operand("d", &q.ld, d, align ? align[3] : 0);
    check_overlap("a", &q.la, a, &q.ld, d);
    check_overlap("b", &q.lb, b, &q.ld, d);
    if (q.p.epilogue & CUBLASLT_EPILOGUE_BIAS && !emu_device_range(q.p.bias, q.s.m * 4))
        emu_fail("cublasLtMatmul: the bias at %p is no device memory of %llu floats", q.p.bias,
                 (unsigned long long)q.s.m);
    if (q.p.epilogue & CUBLASLT_EPILOGUE_BIAS && (uintptr_t)q.p.bias % 16)
        emu_fail("cublasLtMatmul: the bias at %p is not 16-byte aligned", q.p.bias);
    if (algo && (workspace_bytes < algo->data[5] ||
                 (algo->data[5] && !emu_device_range(workspace, algo->data[5]))))
        return CUBLAS_STATUS_INVALID_VALUE;
    return emu_submit(stream, [q] { multiply(q); }) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                   : CUBLAS_STATUS_EXECUTION_FAILED;
}
