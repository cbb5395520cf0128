/* Inputs drawn at random and what the networks of a model answer to them: a translation into
 * another framework is right when it answers the same. Private to this folder and its command. */
#ifndef SYN_CHECKPOINTS_SAMPLE_H
#define SYN_CHECKPOINTS_SAMPLE_H

#include "checkpoints/checkpoint.h"

/* Writes FILE (safetensors) for one version of `dir` (which: as in syn_checkpoint_open_version):
 * the tensors "in.*" and "out.*" listed in sample.c. Equal versions give equal files. Networks that
 * the model does not have are left out. Errors: the model's and the file's. */
SYN_WARN_UNUSED syn_status syn_sample_write(const char *dir, const char *which, const char *file);

#endif
