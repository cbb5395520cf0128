/* Features of pieces against views on the device: the CPU's numbers, for any number of views. */
#include "kernels/features.h"
#include "tests/cuda.h"
#include "tests/kernels/random.h"

enum { R = SYN_ROWS_MAX, TASKS = 3, VIEWS_MAX = 33, ROW = R * SYN_DV };

/* Views in host memory, and what the two sides make of them. */
typedef struct problem {
    syn_ctx cpu, gpu;
    real *quest, *pair, *worth, *expected, *got;
    int32_t task[VIEWS_MAX], slot[VIEWS_MAX];
    uint32_t view[VIEWS_MAX], rows[VIEWS_MAX];
} problem;

/* Among random views: none seen, itself alone, all, and no piece to look at. */
static void problem_make(problem *p)
{
    syn_rng rng = syn_rng_make(21, SYN_STREAM_TEST);
    memset(p, 0, sizeof *p);
    cuda_begin(&p->cpu, &p->gpu);
    p->quest = real_alloc(TASKS * SYN_TASK_QUEST);
    p->pair = real_alloc(TASKS * SYN_TASK_PAIR);
    p->worth = real_alloc(VIEWS_MAX * R);
    p->expected = real_alloc(VIEWS_MAX * ROW);
    p->got = real_alloc(VIEWS_MAX * ROW);
    random_fill(1, TASKS * SYN_TASK_QUEST, 0, 1, p->quest);
    random_fill(2, TASKS * SYN_TASK_PAIR, 0, 1, p->pair);
    random_fill(3, VIEWS_MAX * R, 0, 1, p->worth);
    for (int k = 0; k < SYN_TASK_PAIR; k += 3) p->pair[k] = 0; /* as most of a real one is */
    for (int k = 0; k < SYN_TASK_QUEST; k += 2) p->quest[k] = (real)0.5; /* ties */
    for (int i = 0; i < VIEWS_MAX; i++) {
        p->task[i] = (int32_t)syn_rng_below(&rng, TASKS);
        p->view[i] = syn_rng_u32(&rng) & syn_rng_u32(&rng);
        p->rows[i] = syn_rng_u32(&rng);
        p->slot[i] = (i * 7 + 3) % VIEWS_MAX;
    }
    p->view[0] = p->rows[1] = 0;
    p->view[2] = p->rows[2] = 1u << 31;
    p->view[3] = p->rows[3] = ~0u;
}

static void problem_free(problem *p)
{
    free(p->quest);
    free(p->pair);
    free(p->worth);
    free(p->expected);
    free(p->got);
    cuda_end(&p->cpu, &p->gpu);
}

/* Rows that nobody asked for must hold the poison of both sides. */
static void features_assert_close(const problem *p, int64_t places, const char *shape)
{
    for (int64_t k = 0; k < places * ROW; k++) {
        if (isnan(p->expected[k]) && isnan(p->got[k])) continue;
        if (fabs((double)(p->expected[k] - p->got[k])) <= 2e-6) continue;
        fail_msg("%s: place %d, piece %d, feature %d is %g, not %g", shape, (int)(k / ROW),
                 (int)(k % ROW / SYN_DV), (int)(k % SYN_DV), (double)p->got[k],
                 (double)p->expected[k]);
    }
}

static void poison(real *x, int64_t n)
{
    for (int64_t k = 0; k < n; k++) x[k] = NAN;
}

/* n views on either side; capacity > n: their number is read on the device, and view i stands in
 * place slot[i]. */
static void compare(problem *p, int64_t n, int64_t capacity, bool by)
{
    syn_ctx *g = &p->gpu;
    const size_t out_bytes = sizeof(real) * VIEWS_MAX * ROW;
    const bool live = capacity > n;
    const int32_t count = (int32_t)n;
    real *worth = real_alloc(VIEWS_MAX * R), *made = real_alloc(VIEWS_MAX * ROW);
    poison(p->expected, VIEWS_MAX * ROW);
    poison(made, VIEWS_MAX * ROW);
    for (int64_t i = 0; i < n; i++)
        memcpy(worth + i * R, p->worth + (live ? p->slot[i] : i) * R, sizeof(real) * R);
    assert_ok(syn_view_features_by(&p->cpu, n, p->task, p->view, p->rows, p->quest, p->pair,
                                   by ? worth : NULL, made));
    for (int64_t i = 0; i < n; i++)
        memcpy(p->expected + (live ? p->slot[i] : i) * ROW, made + i * ROW, sizeof(real) * ROW);

    int32_t *task = to_device(g, p->task, sizeof p->task);
    int32_t *slot = to_device(g, p->slot, sizeof p->slot);
    int32_t *length = to_device(g, &count, sizeof count);
    uint32_t *view = to_device(g, p->view, sizeof p->view);
    uint32_t *rows = to_device(g, p->rows, sizeof p->rows);
    real *quest = to_device(g, p->quest, sizeof(real) * TASKS * SYN_TASK_QUEST);
    real *pair = to_device(g, p->pair, sizeof(real) * TASKS * SYN_TASK_PAIR);
    real *device_worth = to_device(g, p->worth, sizeof(real) * VIEWS_MAX * R);
    real *out = poisoned(g, out_bytes);
    real *by_worth = by ? device_worth : NULL;
    if (live)
        assert_ok(syn_view_features_live_cuda(g, capacity, length, task, view, rows, slot, quest,
                                              pair, by_worth, out));
    else
        assert_ok(syn_view_features_by(g, n, task, view, rows, quest, pair, by_worth, out));
    assert_ok(syn_copy_out(g, p->got, out, out_bytes));
    char shape[64];
    snprintf(shape, sizeof shape, "%d of %d views, %s", (int)n, (int)capacity,
             by ? "worth" : "cosines");
    features_assert_close(p, VIEWS_MAX, shape);

    free_device(g, task, slot, length, view, rows, quest, pair, device_worth, out);
    free(worth);
    free(made);
}

static void features_are_those_of_the_cpu(void **state)
{
    (void)state;
    problem p;
    problem_make(&p);
    static const int64_t counts[] = {0, 1, 31, VIEWS_MAX};
    for (int k = 0; k < 4; k++) {
        compare(&p, counts[k], counts[k], false);
        compare(&p, counts[k], counts[k], true);
    }
    problem_free(&p);
}

static void the_number_of_views_may_be_known_on_the_device_alone(void **state)
{
    (void)state;
    problem p;
    problem_make(&p);
    static const int64_t counts[] = {0, 1, 9, VIEWS_MAX - 1};
    for (int k = 0; k < 4; k++) {
        compare(&p, counts[k], VIEWS_MAX, false);
        compare(&p, counts[k], VIEWS_MAX, true);
    }
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_are_those_of_the_cpu),
        cmocka_unit_test(the_number_of_views_may_be_known_on_the_device_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
