/* Recorded work (kernels/base/graph.h), and memory that is taken in one piece (kernels/base/ctx.h).
 */
#include "kernels/base/graph.h"
#include "kernels/elementwise.h"
#include "tests/cuda.h"
#include "tests/kernels/random.h"

enum { COUNT = 70 };

/* sum += x, and how often the function itself was called. */
typedef struct job {
    syn_ctx *ctx;
    real *sum, *x;
    int calls;
    bool fails;
} job;

static syn_status work(void *user)
{
    job *j = user;
    j->calls++;
    SYN_RETURN_IF(syn_add(j->ctx, 1, COUNT, j->sum, COUNT, j->x, COUNT));
    if (j->fails) return syn_fail(SYN_ERR_INVALID, "this job fails");
    syn_scratch_mark mark = syn_scratch_push(j->ctx);
    syn_status st = SYN_ERR_MEMORY;
    real *twice = SYN_SCRATCH(j->ctx, real, COUNT);
    if (!twice) goto done;
    SYN_TRY(syn_copy(j->ctx, twice, j->x, sizeof *twice * COUNT));
    SYN_TRY(syn_add(j->ctx, 1, COUNT, j->sum, COUNT, twice, COUNT));
done:
    syn_scratch_pop(j->ctx, mark);
    return st;
}

static job job_make(syn_ctx *ctx)
{
    real x[COUNT];
    for (int i = 0; i < COUNT; i++) x[i] = (real)i;
    return (job){
        .ctx = ctx, .sum = syn_device_alloc(ctx, sizeof x), .x = to_device(ctx, x, sizeof x)};
}

static void assert_sum(const job *j, int times)
{
    real *sum = from_device(j->ctx, j->sum, sizeof *sum * COUNT);
    for (int i = 0; i < COUNT; i++) assert_true(sum[i] == (real)(2 * times * i));
    free(sum);
}

static void the_second_time_it_is_recorded_and_then_launched(void **state)
{
    syn_ctx cpu, gpu;
    syn_graph g = {0};
    cuda_begin(&cpu, &gpu);
    gpu.sync_every_launch = false;
    job j = job_make(&gpu);
    for (int k = 1; k <= 4; k++) {
        assert_ok(syn_graph_run(&gpu, &g, work, &j));
        assert_int_equal(j.calls, k < 2 ? k : 2);
        assert_sum(&j, k);
    }
    syn_graph_free(&gpu, &g);
    assert_null(g.exec);
    assert_ok(syn_graph_run(&gpu, &g, work, &j)); /* begins anew */
    assert_int_equal(j.calls, 3);
    free_device(&gpu, j.sum, j.x);
    cuda_end(&cpu, &gpu);
}

static void what_changes_lies_in_device_memory(void **state)
{
    syn_ctx cpu, gpu;
    syn_graph g = {0};
    real other[COUNT] = {[1] = 7};
    cuda_begin(&cpu, &gpu);
    gpu.sync_every_launch = false;
    job j = job_make(&gpu);
    for (int k = 0; k < 2; k++) assert_ok(syn_graph_run(&gpu, &g, work, &j));
    assert_ok(syn_zero(&gpu, j.sum, sizeof other));
    assert_ok(syn_copy_in(&gpu, j.x, other, sizeof other));
    assert_ok(syn_graph_run(&gpu, &g, work, &j));
    real *sum = from_device(&gpu, j.sum, sizeof other);
    for (int i = 0; i < COUNT; i++) assert_true(sum[i] == 2 * other[i]);
    free(sum);
    syn_graph_free(&gpu, &g);
    free_device(&gpu, j.sum, j.x);
    cuda_end(&cpu, &gpu);
}

/* The sentence is the work's, and the stream goes on as if nothing had been recorded. */
static void a_failure_while_recording_leaves_no_trace(void **state)
{
    syn_ctx cpu, gpu;
    syn_graph g = {0};
    cuda_begin(&cpu, &gpu);
    gpu.sync_every_launch = false;
    job j = job_make(&gpu);
    assert_ok(syn_graph_run(&gpu, &g, work, &j));
    j.fails = true;
    assert_int_equal(syn_graph_run(&gpu, &g, work, &j), SYN_ERR_INVALID);
    assert_string_equal(syn_error_text(), "this job fails");
    assert_sum(&j, 1);
    j.fails = false;
    assert_ok(syn_graph_run(&gpu, &g, work, &j));
    assert_sum(&j, 2);
    syn_graph_free(&gpu, &g);
    free_device(&gpu, j.sum, j.x);
    cuda_end(&cpu, &gpu);
}

static void without_graphs_the_work_is_called_each_time(void **state)
{
    syn_ctx cpu, gpu;
    cuda_begin(&cpu, &gpu);
    gpu.sync_every_launch = true;
    syn_ctx *ctx[] = {&cpu, &gpu};
    for (int d = 0; d < 2; d++) {
        syn_graph g = {0};
        job j = job_make(ctx[d]);
        for (int k = 1; k <= 3; k++) assert_ok(syn_graph_run(ctx[d], &g, work, &j));
        assert_int_equal(j.calls, 3);
        assert_null(g.exec);
        assert_sum(&j, 3);
        syn_graph_free(ctx[d], &g);
        free_device(ctx[d], j.sum, j.x);
    }
    cuda_end(&cpu, &gpu);
}

/* ---- Memory ---- */

static bool within(const syn_ctx *ctx, const void *p)
{
    const unsigned char *at = p, *first = ctx->arena.data;
    return at >= first && at < first + ctx->arena.bytes_max;
}

static void memory_is_cut_from_what_was_reserved(void **state)
{
    syn_ctx cpu, gpu;
    cuda_begin(&cpu, &gpu);
    assert_ok(syn_ctx_reserve(&gpu, 1000, 5000));
    void *a = syn_device_alloc(&gpu, 1), *b = syn_device_alloc(&gpu, 900);
    assert_true(within(&gpu, a) && within(&gpu, b));
    assert_true((uintptr_t)a % 64 == 0 && (uintptr_t)b % 64 == 0);
    uint8_t *bytes = from_device(&gpu, b, 900);
    for (int i = 0; i < 900; i++) assert_int_equal(bytes[i], 0);
    free(bytes);
    void *beyond = syn_device_alloc(&gpu, 64); /* 64 + 960 of 1024 are taken */
    assert_true(beyond && !within(&gpu, beyond));
    free_device(&gpu, a, b, beyond);
    void *again = syn_device_alloc(&gpu, 1000);
    assert_ptr_equal(again, a);
    syn_device_free(&gpu, again);
    assert_int_equal(gpu.arena.live, 0);
    cuda_end(&cpu, &gpu);
}

static void scratch_comes_first_from_what_was_reserved(void **state)
{
    syn_ctx cpu, gpu;
    cuda_begin(&cpu, &gpu);
    assert_ok(syn_ctx_reserve(&gpu, 1000, 4096));
    const unsigned char *data = gpu.arena.data;
    assert_ok(syn_ctx_reserve(&gpu, 9000, 9000)); /* only the first counts */
    assert_ptr_equal(gpu.arena.data, data);
    syn_scratch_mark mark = syn_scratch_push(&gpu);
    const unsigned char *p = syn_scratch_alloc(&gpu, 4096);
    assert_true(p == data + 1024);
    assert_non_null(syn_scratch_alloc(&gpu, 10000)); /* more than there is */
    syn_scratch_pop(&gpu, mark);
    assert_ptr_equal(syn_scratch_alloc(&gpu, 64), p);
    syn_scratch_pop(&gpu, mark);
    assert_ok(syn_ctx_reserve(&cpu, 1000, 4096)); /* nothing */
    assert_null(cpu.arena.data);
    cuda_end(&cpu, &gpu);
}

static void more_than_there_is_is_refused_in_a_sentence(void **state)
{
    syn_ctx cpu, gpu;
    cuda_begin(&cpu, &gpu);
    assert_true(syn_device_room(&gpu) > 0);
    assert_int_equal(syn_ctx_reserve(&gpu, (size_t)1 << 50, 64), SYN_ERR_MEMORY);
    assert_non_null(strstr(syn_error_text(), "MiB are free"));
    assert_null(gpu.arena.data);
    cuda_end(&cpu, &gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_time_it_is_recorded_and_then_launched),
        cmocka_unit_test(what_changes_lies_in_device_memory),
        cmocka_unit_test(a_failure_while_recording_leaves_no_trace),
        cmocka_unit_test(without_graphs_the_work_is_called_each_time),
        cmocka_unit_test(memory_is_cut_from_what_was_reserved),
        cmocka_unit_test(scratch_comes_first_from_what_was_reserved),
        cmocka_unit_test(more_than_there_is_is_refused_in_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
