/* The losses against their formulas and against central differences. */
#include "kernels/loss.h"
#include "tests/gradcheck.h"
#include "tests/kernels/random.h"

/* ---- binary cross-entropy ---- */

enum { BCE_N = 9, BCE_LD = 3 };

typedef struct bce {
    syn_ctx ctx;
    const real *weight;
    real logit[BCE_N * BCE_LD], target[BCE_N], dlogit[BCE_N * BCE_LD];
} bce;

static double bce_loss(void *user)
{
    bce *b = user;
    real loss = 0;
    assert_ok(syn_bce_forward_backward(&b->ctx, BCE_N, b->logit, BCE_LD, b->target, b->weight, 0.3,
                                       b->dlogit, &loss));
    return loss;
}

static void bce_init(bce *b, const real *weight)
{
    memset(b, 0, sizeof *b);
    assert_ok(syn_ctx_init(&b->ctx, SYN_DEVICE_CPU, 1));
    b->weight = weight;
    random_fill(1, BCE_N * BCE_LD, -3, 3, b->logit);
    random_fill(2, BCE_N, 0, 1, b->target);
}

static void bce_gradient_matches_with_and_without_weights(void **state)
{
    const real weight[BCE_N] = {1, 0, 2.5, 0.25, 1, 1, 0, 3, 1};
    for (int weighted = 0; weighted < 2; weighted++) {
        bce b;
        bce_init(&b, weighted ? weight : NULL);
        (void)bce_loss(&b);
        real analytic[BCE_N * BCE_LD];
        memcpy(analytic, b.dlogit, sizeof analytic);
        gradcheck_assert("logit", bce_loss, &b, b.logit, analytic, BCE_N * BCE_LD, GRADCHECK_ALL);
        syn_ctx_free(&b.ctx);
    }
}

static void bce_is_its_formula_and_adds_to_the_loss(void **state)
{
    bce b;
    bce_init(&b, NULL);
    double expected = 0;
    for (int i = 0; i < BCE_N; i++) {
        double p = 1 / (1 + exp(-b.logit[i * BCE_LD]));
        expected -= 0.3 * (b.target[i] * log(p) + (1 - b.target[i]) * log(1 - p));
    }
    real loss = 10;
    assert_ok(syn_bce_forward_backward(&b.ctx, BCE_N, b.logit, BCE_LD, b.target, NULL, 0.3, b.logit,
                                       &loss));
    assert_true(fabs(loss - 10 - expected) < 1e-12);
    syn_ctx_free(&b.ctx);
}

static void bce_is_finite_at_extreme_logits_and_deaf_at_weight_zero(void **state)
{
    syn_ctx ctx;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    const real logit[4] = {1000, -1000, 1000, NAN}, target[4] = {1, 0, 0, 1},
               weight[4] = {1, 1, 1, 0};
    real dlogit[4], loss = 0;
    assert_ok(syn_bce_forward_backward(&ctx, 4, logit, 1, target, weight, 1, dlogit, &loss));
    assert_true(fabs(loss - 1000) < 1e-9);
    assert_true(dlogit[0] == 0 && dlogit[1] == 0 && dlogit[2] == 1 && dlogit[3] == 0);
    syn_ctx_free(&ctx);
}

/* ---- InfoNCE ---- */

enum { NCE_N = 6, NCE_D = 5 };

typedef struct nce {
    syn_ctx ctx;
    real u[NCE_N * NCE_D], v[NCE_N * NCE_D], du[NCE_N * NCE_D], dv[NCE_N * NCE_D], accuracy;
} nce;

static double nce_loss(void *user)
{
    nce *m = user;
    real loss = 0;
    m->accuracy = 0;
    assert_ok(syn_infonce_forward_backward(&m->ctx, NCE_N, NCE_D, m->u, m->v, 0.4, m->du, m->dv,
                                           &loss, &m->accuracy));
    return loss;
}

static void infonce_gradient_and_value_match(void **state)
{
    nce m;
    assert_ok(syn_ctx_init(&m.ctx, SYN_DEVICE_CPU, 1));
    random_fill(3, NCE_N * NCE_D, -1, 1, m.u);
    random_fill(4, NCE_N * NCE_D, -1, 1, m.v);
    double loss = nce_loss(&m), expected = 0, hits = 0;
    for (int i = 0; i < NCE_N; i++) {
        double sum = 0, own = dot_product(NCE_D, m.u + i * NCE_D, m.v + i * NCE_D) / 0.4;
        bool best = true;
        for (int j = 0; j < NCE_N; j++) {
            double score = dot_product(NCE_D, m.u + i * NCE_D, m.v + j * NCE_D) / 0.4;
            sum += exp(score);
            best = best && (i == j || score < own);
        }
        expected += (log(sum) - own) / NCE_N;
        hits += best;
    }
    assert_true(fabs(loss - expected) < 1e-12);
    assert_true(fabs(m.accuracy - hits / NCE_N) < 1e-12);
    real du[NCE_N * NCE_D], dv[NCE_N * NCE_D];
    memcpy(du, m.du, sizeof du);
    memcpy(dv, m.dv, sizeof dv);
    gradcheck_assert("u", nce_loss, &m, m.u, du, NCE_N * NCE_D, GRADCHECK_ALL);
    gradcheck_assert("v", nce_loss, &m, m.v, dv, NCE_N * NCE_D, GRADCHECK_ALL);
    syn_ctx_free(&m.ctx);
}

static void infonce_gives_no_credit_for_ties(void **state)
{
    nce m;
    assert_ok(syn_ctx_init(&m.ctx, SYN_DEVICE_CPU, 1));
    for (int i = 0; i < NCE_N * NCE_D; i++) m.u[i] = m.v[i] = 1;
    assert_true(fabs(nce_loss(&m) - log(NCE_N)) < 1e-12);
    assert_true(m.accuracy == 0);
    syn_ctx_free(&m.ctx);
}

/* ---- PPO ---- */

enum { PPO_N = 150, PPO_A = 7 };

typedef struct ppo {
    syn_ctx ctx;
    syn_ppo_coef coef;
    real scale, logit[PPO_N * PPO_A], logp_old[PPO_N], advantage[PPO_N], value[PPO_N];
    real value_old[PPO_N], ret[PPO_N], dlogit[PPO_N * PPO_A], dvalue[PPO_N], stats[SYN_PPO_STATS];
    uint8_t mask[PPO_N * PPO_A], valid[PPO_N];
    int32_t action[PPO_N];
} ppo;

/* ln p of every action, and -sum p ln p, the plain way. */
static double log_softmax(const real *logit, const uint8_t *mask, double *lp)
{
    double sum = 0, entropy = 0;
    for (int a = 0; a < PPO_A; a++) sum += mask[a] ? exp(logit[a]) : 0;
    for (int a = 0; a < PPO_A; a++) {
        lp[a] = mask[a] ? logit[a] - log(sum) : -INFINITY;
        entropy -= mask[a] ? exp(lp[a]) * lp[a] : 0;
    }
    return entropy;
}

/* Ratios between .6 and 1.5, so that all branches of the clip occur; row 5 is not valid, row 6 has
 * one legal action, row 7 none. */
static void ppo_init(ppo *m, real value_clip, int threads)
{
    memset(m, 0, sizeof *m);
    assert_ok(syn_ctx_init(&m->ctx, SYN_DEVICE_CPU, threads));
    m->coef = (syn_ppo_coef){0.2, 0.05, 0.5, value_clip};
    m->scale = 1.0 / (PPO_N - 1);
    syn_rng rng = syn_rng_make(9, SYN_STREAM_TEST);
    random_fill(10, PPO_N * PPO_A, -2, 2, m->logit);
    random_fill(11, PPO_N, -1, 1, m->advantage);
    random_fill(12, PPO_N, -1, 1, m->value);
    random_fill(13, PPO_N, -1, 1, m->value_old);
    random_fill(14, PPO_N, -1, 1, m->ret);
    for (int i = 0; i < PPO_N; i++) {
        m->valid[i] = i != 5;
        uint8_t *mask = m->mask + i * PPO_A;
        for (int a = 0; a < PPO_A; a++)
            mask[a] = i != 7 && (i == 6 ? a == 3 : syn_rng_below(&rng, 3) > 0);
        if (i != 7) mask[3] = 1;
        m->action[i] = i == 7 ? -1 : 3;
        for (int a = 0; a < PPO_A && i % 2; a++)
            if (mask[a]) m->action[i] = a;
        double lp[PPO_A];
        (void)log_softmax(m->logit + i * PPO_A, mask, lp);
        double ratio = 0.6 + 0.9 * (double)syn_rng_uniform(&rng);
        m->logp_old[i] = i == 7 ? 0 : lp[m->action[i]] - log(ratio);
    }
}

static double ppo_loss(void *user)
{
    ppo *m = user;
    memset(m->stats, 0, sizeof m->stats);
    assert_ok(syn_ppo_loss(&m->ctx, PPO_N, PPO_A, m->logit, m->mask, m->action, m->logp_old,
                           m->advantage, m->value, m->value_old, m->ret, m->valid, &m->coef,
                           m->scale, m->dlogit, m->dvalue, m->stats));
    return m->stats[SYN_PPO_LOSS];
}

static void ppo_gradients_match_off_the_clip_kinks(void **state)
{
    for (int clipped = 0; clipped < 2; clipped++) {
        ppo *m = malloc(sizeof *m);
        assert_non_null(m);
        ppo_init(m, clipped ? 0.3 : 0, 2);
        (void)ppo_loss(m);
        real dlogit[PPO_N * PPO_A], dvalue[PPO_N];
        memcpy(dlogit, m->dlogit, sizeof dlogit);
        memcpy(dvalue, m->dvalue, sizeof dvalue);
        gradcheck_assert("logit", ppo_loss, m, m->logit, dlogit, PPO_N * PPO_A, GRADCHECK_ALL);
        gradcheck_assert("value", ppo_loss, m, m->value, dvalue, PPO_N, GRADCHECK_ALL);
        syn_ctx_free(&m->ctx);
        free(m);
    }
}

/* The objective as the paper writes it, row by row. */
static void ppo_reference(const ppo *m, double *stats)
{
    memset(stats, 0, sizeof *stats * SYN_PPO_STATS);
    for (int i = 0; i < PPO_N; i++) {
        if (!m->valid[i]) continue;
        double v = m->value[i], c = m->coef.value_clip, v_near = v;
        if (c > 0) v_near = m->value_old[i] + fmin(fmax(v - m->value_old[i], -c), c);
        double value = 0.5 * fmax(pow(v - m->ret[i], 2), pow(v_near - m->ret[i], 2));
        double policy = 0, lp[PPO_A], entropy = 0;
        if (m->action[i] >= 0) {
            entropy = log_softmax(m->logit + i * PPO_A, m->mask + i * PPO_A, lp);
            double ln = lp[m->action[i]] - m->logp_old[i], r = exp(ln), eps = m->coef.clip;
            policy = -fmin(r * m->advantage[i], fmin(fmax(r, 1 - eps), 1 + eps) * m->advantage[i]);
            int legal = 0;
            for (int a = 0; a < PPO_A; a++) legal += m->mask[i * PPO_A + a];
            stats[SYN_PPO_KL] += m->scale * (r - 1 - ln);
            stats[SYN_PPO_CLIP_FRACTION] += m->scale * (fabs(r - 1) > eps);
            stats[SYN_PPO_ENTROPY_SHARE] += legal > 1 ? m->scale * entropy / log(legal) : 0;
        }
        stats[SYN_PPO_POLICY_LOSS] += m->scale * policy;
        stats[SYN_PPO_VALUE_LOSS] += m->scale * value;
        stats[SYN_PPO_ENTROPY] += m->scale * entropy;
        stats[SYN_PPO_COUNT] += 1;
        stats[SYN_PPO_LOSS] +=
            m->scale * (policy + m->coef.value * value - m->coef.entropy * entropy);
    }
}

static void ppo_statistics_are_those_of_the_formulas(void **state)
{
    for (int clipped = 0; clipped < 2; clipped++) {
        ppo *m = malloc(sizeof *m);
        assert_non_null(m);
        ppo_init(m, clipped ? 0.3 : 0, 1);
        (void)ppo_loss(m);
        double expected[SYN_PPO_STATS];
        ppo_reference(m, expected);
        for (int k = 0; k < SYN_PPO_STATS; k++)
            if (!(fabs(m->stats[k] - expected[k]) < 1e-10))
                fail_msg("statistic %d is %.12g, expected %.12g", k, m->stats[k], expected[k]);
        assert_true(m->stats[SYN_PPO_COUNT] == PPO_N - 1);
        assert_true(m->stats[SYN_PPO_CLIP_FRACTION] > 0.1 && m->stats[SYN_PPO_CLIP_FRACTION] < 0.9);
        syn_ctx_free(&m->ctx);
        free(m);
    }
}

static void ppo_leaves_illegal_actions_and_invalid_rows_without_gradient(void **state)
{
    ppo *m = malloc(sizeof *m);
    assert_non_null(m);
    ppo_init(m, 0, 1);
    for (int i = 0; i < PPO_N * PPO_A; i++)
        if (!m->mask[i]) m->logit[i] = NAN;
    memset(m->dlogit, 0x7f, sizeof m->dlogit);
    memset(m->dvalue, 0x7f, sizeof m->dvalue);
    assert_true(isfinite(ppo_loss(m)));
    for (int i = 0; i < PPO_N * PPO_A; i++)
        if (!m->mask[i] || i / PPO_A == 5 || i / PPO_A == 7) assert_true(m->dlogit[i] == 0);
    assert_true(m->dvalue[5] == 0);
    assert_true(m->dvalue[7] != 0);
    syn_ctx_free(&m->ctx);
    free(m);
}

static void ppo_is_bit_equal_for_any_number_of_threads(void **state)
{
    ppo *one = malloc(sizeof *one), *three = malloc(sizeof *three);
    assert_true(one && three);
    ppo_init(one, 0.3, 1);
    ppo_init(three, 0.3, 3);
    (void)ppo_loss(one);
    (void)ppo_loss(three);
    assert_memory_equal(one->stats, three->stats, sizeof one->stats);
    assert_memory_equal(one->dlogit, three->dlogit, sizeof one->dlogit);
    syn_ctx_free(&one->ctx);
    syn_ctx_free(&three->ctx);
    free(one);
    free(three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bce_gradient_matches_with_and_without_weights),
        cmocka_unit_test(bce_is_its_formula_and_adds_to_the_loss),
        cmocka_unit_test(bce_is_finite_at_extreme_logits_and_deaf_at_weight_zero),
        cmocka_unit_test(infonce_gradient_and_value_match),
        cmocka_unit_test(infonce_gives_no_credit_for_ties),
        cmocka_unit_test(ppo_gradients_match_off_the_clip_kinks),
        cmocka_unit_test(ppo_statistics_are_those_of_the_formulas),
        cmocka_unit_test(ppo_leaves_illegal_actions_and_invalid_rows_without_gradient),
        cmocka_unit_test(ppo_is_bit_equal_for_any_number_of_threads),
    };
    return cmocka_run_group_tests_name("grad_loss", tests, NULL, NULL);
}
