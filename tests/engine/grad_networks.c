/* The whole networks against central differences, through their own forward and backward passes.
 *
 * A forward pass of the real sizes costs milliseconds, so batches are small, and coordinates are
 * drawn at random: so many for each tensor. */
#include "engine/control.h"
#include "kernels/loss.h"
#include "tests/gradcheck.h"
#include "tests/kernels/random.h"

#ifdef __SANITIZE_ADDRESS__
enum { SAMPLES = 20 }; /* what the sanitizer looks for shows in the first few */
#else
enum { SAMPLES = 300 };
#endif
enum { N = SYN_AGENTS_MAX, A = SYN_ACTIONS_MAX };

/* Initial weights let signals fade, and with them the gradients of the first layers until rounding
 * hides them: these are larger. */
static void params_scale(syn_params *p, real factor)
{
    for (int64_t k = 0; k < p->total; k++) p->value[k] *= factor;
}

static void tensor_scale(syn_params *p, int index, real factor)
{
    for (int64_t k = 0; k < p->item[index].count; k++) syn_value(p, index)[k] *= factor;
}

/* ---- Perception: CKM and gap head ---- */

/* A team of three, one of whom knows nothing, and a team of two. */
enum { AGENTS = 5, LINKS = 4, ITEMS = 8 };

typedef struct perception_case {
    syn_ctx ctx;
    syn_perception p;
    syn_team_batch batch;
    int32_t offset[AGENTS + 1], first[AGENTS], size[AGENTS], link_i[LINKS], link_j[LINKS];
    real *items, *bias;
    real logit[(AGENTS + LINKS) * SYN_GAP_OUT], dlogit[(AGENTS + LINKS) * SYN_GAP_OUT];
    real ckm[AGENTS * SYN_CKM], dckm[AGENTS * SYN_CKM];
    bool train;
} perception_case;

static perception_case *perception_create(bool train)
{
    static const int32_t offset[] = {0, 3, 3, 5, 6, ITEMS}, first[] = {0, 0, 0, 3, 3},
                         size[] = {3, 3, 3, 2, 2}, link_i[] = {0, 1, 2, 4}, link_j[] = {1, 2, 0, 3};
    perception_case *t = calloc(1, sizeof *t);
    assert_non_null(t);
    assert_ok(syn_ctx_init(&t->ctx, SYN_DEVICE_CPU, 1));
    assert_ok(syn_perception_init(&t->ctx, &t->p, 3));
    assert_ok(syn_params_trainable(&t->ctx, &t->p.params));
    params_scale(&t->p.params, 2);
    memcpy(t->offset, offset, sizeof offset);
    memcpy(t->first, first, sizeof first);
    memcpy(t->size, size, sizeof size);
    memcpy(t->link_i, link_i, sizeof link_i);
    memcpy(t->link_j, link_j, sizeof link_j);
    t->items = random_real(4, ITEMS * SYN_DI);
    t->bias = random_real(5, ITEMS);
    random_fill(6, (AGENTS + LINKS) * SYN_GAP_OUT, -1, 1, t->dlogit);
    t->batch = (syn_team_batch){AGENTS,    LINKS,    {AGENTS, 3, ITEMS, t->offset, NULL},
                                t->first,  t->size,  t->link_i,
                                t->link_j, t->items, t->bias};
    t->train = train;
    return t;
}

static void perception_free(perception_case *t)
{
    free(t->items);
    free(t->bias);
    syn_perception_free(&t->ctx, &t->p);
    syn_ctx_free(&t->ctx);
    free(t);
}

static double perception_loss(void *user)
{
    perception_case *t = user;
    syn_perception_cache *cache;
    syn_scratch_mark mark = syn_scratch_push(&t->ctx);
    assert_ok(syn_perception_forward(&t->ctx, &t->p, &t->batch, t->train, 7, 8, &cache, t->logit));
    syn_scratch_pop(&t->ctx, mark);
    return dot_product((AGENTS + LINKS) * SYN_GAP_OUT, t->logit, t->dlogit);
}

static void perception_backward(perception_case *t)
{
    syn_perception_cache *cache;
    syn_scratch_mark mark = syn_scratch_push(&t->ctx);
    assert_ok(syn_perception_forward(&t->ctx, &t->p, &t->batch, t->train, 7, 8, &cache, t->logit));
    assert_ok(syn_perception_backward(&t->ctx, &t->p, &t->batch, cache, t->dlogit));
    syn_scratch_pop(&t->ctx, mark);
}

/* Every tensor from `from` on; those before it have no part in this loss, and no gradient. */
static void params_check(const syn_params *params, int from, gradcheck_loss loss, void *user,
                         int samples)
{
    for (int i = 0; i < params->count; i++) {
        const syn_param *t = &params->item[i];
        const real *grad = syn_grad(params, i);
        for (int64_t k = 0; i < from && k < t->count; k++) assert_true(grad[k] == 0);
        if (i < from) continue;
        assert_true(dot_product(t->count, grad, grad) > 0);
        gradcheck_assert(t->name, loss, user, syn_value(params, i), grad, t->count, samples);
    }
}

/* The encoder alone, as it is at inference. */
static double ckm_loss(void *user)
{
    perception_case *t = user;
    assert_ok(syn_ckm_forward(&t->ctx, &t->p, &t->batch.seq, t->items, t->bias, t->ckm, NULL));
    return dot_product(AGENTS * SYN_CKM, t->ckm, t->dckm);
}

static void the_encoder_alone_matches_central_differences(void **state)
{
    perception_case *t = perception_create(true);
    const syn_params *params = &t->p.params;
    random_fill(8, AGENTS * SYN_CKM, -1, 1, t->dckm);
    assert_ok(syn_ckm_backward(&t->ctx, &t->p, &t->batch.seq, t->items, t->bias, t->dckm));
    for (int i = SYN_P_IN_W; i <= SYN_P_EMPTY; i++) {
        const syn_param *item = &params->item[i];
        assert_true(dot_product(item->count, syn_grad(params, i), syn_grad(params, i)) > 0);
        gradcheck_assert(item->name, ckm_loss, t, syn_value(params, i), syn_grad(params, i),
                         item->count, SAMPLES / 3);
    }
    perception_free(t);
}

static void the_perception_network_matches_central_differences(void **state)
{
    perception_case *t = perception_create(true);
    perception_backward(t);
    params_check(&t->p.params, SYN_P_IN_W, perception_loss, t, SAMPLES);
    perception_free(t);
}

/* The ablation: the linear layer's mean in the place of BiLSTM and attention, which then have no
 * part in it. */
static void the_mean_in_place_of_the_ckm_matches_central_differences(void **state)
{
    perception_case *t = perception_create(true);
    const syn_params *params = &t->p.params;
    t->p.without = SYN_WITHOUT_CKM;
    perception_backward(t);
    for (int i = SYN_P_IN_W; i < params->count; i++) {
        const syn_param *item = &params->item[i];
        const bool apart = i >= SYN_P_WF && i <= SYN_P_ATT_V;
        assert_true((dot_product(item->count, syn_grad(params, i), syn_grad(params, i)) > 0) !=
                    apart);
        if (apart) continue;
        gradcheck_assert(item->name, perception_loss, t, syn_value(params, i), syn_grad(params, i),
                         item->count, SAMPLES);
    }
    perception_free(t);
}

/* The loss depends on dropout: without it the same gradients would be wrong. */
static void dropout_takes_part_in_the_perception_gradient(void **state)
{
    perception_case *t = perception_create(true);
    perception_backward(t);
    t->train = false;
    double error = gradcheck_error(perception_loss, t, syn_value(&t->p.params, SYN_P_GAP_W3),
                                   syn_grad(&t->p.params, SYN_P_GAP_W3), 256 * 128, 40, 1);
    assert_true(error > 1e-2);
    perception_free(t);
}

/* ---- Control: state encoder, policy, critic ---- */

enum { T = 3, E = 3, ROWS = T * E };

typedef struct control_case {
    syn_ctx ctx;
    syn_control c;
    syn_observation x;
    real h0[E * SYN_STATE], c0[E * SYN_STATE], hT[E * SYN_STATE], cT[E * SYN_STATE];
    real logit[ROWS * A], value[ROWS], dlogit[ROWS * A], dvalue[ROWS], dckm[ROWS * N * SYN_CKM];
    /* of PPO's loss */
    int32_t action[ROWS];
    real logp_old[ROWS], advantage[ROWS], value_old[ROWS], ret[ROWS];
} control_case;

/* Teams of 2 to 10, episodes that end and begin in the middle, a state carried in. */
static void observation_fill(syn_observation *x)
{
    static const uint8_t reset[ROWS] = {0, 1, 0, 0, 0, 1, 1, 0, 0};
    static const int32_t count[ROWS] = {2, 10, 5, 2, 10, 3, 7, 10, 4};
    random_fill(11, ROWS * SYN_DM, -1, 1, x->message);
    random_fill(12, ROWS * N * SYN_CKM, -1, 1, x->ckm);
    random_fill(13, ROWS * 2 * N * N * SYN_PAIR_X, -1, 1, x->pair_x);
    random_fill(14, ROWS * N * SYN_AGENT_X, -1, 1, x->agent_x);
    random_fill(15, ROWS * SYN_SUMMARY, -1, 1, x->summary);
    memcpy(x->reset, reset, sizeof reset);
    memcpy(x->count, count, sizeof count);
}

/* Two moves in three of those that the team's size allows, and the two that end it. */
static void mask_fill(syn_observation *x)
{
    for (int64_t r = 0; r < ROWS; r++)
        for (int a = 0; a < A; a++) {
            syn_action move = syn_action_of(a);
            bool there = move.from < x->count[r] && move.to < x->count[r];
            x->mask[r * A + a] = a >= A - 2 || (there && (a + r) % 3 != 0);
        }
}

static void control_forward(control_case *t, syn_control_cache **cache)
{
    assert_ok(syn_control_forward(&t->ctx, &t->c, T, E, &t->x, t->h0, t->c0, cache, t->logit,
                                  t->value, t->hT, t->cT));
}

static control_case *control_create(void)
{
    control_case *t = calloc(1, sizeof *t);
    assert_non_null(t);
    assert_ok(syn_ctx_init(&t->ctx, SYN_DEVICE_CPU, 1));
    assert_ok(syn_control_init(&t->ctx, &t->c, 3));
    assert_ok(syn_params_trainable(&t->ctx, &t->c.params));
    assert_ok(syn_observation_alloc(&t->ctx, &t->x, ROWS));
    params_scale(&t->c.params, 2);
    tensor_scale(&t->c.params, SYN_C_PAIR_W, 16); /* the actor's last layers begin near zero */
    tensor_scale(&t->c.params, SYN_C_AGENT_W, 16);
    tensor_scale(&t->c.params, SYN_C_GLOBAL_OUT, 16);
    observation_fill(&t->x);
    mask_fill(&t->x);
    random_fill(16, E * SYN_STATE, -1, 1, t->h0);
    random_fill(17, E * SYN_STATE, -1, 1, t->c0);
    random_fill(18, ROWS * A, -1, 1, t->dlogit);
    random_fill(19, ROWS, -1, 1, t->dvalue);
    random_fill(20, ROWS, -1, 1, t->advantage);
    random_fill(21, ROWS, -1, 1, t->ret);
    control_forward(t, NULL);
    for (int64_t r = 0; r < ROWS; r++) {
        double sum = 0;
        for (int a = 0; a < A; a++) sum += t->x.mask[r * A + a] ? exp(t->logit[r * A + a]) : 0;
        int a = (int)(r * 37 % A);
        while (!t->x.mask[r * A + a]) a = (a + 1) % A;
        t->action[r] = a; /* ratios from .5 to 1.5, so that some are clipped */
        t->logp_old[r] = t->logit[r * A + a] - log(sum) - log(0.5 + (double)r / (ROWS - 1));
        t->value_old[r] = t->value[r] + 0.3 * ((double)(r % 3) - 1);
    }
    return t;
}

static void control_free(control_case *t)
{
    syn_observation_free(&t->ctx, &t->x);
    syn_control_free(&t->ctx, &t->c);
    syn_ctx_free(&t->ctx);
    free(t);
}

static double control_loss(void *user)
{
    control_case *t = user;
    control_forward(t, NULL);
    return dot_product(ROWS * A, t->logit, t->dlogit) + dot_product(ROWS, t->value, t->dvalue);
}

static double ppo(control_case *t, real *dlogit, real *dvalue)
{
    const syn_ppo_coef coef = {0.2, 0.1, 0.5, 0.2};
    real stats[SYN_PPO_STATS] = {0};
    assert_ok(syn_ppo_loss(&t->ctx, ROWS, A, t->logit, t->x.mask, t->action, t->logp_old,
                           t->advantage, t->value, t->value_old, t->ret, NULL, &coef, 1.0 / ROWS,
                           dlogit, dvalue, stats));
    return stats[SYN_PPO_LOSS];
}

static double control_ppo_loss(void *user)
{
    control_case *t = user;
    real dlogit[ROWS * A], dvalue[ROWS];
    control_forward(t, NULL);
    return ppo(t, dlogit, dvalue);
}

static void control_backward(control_case *t, bool of_ppo)
{
    syn_control_cache *cache;
    syn_scratch_mark mark = syn_scratch_push(&t->ctx);
    control_forward(t, &cache);
    if (of_ppo) ppo(t, t->dlogit, t->dvalue);
    assert_ok(syn_control_backward(&t->ctx, &t->c, T, E, &t->x, t->h0, t->c0, cache, t->dlogit,
                                   t->dvalue, t->dckm, NULL));
    syn_scratch_pop(&t->ctx, mark);
}

static void the_control_network_matches_central_differences(void **state)
{
    control_case *t = control_create();
    control_backward(t, false);
    params_check(&t->c.params, 0, control_loss, t, SAMPLES);
    control_free(t);
}

static void the_control_network_matches_under_the_ppo_loss(void **state)
{
    control_case *t = control_create();
    control_backward(t, true);
    params_check(&t->c.params, 0, control_ppo_loss, t, SAMPLES / 3);
    control_free(t);
}

static void the_gradient_of_the_ckm_vectors_matches(void **state)
{
    control_case *t = control_create();
    random_fill(30, ROWS * N * SYN_CKM, -1, 1, t->dckm);
    control_backward(t, false);
    gradcheck_assert("ckm", control_loss, t, t->x.ckm, t->dckm, ROWS * N * SYN_CKM, 2 * SAMPLES);
    control_free(t);
}

static void gradients_accumulate(void **state)
{
    control_case *t = control_create();
    const syn_params *p = &t->c.params;
    control_backward(t, false);
    real *once = real_alloc(p->total);
    memcpy(once, p->grad, sizeof(real) * (size_t)p->total);
    control_backward(t, false);
    for (int64_t k = 0; k < p->total; k++)
        assert_true(fabs(p->grad[k] - 2 * once[k]) <= 1e-9 * (1 + fabs(once[k])));
    free(once);
    control_free(t);
}

/* The check itself: one gate of one weight matrix is off by 1 %. */
static void a_planted_error_of_one_percent_is_caught(void **state)
{
    control_case *t = control_create();
    const syn_params *p = &t->c.params;
    const syn_param *r = &p->item[SYN_C_R];
    control_backward(t, false);
    real *grad = syn_grad(p, SYN_C_R);
    for (int64_t k = r->count / 4; k < r->count / 2; k++) grad[k] *= 1.01; /* the forget gate */
    double error =
        gradcheck_error(control_loss, t, syn_value(p, SYN_C_R), grad, r->count, SAMPLES, 1);
    assert_true(error > 1e3 * GRADCHECK_TOLERANCE && error < 0.02);
    control_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_perception_network_matches_central_differences),
        cmocka_unit_test(the_encoder_alone_matches_central_differences),
        cmocka_unit_test(the_mean_in_place_of_the_ckm_matches_central_differences),
        cmocka_unit_test(dropout_takes_part_in_the_perception_gradient),
        cmocka_unit_test(the_control_network_matches_central_differences),
        cmocka_unit_test(the_control_network_matches_under_the_ppo_loss),
        cmocka_unit_test(the_gradient_of_the_ckm_vectors_matches),
        cmocka_unit_test(gradients_accumulate),
        cmocka_unit_test(a_planted_error_of_one_percent_is_caught),
    };
    return cmocka_run_group_tests_name("grad_networks", tests, NULL, NULL);
}
