/* The features of a piece against a view, held against loops over the pieces that are visible. */
#include "kernels/features.h"
#include "tests/kernels/random.h"

enum { R = SYN_ROWS_MAX, TASKS = 8, VIEWS = 10000 };

typedef struct tasks {
    syn_ctx ctx;
    real *quest, *pair;
} tasks;

/* Random arrays as a task has them: pair values in [0, 1] and many of them 0, transposes that are
 * transposes, ties among the cosines in every other task. */
static tasks tasks_create(int threads)
{
    tasks t;
    assert_ok(syn_ctx_init(&t.ctx, SYN_DEVICE_CPU, threads));
    t.quest = real_alloc((int64_t)TASKS * SYN_TASK_QUEST);
    t.pair = real_alloc((int64_t)TASKS * SYN_TASK_PAIR);
    random_fill(1, (int64_t)TASKS * SYN_TASK_QUEST, 0, 1, t.quest);
    random_fill(2, (int64_t)TASKS * SYN_TASK_PAIR, -1, 1, t.pair);
    for (int64_t k = 0; k < (int64_t)TASKS * SYN_TASK_PAIR; k++)
        if (t.pair[k] < 0) t.pair[k] = 0;
    for (int task = 0; task < TASKS; task++) {
        real *pair = t.pair + (int64_t)task * SYN_TASK_PAIR;
        for (int a = 0; a < R; a++) {
            real *cosine = &t.quest[task * SYN_TASK_QUEST + a * SYN_DQ + SYN_Q_COSINE];
            if (task % 2) *cosine = (real)(int)(*cosine * 4) / 4;
            for (int c = 0; c < SYN_PAIR_CHANNELS; c++) pair[(c * R + a) * R + a] = 0;
            for (int b = 0; b < R; b++) {
                pair[(SYN_PAIR_MENTION_T * R + b) * R + a] =
                    pair[(SYN_PAIR_MENTION * R + a) * R + b];
                pair[(SYN_PAIR_PARTIAL_T * R + b) * R + a] =
                    pair[(SYN_PAIR_PARTIAL * R + a) * R + b];
            }
        }
    }
    return t;
}

static void tasks_free(tasks *t)
{
    free(t->quest);
    free(t->pair);
    syn_ctx_free(&t->ctx);
}

/* ---- The reference ---- */

/* A piece, the others that are visible with it, and what a task says of them. */
typedef struct scene {
    const real *quest, *pair;
    int p, count, other[R]; /* ascending */
} scene;

static double quest_of(const scene *s, int row, int column)
{
    return (double)s->quest[row * SYN_DQ + column];
}

static double pair_of(const scene *s, int channel, int a, int b)
{
    return (double)s->pair[(channel * R + a) * R + b];
}

/* The visible piece of the largest cosine with the question, the first of equals; -1: none. */
static int best_of(const scene *s)
{
    int best = -1;
    for (int k = 0; k < s->count; k++) {
        double c = quest_of(s, s->other[k], SYN_Q_COSINE);
        if (best < 0 || c > quest_of(s, best, SYN_Q_COSINE)) best = s->other[k];
    }
    return best;
}

typedef double (*weight_of)(const scene *s, int other);
static double weight_one(const scene *s, int other)
{
    return 1;
}
static double weight_cosine(const scene *s, int other)
{
    return quest_of(s, other, SYN_Q_COSINE);
}
static double weight_titled(const scene *s, int other)
{
    return quest_of(s, other, SYN_Q_TITLE_IN);
}

/* How another piece o stands to p: p mentions it, it mentions p, ... */
typedef double (*tie_of)(const scene *s, int o);
static double tie_mentions(const scene *s, int o)
{
    return pair_of(s, SYN_PAIR_MENTION, s->p, o);
}
static double tie_mentioned(const scene *s, int o)
{
    return pair_of(s, SYN_PAIR_MENTION, o, s->p);
}
static double tie_partial(const scene *s, int o)
{
    return pair_of(s, SYN_PAIR_PARTIAL, s->p, o);
}
static double tie_partial_by(const scene *s, int o)
{
    return pair_of(s, SYN_PAIR_PARTIAL, o, s->p);
}
static double tie_capital(const scene *s, int o)
{
    return pair_of(s, SYN_PAIR_CAPITAL, s->p, o);
}
static double tie_span(const scene *s, int o)
{
    return pair_of(s, SYN_PAIR_SPAN, s->p, o);
}
static double tie_cosine(const scene *s, int o)
{
    return pair_of(s, SYN_PAIR_COSINE, s->p, o);
}

static double largest(const scene *s, tie_of tie, weight_of weight)
{
    double best = 0;
    for (int k = 0; k < s->count; k++)
        best = fmax(best, tie(s, s->other[k]) * weight(s, s->other[k]));
    return best;
}

static double total(const scene *s, tie_of tie, weight_of weight)
{
    double sum = 0;
    for (int k = 0; k < s->count; k++) sum += tie(s, s->other[k]) * weight(s, s->other[k]);
    return sum;
}

/* The largest share of the question that p covers together with one other piece, or alone. */
static double covered_together(const scene *s)
{
    double best = quest_of(s, s->p, SYN_Q_COVERAGE);
    for (int k = 0; k < s->count; k++)
        best = fmax(best, quest_of(s, s->other[k], SYN_Q_COVERAGE) +
                              pair_of(s, SYN_PAIR_COVER, s->p, s->other[k]));
    return best;
}

static void reference(const scene *s, double *f)
{
    const int best = best_of(s);
    const double cosine = quest_of(s, s->p, SYN_Q_COSINE);
    const double best_cosine = best < 0 ? 0 : quest_of(s, best, SYN_Q_COSINE);
    double mean = 0;
    for (int k = 0; k < s->count; k++) mean += quest_of(s, s->other[k], SYN_Q_COSINE) / s->count;
    const double all[SYN_DV] = {largest(s, tie_mentioned, weight_one),
                                total(s, tie_mentioned, weight_cosine),
                                largest(s, tie_mentioned, weight_titled),
                                largest(s, tie_mentions, weight_one),
                                total(s, tie_mentions, weight_cosine),
                                largest(s, tie_mentions, weight_titled),
                                total(s, tie_mentions, weight_one) / 4,
                                total(s, tie_mentioned, weight_one) / 4,
                                largest(s, tie_partial_by, weight_one),
                                largest(s, tie_partial_by, weight_cosine),
                                largest(s, tie_partial, weight_one),
                                largest(s, tie_partial, weight_cosine),
                                largest(s, tie_capital, weight_one),
                                largest(s, tie_capital, weight_cosine),
                                best < 0 ? 0 : tie_capital(s, best),
                                largest(s, tie_span, weight_one),
                                largest(s, tie_span, weight_cosine),
                                best < 0 ? quest_of(s, s->p, SYN_Q_COVERAGE)
                                         : pair_of(s, SYN_PAIR_COVER, s->p, best),
                                best < 0 ? 0 : pair_of(s, SYN_PAIR_COVER, best, s->p),
                                covered_together(s),
                                largest(s, tie_cosine, weight_one),
                                best < 0 ? 0 : tie_cosine(s, best),
                                cosine >= best_cosine,
                                cosine - mean,
                                cosine - best_cosine,
                                log(1.0 + s->count) / 3};
    memcpy(f, all, sizeof all);
}

static scene scene_make(const tasks *t, int task, uint32_t view, int p)
{
    scene s = {t->quest + (int64_t)task * SYN_TASK_QUEST,
               t->pair + (int64_t)task * SYN_TASK_PAIR,
               p,
               0,
               {0}};
    for (int o = 0; o < R; o++)
        if ((view >> o & 1) && o != p) s.other[s.count++] = o;
    return s;
}

/* ---- Tests ---- */

/* Views of every size: thin, dense, empty, one piece, all pieces. */
static uint32_t view_draw(syn_rng *rng, int n)
{
    uint32_t thin = syn_rng_u32(rng) & syn_rng_u32(rng) & syn_rng_u32(rng);
    if (n % 10 == 0) return 0;
    if (n % 10 == 1) return 1u << syn_rng_below(rng, R);
    if (n % 10 == 2) return ~0u;
    return n % 2 ? thin : syn_rng_u32(rng);
}

static void ten_thousand_random_views_equal_the_slow_reference(void **state)
{
    tasks t = tasks_create(2);
    syn_rng rng = syn_rng_make(3, SYN_STREAM_TEST);
    int32_t *task = calloc(VIEWS, sizeof *task);
    uint32_t *view = calloc(VIEWS, sizeof *view), *rows = calloc(VIEWS, sizeof *rows);
    real *out = real_alloc((int64_t)VIEWS * R * SYN_DV);
    assert_true(task && view && rows);
    memset(out, 0x7f, sizeof(real) * (size_t)VIEWS * R * SYN_DV);
    for (int n = 0; n < VIEWS; n++) {
        task[n] = (int32_t)syn_rng_below(&rng, TASKS);
        view[n] = view_draw(&rng, n);
        rows[n] = n % 7 == 0 ? ~0u : 1u << syn_rng_below(&rng, R) | 1u << syn_rng_below(&rng, R);
    }
    assert_ok(syn_view_features(&t.ctx, VIEWS, task, view, rows, t.quest, t.pair, out));
    for (int n = 0; n < VIEWS; n++)
        for (int p = 0; p < R; p++) {
            const real *f = out + ((int64_t)n * R + p) * SYN_DV;
            double expected[SYN_DV];
            scene s = scene_make(&t, task[n], view[n], p);
            if (rows[n] >> p & 1) reference(&s, expected);
            for (int k = 0; k < SYN_DV && (rows[n] >> p & 1); k++)
                if (!(fabs((double)f[k] - expected[k]) < 1e-5))
                    fail_msg("view %d, piece %d, feature %d: %.7f, reference %.7f", n, p, k,
                             (double)f[k], expected[k]);
            for (int k = 0; k < SYN_DV && !(rows[n] >> p & 1); k++) /* left as it was */
                assert_memory_equal(&f[k], "\x7f\x7f\x7f\x7f", 4);
        }
    free(task);
    free(view);
    free(rows);
    free(out);
    tasks_free(&t);
}

static void an_empty_view_leaves_what_the_piece_is_by_itself(void **state)
{
    tasks t = tasks_create(1);
    const int32_t task = 0;
    const uint32_t empty = 0, itself = 1u << 5, rows = 1u << 5;
    real a[R * SYN_DV] = {0}, b[R * SYN_DV] = {0};
    const real *f = a + 5 * SYN_DV, *q = t.quest + 5 * SYN_DQ;
    assert_ok(syn_view_features(&t.ctx, 1, &task, &empty, &rows, t.quest, t.pair, a));
    assert_ok(syn_view_features(&t.ctx, 1, &task, &itself, &rows, t.quest, t.pair, b));
    assert_memory_equal(a, b, sizeof a); /* a piece does not see itself */
    for (int k = 0; k < SYN_DV; k++) {
        real expected = 0;
        if (k == 17 || k == 19) expected = q[SYN_Q_COVERAGE];
        if (k == 22) expected = 1;
        if (k == 23 || k == 24) expected = q[SYN_Q_COSINE];
        assert_true(f[k] == expected);
    }
    tasks_free(&t);
}

static void hidden_pieces_change_nothing(void **state)
{
    tasks t = tasks_create(1), other = tasks_create(1);
    const uint32_t view = 0x00f0f0ff, rows = 0x000f000f;
    const int32_t task = 0;
    real *a = real_alloc(R * SYN_DV), *b = real_alloc(R * SYN_DV);
    for (int p = 0; p < R; p++) {
        if ((view | rows) >> p & 1) continue;
        for (int k = 0; k < SYN_DQ; k++) other.quest[p * SYN_DQ + k] += 3;
        for (int c = 0; c < SYN_PAIR_CHANNELS; c++)
            for (int o = 0; o < R; o++)
                other.pair[(c * R + p) * R + o] = other.pair[(c * R + o) * R + p] = 9;
    }
    assert_ok(syn_view_features(&t.ctx, 1, &task, &view, &rows, t.quest, t.pair, a));
    assert_ok(syn_view_features(&t.ctx, 1, &task, &view, &rows, other.quest, other.pair, b));
    assert_memory_equal(a, b, sizeof(real) * R * SYN_DV);
    free(a);
    free(b);
    tasks_free(&t);
    tasks_free(&other);
}

static void results_are_bit_equal_for_any_number_of_threads(void **state)
{
    enum { N = 200 };
    tasks one = tasks_create(1), three = tasks_create(3);
    syn_rng rng = syn_rng_make(4, SYN_STREAM_TEST);
    int32_t task[N];
    uint32_t view[N], rows[N];
    real *a = real_alloc((int64_t)N * R * SYN_DV), *b = real_alloc((int64_t)N * R * SYN_DV);
    for (int n = 0; n < N; n++) {
        task[n] = (int32_t)syn_rng_below(&rng, TASKS);
        view[n] = view_draw(&rng, n);
        rows[n] = syn_rng_u32(&rng);
    }
    assert_ok(syn_view_features(&one.ctx, N, task, view, rows, one.quest, one.pair, a));
    assert_ok(syn_view_features(&three.ctx, N, task, view, rows, three.quest, three.pair, b));
    assert_memory_equal(a, b, sizeof(real) * N * R * SYN_DV);
    free(a);
    free(b);
    tasks_free(&one);
    tasks_free(&three);
}

/* The same as if the question's cosines had been those worths; the rest of quest is read as it is.
 */
static void another_worth_stands_where_the_cosine_stood(void **state)
{
    tasks t = tasks_create(2), changed = tasks_create(2);
    syn_rng rng = syn_rng_make(9, SYN_STREAM_TEST);
    for (int n = 0; n < 200; n++) {
        const int32_t task = (int32_t)syn_rng_below(&rng, TASKS);
        const uint32_t view = view_draw(&rng, n), rows = ~0u;
        real worth[R], a[R * SYN_DV], b[R * SYN_DV];
        for (int p = 0; p < R; p++) {
            worth[p] = syn_rng_uniform(&rng);
            changed.quest[(int64_t)task * SYN_TASK_QUEST + p * SYN_DQ + SYN_Q_COSINE] = worth[p];
        }
        assert_ok(syn_view_features_by(&t.ctx, 1, &task, &view, &rows, t.quest, t.pair, worth, a));
        assert_ok(syn_view_features(&t.ctx, 1, &task, &view, &rows, changed.quest, t.pair, b));
        assert_memory_equal(a, b, sizeof a);
    }
    tasks_free(&t);
    tasks_free(&changed);
}

static void nothing_is_a_view_too_and_missing_buffers_are_refused(void **state)
{
    tasks t = tasks_create(1);
    const int32_t task = 0;
    const uint32_t view = 7, rows = 0;
    real out[1] = {5};
    assert_ok(syn_view_features(&t.ctx, 0, &task, &view, &rows, t.quest, t.pair, out));
    assert_ok(syn_view_features(&t.ctx, 1, &task, &view, &rows, t.quest, t.pair, out));
    assert_true(out[0] == 5);
    assert_int_equal(syn_view_features(&t.ctx, 1, &task, &view, &rows, t.quest, NULL, out),
                     SYN_ERR_INVALID);
    tasks_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_random_views_equal_the_slow_reference),
        cmocka_unit_test(an_empty_view_leaves_what_the_piece_is_by_itself),
        cmocka_unit_test(hidden_pieces_change_nothing),
        cmocka_unit_test(results_are_bit_equal_for_any_number_of_threads),
        cmocka_unit_test(another_worth_stands_where_the_cosine_stood),
        cmocka_unit_test(nothing_is_a_view_too_and_missing_buffers_are_refused),
    };
    return cmocka_run_group_tests_name("test_features", tests, NULL, NULL);
}
