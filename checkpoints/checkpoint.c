#include "checkpoints/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/store.h"
#include "checkpoints/weights.h"
#include "kernels/base/log.h"

struct syn_checkpoint {
    char *dir, *where; /* where: VERSION/weights.h5 */
    syn_manifest manifest;
    syn_weights *weights;
    char *config, *provenance, *metrics;
    bool fallback;
};

/* ---- loading ---- */

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

static syn_status texts_take(syn_checkpoint *cp, const syn_store *store, const syn_version *version)
{
    const json_t *root = cp->manifest.root;
    char *folder = syn_version_folder(store, version);
    cp->dir = strdup(store->dir);
    if (!folder || asprintf(&cp->where, "%s/%s", folder, cp->manifest.file) < 0) cp->where = NULL;
    free(folder);
    cp->config = json_dumps(json_object_get(root, "config"), JSON_COMPACT);
    cp->provenance = json_dumps(json_object_get(root, "provenance"), JSON_COMPACT);
    cp->metrics = json_dumps(json_object_get(root, "metrics"), JSON_COMPACT);
    if (cp->dir && cp->where && cp->config && cp->provenance && cp->metrics) return SYN_OK;
    return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", store->dir);
}

syn_status syn_version_open(const syn_store *store, const syn_version *version,
                            syn_checkpoint **out, bool *missing)
{
    syn_status st = SYN_OK;
    unsigned char *image = NULL;
    syn_checkpoint *cp = calloc(1, sizeof *cp);
    *out = NULL;
    if (!cp) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", store->dir);
    SYN_TRY(syn_version_read(store, version, &cp->manifest, &image, missing));
    SYN_TRY(texts_take(cp, store, version));
    SYN_TRY(syn_weights_open(cp->where, image, (size_t)cp->manifest.file_bytes, &cp->weights));
    SYN_TRY(weights_agree(cp));
    *out = cp;
    cp = NULL;
done:
    free(image);
    syn_checkpoint_close(cp);
    return st;
}

/* The newest older version that loads, or else the newest of all: *out stays NULL when there is
 * none. `failed` is the index that has been tried, -1 for none. */
static void open_another(const syn_store *store, int failed, int older, syn_checkpoint **out)
{
    bool missing;
    if (failed >= 0) older = failed;
    for (int k = 0; k < store->count; k++) {
        const int i = k < older ? older - 1 - k : store->count - 1 - (k - older);
        if (i == failed) continue;
        if (syn_version_open(store, &store->versions[i], out, &missing) == SYN_OK) return;
    }
}

static syn_status open_or_another(const syn_store *store, const char *which, int index, int older,
                                  syn_status st, syn_checkpoint **out)
{
    char first[768];
    const bool exact = which && strcmp(which, SYN_LINK_BEST) && strcmp(which, SYN_LINK_LATEST);
    if (exact || (st != SYN_ERR_FORMAT && st != SYN_ERR_IO)) return st;
    snprintf(first, sizeof first, "%s", syn_error_text());
    open_another(store, index, older, out);
    if (!*out) return syn_fail(st, "%s", first);
    (*out)->fallback = true;
    syn_log(SYN_LOG_WARN, "%s; taking version %lld", first, (long long)(*out)->manifest.version);
    return SYN_OK;
}

syn_status syn_checkpoint_open_version(const char *dir, const char *which, syn_checkpoint **out)
{
    enum { ATTEMPTS = 8 };
    syn_status st = SYN_OK;
    *out = NULL;
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
        syn_store store;
        int index = -1, older = 0;
        bool missing = false;
        /* Saves by another process between our looks may remove the version we were sent to. */
        st = syn_store_open(dir, &store, NULL);
        if (st == SYN_ERR_IO && attempt < ATTEMPTS) continue;
        SYN_RETURN_IF(st);
        st = syn_store_resolve(&store, which, &index, &older);
        if (st == SYN_OK && index >= 0) {
            st = syn_version_open(&store, &store.versions[index], out, &missing);
        } else if (st == SYN_OK) {
            missing = true;
            st = syn_fail(SYN_ERR_IO, "%s: its link '%s' leads to a version that is not there", dir,
                          which        ? which
                          : store.best ? SYN_LINK_BEST
                                       : SYN_LINK_LATEST);
        }
        const bool again = missing && attempt < ATTEMPTS;
        if (st != SYN_OK && !again) st = open_or_another(&store, which, index, older, st, out);
        syn_store_free(&store);
        if (!again) break;
    }
    return st;
}

syn_status syn_checkpoint_open(const char *dir, syn_checkpoint **out)
{
    return syn_checkpoint_open_version(dir, NULL, out);
}

void syn_checkpoint_close(syn_checkpoint *cp)
{
    if (!cp) return;
    syn_weights_close(cp->weights);
    syn_manifest_free(&cp->manifest);
    free(cp->metrics);
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
        if (!*prefix && !strncmp(have->name, SYN_RESUME_PREFIX, strlen(SYN_RESUME_PREFIX))) {
            continue;
        }
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
const char *syn_checkpoint_metrics(const syn_checkpoint *cp)
{
    return cp->metrics;
}
const char *syn_checkpoint_dir(const syn_checkpoint *cp)
{
    return cp->dir;
}
const char *syn_checkpoint_created(const syn_checkpoint *cp)
{
    return cp->manifest.created;
}
int64_t syn_checkpoint_version(const syn_checkpoint *cp)
{
    return cp->manifest.version;
}
bool syn_checkpoint_is_fallback(const syn_checkpoint *cp)
{
    return cp->fallback;
}

const char *syn_checkpoint_content_sha256(const syn_checkpoint *cp)
{
    return cp->manifest.content_sha256;
}

bool syn_checkpoint_exists(const char *dir)
{
    syn_store store;
    if (syn_store_open(dir, &store, NULL) != SYN_OK) return false;
    syn_store_free(&store);
    return true;
}
