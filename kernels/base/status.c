#include "kernels/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ERROR_BYTES_MAX = 1024 };

static _Thread_local char error_text[ERROR_BYTES_MAX];

syn_status syn_fail(syn_status code, const char *fmt, ...)
{
    char text[ERROR_BYTES_MAX]; /* the arguments may point into error_text */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    memcpy(error_text, text, sizeof text);
    return code;
}

syn_status syn_fail_within(syn_status code, const char *fmt, ...)
{
    char text[ERROR_BYTES_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n >= 0 && n < ERROR_BYTES_MAX) {
        snprintf(text + n, sizeof text - (size_t)n, ": %.*s", ERROR_BYTES_MAX - n - 3, error_text);
    }
    memcpy(error_text, text, sizeof text);
    return code;
}

const char *syn_error_text(void)
{
    return error_text;
}

const char *syn_status_text(syn_status code)
{
    switch (code) {
#define SYN_STATUS_CASE(name, text)                                                                \
    case SYN_##name:                                                                               \
        return text;
        SYN_STATUS_MAP(SYN_STATUS_CASE)
#undef SYN_STATUS_CASE
    }
    return "unknown status";
}
