/* When somebody was admitted, and whether that was within burst + rate * t in every interval t. */
#ifndef SYN_TESTS_SERVE_ADMISSIONS_H
#define SYN_TESTS_SERVE_ADMISSIONS_H

#include "tests/test.h"

typedef struct admissions {
    int64_t per_minute, burst, count, room;
    int64_t *us;
} admissions;

static inline admissions admissions_of(int64_t per_minute, int64_t burst)
{
    return (admissions){.per_minute = per_minute, .burst = burst};
}

static inline void admissions_free(admissions *a)
{
    free(a->us);
}

static inline void admissions_add(admissions *a, int64_t us)
{
    if (a->count == a->room) {
        a->room = a->room ? 2 * a->room : 1024;
        a->us = realloc(a->us, (size_t)a->room * sizeof *a->us);
        if (!a->us) abort();
    }
    a->us[a->count++] = us;
}

static inline int compare_us(const void *x, const void *y)
{
    const int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

/* For all i <= j: (j - i + 1) tokens <= burst + rate * (us[j] - us[i]), in whole units. */
static inline void admissions_check(admissions *a)
{
    const int64_t token = 60000000;
    if (!a->count) return;
    qsort(a->us, (size_t)a->count, sizeof *a->us, compare_us);
    const int64_t zero = a->us[0];
    int64_t lowest = INT64_MAX;
    for (int64_t j = 0; j < a->count; j++) {
        const int64_t at = j * token - (a->us[j] - zero) * a->per_minute;
        if (at < lowest) lowest = at;
        if (at - lowest + token > a->burst * token)
            fail_msg("admission %lld of %lld is %lld units above the bound", (long long)j,
                     (long long)a->count, (long long)(at - lowest + token - a->burst * token));
    }
}

#endif
