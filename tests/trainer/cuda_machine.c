/* What a run that trains is computed on: the device it opens, and the ways to compute an LSTM that
 * it refuses before anything is read. */
#include "kernels/lstm.h"
#include "tests/cuda.h"
#include "trainer/machine.h"

static syn_status open_with(const char *lstm, const char *precision, bool *on_gpu)
{
    syn_run_config cfg = {.device = "cuda",
                          .precision = precision,
                          .lstm = lstm,
                          .backend = "auto",
                          .threads = 1,
                          .rank_timeout = 5};
    syn_machine machine;
    const syn_status st = syn_machine_open(&machine, &cfg);
    *on_gpu = machine.on_gpu;
    syn_machine_close(&machine);
    return st;
}

static void a_way_that_some_layer_takes_is_good(void **state)
{
    syn_ctx cpu, gpu;
    bool on_gpu;
    cuda_begin(&cpu, &gpu);
    assert_ok(open_with("auto", "fp32", &on_gpu));
    assert_true(on_gpu);
    assert_ok(open_with("block", "mixed", &on_gpu)); /* the BiLSTM alone */
    assert_ok(open_with("step", "mixed", &on_gpu));
    cuda_end(&cpu, &gpu);
}

static void a_way_that_no_layer_takes_ends_the_run(void **state)
{
    syn_ctx cpu, gpu;
    bool on_gpu;
    cuda_begin(&cpu, &gpu);
    assert_int_equal(open_with("block", "fp32", &on_gpu), SYN_ERR_UNSUPPORTED);
    assert_non_null(strstr(syn_error_text(), "mixed precision"));
    assert_int_equal(open_with("cudnn", "mixed", &on_gpu), SYN_ERR_UNSUPPORTED);
    assert_int_equal(open_with("fastest", "mixed", &on_gpu), SYN_ERR_USAGE);
    cuda_end(&cpu, &gpu);
}

static int let_go(void **state)
{
    return syn_lstm_variant_set("auto");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_way_that_some_layer_takes_is_good, let_go),
        cmocka_unit_test_teardown(a_way_that_no_layer_takes_ends_the_run, let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
