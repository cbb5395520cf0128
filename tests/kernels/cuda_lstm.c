/* The LSTM on CUDA: every way to compute it, forced, against the CPU in float and against plain
 * loops in double where weights and states are bf16. */
#include "kernels/base/graph.h"
#include "tests/kernels/lstm_forced.h"

/* ---- Float: 1e-5 ---- */

static void matches_the_cpu(const char *variant, shape z)
{
    problem cpu = problem_create(z, 1), gpu = device_problem(&cpu, SYN_MATH_FP32);
    force("auto");
    run(&cpu);
    force(variant);
    run(&gpu);
    expect_problem(&FLOAT, &cpu, &gpu, variant);
    device_problem_free(&gpu);
    problem_free(&cpu);
}

static const shape WIDE[] = {
    {7, 3, 6, 128, .resets = true},
    {33, 3, 5, 128, .packed = true, .reverse = true},
    {5, 3, 4, 256, .packed = true},
    {2, 2, 4, 512, .reverse = true, .resets = true},
};
enum { WIDE_COUNT = sizeof WIDE / sizeof *WIDE };

static void step_in_float(void **state)
{
    skip_without_device();
    for (int i = 0; i < SHAPE_COUNT; i++) matches_the_cpu("step", SHAPES[i]);
    for (int i = 0; i < WIDE_COUNT; i++) matches_the_cpu("step", WIDE[i]);
}

static void grid_in_float(void **state)
{
    skip_without_device();
    for (int i = 0; i < SHAPE_COUNT; i++) matches_the_cpu("grid", SHAPES[i]);
    for (int i = 0; i < WIDE_COUNT; i++) matches_the_cpu("grid", WIDE[i]);
}

static void auto_in_float(void **state)
{
    skip_without_device();
    for (int i = 0; i < SHAPE_COUNT; i++) matches_the_cpu("auto", SHAPES[i]);
}

/* ---- Mixed: R and the recurrent states are bf16, the products outside TF32 ---- */

static void block_in_mixed(void **state)
{
    skip_without_device();
    matches_the_reference("block", (shape){1, 1, 5, 128, .packed = false});
    matches_the_reference("block", (shape){1, 4, 5, 128, .reverse = true, .from_zero = true});
    matches_the_reference("block", (shape){7, 3, 6, 128, .resets = true});
    matches_the_reference("block", (shape){9, 4, 3, 128, .resets = true, .reverse = true});
    matches_the_reference("block", (shape){33, 5, 4, 128, .packed = true});
    multiprocessors("3"); /* two tiles, then four */
    matches_the_reference("block", (shape){33, 3, 4, 128, .packed = true, .reverse = true});
    multiprocessors("2");
    matches_the_reference("block", (shape){70, 3, 4, 128, .resets = true});
    multiprocessors("132"); /* the same two on an H200 */
    matches_the_reference("block", (shape){1100, 1, 2, 128, .from_zero = true});
    matches_the_reference("block", (shape){2200, 1, 1, 128, .packed = true});
}

static void cluster_of_8_in_mixed(void **state)
{
    skip_without_device();
    matches_the_reference("cluster", (shape){1, 1, 4, 256, .packed = false});
    matches_the_reference("cluster", (shape){7, 4, 4, 256, .resets = true, .reverse = true});
    matches_the_reference("cluster", (shape){11, 3, 4, 256, .packed = true, .from_zero = true});
    matches_the_reference("cluster", (shape){2, 9, 2, 256, .resets = true}); /* all phases, twice */
    multiprocessors("8"); /* room for one cluster */
    matches_the_reference("cluster", (shape){15, 4, 4, 256, .packed = true, .reverse = true});
    matches_the_reference("cluster", (shape){33, 3, 4, 256, .resets = true});
}

static void cluster_of_16_in_mixed(void **state)
{
    skip_without_device();
    matches_the_reference("cluster", (shape){1, 3, 4, 512, .from_zero = true});
    matches_the_reference("cluster", (shape){7, 1, 4, 512, .reverse = true});
    matches_the_reference("cluster", (shape){9, 3, 4, 512, .packed = true, .reverse = true});
    multiprocessors("16");
    matches_the_reference("cluster", (shape){10, 3, 4, 512, .resets = true});
    matches_the_reference("cluster", (shape){33, 2, 4, 512, .packed = true});
    multiprocessors("132");
    matches_the_reference("cluster", (shape){57, 2, 1, 512, .packed = true});
    matches_the_reference("cluster", (shape){140, 2, 1, 512, .packed = true});
}

/* A tile of 64 sequences, in two halves; every half empty, full and in between. */
static void wide_clusters_in_mixed(void **state)
{
    skip_without_device();
    matches_the_reference("wide", (shape){1, 1, 4, 256, .packed = false});
    matches_the_reference("wide", (shape){7, 4, 4, 256, .resets = true, .reverse = true});
    matches_the_reference("wide", (shape){33, 7, 2, 256, .resets = true}); /* all phases, twice */
    matches_the_reference("wide", (shape){64, 3, 4, 256, .packed = true, .from_zero = true});
    matches_the_reference("wide", (shape){70, 3, 4, 256, .packed = true, .reverse = true});
    matches_the_reference("wide", (shape){66, 2, 1, 512, .resets = true});
    matches_the_reference("wide", (shape){40, 3, 2, 512, .packed = true, .reverse = true});
}

static void step_and_grid_in_mixed(void **state)
{
    skip_without_device();
    matches_the_reference("step", (shape){9, 3, 4, 96, .resets = true});
    matches_the_reference("grid", (shape){9, 3, 4, 96, .packed = true});
    matches_the_reference("auto", (shape){9, 3, 4, 96, .packed = true, .reverse = true});
    matches_the_reference("grid", (shape){1, 1, 3, 1, .from_zero = true});
    matches_the_reference("grid", (shape){3, 5, 3, 33, .resets = true});
    matches_the_reference("grid", (shape){17, 4, 5, 70, .packed = true, .reverse = true});
    matches_the_reference("grid", (shape){66, 3, 3, 40, .resets = true, .reverse = true});
    matches_the_reference("grid", (shape){9, 3, 2, 544, .packed = true}); /* two rounds of loads */
}

/* ---- cuDNN shows neither cells nor gates; all else is compared ---- */

static void cudnn_where_there_is_one(void **state)
{
    skip_without_device();
    const shape z = {5, 4, 7, 64, .packed = false};
    problem cpu = problem_create(z, 1), gpu = device_problem(&cpu, SYN_MATH_FP32);
    force("cudnn");
    const syn_status st =
        syn_lstm_forward(&gpu.ctx, &gpu.seq, z.D, z.H, false, gpu.x, gpu.W, gpu.R, gpu.b, gpu.h0,
                         gpu.c0, gpu.h, z.H, gpu.c, gpu.v, gpu.hT, gpu.cT);
    const bool absent = st == SYN_ERR_UNSUPPORTED && strstr(syn_error_text(), "has no cuDNN");
    if (!absent) {
        run(&cpu);
        run(&gpu);
        problem_buffer list[PROBLEM_BUFFERS], got[PROBLEM_BUFFERS];
        problem_list(&cpu, list);
        problem_list(&gpu, got);
        for (int i = PROBLEM_INPUTS; i < PROBLEM_BUFFERS; i++)
            if (strcmp(list[i].name, "c") != 0 && strcmp(list[i].name, "v") != 0)
                expect_close_device(&gpu.ctx, CUDA_FP32, list[i].count, *list[i].data, *got[i].data,
                                    "cudnn: %s", list[i].name);
    }
    device_problem_free(&gpu);
    problem_free(&cpu);
    if (absent) skip();
}

/* ---- Equal runs, whatever the order and the pace of the threads ---- */

static void same_in_any_order(const char *variant, syn_math math, shape z)
{
    static const struct {
        const char *order, *haste;
    } RUNS[] = {{"forward", "0"}, {"reverse", "0"}, {"1", "0"}, {"forward", "1"}, {"reverse", "1"}};
    const char *given = getenv("SYN_EMULATOR_ORDER");
    problem cpu = problem_create(z, 1), first = device_problem(&cpu, math);
    force(variant);
    run(&first);
    for (size_t i = 0; i < sizeof RUNS / sizeof *RUNS; i++) {
        setenv("SYN_EMULATOR_ORDER", RUNS[i].order, 1);
        setenv("SYN_EMULATOR_HASTE", RUNS[i].haste, 1);
        problem again = device_problem(&cpu, math);
        run(&again);
        expect_same_bits(&first, &again, variant);
        device_problem_free(&again);
    }
    unsetenv("SYN_EMULATOR_HASTE");
    if (given)
        setenv("SYN_EMULATOR_ORDER", given, 1);
    else
        unsetenv("SYN_EMULATOR_ORDER");
    device_problem_free(&first);
    problem_free(&cpu);
}

static void equal_runs_are_equal_to_the_bit(void **state)
{
    skip_without_device();
    same_in_any_order("step", SYN_MATH_FP32, (shape){9, 3, 4, 40, .resets = true});
    same_in_any_order("grid", SYN_MATH_FP32, (shape){9, 3, 4, 40, .packed = true});
    same_in_any_order("grid", SYN_MATH_MIXED, (shape){66, 3, 2, 20, .resets = true});
    same_in_any_order("block", SYN_MATH_MIXED, (shape){9, 3, 4, 128, .resets = true});
    same_in_any_order("cluster", SYN_MATH_MIXED, (shape){3, 4, 4, 256, .packed = true});
    multiprocessors("8");
    same_in_any_order("cluster", SYN_MATH_MIXED, (shape){15, 3, 4, 256, .resets = true});
    same_in_any_order("wide", SYN_MATH_MIXED, (shape){35, 4, 2, 256, .packed = true});
}

/* ---- Recorded as a graph ---- */

static syn_status both_passes(void *user)
{
    problem *p = user;
    const shape *z = &p->z;
    SYN_RETURN_IF(syn_lstm_forward(&p->ctx, &p->seq, z->D, z->H, z->reverse, p->x, p->W, p->R, p->b,
                                   p->h0, p->c0, p->h, z->H, p->c, p->v, p->hT, p->cT));
    return syn_lstm_backward(&p->ctx, &p->seq, z->D, z->H, z->reverse, p->x, p->W, p->R, p->h0,
                             p->c0, p->h, z->H, p->c, p->v, p->dh, z->H, p->dhT, p->dcT, p->dx,
                             NULL, NULL, NULL, p->dh0, p->dc0);
}

/* Run once, recorded, launched twice: the same bits as once, and the inputs are read anew. */
static void replays(const char *variant, syn_math math, shape z)
{
    problem cpu = problem_create(z, 1), want = device_problem(&cpu, math);
    problem got = device_problem(&cpu, math);
    const size_t bytes = sizeof(real) * (size_t)(cpu.seq.rows * z.D);
    real *zeros = calloc(1, bytes + 1);
    assert_non_null(zeros);
    syn_graph graph = {0};
    force(variant);
    assert_ok(both_passes(&want));
    assert_ok(syn_copy_in(&got.ctx, got.x, zeros, bytes));
    assert_ok(syn_graph_run(&got.ctx, &graph, both_passes, &got));
    assert_ok(syn_graph_run(&got.ctx, &graph, both_passes, &got));
    assert_ok(syn_copy_in(&got.ctx, got.x, cpu.x, bytes));
    assert_ok(syn_graph_run(&got.ctx, &graph, both_passes, &got));
    expect_same_bits(&want, &got, variant);
    syn_graph_free(&got.ctx, &graph);
    free(zeros);
    device_problem_free(&got);
    device_problem_free(&want);
    problem_free(&cpu);
}

static void a_graph_repeats_it(void **state)
{
    skip_without_device();
    replays("step", SYN_MATH_FP32, (shape){5, 3, 4, 40, .packed = true});
    replays("grid", SYN_MATH_FP32, (shape){5, 3, 4, 40, .resets = true});
    replays("grid", SYN_MATH_MIXED, (shape){5, 3, 4, 40, .packed = true});
    replays("block", SYN_MATH_MIXED, (shape){5, 3, 4, 128, .packed = true});
    replays("cluster", SYN_MATH_MIXED, (shape){5, 3, 4, 256, .resets = true});
    replays("wide", SYN_MATH_MIXED, (shape){5, 3, 4, 256, .resets = true});
}

/* ---- What else the contract says ---- */

/* Without a place for cells and gates the result is the same, bit for bit, and nothing else is
 * written; the state may be updated in place. */
static void in_place(const char *variant, syn_math math, shape z)
{
    problem cpu = problem_create(z, 1), p = device_problem(&cpu, math);
    const size_t state_bytes = sizeof(real) * (size_t)(z.batch * z.H);
    const size_t row_bytes = sizeof(real) * (size_t)(p.seq.rows * z.H);
    force(variant);
    forward(&p);
    real *h = from_device(&p.ctx, p.h, row_bytes), *hT = from_device(&p.ctx, p.hT, state_bytes);
    real *cT = from_device(&p.ctx, p.cT, state_bytes), *again = poisoned(&p.ctx, row_bytes);
    assert_ok(syn_lstm_forward(&p.ctx, &p.seq, z.D, z.H, z.reverse, p.x, p.W, p.R, p.b, p.h0, p.c0,
                               again, z.H, NULL, NULL, p.h0, p.c0));
    expect_equal_device(&p.ctx, p.seq.rows * z.H, h, again, "%s without gates: h", variant);
    expect_equal_device(&p.ctx, z.batch * z.H, hT, p.h0, "%s in place: hT", variant);
    expect_equal_device(&p.ctx, z.batch * z.H, cT, p.c0, "%s in place: cT", variant);

    assert_ok(syn_lstm_backward(&p.ctx, &p.seq, z.D, z.H, z.reverse, p.x, p.W, p.R, p.h0, p.c0, p.h,
                                z.H, p.c, p.v, p.dh, z.H, p.dhT, p.dcT, NULL, NULL, NULL, NULL,
                                p.dhT, p.dcT));
    real *dh0 = from_device(&p.ctx, p.dhT, state_bytes);
    for (int64_t i = 0; i < z.batch * z.H; i++) assert_true(isfinite(dh0[i]));
    free_device(&p.ctx, again);
    free(h);
    free(hT);
    free(cT);
    free(dh0);
    device_problem_free(&p);
    problem_free(&cpu);
}

static void the_state_may_be_updated_in_place(void **state)
{
    skip_without_device();
    in_place("step", SYN_MATH_FP32, (shape){5, 3, 4, 40, .packed = true});
    in_place("step", SYN_MATH_FP32, (shape){5, 3, 4, 40, .resets = true, .reverse = true});
    in_place("grid", SYN_MATH_FP32, (shape){5, 3, 4, 40, .resets = true});
    in_place("grid", SYN_MATH_MIXED, (shape){5, 3, 4, 40, .packed = true});
    in_place("block", SYN_MATH_MIXED, (shape){5, 3, 4, 128, .packed = true});
    in_place("cluster", SYN_MATH_MIXED, (shape){5, 3, 4, 256, .packed = true});
    in_place("wide", SYN_MATH_MIXED, (shape){5, 3, 4, 256, .packed = true});
}

static void no_sequences_are_no_work(void **state)
{
    skip_without_device();
    static const char *const VARIANTS[] = {"step", "grid", "block", "cluster", "wide"};
    for (int i = 0; i < 5; i++) {
        const int64_t H = i >= 3 ? 256 : 128;
        problem cpu = problem_create((shape){3, 2, 3, H, .packed = true}, 1);
        problem p = device_problem(&cpu, SYN_MATH_MIXED);
        const int32_t none[4] = {0};
        assert_ok(syn_copy_in(&p.ctx, p.offset, none, sizeof none));
        force(VARIANTS[i]);
        p.seq = (syn_seq){3, 0, 0, p.offset, NULL};
        assert_ok(syn_lstm_forward(&p.ctx, &p.seq, 3, H, false, NULL, p.W, p.R, p.b, p.h0, NULL,
                                   NULL, H, NULL, NULL, p.hT, p.cT));
        expect_equal_device(&p.ctx, 3 * H, cpu.h0, p.hT, "%s: hT of nothing", VARIANTS[i]);
        real *cT = from_device(&p.ctx, p.cT, sizeof *cT * (size_t)(3 * H));
        for (int64_t j = 0; j < 3 * H; j++) assert_true(cT[j] == 0);
        free(cT);
        p.seq = (syn_seq){0, 0, 0, NULL, NULL};
        assert_ok(syn_lstm_forward(&p.ctx, &p.seq, 3, H, false, NULL, p.W, p.R, p.b, NULL, NULL,
                                   NULL, H, NULL, NULL, NULL, NULL));
        device_problem_free(&p);
        problem_free(&cpu);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        lstm_test(step_in_float),
        lstm_test(grid_in_float),
        lstm_test(auto_in_float),
        lstm_test(block_in_mixed),
        lstm_test(cluster_of_8_in_mixed),
        lstm_test(cluster_of_16_in_mixed),
        lstm_test(wide_clusters_in_mixed),
        lstm_test(step_and_grid_in_mixed),
        lstm_test(cudnn_where_there_is_one),
        lstm_test(equal_runs_are_equal_to_the_bit),
        lstm_test(a_graph_repeats_it),
        lstm_test(the_state_may_be_updated_in_place),
        lstm_test(no_sequences_are_no_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
