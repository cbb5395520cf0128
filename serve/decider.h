/* Who decides for all collaborations of a process: the networks of one checkpoint behind a scorer's
 * queue, where the questions of all collaborations meet in batches, or the cosine-threshold rule.
 *
 * Any number of collaborations at a time. With the networks each takes one of the scorer's slots
 * for its message phases, and between them keeps no more than the state encoder's memory; where all
 * slots are taken the next ones wait in line, pending, each under its own deadline. The first look
 * of a phase is afresh (engine/syncog.h). A sixteenth of the slots is left to others who use the
 * queue. A slot that has never been taken costs no memory on the CPU. */
#ifndef SYN_SERVE_DECIDER_H
#define SYN_SERVE_DECIDER_H

#include <stddef.h>

#include "engine/scorer_queue.h"
#include "serve/round.h"

enum { SYN_DECIDERS_SLOTS = 320 }; /* phases at a time, by default: more than fill the batches */

typedef struct syn_deciders syn_deciders;

/* The networks of the checkpoint in this folder; NULL: the rule. queue: of the scorer, NULL: its
 * defaults with SYN_DECIDERS_SLOTS slots. Errors: the checkpoint's own, and SYN_ERR_UNSUPPORTED for
 * one without a trained policy.
 */
SYN_WARN_UNUSED syn_status syn_deciders_open(const char *checkpoint,
                                             const syn_scorer_queue_options *queue,
                                             syn_deciders **out);
/* No decider of it is left. NULL is allowed. */
void syn_deciders_close(syn_deciders *d);

const char *syn_deciders_policy(const syn_deciders *d);      /* "trained" or "rule" */
syn_scorer_queue *syn_deciders_queue(const syn_deciders *d); /* NULL for the rule */
const syn_model *syn_deciders_model(const syn_deciders *d);  /* NULL for the rule */
/* SHA-256 (hex) of the checkpoint's tensors, as checkpoints/checkpoint.h has it; NULL for the rule.
 */
const char *syn_deciders_weights(const syn_deciders *d);

/* A decider for one collaboration; any thread. Where its answer is pending, `wake` is called once
 * it is there, on any thread, perhaps before observe has returned: it has the round ticked on its
 * own thread, and takes no lock that is held around a call of the decider. */
SYN_WARN_UNUSED syn_status syn_decider_make(syn_deciders *d, void (*wake)(void *user), void *user,
                                            syn_decider *out);
/* On the thread that asks it. `wake` is not called after this returns, or while it is called.
 * Zeroed and NULL are allowed. */
void syn_decider_free(syn_decider *decider);

/* Where the networks of a newcomer are: CHECKPOINT_DIR when it is a store or a deployment, else
 * CHECKPOINT_DIR/best, else what './dev demo' trained in this folder; NULL when there is none of
 * them: the rule then decides. `path` (bytes): scratch for the name. */
const char *syn_decider_default(char *path, size_t bytes);

#endif
