#include "benchmarks/report_axis.h"

#include <math.h>

double syn_nice_step(double least)
{
    const double power = pow(10, floor(log10(least)));
    const double m = least / power;
    return power * (m <= 1 + 1e-9 ? 1 : m <= 2 + 1e-9 ? 2 : m <= 5 + 1e-9 ? 5 : 10);
}

syn_axis syn_axis_fit(double low, double high, double pad, int ticks, double from, double to)
{
    if (!(high - low > 1e-9 * fmax(fabs(low), fabs(high)))) {
        low = low >= 0 ? fmax(low - pad, 0) : low - pad; /* what is never negative stays so */
        high += pad;
    }
    const double step = syn_nice_step((high - low) / ticks);
    return (syn_axis){
        step * floor(low / step + 1e-9), step * ceil(high / step - 1e-9), step, from, to, false};
}

int syn_axis_ticks(const syn_axis *a)
{
    return (int)fmin((a->high - a->low) / a->step + 1e-6, 20) + 1;
}
