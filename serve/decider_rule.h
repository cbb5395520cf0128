/* The decider without a checkpoint: a threshold on tf-idf cosines. */
#ifndef SYN_SERVE_DECIDER_RULE_H
#define SYN_SERVE_DECIDER_RULE_H

#include "serve/round.h"

/* Sends the item with the largest cosine to the question that the asker does not hold to the asker,
 * while the cosine is at least `threshold`; then ANSWER. For a consensus the best item that not
 * everybody holds is broadcast. The gap of an agent is the share of the cosine mass, over items
 * above the threshold, that it does not hold: a score, said to be from the rule wherever it is
 * shown. Where an action must be chosen and no end is legal, the best item is sent whatever its
 * cosine. Deterministic. syn_decider_rule_free releases `user`. */
SYN_WARN_UNUSED syn_status syn_decider_rule(double threshold, syn_decider *out);
void syn_decider_rule_free(syn_decider *decider);

#define SYN_RULE_THRESHOLD 0.1

#endif
