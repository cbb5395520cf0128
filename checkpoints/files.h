/* Durable writes, capped reads and SHA-256, all relative to an open folder. Private to this folder.
 */
#ifndef SYN_CHECKPOINTS_FILES_H
#define SYN_CHECKPOINTS_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "checkpoints/manifest.h"

typedef struct syn_folder {
    const char *path; /* for sentences */
    int fd;
} syn_folder;

/* make: create it and its parents. */
SYN_WARN_UNUSED syn_status syn_folder_open(syn_folder *folder, const char *path, bool make);
void syn_folder_close(syn_folder *folder);
/* Refuses when another process holds it; released by close, or by the end of the process. */
SYN_WARN_UNUSED syn_status syn_folder_lock(const syn_folder *folder);

/* Reads a regular file (links are refused) of at most bytes_max into malloc'd memory. A missing
 * file is SYN_ERR_IO with *missing set (missing may be NULL). One 0 byte stands behind the
 * contents. */
SYN_WARN_UNUSED syn_status syn_file_read(const syn_folder *folder, const char *name,
                                         int64_t bytes_max, unsigned char **data, int64_t *bytes,
                                         bool *missing);

/* Writes NAME.tmp, fsyncs it, renames it to NAME and fsyncs the folder. On error nothing is left.
 */
SYN_WARN_UNUSED syn_status syn_file_replace(const syn_folder *folder, const char *name,
                                            const void *data, size_t bytes);

/* Removes what a killed save left and weights of other generations than the two given. */
void syn_folder_sweep(const syn_folder *folder, int64_t keep_a, int64_t keep_b);
/* The largest generation that any file name in the folder carries; 0 for none. */
int64_t syn_folder_generation_max(const syn_folder *folder);

typedef struct syn_sha256 {
    void *state;
} syn_sha256;

SYN_WARN_UNUSED syn_status syn_sha256_begin(syn_sha256 *s);
void syn_sha256_add(syn_sha256 *s, const void *data, size_t bytes);
void syn_sha256_end(syn_sha256 *s, char out[SYN_SHA256_TEXT]);
SYN_WARN_UNUSED syn_status syn_sha256_of(const void *data, size_t bytes, char out[SYN_SHA256_TEXT]);

#endif
