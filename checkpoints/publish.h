/* What leaves a store: copies of one version for use. Private to this folder and its command. */
#ifndef SYN_CHECKPOINTS_PUBLISH_H
#define SYN_CHECKPOINTS_PUBLISH_H

#include "checkpoints/checkpoint.h"

/* Makes the folder `target` a copy of one version of `dir` (which: as in
 * syn_checkpoint_open_version) without what only serves training (model_file.h). It is written
 * beside, loaded as a check, and put in place by one rename; a former deployment is replaced by it.
 * Errors: the checkpoint's; SYN_ERR_FORMAT when the version is damaged (no other one stands in for
 * it); SYN_ERR_INVALID when `target` is there and is no deployment. *version, where not NULL: which
 * one it is. */
SYN_WARN_UNUSED syn_status syn_publish_deploy(const char *dir, const char *which,
                                              const char *target, int64_t *version);

/* Writes the tensors that a deployment would have as a safetensors file, with config, metrics and
 * provenance in its metadata. Errors as above. */
SYN_WARN_UNUSED syn_status syn_publish_safetensors(const char *dir, const char *which,
                                                   const char *file, int64_t *version);

#endif
