/* The CUDA side of the LSTM against the CPU side. Skipped where there is no device. */
#include "tests/kernels/lstm_problem.h"

#ifdef SYN_HAVE_CUDA

#    include "kernels/base/cuda.h"

static void *to_device(syn_ctx *ctx, const void *host, size_t bytes)
{
    void *p = syn_device_alloc(ctx, bytes + 1);
    assert_non_null(p);
    assert_ok(syn_copy_in(ctx, p, host, bytes));
    return p;
}

/* The same problem with all its buffers on the device. */
static problem device_problem(problem *cpu)
{
    problem gpu = *cpu;
    memset(&gpu.ctx, 0, sizeof gpu.ctx);
    assert_ok(syn_ctx_init(&gpu.ctx, SYN_DEVICE_CUDA, 1));
    problem_buffer list[PROBLEM_BUFFERS];
    problem_list(&gpu, list);
    for (int i = 0; i < PROBLEM_BUFFERS; i++)
        *list[i].data = to_device(&gpu.ctx, *list[i].data, sizeof(real) * (size_t)list[i].count);
    const shape *z = &gpu.z;
    gpu.offset = to_device(&gpu.ctx, cpu->offset, sizeof *gpu.offset * (size_t)(z->batch + 1));
    gpu.reset = to_device(&gpu.ctx, cpu->reset, (size_t)(z->batch * z->steps));
    if (gpu.seq.offset) gpu.seq.offset = gpu.offset;
    if (gpu.seq.reset) gpu.seq.reset = gpu.reset;
    return gpu;
}

static void device_free(problem *gpu)
{
    problem_buffer list[PROBLEM_BUFFERS];
    problem_list(gpu, list);
    for (int i = 0; i < PROBLEM_BUFFERS; i++) syn_device_free(&gpu->ctx, *list[i].data);
    syn_device_free(&gpu->ctx, gpu->offset);
    syn_device_free(&gpu->ctx, gpu->reset);
    syn_ctx_free(&gpu->ctx);
}

static void expect_equal(problem *cpu, problem *gpu, int shape_index)
{
    problem_buffer want[PROBLEM_BUFFERS], got[PROBLEM_BUFFERS];
    problem_list(cpu, want);
    problem_list(gpu, got);
    for (int i = 0; i < PROBLEM_BUFFERS; i++) {
        real *host = malloc(sizeof *host * (size_t)(got[i].count + 1));
        assert_non_null(host);
        assert_ok(syn_copy_out(&gpu->ctx, host, *got[i].data, sizeof *host * (size_t)got[i].count));
        for (int64_t j = 0; j < got[i].count; j++) {
            double a = host[j], b = (*want[i].data)[j];
            if (!(fabs(a - b) <= 1e-4 + 1e-4 * fabs(b)))
                fail_msg("shape %d: %s[%lld] is %.9g on CUDA, %.9g on the CPU", shape_index,
                         want[i].name, (long long)j, a, b);
        }
        free(host);
    }
}

static void cuda_matches_the_cpu(void **state)
{
    syn_ctx ctx;
    if (syn_ctx_init(&ctx, SYN_DEVICE_CUDA, 1) != SYN_OK) {
        print_message("%s\n", syn_error_text());
        skip();
    }
    syn_ctx_free(&ctx);
    for (int i = 0; i < SHAPE_COUNT; i++) {
        problem cpu = problem_create(SHAPES[i], 1);
        problem gpu = device_problem(&cpu);
        forward(&cpu);
        backward(&cpu);
        forward(&gpu);
        backward(&gpu);
        expect_equal(&cpu, &gpu, i);
        device_free(&gpu);
        problem_free(&cpu);
    }
}

#else

static void cuda_matches_the_cpu(void **state)
{
    syn_ctx ctx;
    assert_int_equal(syn_ctx_init(&ctx, SYN_DEVICE_CUDA, 1), SYN_ERR_UNSUPPORTED);
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cuda_matches_the_cpu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
