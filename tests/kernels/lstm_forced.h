/* What the tests of the LSTM's variants on CUDA share: forcing one, pretending a device, and both
 * passes against plain loops in double. */
#ifndef SYN_TESTS_LSTM_FORCED_H
#define SYN_TESTS_LSTM_FORCED_H

#include "tests/kernels/lstm_device.h"
#include "tests/kernels/lstm_reference.h"

static inline void force(const char *variant)
{
    assert_ok(syn_lstm_variant_set(variant));
}

static inline int let_go(void **state)
{
    return syn_lstm_variant_set("auto");
}

/* On the emulator (elsewhere nobody reads it), how many multiprocessors there are: few make tiles
 * of more sequences. */
static inline void multiprocessors(const char *count)
{
    setenv("SYN_EMULATOR_SMS", count, 1);
}

static inline int all_multiprocessors(void **state)
{
    unsetenv("SYN_EMULATOR_SMS");
    unsetenv("SYN_EMULATOR_ARCH");
    unsetenv("SYN_EMULATOR_BUILT");
    return let_go(state);
}

static inline void run(problem *gpu)
{
    forward(gpu);
    backward(gpu);
}

/* Relative L2, forward and backward; in MIXED, R and the recurrent states are bf16, the products
 * outside TF32. */
static const bounds FLOAT = {CUDA_FP32, CUDA_FP32}, MIXED = {2e-3, 6e-3};

static inline void matches_the_reference(const char *variant, shape z)
{
    problem want = problem_create(z, 1), gpu = device_problem(&want, SYN_MATH_MIXED);
    reference_run(&want);
    force(variant);
    run(&gpu);
    expect_problem(&MIXED, &want, &gpu, variant);
    device_problem_free(&gpu);
    problem_free(&want);
}

#define lstm_test(f) cmocka_unit_test_setup_teardown(f, all_multiprocessors, all_multiprocessors)

#endif
