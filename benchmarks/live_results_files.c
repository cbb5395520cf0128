/* Files of a run's results that appear whole or not at all. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "benchmarks/live_results.h"
#include "datasets/new_file.h"
#include "serve/json_text.h"

syn_status syn_live_json_write(const char *path, const json_t *root, size_t flags)
{
    syn_new_file f = {.fd = -1};
    char *text = syn_json_text(root, flags);
    if (!text) return syn_fail(SYN_ERR_MEMORY, "out of memory for the results");
    const size_t bytes = strlen(text);
    syn_status st = syn_new_file_open(&f, path);
    for (size_t at = 0; st == SYN_OK && at < bytes;) {
        const ssize_t n = write(f.fd, text + at, bytes - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) st = syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
        at += n > 0 ? (size_t)n : 0;
    }
    if (st == SYN_OK) st = syn_new_file_commit(&f);
    syn_new_file_discard(&f);
    free(text);
    return st;
}

syn_status syn_live_predictions_folder(const char *path)
{
    struct stat info;
    if (mkdir(path, 0777) == 0) return SYN_OK;
    if (errno != EEXIST)
        return syn_fail(SYN_ERR_IO, "%s: cannot be made: %s", path, strerror(errno));
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "%s: is no folder", path);
}

syn_status syn_live_predictions_write(const syn_live_sums *s)
{
    const char *folder = s->plan->predictions;
    char path[4096];
    for (int k = 0; k < s->cells; k++) {
        const syn_live_record *r = &s->run.record[s->cell[k].from];
        if (!s->cell[k].predictions) continue;
        const int n = snprintf(path, sizeof path, "%s/%s.%s.%d.json", folder, r->benchmark,
                               r->policy, r->num_agents);
        if (n < 0 || n >= (int)sizeof path)
            return syn_fail(SYN_ERR_LIMIT, "%.64s...: the name is too long", folder);
        SYN_RETURN_IF(syn_live_json_write(path, s->cell[k].predictions, JSON_COMPACT));
    }
    return SYN_OK;
}
