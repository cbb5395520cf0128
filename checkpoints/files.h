/* Durable writes, capped reads, links and SHA-256, all relative to an open folder. Private to this
 * folder. */
#ifndef SYN_CHECKPOINTS_FILES_H
#define SYN_CHECKPOINTS_FILES_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/base/status.h"

enum { SYN_SHA256_TEXT = 65, SYN_FILE_NAME_BYTES = 256 };

typedef struct syn_folder {
    const char *path; /* for sentences */
    int fd;
} syn_folder;

/* make: create it and its parents. */
SYN_WARN_UNUSED syn_status syn_folder_open(syn_folder *folder, const char *path, bool make);
/* The folder that `path` lies in, made when missing; *name is the last part. `path` is cut up and
 * must outlive both. SYN_ERR_INVALID when it has no last part. */
SYN_WARN_UNUSED syn_status syn_folder_open_above(syn_folder *folder, char *path, const char **name);
void syn_folder_close(syn_folder *folder);
/* Refuses when another process holds it; released by close, or by the end of the process. */
SYN_WARN_UNUSED syn_status syn_folder_lock(const syn_folder *folder);
/* Makes names that were added, renamed or removed durable. */
SYN_WARN_UNUSED syn_status syn_folder_sync(const syn_folder *folder);

/* Names below are relative to the folder and may lead into its subfolders. */

/* closedir() it; NULL when there is no such folder. "." is the folder itself. */
DIR *syn_folder_list(const syn_folder *folder, const char *name);
/* True for anything of that name, a broken link included. */
bool syn_folder_has(const syn_folder *folder, const char *name);
/* Removes a file, a link, or a folder with the files in it. What cannot be removed stays. */
void syn_folder_remove(const syn_folder *folder, const char *name);
/* Removes a folder if nothing is in it. */
void syn_folder_remove_empty(const syn_folder *folder, const char *name);
SYN_WARN_UNUSED syn_status syn_folder_rename(const syn_folder *folder, const char *from,
                                             const char *to);
/* Makes the link `name`, in the place of what may be there; renaming it puts it into effect. */
SYN_WARN_UNUSED syn_status syn_link_prepare(const syn_folder *folder, const char *name,
                                            const char *target);

/* Reads a regular file (links are refused) of at most bytes_max into malloc'd memory. A missing
 * file is SYN_ERR_IO with *missing set (missing may be NULL). One 0 byte stands behind the
 * contents. */
SYN_WARN_UNUSED syn_status syn_file_read(const syn_folder *folder, const char *name,
                                         int64_t bytes_max, unsigned char **data, int64_t *bytes,
                                         bool *missing);

/* A file that appears under its name whole or not at all: begin, add as often as needed, then
 * commit or abandon. It is NAME.tmp until commit syncs and renames it; a fault while adding is kept
 * and reported by commit, which leaves nothing then. */
typedef struct syn_file_writer {
    const syn_folder *folder;
    const char *name;
    char temporary[SYN_FILE_NAME_BYTES];
    int fd, fault;
} syn_file_writer;

SYN_WARN_UNUSED syn_status syn_file_begin(syn_file_writer *w, const syn_folder *folder,
                                          const char *name);
void syn_file_add(syn_file_writer *w, const void *data, size_t bytes);
SYN_WARN_UNUSED syn_status syn_file_commit(syn_file_writer *w);
void syn_file_abandon(syn_file_writer *w); /* allowed after a failed begin, and after commit */

/* Writes and syncs a file that is not there yet, into a folder that nobody reads yet. The folder is
 * not synced. */
SYN_WARN_UNUSED syn_status syn_file_create(const syn_folder *folder, const char *name,
                                           const void *data, size_t bytes);

typedef struct syn_sha256 {
    void *state;
} syn_sha256;

SYN_WARN_UNUSED syn_status syn_sha256_begin(syn_sha256 *s);
void syn_sha256_add(syn_sha256 *s, const void *data, size_t bytes);
void syn_sha256_end(syn_sha256 *s, char out[SYN_SHA256_TEXT]);
SYN_WARN_UNUSED syn_status syn_sha256_of(const void *data, size_t bytes, char out[SYN_SHA256_TEXT]);

#endif
