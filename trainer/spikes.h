/* Gradient-norm spikes: an update whose norm is more than ten times the largest of the last hundred
 * updates (a spike itself is not among them). */
#ifndef SYN_TRAINER_SPIKES_H
#define SYN_TRAINER_SPIKES_H

#include <stdbool.h>
#include <stdint.h>

enum { SYN_SPIKES_WINDOW = 100, SYN_SPIKES_SEEN_MIN = 10 };

/* All zero: nothing seen. */
typedef struct syn_spikes {
    double norm[SYN_SPIKES_WINDOW]; /* of the last updates, in a ring */
    int64_t seen, count;            /* updates in the ring ever, and spikes */
} syn_spikes;

/* True for a spike, which is counted. Never one among the first SYN_SPIKES_SEEN_MIN. */
bool syn_spikes_add(syn_spikes *s, double norm);

#endif
