#include "trainer/train_log.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/base/log.h"

static void cut_metrics(const char *path, int64_t done_steps)
{
    FILE *f = fopen(path, "r+");
    char *line = NULL;
    size_t room = 0;
    off_t keep = 0;
    while (f && getline(&line, &room, f) > 0) {
        json_t *j = json_loads(line, 0, NULL);
        const json_int_t steps = json_integer_value(json_object_get(j, "env_steps"));
        json_decref(j);
        if (steps <= 0 || steps > done_steps) break;
        keep = ftello(f);
    }
    free(line);
    if (!f) return;
    if (ftruncate(fileno(f), keep) != 0)
        syn_log(SYN_LOG_WARN, "%s: cannot be cut: %s", path, strerror(errno));
    fclose(f);
}

static char *join(const char *dir, const char *name)
{
    const size_t bytes = strlen(dir) + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path) snprintf(path, bytes, "%s/%s", dir, name);
    return path;
}

syn_status syn_train_log_open(syn_train_log *log, const char *dir, int64_t done_steps,
                              const char *config_json)
{
    *log = (syn_train_log){.board = {.fd = -1}, .done_steps = done_steps};
    log->path = join(dir, "metrics.jsonl");
    log->board_path = join(dir, "tensorboard");
    log->config = config_json ? strdup(config_json) : NULL;
    if (!log->path || !log->board_path || (config_json && !log->config))
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a path");
    if (done_steps) cut_metrics(log->path, done_steps);
    log->metrics = fopen(log->path, "a");
    if (log->metrics) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", log->path, strerror(errno));
}

syn_status syn_train_log_replace(const syn_train_log *log)
{
    if (ftruncate(fileno(log->metrics), 0) != 0)
        return syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", log->path, strerror(errno));
    DIR *d = opendir(log->board_path);
    for (const struct dirent *e; d && (e = readdir(d));)
        if (syn_tb_is_file(e->d_name)) unlinkat(dirfd(d), e->d_name, 0);
    if (d) closedir(d);
    return SYN_OK;
}

syn_status syn_train_log_write(syn_train_log *log, const json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(6));
    const bool begins = !log->lines && !log->done_steps;
    const bool written = text && (!begins || ftruncate(fileno(log->metrics), 0) == 0) &&
                         fprintf(log->metrics, "%s\n", text) > 0 && fflush(log->metrics) == 0;
    free(text);
    if (!written)
        return syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", log->path, strerror(errno));
    if (!log->lines++) {
        syn_tb_open(&log->board, log->board_path, log->done_steps + 1);
        if (log->config) syn_tb_text(&log->board, "config", log->done_steps + 1, log->config);
    }
    syn_tb_metrics(&log->board, line);
    syn_tb_flush(&log->board);
    return SYN_OK;
}

void syn_train_log_weights(syn_train_log *log, const syn_params *p, int64_t step)
{
    char tag[SYN_PARAM_NAME_MAX + 16];
    for (int i = 0; log->lines && i < p->count; i++) {
        snprintf(tag, sizeof tag, "weights/%s", p->item[i].name);
        syn_tb_histogram(&log->board, tag, step, syn_value(p, i), p->item[i].count);
    }
    syn_tb_flush(&log->board);
}

void syn_train_log_close(syn_train_log *log, bool keep)
{
    struct stat status;
    if (!log->path) return;
    if (log->metrics) {
        const bool empty = fstat(fileno(log->metrics), &status) == 0 && status.st_size == 0;
        fclose(log->metrics);
        if (empty || (!keep && !log->done_steps && log->lines)) unlink(log->path);
    }
    if (!keep && log->board.fd >= 0) unlink(log->board.path);
    if (log->lines) syn_tb_close(&log->board);
    if (!keep && log->board_path) rmdir(log->board_path); /* refuses one with something in it */
    free(log->path);
    free(log->board_path);
    free(log->config);
    *log = (syn_train_log){.board = {.fd = -1}};
}
