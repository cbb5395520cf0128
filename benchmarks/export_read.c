/* Where items come from: the store's history, or the records of an evaluation. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "benchmarks/export_item.h"
#include "datasets/json_stream.h"
#include "datasets/keyset.h"
#include "serve/hash.h"
#include "serve/store.h"

enum {
    AT_ONCE = 8, /* replies of the history in memory */
    PATH_BYTES = 4096,
    RESULTS_BYTES_MAX = 64 << 20
};

static syn_status fail_interrupted(void)
{
    return syn_fail(SYN_ERR_INTERRUPTED, "interrupted; nothing was written");
}

/* ---- the store ---- */

typedef struct reading {
    const syn_item_source *source;
    /* Of the call that has ended; written on the store's thread, read after a flush. */
    syn_status status;
    char sentence[512];
    char ids[SYN_DB_ROWS_MAX][SYN_DB_ID_BYTES];
    int count; /* of ids */
    json_t *items[AT_ONCE];
    int item_count;
} reading;

static bool keep_fault(reading *r, syn_status st, const char *sentence)
{
    if (st == SYN_OK || r->status != SYN_OK) return st != SYN_OK;
    r->status = st;
    snprintf(r->sentence, sizeof r->sentence, "%s", sentence);
    return true;
}

static void keep_ids(void *context, const syn_db_result *result)
{
    reading *r = context;
    if (keep_fault(r, result->status, result->sentence)) return;
    for (int k = 0; k < result->count && k < SYN_DB_ROWS_MAX; k++)
        snprintf(r->ids[r->count++], SYN_DB_ID_BYTES, "%s", result->records[k].id);
}

static void keep_item(void *context, const syn_db_result *result)
{
    reading *r = context;
    if (keep_fault(r, result->status, result->sentence) || result->count == 0) return;
    json_t *item;
    syn_status st = syn_item_of_history(&result->records[0], &r->source->origin, &item);
    if (!keep_fault(r, st, syn_error_text())) r->items[r->item_count++] = item;
}

static syn_status waited(reading *r, syn_db *db)
{
    syn_db_flush(db);
    return r->status == SYN_OK ? SYN_OK : syn_fail(r->status, "%s", r->sentence);
}

static void items_drop(reading *r)
{
    for (int k = 0; k < r->item_count; k++) json_decref(r->items[k]);
    r->item_count = 0;
}

static syn_status items_take(reading *r, syn_item_take take, void *context)
{
    syn_status st = SYN_OK;
    for (int k = 0; k < r->item_count && st == SYN_OK; k++) st = take(context, r->items[k]);
    items_drop(r);
    return st;
}

/* The replies of the ids, a few at a time. While a service adds records a page may begin with the
 * end of the one before: an id counts once. */
static syn_status page_read(reading *r, syn_db *db, syn_keyset *seen, syn_item_take take,
                            void *context)
{
    syn_status st = SYN_OK;
    for (int k = 0; k < r->count && st == SYN_OK;) {
        for (int n = 0; n < AT_ONCE && k < r->count; k++) {
            bool added;
            SYN_TRY(syn_keyset_add(seen, syn_hash64(0, r->ids[k], strlen(r->ids[k])), &added));
            if (!added) continue;
            n++;
            SYN_TRY(syn_db_history_get(db, r->source->org, NULL, r->ids[k], keep_item, r));
        }
        SYN_TRY(waited(r, db));
        SYN_TRY(items_take(r, take, context));
    }
    return st;
done: /* calls under way still write here */
    syn_db_flush(db);
    items_drop(r);
    return st;
}

/* Opening would make a file that is not there. */
static syn_status file_check(const char *url)
{
    static const char sqlite[] = "sqlite:///";
    if (strncmp(url, sqlite, sizeof sqlite - 1) != 0) return SYN_OK;
    const char *path = url + sizeof sqlite - 1;
    if (access(path, R_OK) != 0)
        return syn_fail(SYN_ERR_IO, "the history %s: %s", path, strerror(errno));
    return SYN_OK;
}

static syn_status history_read(const syn_item_source *source, int (*stop)(void), syn_item_take take,
                               void *context)
{
    syn_status st;
    syn_db *db = NULL;
    syn_keyset seen = {0};
    syn_item_source named = *source;
    if (!named.org) named.org = "default";
    reading *r = calloc(1, sizeof *r);
    if (!r) return syn_fail(SYN_ERR_MEMORY, "out of memory for the history");
    r->source = &named;
    SYN_TRY(file_check(source->history));
    SYN_TRY(syn_db_open(&db, &(syn_db_options){.url = source->history}));
    for (int64_t at = 0;; at += SYN_DB_ROWS_MAX) {
        if (stop && stop()) {
            st = fail_interrupted();
            goto done;
        }
        r->count = 0;
        const syn_db_filter filter = {
            .org = named.org, .min_confidence = 0, .limit = SYN_DB_ROWS_MAX, .offset = at};
        SYN_TRY(syn_db_history_list(db, &filter, keep_ids, r));
        SYN_TRY(waited(r, db));
        SYN_TRY(page_read(r, db, &seen, take, context));
        if (r->count < SYN_DB_ROWS_MAX) break;
    }
done:
    syn_db_close(db);
    syn_keyset_free(&seen);
    free(r);
    return st;
}

/* ---- records of an evaluation ---- */

/* The results beside NAME.records.jsonl are NAME.json; NULL: none that can be read. */
static json_t *results_beside(const char *path)
{
    static const char ending[] = ".records.jsonl";
    const size_t bytes = strlen(path), tail = sizeof ending - 1;
    char name[PATH_BYTES];
    struct stat info;
    if (bytes <= tail || bytes >= sizeof name || strcmp(path + bytes - tail, ending)) return NULL;
    snprintf(name, sizeof name, "%.*s.json", (int)(bytes - tail), path);
    if (stat(name, &info) != 0 || info.st_size > RESULTS_BYTES_MAX) return NULL;
    return json_load_file(name, 0, NULL);
}

static syn_status records_read(const syn_item_source *source, int (*stop)(void), syn_item_take take,
                               void *context)
{
    syn_status st;
    syn_json_stream stream = {.fd = -1};
    json_t *results = results_beside(source->history), *record = NULL, *item = NULL;
    syn_item_origin origin = source->origin;
    const char *provider = syn_item_text(results, "provider"),
               *model = syn_item_text(results, "model");
    if (*provider) origin.provider = provider;
    if (*model) origin.model = model;
    SYN_TRY(syn_json_stream_open(&stream, source->history));
    for (;;) {
        syn_slice slice;
        json_error_t fault;
        SYN_TRY(syn_json_stream_next(&stream, &slice));
        if (slice.count == 0) break;
        if (stop && stop()) {
            st = fail_interrupted();
            goto done;
        }
        record = json_loadb(slice.bytes, slice.count, 0, &fault);
        if (!record) {
            st = syn_fail(SYN_ERR_FORMAT, "%s: record %lld: %s", source->history,
                          (long long)stream.records, fault.text);
            goto done;
        }
        SYN_TRY(syn_item_of_record(record, &origin, &item));
        SYN_TRY(take(context, item));
        json_decref(item);
        json_decref(record);
        item = record = NULL;
    }
done:
    json_decref(item);
    json_decref(record);
    json_decref(results);
    syn_json_stream_close(&stream);
    return st;
}

syn_status syn_items_read(const syn_item_source *source, int (*stop)(void), syn_item_take take,
                          void *context)
{
    const char *from = source->history;
    if (!strncmp(from, "sqlite:", 7) || !strncmp(from, "postgres", 8))
        return history_read(source, stop, take, context);
    return records_read(source, stop, take, context);
}
