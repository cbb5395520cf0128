/* Batches on their way to the device (kernels/base/staging.h), and draws that recorded work makes
 * anew (ctx->draws). */
#include "kernels/base/graph.h"
#include "kernels/base/staging.h"
#include "kernels/elementwise.h"
#include "kernels/ffn.h"
#include "tests/cuda.h"
#include "tests/kernels/random.h"

enum { COUNT = 1000, BATCHES = 7 };

/* Each batch is summed up on the device before the next arrives, though the host never waits for
 * it. */
static void batches_arrive_in_order(void **state)
{
    (void)state;
    syn_ctx cpu, gpu, *both[] = {&cpu, &gpu};
    cuda_begin(&cpu, &gpu);
    for (int k = 0; k < 2; k++) {
        syn_ctx *ctx = both[k];
        syn_staging s;
        const size_t bytes = sizeof(real) * COUNT;
        real *batch = syn_device_alloc(ctx, bytes), *sum = syn_device_alloc(ctx, bytes);
        assert_ok(syn_staging_init(ctx, &s, bytes));
        for (int b = 1; b <= BATCHES; b++) {
            void *host;
            assert_ok(syn_staging_next(ctx, &s, &host));
            for (int i = 0; i < COUNT; i++) ((real *)host)[i] = (real)(b * i);
            assert_ok(syn_staging_send(ctx, &s, batch, bytes));
            assert_ok(syn_add(ctx, 1, COUNT, sum, COUNT, batch, COUNT));
        }
        real *got = from_device(ctx, sum, bytes);
        for (int i = 0; i < COUNT; i++)
            assert_true(got[i] == (real)(BATCHES * (BATCHES + 1) / 2 * i));
        assert_int_equal(syn_staging_send(ctx, &s, batch, bytes + 1), SYN_ERR_INVALID);
        free(got);
        syn_staging_free(ctx, &s);
        free_device(ctx, batch, sum);
    }
    cuda_end(&cpu, &gpu);
}

static void a_buffer_is_scaled(void **state)
{
    (void)state;
    syn_ctx cpu, gpu;
    cuda_begin(&cpu, &gpu);
    real *x = random_real(3, COUNT);
    real *on_gpu = to_device(&gpu, x, sizeof *x * COUNT);
    assert_ok(syn_scale(&cpu, COUNT, (real)0.3, x));
    assert_ok(syn_scale(&gpu, COUNT, (real)0.3, on_gpu));
    expect_equal_device(&gpu, COUNT, x, on_gpu, "scale");
    assert_ok(syn_scale(&gpu, 0, (real)0.3, NULL));
    assert_int_equal(syn_scale(&gpu, -1, (real)0.3, on_gpu), SYN_ERR_INVALID);
    free(x);
    free_device(&gpu, on_gpu);
    cuda_end(&cpu, &gpu);
}

typedef struct job {
    syn_ctx *ctx;
    real *x;
} job;

static syn_status drop(void *user)
{
    const job *j = user;
    return syn_dropout(j->ctx, COUNT, (real)0.4, 5, 100, j->x);
}

/* The mask of counter 100 + *draws, as the CPU makes it, though the call was recorded once. */
static void recorded_work_draws_anew(void **state)
{
    (void)state;
    syn_ctx cpu, gpu;
    cuda_begin(&cpu, &gpu);
    gpu.sync_every_launch = false;
    const size_t bytes = sizeof(real) * COUNT;
    real *x = random_real(4, COUNT), *want = malloc(bytes);
    syn_graph g = {0};
    job j = {&gpu, syn_device_alloc(&gpu, bytes)};
    uint64_t *draws = syn_device_alloc(&gpu, sizeof *draws);
    gpu.draws = draws;
    for (uint64_t k = 0; k < 4; k++) {
        const uint64_t more = 7 * k;
        memcpy(want, x, bytes);
        assert_ok(syn_dropout(&cpu, COUNT, (real)0.4, 5, 100 + more, want));
        assert_ok(syn_copy_in(&gpu, draws, &more, sizeof more));
        assert_ok(syn_copy_in(&gpu, j.x, x, bytes));
        assert_ok(syn_graph_run(&gpu, &g, drop, &j));
        expect_equal_device(&gpu, COUNT, want, j.x, "draw %llu", (unsigned long long)k);
        cpu.draws = &more; /* and so it does there */
        memcpy(want, x, bytes);
        assert_ok(syn_dropout(&cpu, COUNT, (real)0.4, 5, 100, want));
        expect_equal_device(&gpu, COUNT, want, j.x, "draw %llu", (unsigned long long)k);
        cpu.draws = NULL;
    }
    syn_graph_free(&gpu, &g);
    free(x);
    free(want);
    free_device(&gpu, j.x, draws);
    cuda_end(&cpu, &gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_arrive_in_order),
        cmocka_unit_test(a_buffer_is_scaled),
        cmocka_unit_test(recorded_work_draws_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
