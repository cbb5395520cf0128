/* Which decider a collaboration gets. */
#ifndef SYN_SERVE_DECIDER_H
#define SYN_SERVE_DECIDER_H

#include "serve/round.h"

/* The networks of the checkpoint in this folder; NULL: the cosine-threshold rule. Errors: the
 * checkpoint's own, and SYN_ERR_UNSUPPORTED for one without a trained policy. */
SYN_WARN_UNUSED syn_status syn_decider_open(const char *checkpoint, syn_decider *out);
void syn_decider_close(syn_decider *decider);

#endif
