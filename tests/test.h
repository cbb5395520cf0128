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

#endif
