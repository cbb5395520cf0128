/* The manifest of one version: built from tensors, or parsed from text that nobody vouches for.
 * Private to this folder and its command. */
#ifndef SYN_CHECKPOINTS_MANIFEST_H
#define SYN_CHECKPOINTS_MANIFEST_H

#include <jansson.h>
#include <stddef.h>

#include "checkpoints/checkpoint.h"

#define SYN_MANIFEST_FORMAT   "syncog-checkpoint"
#define SYN_MANIFEST_LATEST   "manifest.json"
#define SYN_MANIFEST_PREVIOUS "manifest.prev.json"

enum {
    SYN_MANIFEST_VERSION = 1,
    SYN_MANIFEST_BYTES_MAX = 16 << 20,
    SYN_SHA256_TEXT = 65,
    SYN_WEIGHTS_NAME_BYTES = 48
};
#define SYN_WEIGHTS_BYTES_MAX ((int64_t)8 << 30)
#define SYN_GENERATION_MAX    ((int64_t)1 << 53)

typedef struct syn_manifest {
    int64_t generation;
    int64_t file_bytes;
    char created[32]; /* 2026-01-31T12:00:00Z */
    char file_sha256[SYN_SHA256_TEXT];
    char content_sha256[SYN_SHA256_TEXT];
    syn_tensor *tensors; /* data is NULL; the names belong to `root` */
    int tensor_count;
    json_t *root;
} syn_manifest;

/* "weights-12.h5" */
void syn_weights_name(int64_t generation, char out[SYN_WEIGHTS_NAME_BYTES]);

/* Checks names, types, shapes, duplicates and sums: what holds for both sides. `where` begins the
 * sentence. `code` is SYN_ERR_INVALID for a caller's tensors, SYN_ERR_FORMAT for a file's. */
SYN_WARN_UNUSED syn_status syn_tensors_check(const char *where, const syn_tensor *tensors,
                                             int count, syn_status code);

/* Every field is checked; a wrong one is SYN_ERR_FORMAT, a newer version SYN_ERR_UNSUPPORTED. */
SYN_WARN_UNUSED syn_status syn_manifest_parse(const char *where, const char *text, size_t length,
                                              syn_manifest *out);

/* Text (free() it) of a manifest with these facts; m->root and m->tensors hold config, provenance
 * and tensors as given. */
SYN_WARN_UNUSED syn_status syn_manifest_format(const syn_manifest *m, json_t *config,
                                               json_t *provenance, char **text);

void syn_manifest_free(syn_manifest *m);

const char *syn_tensor_type_name(syn_tensor_type type);
/* "(2048, 512)" */
const char *syn_tensor_shape_text(const syn_tensor *t, char out[128]);

#endif
