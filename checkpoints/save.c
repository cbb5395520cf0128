#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checkpoints/store.h"
#include "checkpoints/weights.h"
#include "kernels/base/log.h"

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
    if (t->type != SYN_TENSOR_F32 && t->type != SYN_TENSOR_F64) return SYN_OK;
    const float *single = t->data;
    const double *wide = t->data;
    int64_t n = syn_tensor_elements(t);
    for (int64_t i = 0; i < n; i++) {
        if (t->type == SYN_TENSOR_F32 ? isfinite(single[i]) : isfinite(wide[i])) continue;
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

/* What a version is made of, parsed and owned. */
typedef struct facts {
    json_t *config, *provenance, *metrics;
    bool best;
    int keep;
} facts;

static syn_status facts_parse(const char *dir, const syn_save_facts *given, facts *f)
{
    char where[512];
    static const syn_save_facts none;
    if (!given) given = &none;
    snprintf(where, sizeof where, "checkpoint %s", dir);
    f->best = given->best;
    f->keep = given->max_versions ? given->max_versions : SYN_CHECKPOINT_VERSIONS_DEFAULT;
    SYN_REQUIRE(f->keep > 0, "%s: %d versions cannot be kept", where, f->keep);
    SYN_RETURN_IF(object_parse(dir, "the config", given->config_json, &f->config));
    SYN_RETURN_IF(object_parse(dir, "the provenance", given->provenance_json, &f->provenance));
    SYN_RETURN_IF(object_parse(dir, "the metrics", given->metrics_json, &f->metrics));
    return syn_metrics_check(where, f->metrics, SYN_ERR_INVALID);
}

static void facts_free(facts *f)
{
    json_decref(f->config);
    json_decref(f->provenance);
    json_decref(f->metrics);
}

syn_status syn_version_encode(const char *where, const syn_tensors *tensors, json_t *config,
                              json_t *provenance, json_t *metrics, syn_manifest *m, char **manifest,
                              unsigned char **image)
{
    syn_status st = SYN_OK;
    size_t bytes = 0;
    char *config_text = json_dumps(config, JSON_COMPACT);
    m->tensors = (syn_tensor *)tensors->item;
    m->tensor_count = tensors->count;
    if (!config_text) {
        st = syn_fail(SYN_ERR_MEMORY, "checkpoint %s: out of memory", where);
        goto done;
    }
    SYN_TRY(
        syn_weights_encode(tensors->item, tensors->count, m->created, config_text, image, &bytes));
    m->file_bytes = (int64_t)bytes;
    SYN_TRY(syn_sha256_of(*image, bytes, m->file_sha256));
    SYN_TRY(content_hash(tensors->item, tensors->count, m->content_sha256));
    SYN_TRY(syn_manifest_format(m, config, provenance, metrics, manifest));
    if (strlen(*manifest) > SYN_MANIFEST_BYTES_MAX || m->file_bytes > SYN_WEIGHTS_BYTES_MAX) {
        st = syn_fail(SYN_ERR_LIMIT, "checkpoint %s: too large to be loaded again", where);
    }
done:
    m->tensors = NULL;
    m->tensor_count = 0;
    free(config_text);
    return st;
}

static void date_now(char out[32])
{
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* One more than any number in use, a dangling link's included. */
static syn_status next_number(const syn_folder *folder, int64_t *number)
{
    syn_store store = {.dir = folder->path};
    syn_status st = syn_store_list(folder, &store);
    const int64_t latest = syn_store_link_read(folder, SYN_LINK_LATEST),
                  best = syn_store_link_read(folder, SYN_LINK_BEST),
                  newest = store.count ? store.versions[store.count - 1].number : 0;
    *number = 1 + (newest > latest ? newest : latest);
    if (best >= *number) *number = best + 1;
    syn_store_free(&store);
    return st;
}

/* Removes the version unless a link leads to it: then it has been saved after all. */
static void withdraw(const syn_folder *folder, int64_t number, syn_status st)
{
    char failure[1024];
    if (syn_store_link_read(folder, SYN_LINK_LATEST) == number ||
        syn_store_link_read(folder, SYN_LINK_BEST) == number) {
        return;
    }
    snprintf(failure, sizeof failure, "%s", syn_error_text());
    if (syn_version_remove(folder, number) != SYN_OK) {
        syn_log(SYN_LOG_WARN, "%s: version %lld was not saved and could not be removed",
                folder->path, (long long)number);
    }
    (void)syn_fail(st, "%s", failure);
}

/* The save has succeeded: what cannot be removed is a warning. */
static void prune(const syn_folder *folder, int keep, int64_t fresh)
{
    syn_store store;
    bool none = false;
    if (syn_store_open(folder->path, &store, &none) != SYN_OK) return;
    bool *gone = calloc((size_t)store.count, sizeof *gone);
    if (gone && syn_store_choose(&store, keep, fresh, gone) > 0) {
        for (int i = 0; i < store.count; i++) {
            if (!gone[i] || syn_version_remove(folder, store.versions[i].number) == SYN_OK)
                continue;
            syn_log(SYN_LOG_WARN, "an old version stays: %s", syn_error_text());
        }
    }
    free(gone);
    syn_store_free(&store);
}

static syn_status version_add(const syn_folder *folder, const syn_tensors *tensors, const facts *f,
                              int64_t *version)
{
    syn_status st;
    syn_manifest m = {0};
    char *manifest = NULL;
    unsigned char *image = NULL;
    syn_store_sweep(folder);
    SYN_TRY(syn_store_migrate(folder));
    SYN_TRY(next_number(folder, &m.version));
    date_now(m.created);
    SYN_TRY(syn_version_encode(folder->path, tensors, f->config, f->provenance, f->metrics, &m,
                               &manifest, &image));
    SYN_TRY(syn_version_write(folder, m.version, manifest, image, (size_t)m.file_bytes));
    st = syn_store_link(folder, f->best ? m.version : 0, m.version);
    if (st == SYN_OK) {
        prune(folder, f->keep, m.version);
        if (version) *version = m.version;
    } else {
        withdraw(folder, m.version, st);
    }
done:
    if (st != SYN_OK) syn_folder_remove_empty(folder, SYN_VERSIONS_FOLDER);
    free(image);
    free(manifest);
    return st;
}

syn_status syn_checkpoint_save(const char *dir, const syn_tensor *tensors, int count,
                               const syn_save_facts *given, int64_t *version)
{
    syn_status st = SYN_OK;
    facts f = {0};
    syn_folder folder = {dir, -1};
    char where[512];
    snprintf(where, sizeof where, "checkpoint %s", dir);
    SYN_TRY(syn_tensors_check(where, tensors, count, SYN_ERR_INVALID));
    for (int i = 0; i < count; i++) SYN_TRY(values_check(dir, &tensors[i]));
    SYN_TRY(facts_parse(dir, given, &f));
    SYN_TRY(syn_folder_open(&folder, dir, true));
    SYN_TRY(syn_folder_lock(&folder));
    SYN_TRY(version_add(&folder, &(syn_tensors){tensors, count}, &f, version));
done:
    syn_folder_close(&folder);
    facts_free(&f);
    return st;
}
