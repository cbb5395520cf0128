#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "checkpoints/files.h"
#include "checkpoints/manifest.h"
#include "checkpoints/weights.h"

static syn_status object_parse(const char *dir, const char *what, const char *text, json_t **out)
{
    json_error_t error;
    *out = json_loads(text ? text : "{}", JSON_REJECT_DUPLICATES, &error);
    if (!*out) {
        return syn_fail(SYN_ERR_INVALID, "checkpoint %s: %s, column %d: %s", dir, what,
                        error.column, error.text);
    }
    if (json_is_object(*out)) return SYN_OK;
    return syn_fail(SYN_ERR_INVALID, "checkpoint %s: %s is not a JSON object", dir, what);
}

/* Weights that are not finite must not replace weights that are. */
static syn_status values_check(const char *dir, const syn_tensor *t)
{
    SYN_REQUIRE(t->data, "checkpoint %s: tensor %s has no data", dir, t->name);
    if (t->type != SYN_TENSOR_F32) return SYN_OK;
    const float *x = t->data;
    int64_t n = syn_tensor_elements(t);
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(x[i])) continue;
        return syn_fail(SYN_ERR_NUMERIC,
                        "checkpoint %s: not saved: tensor %s is not finite at %lld", dir, t->name,
                        (long long)i);
    }
    return SYN_OK;
}

static syn_status content_hash(const syn_tensor *tensors, int count, char out[SYN_SHA256_TEXT])
{
    syn_sha256 s;
    char head[SYN_TENSOR_NAME_BYTES_MAX + 160], shape[128];
    SYN_RETURN_IF(syn_sha256_begin(&s));
    for (int i = 0; i < count; i++) {
        const syn_tensor *t = &tensors[i];
        int n = snprintf(head, sizeof head, "%s %s %s\n", t->name, syn_tensor_type_name(t->type),
                         syn_tensor_shape_text(t, shape));
        syn_sha256_add(&s, head, (size_t)n);
        syn_sha256_add(&s, t->data, (size_t)syn_tensor_bytes(t));
    }
    syn_sha256_end(&s, out);
    return SYN_OK;
}

/* Whether a version can be loaded; only such a one may become, or stay, the version before. */
static bool version_good(const syn_folder *folder, const char *manifest_name, char **text,
                         int64_t *generation)
{
    unsigned char *data = NULL, *image = NULL;
    char name[SYN_WEIGHTS_NAME_BYTES], hash[SYN_SHA256_TEXT];
    int64_t bytes = 0, image_bytes = 0;
    syn_manifest m = {0};
    bool good = syn_file_read(folder, manifest_name, SYN_MANIFEST_BYTES_MAX, &data, &bytes, NULL) ==
                    SYN_OK &&
                syn_manifest_parse(folder->path, (const char *)data, (size_t)bytes, &m) == SYN_OK;
    if (good) {
        syn_weights_name(m.generation, name);
        good = syn_file_read(folder, name, m.file_bytes, &image, &image_bytes, NULL) == SYN_OK &&
               image_bytes == m.file_bytes &&
               syn_sha256_of(image, (size_t)image_bytes, hash) == SYN_OK &&
               !strcmp(hash, m.file_sha256);
        *generation = m.generation;
        syn_manifest_free(&m);
    }
    free(image);
    if (good) {
        *text = (char *)data;
    } else {
        free(data);
    }
    return good;
}

/* Makes the latest version the previous one, unless it cannot be loaded. */
static syn_status keep_latest(const syn_folder *folder, int64_t *kept)
{
    char *text = NULL;
    *kept = 0;
    if (version_good(folder, SYN_MANIFEST_LATEST, &text, kept)) {
        syn_status st = syn_file_replace(folder, SYN_MANIFEST_PREVIOUS, text, strlen(text));
        free(text);
        return st;
    }
    if (version_good(folder, SYN_MANIFEST_PREVIOUS, &text, kept)) {
        free(text);
    } else {
        *kept = 0;
    }
    return SYN_OK;
}

/* Removes the weights of a version that was not committed. */
static void withdraw(const syn_folder *folder, const syn_manifest *m)
{
    char failure[1024], *text = NULL, name[SYN_WEIGHTS_NAME_BYTES];
    int64_t latest = 0;
    snprintf(failure, sizeof failure, "%s", syn_error_text());
    if (version_good(folder, SYN_MANIFEST_LATEST, &text, &latest)) free(text);
    syn_weights_name(m->generation, name);
    if (latest != m->generation) unlinkat(folder->fd, name, 0);
    (void)syn_fail(SYN_ERR_IO, "%s", failure);
}

static void facts_fill(const syn_folder *folder, const syn_tensor *tensors, int count,
                       syn_manifest *m)
{
    time_t now = time(NULL);
    struct tm parts;
    memset(m, 0, sizeof *m);
    gmtime_r(&now, &parts);
    strftime(m->created, sizeof m->created, "%Y-%m-%dT%H:%M:%SZ", &parts);
    m->generation = syn_folder_generation_max(folder) + 1;
    m->tensors = (syn_tensor *)tensors;
    m->tensor_count = count;
}

static syn_status version_write(const syn_folder *folder, const syn_tensor *tensors, int count,
                                json_t *config, json_t *provenance)
{
    syn_status st = SYN_OK;
    unsigned char *image = NULL;
    char *config_text = NULL, *text = NULL, name[SYN_WEIGHTS_NAME_BYTES];
    size_t bytes = 0;
    int64_t kept = 0;
    syn_manifest m;
    facts_fill(folder, tensors, count, &m);
    config_text = json_dumps(config, JSON_COMPACT);
    if (!config_text) {
        st = syn_fail(SYN_ERR_MEMORY, "checkpoint %s: out of memory", folder->path);
        goto done;
    }
    SYN_TRY(syn_weights_encode(tensors, count, m.created, config_text, &image, &bytes));
    m.file_bytes = (int64_t)bytes;
    SYN_TRY(syn_sha256_of(image, bytes, m.file_sha256));
    SYN_TRY(content_hash(tensors, count, m.content_sha256));
    SYN_TRY(syn_manifest_format(&m, config, provenance, &text));
    if (strlen(text) > SYN_MANIFEST_BYTES_MAX || m.file_bytes > SYN_WEIGHTS_BYTES_MAX) {
        st = syn_fail(SYN_ERR_LIMIT, "checkpoint %s: too large to be loaded again", folder->path);
        goto done;
    }
    syn_weights_name(m.generation, name);
    SYN_TRY(syn_file_replace(folder, name, image, bytes));
    st = keep_latest(folder, &kept);
    if (st == SYN_OK) st = syn_file_replace(folder, SYN_MANIFEST_LATEST, text, strlen(text));
    if (st == SYN_OK) {
        syn_folder_sweep(folder, m.generation, kept);
    } else {
        withdraw(folder, &m);
    }
done:
    free(text);
    free(config_text);
    free(image);
    return st;
}

syn_status syn_checkpoint_save(const char *dir, const syn_tensor *tensors, int count,
                               const char *config_json, const char *provenance_json)
{
    syn_status st = SYN_OK;
    json_t *config = NULL, *provenance = NULL;
    syn_folder folder = {dir, -1};
    char where[512];
    snprintf(where, sizeof where, "checkpoint %s", dir);
    SYN_TRY(syn_tensors_check(where, tensors, count, SYN_ERR_INVALID));
    for (int i = 0; i < count; i++) SYN_TRY(values_check(dir, &tensors[i]));
    SYN_TRY(object_parse(dir, "the config", config_json, &config));
    SYN_TRY(object_parse(dir, "the provenance", provenance_json, &provenance));
    SYN_TRY(syn_folder_open(&folder, dir, true));
    SYN_TRY(syn_folder_lock(&folder));
    SYN_TRY(version_write(&folder, tensors, count, config, provenance));
done:
    syn_folder_close(&folder);
    json_decref(provenance);
    json_decref(config);
    return st;
}
