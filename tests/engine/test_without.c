/* Ablations: what a model goes without, it does not see. Every case changes what was taken away and
 * looks for the slightest difference in what comes out; without the ablation the same change must
 * show, or the case proves nothing. */
#include "engine/control.h"
#include "kernels/env.h"
#include "tests/random_tasks.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX, PIECES = 9, TURNS = 4 };

typedef struct world {
    syn_ctx ctx;
    syn_tasks tasks; /* one */
    syn_perception p;
    syn_control c;
    syn_env env;
    syn_observer o;
    syn_observation x;
    real h[SYN_STATE], m[SYN_STATE]; /* the state encoder's memory */
    real item[N * R * SYN_DI], bias[N * R], logit[A], value;
} world;

static world *world_create(uint32_t without)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_ok(syn_ctx_init(&w->ctx, SYN_DEVICE_CPU, 1));
    random_tasks(&w->ctx, &w->tasks, 1, PIECES, 2);
    assert_ok(syn_perception_init(&w->ctx, &w->p, 5));
    assert_ok(syn_control_init(&w->ctx, &w->c, 6));
    for (int64_t k = 0; k < w->p.params.total; k++) w->p.params.value[k] *= 2; /* opinions */
    for (int64_t k = 0; k < w->c.params.total; k++) w->c.params.value[k] *= 3;
    w->p.without = without;
    random_fill(8, SYN_STATE, -1, 1, w->h);
    random_fill(9, SYN_STATE, -1, 1, w->m);
    assert_ok(syn_observer_init(&w->ctx, &w->o, 1, true));
    assert_ok(syn_observation_alloc(&w->ctx, &w->x, 1));
    syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
    cfg.agents_min = 4;
    float rank[N * R];
    syn_env_reset(&w->env, &cfg, 0, &w->tasks.info[0], 7, 3);
    for (int t = 0; t < TURNS; t++) {
        for (int k = 0; k < N * R; k++) rank[k] = (float)(k * 37 % 11);
        (void)syn_env_step(&w->env, &cfg, syn_action_index(SYN_SEND, 1 + t % 3, t % 2 ? 0 : 3),
                           rank);
    }
    w->env.changed = (1u << w->env.agents) - 1;
    return w;
}

static void world_free(world *w)
{
    syn_observation_free(&w->ctx, &w->x);
    syn_observer_free(&w->ctx, &w->o);
    syn_control_free(&w->ctx, &w->c);
    syn_perception_free(&w->ctx, &w->p);
    syn_tasks_free(&w->ctx, &w->tasks);
    syn_ctx_free(&w->ctx);
    free(w);
}

/* Everything that the networks read and answer in this state. */
static void look(world *w)
{
    real h[SYN_STATE], m[SYN_STATE];
    int32_t agent[N], offset[N + 1];
    assert_ok(syn_observe_turn(&w->ctx, &w->o, &w->p, &w->tasks, &w->env, &w->x));
    for (int i = 0; i < w->env.agents; i++) agent[i] = i;
    syn_observe_items(&w->ctx, &w->o, &w->tasks, &w->env, w->env.agents, agent, offset, w->item,
                      w->bias);
    assert_ok(syn_control_forward(&w->ctx, &w->c, 1, 1, &w->x, w->h, w->m, NULL, w->logit,
                                  &w->value, h, m));
}

typedef enum compared { PERCEPTION = 1, DECISION = 2, ALL_OF_IT = 3 } compared;

static bool same_perception(const world *a, const world *b)
{
    return !memcmp(a->item, b->item, sizeof a->item) && !memcmp(a->bias, b->bias, sizeof a->bias) &&
           !memcmp(a->o.ckm, b->o.ckm, sizeof(real) * N * SYN_CKM) &&
           !memcmp(a->o.gap, b->o.gap, sizeof(real) * N) &&
           !memcmp(a->o.link, b->o.link, sizeof(real) * N * N);
}

static bool same_decision(const world *a, const world *b)
{
    return !memcmp(a->logit, b->logit, sizeof a->logit) && a->value == b->value;
}

typedef void change(world *w);

/* before: on the task or the weights; after: on what the observer holds, which is then kept. */
static bool indifferent(uint32_t without, change *before, change *after, compared what)
{
    world *a = world_create(without), *b = world_create(without);
    look(a);
    if (before) before(b);
    look(b);
    if (after) {
        after(b);
        a->env.changed = b->env.changed = 0;
        look(a);
        look(b);
    }
    bool same = (!(what & PERCEPTION) || same_perception(a, b)) &&
                (!(what & DECISION) || same_decision(a, b));
    world_free(a);
    world_free(b);
    return same;
}

static void assert_falls(uint32_t without, change *before, change *after, compared what)
{
    assert_true(indifferent(without, before, after, what));
    assert_false(indifferent(0, before, after, what));
}

/* ---- What each ablation takes ---- */

static void other_interactions(world *w)
{
    random_fill(12, SYN_TASK_PAIR, 0, 1, w->tasks.pair);
    for (int p = 0; p < R; p++)
        random_fill((uint64_t)(20 + p), SYN_DQ - 1, 0, 1, w->tasks.quest + p * SYN_DQ + 1);
}

static void other_cosines(world *w)
{
    for (int p = 0; p < R; p++) w->tasks.quest[p * SYN_DQ + SYN_Q_COSINE] += (real)0.1;
}

static void without_interaction_only_the_cosine_is_left(void **state)
{
    assert_falls(SYN_WITHOUT_INTERACTION, other_interactions, NULL, ALL_OF_IT);
    assert_false(indifferent(SYN_WITHOUT_INTERACTION, other_cosines, NULL, PERCEPTION));
}

static void other_own_views(world *w)
{
    random_fill(15, (int64_t)N * R * SYN_DV, 0, 1, w->o.own);
}

static void without_own_view_nobody_judges_by_what_it_holds(void **state)
{
    assert_falls(SYN_WITHOUT_OWN_VIEW, NULL, other_own_views, ALL_OF_IT);
    world *w = world_create(SYN_WITHOUT_OWN_VIEW);
    look(w);
    for (int i = 1; i < w->env.agents; i++)
        assert_memory_equal(w->o.rank, w->o.rank + i * R, sizeof(float) * PIECES);
    w->p.without = 0;
    look(w);
    assert_memory_not_equal(w->o.rank, w->o.rank + R, sizeof(float) * PIECES);
    world_free(w);
}

static void other_views_of_all(world *w)
{
    random_fill(16, (int64_t)R * SYN_DV, 0, 1, w->o.all);
    random_fill(17, (int64_t)R * SYN_DV, 0, 1, w->o.again);
}

static void without_all_view_the_pieces_are_not_compared_with_all(void **state)
{
    assert_falls(SYN_WITHOUT_ALL_VIEW, NULL, other_views_of_all, ALL_OF_IT);
    world *a = world_create(SYN_WITHOUT_ALL_VIEW), *b = world_create(SYN_WITHOUT_ALL_VIEW);
    random_fill(12, SYN_TASK_PAIR, 0, 1, b->tasks.pair);
    look(a);
    look(b);
    assert_true(a->bias[0] == (real)a->o.rank[a->env.item[0][0]]); /* the ranker speaks instead */
    for (int p = 0; p < PIECES; p++) {
        if (!(a->env.present >> p & 1)) continue;
        assert_true(a->o.rel[p] == b->o.rel[p] && a->o.first[p] == b->o.first[p]);
    }
    world_free(a);
    world_free(b);
}

static void tensors_change(world *w, int first, int last)
{
    for (int i = first; i <= last; i++) {
        const syn_param *t = &w->p.params.item[i];
        for (int64_t k = 0; k < t->count; k++) syn_value(&w->p.params, i)[k] += (real)0.05;
    }
}

static void other_recurrence(world *w)
{
    tensors_change(w, SYN_P_WF, SYN_P_ATT_V);
}

static void other_relevance_in_the_attention(world *w)
{
    for (int p = 0; p < R; p++) w->o.rel[p] += (real)(p % 3);
}

/* Means of relu(W x + b) over each memory, worked out here. */
static void without_ckm_a_memory_is_the_mean_of_its_items(void **state)
{
    assert_falls(SYN_WITHOUT_CKM, other_recurrence, NULL, ALL_OF_IT);
    assert_false(indifferent(0, NULL, other_relevance_in_the_attention, PERCEPTION));
    world *w = world_create(SYN_WITHOUT_CKM);
    look(w);
    const real *W = syn_value(&w->p.params, SYN_P_IN_W), *b = syn_value(&w->p.params, SYN_P_IN_B);
    for (int i = 0, at = 0; i < w->env.agents; at += w->env.count[i++]) {
        for (int d = 0; d < SYN_CKM; d++) {
            double mean = 0;
            for (int t = 0; t < w->env.count[i]; t++) {
                double z = (double)b[d];
                for (int k = 0; k < SYN_DI; k++)
                    z += (double)W[d * SYN_DI + k] * (double)w->item[(at + t) * SYN_DI + k];
                mean += fmax(z, 0) / w->env.count[i];
            }
            if (!w->env.count[i]) mean = (double)syn_value(&w->p.params, SYN_P_EMPTY)[d];
            assert_true(fabs(mean - (double)w->o.ckm[i * SYN_CKM + d]) < 1e-4);
        }
    }
    world_free(w);
}

static void other_gap_detector(world *w)
{
    tensors_change(w, SYN_P_GAP_W1, SYN_P_GAP_B5);
}

static void without_gap_the_policy_does_not_read_the_detector(void **state)
{
    assert_falls(SYN_WITHOUT_GAP, other_gap_detector, NULL, DECISION);
    assert_false(indifferent(SYN_WITHOUT_GAP, other_gap_detector, NULL, PERCEPTION));
}

static void other_memory(world *w)
{
    random_fill(18, SYN_STATE, -1, 1, w->h);
    random_fill(19, SYN_STATE, -1, 1, w->m);
}

static void other_message(world *w)
{
    w->env.last = (syn_action){.kind = SYN_NO_ACTION, .from = -1, .to = -1, .piece = -1};
}

static void without_state_the_past_is_forgotten(void **state)
{
    assert_falls(SYN_WITHOUT_STATE, other_memory, NULL, DECISION);
    assert_falls(SYN_WITHOUT_STATE, other_message, NULL, DECISION);
}

/* Two ablations take what each takes. */
static void ablations_combine(void **state)
{
    const uint32_t both = SYN_WITHOUT_GAP | SYN_WITHOUT_STATE;
    assert_true(indifferent(both, other_gap_detector, NULL, DECISION));
    assert_true(indifferent(both, other_memory, NULL, DECISION));
    assert_false(indifferent(SYN_WITHOUT_GAP, other_memory, NULL, DECISION));
}

/* ---- Names ---- */

static void names_are_read_and_written(void **state)
{
    uint32_t without = 1;
    char text[SYN_WITHOUT_TEXT_BYTES];
    assert_ok(syn_without_parse(NULL, &without));
    assert_int_equal(without, 0);
    assert_ok(syn_without_parse("", &without));
    assert_int_equal(without, 0);
    assert_ok(syn_without_parse("state,own_view", &without));
    assert_int_equal(without, SYN_WITHOUT_STATE | SYN_WITHOUT_OWN_VIEW);
    syn_without_text(without, text, sizeof text);
    assert_string_equal(text, "own_view,state");
    syn_without_text((1u << SYN_WITHOUT_COUNT) - 1, text, sizeof text);
    assert_ok(syn_without_parse(text, &without));
    assert_int_equal(without, (1u << SYN_WITHOUT_COUNT) - 1);
}

static void other_names_are_refused(void **state)
{
    static const char *const wrong[] = {"ckmm", "gap,", ",gap", "gap,,state", " gap", "CKM"};
    uint32_t without;
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        syn_status st = syn_without_parse(wrong[k], &without);
        if (k == 1) { /* a comma at the end is nothing more */
            assert_ok(st);
            continue;
        }
        assert_int_equal(st, SYN_ERR_USAGE);
    }
    assert_int_equal(syn_without_parse("own-view", &without), SYN_ERR_USAGE);
    assert_non_null(strstr(syn_error_text(), "did you mean 'own_view'?"));
    assert_non_null(strstr(syn_error_text(), "unsent"));
}

/* What kernels leave out is what host code zeroes, for every ablation and input. */
static void columns_as_bits_are_columns_as_zeros(void **state)
{
    (void)state;
    static const int width[SYN_INPUT_COUNT] = {
        [SYN_INPUT_RANKER] = SYN_DX,     [SYN_INPUT_RANKER_ALL] = SYN_DX,
        [SYN_INPUT_REFINER] = SYN_DX,    [SYN_INPUT_ITEM] = SYN_DI,
        [SYN_INPUT_MESSAGE] = SYN_DM,    [SYN_INPUT_PAIR] = SYN_PAIR_X,
        [SYN_INPUT_AGENT] = SYN_AGENT_X, [SYN_INPUT_SUMMARY] = SYN_SUMMARY,
    };
    for (uint32_t without = 0; without < 1u << SYN_WITHOUT_COUNT; without++) {
        for (int input = 0; input < SYN_INPUT_COUNT; input++) {
            const syn_columns c = syn_without_columns(without, (syn_input)input);
            real x[SYN_DM];
            for (int k = 0; k < width[input]; k++) x[k] = 1;
            syn_without_apply(without, (syn_input)input, 1, x);
            for (int k = 0; k < width[input]; k++)
                assert_int_equal(x[k] == 0, syn_column_falls(&c, k));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_interaction_only_the_cosine_is_left),
        cmocka_unit_test(without_own_view_nobody_judges_by_what_it_holds),
        cmocka_unit_test(without_all_view_the_pieces_are_not_compared_with_all),
        cmocka_unit_test(without_ckm_a_memory_is_the_mean_of_its_items),
        cmocka_unit_test(without_gap_the_policy_does_not_read_the_detector),
        cmocka_unit_test(without_state_the_past_is_forgotten),
        cmocka_unit_test(ablations_combine),
        cmocka_unit_test(columns_as_bits_are_columns_as_zeros),
        cmocka_unit_test(names_are_read_and_written),
        cmocka_unit_test(other_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
