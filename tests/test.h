/* What every test includes. */
#ifndef SYN_TESTS_TEST_H
#define SYN_TESTS_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/base/status.h"

/* Fails the test with the library's own sentence. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        syn_status assert_st_ = (call);                                                            \
        if (assert_st_ != SYN_OK) fail_msg("%s: %s", #call, syn_error_text());                     \
    } while (0)

/* Of texts; fail with the text, or with what begins at the part that should not be there. */
#define assert_has(text, part)                                                                     \
    do {                                                                                           \
        const char *assert_text_ = (text), *assert_part_ = (part);                                 \
        if (!strstr(assert_text_, assert_part_))                                                   \
            fail_msg("no \"%s\" in: %.4000s", assert_part_, assert_text_);                         \
    } while (0)
#define assert_lacks(text, part)                                                                   \
    do {                                                                                           \
        const char *assert_part_ = (part), *assert_found_ = strstr(text, assert_part_);            \
        if (assert_found_) fail_msg("\"%s\" in: %.200s", assert_part_, assert_found_);             \
    } while (0)

#endif
