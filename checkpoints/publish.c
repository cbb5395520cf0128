#include "checkpoints/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "checkpoints/model_file.h"
#include "checkpoints/safetensors.h"
#include "checkpoints/store.h"

/* ---- what is copied ---- */

typedef struct copy {
    syn_checkpoint *cp;
    syn_tensor *item; /* with data of its own */
    int count;
    json_t *config, *provenance, *metrics;
} copy;

static void copy_free(copy *c)
{
    for (int i = 0; i < c->count; i++) free(c->item[i].data);
    free(c->item);
    json_decref(c->config);
    json_decref(c->provenance);
    json_decref(c->metrics);
    syn_checkpoint_close(c->cp);
}

static syn_status copy_tensors(copy *c, const char *dir)
{
    const int all = syn_checkpoint_tensor_count(c->cp);
    c->item = calloc((size_t)all, sizeof *c->item);
    if (!c->item) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", dir);
    for (int i = 0; i < all; i++) {
        const syn_tensor *t = syn_checkpoint_tensor(c->cp, i);
        if (syn_model_tensor_trains(t->name)) continue;
        syn_tensor *own = &c->item[c->count++];
        *own = *t;
        own->data = malloc((size_t)syn_tensor_bytes(t));
        if (!own->data) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", dir);
        SYN_RETURN_IF(syn_checkpoint_read(c->cp, own));
    }
    return SYN_OK;
}

/* c is zeroed by the caller and freed by him, also on an error. */
static syn_status copy_take(const char *dir, const char *which, copy *c)
{
    char *config = NULL;
    SYN_RETURN_IF(syn_checkpoint_open_version(dir, which, &c->cp));
    if (syn_checkpoint_is_fallback(c->cp)) {
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: the version asked for is damaged; version %lld is sound: name it to "
                        "take it",
                        dir, (long long)syn_checkpoint_version(c->cp));
    }
    SYN_RETURN_IF(copy_tensors(c, dir));
    SYN_RETURN_IF(syn_model_deployed_config(c->cp, &config));
    c->config = json_loads(config, 0, NULL);
    c->provenance = json_loads(syn_checkpoint_provenance(c->cp), 0, NULL);
    c->metrics = json_loads(syn_checkpoint_metrics(c->cp), 0, NULL);
    free(config);
    if (c->config && c->provenance && c->metrics) return SYN_OK;
    return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", dir);
}

/* ---- deploy ---- */

/* One version's folder and nothing else in it: what a deployment is. */
static bool is_deployment(const syn_folder *above, const char *name)
{
    char *path = NULL;
    syn_folder folder = {.fd = -1};
    syn_manifest m;
    bool alone = true, parsed = false;
    DIR *d = syn_folder_list(above, name);
    if (!d) return false;
    for (struct dirent *e; (e = readdir(d));) {
        alone &= !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
                 !strcmp(e->d_name, SYN_MANIFEST_NAME) || !strcmp(e->d_name, SYN_WEIGHTS_NAME);
    }
    closedir(d);
    if (alone && asprintf(&path, "%s/%s", above->path, name) >= 0 &&
        syn_folder_open(&folder, path, false) == SYN_OK &&
        syn_version_read_at(&folder, SYN_MANIFEST_NAME, &m, NULL, NULL) == SYN_OK) {
        parsed = m.format == SYN_MANIFEST_VERSION;
        syn_manifest_free(&m);
    }
    syn_folder_close(&folder);
    free(path);
    return parsed;
}

static bool is_versions_folder(const syn_folder *folder)
{
    char *path = realpath(folder->path, NULL), *slash = path ? strrchr(path, '/') : NULL;
    const bool is = slash && !strcmp(slash + 1, SYN_VERSIONS_FOLDER);
    free(path);
    return is;
}

static syn_status check_target(const syn_folder *above, const char *name, const char *target)
{
    if (is_versions_folder(above)) {
        return syn_fail(SYN_ERR_INVALID, "%s: lies among the versions of a store", target);
    }
    if (!syn_folder_has(above, name) || is_deployment(above, name)) return SYN_OK;
    return syn_fail(SYN_ERR_INVALID, "%s: is there and is no deployed checkpoint: left as it is",
                    target);
}

/* The new one takes the name; what had it goes. */
static syn_status put_in_place(const syn_folder *above, const char *made, const char *name,
                               const char *old)
{
    if (!syn_folder_has(above, name)) return syn_folder_rename(above, made, name);
    if (renameat2(above->fd, made, above->fd, name, RENAME_EXCHANGE) == 0) {
        syn_folder_remove(above, made);
        return SYN_OK;
    }
    /* A file system that cannot exchange: for a moment there is none. */
    syn_folder_remove(above, old);
    SYN_RETURN_IF(syn_folder_rename(above, name, old));
    syn_status st = syn_folder_rename(above, made, name);
    if (st != SYN_OK && renameat(above->fd, old, above->fd, name) == 0) return st;
    syn_folder_remove(above, old);
    return st;
}

/* Writes the version into the folder `made` and loads it as whoever uses it will. */
static syn_status write_checked(const syn_folder *above, const char *made, const char *manifest,
                                const void *image, size_t bytes)
{
    syn_folder inside = {.fd = -1};
    syn_checkpoint *cp = NULL;
    char *path = NULL;
    syn_status st;
    if (asprintf(&path, "%s/%s", above->path, made) < 0) {
        return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", above->path);
    }
    syn_folder_remove(above, made);
    SYN_TRY(syn_folder_open(&inside, path, true));
    SYN_TRY(syn_file_create(&inside, SYN_WEIGHTS_NAME, image, bytes));
    SYN_TRY(syn_file_create(&inside, SYN_MANIFEST_NAME, manifest, strlen(manifest)));
    SYN_TRY(syn_folder_sync(&inside));
    SYN_TRY(syn_checkpoint_open(path, &cp));
done:
    syn_checkpoint_close(cp);
    syn_folder_close(&inside);
    free(path);
    return st;
}

static syn_status deploy_into(const syn_folder *above, const char *name, const char *target,
                              const copy *c, syn_manifest *m)
{
    char *manifest = NULL, made[SYN_FILE_NAME_BYTES], old[SYN_FILE_NAME_BYTES];
    unsigned char *image = NULL;
    syn_status st;
    if (snprintf(made, sizeof made, ".%s.tmp", name) >= (int)sizeof made ||
        snprintf(old, sizeof old, ".%s.old", name) >= (int)sizeof old) {
        return syn_fail(SYN_ERR_INVALID, "%s: the name is too long", target);
    }
    SYN_TRY(syn_folder_lock(above));
    SYN_TRY(check_target(above, name, target));
    SYN_TRY(syn_version_encode(target, &(syn_tensors){c->item, c->count}, c->config, c->provenance,
                               c->metrics, m, &manifest, &image));
    st = write_checked(above, made, manifest, image, (size_t)m->file_bytes);
    if (st == SYN_OK) st = put_in_place(above, made, name, old);
    if (st == SYN_OK) st = syn_folder_sync(above);
    if (st != SYN_OK) syn_folder_remove(above, made);
done:
    free(image);
    free(manifest);
    return st;
}

syn_status syn_publish_deploy(const char *dir, const char *which, const char *target,
                              int64_t *version)
{
    copy c = {0};
    syn_manifest m = {0};
    syn_folder above = {.fd = -1};
    const char *name;
    syn_status st;
    char *path = strdup(target);
    if (!path) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", target);
    SYN_TRY(copy_take(dir, which, &c));
    m.version = syn_checkpoint_version(c.cp);
    snprintf(m.created, sizeof m.created, "%s", syn_checkpoint_created(c.cp));
    SYN_TRY(syn_folder_open_above(&above, path, &name));
    SYN_TRY(deploy_into(&above, name, target, &c, &m));
    if (version) *version = m.version;
done:
    syn_folder_close(&above);
    copy_free(&c);
    free(path);
    return st;
}

/* ---- safetensors ---- */

/* All values are texts: the format knows nothing else. */
static json_t *metadata_of(const copy *c)
{
    char version[24];
    char *config = json_dumps(c->config, JSON_COMPACT);
    snprintf(version, sizeof version, "%lld", (long long)syn_checkpoint_version(c->cp));
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "format", "pt", "source",
                  "syncog " SYN_VERSION, "version", version, "created",
                  syn_checkpoint_created(c->cp), "config", config ? config : "{}", "metrics",
                  syn_checkpoint_metrics(c->cp), "provenance", syn_checkpoint_provenance(c->cp));
    free(config);
    return j;
}

syn_status syn_publish_safetensors(const char *dir, const char *which, const char *file,
                                   int64_t *version)
{
    copy c = {0};
    json_t *metadata = NULL;
    syn_status st;
    SYN_TRY(copy_take(dir, which, &c));
    metadata = metadata_of(&c);
    if (!metadata) {
        st = syn_fail(SYN_ERR_MEMORY, "%s: out of memory", dir);
        goto done;
    }
    SYN_TRY(syn_safetensors_write(file, &(syn_tensors){c.item, c.count}, metadata));
    if (version) *version = syn_checkpoint_version(c.cp);
done:
    json_decref(metadata);
    copy_free(&c);
    return st;
}
