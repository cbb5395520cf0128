/* Ops inside a CUDA graph: replays follow what lies in device memory and give the bits of direct
 * calls. */
#include "kernels/attention.h"
#include "kernels/base/graph.h"
#include "kernels/embedding.h"
#include "kernels/ffn.h"
#include "kernels/gae.h"
#include "kernels/loss.h"
#include "kernels/optim.h"
#include "kernels/pair.h"
#include "kernels/sample.h"
#include "tests/kernels/twins.h"

enum { N = 40, D = 24, A = 33, V = 20, WEIGHTS = A * D, ENVS = 5, AGENTS = 4, P = 8, F = 6, K = 2 };

/* What a training step is made of, on one context; all on the device. */
typedef struct step {
    syn_ctx *ctx;
    real *x, *w, *b, *logit, *dlogit, *dw, *db, *dx, *m, *v, *norm, *value, *ret, *logp, *dvalue;
    real *stats, *advantage, *pair, *pooled, *alpha, *bag, *score;
    uint8_t *mask;
    int32_t *action, *skip, *index, *order, *owner, *live;
    uint64_t *counter;
    syn_ppo_coef *coef;
    syn_adam_scalars *adam;
} step;

static real *reals(twins *t, uint64_t seed, int64_t n)
{
    return twin_random(t, seed, n).gpu;
}

static step step_make(twins *t)
{
    step s = {.ctx = &t->gpu};
    uint8_t mask[N * A];
    int32_t index[N + 1];
    uint64_t counter[N];
    for (int i = 0; i < N * A; i++) mask[i] = i % 3 != 0;
    for (int i = 0; i < N; i++) counter[i] = (uint64_t)i;
    for (int i = 0; i <= N; i++) index[i] = i % V;
    const int32_t none = 0, live[2] = {N / 2, N};
    s.x = reals(t, 1, N * D), s.w = reals(t, 2, WEIGHTS), s.b = reals(t, 3, A);
    s.logit = reals(t, 4, N * A), s.dlogit = reals(t, 4, N * A), s.dw = reals(t, 4, WEIGHTS);
    s.db = reals(t, 4, A), s.dx = reals(t, 4, N * D), s.m = reals(t, 4, WEIGHTS);
    s.v = syn_device_alloc(&t->gpu, sizeof(real) * WEIGHTS);
    t->device[t->count] = s.v, t->host[t->count++] = NULL;
    s.norm = reals(t, 4, 1), s.value = reals(t, 5, 2 * N), s.ret = reals(t, 6, N);
    s.logp = reals(t, 4, N), s.dvalue = reals(t, 4, N), s.stats = reals(t, 7, SYN_PPO_STATS);
    s.advantage = reals(t, 8, N), s.pair = reals(t, 9, ENVS * K * AGENTS * AGENTS * 8);
    s.pooled = reals(t, 4, N * D), s.alpha = reals(t, 4, N), s.bag = reals(t, 4, N * D);
    s.score = reals(t, 4, N);
    s.mask = twin_list(t, mask, N * A), s.action = twin_list(t, index, N);
    s.skip = twin_list(t, &none, 1), s.index = twin_list(t, index, N + 1);
    s.order = twin_list(t, index, N), s.owner = twin_list(t, index, N);
    s.live = twin_list(t, live, 2), s.counter = twin_list(t, counter, N);
    const syn_ppo_coef coef = {(real)0.2, (real)0.01, (real)0.5, 0};
    syn_adam_scalars adam;
    assert_ok(syn_adam_scalars_init(&adam, 0.01f, 0.9f, 0.99f, 1e-6f, 0, 1, (real)0.5));
    s.coef = twin_list(t, &coef, 1), s.adam = twin_list(t, &adam, 1);
    return s;
}

static syn_status learn(const step *s)
{
    syn_ctx *ctx = s->ctx;
    SYN_RETURN_IF(syn_linear_forward(ctx, N, D, A, s->x, D, s->w, s->b, SYN_ACT_NONE, s->logit, A));
    SYN_RETURN_IF(syn_policy_sample(ctx, N, A, s->logit, s->mask, false, 1, s->counter, s->action,
                                    s->logp, NULL, NULL));
    SYN_RETURN_IF(
        syn_gae(ctx, 1, N, s->ret, s->value, s->mask, (real)0.9, 1, s->advantage, s->dvalue));
    SYN_RETURN_IF(syn_normalise(ctx, N, s->advantage));
    SYN_RETURN_IF(syn_ppo_loss(ctx, N, A, s->logit, s->mask, s->action, s->logp, s->advantage,
                               s->value, NULL, s->ret, NULL, s->coef, (real)1 / N, s->dlogit,
                               s->dvalue, s->stats));
    SYN_RETURN_IF(syn_zero(ctx, s->dw, sizeof(real) * WEIGHTS));
    SYN_RETURN_IF(syn_linear_backward(ctx, N, D, A, s->x, D, s->w, s->logit, A, SYN_ACT_NONE,
                                      s->dlogit, A, s->dx, D, s->dw, s->db));
    SYN_RETURN_IF(syn_grad_norm(ctx, WEIGHTS, s->dw, s->norm));
    SYN_RETURN_IF(syn_flag_not_finite(ctx, 1, s->norm, 1, s->skip));
    return syn_adamw_device(ctx, WEIGHTS, s->w, s->dw, s->m, s->v, s->adam, s->norm, s->skip);
}

static syn_status observe(const step *s)
{
    syn_ctx *ctx = s->ctx;
    const syn_ffn ffn = {.layers = 2, .dim = {16, 16, 1}, .w = {s->w, s->w}, .b = {s->b, s->b}};
    const syn_seq seq = {.batch = N, .steps = 1, .rows = N};
    SYN_RETURN_IF(syn_ffn_score(ctx, &ffn, N, s->live, s->x, D, s->score));
    SYN_RETURN_IF(syn_attention_forward(ctx, &seq, D, A, s->x, s->w, s->b, NULL, s->x, s->logit,
                                        s->alpha, s->pooled));
    SYN_RETURN_IF(syn_embedding_bag_plan(ctx, V - 1, s->index, s->index, V, s->order, s->owner));
    SYN_RETURN_IF(syn_gather_sum_backward(ctx, N, D, s->index, s->index, NULL, SYN_ACT_NONE, s->dx,
                                          V, s->bag, V, s->pooled, NULL));
    return syn_pair_forward(ctx, ENVS, AGENTS, P, F, s->index, s->x, s->x, s->x, s->x, s->w, s->b,
                            s->b, s->pair);
}

static syn_status work(void *user)
{
    const step *s = user;
    SYN_RETURN_IF(learn(s));
    return observe(s);
}

/* The third run is a replay; before it the learning rate and the number of live rows change. */
static void replays_are_direct_calls(void **state)
{
    twins t;
    twins_begin(&t);
    step direct = step_make(&t), recorded = step_make(&t);
    syn_graph graph = {0};
    for (int run = 0; run < 4; run++) {
        syn_adam_scalars adam;
        const int32_t live = N - run;
        assert_ok(syn_adam_scalars_init(&adam, (real)0.01 / (real)(run + 1), 0.9f, 0.99f, 1e-6f, 0,
                                        run + 1, (real)0.5));
        for (int k = 0; k < 2; k++) {
            const step *s = k ? &recorded : &direct;
            assert_ok(syn_copy_in(&t.gpu, s->adam, &adam, sizeof adam));
            assert_ok(syn_copy_in(&t.gpu, s->live, &live, sizeof live));
        }
        assert_ok(work(&direct));
        assert_ok(syn_graph_run(&t.gpu, &graph, work, &recorded));
    }
    const twin pairs[][2] = {{{0, direct.w, WEIGHTS}, {0, recorded.w, WEIGHTS}},
                             {{0, direct.stats, SYN_PPO_STATS}, {0, recorded.stats, SYN_PPO_STATS}},
                             {{0, direct.score, N}, {0, recorded.score, N}},
                             {{0, direct.bag, N * D}, {0, recorded.bag, N * D}},
                             {{0, direct.pair, ENVS * K * AGENTS * AGENTS},
                              {0, recorded.pair, ENVS * K * AGENTS * AGENTS}}};
    static const char *const names[] = {"weights", "stats", "scores", "gathered sums", "pairs"};
    for (int i = 0; i < 5; i++) twin_expect_same(&t, pairs[i][0], pairs[i][1], names[i]);
    syn_graph_free(&t.gpu, &graph);
    twins_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replays_are_direct_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
