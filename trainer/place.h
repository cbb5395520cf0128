/* The folders that pretrain and train begin with, go on in and save into: what is wrong with them
 * is said before the work, in a sentence that says what to do. */
#ifndef SYN_TRAINER_PLACE_H
#define SYN_TRAINER_PLACE_H

#include <stdbool.h>

#include "checkpoints/checkpoint.h"

/* Whether a command that begins anew may save into `out`: it holds nothing yet, or `overwrite`
 * allows to replace what it holds, and `init` (NULL: none) is not part of that. train: the sentence
 * speaks of --resume. *replaces: there is something to replace. SYN_ERR_IO, SYN_ERR_FORMAT. */
SYN_WARN_UNUSED syn_status syn_place_begin(const char *out, const char *init, bool overwrite,
                                           bool train, bool *replaces);

/* Opens what --init names: a store's best version, or else its latest. SYN_ERR_IO, and those of
 * syn_checkpoint_open. */
SYN_WARN_UNUSED syn_status syn_place_open_init(const char *init, syn_checkpoint **cp);

/* Opens the latest version in `out`, for --resume. */
SYN_WARN_UNUSED syn_status syn_place_open_run(const char *out, syn_checkpoint **cp);

#endif
