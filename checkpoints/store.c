#include "checkpoints/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- names ---- */

void syn_version_path(int64_t number, char out[SYN_VERSION_PATH_BYTES])
{
    snprintf(out, SYN_VERSION_PATH_BYTES, SYN_VERSIONS_FOLDER "/%06lld", (long long)number);
}

/* 12 for "versions/000012" and nothing else that might mean 12; else 0. */
static int64_t version_of_path(const char *path)
{
    char own[SYN_VERSION_PATH_BYTES], *end = NULL;
    const size_t skip = strlen(SYN_VERSIONS_FOLDER "/");
    if (strncmp(path, SYN_VERSIONS_FOLDER "/", skip)) return 0;
    if (path[skip] < '0' || path[skip] > '9') return 0;
    errno = 0;
    long long n = strtoll(path + skip, &end, 10);
    if (errno || *end || n < 1 || n > SYN_VERSION_MAX) return 0;
    syn_version_path(n, own);
    return strcmp(own, path) ? 0 : n;
}

static int64_t version_of_name(const char *name)
{
    char path[SYN_VERSION_PATH_BYTES];
    int n = snprintf(path, sizeof path, SYN_VERSIONS_FOLDER "/%s", name);
    return n < (int)sizeof path ? version_of_path(path) : 0;
}

int64_t syn_store_link_read(const syn_folder *folder, const char *name)
{
    char target[SYN_VERSION_PATH_BYTES];
    ssize_t n = readlinkat(folder->fd, name, target, sizeof target - 1);
    if (n < 0) return 0;
    target[n] = 0;
    return version_of_path(target);
}

char *syn_version_folder(const syn_store *store, const syn_version *version)
{
    char *path = NULL, relative[SYN_VERSION_PATH_BYTES];
    if (store->flat) return strdup(store->dir);
    syn_version_path(version->number, relative);
    return asprintf(&path, "%s/%s", store->dir, relative) < 0 ? NULL : path;
}

/* ---- listing ---- */

static int by_number(const void *a, const void *b)
{
    int64_t x = ((const syn_version *)a)->number, y = ((const syn_version *)b)->number;
    return (x > y) - (x < y);
}

syn_status syn_store_list(const syn_folder *folder, syn_store *store)
{
    DIR *d = syn_folder_list(folder, SYN_VERSIONS_FOLDER);
    int room = 0;
    syn_status st = SYN_OK;
    if (!d) return SYN_OK;
    for (struct dirent *e; (e = readdir(d));) {
        int64_t number = version_of_name(e->d_name);
        if (!number) continue;
        if (store->count == SYN_STORE_VERSIONS_MAX) {
            st = syn_fail(SYN_ERR_LIMIT, "%s: holds more than %d versions", folder->path,
                          SYN_STORE_VERSIONS_MAX);
            goto done;
        }
        if (store->count == room) {
            room = room ? 2 * room : 16;
            syn_version *grown = realloc(store->versions, sizeof *grown * (size_t)room);
            if (!grown) {
                st = syn_fail(SYN_ERR_MEMORY, "%s: out of memory", folder->path);
                goto done;
            }
            store->versions = grown;
        }
        store->versions[store->count++] = (syn_version){number, SYN_MANIFEST_NAME};
    }
    if (store->count) {
        qsort(store->versions, (size_t)store->count, sizeof *store->versions, by_number);
    }
done:
    closedir(d);
    return st;
}

/* Manifests beside each other: one version's folder, or the two of format 1. */
static syn_status list_flat(const syn_folder *folder, syn_store *store)
{
    static const char *const names[] = {SYN_MANIFEST_PREVIOUS, SYN_MANIFEST_NAME};
    store->versions = calloc(2, sizeof *store->versions);
    if (!store->versions) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", folder->path);
    store->flat = true;
    for (int i = 0; i < 2; i++) {
        if (!syn_folder_has(folder, names[i])) continue;
        syn_version *v = &store->versions[store->count++];
        syn_manifest m;
        v->manifest = names[i];
        if (syn_version_manifest(store, v, &m, NULL) != SYN_OK) continue;
        v->number = m.version;
        syn_manifest_free(&m);
    }
    if (store->count) store->latest = store->versions[store->count - 1].number;
    return SYN_OK;
}

syn_status syn_store_open(const char *dir, syn_store *store, bool *none)
{
    syn_folder folder;
    *store = (syn_store){.dir = dir};
    if (none) *none = false;
    SYN_RETURN_IF(syn_folder_open(&folder, dir, false));
    syn_status st;
    if (syn_folder_has(&folder, SYN_MANIFEST_NAME) ||
        syn_folder_has(&folder, SYN_MANIFEST_PREVIOUS)) {
        st = list_flat(&folder, store);
    } else {
        store->latest = syn_store_link_read(&folder, SYN_LINK_LATEST);
        store->best = syn_store_link_read(&folder, SYN_LINK_BEST);
        st = syn_store_list(&folder, store);
        if (!store->latest && store->count) {
            store->latest = store->versions[store->count - 1].number;
        }
    }
    if (st == SYN_OK && !store->count) {
        if (none) *none = true;
        st = syn_fail(SYN_ERR_IO, "%s: no checkpoint in this folder", dir);
    }
    syn_folder_close(&folder);
    if (st != SYN_OK) syn_store_free(store);
    return st;
}

void syn_store_free(syn_store *store)
{
    free(store->versions);
    store->versions = NULL;
    store->count = 0;
}

/* ---- choosing one ---- */

static syn_status resolve_number(const syn_store *store, const char *which, int *index)
{
    char *end = NULL;
    errno = 0;
    long long n = strtoll(which, &end, 10);
    if (errno || *end || n < 1 || which[0] < '0' || which[0] > '9') {
        return syn_fail(SYN_ERR_INVALID,
                        "%s: '%s' is not a version: a number, 'best' or 'latest' is", store->dir,
                        which);
    }
    for (int i = 0; i < store->count; i++) {
        if (store->versions[i].number != n) continue;
        *index = i;
        return SYN_OK;
    }
    const syn_version *v = store->versions;
    return syn_fail(SYN_ERR_INVALID,
                    "%s: there is no version %lld; the oldest is %lld, the newest %lld", store->dir,
                    n, (long long)v[0].number, (long long)v[store->count - 1].number);
}

syn_status syn_store_resolve(const syn_store *store, const char *which, int *index, int *older)
{
    const bool best = which ? !strcmp(which, SYN_LINK_BEST) : store->best > 0;
    *index = -1;
    *older = 0;
    if (which && !best && strcmp(which, SYN_LINK_LATEST)) {
        return resolve_number(store, which, index);
    }
    if (best && !store->best) {
        return syn_fail(SYN_ERR_INVALID, "%s: no version has been marked as the best", store->dir);
    }
    if (store->flat) {
        *index = store->count - 1;
        return SYN_OK;
    }
    const int64_t wanted = best ? store->best : store->latest;
    for (int i = 0; i < store->count; i++) {
        if (store->versions[i].number == wanted) *index = i;
        *older += store->versions[i].number < wanted;
    }
    return SYN_OK;
}

/* ---- reading one ---- */

static syn_status manifest_read(const syn_folder *folder, const char *name, syn_manifest *m,
                                bool *missing)
{
    unsigned char *text = NULL;
    int64_t bytes = 0;
    char *where = NULL;
    memset(m, 0, sizeof *m);
    if (asprintf(&where, "%s/%s", folder->path, name) < 0) {
        return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", folder->path);
    }
    syn_status st = syn_file_read(folder, name, SYN_MANIFEST_BYTES_MAX, &text, &bytes, missing);
    if (st == SYN_OK) st = syn_manifest_parse(where, (const char *)text, (size_t)bytes, m);
    free(text);
    free(where);
    return st;
}

/* The bytes of the weights, whose size and SHA-256 are the manifest's. */
static syn_status image_read(const syn_folder *folder, const syn_manifest *m, unsigned char **image,
                             bool *missing)
{
    char hash[SYN_SHA256_TEXT];
    int64_t bytes = 0;
    syn_status st;
    *image = NULL;
    SYN_TRY(syn_file_read(folder, m->file, SYN_WEIGHTS_BYTES_MAX, image, &bytes, missing));
    if (bytes != m->file_bytes) {
        st = syn_fail(SYN_ERR_FORMAT, "%s/%s: damaged: %lld bytes, the manifest says %lld",
                      folder->path, m->file, (long long)bytes, (long long)m->file_bytes);
        goto done;
    }
    SYN_TRY(syn_sha256_of(*image, (size_t)bytes, hash));
    if (strcmp(hash, m->file_sha256)) {
        st = syn_fail(SYN_ERR_FORMAT, "%s/%s: damaged: its SHA-256 is not the manifest's",
                      folder->path, m->file);
    }
done:
    if (st != SYN_OK) {
        free(*image);
        *image = NULL;
    }
    return st;
}

syn_status syn_version_read_at(const syn_folder *folder, const char *manifest_name, syn_manifest *m,
                               unsigned char **image, bool *missing)
{
    if (image) *image = NULL;
    SYN_RETURN_IF(manifest_read(folder, manifest_name, m, missing));
    if (!image) return SYN_OK;
    syn_status st = image_read(folder, m, image, missing);
    if (st != SYN_OK) syn_manifest_free(m);
    return st;
}

syn_status syn_version_read(const syn_store *store, const syn_version *version, syn_manifest *m,
                            unsigned char **image, bool *missing)
{
    syn_folder folder;
    char *path = syn_version_folder(store, version);
    memset(m, 0, sizeof *m);
    if (missing) *missing = false;
    if (!path) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", store->dir);
    syn_status st = syn_folder_open(&folder, path, false);
    if (st != SYN_OK && missing) *missing = access(path, F_OK) != 0 && errno == ENOENT;
    if (st == SYN_OK) st = syn_version_read_at(&folder, version->manifest, m, image, missing);
    if (st == SYN_OK && !store->flat && m->version != version->number) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: its manifest is that of version %lld", path,
                      (long long)m->version);
        syn_manifest_free(m);
        if (image) free(*image);
        if (image) *image = NULL;
    }
    syn_folder_close(&folder);
    free(path);
    return st;
}

syn_status syn_version_manifest(const syn_store *store, const syn_version *version, syn_manifest *m,
                                bool *missing)
{
    return syn_version_read(store, version, m, NULL, missing);
}

/* ---- pruning ---- */

/* Whether the version's bytes are those that were saved. */
static bool version_verifies(const syn_store *store, const syn_version *version)
{
    syn_manifest m;
    unsigned char *image = NULL;
    if (syn_version_read(store, version, &m, &image, NULL) != SYN_OK) return false;
    syn_manifest_free(&m);
    free(image);
    return true;
}

int syn_store_choose(const syn_store *store, int keep, int64_t fresh, bool *gone)
{
    int kept = 0, going = 0;
    memset(gone, 0, sizeof *gone * (size_t)store->count);
    if (store->flat || store->count <= keep) return 0;
    for (int i = 0; i < store->count; i++) {
        const int64_t n = store->versions[i].number;
        gone[i] = n != store->best && n != store->latest && n != fresh;
        kept += !gone[i];
    }
    for (int i = store->count - 1; i >= 0 && !(fresh && keep == 1); i--) {
        if (store->versions[i].number == fresh) continue;
        if (!version_verifies(store, &store->versions[i])) continue;
        kept += gone[i];
        gone[i] = false;
        break;
    }
    for (int i = store->count - 1; i >= 0; i--) {
        if (gone[i] && kept < keep) {
            gone[i] = false;
            kept++;
        }
        going += gone[i];
    }
    return going;
}

/* ".000012.old" beside "000012": not a version's name. */
static void hidden_path(int64_t number, const char *end, char out[SYN_VERSION_PATH_BYTES])
{
    snprintf(out, SYN_VERSION_PATH_BYTES, SYN_VERSIONS_FOLDER "/.%06lld.%s", (long long)number,
             end);
}

syn_status syn_version_remove(const syn_folder *folder, int64_t number)
{
    char path[SYN_VERSION_PATH_BYTES], hidden[SYN_VERSION_PATH_BYTES];
    syn_version_path(number, path);
    hidden_path(number, "old", hidden);
    syn_folder_remove(folder, hidden);
    syn_status st = syn_folder_rename(folder, path, hidden);
    if (st == SYN_OK) syn_folder_remove(folder, hidden);
    return st;
}

void syn_store_sweep(const syn_folder *folder)
{
    char path[SYN_VERSION_PATH_BYTES];
    DIR *d = syn_folder_list(folder, SYN_VERSIONS_FOLDER);
    syn_folder_remove(folder, "." SYN_LINK_BEST ".tmp");
    syn_folder_remove(folder, "." SYN_LINK_BEST ".old");
    syn_folder_remove(folder, "." SYN_LINK_LATEST ".tmp");
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        const char *end = strrchr(e->d_name, '.');
        if (e->d_name[0] != '.' || e->d_name[1] < '0' || e->d_name[1] > '9') continue;
        if (strcmp(end, ".tmp") && strcmp(end, ".old")) continue;
        int n = snprintf(path, sizeof path, SYN_VERSIONS_FOLDER "/%s", e->d_name);
        if (n < (int)sizeof path) syn_folder_remove(folder, path);
    }
    closedir(d);
}

/* ---- writing ---- */

syn_status syn_version_write(const syn_folder *folder, int64_t number, const char *manifest,
                             const void *image, size_t bytes)
{
    syn_status st;
    syn_folder versions = {.fd = -1}, inside = {.fd = -1};
    char relative[SYN_VERSION_PATH_BYTES], hidden[SYN_VERSION_PATH_BYTES];
    char *above = NULL, *path = NULL;
    bool in_place = false;
    if (number > SYN_VERSION_MAX) {
        return syn_fail(SYN_ERR_LIMIT, "%s: there is no version number left", folder->path);
    }
    syn_version_path(number, relative);
    hidden_path(number, "tmp", hidden);
    syn_folder_remove(folder, hidden);
    if (asprintf(&above, "%s/" SYN_VERSIONS_FOLDER, folder->path) < 0) above = NULL;
    if (!above || asprintf(&path, "%s/%s", folder->path, hidden) < 0) {
        path = NULL;
        st = syn_fail(SYN_ERR_MEMORY, "%s: out of memory", folder->path);
        goto done;
    }
    SYN_TRY(syn_folder_open(&versions, above, true));
    SYN_TRY(syn_folder_open(&inside, path, true));
    SYN_TRY(syn_file_create(&inside, SYN_WEIGHTS_NAME, image, bytes));
    SYN_TRY(syn_file_create(&inside, SYN_MANIFEST_NAME, manifest, strlen(manifest)));
    SYN_TRY(syn_folder_sync(&inside));
    SYN_TRY(syn_folder_rename(folder, hidden, relative));
    in_place = true;
    SYN_TRY(syn_folder_sync(&versions));
done:
    syn_folder_close(&inside);
    syn_folder_close(&versions);
    if (st != SYN_OK) syn_folder_remove(folder, in_place ? relative : hidden);
    free(path);
    free(above);
    return st;
}

static syn_status link_prepare(const syn_folder *folder, const char *temporary, int64_t number)
{
    char target[SYN_VERSION_PATH_BYTES];
    if (!number) return SYN_OK;
    syn_version_path(number, target);
    return syn_link_prepare(folder, temporary, target);
}

syn_status syn_store_link(const syn_folder *folder, int64_t best, int64_t latest)
{
    static const char best_new[] = "." SYN_LINK_BEST ".tmp", best_old[] = "." SYN_LINK_BEST ".old",
                      latest_new[] = "." SYN_LINK_LATEST ".tmp";
    const int64_t best_before = syn_store_link_read(folder, SYN_LINK_BEST);
    bool best_moved = false;
    char failure[1024];
    syn_status st;
    /* What needs space comes first: the renames then only swap names. */
    if (best) SYN_TRY(link_prepare(folder, best_old, best_before));
    SYN_TRY(link_prepare(folder, best_new, best));
    SYN_TRY(link_prepare(folder, latest_new, latest));
    if (best) SYN_TRY(syn_folder_rename(folder, best_new, SYN_LINK_BEST));
    best_moved = best != 0;
    if (latest) SYN_TRY(syn_folder_rename(folder, latest_new, SYN_LINK_LATEST));
    syn_folder_remove(folder, best_old);
    return syn_folder_sync(folder);
done:
    snprintf(failure, sizeof failure, "%s", syn_error_text());
    if (best_moved &&
        (!best_before || syn_folder_rename(folder, best_old, SYN_LINK_BEST) != SYN_OK)) {
        syn_folder_remove(folder, SYN_LINK_BEST);
    }
    syn_folder_remove(folder, best_old);
    syn_folder_remove(folder, best_new);
    syn_folder_remove(folder, latest_new);
    return syn_fail(st, "%s", failure);
}
