#include "trainer/spikes.h"

static const double SPIKE_RATIO = 10;

bool syn_spikes_add(syn_spikes *s, double norm)
{
    const int64_t kept = s->seen < SYN_SPIKES_WINDOW ? s->seen : SYN_SPIKES_WINDOW;
    double largest = 0;
    for (int64_t k = 0; k < kept; k++) largest = s->norm[k] > largest ? s->norm[k] : largest;
    if (kept >= SYN_SPIKES_SEEN_MIN && norm > SPIKE_RATIO * largest) {
        s->count++;
        return true;
    }
    s->norm[s->seen++ % SYN_SPIKES_WINDOW] = norm;
    return false;
}
