#include "checkpoints/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoints/files.h"
#include "checkpoints/manifest.h"
#include "checkpoints/weights.h"
#include "kernels/base/log.h"

struct syn_checkpoint {
    char *dir, *where; /* where: DIR/weights-<n>.h5 */
    syn_manifest manifest;
    syn_weights *weights;
    char *config, *provenance;
    bool previous;
};

/* ---- loading ---- */

static char *join(const char *dir, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static syn_status manifest_read(const syn_folder *folder, const char *name, syn_manifest *m,
                                bool *missing)
{
    unsigned char *text = NULL;
    int64_t bytes = 0;
    char *where = join(folder->path, name);
    memset(m, 0, sizeof *m);
    if (!where) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", folder->path);
    syn_status st = syn_file_read(folder, name, SYN_MANIFEST_BYTES_MAX, &text, &bytes, missing);
    if (st == SYN_OK) st = syn_manifest_parse(where, (const char *)text, (size_t)bytes, m);
    free(text);
    free(where);
    return st;
}

/* The bytes of the weights, whose size and SHA-256 are the manifest's. */
static syn_status weights_read_verified(const syn_folder *folder, const syn_manifest *m,
                                        unsigned char **image, bool *missing)
{
    char name[SYN_WEIGHTS_NAME_BYTES], hash[SYN_SHA256_TEXT];
    int64_t bytes = 0;
    *image = NULL;
    syn_weights_name(m->generation, name);
    SYN_RETURN_IF(syn_file_read(folder, name, SYN_WEIGHTS_BYTES_MAX, image, &bytes, missing));
    syn_status st = SYN_OK;
    if (bytes != m->file_bytes) {
        st = syn_fail(SYN_ERR_FORMAT, "%s/%s: damaged: %lld bytes, the manifest says %lld",
                      folder->path, name, (long long)bytes, (long long)m->file_bytes);
        goto done;
    }
    SYN_TRY(syn_sha256_of(*image, (size_t)bytes, hash));
    if (strcmp(hash, m->file_sha256)) {
        st = syn_fail(SYN_ERR_FORMAT, "%s/%s: damaged: its SHA-256 is not the manifest's",
                      folder->path, name);
    }
done:
    if (st != SYN_OK) {
        free(*image);
        *image = NULL;
    }
    return st;
}

static syn_status weights_agree(const syn_checkpoint *cp)
{
    const syn_manifest *m = &cp->manifest;
    int count = syn_weights_count(cp->weights);
    if (count != m->tensor_count) {
        return syn_fail(SYN_ERR_FORMAT, "%s: holds %d tensors, the manifest lists %d", cp->where,
                        count, m->tensor_count);
    }
    for (int i = 0; i < m->tensor_count; i++) {
        SYN_RETURN_IF(syn_weights_read(cp->weights, &m->tensors[i]));
    }
    return SYN_OK;
}

static syn_status open_version(const syn_folder *folder, const char *name, syn_checkpoint **out,
                               bool *weights_missing)
{
    syn_status st = SYN_OK;
    unsigned char *image = NULL;
    char weights_name[SYN_WEIGHTS_NAME_BYTES];
    syn_checkpoint *cp = calloc(1, sizeof *cp);
    *weights_missing = false;
    if (!cp) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", folder->path);
    SYN_TRY(manifest_read(folder, name, &cp->manifest, NULL));
    SYN_TRY(weights_read_verified(folder, &cp->manifest, &image, weights_missing));
    syn_weights_name(cp->manifest.generation, weights_name);
    cp->dir = strdup(folder->path);
    cp->where = join(folder->path, weights_name);
    cp->config = json_dumps(json_object_get(cp->manifest.root, "config"), JSON_COMPACT);
    cp->provenance = json_dumps(json_object_get(cp->manifest.root, "provenance"), JSON_COMPACT);
    if (!cp->dir || !cp->where || !cp->config || !cp->provenance) {
        st = syn_fail(SYN_ERR_MEMORY, "%s: out of memory", folder->path);
        goto done;
    }
    SYN_TRY(syn_weights_open(cp->where, image, (size_t)cp->manifest.file_bytes, &cp->weights));
    SYN_TRY(weights_agree(cp));
    *out = cp;
    cp = NULL;
done:
    free(image);
    syn_checkpoint_close(cp);
    return st;
}

syn_status syn_checkpoint_open(const char *dir, syn_checkpoint **out)
{
    syn_folder folder;
    bool missing = false;
    char first[768];
    *out = NULL;
    SYN_RETURN_IF(syn_folder_open(&folder, dir, false));
    syn_status st = open_version(&folder, SYN_MANIFEST_LATEST, out, &missing);
    /* Two saves by another process between our two reads remove the weights we were sent to. */
    if (missing) st = open_version(&folder, SYN_MANIFEST_LATEST, out, &missing);
    if (st == SYN_ERR_FORMAT || st == SYN_ERR_IO) {
        snprintf(first, sizeof first, "%s", syn_error_text());
        syn_status again = open_version(&folder, SYN_MANIFEST_PREVIOUS, out, &missing);
        if (again == SYN_OK) {
            syn_log(SYN_LOG_WARN, "%s; taking the version before it (generation %lld)", first,
                    (long long)(*out)->manifest.generation);
            (*out)->previous = true;
            st = SYN_OK;
        } else if (!syn_checkpoint_exists(dir)) {
            st = syn_fail(SYN_ERR_IO, "%s: no checkpoint in this folder (no %s)", dir,
                          SYN_MANIFEST_LATEST);
        } else {
            st = syn_fail(st, "%s", first);
        }
    }
    syn_folder_close(&folder);
    return st;
}

void syn_checkpoint_close(syn_checkpoint *cp)
{
    if (!cp) return;
    syn_weights_close(cp->weights);
    syn_manifest_free(&cp->manifest);
    free(cp->provenance);
    free(cp->config);
    free(cp->where);
    free(cp->dir);
    free(cp);
}

/* ---- reading ---- */

const syn_tensor *syn_checkpoint_find(const syn_checkpoint *cp, const char *name)
{
    for (int i = 0; i < cp->manifest.tensor_count; i++) {
        if (!strcmp(cp->manifest.tensors[i].name, name)) return &cp->manifest.tensors[i];
    }
    return NULL;
}

static syn_status tensor_agrees(const syn_checkpoint *cp, const syn_tensor *t)
{
    char have_text[128], want_text[128];
    SYN_REQUIRE(t->name && t->rank >= 1 && t->rank <= SYN_TENSOR_RANK_MAX,
                "checkpoint %s: a tensor was asked for without name or rank", cp->dir);
    const syn_tensor *have = syn_checkpoint_find(cp, t->name);
    syn_tensor_shape_text(t, want_text);
    if (!have) {
        return syn_fail(SYN_ERR_FORMAT,
                        "checkpoint %s: holds no tensor %s, which this build needs as %s %s",
                        cp->dir, t->name, syn_tensor_type_name(t->type), want_text);
    }
    bool same = have->rank == t->rank && have->type == t->type;
    for (int i = 0; same && i < t->rank; i++) same = have->shape[i] == t->shape[i];
    if (same) return SYN_OK;
    return syn_fail(SYN_ERR_FORMAT, "checkpoint %s: tensor %s is %s %s, this build needs %s %s",
                    cp->dir, t->name, syn_tensor_type_name(have->type),
                    syn_tensor_shape_text(have, have_text), syn_tensor_type_name(t->type),
                    want_text);
}

syn_status syn_checkpoint_read(const syn_checkpoint *cp, const syn_tensor *tensor)
{
    SYN_RETURN_IF(tensor_agrees(cp, tensor));
    SYN_REQUIRE(tensor->data, "checkpoint %s: tensor %s was asked for without memory", cp->dir,
                tensor->name);
    return syn_weights_read(cp->weights, tensor);
}

syn_status syn_checkpoint_read_all(const syn_checkpoint *cp, const char *prefix,
                                   const syn_tensor *tensors, int count)
{
    char shape[128];
    for (int i = 0; i < count; i++) SYN_RETURN_IF(tensor_agrees(cp, &tensors[i]));
    for (int i = 0; i < cp->manifest.tensor_count; i++) {
        const syn_tensor *have = &cp->manifest.tensors[i];
        if (strncmp(have->name, prefix, strlen(prefix))) continue;
        int k = 0;
        while (k < count && strcmp(tensors[k].name, have->name)) k++;
        if (k < count) continue;
        return syn_fail(SYN_ERR_FORMAT, "checkpoint %s: tensor %s %s is unknown to this build",
                        cp->dir, have->name, syn_tensor_shape_text(have, shape));
    }
    for (int i = 0; i < count; i++) SYN_RETURN_IF(syn_checkpoint_read(cp, &tensors[i]));
    return SYN_OK;
}

int syn_checkpoint_tensor_count(const syn_checkpoint *cp)
{
    return cp->manifest.tensor_count;
}

const syn_tensor *syn_checkpoint_tensor(const syn_checkpoint *cp, int index)
{
    return index < 0 || index >= cp->manifest.tensor_count ? NULL : &cp->manifest.tensors[index];
}

const char *syn_checkpoint_config(const syn_checkpoint *cp)
{
    return cp->config;
}
const char *syn_checkpoint_provenance(const syn_checkpoint *cp)
{
    return cp->provenance;
}
int64_t syn_checkpoint_generation(const syn_checkpoint *cp)
{
    return cp->manifest.generation;
}
bool syn_checkpoint_is_previous(const syn_checkpoint *cp)
{
    return cp->previous;
}

const char *syn_checkpoint_content_sha256(const syn_checkpoint *cp)
{
    return cp->manifest.content_sha256;
}

bool syn_checkpoint_exists(const char *dir)
{
    struct stat info;
    char *latest = join(dir, SYN_MANIFEST_LATEST), *previous = join(dir, SYN_MANIFEST_PREVIOUS);
    bool found = (latest && stat(latest, &info) == 0) || (previous && stat(previous, &info) == 0);
    free(latest);
    free(previous);
    return found;
}
