/* In float, where vector and scalar code could differ: the ops that promise it give the same bits
 * for any number of threads, and stay close to their formulas. */
#include "kernels/embedding.h"
#include "kernels/ffn.h"
#include "kernels/loss.h"
#include "kernels/pair.h"
#include "tests/kernels/random.h"

enum { RUNS = 3 };

static const int THREADS[RUNS] = {1, 2, 5};

static void contexts_open(syn_ctx *ctx)
{
    for (int t = 0; t < RUNS; t++) assert_ok(syn_ctx_init(&ctx[t], SYN_DEVICE_CPU, THREADS[t]));
}

static void contexts_close(syn_ctx *ctx)
{
    for (int t = 0; t < RUNS; t++) syn_ctx_free(&ctx[t]);
}

static void embedding_bags(void **state)
{
    enum { N = 500, D = 45, V = 70, COUNT = N * 7 };
    static int32_t offset[N + 1], id[COUNT], order[COUNT], owner[COUNT];
    static real y[RUNS][N * D], norm[N], dtable[RUNS][V * D];
    real *weight = random_real(1, COUNT), *table = random_real(2, V * D),
         *dy = random_real(3, N * D);
    syn_rng rng = syn_rng_make(4, SYN_STREAM_TEST);
    for (int k = 0; k < COUNT; k++) id[k] = (int32_t)syn_rng_below(&rng, V);
    for (int n = 0; n <= N; n++) offset[n] = n * 7;
    syn_ctx ctx[RUNS];
    contexts_open(ctx);
    for (int t = 0; t < RUNS; t++) {
        assert_ok(syn_embedding_bag_plan(&ctx[t], N, offset, id, V, order, owner));
        assert_ok(syn_embedding_bag_forward(&ctx[t], N, D, offset, id, weight, table, y[t], norm));
        assert_ok(syn_embedding_bag_backward(&ctx[t], N, D, offset, id, weight, y[t], norm, dy, V,
                                             dtable[t], order, owner));
        assert_memory_equal(y[t], y[0], sizeof y[0]);
        assert_memory_equal(dtable[t], dtable[0], sizeof dtable[0]);
    }
    contexts_close(ctx);
    free(weight);
    free(table);
    free(dy);
}

static void gathered_sums(void **state)
{
    enum { PAIRS = 300, NA = 31, NB = 17, D = 205 };
    static int32_t ia[PAIRS], ib[PAIRS];
    static real y[RUNS][PAIRS * D], dpre[RUNS][PAIRS * D], da[RUNS][NA * D], db[RUNS][NB * D];
    static real dbias[RUNS][D];
    real *a = random_real(1, NA * D), *b = random_real(2, NB * D), *bias = random_real(3, D);
    for (int r = 0; r < PAIRS; r++) {
        ia[r] = r * 7 % NA;
        ib[r] = r * 5 % NB;
    }
    syn_ctx ctx[RUNS];
    contexts_open(ctx);
    for (int t = 0; t < RUNS; t++) {
        assert_ok(
            syn_gather_sum_forward(&ctx[t], PAIRS, D, a, ia, b, ib, bias, SYN_ACT_TANH, y[t]));
        random_fill(4, PAIRS * D, -1, 1, dpre[t]);
        assert_ok(syn_gather_sum_backward(&ctx[t], PAIRS, D, ia, ib, y[t], SYN_ACT_TANH, dpre[t],
                                          NA, da[t], NB, db[t], dbias[t]));
        assert_memory_equal(y[t], y[0], sizeof y[0]);
        assert_memory_equal(da[t], da[0], sizeof da[0]);
        assert_memory_equal(db[t], db[0], sizeof db[0]);
        assert_memory_equal(dbias[t], dbias[0], sizeof dbias[0]);
    }
    contexts_close(ctx);
    free(a);
    free(b);
    free(bias);
}

/* The policy's size: 64 features of 90 pairs of up to 10 agents, 128 units. */
static void pair_scorer(void **state)
{
    enum { E = 61, N = 10, P = 128, F = 64, K = SYN_PAIR_KINDS };
    enum { PAIRS = E * K * N * N, AGENTS = E * N * K * P };
    real *s = random_real(1, E * K * P), *q = random_real(2, AGENTS), *r = random_real(3, AGENTS);
    real *x = random_real(4, PAIRS * F), *X = random_real(5, K * P * F), *w = random_real(6, K * P);
    real *w0 = random_real(7, K), *dlogit = random_real(8, PAIRS);
    real *ds = real_alloc(E * K * P), *dr = real_alloc(AGENTS);
    real *logit[RUNS], *dq[RUNS], *dX[RUNS], *dw[RUNS], *dw0[RUNS];
    int32_t count[E];
    for (int e = 0; e < E; e++) count[e] = 2 + e % 9;
    syn_ctx ctx[RUNS];
    contexts_open(ctx);
    for (int t = 0; t < RUNS; t++) {
        logit[t] = real_alloc(PAIRS);
        dq[t] = real_alloc(AGENTS);
        dX[t] = real_alloc(K * P * F);
        dw[t] = real_alloc(K * P);
        dw0[t] = real_alloc(K);
        assert_ok(syn_pair_forward(&ctx[t], E, N, P, F, count, s, q, r, x, X, w, w0, logit[t]));
        assert_ok(syn_pair_backward(&ctx[t], E, N, P, F, count, s, q, r, x, X, w, w0, dlogit, ds,
                                    dq[t], dr, dX[t], dw[t], dw0[t]));
        assert_memory_equal(logit[t], logit[0], sizeof(real) * PAIRS);
        assert_memory_equal(dq[t], dq[0], sizeof(real) * AGENTS);
        assert_memory_equal(dX[t], dX[0], sizeof(real) * K * P * F);
        assert_memory_equal(dw[t], dw[0], sizeof(real) * K * P);
        assert_memory_equal(dw0[t], dw0[0], sizeof(real) * K);
    }
    /* Environment 8 has all ten agents: agent 9 to agent 0, second kind. */
    double expected = (double)w0[1];
    const real *features = x + (((8 * K + 1) * N + 9) * N + 0) * F;
    for (int p = 0; p < P; p++) {
        double z = (double)s[(8 * K + 1) * P + p] + (double)q[((8 * N + 9) * K + 1) * P + p] +
                   (double)r[((8 * N + 0) * K + 1) * P + p];
        expected += (double)w[P + p] * tanh(z + dot_product(F, X + (P + p) * F, features));
    }
    assert_true(fabs((double)logit[0][((8 * K + 1) * N + 9) * N] - expected) < 1e-4);
    for (int t = 0; t < RUNS; t++) {
        real *all[] = {logit[t], dq[t], dX[t], dw[t], dw0[t]};
        for (int i = 0; i < 5; i++) free(all[i]);
    }
    real *all[] = {s, q, r, x, X, w, w0, dlogit, ds, dr};
    for (int i = 0; i < 10; i++) free(all[i]);
    contexts_close(ctx);
}

static void losses(void **state)
{
    enum { N = 3001, A = 23 };
    static real dlogit[RUNS][N * A], dvalue[RUNS][N], dz[RUNS][2 * N], stats[RUNS][SYN_PPO_STATS];
    static real bce[RUNS], logp_old[N];
    static uint8_t mask[N * A];
    static int32_t action[N];
    real *logit = random_real(1, N * A), *advantage = random_real(2, N), *value = random_real(3, N);
    real *value_old = random_real(4, N), *ret = random_real(5, N);
    for (int i = 0; i < N * A; i++) mask[i] = i % A == 0 || i % 3 > 0;
    for (int i = 0; i < N; i++) logp_old[i] = -3;
    syn_ppo_coef coef = {0.2f, 0.01f, 0.5f, 0.2f};
    syn_ctx ctx[RUNS];
    contexts_open(ctx);
    for (int t = 0; t < RUNS; t++) {
        assert_ok(syn_ppo_loss(&ctx[t], N, A, logit, mask, action, logp_old, advantage, value,
                               value_old, ret, NULL, &coef, 1.0f / N, dlogit[t], dvalue[t],
                               stats[t]));
        assert_ok(syn_bce_forward_backward(&ctx[t], N, logit, 2, value, ret, 0.5f, dz[t], &bce[t]));
        assert_memory_equal(dlogit[t], dlogit[0], sizeof dlogit[0]);
        assert_memory_equal(stats[t], stats[0], sizeof stats[0]);
        assert_memory_equal(&bce[t], &bce[0], sizeof bce[0]);
    }
    assert_true(stats[0][SYN_PPO_COUNT] == N);
    contexts_close(ctx);
    real *all[] = {logit, advantage, value, value_old, ret};
    for (int i = 0; i < 5; i++) free(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embedding_bags),
        cmocka_unit_test(gathered_sums),
        cmocka_unit_test(pair_scorer),
        cmocka_unit_test(losses),
    };
    return cmocka_run_group_tests_name("test_threads", tests, NULL, NULL);
}
