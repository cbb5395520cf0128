/* A model (engine/model.h) as a checkpoint. */
#ifndef SYN_CHECKPOINTS_MODEL_FILE_H
#define SYN_CHECKPOINTS_MODEL_FILE_H

#include "checkpoints/checkpoint.h"
#include "engine/model.h"

/* Saves all that the model has as a new version; with moments, also the control network's Adam
 * state. resume, where not NULL: what else a run needs to go on; each name begins with
 * SYN_RESUME_PREFIX, the others are SYN_ERR_INVALID. facts (NULL: all zero) as for
 * syn_checkpoint_save, its config_json stands under "config" in the version's. What is in dir stays
 * whole when this fails. Errors: the checkpoint's; SYN_ERR_NUMERIC for weights that are not finite.
 */
SYN_WARN_UNUSED syn_status syn_model_save(const char *dir, const syn_model *m, bool moments,
                                          const syn_save_facts *facts, const syn_tensors *resume);

/* Fills m (initialised here) from an open checkpoint. Moments are loaded where it has them; what
 * stands under SYN_RESUME_PREFIX is left to syn_checkpoint_read. On an error m is empty and nothing
 * is to be freed. Errors: the checkpoint's, SYN_ERR_FORMAT for one that holds no model. */
SYN_WARN_UNUSED syn_status syn_model_read(syn_ctx *ctx, const syn_checkpoint *cp, syn_model *m);

/* The config_json that the model was saved with (free()); NULL when there is none. */
char *syn_model_config(const syn_checkpoint *cp);

/* syn_checkpoint_open, then syn_model_read. config and provenance, where not NULL, receive the
 * stored JSON texts (free()); *config is NULL where there is none. */
SYN_WARN_UNUSED syn_status syn_model_load(syn_ctx *ctx, const char *dir, syn_model *m,
                                          char **config, char **provenance);

/* ---- What a model needs once it is trained ---- */

/* Whether a tensor only serves training: moments, the cross-fitted parts, what a run resumes from.
 */
bool syn_model_tensor_trains(const char *name);

/* The version's config for a copy without those (free()); SYN_ERR_FORMAT for no model. */
SYN_WARN_UNUSED syn_status syn_model_deployed_config(const syn_checkpoint *cp, char **config);

#endif
