/* Tf-idf cosines among a handful of texts; idf comes from these texts themselves. For choosing
 * pieces and for the rule decider; the networks have their own idf, which travels with the
 * checkpoint. */
#ifndef SYN_SERVE_SIMILAR_H
#define SYN_SERVE_SIMILAR_H

#include "kernels/base/status.h"

/* cosine[k] of text k with the question, texts being titles[k] (may be NULL or "") and bodies[k].
 * Function words have no weight. Every cosine is 0 where the question has no other words.
 * Errors: SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_similar_to(const char *question, const char *const *titles,
                                          const char *const *bodies, int count, double *cosine);

/* cosine[a * count + b] between all pairs; the diagonal is 1, or 0 for a text without words. */
SYN_WARN_UNUSED syn_status syn_similar_pairs(const char *const *bodies, int count, double *cosine);

#endif
