/* Feed-forward networks on the device: layers, dropout, fused scoring, gathered pairs. */
#include "kernels/ffn.h"
#include "tests/kernels/twins.h"

/* The same network on both sides, with gradients. */
typedef struct network {
    syn_ffn cpu, gpu;
    twin w[SYN_FFN_LAYERS_MAX], b[SYN_FFN_LAYERS_MAX];
    twin dw[SYN_FFN_LAYERS_MAX], db[SYN_FFN_LAYERS_MAX];
} network;

static network network_make(twins *t, int layers, const int64_t *dim, real dropout)
{
    network n = {.cpu = {.layers = layers, .dropout = dropout}};
    for (int l = 0; l <= layers; l++) n.cpu.dim[l] = dim[l];
    n.gpu = n.cpu;
    for (int l = 0; l < layers; l++) {
        n.w[l] = twin_random(t, 10 + (uint64_t)l, dim[l] * dim[l + 1]);
        n.b[l] = twin_random(t, 20 + (uint64_t)l, dim[l + 1]);
        n.dw[l] = twin_random(t, 30 + (uint64_t)l, dim[l] * dim[l + 1]);
        n.db[l] = twin_random(t, 40 + (uint64_t)l, dim[l + 1]);
        n.cpu.w[l] = n.w[l].cpu, n.gpu.w[l] = n.w[l].gpu;
        n.cpu.b[l] = n.b[l].cpu, n.gpu.b[l] = n.b[l].gpu;
        n.cpu.dw[l] = n.dw[l].cpu, n.gpu.dw[l] = n.dw[l].gpu;
        n.cpu.db[l] = n.db[l].cpu, n.gpu.db[l] = n.db[l].gpu;
    }
    return n;
}

static void training_matches(void **state)
{
    static const int64_t dim[] = {20, 33, 16, 3};
    for (int train = 0; train < 2; train++) {
        twins t;
        twins_begin(&t);
        enum { N = 37, LDX = 21 };
        network n = network_make(&t, 3, dim, (real)0.3);
        twin x = twin_random(&t, 1, N * LDX), y = twin_poisoned(&t, N * dim[3]);
        twin cache = twin_poisoned(&t, syn_ffn_cache_size(&n.cpu, N));
        twin dy = twin_random(&t, 2, N * dim[3]), dx = twin_poisoned(&t, N * LDX);
        assert_ok(syn_ffn_forward(&t.cpu, &n.cpu, N, x.cpu, LDX, train, 5, 6, cache.cpu, y.cpu));
        assert_ok(syn_ffn_forward(&t.gpu, &n.gpu, N, x.gpu, LDX, train, 5, 6, cache.gpu, y.gpu));
        twin_expect(&t, CUDA_FP32, y, "ffn, train %d: y", train);
        assert_ok(syn_ffn_backward(&t.cpu, &n.cpu, N, x.cpu, LDX, train, 5, 6, cache.cpu, dy.cpu,
                                   dx.cpu, LDX));
        assert_ok(syn_ffn_backward(&t.gpu, &n.gpu, N, x.gpu, LDX, train, 5, 6, cache.gpu, dy.gpu,
                                   dx.gpu, LDX));
        twin_expect(&t, CUDA_FP32, dx, "ffn, train %d: dx", train);
        for (int l = 0; l < 3; l++) {
            twin_expect(&t, CUDA_FP32, n.dw[l], "ffn, train %d: dw[%d]", train, l);
            twin_expect(&t, CUDA_FP32, n.db[l], "ffn, train %d: db[%d]", train, l);
        }
        twins_end(&t);
    }
}

static void dropout_draws_the_same(void **state)
{
    static const int64_t sizes[] = {0, 1, 5, 4099};
    twins t;
    twins_begin(&t);
    for (int i = 0; i < 4; i++) {
        twin x = twin_random(&t, 7, sizes[i]);
        assert_ok(syn_dropout(&t.cpu, sizes[i], (real)0.2, 11, 12, x.cpu));
        assert_ok(syn_dropout(&t.gpu, sizes[i], (real)0.2, 11, 12, x.gpu));
        expect_equal_device(&t.gpu, sizes[i], x.cpu, x.gpu, "dropout of %lld", (long long)sizes[i]);
    }
    twins_end(&t);
}

static void score(twins *t, int layers, const int64_t *dim, int64_t capacity, int32_t live,
                  double bound)
{
    network n = network_make(t, layers, dim, 0);
    const int64_t ldx = dim[0] + (capacity % 2 ? 3 : 0); /* rows at any address, too */
    twin x = twin_random(t, 1, capacity * ldx), y = twin_poisoned(t, capacity * dim[layers]);
    int32_t *count = twin_list(t, &live, 1);
    assert_ok(syn_ffn_score(&t->cpu, &n.cpu, capacity, &live, x.cpu, ldx, y.cpu));
    assert_ok(syn_ffn_score(&t->gpu, &n.gpu, capacity, count, x.gpu, ldx, y.gpu));
    twin_expect(t, bound, y, "%d layers from %lld, %d of %lld rows", layers, (long long)dim[0],
                (int)live, (long long)capacity);
}

static void gather_score(twins *t, int layers, const int64_t *dim, int64_t capacity, int32_t live,
                         double bound)
{
    enum { NA = 7, NB = 9 };
    int32_t ia[256], ib[256];
    for (int r = 0; r < 256; r++) {
        ia[r] = r * 5 % NA;
        ib[r] = r * 7 % NB;
    }
    network n = network_make(t, layers, dim, 0);
    twin a = twin_random(t, 1, NA * dim[0]), b = twin_random(t, 2, NB * dim[0]);
    twin bias = twin_random(t, 3, dim[0]), y = twin_poisoned(t, capacity * dim[layers]);
    int32_t *count = twin_list(t, &live, 1);
    int32_t *ia_gpu = twin_list(t, ia, capacity), *ib_gpu = twin_list(t, ib, capacity);
    assert_ok(syn_ffn_gather_score(&t->cpu, &n.cpu, capacity, &live, a.cpu, ia, b.cpu, ib, bias.cpu,
                                   y.cpu));
    assert_ok(syn_ffn_gather_score(&t->gpu, &n.gpu, capacity, count, a.gpu, ia_gpu, b.gpu, ib_gpu,
                                   bias.gpu, y.gpu));
    twin_expect(t, bound, y, "gathered %lld, %d of %lld rows", (long long)dim[0], (int)live,
                (long long)capacity);
}

/* The engine's shapes and others that are fused, and those that are not: widths that are no
 * multiple of 16, or four layers. Rows beyond the live ones keep what they held. */
static void scores_match(void **state)
{
    static const int64_t ranker[] = {64, 64, 64, 1}, gap[] = {256, 128, 64, 2};
    static const int64_t odd[] = {48, 80, 8}, plain[] = {32, 3};
    static const int64_t ragged[] = {20, 33, 2}, deep[] = {16, 16, 16, 16, 1};
    for (int mixed = 0; mixed < 2; mixed++) {
        twins t;
        twins_begin(&t);
        t.gpu.math = mixed ? SYN_MATH_MIXED : SYN_MATH_FP32;
        const double bound = mixed ? 2 * CUDA_BF16 : CUDA_FP32;
        score(&t, 3, ranker, 70, 65, bound);
        score(&t, 3, ranker, 33, 1, bound);
        score(&t, 3, ranker, 5, 0, bound);
        score(&t, 2, odd, 33, 33, bound);
        score(&t, 1, plain, 31, 31, bound);
        score(&t, 2, ragged, 33, 20, bound);
        score(&t, 4, deep, 33, 32, bound);
        gather_score(&t, 3, gap, 80, 70, bound);
        gather_score(&t, 3, gap, 31, 31, bound);
        gather_score(&t, 2, ragged, 33, 20, bound);
        twins_end(&t);
    }
}

static void a_rows_score_does_not_depend_on_others(void **state)
{
    static const int64_t ranker[] = {64, 64, 64, 1};
    enum { ROWS = 90 };
    twins t;
    twins_begin(&t);
    network n = network_make(&t, 3, ranker, 0);
    twin x = twin_random(&t, 1, ROWS * 64), all = twin_poisoned(&t, ROWS),
         one = twin_poisoned(&t, 1);
    for (int mixed = 0; mixed < 2; mixed++) {
        t.gpu.math = mixed ? SYN_MATH_MIXED : SYN_MATH_FP32;
        assert_ok(syn_ffn_score(&t.gpu, &n.gpu, ROWS, NULL, x.gpu, 64, all.gpu));
        assert_ok(syn_ffn_score(&t.gpu, &n.gpu, 1, NULL, x.gpu + 71 * 64, 64, one.gpu));
        real *want = from_device(&t.gpu, all.gpu, sizeof *want * ROWS);
        expect_equal_device(&t.gpu, 1, want + 71, one.gpu, "one score alone");
        free(want);
    }
    twins_end(&t);
}

static void gather(twins *t, int64_t rows, int64_t D, int64_t na, int64_t nb, syn_activation act)
{
    int32_t *ia = malloc(sizeof *ia * (size_t)(rows + 1)),
            *ib = malloc(sizeof *ib * (size_t)(rows + 1));
    assert_true(ia && ib);
    syn_rng rng = syn_rng_make(3, SYN_STREAM_TEST);
    for (int64_t r = 0; r < rows; r++) {
        ia[r] = (int32_t)(r % 3 ? syn_rng_below(&rng, (uint32_t)na) : 0); /* one far too often */
        ib[r] = (int32_t)(r * nb / rows);
    }
    int32_t *ia_gpu = twin_list(t, ia, rows), *ib_gpu = twin_list(t, ib, rows);
    twin a = twin_random(t, 1, na * D), b = twin_random(t, 2, nb * D), bias = twin_random(t, 3, D);
    twin y = twin_poisoned(t, rows * D), dy = twin_random(t, 4, rows * D);
    twin da = twin_random(t, 5, na * D), db = twin_random(t, 6, nb * D),
         dbias = twin_random(t, 7, D);
    assert_ok(syn_gather_sum_forward(&t->cpu, rows, D, a.cpu, ia, b.cpu, ib, bias.cpu, act, y.cpu));
    assert_ok(syn_gather_sum_forward(&t->gpu, rows, D, a.gpu, ia_gpu, b.gpu, ib_gpu, bias.gpu, act,
                                     y.gpu));
    assert_ok(syn_gather_sum_backward(&t->cpu, rows, D, ia, ib, y.cpu, act, dy.cpu, na, da.cpu, nb,
                                      db.cpu, dbias.cpu));
    assert_ok(syn_gather_sum_backward(&t->gpu, rows, D, ia_gpu, ib_gpu, y.gpu, act, dy.gpu, na,
                                      da.gpu, nb, db.gpu, dbias.gpu));
    twin_expect(t, CUDA_FP32, y, "gathered sums, %lld rows: y", (long long)rows);
    twin_expect(t, CUDA_FP32, dy, "gathered sums, %lld rows: dy", (long long)rows);
    twin_expect(t, CUDA_FP32, da, "gathered sums, %lld rows: da", (long long)rows);
    twin_expect(t, CUDA_FP32, db, "gathered sums, %lld rows: db", (long long)rows);
    twin_expect(t, CUDA_FP32, dbias, "gathered sums, %lld rows: dbias", (long long)rows);
    free(ia);
    free(ib);
}

/* Keys of one, two and three digits; more rows than one block sorts. */
static void gathered_sums_match(void **state)
{
    twins t;
    twins_begin(&t);
    gather(&t, 33, 5, 3, 4, SYN_ACT_NONE);
    gather(&t, 1, 64, 1, 1, SYN_ACT_RELU);
    gather(&t, 0, 8, 2, 2, SYN_ACT_TANH);
    gather(&t, 700, 33, 300, 255, SYN_ACT_TANH);
    gather(&t, 2500, 4, 70000, 257, SYN_ACT_RELU);
    twins_end(&t);
}

/* da and db may be one buffer: first all that ia asks for, then ib, as the header promises for any
 * order of additions up to rounding. */
static void both_gradients_may_be_one_buffer(void **state)
{
    enum { ROWS = 40, D = 6, N = 5 };
    int32_t ia[ROWS], ib[ROWS];
    for (int r = 0; r < ROWS; r++) {
        ia[r] = r % N;
        ib[r] = r * 3 % N;
    }
    twins t;
    twins_begin(&t);
    int32_t *ia_gpu = twin_list(&t, ia, ROWS), *ib_gpu = twin_list(&t, ib, ROWS);
    twin dy = twin_random(&t, 4, ROWS * D), da = twin_random(&t, 5, N * D);
    assert_ok(syn_gather_sum_backward(&t.cpu, ROWS, D, ia, ib, NULL, SYN_ACT_NONE, dy.cpu, N,
                                      da.cpu, N, da.cpu, NULL));
    assert_ok(syn_gather_sum_backward(&t.gpu, ROWS, D, ia_gpu, ib_gpu, NULL, SYN_ACT_NONE, dy.gpu,
                                      N, da.gpu, N, da.gpu, NULL));
    twin_expect(&t, CUDA_FP32, da, "gathered sums into one buffer");
    twins_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_matches),
        cmocka_unit_test(dropout_draws_the_same),
        cmocka_unit_test(scores_match),
        cmocka_unit_test(a_rows_score_does_not_depend_on_others),
        cmocka_unit_test(gathered_sums_match),
        cmocka_unit_test(both_gradients_may_be_one_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
