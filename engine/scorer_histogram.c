#include "engine/scorer_histogram.h"

enum { PARTS_LOG = 4 };
_Static_assert(1 << PARTS_LOG == SYN_HISTOGRAM_PARTS, "the parts of a doubling");

/* Nanoseconds below 16 are classes of their own; above, exponent and the four bits that follow. */
static int class_of(double seconds)
{
    const double ns = seconds * 1e9;
    if (!(ns > 0)) return 0;
    const uint64_t n = ns < 9e18 ? (uint64_t)ns : UINT64_MAX;
    if (n < SYN_HISTOGRAM_PARTS) return (int)n;
    const int exponent = 63 - __builtin_clzll(n);
    const int part = (int)(n >> (exponent - PARTS_LOG)) - SYN_HISTOGRAM_PARTS;
    const int c = (exponent - PARTS_LOG + 1) * SYN_HISTOGRAM_PARTS + part;
    return c < SYN_HISTOGRAM_CLASSES ? c : SYN_HISTOGRAM_CLASSES - 1;
}

void syn_histogram_add(syn_histogram *h, double seconds)
{
    h->count++;
    h->sum_s += seconds > 0 ? seconds : 0;
    h->classes[class_of(seconds)]++;
}

double syn_histogram_edge_s(int c)
{
    const int next = c + 1; /* an edge is where the next class begins */
    if (next < SYN_HISTOGRAM_PARTS) return next * 1e-9;
    const int doublings = next / SYN_HISTOGRAM_PARTS - 1;
    const int part = next % SYN_HISTOGRAM_PARTS + SYN_HISTOGRAM_PARTS;
    return (double)((uint64_t)part << doublings) * 1e-9;
}

double syn_histogram_quantile_s(const syn_histogram *h, double q)
{
    uint64_t seen = 0;
    if (h->count == 0) return 0;
    for (int c = 0; c < SYN_HISTOGRAM_CLASSES; c++) {
        seen += h->classes[c];
        if (seen > 0 && (double)seen >= q * (double)h->count) return syn_histogram_edge_s(c);
    }
    return syn_histogram_edge_s(SYN_HISTOGRAM_CLASSES - 1);
}
