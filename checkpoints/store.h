/* The layout of a store: which versions there are, where the links lead, what verifies, what goes.
 * Private to this folder and its command. */
#ifndef SYN_CHECKPOINTS_STORE_H
#define SYN_CHECKPOINTS_STORE_H

#include "checkpoints/manifest.h"

#define SYN_VERSIONS_FOLDER "versions"
#define SYN_LINK_LATEST     "latest"
#define SYN_LINK_BEST       "best"

enum { SYN_STORE_VERSIONS_MAX = 65536, SYN_VERSION_PATH_BYTES = 48 };

typedef struct syn_version {
    int64_t number;       /* 0: alone in its folder, with a manifest that cannot be read */
    const char *manifest; /* the manifest's name in the version's folder */
} syn_version;

/* A snapshot of a folder that may change meanwhile. */
typedef struct syn_store {
    const char *dir;       /* the caller's */
    bool flat;             /* no versions/: one version's folder, or format 1 */
    syn_version *versions; /* oldest first */
    int count;
    int64_t latest, best; /* numbers; 0: none. They need not be among the versions. */
} syn_store;

/* "versions/000012" */
void syn_version_path(int64_t number, char out[SYN_VERSION_PATH_BYTES]);
/* The folder of a version (free() it), or NULL without memory. */
char *syn_version_folder(const syn_store *store, const syn_version *version);

/* Lists `dir`, which `store` refers to from then on. SYN_ERR_IO: it is missing or holds no version
 * (*none, where not NULL, is set for the latter). The caller frees. */
SYN_WARN_UNUSED syn_status syn_store_open(const char *dir, syn_store *store, bool *none);
void syn_store_free(syn_store *store);

/* What is in versions/ alone, into a store that has its `dir`; no version is no error. */
SYN_WARN_UNUSED syn_status syn_store_list(const syn_folder *folder, syn_store *store);

/* Finds what `which` means (syn_checkpoint_open_version). *index is -1 where a link leads to a
 * version that is gone; *older is then how many versions are older. SYN_ERR_INVALID: no such. */
SYN_WARN_UNUSED syn_status syn_store_resolve(const syn_store *store, const char *which, int *index,
                                             int *older);

/* The version's manifest (syn_manifest_free), checked against its place. *missing: the folder or
 * file is not there; may be NULL. */
SYN_WARN_UNUSED syn_status syn_version_manifest(const syn_store *store, const syn_version *version,
                                                syn_manifest *m, bool *missing);

/* The manifest, and the bytes of the weights (free() them), whose size and SHA-256 are what it
 * says. */
SYN_WARN_UNUSED syn_status syn_version_read(const syn_store *store, const syn_version *version,
                                            syn_manifest *m, unsigned char **image, bool *missing);

/* The version as a checkpoint: everything is checked. *out is NULL on an error. */
SYN_WARN_UNUSED syn_status syn_version_open(const syn_store *store, const syn_version *version,
                                            syn_checkpoint **out, bool *missing);

/* The manifest and its weights from an open folder. */
SYN_WARN_UNUSED syn_status syn_version_read_at(const syn_folder *folder, const char *manifest_name,
                                               syn_manifest *m, unsigned char **image,
                                               bool *missing);

/* Marks which versions go so that at most `keep` stay (gone: store->count flags, out) and returns
 * how many. Never best, latest or `fresh`, the number of a version that has just been written (0:
 * none); and, unless that leaves no room (fresh with keep 1), never the newest other version that
 * verifies, which is read for that when something is to go. */
int syn_store_choose(const syn_store *store, int keep, int64_t fresh, bool *gone);
/* Removes one version from the store; `folder` is the store's. A kill leaves it whole or hidden. */
SYN_WARN_UNUSED syn_status syn_version_remove(const syn_folder *folder, int64_t number);

/* The bytes of a version from tensors that have been checked: the manifest's text and the weights,
 * m->file_bytes long (free() both, also on an error). m has version and created, and gets the
 * hashes. `where` begins the sentence. */
SYN_WARN_UNUSED syn_status syn_version_encode(const char *where, const syn_tensors *tensors,
                                              json_t *config, json_t *provenance, json_t *metrics,
                                              syn_manifest *m, char **manifest,
                                              unsigned char **image);

/* Makes versions/000012 of these bytes: written aside, synced, renamed. Nothing is left on error.
 */
SYN_WARN_UNUSED syn_status syn_version_write(const syn_folder *folder, int64_t number,
                                             const char *manifest, const void *image, size_t bytes);

/* Moves `best` (0: leaves it) and `latest` (likewise). On an error both are as they were, or, when
 * only the folder could not be synced, both have moved. */
SYN_WARN_UNUSED syn_status syn_store_link(const syn_folder *folder, int64_t best, int64_t latest);

/* Where a link of the store leads; 0: nowhere, or not to one of our names. */
int64_t syn_store_link_read(const syn_folder *folder, const char *name);

/* Removes what a killed save left. The lock must be held. */
void syn_store_sweep(const syn_folder *folder);

/* SYN_ERR_FORMAT: `folder` is one version's folder, no store and none of format 1. */
SYN_WARN_UNUSED syn_status syn_store_check(const syn_folder *folder);

/* Turns a folder of format 1 into a store; does nothing to any other. The lock must be held. A kill
 * leaves format 1 or a store, whole, and the next call goes on. SYN_ERR_FORMAT: `folder` is one
 * version's folder. Damaged versions are not taken over, with a logged warning. */
SYN_WARN_UNUSED syn_status syn_store_migrate(const syn_folder *folder);

#endif
