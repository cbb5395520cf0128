/* The axes of a report's drawings. */
#ifndef SYN_BENCHMARKS_REPORT_AXIS_H
#define SYN_BENCHMARKS_REPORT_AXIS_H

#include <stdbool.h>

typedef struct syn_axis {
    double low, high, step; /* of the values, or of their logarithms */
    double from, to;        /* pixels */
    bool log;
} syn_axis;

/* 1, 2 or 5 times a power of ten: the smallest that is at least `least` > 0. */
double syn_nice_step(double least);

/* Whole steps around low..high, about `ticks` of them, each 1, 2 or 5 times a power of ten. A range
 * of nothing is widened by `pad` > 0 on either side, though not from 0 or above to below it. */
syn_axis syn_axis_fit(double low, double high, double pad, int ticks, double from, double to);

/* Ticks stand at low + i step, i below this; at most 21. */
int syn_axis_ticks(const syn_axis *a);

#endif
