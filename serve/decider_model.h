/* The decider that runs the trained networks, through engine/syncog.h. */
#ifndef SYN_SERVE_DECIDER_MODEL_H
#define SYN_SERVE_DECIDER_MODEL_H

#include "serve/round.h"

/* Opens the checkpoint in folder `dir`; errors are the checkpoint's, and SYN_ERR_UNSUPPORTED for
 * one without a trained policy. One collaboration at a time. */
SYN_WARN_UNUSED syn_status syn_decider_model(const char *dir, syn_decider *out);
void syn_decider_model_free(syn_decider *decider);

#endif
