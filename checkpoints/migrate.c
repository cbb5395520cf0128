/* From format 1 to a store. Format 1 was one folder with manifest.json, manifest.prev.json and
 * weights-<n>.h5; a training run had a second one in latest/. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/store.h"
#include "kernels/base/log.h"

#define LATEST_ASIDE ".latest.1.old" /* latest/ of format 1, once its versions are taken over */
#define MANIFEST_ASIDE                                                                             \
    ".manifest.1.old" /* its last manifest: the weights of format 1 beside it may go */

/* The number of a version with these very weights; 0 for none: a killed take-over went so far. */
static int64_t number_of(const syn_store *store, const syn_manifest *wanted)
{
    for (int i = store->count - 1; i >= 0; i--) {
        syn_manifest m;
        if (syn_version_manifest(store, &store->versions[i], &m, NULL) != SYN_OK) continue;
        bool same =
            !strcmp(m.file_sha256, wanted->file_sha256) && !strcmp(m.created, wanted->created);
        syn_manifest_free(&m);
        if (same) return store->versions[i].number;
    }
    return 0;
}

/* versions/ as it stands, although there is a manifest of format 1 beside it. */
static syn_status versions_so_far(const syn_folder *folder, syn_store *store)
{
    *store = (syn_store){.dir = folder->path};
    syn_status st = syn_store_list(folder, store);
    if (st != SYN_OK) syn_store_free(store);
    return st;
}

static syn_status write_again(const syn_folder *folder, syn_manifest *m, const void *image)
{
    char *text = NULL;
    syn_status st;
    SYN_TRY(syn_manifest_format(m, json_object_get(m->root, "config"),
                                json_object_get(m->root, "provenance"),
                                json_object_get(m->root, "metrics"), &text));
    st = syn_version_write(folder, m->version, text, image, (size_t)m->file_bytes);
done:
    free(text);
    return st;
}

/* *number: in the store, 0 when there is no such manifest or what it names is damaged. */
static syn_status take_over(const syn_folder *folder, const syn_folder *from, const char *name,
                            int64_t *number)
{
    syn_manifest m;
    syn_store store;
    unsigned char *image = NULL;
    bool missing = false;
    *number = 0;
    if (!syn_folder_has(from, name)) return SYN_OK;
    syn_status st = syn_version_read_at(from, name, &m, &image, &missing);
    if (st == SYN_ERR_FORMAT || missing) {
        syn_log(SYN_LOG_WARN, "%s; this version is not taken over", syn_error_text());
        return SYN_OK;
    }
    SYN_RETURN_IF(st);
    SYN_TRY(versions_so_far(folder, &store));
    *number = number_of(&store, &m);
    if (!*number) {
        const int64_t newest = store.count ? store.versions[store.count - 1].number : 0;
        if (m.version <= newest) m.version = newest + 1;
        st = write_again(folder, &m, image);
        if (st == SYN_OK) *number = m.version;
    }
    syn_store_free(&store);
done:
    free(image);
    syn_manifest_free(&m);
    return st;
}

/* The two versions of a folder of format 1: number[0] of the one before, number[1] of the latest,
 * 0 for what does not load. */
static syn_status take_over_both(const syn_folder *folder, const syn_folder *from,
                                 int64_t number[2])
{
    SYN_RETURN_IF(take_over(folder, from, SYN_MANIFEST_PREVIOUS, &number[0]));
    return take_over(folder, from, SYN_MANIFEST_NAME, &number[1]);
}

static bool is_format_1(const syn_folder *folder)
{
    return syn_folder_has(folder, SYN_MANIFEST_NAME) ||
           syn_folder_has(folder, SYN_MANIFEST_PREVIOUS);
}

/* latest/ of format 1, if there is one, gives way to the link of that name. */
static syn_status take_over_latest(const syn_folder *folder)
{
    syn_folder inside = {.fd = -1};
    int64_t number[2];
    char *path = NULL;
    if (syn_store_link_read(folder, SYN_LINK_LATEST)) return SYN_OK;
    if (asprintf(&path, "%s/" SYN_LINK_LATEST, folder->path) < 0) {
        return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", folder->path);
    }
    bool there = syn_folder_has(folder, SYN_LINK_LATEST) &&
                 syn_folder_open(&inside, path, false) == SYN_OK && is_format_1(&inside);
    syn_status st = there ? take_over_both(folder, &inside, number) : SYN_OK;
    syn_folder_close(&inside);
    free(path);
    if (st != SYN_OK || !there) return st;
    syn_folder_remove(folder, LATEST_ASIDE);
    return syn_folder_rename(folder, SYN_LINK_LATEST, LATEST_ASIDE);
}

/* "weights-5.h5", and what a kill left of it. */
static bool is_format_1_file(const char *name)
{
    int end = 0;
    bool weights = sscanf(name, "weights-%*[0-9].h5%n", &end) == 0 && end > 0 &&
                   (!name[end] || !strcmp(name + end, ".tmp"));
    return weights || !strcmp(name, SYN_MANIFEST_PREVIOUS ".tmp") ||
           !strcmp(name, SYN_MANIFEST_NAME ".tmp");
}

/* Only where a take-over has left its mark: elsewhere files of these names are not ours. */
static void clear_format_1(const syn_folder *folder)
{
    if (!syn_folder_has(folder, MANIFEST_ASIDE)) return;
    DIR *d = syn_folder_list(folder, ".");
    if (!d) return;
    syn_folder_remove(folder, LATEST_ASIDE);
    for (struct dirent *e; (e = readdir(d));) {
        if (is_format_1_file(e->d_name)) syn_folder_remove(folder, e->d_name);
    }
    closedir(d);
    syn_folder_remove(folder, MANIFEST_ASIDE);
}

syn_status syn_store_check(const syn_folder *folder)
{
    syn_manifest m;
    if (!syn_folder_has(folder, SYN_MANIFEST_NAME)) return SYN_OK;
    syn_status st = syn_version_read_at(folder, SYN_MANIFEST_NAME, &m, NULL, NULL);
    if (st == SYN_ERR_UNSUPPORTED || st == SYN_ERR_MEMORY) return st;
    const int format = st == SYN_OK ? m.format : 1;
    if (st == SYN_OK) syn_manifest_free(&m);
    if (format == 1 && !syn_folder_has(folder, SYN_WEIGHTS_NAME)) return SYN_OK;
    return syn_fail(SYN_ERR_FORMAT,
                    "%s: this folder is one version of a checkpoint, not a store: nothing is saved "
                    "into it",
                    folder->path);
}

/* In format 1 a run's folder was its best version and latest/ its latest one. */
static syn_status link_both(const syn_folder *folder, int64_t own)
{
    if (syn_store_link_read(folder, SYN_LINK_LATEST)) return SYN_OK;
    const bool run = syn_folder_has(folder, LATEST_ASIDE);
    syn_store store;
    SYN_RETURN_IF(versions_so_far(folder, &store));
    const int64_t newest = store.count ? store.versions[store.count - 1].number : 0;
    syn_store_free(&store);
    return syn_store_link(folder, run ? own : 0, run ? newest : own);
}

syn_status syn_store_migrate(const syn_folder *folder)
{
    int64_t number[2];
    if (!is_format_1(folder)) {
        clear_format_1(folder);
        return SYN_OK;
    }
    SYN_RETURN_IF(syn_store_check(folder));
    SYN_RETURN_IF(take_over_both(folder, folder, number));
    SYN_RETURN_IF(take_over_latest(folder));
    SYN_RETURN_IF(link_both(folder, number[1] ? number[1] : number[0]));
    /* Without its manifests the folder stops being one of format 1; the one that loads goes last.
     */
    const bool previous = !number[1] && syn_folder_has(folder, SYN_MANIFEST_PREVIOUS);
    syn_folder_remove(folder, previous ? SYN_MANIFEST_NAME : SYN_MANIFEST_PREVIOUS);
    SYN_RETURN_IF(syn_folder_rename(folder, previous ? SYN_MANIFEST_PREVIOUS : SYN_MANIFEST_NAME,
                                    MANIFEST_ASIDE));
    SYN_RETURN_IF(syn_folder_sync(folder));
    clear_format_1(folder);
    return SYN_OK;
}
