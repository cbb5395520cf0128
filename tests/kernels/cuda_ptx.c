/* kernels/base/ptx.cuh does what it says: on a GPU a check of the wrappers, without one a check of
 * the emulator in tests/emulator/. */
#include "tests/kernels/cuda_ptx.h"

#include "tests/cuda.h"
#include "tests/kernels/random.h"

static syn_ctx cpu, gpu;

static float *random_on_device(uint64_t seed, int n, float **host)
{
    *host = random_real(seed, n);
    return to_device(&gpu, *host, sizeof **host * (size_t)n);
}

static float bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

static float tf32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x1000) & 0xffffe000u;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

static void threads_of_a_block_meet(void **state)
{
    const int sizes[] = {1, 255, 256, 1000};
    cuda_begin(&cpu, &gpu);
    for (int s = 0; s < 4; s++) {
        const int n = sizes[s], blocks = (n + 255) / 256;
        float *x, *x_gpu = random_on_device(1, n, &x), want[4] = {0};
        float *y = poisoned(&gpu, sizeof want);
        for (int i = 0; i < n; i++) want[i / 256] += x[i];
        assert_ok(ptx_block_sum(&gpu, n, x_gpu, y));
        expect_close_device(&gpu, CUDA_FP32, blocks, want, y, "sums of %d values", n);
        free(x);
        free_device(&gpu, x_gpu, y);
    }
    cuda_end(&cpu, &gpu);
}

/* Row i of what a lane of the warp should say. */
static int32_t warp_wanted(const int32_t *x, int i, int lane)
{
    uint32_t positive = 0, alike = 0;
    int32_t sum = 0, min = INT32_MAX;
    uint32_t max = 0;
    for (int j = 0; j < 32; j++) {
        positive |= (uint32_t)(x[j] > 0) << j;
        alike |= (uint32_t)((x[j] & 3) == (x[lane] & 3)) << j;
        sum += x[j];
        min = x[j] < min ? x[j] : min;
        max = (uint32_t)x[j] > max ? (uint32_t)x[j] : max;
    }
    const int32_t said[PTX_WARP_ROWS] = {x[(lane + 5) % 32],
                                         x[lane ^ 9],
                                         x[lane < 3 ? lane : lane - 3],
                                         x[lane % 8 + 3 < 8 ? lane + 3 : lane],
                                         (int32_t)positive,
                                         1,
                                         positive == 0xffffffffu,
                                         (int32_t)alike,
                                         sum,
                                         min,
                                         (int32_t)max,
                                         0, /* every lane the same: the whole mask, and true */
                                         x[lane < 16 ? 2 : 30]};
    return said[i];
}

static void lanes_of_a_warp_exchange(void **state)
{
    int32_t x[32], want[PTX_WARP_ROWS * 32];
    syn_rng rng = syn_rng_make(3, SYN_STREAM_TEST);
    cuda_begin(&cpu, &gpu);
    for (int i = 0; i < 32; i++) x[i] = (int32_t)syn_rng_below(&rng, 2000) - 1000;
    for (int i = 0; i < PTX_WARP_ROWS * 32; i++) want[i] = warp_wanted(x, i / 32, i % 32);
    int32_t *x_gpu = to_device(&gpu, x, sizeof x), *y = poisoned(&gpu, sizeof want);
    assert_ok(ptx_warp(&gpu, x_gpu, y));
    int32_t *got = from_device(&gpu, y, sizeof want);
    for (int i = 0; i < PTX_WARP_ROWS * 32; i++)
        if (got[i] != want[i])
            fail_msg("lane %d says %d to question %d, not %d", i % 32, got[i], i / 32, want[i]);
    free(got);
    free_device(&gpu, x_gpu, y);
    cuda_end(&cpu, &gpu);
}

static void parts_of_a_block_meet_apart(void **state)
{
    cuda_begin(&cpu, &gpu);
    float *x, *x_gpu = random_on_device(4, 128, &x), want[2] = {0};
    float *y = poisoned(&gpu, sizeof want);
    for (int i = 0; i < 128; i++) want[i / 64] += x[i];
    assert_ok(ptx_halves(&gpu, x_gpu, y));
    expect_close_device(&gpu, CUDA_FP32, 2, want, y, "sums of two halves");
    free(x);
    free_device(&gpu, x_gpu, y);
    cuda_end(&cpu, &gpu);
}

static void numbers_are_rounded(void **state)
{
    enum { N = 1000 };
    cuda_begin(&cpu, &gpu);
    float x[N], want[PTX_NUMBERS][N];
    random_fill(5, N, -3, 3, x);
    const float special[] = {0, -0.0f, 1, 1.00390625f, 1.01171875f, 1.00048828125f, 3e38f, 1e-38f};
    memcpy(x, special, sizeof special);
    for (int i = 0; i < N; i++) {
        want[0][i] = want[2][i] = bf16(x[i]);
        want[1][i] = -bf16(x[i]);
        want[3][i] = tf32(x[i]);
        want[4][i] = tanhf(x[i]);
    }
    float *x_gpu = to_device(&gpu, x, sizeof x), *y = poisoned(&gpu, sizeof want);
    assert_ok(ptx_numbers(&gpu, N, x_gpu, y));
    float *got = from_device(&gpu, y, sizeof want);
    expect_equal(4 * sizeof want[0], want, got, "conversions");
    expect_close(1e-3, N, want[4], got + 4 * N, "approximate tanh");
    free(got);
    free_device(&gpu, x_gpu, y);
    cuda_end(&cpu, &gpu);
}

static void fragments_lie_as_described(void **state)
{
    cuda_begin(&cpu, &gpu);
    for (int how = 0; how < PTX_PRODUCTS; how++) {
        const int k = how == PTX_TF32 ? 8 : 16;
        float *a, *b, *c, want[16 * 8];
        float *a_gpu = random_on_device(6, 16 * k, &a), *b_gpu = random_on_device(7, k * 8, &b);
        float *c_gpu = random_on_device(8, 16 * 8, &c), *d = poisoned(&gpu, sizeof want);
        for (int i = 0; i < 16 * 8; i++) {
            double sum = (double)c[i];
            for (int p = 0; p < k; p++) {
                const float x = a[i / 8 * k + p], y = b[p * 8 + i % 8];
                sum += how == PTX_TF32 ? (double)tf32(x) * (double)tf32(y)
                                       : (double)bf16(x) * (double)bf16(y);
            }
            want[i] = (float)sum;
        }
        assert_ok(ptx_product(&gpu, how, a_gpu, b_gpu, c_gpu, d));
        expect_close_device(&gpu, 1e-6, 16 * 8, want, d, "product %d", how);
        free(a);
        free(b);
        free(c);
        free_device(&gpu, a_gpu, b_gpu, c_gpu, d);
    }
    cuda_end(&cpu, &gpu);
}

static void copies_come_in_time(void **state)
{
    const int sizes[] = {4, PTX_TILE, 9 * PTX_TILE + 12};
    cuda_begin(&cpu, &gpu);
    for (int s = 0; s < 3; s++) {
        const int n = sizes[s], padded = (n + PTX_TILE - 1) / PTX_TILE * PTX_TILE;
        float *x, *x_gpu = random_on_device(9, n, &x), *want = real_alloc(padded);
        float *y = poisoned(&gpu, sizeof *y * (size_t)padded);
        for (int i = 0; i < n; i++) want[i] = 2 * x[i];
        assert_ok(ptx_copies(&gpu, n, x_gpu, y));
        expect_equal_device(&gpu, padded, want, y, "%d values, doubled", n);
        free(x);
        free(want);
        free_device(&gpu, x_gpu, y);
    }
    cuda_end(&cpu, &gpu);
}

/* What ptx_exchange should give, on the host. */
static void exchange(int clusters, int size, int rounds, float *x)
{
    for (int c = 0; c < clusters; c++) {
        float *block = x + c * size * 64;
        for (int round = 0; round < rounds; round++) {
            for (int i = 0; i < 64; i++) {
                float sum = 0;
                for (int r = 0; r < size; r++) sum += block[r * 64 + i];
                for (int r = 0; r < size; r++) block[r * 64 + i] = sum / (float)size + (float)r;
            }
        }
    }
}

static bool has_clusters(void)
{
    float *y = poisoned(&gpu, 4 * sizeof *y);
    const bool has = ptx_peers(&gpu, 1, 2, y, y + 2) == SYN_OK && syn_wait(&gpu) == SYN_OK;
    free_device(&gpu, y);
    return has;
}

static void clusters_exchange(void **state)
{
    const int sizes[] = {1, 2, 8, 16}, bytes[] = {4, 8, 16};
    cuda_begin(&cpu, &gpu);
    if (!has_clusters()) {
        cuda_end(&cpu, &gpu);
        skip();
    }
    for (int s = 0; s < 4; s++) {
        for (int w = 0; w < 3; w++) {
            const int clusters = 3, size = sizes[s], n = clusters * size * 64, rounds = 7;
            float *x, *x_gpu = random_on_device(10, n, &x);
            float *y = poisoned(&gpu, sizeof *y * (size_t)n);
            exchange(clusters, size, rounds, x);
            assert_ok(ptx_exchange(&gpu, clusters, size, bytes[w], rounds, x_gpu, y));
            expect_close_device(&gpu, CUDA_FP32, n, x, y, "clusters of %d, %d bytes", size,
                                bytes[w]);
            free(x);
            free_device(&gpu, x_gpu, y);
        }
    }
    cuda_end(&cpu, &gpu);
}

static void peers_can_be_read(void **state)
{
    enum { CLUSTERS = 2, SIZE = 4 };
    cuda_begin(&cpu, &gpu);
    if (!has_clusters()) {
        cuda_end(&cpu, &gpu);
        skip();
    }
    float *x, *x_gpu = random_on_device(11, CLUSTERS * SIZE, &x), want[CLUSTERS * SIZE] = {0};
    float *y = poisoned(&gpu, sizeof want);
    for (int i = 0; i < CLUSTERS * SIZE; i++)
        for (int peer = 0; peer < SIZE; peer++) want[i] += x[i / SIZE * SIZE + peer];
    assert_ok(ptx_peers(&gpu, CLUSTERS, SIZE, x_gpu, y));
    expect_close_device(&gpu, CUDA_FP32, CLUSTERS * SIZE, want, y, "sums over clusters");
    free(x);
    free_device(&gpu, x_gpu, y);
    cuda_end(&cpu, &gpu);
}

static void a_warpgroup_multiplies(void **state)
{
    cuda_begin(&cpu, &gpu);
    if (!has_clusters()) {
        cuda_end(&cpu, &gpu);
        skip();
    }
    for (int k = 16; k <= PTX_WIDE_K; k += 16) {
        float *a, *b, *a_gpu = random_on_device(13, 64 * k, &a);
        float *b_gpu = random_on_device(14, k * 32, &b), want[64 * 32];
        float *d = poisoned(&gpu, sizeof want);
        for (int i = 0; i < 64 * 32; i++) {
            double sum = 0;
            for (int j = 0; j < k; j++)
                sum += (double)bf16(a[i / 32 * k + j]) * (double)bf16(b[j * 32 + i % 32]);
            want[i] = (float)sum;
        }
        assert_ok(ptx_wide_product(&gpu, k, a_gpu, b_gpu, d));
        expect_close_device(&gpu, 1e-6, 64 * 32, want, d, "product of a warpgroup, k %d", k);
        free(a);
        free(b);
        free_device(&gpu, a_gpu, b_gpu, d);
    }
    cuda_end(&cpu, &gpu);
}

static void one_read_reaches_all_blocks(void **state)
{
    const int sizes[] = {1, 2, 8, 16};
    cuda_begin(&cpu, &gpu);
    if (!has_clusters()) {
        cuda_end(&cpu, &gpu);
        skip();
    }
    for (int s = 0; s < 4; s++) {
        const int clusters = 3, size = sizes[s], n = clusters * size * 64;
        float *x, *x_gpu = random_on_device(15, n, &x), *want = real_alloc(n);
        float *scratch = poisoned(&gpu, sizeof *x * (size_t)n);
        float *y = poisoned(&gpu, sizeof *y * (size_t)n);
        for (int i = 0; i < n; i++) {
            want[i] = 0;
            for (int r = 0; r < size; r++)
                want[i] += 2 * x[(i / 64 / size * size + r) * 64 + i % 64];
        }
        assert_ok(ptx_multicast(&gpu, clusters, size, x_gpu, scratch, y));
        expect_close_device(&gpu, CUDA_FP32, n, want, y, "sums over clusters of %d", size);
        free(x);
        free(want);
        free_device(&gpu, x_gpu, scratch, y);
    }
    cuda_end(&cpu, &gpu);
}

/* Twice with the same barrier: it is left as it was found. */
static void all_blocks_meet(void **state)
{
    enum { BLOCKS = 13, ROUNDS = 20 };
    cuda_begin(&cpu, &gpu);
    float *x, *x_gpu = random_on_device(12, BLOCKS, &x), want[BLOCKS];
    float *y = poisoned(&gpu, sizeof want), *scratch = poisoned(&gpu, 2 * sizeof want);
    void *barrier = syn_device_alloc(&gpu, 64);
    for (int b = 0; b < BLOCKS; b++) want[(b + ROUNDS) % BLOCKS] = x[b];
    for (int i = 0; i < 2; i++) {
        assert_ok(ptx_ring(&gpu, BLOCKS, ROUNDS, x_gpu, y, scratch, barrier));
        expect_equal_device(&gpu, BLOCKS, want, y, "values after %d rounds", ROUNDS);
    }
    free(x);
    free_device(&gpu, x_gpu, y, scratch, barrier);
    cuda_end(&cpu, &gpu);
}

static void graphs_read_what_changes(void **state)
{
    enum { N = 100 };
    const float steps[] = {1, 0.5f, -4};
    float zero[N] = {0}, want[N];
    cuda_begin(&cpu, &gpu);
    for (int i = 0; i < N; i++) want[i] = -2.5f;
    float *y = to_device(&gpu, zero, sizeof zero), *step = poisoned(&gpu, sizeof *step);
    assert_ok(ptx_replay(&gpu, N, 3, steps, step, y));
    expect_equal_device(&gpu, N, want, y, "three replays");
    free_device(&gpu, y, step);
    cuda_end(&cpu, &gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_of_a_block_meet),
                                       cmocka_unit_test(lanes_of_a_warp_exchange),
                                       cmocka_unit_test(parts_of_a_block_meet_apart),
                                       cmocka_unit_test(numbers_are_rounded),
                                       cmocka_unit_test(fragments_lie_as_described),
                                       cmocka_unit_test(copies_come_in_time),
                                       cmocka_unit_test(clusters_exchange),
                                       cmocka_unit_test(peers_can_be_read),
                                       cmocka_unit_test(a_warpgroup_multiplies),
                                       cmocka_unit_test(one_read_reaches_all_blocks),
                                       cmocka_unit_test(all_blocks_meet),
                                       cmocka_unit_test(graphs_read_what_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
