/* Tensors to and from an HDF5 file that lives in memory: HDF5 never touches the disk, so that a
 * full disk, a kill or a damaged file meets our code first. The only source that includes HDF5
 * here. */
#ifndef SYN_CHECKPOINTS_WEIGHTS_H
#define SYN_CHECKPOINTS_WEIGHTS_H

#include <stddef.h>

#include "checkpoints/checkpoint.h"

/* image: malloc'd. created and config_json become attributes of the root. */
SYN_WARN_UNUSED syn_status syn_weights_encode(const syn_tensor *tensors, int count,
                                              const char *created, const char *config_json,
                                              unsigned char **image, size_t *bytes);

typedef struct syn_weights syn_weights;

/* Copies the image, which must have been verified before. `where` begins sentences and is kept. */
SYN_WARN_UNUSED syn_status syn_weights_open(const char *where, const unsigned char *image,
                                            size_t bytes, syn_weights **out);
/* Checks that the dataset is what `tensor` says; reads it into tensor->data unless that is NULL. */
SYN_WARN_UNUSED syn_status syn_weights_read(const syn_weights *w, const syn_tensor *tensor);
/* Datasets in the file. */
int syn_weights_count(const syn_weights *w);
void syn_weights_close(syn_weights *w);

#endif
