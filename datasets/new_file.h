/* A file that appears whole or not at all. Its bytes go to a file without a name, on the same file
 * system, which gets its name when it is complete and on the disk; a kill before leaves nothing.
 * Where the file system has no nameless files, a temporary one stands beside the target, and only a
 * kill can leave that behind. */
#ifndef SYN_DATASETS_NEW_FILE_H
#define SYN_DATASETS_NEW_FILE_H

#include <limits.h>

#include "kernels/base/status.h"

typedef struct syn_new_file {
    int fd; /* for reading and writing; -1: not open */
    char path[PATH_MAX], folder[PATH_MAX];
    char temporary[PATH_MAX + 32]; /* "": the file has no name */
} syn_new_file;

/* Errors: SYN_ERR_IO (unwritable folder; the target is a folder or a device), SYN_ERR_LIMIT (path
 * too long). */
SYN_WARN_UNUSED syn_status syn_new_file_open(syn_new_file *f, const char *path);

/* Syncs the file, gives it its name in place of what stood there, and closes it. On failure the
 * file is discarded and what stood there stays. */
SYN_WARN_UNUSED syn_status syn_new_file_commit(syn_new_file *f);

/* Drops the file; safe after a failed open, a commit or a discard. */
void syn_new_file_discard(syn_new_file *f);

#endif
