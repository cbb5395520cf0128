#!/usr/bin/env bash
# tests/lite/cmocka.h tells the same as cmocka: the same program, compiled with either, is counted alike.
set -euo pipefail
root=$PWD
command -v cc >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >program.c <<'END'
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static int alive; /* what set-ups have made and tear-downs not yet freed */
static int up(void **state) { *state = &alive; alive++; return 0; }
static int down(void **state) { alive--; return 0; }
static int broken(void **state) { return -1; }

static void passes(void **state)
{
    const char *none = NULL;
    float f = 1;
    assert_true(1);
    assert_false(0);
    assert_null(none);
    assert_non_null(&f);
    assert_ptr_equal(&f, &f);
    assert_int_equal(-3, -3);
    assert_int_not_equal(1, 2);
    assert_in_range(5, 5, 6);
    assert_float_equal(f, 1.0001, 1e-3);
    assert_string_equal("a", "a");
    assert_string_not_equal("a", "b");
    assert_memory_equal("ab", "ac", 1);
    assert_memory_not_equal("ab", "ac", 2);
}
static void sees_the_state(void **state) { assert_ptr_equal(*state, &alive); assert_int_equal(alive, 1); }
static void is_skipped(void **state) { skip(); }
static void fails(void **state) { fail_msg("%d is %s", 1, "wrong"); }
static void compares(void **state) { assert_int_equal(1, 2); }
static void is_out_of_range(void **state) { assert_in_range(7, 5, 6); }
static void is_far(void **state) { assert_float_equal(1.0, 1.1, 1e-3); }
static void is_other(void **state) { assert_memory_equal("ab", "ac", 2); }
static void never_runs(void **state) { printf("never\n"); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes),
        cmocka_unit_test_setup_teardown(sees_the_state, up, down),
        cmocka_unit_test(is_skipped),
        cmocka_unit_test(fails),
        cmocka_unit_test_setup_teardown(compares, up, down),
        cmocka_unit_test(is_out_of_range),
        cmocka_unit_test(is_far),
        cmocka_unit_test(is_other),
#ifdef BROKEN
        cmocka_unit_test_setup_teardown(never_runs, broken, down),
#endif
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("returned %d, alive %d\n", failed, alive > 0);
    return failed;
}
END

# NAME FLAGS...: what ctest would have kept of the program, counted.
count() {
    local name=$1 status=0
    shift
    cc -std=gnu11 -w program.c -o "$name" "$@"
    "./$name" >"$name.out" 2>&1 || status=$?
    { echo "1/1 Testing: $name"; cat "$name.out"; echo "Test Failed."; } >"$name.log"
    echo printed >"$name.printed"
    "$root/dev" count "$folder/$name.printed" "$folder/$name.log" | tail -n 1 || true
    echo "exit $status; $(grep -o 'returned.*' "$name.out")"
}

expect() { # what is expected, of whom, what was said
    [ "$1" = "$3" ] || { echo "$2 says: $3"; cat "$2.out"; exit 1; }
}
expect '2 passed, 5 failed, 1 skipped
exit 5; returned 5, alive 0' lite "$(count lite -I"$root/tests/lite" -lm)"
# cmocka leaves a test whose set-up fails out of its count; here it has failed.
expect '2 passed, 6 failed, 1 skipped
exit 6; returned 6, alive 0' broken "$(count broken -DBROKEN -I"$root/tests/lite" -lm)"
! grep -q '^never' broken.out || { echo "a test ran after its set-up had failed"; exit 1; }
if printf '#include <stdarg.h>\n#include <stddef.h>\n#include <setjmp.h>\n#include <stdint.h>\n#include <cmocka.h>\n' | cc -E - >/dev/null 2>&1; then
    expect '2 passed, 5 failed, 1 skipped
exit 5; returned 5, alive 0' real "$(count real -lcmocka)"
fi
