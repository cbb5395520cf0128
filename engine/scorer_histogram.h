/* Times counted by their size: sixteen classes for every doubling, from a nanosecond up, so that a
 * quantile is at most a sixteenth too large. One writer and its readers share a lock of theirs. */
#ifndef SYN_ENGINE_SCORER_HISTOGRAM_H
#define SYN_ENGINE_SCORER_HISTOGRAM_H

#include <stdint.h>

enum { SYN_HISTOGRAM_PARTS = 16, SYN_HISTOGRAM_CLASSES = 44 * SYN_HISTOGRAM_PARTS };

/* All zero: nothing counted. Class c holds what is less than syn_histogram_edge_s(c) and not less
 * than the edge before; the last one all that is longer (a few hours). */
typedef struct syn_histogram {
    uint64_t count;
    double sum_s;
    uint64_t classes[SYN_HISTOGRAM_CLASSES];
} syn_histogram;

void syn_histogram_add(syn_histogram *h, double seconds);
double syn_histogram_edge_s(int c);
/* The edge that a share q (0 to 1) of the times is below; 0 where there are none. */
double syn_histogram_quantile_s(const syn_histogram *h, double q);

#endif
