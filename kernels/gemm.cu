#include "kernels/gemm.h"

#include <cublasLt.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/reduce.cuh"

/* Rows are cuBLASLt's columns, so C = op(A) op(B) is asked for as C' = op(B)' op(A)'.
 *
 * Same bits in equal runs: the algorithm of a shape is asked for once, with the alignments that are
 * known to hold, and split sums are allowed only where the parts are added by a pass of their
 * own. */
enum {
    WORKSPACE_BYTES = SYN_PRODUCT_WORKSPACE_BYTES,
    PLANS_MAX = 1024,
    PLANS_SLOTS = 4096,
    ALIGN_MAX = 16,
    BIAS_ALIGN = 16 /* what the epilogue's loads ask for; no preference tells the library less */
};

typedef struct plan_key {
    int64_t m, n, k, lda, ldb, ldc;
    int32_t align_a, align_b, align_c; /* bytes, a power of two up to ALIGN_MAX */
    uint8_t ta, tb, tf32, bias;
} plan_key;

typedef struct plan {
    plan_key key;
    cublasLtMatmulDesc_t product; /* NULL: the slot is free */
    cublasLtMatrixLayout_t a, b, c;
    cublasLtMatmulAlgo_t algo;
    size_t workspace_bytes;
} plan;

/* ctx->blas: open addressing, emptied when PLANS_MAX shapes are known. */
typedef struct blas {
    cublasLtHandle_t handle;
    cublasLtMatmulPreference_t preference;
    void *workspace;
    int plans;
    plan slot[PLANS_SLOTS];
} blas;

#define BLAS_RETURN_IF(call)                                                                       \
    do {                                                                                           \
        cublasStatus_t blas_st_ = (call);                                                          \
        if (blas_st_ != CUBLAS_STATUS_SUCCESS)                                                     \
            return syn_fail(SYN_ERR_DEVICE, "cuBLASLt: %s failed with status %d", #call,           \
                            (int)blas_st_);                                                        \
    } while (0)

static void plan_free(plan *p)
{
    if (p->a) (void)cublasLtMatrixLayoutDestroy(p->a);
    if (p->b) (void)cublasLtMatrixLayoutDestroy(p->b);
    if (p->c) (void)cublasLtMatrixLayoutDestroy(p->c);
    if (p->product) (void)cublasLtMatmulDescDestroy(p->product);
    memset(p, 0, sizeof *p);
}

static void plans_clear(blas *bl)
{
    for (int i = 0; i < PLANS_SLOTS; i++) plan_free(&bl->slot[i]);
    bl->plans = 0;
}

extern "C" void syn_cuda_blas_free(syn_ctx *ctx)
{
    blas *bl = (blas *)ctx->blas;
    if (!bl) return;
    plans_clear(bl);
    if (bl->preference) (void)cublasLtMatmulPreferenceDestroy(bl->preference);
    if (bl->handle) (void)cublasLtDestroy(bl->handle);
    if (bl->workspace && bl->workspace != ctx->workspace) syn_cuda_free(ctx, bl->workspace);
    free(bl);
    ctx->blas = NULL;
}

static syn_status blas_fill(syn_ctx *ctx, blas *bl)
{
    BLAS_RETURN_IF(cublasLtCreate(&bl->handle));
    BLAS_RETURN_IF(cublasLtMatmulPreferenceCreate(&bl->preference));
    const uint64_t bytes = WORKSPACE_BYTES;
    const uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    BLAS_RETURN_IF(cublasLtMatmulPreferenceSetAttribute(
        bl->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes));
    BLAS_RETURN_IF(cublasLtMatmulPreferenceSetAttribute(
        bl->preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction));
    bl->workspace = ctx->workspace ? ctx->workspace : syn_cuda_alloc(ctx, WORKSPACE_BYTES);
    if (!bl->workspace)
        return syn_fail(SYN_ERR_MEMORY, "out of memory: %d MiB were asked for to multiply in",
                        WORKSPACE_BYTES >> 20);
    return SYN_OK;
}

static syn_status blas_get(syn_ctx *ctx, blas **out)
{
    if (!ctx->blas) {
        ctx->blas = calloc(1, sizeof(blas));
        if (!ctx->blas) return syn_fail(SYN_ERR_MEMORY, "out of memory: the list of products");
        syn_status st = blas_fill(ctx, (blas *)ctx->blas);
        if (st != SYN_OK) {
            syn_cuda_blas_free(ctx);
            return st;
        }
    }
    *out = (blas *)ctx->blas;
    return SYN_OK;
}

static syn_status layout_create(cublasLtMatrixLayout_t *to, int64_t rows, int64_t cols, int64_t ld)
{
    BLAS_RETURN_IF(cublasLtMatrixLayoutCreate(to, CUDA_R_32F, (uint64_t)rows, (uint64_t)cols, ld));
    return SYN_OK;
}

static syn_status preference_align(blas *bl, cublasLtMatmulPreferenceAttributes_t what,
                                   int32_t bytes)
{
    const uint32_t value = (uint32_t)bytes;
    BLAS_RETURN_IF(
        cublasLtMatmulPreferenceSetAttribute(bl->preference, what, &value, sizeof value));
    return SYN_OK;
}

static syn_status plan_fill(blas *bl, const plan_key *key, plan *p)
{
    const cublasOperation_t first = key->tb ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t second = key->ta ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasLtEpilogue_t epilogue =
        key->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    p->key = *key;
    BLAS_RETURN_IF(cublasLtMatmulDescCreate(
        &p->product, key->tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
    BLAS_RETURN_IF(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_TRANSA, &first,
                                                  sizeof first));
    BLAS_RETURN_IF(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_TRANSB, &second,
                                                  sizeof second));
    BLAS_RETURN_IF(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_EPILOGUE,
                                                  &epilogue, sizeof epilogue));
    SYN_RETURN_IF(
        layout_create(&p->a, key->tb ? key->k : key->n, key->tb ? key->n : key->k, key->ldb));
    SYN_RETURN_IF(
        layout_create(&p->b, key->ta ? key->m : key->k, key->ta ? key->k : key->m, key->lda));
    SYN_RETURN_IF(layout_create(&p->c, key->n, key->m, key->ldc));
    SYN_RETURN_IF(preference_align(bl, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key->align_b));
    SYN_RETURN_IF(preference_align(bl, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key->align_a));
    SYN_RETURN_IF(preference_align(bl, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key->align_c));
    SYN_RETURN_IF(preference_align(bl, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key->align_c));
    cublasLtMatmulHeuristicResult_t found;
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        bl->handle, p->product, p->a, p->b, p->c, p->c, bl->preference, 1, &found, &count);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && count == 0))
        return syn_fail(SYN_ERR_UNSUPPORTED, "cuBLASLt has no way to multiply %lld x %lld x %lld",
                        (long long)key->m, (long long)key->n, (long long)key->k);
    BLAS_RETURN_IF(status);
    p->algo = found.algo;
    p->workspace_bytes = found.workspaceSize;
    return SYN_OK;
}

static unsigned key_hash(const plan_key *key)
{
    uint64_t h = 14695981039346656037ull;
    const unsigned char *byte = (const unsigned char *)key;
    for (size_t i = 0; i < sizeof *key; i++) h = (h ^ byte[i]) * 1099511628211ull;
    return (unsigned)(h ^ h >> 32) % PLANS_SLOTS;
}

static syn_status plan_get(blas *bl, const plan_key *key, plan **out)
{
    if (bl->plans == PLANS_MAX) plans_clear(bl);
    unsigned at = key_hash(key);
    while (bl->slot[at].product && memcmp(&bl->slot[at].key, key, sizeof *key) != 0)
        at = (at + 1) % PLANS_SLOTS;
    *out = &bl->slot[at];
    if (bl->slot[at].product) return SYN_OK;
    syn_status st = plan_fill(bl, key, *out);
    if (st != SYN_OK)
        plan_free(*out);
    else
        bl->plans++;
    return st;
}

static int32_t alignment(const void *p)
{
    int32_t align = ALIGN_MAX;
    while (align > 4 && (uintptr_t)p % (uintptr_t)align) align /= 2;
    return align;
}

static __global__ void scale_kernel(int64_t m, int64_t n, float beta, float *c, int64_t ldc)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= m * n) return;
    float *to = c + at / n * ldc + at % n;
    *to = beta == 0 ? 0 : beta * *to;
}

/* bias (n) or NULL is added to every row; not with an empty product. */
static syn_status multiply(syn_ctx *ctx, bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                           float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                           float beta, float *c, int64_t ldc, const float *bias)
{
    blas *bl = NULL;
    plan *p;
    plan_key key;
    memset(&key, 0, sizeof key); /* the padding, too, is hashed */
    key.m = m, key.n = n, key.k = k;
    key.lda = lda, key.ldb = ldb, key.ldc = ldc;
    key.align_a = alignment(a), key.align_b = alignment(b), key.align_c = alignment(c);
    key.ta = ta, key.tb = tb, key.tf32 = ctx->math == SYN_MATH_MIXED, key.bias = bias != NULL;
    SYN_RETURN_IF(blas_get(ctx, &bl));
    SYN_RETURN_IF(plan_get(bl, &key, &p));
    if (bias)
        BLAS_RETURN_IF(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                                      &bias, sizeof bias));
    BLAS_RETURN_IF(cublasLtMatmul(bl->handle, p->product, &alpha, b, p->a, a, p->b, &beta, c, p->c,
                                  c, p->c, &p->algo, bl->workspace, p->workspace_bytes,
                                  (cudaStream_t)ctx->stream));
    SYN_LAUNCH_CHECK(ctx, "matrix product");
    return SYN_OK;
}

extern "C" syn_status syn_gemm_cuda(syn_ctx *ctx, bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                                    float alpha, const float *a, int64_t lda, const float *b,
                                    int64_t ldb, float beta, float *c, int64_t ldc)
{
    if (k > 0 && alpha != 0)
        return multiply(ctx, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, NULL);
    SYN_LAUNCH(ctx, scale_kernel, syn_blocks(m * n, 256), 256, 0, m, n, beta, c, ldc);
    SYN_LAUNCH_CHECK(ctx, "scaling of a matrix");
    return SYN_OK;
}

extern "C" syn_status syn_gemm_bias_cuda(syn_ctx *ctx, int64_t m, int64_t n, int64_t k,
                                         const float *a, int64_t lda, const float *b, int64_t ldb,
                                         const float *bias, float *c, int64_t ldc)
{
    if ((uintptr_t)bias % BIAS_ALIGN)
        return syn_fail(SYN_ERR_UNSUPPORTED, "cuBLASLt adds no bias at an address like %p",
                        (const void *)bias);
    return multiply(ctx, false, true, m, n, k, 1, a, lda, b, ldb, 0, c, ldc, bias);
}
