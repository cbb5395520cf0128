/* syncog checkpoint list | verify | find-best: what there is, whether it is sound, which is best.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoints/cmd_checkpoint.h"
#include "checkpoints/store.h"
#include "kernels/base/log.h"

/* What is shown of one version. */
typedef struct row {
    char *dir;
    int64_t version, values, bytes, env_steps; /* version 0, env_steps -1: unknown */
    int tensors;
    bool best, latest;
    char created[32], content_sha256[SYN_SHA256_TEXT], fault[1024];
    json_t *metrics;
} row;

typedef struct rows {
    row *items;
    int count, room;
} rows;

static syn_status rows_add(rows *all, const char *dir, row **out)
{
    if (all->count == all->room) {
        int room = all->room ? 2 * all->room : 16;
        row *grown = realloc(all->items, sizeof *grown * (size_t)room);
        if (!grown) return syn_fail(SYN_ERR_MEMORY, "out of memory");
        all->items = grown;
        all->room = room;
    }
    *out = &all->items[all->count];
    **out = (row){.dir = strdup(dir), .env_steps = -1};
    if (!(*out)->dir) return syn_fail(SYN_ERR_MEMORY, "out of memory");
    all->count++;
    return SYN_OK;
}

static void rows_free(rows *all)
{
    for (int i = 0; i < all->count; i++) {
        json_decref(all->items[i].metrics);
        free(all->items[i].dir);
    }
    free(all->items);
}

/* A metric; in checkpoints of format 1 the config says it. */
static int64_t env_steps_of(const syn_manifest *m)
{
    const json_t *metric = json_object_get(json_object_get(m->root, "metrics"), "env_steps");
    const json_t *config = json_object_get(json_object_get(m->root, "config"), "config");
    const json_t *stored = json_object_get(config, "env_steps_done");
    if (json_is_number(metric)) return (int64_t)json_number_value(metric);
    return json_is_integer(stored) ? json_integer_value(stored) : -1;
}

static void row_fill(row *r, const syn_manifest *m)
{
    r->version = m->version;
    r->bytes = m->file_bytes;
    r->tensors = m->tensor_count;
    for (int i = 0; i < m->tensor_count; i++) r->values += syn_tensor_elements(&m->tensors[i]);
    memcpy(r->created, m->created, sizeof r->created);
    memcpy(r->content_sha256, m->content_sha256, sizeof r->content_sha256);
    r->env_steps = env_steps_of(m);
    r->metrics = json_incref(json_object_get(m->root, "metrics"));
}

/* whole: the weights are read too. A fault goes into the row. */
static syn_status rows_add_version(rows *all, const syn_store *store, int index, bool whole)
{
    const syn_version *v = &store->versions[index];
    syn_checkpoint *cp = NULL;
    syn_manifest m;
    row *r;
    bool missing;
    SYN_RETURN_IF(rows_add(all, store->dir, &r));
    r->version = v->number;
    r->best = v->number && v->number == store->best;
    r->latest = v->number && v->number == store->latest;
    syn_status st = syn_version_manifest(store, v, &m, &missing);
    if (st == SYN_OK) {
        row_fill(r, &m);
        syn_manifest_free(&m);
    }
    if (st == SYN_OK && whole) st = syn_version_open(store, v, &cp, &missing);
    syn_checkpoint_close(cp);
    if (st != SYN_OK) snprintf(r->fault, sizeof r->fault, "%s", syn_error_text());
    return SYN_OK;
}

static syn_status rows_add_store(rows *all, const char *dir)
{
    syn_store store;
    SYN_RETURN_IF(syn_store_open(dir, &store, NULL));
    syn_status st = SYN_OK;
    for (int i = 0; i < store.count && st == SYN_OK; i++) {
        st = rows_add_version(all, &store, i, false);
    }
    syn_store_free(&store);
    return st;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* A store, or a folder whose subfolders are looked at. */
static syn_status rows_add_folder(rows *all, const char *dir)
{
    if (syn_checkpoint_exists(dir)) return rows_add_store(all, dir);
    struct dirent **entries = NULL;
    int count = scandir(dir, &entries, NULL, by_name);
    if (count < 0) return syn_fail(SYN_ERR_IO, "%s: %s", dir, strerror(errno));
    syn_status st = SYN_OK;
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (st == SYN_OK && entries[i]->d_name[0] != '.' &&
            asprintf(&path, "%s/%s", dir, entries[i]->d_name) > 0 && syn_checkpoint_exists(path)) {
            st = rows_add_store(all, path);
        }
        free(path);
        free(entries[i]);
    }
    free(entries);
    return st;
}

/* ---- printing ---- */

static syn_status print_json(const rows *all)
{
    json_t *list = json_array();
    for (int i = 0; i < all->count; i++) {
        const row *r = &all->items[i];
        json_t *steps = r->env_steps < 0 ? json_null() : json_integer((json_int_t)r->env_steps);
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:s, s:b, s:b, s:o, s:O?, s:i, s:I, s:I, s:s, s:b, s:s}",
                            "dir", r->dir, "version", (json_int_t)r->version, "created", r->created,
                            "best", r->best, "latest", r->latest, "env_steps", steps, "metrics",
                            r->metrics, "tensors", r->tensors, "values", (json_int_t)r->values,
                            "file_bytes", (json_int_t)r->bytes, "content_sha256", r->content_sha256,
                            "sound", r->fault[0] == 0, "fault", r->fault));
    }
    char *text = json_dumps(list, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(list);
    if (!text) return syn_fail(SYN_ERR_FORMAT, "a folder's name is not UTF-8");
    puts(text);
    free(text);
    return SYN_OK;
}

/* The first few metrics, in the order they were given: "return=12.9 success=0.86". */
static void metrics_text(const json_t *metrics, char *out, size_t room)
{
    enum { SHOWN = 4 };
    const char *name;
    json_t *value;
    int shown = 0;
    size_t n = 0;
    out[0] = 0;
    json_object_foreach((json_t *)metrics, name, value)
    {
        if (!strcmp(name, "env_steps") || shown == SHOWN || n >= room) continue;
        shown++;
        n += (size_t)snprintf(out + n, room - n, "%s%s=%.4g", n ? " " : "", name,
                              json_number_value(value));
    }
}

static void print_table(const rows *all)
{
    int width = 9;
    for (int i = 0; i < all->count; i++) {
        int n = (int)strlen(all->items[i].dir);
        if (n > width) width = n;
    }
    printf("%-*s  %7s  %-11s  %-20s  %8s  %10s  %-12s  %s\n", width, "DIRECTORY", "VERSION", "",
           "CREATED", "MiB", "ENV-STEPS", "CONTENT", "METRICS");
    for (int i = 0; i < all->count; i++) {
        const row *r = &all->items[i];
        char steps[24] = "-", metrics[256];
        if (!r->created[0]) {
            printf("%-*s  %7lld  %s\n", width, r->dir, (long long)r->version, r->fault);
            continue;
        }
        if (r->env_steps >= 0) snprintf(steps, sizeof steps, "%lld", (long long)r->env_steps);
        metrics_text(r->metrics, metrics, sizeof metrics);
        printf("%-*s  %7lld  %-11s  %-20s  %8.1f  %10s  %.12s  %s%s%s\n", width, r->dir,
               (long long)r->version,
               r->best && r->latest ? "best latest"
               : r->best            ? "best"
               : r->latest          ? "latest"
                                    : "",
               r->created, (double)r->bytes / (1 << 20), steps, r->content_sha256, metrics,
               r->fault[0] ? "  " : "", r->fault);
    }
}

/* ---- list ---- */

typedef struct list_config {
    bool json, all;
} list_config;

static const syn_option list_options[] = {
    {.name = "json",
     .type = SYN_OPTION_BOOL,
     .offset = offsetof(list_config, json),
     .help = "Print one JSON array instead of a table."},
    {.name = "all",
     .type = SYN_OPTION_BOOL,
     .offset = offsetof(list_config, all),
     .help = "Every version."},
};

static const syn_command list_command = {
    .name = "checkpoint list",
    .summary = "show the versions in stores",
    .positional = "DIR...",
    .details = "Each DIR is a store, or a folder whose subfolders are looked at. Only manifests "
               "are read; 'checkpoint verify' reads the weights too.\n\n"
               "Examples:\n"
               "  syncog checkpoint list runs/first\n"
               "  syncog checkpoint list runs --json\n",
    .options = list_options,
    .option_count = 1,
};

syn_status syn_cmd_checkpoint_list(int argc, char **argv)
{
    list_config config;
    syn_text_list dirs;
    rows all = {0};
    bool done = false;
    syn_status st = SYN_OK;
    SYN_RETURN_IF(syn_options_parse(&list_command, &config, argc, argv, &dirs, &done));
    if (done) return SYN_OK;
    if (dirs.count == 0) {
        return syn_fail(SYN_ERR_USAGE, "checkpoint list needs a folder; 'syncog checkpoint list "
                                       "--help' shows how");
    }
    for (int i = 0; i < dirs.count; i++) SYN_TRY(rows_add_folder(&all, dirs.items[i]));
    if (config.json) {
        SYN_TRY(print_json(&all));
    } else {
        print_table(&all);
    }
done:
    rows_free(&all);
    return st;
}

/* ---- verify ---- */

static const syn_command verify_command = {
    .name = "checkpoint verify",
    .summary = "read versions as a whole and compare every hash, name and shape",
    .positional = "DIR [VERSION]",
    .details = "Without VERSION (a number, 'best' or 'latest') or --all, the versions that 'best' "
               "and 'latest' lead to are read. Exits 1 when one of them is damaged, also when "
               "another one is sound and would be loaded in its place.\n\n"
               "Examples:\n"
               "  syncog checkpoint verify runs/first\n"
               "  syncog checkpoint verify runs/first 12\n"
               "  syncog checkpoint verify runs/first --all --json\n",
    .options = list_options,
    .option_count = 2,
};

static syn_status verify_one(rows *out, const syn_store *store, const char *which)
{
    int index, older;
    row *r;
    SYN_RETURN_IF(syn_store_resolve(store, which, &index, &older));
    if (index >= 0) return rows_add_version(out, store, index, true);
    SYN_RETURN_IF(rows_add(out, store->dir, &r));
    snprintf(r->fault, sizeof r->fault, "the link '%s' leads to a version that is not there",
             which ? which : SYN_LINK_BEST);
    return SYN_OK;
}

static syn_status verify_store(rows *out, const syn_store *store, const char *which, bool all)
{
    for (int i = 0; all && i < store->count; i++) {
        SYN_RETURN_IF(rows_add_version(out, store, i, true));
    }
    if (all) return SYN_OK;
    if (which) return verify_one(out, store, which);
    if (store->best && store->best != store->latest) {
        SYN_RETURN_IF(verify_one(out, store, SYN_LINK_BEST));
    }
    return verify_one(out, store, SYN_LINK_LATEST);
}

syn_status syn_cmd_checkpoint_verify(int argc, char **argv)
{
    list_config config;
    rows all = {0};
    syn_store store = {0};
    const char *dir, *which;
    bool done = false;
    syn_status st = SYN_OK;
    SYN_RETURN_IF(
        syn_cmd_checkpoint_parse(&verify_command, &config, argc, argv, &dir, &which, &done));
    if (done) return SYN_OK;
    if (which && config.all) {
        return syn_fail(SYN_ERR_USAGE, "checkpoint verify takes a version or --all, not both");
    }
    SYN_TRY(syn_store_open(dir, &store, NULL));
    SYN_TRY(verify_store(&all, &store, which, config.all));
    if (config.json) {
        SYN_TRY(print_json(&all));
    } else {
        print_table(&all);
    }
    int damaged = 0;
    for (int i = 0; i < all.count; i++) damaged += all.items[i].fault[0] != 0;
    if (damaged) {
        st = syn_fail(SYN_ERR_FORMAT, "%s: %d of %d versions cannot be loaded as saved", dir,
                      damaged, all.count);
    }
done:
    syn_store_free(&store);
    rows_free(&all);
    return st;
}

/* ---- find-best ---- */

typedef struct find_config {
    const char *metric;
    bool min, json;
} find_config;

static const syn_option find_options[] = {
    {.name = "metric",
     .type = SYN_OPTION_TEXT,
     .offset = offsetof(find_config, metric),
     .metavar = "NAME",
     .help = "What to compare."},
    {.name = "min",
     .type = SYN_OPTION_BOOL,
     .offset = offsetof(find_config, min),
     .help = "The smallest value is the best."},
    {.name = "json",
     .type = SYN_OPTION_BOOL,
     .offset = offsetof(find_config, json),
     .help = "Print one JSON object instead of the number."},
};

static const syn_command find_command = {
    .name = "checkpoint find-best",
    .summary = "name the version with the best metric",
    .positional = "DIR",
    .details = "Prints the version's number. Of equal values the oldest wins.\n\n"
               "Examples:\n"
               "  syncog checkpoint find-best runs/first --metric return\n"
               "  syncog checkpoint find-best runs/first --metric messages --min --json\n",
    .options = find_options,
    .option_count = 3,
};

static const json_t *row_metric(const row *r, const char *name)
{
    return json_object_get(r->metrics, name);
}

static const row *find_best(const rows *all, const char *metric, bool min)
{
    const row *best = NULL;
    for (int i = 0; i < all->count; i++) {
        const json_t *value = row_metric(&all->items[i], metric);
        if (!value) continue;
        const double x = json_number_value(value);
        const double y = best ? json_number_value(row_metric(best, metric)) : 0;
        if (!best || (min ? x < y : x > y)) best = &all->items[i];
    }
    return best;
}

static syn_status unknown_metric(const char *dir, const rows *all, const char *metric)
{
    char known[600] = "";
    const char *name;
    json_t *value, *seen = json_object();
    size_t n = 0;
    for (int i = 0; i < all->count; i++) {
        json_object_foreach(all->items[i].metrics, name, value)
        {
            if (json_object_get(seen, name) || n >= sizeof known) continue;
            json_object_set(seen, name, value);
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", name);
        }
    }
    json_decref(seen);
    return syn_fail(SYN_ERR_INVALID, "%s: no version has a metric '%s'; there %s%s", dir, metric,
                    n ? "are " : "are none", known);
}

static syn_status print_best(const row *best, const char *metric, bool json)
{
    if (!json) {
        printf("%lld\n", (long long)best->version);
        return SYN_OK;
    }
    json_t *j = json_pack("{s:s, s:I, s:s, s:O, s:s}", "dir", best->dir, "version",
                          (json_int_t)best->version, "metric", metric, "value",
                          row_metric(best, metric), "created", best->created);
    char *text = j ? json_dumps(j, JSON_REAL_PRECISION(9)) : NULL;
    json_decref(j);
    if (!text) return syn_fail(SYN_ERR_FORMAT, "the folder's name is not UTF-8");
    puts(text);
    free(text);
    return SYN_OK;
}

syn_status syn_cmd_checkpoint_find_best(int argc, char **argv)
{
    find_config config;
    rows all = {0};
    const char *dir;
    bool done = false;
    syn_status st = SYN_OK;
    SYN_RETURN_IF(syn_cmd_checkpoint_parse(&find_command, &config, argc, argv, &dir, NULL, &done));
    if (done) return SYN_OK;
    if (!config.metric) {
        return syn_fail(SYN_ERR_USAGE, "checkpoint find-best needs --metric NAME; 'syncog "
                                       "checkpoint list' shows what there is");
    }
    SYN_TRY(rows_add_store(&all, dir));
    for (int i = 0; i < all.count; i++) {
        if (all.items[i].fault[0]) syn_log(SYN_LOG_WARN, "%s; left out", all.items[i].fault);
    }
    const row *best = find_best(&all, config.metric, config.min);
    st = best ? print_best(best, config.metric, config.json)
              : unknown_metric(dir, &all, config.metric);
done:
    rows_free(&all);
    return st;
}
