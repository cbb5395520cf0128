#include "trainer/place.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A folder that can be looked into; `else_do` ends the sentence when it is not there. */
static syn_status check_folder(const char *option, const char *dir, const char *else_do)
{
    struct stat status;
    if (stat(dir, &status) != 0) {
        const bool missing = errno == ENOENT;
        return syn_fail(SYN_ERR_IO, "%s: %s: %s%s%s", option, dir,
                        missing ? "there is no such folder" : strerror(errno), missing ? "; " : "",
                        missing ? else_do : "");
    }
    if (S_ISDIR(status.st_mode)) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "%s: %s: is a file, not a checkpoint's folder", option, dir);
}

/* Whether `init` is `out`, or one of the versions in it. */
static bool lies_in(const char *init, const char *out)
{
    char *a = realpath(init, NULL), *b = realpath(out, NULL);
    const size_t bytes = b ? strlen(b) : 0;
    bool inside = a && b && strncmp(a, b, bytes) == 0;
    if (inside && a[bytes])
        inside = !strncmp(a + bytes, "/versions/", 10) || !strcmp(a + bytes, "/latest");
    free(a);
    free(b);
    return inside;
}

/* The updates of the run in `out`; -1: what is there is none, or cannot be read. */
static long long updates_in(const char *out)
{
    syn_checkpoint *cp = NULL;
    if (syn_checkpoint_open_version(out, "latest", &cp) != SYN_OK) return -1;
    json_t *metrics = json_loads(syn_checkpoint_metrics(cp), 0, NULL);
    const json_t *updates = json_object_get(metrics, "update");
    const long long n = json_is_number(updates) ? (long long)json_number_value(updates) : -1;
    json_decref(metrics);
    syn_checkpoint_close(cp);
    return n;
}

syn_status syn_place_begin(const char *out, const char *init, bool overwrite, bool train,
                           bool *replaces)
{
    SYN_RETURN_IF(syn_checkpoint_place(out, replaces));
    if (!*replaces) return SYN_OK;
    if (init && lies_in(init, out)) {
        return syn_fail(SYN_ERR_IO, "--init %s lies in --out %s: give another --out", init, out);
    }
    if (overwrite) return SYN_OK;
    const long long updates = train ? updates_in(out) : -1;
    if (updates < 0) {
        return syn_fail(SYN_ERR_IO,
                        "%s already holds a checkpoint; give another --out, or add --overwrite to "
                        "replace it",
                        out);
    }
    return syn_fail(SYN_ERR_IO,
                    "%s already holds a run (%lld update%s); add --resume to go on, or --overwrite "
                    "to start again",
                    out, updates, updates == 1 ? "" : "s");
}

syn_status syn_place_open_init(const char *init, syn_checkpoint **cp)
{
    static const char *const what = "--init takes what 'syncog pretrain' or 'syncog train' wrote";
    *cp = NULL;
    SYN_RETURN_IF(check_folder("--init", init, what));
    if (!syn_checkpoint_exists(init))
        return syn_fail(SYN_ERR_IO, "--init: %s: no checkpoint in this folder; %s", init, what);
    return syn_checkpoint_open(init, cp);
}

/* In format 1, a run's folder was its best version and the folder latest/ in it was its latest. */
static bool has_format_1_latest(const char *out, char *folder, size_t bytes)
{
    struct stat status;
    return snprintf(folder, bytes, "%s/latest", out) < (int)bytes && lstat(folder, &status) == 0 &&
           S_ISDIR(status.st_mode);
}

syn_status syn_place_open_run(const char *out, syn_checkpoint **cp)
{
    char folder[4096];
    bool holds;
    *cp = NULL;
    SYN_RETURN_IF(check_folder("--resume", out, "begin the run with --init DIR, without --resume"));
    if (has_format_1_latest(out, folder, sizeof folder)) return syn_checkpoint_open(folder, cp);
    SYN_RETURN_IF(syn_checkpoint_place(out, &holds));
    if (!holds) {
        return syn_fail(SYN_ERR_IO,
                        "--resume: %s: no checkpoint in this folder to go on from; begin the run "
                        "with --init DIR, without --resume",
                        out);
    }
    return syn_checkpoint_open_version(out, "latest", cp);
}
