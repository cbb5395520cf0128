/* Copies between the host's ordinary memory and the device's: whole, in the order of the stream,
 * and with the host's side free at once. */
#include "tests/cuda.h"
#include "tests/kernels/random.h"

enum { MIB = 1 << 20 };

static void numbered(unsigned char *x, size_t bytes, unsigned seed)
{
    for (size_t i = 0; i < bytes; i++) x[i] = (unsigned char)((i * 2654435761u >> 13) + seed);
}

/* More than all buffers on the way hold, and sizes around one of them. */
static void what_goes_in_comes_out(void **state)
{
    static const size_t sizes[] = {1, 4093, MIB - 1, MIB, MIB + 1, 9 * MIB + 77};
    syn_ctx cpu, gpu;
    cuda_begin(&cpu, &gpu);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const size_t bytes = sizes[k];
        unsigned char *x = malloc(bytes), *y = calloc(1, bytes);
        unsigned char *device = syn_device_alloc(&gpu, bytes);
        assert_true(x && y && device);
        numbered(x, bytes, (unsigned)k);
        assert_ok(syn_copy_in(&gpu, device, x, bytes));
        assert_ok(syn_copy_out(&gpu, y, device, bytes));
        expect_equal(bytes, x, y, "%zu bytes", bytes);
        syn_device_free(&gpu, device);
        free(x);
        free(y);
    }
    cuda_end(&cpu, &gpu);
}

static void the_hosts_side_is_free_at_once(void **state)
{
    enum { COPIES = 23, N = 1000 };
    syn_ctx cpu, gpu;
    unsigned char x[N], y[N];
    cuda_begin(&cpu, &gpu);
    unsigned char *device = syn_device_alloc(&gpu, COPIES * N);
    assert_non_null(device);
    for (unsigned k = 0; k < COPIES; k++) {
        numbered(x, N, k);
        assert_ok(syn_copy_in(&gpu, device + k * N, x, N));
        memset(x, 0, N);
    }
    for (unsigned k = 0; k < COPIES; k++) {
        numbered(x, N, k);
        assert_ok(syn_copy_out(&gpu, y, device + k * N, N));
        expect_equal(N, x, y, "copy %u", k);
    }
    syn_device_free(&gpu, device);
    cuda_end(&cpu, &gpu);
}

static void copies_keep_their_place_among_what_is_queued(void **state)
{
    enum { N = 300 };
    syn_ctx cpu, gpu;
    unsigned char one[N], two[N], got[N];
    cuda_begin(&cpu, &gpu);
    unsigned char *a = syn_device_alloc(&gpu, N), *b = syn_device_alloc(&gpu, N);
    assert_true(a && b);
    numbered(one, N, 1);
    numbered(two, N, 2);
    assert_ok(syn_copy_in(&gpu, a, one, N));
    assert_ok(syn_copy(&gpu, b, a, N));
    assert_ok(syn_copy_in(&gpu, a, two, N));
    assert_ok(syn_copy_out(&gpu, got, b, N));
    expect_equal(N, one, got, "what lay there before");
    assert_ok(syn_copy_out(&gpu, got, a, N));
    expect_equal(N, two, got, "what came after");
    free_device(&gpu, a, b);
    cuda_end(&cpu, &gpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(the_hosts_side_is_free_at_once),
        cmocka_unit_test(copies_keep_their_place_among_what_is_queued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
