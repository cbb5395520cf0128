/* One run in the place of another. */
#include <string.h>
#include <sys/stat.h>

#include "checkpoints/store.h"
#include "checkpoints/weights.h"
#include "kernels/base/log.h"

syn_status syn_checkpoint_place(const char *dir, bool *holds)
{
    struct stat status;
    syn_folder folder;
    *holds = false;
    if (stat(dir, &status) != 0 || !S_ISDIR(status.st_mode)) return SYN_OK;
    SYN_RETURN_IF(syn_folder_open(&folder, dir, false));
    const syn_status st = syn_store_check(&folder);
    syn_folder_close(&folder);
    if (st == SYN_OK) *holds = syn_checkpoint_exists(dir);
    return st;
}

/* Whether the version's folder holds nothing but what a save makes. */
static bool all_ours(const syn_folder *folder, int64_t number)
{
    char path[SYN_VERSION_PATH_BYTES];
    bool ours = true;
    syn_version_path(number, path);
    DIR *d = syn_folder_list(folder, path);
    for (const struct dirent *e; ours && d && (e = readdir(d));) {
        ours = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
               !strcmp(e->d_name, SYN_WEIGHTS_NAME) || !strcmp(e->d_name, SYN_MANIFEST_NAME);
        if (!ours)
            syn_log(SYN_LOG_WARN, "%s/%s stays: %s in it is not of a checkpoint", folder->path,
                    path, e->d_name);
    }
    if (d) closedir(d);
    return d && ours;
}

static syn_status keep_latest(const syn_folder *folder)
{
    const int64_t latest = syn_store_link_read(folder, SYN_LINK_LATEST);
    const int64_t best = syn_store_link_read(folder, SYN_LINK_BEST);
    syn_store store = {.dir = folder->path};
    syn_status st = SYN_OK;
    if (!latest) return syn_fail(SYN_ERR_IO, "%s: no version has been saved into it", folder->path);
    /* First, or a kill would leave it leading nowhere. */
    if (best && best != latest) syn_folder_remove(folder, SYN_LINK_BEST);
    SYN_TRY(syn_store_list(folder, &store));
    for (int i = 0; i < store.count; i++) {
        const int64_t number = store.versions[i].number;
        if (number != latest && all_ours(folder, number))
            SYN_TRY(syn_version_remove(folder, number));
    }
    st = syn_folder_sync(folder);
done:
    syn_store_free(&store);
    return st;
}

syn_status syn_checkpoint_keep_latest(const char *dir)
{
    syn_folder folder;
    SYN_RETURN_IF(syn_folder_open(&folder, dir, false));
    syn_status st = syn_folder_lock(&folder);
    if (st == SYN_OK) st = keep_latest(&folder);
    syn_folder_close(&folder);
    return st;
}
