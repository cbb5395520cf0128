/* Checkpoints: named tensors with a config, kept as numbered versions in a store, so that a kill at
 * any moment, or a full disk, leaves what was saved before loadable. This folder knows tensors and
 * JSON text; only model_file.h knows networks.
 *
 * A store is a folder:
 *   versions/000012/weights.h5      HDF5, one contiguous little-endian dataset per tensor
 *   versions/000012/manifest.json   size and SHA-256 of the weights, every tensor with type and
 *                                   shape, the config, the provenance (training sets and their
 *                                   licences), the metrics, and a SHA-256 of the manifest itself
 *   latest, best                    relative links to one of the versions
 * A version is written beside the others, synced, renamed into its place and never changed; then
 * the links move, each by a rename. Bytes are hashed before HDF5 parses them, and parsed from the
 * memory that was hashed. The hashes guard against damage, not against a forger: load checkpoints
 * only from people you trust.
 *
 * Wherever a store is expected for reading, one version's folder will do (a deployment, or
 * STORE/latest), and so will a folder of format 1 (weights-<n>.h5, manifest.json,
 * manifest.prev.json). The first save into a folder of format 1 makes a store of it and keeps its
 * versions; a folder latest/ of format 1 inside it is taken over as its latest, itself as its best.
 *
 * HDF5 is not thread-safe: all of this runs on one thread at a time. Failures are one sentence that
 * begins with the folder or file. */
#ifndef SYN_CHECKPOINTS_CHECKPOINT_H
#define SYN_CHECKPOINTS_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/base/status.h"

enum {
    SYN_TENSOR_RANK_MAX = 4,
    SYN_TENSOR_NAME_BYTES_MAX = 128, /* with the closing 0 */
    SYN_CHECKPOINT_TENSORS_MAX = 4096,
    SYN_CHECKPOINT_VERSIONS_DEFAULT = 100, /* kept in a store */
    SYN_CHECKPOINT_METRICS_MAX = 256
};

/* Tensors whose names begin so are what a training run goes on from: no part of the model. */
#define SYN_RESUME_PREFIX "resume."

typedef enum syn_tensor_type {
    SYN_TENSOR_F32,
    SYN_TENSOR_I32,
    SYN_TENSOR_U8,
    SYN_TENSOR_F64,
    SYN_TENSOR_I64,
    SYN_TENSOR_U64
} syn_tensor_type;

typedef struct syn_tensor {
    const char *name; /* letters, digits, '.', '_', '-' */
    int rank;         /* 1 to SYN_TENSOR_RANK_MAX */
    int64_t shape[SYN_TENSOR_RANK_MAX];
    syn_tensor_type type;
    void *data; /* row-major, in host memory */
} syn_tensor;

/* A list of tensors that somebody else owns. */
typedef struct syn_tensors {
    const syn_tensor *item;
    int count;
} syn_tensors;

typedef struct syn_checkpoint syn_checkpoint;

/* ---- Saving ---- */

/* What a version says about itself. JSON texts are objects; NULL is {}. */
typedef struct syn_save_facts {
    const char *config_json, *provenance_json;
    const char *metrics_json; /* name -> number: {"return":12.9,"success":0.86}; "env_steps" counts
                                 the steps taken. At most SYN_CHECKPOINT_METRICS_MAX */
    bool best;                /* the link `best` moves to this version too */
    int max_versions;         /* kept afterwards; 0: SYN_CHECKPOINT_VERSIONS_DEFAULT */
} syn_save_facts;

/* Adds a version to the store `dir` (made when missing, with its parents) and moves `latest` to it.
 * The oldest versions beyond max_versions are removed, but neither best nor latest, nor, from
 * max_versions 2 on, the newest older version that verifies. Reads the tensors' data, keeps no
 * pointer. facts NULL: all zero. version, where not NULL, receives the new number.
 * Errors, all of which leave the links and the versions as they were: SYN_ERR_INVALID (names,
 * shapes, JSON), SYN_ERR_NUMERIC (an f32 or f64 value that is not finite), SYN_ERR_IO (no space, no
 * permission, another process is saving there), SYN_ERR_FORMAT (`dir` is one version's folder),
 * SYN_ERR_UNSUPPORTED (written by a newer format), SYN_ERR_MEMORY. One exception: when only the
 * last sync of the folder fails, the version is in place, but may not outlive a power cut. */
SYN_WARN_UNUSED syn_status syn_checkpoint_save(const char *dir, const syn_tensor *tensors,
                                               int count, const syn_save_facts *facts,
                                               int64_t *version);

/* Whether a save into `dir` would stand beside other versions, for those who ask before they work:
 * *holds. What is not there, or no folder, holds none. SYN_ERR_FORMAT: `dir` is one version's
 * folder, into which nothing is saved; SYN_ERR_IO: it cannot be read. */
SYN_WARN_UNUSED syn_status syn_checkpoint_place(const char *dir, bool *holds);

/* Removes every version of the store `dir` but the latest, and the link `best` unless it leads
 * there: a new run has taken an old one's place. A version with a file in it that no save has made
 * stays, with a logged warning; nothing else in the folder is touched. A kill leaves the latest and
 * some of the others, each whole. SYN_ERR_IO: not there, or another process is saving into it. */
SYN_WARN_UNUSED syn_status syn_checkpoint_keep_latest(const char *dir);

/* ---- Loading ---- */

/* Loads one version: of a store its best, or else its latest. When that one is damaged, the newest
 * older one that verifies, and when there is none, the newest of all that does, with a logged
 * warning. The weights are read and verified once, here. SYN_ERR_IO: nothing there; SYN_ERR_FORMAT:
 * damaged; SYN_ERR_UNSUPPORTED: written by a newer format. *out is NULL on error. */
SYN_WARN_UNUSED syn_status syn_checkpoint_open(const char *dir, syn_checkpoint **out);

/* which: "best", "latest" (both as above when damaged), a version's number as text (that one or
 * nothing), or NULL: as above. SYN_ERR_INVALID: there is no such version. */
SYN_WARN_UNUSED syn_status syn_checkpoint_open_version(const char *dir, const char *which,
                                                       syn_checkpoint **out);
void syn_checkpoint_close(syn_checkpoint *cp);

/* Fills tensor->data; name, type and shape must be the checkpoint's (SYN_ERR_FORMAT). */
SYN_WARN_UNUSED syn_status syn_checkpoint_read(const syn_checkpoint *cp, const syn_tensor *tensor);

/* Reads all of `tensors`, and refuses a checkpoint that holds further tensors whose names begin
 * with `prefix` ("" for all but those under SYN_RESUME_PREFIX): both sides must agree. All checks
 * are made before any data is written. */
SYN_WARN_UNUSED syn_status syn_checkpoint_read_all(const syn_checkpoint *cp, const char *prefix,
                                                   const syn_tensor *tensors, int count);

/* The tensor's description (data is NULL), or NULL. Lives as long as cp. */
const syn_tensor *syn_checkpoint_find(const syn_checkpoint *cp, const char *name);
int syn_checkpoint_tensor_count(const syn_checkpoint *cp);
const syn_tensor *syn_checkpoint_tensor(const syn_checkpoint *cp, int index);

/* JSON texts; live as long as cp. */
const char *syn_checkpoint_config(const syn_checkpoint *cp);
const char *syn_checkpoint_provenance(const syn_checkpoint *cp);
const char *syn_checkpoint_metrics(const syn_checkpoint *cp);

/* The folder it was opened by, as it was given. */
const char *syn_checkpoint_dir(const syn_checkpoint *cp);
/* When it was saved: 2026-01-31T12:00:00Z. */
const char *syn_checkpoint_created(const syn_checkpoint *cp);
/* Counts the saves into its store, from 1. */
int64_t syn_checkpoint_version(const syn_checkpoint *cp);
/* True when the version that was asked for was unusable and another one was taken. */
bool syn_checkpoint_is_fallback(const syn_checkpoint *cp);
/* SHA-256 (hex) over the tensors' names, types, shapes and data: equal for equal weights, whenever
 * they were saved. */
const char *syn_checkpoint_content_sha256(const syn_checkpoint *cp);

/* True when `dir` holds a version (in any state). */
bool syn_checkpoint_exists(const char *dir);

int64_t syn_tensor_elements(const syn_tensor *tensor);
int64_t syn_tensor_bytes(const syn_tensor *tensor);

#endif
