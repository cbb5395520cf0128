/* The manifest of one version: built from tensors, or parsed from text that nobody vouches for.
 * Private to this folder and its command. */
#ifndef SYN_CHECKPOINTS_MANIFEST_H
#define SYN_CHECKPOINTS_MANIFEST_H

#include <jansson.h>
#include <stddef.h>

#include "checkpoints/checkpoint.h"
#include "checkpoints/files.h"

#define SYN_MANIFEST_FORMAT   "syncog-checkpoint"
#define SYN_MANIFEST_NAME     "manifest.json"
#define SYN_MANIFEST_PREVIOUS "manifest.prev.json" /* format 1 only */
#define SYN_WEIGHTS_NAME      "weights.h5"

enum {
    SYN_MANIFEST_VERSION = 2, /* of the format; 1 is read too */
    SYN_MANIFEST_BYTES_MAX = 16 << 20,
    SYN_WEIGHTS_NAME_BYTES = 48,
    SYN_METRIC_NAME_BYTES_MAX = 64
};
#define SYN_WEIGHTS_BYTES_MAX ((int64_t)8 << 30)
#define SYN_VERSION_MAX       ((int64_t)1 << 53)

typedef struct syn_manifest {
    int format;      /* 1 or 2 */
    int64_t version; /* the number in its store; format 1 calls it generation */
    int64_t file_bytes;
    char file[SYN_WEIGHTS_NAME_BYTES]; /* of the weights, beside the manifest */
    char created[32];                  /* 2026-01-31T12:00:00Z */
    char file_sha256[SYN_SHA256_TEXT];
    char content_sha256[SYN_SHA256_TEXT];
    syn_tensor *tensors; /* data is NULL; the names belong to `root` */
    int tensor_count;
    json_t *root; /* has "config", "provenance", "metrics": objects */
} syn_manifest;

/* Checks names, types, shapes, duplicates and sums: what holds for both sides. `where` begins the
 * sentence. `code` is SYN_ERR_INVALID for a caller's tensors, SYN_ERR_FORMAT for a file's. */
SYN_WARN_UNUSED syn_status syn_tensors_check(const char *where, const syn_tensor *tensors,
                                             int count, syn_status code);

/* Every field is checked; a wrong one is SYN_ERR_FORMAT, a newer version SYN_ERR_UNSUPPORTED. */
SYN_WARN_UNUSED syn_status syn_manifest_parse(const char *where, const char *text, size_t length,
                                              syn_manifest *out);

/* At most SYN_CHECKPOINT_METRICS_MAX numbers with short names; `where` and `code` as above. */
SYN_WARN_UNUSED syn_status syn_metrics_check(const char *where, const json_t *metrics,
                                             syn_status code);

/* Text (free() it) of a manifest of format 2 with the facts of m; config, provenance, metrics and
 * the tensors as given, m->root and m->file are not looked at. */
SYN_WARN_UNUSED syn_status syn_manifest_format(const syn_manifest *m, json_t *config,
                                               json_t *provenance, json_t *metrics, char **text);

void syn_manifest_free(syn_manifest *m);

const char *syn_tensor_type_name(syn_tensor_type type);
/* "(2048, 512)" */
const char *syn_tensor_shape_text(const syn_tensor *t, char out[128]);

#endif
