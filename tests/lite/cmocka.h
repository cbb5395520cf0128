/* What our tests use of cmocka, for machines that do not have it: same names, same lines of output.
 * A test that fails is left by longjmp; a program exits with the number of its failed tests. */
#ifndef SYN_TESTS_LITE_CMOCKA_H
#define SYN_TESTS_LITE_CMOCKA_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
    const char *name;
    void (*test_func)(void **state);
    CMFixtureFunction setup_func, teardown_func;
    void *initial_state;
};

enum { LITE_FAILED = 1, LITE_SKIPPED = 2, LITE_TESTS_MAX = 256 };

static jmp_buf lite_leave;

#define cmocka_unit_test(f)                                                                        \
    {                                                                                              \
#        f, f, NULL, NULL, NULL                                                                    \
    }
#define cmocka_unit_test_setup(f, up) {#f, f, up, NULL, NULL}
#define cmocka_unit_test_teardown(f, down) {#f, f, NULL, down, NULL}
#define cmocka_unit_test_setup_teardown(f, up, down)                                               \
    {                                                                                              \
#        f, f, up, down, NULL                                                                      \
    }

#define print_message(...) printf(__VA_ARGS__)
#define print_error(...)   fprintf(stderr, __VA_ARGS__)

#define skip() longjmp(lite_leave, LITE_SKIPPED)
#define fail() fail_msg("failed")
#define fail_msg(...)                                                                              \
    do {                                                                                           \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, "\n%s:%d: error: Failure!\n", __FILE__, __LINE__);                         \
        longjmp(lite_leave, LITE_FAILED);                                                          \
    } while (0)

#define LITE_HOLDS(good, text)                                                                     \
    do {                                                                                           \
        if (!(good)) fail_msg("%s", text);                                                         \
    } while (0)
#define assert_true(x)         LITE_HOLDS(x, #x)
#define assert_false(x)        LITE_HOLDS(!(x), "not: " #x)
#define assert_null(p)         LITE_HOLDS(!(p), "NULL: " #p)
#define assert_non_null(p)     LITE_HOLDS(p, "not NULL: " #p)
#define assert_ptr_equal(a, b) LITE_HOLDS((const void *)(a) == (const void *)(b), #a " == " #b)
#define LITE_COMPARE(a, op, b)                                                                     \
    do {                                                                                           \
        const long long lite_a = (long long)(a), lite_b = (long long)(b);                          \
        if (!(lite_a op lite_b)) fail_msg("%lld " #op " %lld: %s, %s", lite_a, lite_b, #a, #b);    \
    } while (0)
#define assert_int_equal(a, b)     LITE_COMPARE(a, ==, b)
#define assert_int_not_equal(a, b) LITE_COMPARE(a, !=, b)
#define assert_in_range(x, low, high)                                                              \
    LITE_HOLDS((uint64_t)(x) >= (uint64_t)(low) && (uint64_t)(x) <= (uint64_t)(high),              \
               #x " in " #low ".." #high)
#define assert_float_equal(a, b, eps)                                                              \
    LITE_HOLDS(fabs((double)(a) - (double)(b)) <= (eps), #a " = " #b)
#define assert_string_equal(a, b)        LITE_HOLDS(strcmp((a), (b)) == 0, #a " = " #b)
#define assert_string_not_equal(a, b)    LITE_HOLDS(strcmp((a), (b)) != 0, #a " != " #b)
#define assert_memory_equal(a, b, bytes) LITE_HOLDS(memcmp((a), (b), (bytes)) == 0, #a " = " #b)
#define assert_memory_not_equal(a, b, bytes)                                                       \
    LITE_HOLDS(memcmp((a), (b), (bytes)) != 0, #a " != " #b)

/* 0, LITE_FAILED or LITE_SKIPPED. */
static inline int lite_run(const struct CMUnitTest *t)
{
    void *state = t->initial_state;
    volatile int verdict = 0;
    if (t->setup_func && t->setup_func(&state) != 0) return LITE_FAILED;
    verdict = setjmp(lite_leave);
    if (verdict == 0) t->test_func(&state);
    if (t->teardown_func && t->teardown_func(&state) != 0) return LITE_FAILED;
    return verdict;
}

static inline void lite_list(const char *word, const struct CMUnitTest *t, const int *verdict,
                             int count, int which)
{
    int n = 0;
    for (int i = 0; i < count; i++) n += verdict[i] == which;
    if (n) fprintf(stderr, "[  %s ] %d test(s), listed below:\n", word, n);
    for (int i = 0; i < count; i++)
        if (verdict[i] == which) fprintf(stderr, "[  %s ] %s\n", word, t[i].name);
}

static inline int lite_group(const char *group, const struct CMUnitTest *t, int count,
                             CMFixtureFunction setup, CMFixtureFunction teardown)
{
    int verdict[LITE_TESTS_MAX] = {0}, passed = 0, failed = 0;
    void *state = NULL;
    fprintf(stderr, "[==========] %s: Running %d test(s).\n", group, count);
    if (count > LITE_TESTS_MAX || (setup && setup(&state) != 0)) {
        fprintf(stderr, "[  FAILED  ] GROUP SETUP\n");
        return count;
    }
    for (int i = 0; i < count; i++) {
        struct CMUnitTest one = t[i];
        one.initial_state = state;
        fprintf(stderr, "[ RUN      ] %s\n", one.name);
        verdict[i] = lite_run(&one);
        passed += verdict[i] == 0;
        failed += verdict[i] == LITE_FAILED;
        fprintf(stderr, "%s %s\n",
                verdict[i] == 0             ? "[       OK ]"
                : verdict[i] == LITE_FAILED ? "[  FAILED  ]"
                                            : "[  SKIPPED ]",
                one.name);
    }
    if (teardown && teardown(&state) != 0) {
        fprintf(stderr, "[  FAILED  ] GROUP TEARDOWN\n");
        failed++;
    }
    fprintf(stderr, "[==========] %s: %d test(s) run.\n", group, count);
    fprintf(stderr, "[  PASSED  ] %d test(s).\n", passed);
    lite_list("SKIPPED", t, verdict, count, LITE_SKIPPED);
    lite_list("FAILED ", t, verdict, count, LITE_FAILED);
    return failed;
}

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    lite_group(#tests, tests, (int)(sizeof(tests) / sizeof(tests)[0]), setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    lite_group(name, tests, (int)(sizeof(tests) / sizeof(tests)[0]), setup, teardown)

#endif
