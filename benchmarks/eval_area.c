#include "benchmarks/eval_area.h"

#include <math.h>
#include <stdlib.h>

/* By messages; of equal ones the best first, so that it beats the others. */
static int compare(const void *a, const void *b)
{
    const syn_trade *x = a, *y = b;
    if (x->messages != y->messages) return x->messages < y->messages ? -1 : 1;
    return (x->success < y->success) - (x->success > y->success);
}

/* Of the line from a to b, the part within [0, most]. */
static double under(syn_trade a, syn_trade b, double most)
{
    if (a.messages >= most) return 0;
    if (b.messages > most) {
        b.success =
            a.success + (b.success - a.success) * (most - a.messages) / (b.messages - a.messages);
        b.messages = most;
    }
    return (b.messages - a.messages) * (a.success + b.success) / 2;
}

double syn_trade_area(syn_trade *point, int n, double most)
{
    if (n < 1 || !(most > 0)) return NAN;
    qsort(point, (size_t)n, sizeof *point, compare);
    syn_trade at = point[0];
    double area = 0;
    for (int k = 1; k < n; k++) {
        if (point[k].success <= at.success) continue;
        area += under(at, point[k], most);
        at = point[k];
    }
    return (area + under(at, (syn_trade){most, at.success}, most)) / most;
}
