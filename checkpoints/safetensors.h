/* The safetensors format: 8 bytes of header length, a JSON header, the tensors' bytes, all
 * little-endian; any program reads it without running code. Layout and rules: the format section of
 * huggingface/safetensors. checkpoints/tensor_read.h reads them without a JSON library. */
#ifndef SYN_CHECKPOINTS_SAFETENSORS_H
#define SYN_CHECKPOINTS_SAFETENSORS_H

#include <jansson.h>

#include "checkpoints/checkpoint.h"

/* Writes FILE, which appears whole or not at all and takes the place of an older one. metadata: an
 * object of texts, or NULL. The data begins at a multiple of 8 bytes and the widest types come
 * first, so that every tensor is aligned to its own width without a gap. Errors: SYN_ERR_INVALID
 * (tensors, as for a checkpoint), SYN_ERR_IO, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_safetensors_write(const char *file, const syn_tensors *tensors,
                                                 const json_t *metadata);

#endif
