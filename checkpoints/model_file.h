/* A model (engine/model.h) as a checkpoint. */
#ifndef SYN_CHECKPOINTS_MODEL_FILE_H
#define SYN_CHECKPOINTS_MODEL_FILE_H

#include "checkpoints/checkpoint.h"
#include "engine/model.h"

/* Saves all that the model has; with moments, also the control network's Adam state, so that training can
 * go on. config_json and provenance_json are stored as they are, under the model's own keys. */
SYN_WARN_UNUSED syn_status syn_model_save(const char *dir, const syn_model *m, bool moments,
                                          const char *config_json, const char *provenance_json);

/* Fills m (initialised here). config and provenance, where not NULL, receive the stored JSON texts
 * (free()). Moments are loaded where the file has them. */
SYN_WARN_UNUSED syn_status syn_model_load(syn_ctx *ctx, const char *dir, syn_model *m, char **config,
                                          char **provenance);

#endif
