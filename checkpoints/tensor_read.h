/* Reads what syn_safetensors_write has written, with libc alone: for machines that have neither a
 * JSON library nor HDF5. The header is taken only in that form: an object of objects with "dtype",
 * "shape" and "data_offsets", and texts without escapes under "__metadata__", which are skipped. */
#ifndef SYN_CHECKPOINTS_TENSOR_READ_H
#define SYN_CHECKPOINTS_TENSOR_READ_H

#include <stdio.h>

#include "checkpoints/checkpoint.h"

enum {
    SYN_TENSOR_FILE_MAX = 512,            /* tensors */
    SYN_TENSOR_FILE_HEADER_MAX = 1 << 20, /* bytes */
};

typedef struct syn_tensor_file {
    FILE *file;
    char *header; /* the names lie in it */
    int count;
    syn_tensor item[SYN_TENSOR_FILE_MAX]; /* data NULL */
    int64_t begin[SYN_TENSOR_FILE_MAX];   /* in the file */
} syn_tensor_file;

/* Opens a file and checks its header: types, shapes and offsets agree with each other and with the
 * size of the file. Errors, after which nothing is open: SYN_ERR_IO, SYN_ERR_FORMAT (the sentence
 * names the byte or the tensor), SYN_ERR_LIMIT, SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_tensor_file_open(syn_tensor_file *f, const char *path);
void syn_tensor_file_close(syn_tensor_file *f);

/* NULL when there is none. */
const syn_tensor *syn_tensor_file_find(const syn_tensor_file *f, const char *name);

/* A tensor of this name, type and shape is there, and so are its bytes: what is checked before
 * memory is taken for it. want->data is not looked at. SYN_ERR_FORMAT. */
SYN_WARN_UNUSED syn_status syn_tensor_file_has(const syn_tensor_file *f, const syn_tensor *want);

/* Fills want->data; a tensor of its name, type and shape must be there. SYN_ERR_FORMAT, SYN_ERR_IO.
 */
SYN_WARN_UNUSED syn_status syn_tensor_file_read(const syn_tensor_file *f, const syn_tensor *want);

#endif
