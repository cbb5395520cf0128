/* The deciders that ask the trained networks, all through one scorer's queue. serve/decider.h is
 * what everybody else includes, and says what these do. */
#ifndef SYN_SERVE_DECIDER_MODEL_H
#define SYN_SERVE_DECIDER_MODEL_H

#include "engine/scorer_queue.h"
#include "serve/round.h"

typedef struct syn_minds syn_minds;

SYN_WARN_UNUSED syn_status syn_minds_open(const char *checkpoint,
                                          const syn_scorer_queue_options *queue, syn_minds **out);
void syn_minds_close(syn_minds *minds); /* NULL is allowed */
syn_scorer_queue *syn_minds_queue(const syn_minds *minds);
const char *syn_minds_weights(const syn_minds *minds);
const syn_model *syn_minds_model(const syn_minds *minds);

SYN_WARN_UNUSED syn_status syn_mind_make(syn_minds *minds, void (*wake)(void *user), void *user,
                                         syn_decider *out);
void syn_mind_free(syn_decider *decider);

#endif
