/* syncog checkpoint list | verify */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/files.h"
#include "checkpoints/manifest.h"
#include "kernels/base/options.h"

int syn_cmd_checkpoint(int argc, char **argv);

typedef struct checkpoint_config {
    bool json;
} checkpoint_config;

static const syn_option options[] = {
    {.name = "json",
     .type = SYN_OPTION_BOOL,
     .offset = offsetof(checkpoint_config, json),
     .help = "Print one JSON array instead of a table."},
};

static const syn_command list_command = {
    .name = "checkpoint list",
    .summary = "show the checkpoints in folders",
    .positional = "DIR...",
    .details =
        "Each DIR is a checkpoint, or a folder whose subfolders are looked at. Only manifests "
        "are read; 'checkpoint verify' reads the weights too.\n\n"
        "  syncog checkpoint list runs\n",
    .options = options,
    .option_count = 1,
};

static const syn_command verify_command = {
    .name = "checkpoint verify",
    .summary = "read checkpoints as a whole and compare every hash, name and shape",
    .positional = "DIR...",
    .details = "Exits 1 when one of them is damaged, also when the version before it is sound and "
               "would be loaded in its place.\n\n"
               "  syncog checkpoint verify runs/first\n",
    .options = options,
    .option_count = 1,
};

typedef struct summary {
    char *dir;
    int64_t generation, values, bytes;
    int tensors;
    char created[32], content_sha256[SYN_SHA256_TEXT], state[1024];
} summary;

typedef struct summaries {
    summary *items;
    int count, room;
} summaries;

static syn_status summaries_add(summaries *all, const summary *s, const char *dir)
{
    if (all->count == all->room) {
        int room = all->room ? 2 * all->room : 16;
        summary *grown = realloc(all->items, sizeof *grown * (size_t)room);
        if (!grown) return syn_fail(SYN_ERR_MEMORY, "out of memory");
        all->items = grown;
        all->room = room;
    }
    summary *slot = &all->items[all->count];
    *slot = *s;
    slot->dir = strdup(dir);
    if (!slot->dir) return syn_fail(SYN_ERR_MEMORY, "out of memory");
    all->count++;
    return SYN_OK;
}

static void summaries_free(summaries *all)
{
    for (int i = 0; i < all->count; i++) free(all->items[i].dir);
    free(all->items);
}

static void summary_fill(summary *s, const syn_manifest *m)
{
    s->generation = m->generation;
    s->bytes = m->file_bytes;
    s->tensors = m->tensor_count;
    for (int i = 0; i < m->tensor_count; i++) s->values += syn_tensor_elements(&m->tensors[i]);
    memcpy(s->created, m->created, sizeof s->created);
    memcpy(s->content_sha256, m->content_sha256, sizeof s->content_sha256);
}

/* What the latest manifest says, or else the one before; a fault goes into `state`. */
static void summary_of(const char *dir, summary *s)
{
    static const char *const names[] = {SYN_MANIFEST_LATEST, SYN_MANIFEST_PREVIOUS};
    syn_folder folder;
    memset(s, 0, sizeof *s);
    if (syn_folder_open(&folder, dir, false) != SYN_OK) {
        snprintf(s->state, sizeof s->state, "%s", syn_error_text());
        return;
    }
    for (int i = 0; i < 2 && !s->generation; i++) {
        unsigned char *text = NULL;
        int64_t bytes = 0;
        syn_manifest m;
        syn_status st =
            syn_file_read(&folder, names[i], SYN_MANIFEST_BYTES_MAX, &text, &bytes, NULL);
        if (st == SYN_OK) st = syn_manifest_parse(names[i], (char *)text, (size_t)bytes, &m);
        free(text);
        if (st != SYN_OK) {
            if (i == 0) snprintf(s->state, sizeof s->state, "%s", syn_error_text());
            continue;
        }
        summary_fill(s, &m);
        syn_manifest_free(&m);
    }
    syn_folder_close(&folder);
}

/* The whole checkpoint is read; `state` stays empty when its latest version is sound. */
static void verify(const char *dir, summary *s)
{
    syn_checkpoint *cp = NULL;
    memset(s, 0, sizeof *s);
    if (syn_checkpoint_open(dir, &cp) != SYN_OK) {
        snprintf(s->state, sizeof s->state, "%s", syn_error_text());
        return;
    }
    summary_of(dir, s);
    if (syn_checkpoint_is_previous(cp)) {
        s->generation = syn_checkpoint_generation(cp);
        snprintf(s->state, sizeof s->state,
                 "the latest version is damaged; generation %lld is sound",
                 (long long)s->generation);
        snprintf(s->content_sha256, sizeof s->content_sha256, "%s",
                 syn_checkpoint_content_sha256(cp));
    }
    syn_checkpoint_close(cp);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static syn_status collect(const char *dir, summaries *all)
{
    summary s;
    if (syn_checkpoint_exists(dir)) {
        summary_of(dir, &s);
        return summaries_add(all, &s, dir);
    }
    struct dirent **entries = NULL;
    int count = scandir(dir, &entries, NULL, by_name);
    if (count < 0) return syn_fail(SYN_ERR_IO, "%s: %s", dir, strerror(errno));
    syn_status st = SYN_OK;
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (st == SYN_OK && entries[i]->d_name[0] != '.' &&
            asprintf(&path, "%s/%s", dir, entries[i]->d_name) > 0 && syn_checkpoint_exists(path)) {
            summary_of(path, &s);
            st = summaries_add(all, &s, path);
        }
        free(path);
        free(entries[i]);
    }
    free(entries);
    return st;
}

static syn_status print_json(const summaries *all)
{
    json_t *list = json_array();
    for (int i = 0; i < all->count; i++) {
        const summary *s = &all->items[i];
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:s, s:i, s:I, s:I, s:s, s:b, s:s}", "dir", s->dir,
                            "generation", (json_int_t)s->generation, "created", s->created,
                            "tensors", s->tensors, "values", (json_int_t)s->values, "file_bytes",
                            (json_int_t)s->bytes, "content_sha256", s->content_sha256, "sound",
                            s->state[0] == 0, "fault", s->state));
    }
    char *text = json_dumps(list, JSON_INDENT(1));
    json_decref(list);
    if (!text) return syn_fail(SYN_ERR_FORMAT, "a folder's name is not UTF-8");
    puts(text);
    free(text);
    return SYN_OK;
}

static void print_table(const summaries *all)
{
    int width = 9;
    for (int i = 0; i < all->count; i++) {
        int n = (int)strlen(all->items[i].dir);
        if (n > width) width = n;
    }
    printf("%-*s  %4s  %-20s  %7s  %10s  %8s  %-12s\n", width, "DIRECTORY", "SAVE", "CREATED",
           "TENSORS", "VALUES", "MiB", "CONTENT");
    for (int i = 0; i < all->count; i++) {
        const summary *s = &all->items[i];
        if (s->generation) {
            printf("%-*s  %4lld  %-20s  %7d  %10lld  %8.1f  %.12s%s%s\n", width, s->dir,
                   (long long)s->generation, s->created, s->tensors, (long long)s->values,
                   (double)s->bytes / (1 << 20), s->content_sha256, s->state[0] ? "  " : "",
                   s->state);
        } else {
            printf("%-*s  %s\n", width, s->dir, s->state);
        }
    }
}

static syn_status run(const syn_command *command, bool reads_weights, int argc, char **argv)
{
    checkpoint_config config;
    syn_text_list dirs;
    summaries all = {0};
    bool done = false;
    syn_status st = SYN_OK;
    SYN_RETURN_IF(syn_options_parse(command, &config, argc, argv, &dirs, &done));
    if (done) return SYN_OK;
    if (dirs.count == 0) {
        return syn_fail(SYN_ERR_USAGE, "%s needs a folder; 'syncog %s --help' shows how",
                        command->name, command->name);
    }
    for (int i = 0; i < dirs.count; i++) {
        if (reads_weights) {
            summary s;
            verify(dirs.items[i], &s);
            SYN_TRY(summaries_add(&all, &s, dirs.items[i]));
        } else {
            SYN_TRY(collect(dirs.items[i], &all));
        }
    }
    if (config.json) {
        SYN_TRY(print_json(&all));
    } else {
        print_table(&all);
    }
    int damaged = 0;
    for (int i = 0; i < all.count; i++) damaged += all.items[i].state[0] != 0;
    if (reads_weights && damaged) {
        st = syn_fail(SYN_ERR_FORMAT, "%d of %d checkpoints cannot be loaded as saved", damaged,
                      all.count);
    }
done:
    summaries_free(&all);
    return st;
}

int syn_cmd_checkpoint(int argc, char **argv)
{
    static const char *const words[] = {"list", "verify"};
    const char *word = argc > 1 ? argv[1] : "--help";
    if (!strcmp(word, "list")) return syn_exit_code(run(&list_command, false, argc - 1, argv + 1));
    if (!strcmp(word, "verify"))
        return syn_exit_code(run(&verify_command, true, argc - 1, argv + 1));
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        printf("syncog checkpoint: list and verify checkpoints\n\n"
               "  syncog checkpoint list DIR...    %s\n"
               "  syncog checkpoint verify DIR...  %s\n",
               list_command.summary, verify_command.summary);
        return argc > 1 ? 0 : 2;
    }
    const char *near = syn_suggest(word, words, 2);
    return syn_exit_code(syn_fail(SYN_ERR_USAGE, "unknown command 'checkpoint %s'%s%s%s", word,
                                  near ? "; did you mean '" : "; there are list and verify",
                                  near ? near : "", near ? "'?" : ""));
}
