/* Checkpoints: named tensors with a config, saved so that a kill at any moment leaves the previous
 * version loadable. This folder knows tensors and JSON text; it knows no network.
 *
 * A checkpoint is a folder:
 *   weights-<n>.h5       HDF5, one contiguous little-endian dataset per tensor
 *   manifest.json        names weights-<n>.h5 with its size and SHA-256, every tensor with type and
 *                        shape, the config, the provenance (training sets and their licences), and
 *                        a SHA-256 of the manifest itself
 *   manifest.prev.json   the same for the version before; its weights are kept too
 * Renaming manifest.json is the commit point. Bytes are hashed before HDF5 parses them, and parsed
 * from the memory that was hashed. The hashes guard against damage, not against a forger: load
 * checkpoints only from people you trust.
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
    SYN_CHECKPOINT_TENSORS_MAX = 4096
};

typedef enum syn_tensor_type { SYN_TENSOR_F32, SYN_TENSOR_I32, SYN_TENSOR_U8 } syn_tensor_type;

typedef struct syn_tensor {
    const char *name; /* letters, digits, '.', '_', '-' */
    int rank;         /* 1 to SYN_TENSOR_RANK_MAX */
    int64_t shape[SYN_TENSOR_RANK_MAX];
    syn_tensor_type type;
    void *data; /* row-major, in host memory */
} syn_tensor;

typedef struct syn_checkpoint syn_checkpoint;

/* Writes a new version into folder `dir` (made when missing, with its parents). Reads the tensors'
 * data, keeps no pointer. config_json and provenance_json are JSON objects or NULL for {}.
 * Errors, all of which leave the latest version as it was: SYN_ERR_INVALID (names, shapes, JSON),
 * SYN_ERR_NUMERIC (an f32 value that is not finite), SYN_ERR_IO (no space, no permission, another
 * process is saving there), SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_checkpoint_save(const char *dir, const syn_tensor *tensors,
                                               int count, const char *config_json,
                                               const char *provenance_json);

/* Loads the latest version; when it is damaged or missing, the one before, with a logged warning.
 * The weights are read and verified once, here. SYN_ERR_IO: nothing there; SYN_ERR_FORMAT: damaged;
 * SYN_ERR_UNSUPPORTED: written by a newer format. *out is NULL on error. */
SYN_WARN_UNUSED syn_status syn_checkpoint_open(const char *dir, syn_checkpoint **out);
void syn_checkpoint_close(syn_checkpoint *cp);

/* Fills tensor->data; name, type and shape must be the checkpoint's (SYN_ERR_FORMAT). */
SYN_WARN_UNUSED syn_status syn_checkpoint_read(const syn_checkpoint *cp, const syn_tensor *tensor);

/* Reads all of `tensors`, and refuses a checkpoint that holds further tensors whose names begin
 * with `prefix` ("" for all): both sides must agree. All checks are made before any data is
 * written. */
SYN_WARN_UNUSED syn_status syn_checkpoint_read_all(const syn_checkpoint *cp, const char *prefix,
                                                   const syn_tensor *tensors, int count);

/* The tensor's description (data is NULL), or NULL. Lives as long as cp. */
const syn_tensor *syn_checkpoint_find(const syn_checkpoint *cp, const char *name);
int syn_checkpoint_tensor_count(const syn_checkpoint *cp);
const syn_tensor *syn_checkpoint_tensor(const syn_checkpoint *cp, int index);

/* JSON texts; live as long as cp. */
const char *syn_checkpoint_config(const syn_checkpoint *cp);
const char *syn_checkpoint_provenance(const syn_checkpoint *cp);

/* Counts the saves into this folder, from 1. */
int64_t syn_checkpoint_generation(const syn_checkpoint *cp);
/* True when the latest version was unusable and the one before was taken. */
bool syn_checkpoint_is_previous(const syn_checkpoint *cp);
/* SHA-256 (hex) over the tensors' names, types, shapes and data: equal for equal weights, whenever
 * they were saved. */
const char *syn_checkpoint_content_sha256(const syn_checkpoint *cp);

/* True when `dir` holds a manifest (of any state). */
bool syn_checkpoint_exists(const char *dir);

int64_t syn_tensor_elements(const syn_tensor *tensor);
int64_t syn_tensor_bytes(const syn_tensor *tensor);

#endif
