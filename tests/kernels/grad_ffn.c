/* Feed-forward networks, dropout and the factored first layer against central differences. */
#include "kernels/ffn.h"
#include "kernels/base/rng.h"
#include "tests/gradcheck.h"
#include "tests/kernels/random.h"

enum { ROWS = 6, LDX = 9, LAYERS = 3 };

static const int64_t DIM[LAYERS + 1] = {7, 11, 5, 3};

/* x has two columns more than the network reads. */
typedef struct net {
    syn_ctx ctx;
    syn_ffn ffn;
    bool train;
    real *w[LAYERS], *b[LAYERS], *dw[LAYERS], *db[LAYERS];
    real *x, *dx, *dy, *y, *cache;
} net;

static void net_init(net *m, real dropout, bool train)
{
    memset(m, 0, sizeof *m);
    assert_ok(syn_ctx_init(&m->ctx, SYN_DEVICE_CPU, 1));
    m->train = train;
    m->ffn.layers = LAYERS;
    m->ffn.dropout = dropout;
    memcpy(m->ffn.dim, DIM, sizeof DIM);
    for (int l = 0; l < LAYERS; l++) {
        m->ffn.w[l] = m->w[l] = random_real(10 + (uint64_t)l, DIM[l] * DIM[l + 1]);
        m->ffn.b[l] = m->b[l] = random_real(20 + (uint64_t)l, DIM[l + 1]);
        m->ffn.dw[l] = m->dw[l] = real_alloc(DIM[l] * DIM[l + 1]);
        m->ffn.db[l] = m->db[l] = real_alloc(DIM[l + 1]);
    }
    m->x = random_real(30, ROWS * LDX);
    m->dx = real_alloc(ROWS * LDX);
    m->dy = random_real(31, ROWS * DIM[LAYERS]);
    m->y = real_alloc(ROWS * DIM[LAYERS]);
    m->cache = real_alloc(syn_ffn_cache_size(&m->ffn, ROWS));
}

static void net_free(net *m)
{
    for (int l = 0; l < LAYERS; l++) {
        free(m->w[l]);
        free(m->b[l]);
        free(m->dw[l]);
        free(m->db[l]);
    }
    free(m->x);
    free(m->dx);
    free(m->dy);
    free(m->y);
    free(m->cache);
    syn_ctx_free(&m->ctx);
}

static double net_loss(void *user)
{
    net *m = user;
    assert_ok(syn_ffn_forward(&m->ctx, &m->ffn, ROWS, m->x, LDX, m->train, 5, 77, m->cache, m->y));
    return dot_product(ROWS * DIM[LAYERS], m->y, m->dy);
}

static void net_check(net *m)
{
    (void)net_loss(m);
    assert_ok(syn_ffn_backward(&m->ctx, &m->ffn, ROWS, m->x, LDX, m->train, 5, 77, m->cache, m->dy,
                               m->dx, LDX));
    for (int l = 0; l < LAYERS; l++) {
        gradcheck_assert("w", net_loss, m, m->w[l], m->dw[l], DIM[l] * DIM[l + 1], GRADCHECK_ALL);
        gradcheck_assert("b", net_loss, m, m->b[l], m->db[l], DIM[l + 1], GRADCHECK_ALL);
    }
    gradcheck_assert("x", net_loss, m, m->x, m->dx, ROWS * LDX, GRADCHECK_ALL);
}

static void gradients_match_without_dropout(void **state)
{
    net m;
    net_init(&m, 0, true);
    net_check(&m);
    net_free(&m);
}

static void gradients_match_through_the_dropout_mask(void **state)
{
    net m;
    net_init(&m, 0.4, true);
    net_check(&m);
    net_free(&m);
}

static void gradients_match_at_inference_where_dropout_is_off(void **state)
{
    net m, plain;
    net_init(&m, 0.4, false);
    net_check(&m);
    net_init(&plain, 0, true);
    assert_true(net_loss(&m) == net_loss(&plain));
    net_free(&plain);
    net_free(&m);
}

static void parameter_gradients_accumulate_and_may_be_left_out(void **state)
{
    net m;
    net_init(&m, 0.4, true);
    (void)net_loss(&m);
    m.ffn.dw[1] = m.ffn.db[1] = NULL;
    for (int pass = 0; pass < 2; pass++)
        assert_ok(
            syn_ffn_backward(&m.ctx, &m.ffn, ROWS, m.x, LDX, true, 5, 77, m.cache, m.dy, NULL, 0));
    for (int64_t i = 0; i < DIM[0] * DIM[1]; i++) m.dw[0][i] /= 2;
    gradcheck_assert("w", net_loss, &m, m.w[0], m.dw[0], DIM[0] * DIM[1], GRADCHECK_ALL);
    for (int64_t i = 0; i < DIM[2]; i++) assert_true(m.db[1][i] == 0);
    net_free(&m);
}

static void a_single_layer_is_linear_and_needs_no_cache(void **state)
{
    net m;
    net_init(&m, 0.5, true);
    m.ffn.layers = 1;
    assert_int_equal(syn_ffn_cache_size(&m.ffn, ROWS), 0);
    real y[ROWS * 11], dy[ROWS * 11] = {1};
    assert_ok(syn_ffn_forward(&m.ctx, &m.ffn, ROWS, m.x, LDX, true, 1, 1, NULL, y));
    assert_true(fabs(y[0] - m.b[0][0] - dot_product(7, m.x, m.w[0])) < 1e-12);
    assert_ok(syn_ffn_backward(&m.ctx, &m.ffn, ROWS, m.x, LDX, true, 1, 1, NULL, dy, m.dx, LDX));
    for (int d = 0; d < 7; d++) assert_true(fabs(m.dx[d] - m.w[0][d]) < 1e-12);
    net_free(&m);
}

static void impossible_networks_are_refused(void **state)
{
    net m;
    net_init(&m, 0, true);
    m.ffn.layers = SYN_FFN_LAYERS_MAX + 1;
    assert_int_equal(syn_ffn_forward(&m.ctx, &m.ffn, 1, m.x, LDX, true, 1, 1, m.cache, m.y),
                     SYN_ERR_INVALID);
    m.ffn.layers = LAYERS;
    m.ffn.dropout = 1;
    assert_int_equal(syn_ffn_forward(&m.ctx, &m.ffn, 1, m.x, LDX, true, 1, 1, m.cache, m.y),
                     SYN_ERR_INVALID);
    net_free(&m);
}

/* ---- dropout ---- */

static void dropout_is_the_documented_function_of_seed_counter_and_element(void **state)
{
    enum { N = 10003 };
    static real x[2][N];
    for (int run = 0; run < 2; run++) {
        syn_ctx ctx;
        assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, run ? 3 : 1));
        for (int i = 0; i < N; i++) x[run][i] = 2;
        assert_ok(syn_dropout(&ctx, N, 0.25, 0x123456789abcull, 99, x[run]));
        syn_ctx_free(&ctx);
    }
    assert_memory_equal(x[0], x[1], sizeof x[0]);
    int64_t kept = 0;
    for (int i = 0; i < N; i++) {
        syn_philox block =
            syn_rng_block(0x123456789abcull, 99 << 8 | SYN_STREAM_DROPOUT, (uint64_t)i / 4);
        bool keep = syn_rng_unit(block.x[i % 4]) >= 0.25f;
        assert_true(keep ? fabs(x[0][i] - 2 / 0.75) < 1e-12 : x[0][i] == 0);
        kept += keep;
    }
    assert_in_range(kept, 7300, 7700); /* 7502 +- 4.6 standard deviations */
}

static void dropout_with_another_counter_is_another_mask_and_with_zero_none(void **state)
{
    enum { N = 256 };
    syn_ctx ctx;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    real a[N], b[N];
    for (int i = 0; i < N; i++) a[i] = b[i] = 1;
    assert_ok(syn_dropout(&ctx, N, 0, 1, 1, a));
    for (int i = 0; i < N; i++) assert_true(a[i] == 1);
    assert_ok(syn_dropout(&ctx, N, 0.5, 1, 1, a));
    assert_ok(syn_dropout(&ctx, N, 0.5, 1, 2, b));
    int same = 0;
    for (int i = 0; i < N; i++) same += a[i] == b[i];
    assert_in_range(same, 80, 176);
    assert_int_equal(syn_dropout(&ctx, N, 1, 1, 1, a), SYN_ERR_INVALID);
    syn_ctx_free(&ctx);
}

/* ---- the factored first layer ---- */

enum { PAIRS = 12, NA = 4, NB = 5, WIDTH = 70 };

static const int32_t IA[PAIRS] = {0, 0, 3, 1, 3, 3, 0, 1, 1, 0, 3, 3}; /* 2 is unused */
static const int32_t IB[PAIRS] = {4, 0, 0, 1, 2, 3, 3, 2, 2, 2, 0, 4};

typedef struct gather {
    syn_ctx ctx;
    syn_activation act;
    real a[NA * WIDTH], b[NB * WIDTH], bias[WIDTH], dy[PAIRS * WIDTH], y[PAIRS * WIDTH];
    real da[NA * WIDTH], db[NB * WIDTH], dbias[WIDTH], dpre[PAIRS * WIDTH];
} gather;

static double gather_loss(void *user)
{
    gather *g = user;
    assert_ok(
        syn_gather_sum_forward(&g->ctx, PAIRS, WIDTH, g->a, IA, g->b, IB, g->bias, g->act, g->y));
    return dot_product(PAIRS * WIDTH, g->y, g->dy);
}

static void gather_init(gather *g, syn_activation act, int threads)
{
    memset(g, 0, sizeof *g);
    assert_ok(syn_ctx_init(&g->ctx, SYN_DEVICE_CPU, threads));
    g->act = act;
    random_fill(40, NA * WIDTH, -1, 1, g->a);
    random_fill(41, NB * WIDTH, -1, 1, g->b);
    random_fill(42, WIDTH, -1, 1, g->bias);
    random_fill(43, PAIRS * WIDTH, -1, 1, g->dy);
    (void)gather_loss(g);
    memcpy(g->dpre, g->dy, sizeof g->dy);
    assert_ok(syn_gather_sum_backward(&g->ctx, PAIRS, WIDTH, IA, IB, g->y, act, g->dpre, NA, g->da,
                                      NB, g->db, g->dbias));
}

static void gathered_sums_have_the_right_gradients(void **state)
{
    const syn_activation all[] = {SYN_ACT_NONE, SYN_ACT_RELU, SYN_ACT_TANH};
    for (int i = 0; i < 3; i++) {
        gather *g = malloc(sizeof *g);
        assert_non_null(g);
        gather_init(g, all[i], 1);
        gradcheck_assert("a", gather_loss, g, g->a, g->da, NA * WIDTH, GRADCHECK_ALL);
        gradcheck_assert("b", gather_loss, g, g->b, g->db, NB * WIDTH, GRADCHECK_ALL);
        gradcheck_assert("bias", gather_loss, g, g->bias, g->dbias, WIDTH, GRADCHECK_ALL);
        syn_ctx_free(&g->ctx);
        free(g);
    }
}

static void gathered_sums_work_without_bias_and_into_one_buffer(void **state)
{
    gather *g = malloc(sizeof *g);
    assert_non_null(g);
    gather_init(g, SYN_ACT_TANH, 2);
    memset(g->bias, 0, sizeof g->bias);
    (void)gather_loss(g);
    real y[PAIRS * WIDTH], both[NB * WIDTH] = {0}, dpre[PAIRS * WIDTH];
    assert_ok(
        syn_gather_sum_forward(&g->ctx, PAIRS, WIDTH, g->a, IA, g->b, IB, NULL, SYN_ACT_TANH, y));
    assert_memory_equal(y, g->y, sizeof y);
    memcpy(dpre, g->dy, sizeof dpre);
    memset(g->da, 0, sizeof g->da);
    memset(g->db, 0, sizeof g->db);
    assert_ok(syn_gather_sum_backward(&g->ctx, PAIRS, WIDTH, IA, IB, y, SYN_ACT_TANH, dpre, NB,
                                      both, NB, both, NULL));
    memcpy(dpre, g->dy, sizeof dpre);
    assert_ok(syn_gather_sum_backward(&g->ctx, PAIRS, WIDTH, IA, IB, y, SYN_ACT_TANH, dpre, NA,
                                      g->da, NB, g->db, NULL));
    for (int i = 0; i < NB * WIDTH; i++)
        assert_true(fabs(both[i] - g->db[i] - (i < NA * WIDTH ? g->da[i] : 0)) < 1e-12);
    syn_ctx_free(&g->ctx);
    free(g);
}

/* A fault in the numbers is seen at the end of the network, not made a zero on its way. */
static void what_is_no_number_stays_none(void **state)
{
    const syn_activation all[] = {SYN_ACT_NONE, SYN_ACT_RELU, SYN_ACT_TANH};
    for (int i = 0; i < 3; i++) {
        gather *g = malloc(sizeof *g);
        assert_non_null(g);
        gather_init(g, all[i], 1);
        g->a[IA[0] * WIDTH + 1] = NAN;
        (void)gather_loss(g);
        assert_true(isnan(g->y[1]));
        assert_false(isnan(g->y[0]));
        syn_ctx_free(&g->ctx);
        free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_match_without_dropout),
        cmocka_unit_test(gradients_match_through_the_dropout_mask),
        cmocka_unit_test(gradients_match_at_inference_where_dropout_is_off),
        cmocka_unit_test(parameter_gradients_accumulate_and_may_be_left_out),
        cmocka_unit_test(a_single_layer_is_linear_and_needs_no_cache),
        cmocka_unit_test(impossible_networks_are_refused),
        cmocka_unit_test(dropout_is_the_documented_function_of_seed_counter_and_element),
        cmocka_unit_test(dropout_with_another_counter_is_another_mask_and_with_zero_none),
        cmocka_unit_test(gathered_sums_have_the_right_gradients),
        cmocka_unit_test(gathered_sums_work_without_bias_and_into_one_buffer),
        cmocka_unit_test(what_is_no_number_stays_none),
    };
    return cmocka_run_group_tests_name("grad_ffn", tests, NULL, NULL);
}
