/* Which decider a collaboration gets. */
#ifndef SYN_SERVE_DECIDER_H
#define SYN_SERVE_DECIDER_H

#include <stddef.h>

#include "serve/round.h"

/* The networks of the checkpoint in this folder; NULL: the cosine-threshold rule. Errors: the
 * checkpoint's own, and SYN_ERR_UNSUPPORTED for one without a trained policy. */
SYN_WARN_UNUSED syn_status syn_decider_open(const char *checkpoint, syn_decider *out);
/* Where the networks of a newcomer are: CHECKPOINT_DIR when it is a store or a deployment, else
 * CHECKPOINT_DIR/best, else what './dev demo' trained in this folder; NULL when there is none of
 * them: the rule then decides. `path` (bytes): scratch for the name. */
const char *syn_decider_default(char *path, size_t bytes);

void syn_decider_close(syn_decider *decider);

#endif
