/* Which variant of the LSTM a call on CUDA takes: forced, preferred, or by the rules of auto. */
#include "tests/kernels/lstm_forced.h"

/* Where clusters do not fit, and where device or build have none. */
static void auto_finds_a_way(void **state)
{
    skip_without_device();
    const shape z = {3, 3, 4, 256, .packed = true};
    multiprocessors("7"); /* a cluster of eight is one too many */
    matches_the_reference("auto", z);
    multiprocessors("132");
    setenv("SYN_EMULATOR_BUILT", "80", 1);
    matches_the_reference("auto", z);
    setenv("SYN_EMULATOR_ARCH", "80", 1);
    matches_the_reference("auto", z);
    matches_the_reference("block", (shape){3, 3, 4, 128, .packed = true});
}

static void refuses(syn_math math, shape z, const char *variant, const char *reason)
{
    problem cpu = problem_create(z, 1), p = device_problem(&cpu, math);
    force(variant);
    assert_int_equal(syn_lstm_forward(&p.ctx, &p.seq, z.D, z.H, false, p.x, p.W, p.R, p.b, NULL,
                                      NULL, p.h, z.H, p.c, p.v, NULL, NULL),
                     SYN_ERR_UNSUPPORTED);
    if (!strstr(syn_error_text(), reason)) fail_msg("%s: %s", variant, syn_error_text());
    device_problem_free(&p);
    problem_free(&cpu);
}

static void what_a_variant_cannot_do_is_said(void **state)
{
    skip_without_device();
    refuses(SYN_MATH_FP32, (shape){1, 1, 2, 128, .packed = false}, "block", "mixed precision");
    refuses(SYN_MATH_MIXED, (shape){1, 1, 2, 64, .packed = false}, "block", "width 128");
    refuses(SYN_MATH_FP32, (shape){1, 1, 2, 256, .packed = false}, "cluster", "mixed precision");
    refuses(SYN_MATH_MIXED, (shape){1, 1, 2, 128, .packed = false}, "cluster", "256 and 512");
    refuses(SYN_MATH_FP32, (shape){1, 1, 2, 512, .packed = false}, "wide", "mixed precision");
    assert_int_equal(syn_lstm_variant_set("fastest"), SYN_ERR_USAGE);
    assert_non_null(strstr(syn_error_text(), "fastest"));
}

/* What is preferred holds for the layers that can take it; the others go by auto. */
static void a_preference_gives_way(void **state)
{
    skip_without_device();
    const syn_lstm_layer wide = {512, 1, 8, 16, .resets = true};
    const syn_lstm_layer narrow = {128, 2, 8, 16, .packed = true};
    const syn_lstm_layer both[] = {narrow, wide};
    syn_ctx ctx;
    syn_lstm_variant variant;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CUDA, 1));
    ctx.math = SYN_MATH_MIXED;
    assert_ok(syn_lstm_variant_prefer("grid"));
    assert_ok(syn_lstm_variant_taken(&ctx, &narrow, &variant));
    assert_int_equal(variant, SYN_LSTM_GRID);
    assert_ok(syn_lstm_variant_prefer("block"));
    assert_ok(syn_lstm_variant_taken(&ctx, &narrow, &variant));
    assert_int_equal(variant, SYN_LSTM_BLOCK);
    assert_ok(syn_lstm_variant_taken(&ctx, &wide, &variant));
    assert_int_not_equal(variant, SYN_LSTM_BLOCK);
    assert_ok(syn_lstm_variant_check(&ctx, both, 2));

    problem cpu = problem_create((shape){2, 2, 3, 40, .packed = true}, 1);
    problem gpu = device_problem(&cpu, SYN_MATH_FP32);
    run(&cpu);
    run(&gpu);
    expect_problem(&FLOAT, &cpu, &gpu, "block, preferred in vain");
    device_problem_free(&gpu);
    problem_free(&cpu);

    /* Nobody can: resets, and packed sequences, are what cuDNN does not have. */
    assert_ok(syn_lstm_variant_prefer("cudnn"));
    assert_int_equal(syn_lstm_variant_check(&ctx, both, 2), SYN_ERR_UNSUPPORTED);
    assert_non_null(strstr(syn_error_text(), "width 128"));
    assert_non_null(strstr(syn_error_text(), "width 512"));
    ctx.math = SYN_MATH_FP32;
    assert_ok(syn_lstm_variant_prefer("block"));
    assert_int_equal(syn_lstm_variant_check(&ctx, both, 2), SYN_ERR_UNSUPPORTED);
    syn_ctx_free(&ctx);
}

/* By shape alone, as the rules say for a device like the one that is pretended. */
static void auto_takes_what_the_rules_say(void **state)
{
    skip_without_device();
#ifdef SYN_CUDA_EMULATED
    static const struct {
        syn_lstm_layer layer;
        syn_math math;
        syn_lstm_variant want;
    } CASES[] = {
        {{128, 2, 1024, 24, .packed = true}, SYN_MATH_MIXED, SYN_LSTM_BLOCK},
        {{512, 1, 1, 64, .packed = false}, SYN_MATH_MIXED, SYN_LSTM_CLUSTER},
        {{512, 1, 256, 64, .packed = false}, SYN_MATH_MIXED, SYN_LSTM_CLUSTER},
        {{512, 1, 257, 64, .packed = false}, SYN_MATH_MIXED, SYN_LSTM_WIDE},
        {{512, 1, 1024, 64, .backward = true}, SYN_MATH_MIXED, SYN_LSTM_CLUSTER},
        {{256, 2, 512, 64, .packed = false}, SYN_MATH_MIXED, SYN_LSTM_WIDE},
        {{512, 1, 64, 1, .packed = false}, SYN_MATH_MIXED, SYN_LSTM_STEP},
        {{512, 1, 16, 64, .packed = false}, SYN_MATH_FP32, SYN_LSTM_GRID},
        {{512, 1, 64, 64, .packed = false}, SYN_MATH_FP32, SYN_LSTM_GRID},
        {{512, 1, 64, 64, .backward = true}, SYN_MATH_FP32, SYN_LSTM_STEP},
        {{512, 1, 1024, 64, .packed = false}, SYN_MATH_FP32, SYN_LSTM_STEP},
        {{40, 1, 16, 8, .packed = false}, SYN_MATH_MIXED, SYN_LSTM_GRID},
    };
    syn_ctx ctx;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CUDA, 1));
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        syn_lstm_variant got;
        ctx.math = CASES[i].math;
        assert_ok(syn_lstm_variant_taken(&ctx, &CASES[i].layer, &got));
        if (got != CASES[i].want)
            fail_msg("case %zu: %s, not %s", i, syn_lstm_variant_name(got),
                     syn_lstm_variant_name(CASES[i].want));
    }
    syn_ctx_free(&ctx);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        lstm_test(auto_finds_a_way),
        lstm_test(what_a_variant_cannot_do_is_said),
        lstm_test(a_preference_gives_way),
        lstm_test(auto_takes_what_the_rules_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
