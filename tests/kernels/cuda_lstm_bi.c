/* The bidirectional LSTM on CUDA: both directions in one call, and the entry that reads on the
 * device how many sequences there are. */
#include "tests/kernels/lstm_device.h"
#include "tests/kernels/random.h"

enum { D = 6 };

/* All buffers of one device; the packed sequences of `seq`. */
typedef struct bi {
    syn_ctx ctx;
    syn_seq seq;
    int64_t H;
    int32_t *offset;
    real *x, *W[2], *R[2], *b[2], *dh;
    real *h, *c, *v, *dx, *dW[2], *dR[2], *db[2];
} bi;

enum { BI_BUFFERS = 18, BI_INPUTS = 8 };

typedef struct bi_buffer {
    const char *name;
    real **data;
    int64_t count;
} bi_buffer;

static void bi_list(bi *p, bi_buffer list[BI_BUFFERS])
{
    const int64_t rows = p->seq.rows, H = p->H, W = 4 * H * D, R = 4 * H * H;
    const bi_buffer all[BI_BUFFERS] = {
        {"x", &p->x, rows * D},     {"Wf", &p->W[0], W},          {"Wr", &p->W[1], W},
        {"Rf", &p->R[0], R},        {"Rr", &p->R[1], R},          {"bf", &p->b[0], 4 * H},
        {"br", &p->b[1], 4 * H},    {"dh", &p->dh, rows * 2 * H}, {"h", &p->h, rows * 2 * H},
        {"c", &p->c, rows * 2 * H}, {"v", &p->v, rows * 8 * H},   {"dx", &p->dx, rows * D},
        {"dWf", &p->dW[0], W},      {"dWr", &p->dW[1], W},        {"dRf", &p->dR[0], R},
        {"dRr", &p->dR[1], R},      {"dbf", &p->db[0], 4 * H},    {"dbr", &p->db[1], 4 * H}};
    memcpy(list, all, sizeof all);
}

/* Inputs at random, outputs NaN, what is added to zero. Lengths cycle through 0 .. steps. */
static bi bi_create(int64_t batch, int64_t steps, int64_t H)
{
    bi p = {.H = H};
    assert_ok(syn_ctx_init(&p.ctx, SYN_DEVICE_CPU, 1));
    p.offset = calloc((size_t)batch + 1, sizeof *p.offset);
    assert_non_null(p.offset);
    for (int64_t i = 0; i < batch; i++)
        p.offset[i + 1] = p.offset[i] + (int32_t)((i * 3 + steps) % (steps + 1));
    p.seq = (syn_seq){batch, steps, p.offset[batch], p.offset, NULL};
    bi_buffer list[BI_BUFFERS];
    bi_list(&p, list);
    const double scale = 1 / sqrt((double)H);
    for (int i = 0; i < BI_BUFFERS; i++) {
        *list[i].data = random_real((uint64_t)i + 3, list[i].count);
        const bool weight = strchr("WRb", list[i].name[0]) != NULL;
        const bool sum = i >= BI_INPUTS && strlen(list[i].name) == 3;
        for (int64_t j = 0; j < list[i].count; j++) {
            if (weight) (*list[i].data)[j] *= (real)scale;
            if (i >= BI_INPUTS) (*list[i].data)[j] = sum ? 0 : NAN;
        }
    }
    return p;
}

static bi bi_on_device(bi *cpu, syn_math math)
{
    bi gpu = *cpu;
    memset(&gpu.ctx, 0, sizeof gpu.ctx);
    assert_ok(syn_ctx_init(&gpu.ctx, SYN_DEVICE_CUDA, 1));
    gpu.ctx.math = math;
    bi_buffer list[BI_BUFFERS];
    bi_list(&gpu, list);
    for (int i = 0; i < BI_BUFFERS; i++)
        *list[i].data = to_device(&gpu.ctx, *list[i].data, sizeof(real) * (size_t)list[i].count);
    gpu.offset =
        to_device(&gpu.ctx, cpu->offset, sizeof *gpu.offset * (size_t)(cpu->seq.batch + 1));
    gpu.seq.offset = gpu.offset;
    return gpu;
}

static void bi_free(bi *p)
{
    bi_buffer list[BI_BUFFERS];
    bi_list(p, list);
    for (int i = 0; i < BI_BUFFERS; i++) syn_device_free(&p->ctx, *list[i].data);
    syn_device_free(&p->ctx, p->offset);
    syn_ctx_free(&p->ctx);
}

static void bi_run(bi *p)
{
    assert_ok(syn_bilstm_forward(&p->ctx, &p->seq, D, p->H, p->x, p->W[0], p->R[0], p->b[0],
                                 p->W[1], p->R[1], p->b[1], p->h, p->c, p->v));
    assert_ok(syn_bilstm_backward(&p->ctx, &p->seq, D, p->H, p->x, p->W[0], p->R[0], p->W[1],
                                  p->R[1], p->h, p->c, p->v, p->dh, p->dx, p->dW[0], p->dR[0],
                                  p->db[0], p->dW[1], p->dR[1], p->db[1]));
}

static void matches_the_cpu(const char *variant, syn_math math, bounds most, int64_t batch,
                            int64_t steps, int64_t H)
{
    bi cpu = bi_create(batch, steps, H), gpu = bi_on_device(&cpu, math);
    bi_run(&cpu);
    assert_ok(syn_lstm_variant_set(variant));
    bi_run(&gpu);
    bi_buffer want[BI_BUFFERS], got[BI_BUFFERS];
    bi_list(&cpu, want);
    bi_list(&gpu, got);
    for (int i = BI_INPUTS; i < BI_BUFFERS; i++)
        expect_close_device(&gpu.ctx, want[i].name[0] == 'd' ? most.backward : most.forward,
                            want[i].count, *want[i].data, *got[i].data, "%s, B %lld, H %lld: %s",
                            variant, (long long)batch, (long long)H, want[i].name);
    bi_free(&gpu);
    bi_free(&cpu);
}

/* Of rounding R and the states to bf16; what the CPU rounds is a thousandth of it. */
static const bounds FLOAT = {CUDA_FP32, CUDA_FP32}, MIXED = {2e-3, 6e-3};

static void both_directions_match_the_cpu(void **state)
{
    skip_without_device();
    matches_the_cpu("step", SYN_MATH_FP32, FLOAT, 7, 3, 33);
    matches_the_cpu("grid", SYN_MATH_FP32, FLOAT, 7, 3, 33);
    matches_the_cpu("auto", SYN_MATH_FP32, FLOAT, 5, 3, 128);
    matches_the_cpu("block", SYN_MATH_MIXED, MIXED, 19, 5, 128);
    matches_the_cpu("cluster", SYN_MATH_MIXED, MIXED, 9, 3, 256);
    matches_the_cpu("wide", SYN_MATH_MIXED, MIXED, 9, 3, 256);
    matches_the_cpu("grid", SYN_MATH_MIXED, MIXED, 7, 3, 33);
    matches_the_cpu("auto", SYN_MATH_MIXED, MIXED, 3, 3, 256);
}

/* ---- live ---- */

/* The first `live` sequences are there; all rows behind theirs stay as they are. */
static void live_matches(syn_math math, double bound, int64_t capacity, int32_t live, int64_t H)
{
    bi cpu = bi_create(capacity, 4, H), gpu = bi_on_device(&cpu, math);
    const int64_t all = cpu.seq.rows;
    const int32_t rows = cpu.offset[live];
    int32_t *counts = to_device(&gpu.ctx, (int32_t[]){live, rows}, 2 * sizeof *counts);
    cpu.seq.batch = live;
    cpu.seq.rows = rows;
    assert_ok(syn_bilstm_forward(&cpu.ctx, &cpu.seq, D, H, cpu.x, cpu.W[0], cpu.R[0], cpu.b[0],
                                 cpu.W[1], cpu.R[1], cpu.b[1], cpu.h, cpu.c, cpu.v));
    assert_ok(syn_bilstm_forward_live_cuda(&gpu.ctx, capacity, counts, gpu.offset, all, counts + 1,
                                           D, H, gpu.x, gpu.W[0], gpu.R[0], gpu.b[0], gpu.W[1],
                                           gpu.R[1], gpu.b[1], gpu.h));
    expect_close_device(&gpu.ctx, bound, rows * 2 * H, cpu.h, gpu.h, "%d of %lld live, H %lld: h",
                        live, (long long)capacity, (long long)H);
    real *h = from_device(&gpu.ctx, gpu.h, sizeof *h * (size_t)(all * 2 * H));
    for (int64_t i = rows * 2 * H; i < all * 2 * H; i++) assert_true(isnan(h[i]));
    free(h);
    syn_device_free(&gpu.ctx, counts);
    cpu.seq.batch = capacity;
    cpu.seq.rows = all;
    bi_free(&gpu);
    bi_free(&cpu);
}

static void counts_on_the_device_are_obeyed(void **state)
{
    skip_without_device();
    const int64_t WIDTHS[] = {128, 40};
    for (int i = 0; i < 2; i++) {
        live_matches(SYN_MATH_FP32, CUDA_FP32, 19, 0, WIDTHS[i]);
        live_matches(SYN_MATH_FP32, CUDA_FP32, 19, 1, WIDTHS[i]);
        live_matches(SYN_MATH_FP32, CUDA_FP32, 19, 11, WIDTHS[i]);
        live_matches(SYN_MATH_FP32, CUDA_FP32, 19, 19, WIDTHS[i]);
        live_matches(SYN_MATH_MIXED, MIXED.forward, 19, 10, WIDTHS[i]);
    }
    live_matches(SYN_MATH_MIXED, MIXED.forward, 19, 0, 128);
    setenv("SYN_EMULATOR_SMS", "2", 1); /* four tiles to a block */
    live_matches(SYN_MATH_MIXED, MIXED.forward, 67, 35, 128);
    unsetenv("SYN_EMULATOR_SMS");
}

/* Only the emulated device can be told to have so little; the next call finds nothing of it. */
static void a_width_beyond_the_device_is_said(void **state)
{
    skip_without_device();
#ifdef SYN_CUDA_EMULATED
    bi cpu = bi_create(2, 1, 260), gpu = bi_on_device(&cpu, SYN_MATH_FP32);
    int32_t *counts = to_device(&gpu.ctx, (int32_t[]){2, cpu.offset[2]}, 2 * sizeof *counts);
    setenv("SYN_EMULATOR_SHARED_KB", "48", 1);
    assert_int_equal(syn_bilstm_forward_live_cuda(&gpu.ctx, 2, counts, gpu.offset, cpu.seq.rows,
                                                  counts + 1, D, 260, gpu.x, gpu.W[0], gpu.R[0],
                                                  gpu.b[0], gpu.W[1], gpu.R[1], gpu.b[1], gpu.h),
                     SYN_ERR_DEVICE);
    assert_non_null(strstr(syn_error_text(), "shared memory"));
    unsetenv("SYN_EMULATOR_SHARED_KB");
    syn_device_free(&gpu.ctx, counts);
    bi_free(&gpu);
    bi_free(&cpu);
    live_matches(SYN_MATH_FP32, CUDA_FP32, 2, 2, 40);
#else
    skip();
#endif
}

static int let_go(void **state)
{
    (void)state;
    return syn_lstm_variant_set("auto");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(both_directions_match_the_cpu, let_go),
        cmocka_unit_test(counts_on_the_device_are_obeyed),
        cmocka_unit_test(a_width_beyond_the_device_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
