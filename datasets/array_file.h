/* Arrays that grow by rows, in one HDF5 file that appears whole or not at all: what is handed to
 * programs that are not ours (h5py reads it as it is). Not the cache: nothing here is read back. */
#ifndef SYN_DATASETS_ARRAY_FILE_H
#define SYN_DATASETS_ARRAY_FILE_H

#include <stdint.h>

#include "kernels/base/status.h"

enum { SYN_ARRAYS_MAX = 32 };

typedef enum syn_array_type {
    SYN_ARRAY_U8,
    SYN_ARRAY_I32,
    SYN_ARRAY_I64,
    SYN_ARRAY_F32
} syn_array_type;

typedef struct syn_array {
    const char *path; /* "states/label"; groups are made as needed */
    syn_array_type type;
    int width; /* 1: rank one; else the second dimension */
} syn_array;

typedef struct syn_array_file syn_array_file;

/* Opens a file with these arrays, all empty; `array` must live as long as the file. about: a text
 * attribute "about" of the root. Errors: SYN_ERR_INVALID (count, width), SYN_ERR_IO,
 * SYN_ERR_MEMORY; *out is NULL then. HDF5 is not thread-safe: one thread calls. */
SYN_WARN_UNUSED syn_status syn_array_file_create(syn_array_file **out, const char *path,
                                                 const syn_array *array, int count,
                                                 const char *about);

/* Adds rows (rows, width) of array number `which`. Errors: SYN_ERR_IO. */
SYN_WARN_UNUSED syn_status syn_array_file_append(syn_array_file *f, int which, const void *values,
                                                 int64_t rows);

/* Closes the file and gives it its name; on an error it is discarded. f is freed either way. */
SYN_WARN_UNUSED syn_status syn_array_file_commit(syn_array_file *f);

/* Drops the file; NULL is fine. */
void syn_array_file_discard(syn_array_file *f);

#endif
