/* A model (engine/model.h) as a checkpoint. */
#ifndef SYN_CHECKPOINTS_MODEL_FILE_H
#define SYN_CHECKPOINTS_MODEL_FILE_H

#include "checkpoints/checkpoint.h"
#include "engine/model.h"

/* Saves all that the model has; with moments, also the control network's Adam state, so that
 * training can go on. config_json (NULL: {}) stands under "config", provenance_json where every
 * checkpoint has it. What is in dir stays whole when this fails. Errors: the checkpoint's;
 * SYN_ERR_NUMERIC for weights that are not finite. */
SYN_WARN_UNUSED syn_status syn_model_save(const char *dir, const syn_model *m, bool moments,
                                          const char *config_json, const char *provenance_json);

/* Fills m (initialised here). config and provenance, where not NULL, receive the stored JSON texts
 * (free()); *config is NULL where there is none. Moments are loaded where the file has them. On an
 * error m is empty and nothing is to be freed. Errors: the checkpoint's, SYN_ERR_FORMAT for one
 * that holds no model. */
SYN_WARN_UNUSED syn_status syn_model_load(syn_ctx *ctx, const char *dir, syn_model *m,
                                          char **config, char **provenance);

#endif
