/* Rows into keys, records and events; and pages of lists, read a slice at a time. */
#include <string.h>

#include "serve/store_internal.h"

enum { READ_BYTES_MAX = 96 << 20 /* SYN_DB_ROWS_MAX rows of two texts each */, ROWS_AT_ONCE = 16 };

/* ---- rows ---- */

void syn_db_rows_init(syn_db_rows *r, syn_db_statement statement)
{
    *r = (syn_db_rows){.statement = statement};
    syn_arena_init(&r->arena, READ_BYTES_MAX);
}

void syn_db_rows_free(syn_db_rows *r)
{
    syn_arena_free(&r->arena);
    *r = (syn_db_rows){.count = 0};
}

void syn_db_rows_tell(const syn_db_rows *r, syn_db_result *result)
{
    result->count = r->count;
    result->total = r->count;
    result->keys = r->keys;
    result->records = r->records;
    result->events = r->events;
}

static syn_db_key key_of(syn_arena *a, const syn_db_value *v)
{
    return (syn_db_key){.id = syn_arena_text(a, v[0].text),
                        .org = syn_arena_text(a, v[1].text),
                        .sha256 = syn_arena_text(a, v[2].text),
                        .prefix = syn_arena_text(a, v[3].text),
                        .name = syn_arena_text(a, v[4].text),
                        .tier = syn_arena_text(a, v[5].text),
                        .created_ms = v[6].integer,
                        .revoked_ms = v[7].integer};
}

static syn_db_record record_of(syn_arena *a, const syn_db_value *v)
{
    return (syn_db_record){.id = syn_arena_text(a, v[0].text),
                           .org = syn_arena_text(a, v[1].text),
                           .owner = syn_arena_text(a, v[2].text),
                           .query = syn_arena_text(a, v[3].text),
                           .final_answer = syn_arena_text(a, v[4].text),
                           .task_type = syn_arena_text(a, v[5].text),
                           .confidence = v[6].real,
                           .execution_time_s = v[7].real,
                           .num_agents = v[8].integer,
                           .num_rounds = v[9].integer,
                           .created_ms = v[10].integer,
                           .reply = syn_arena_text(a, v[11].text),
                           .session = syn_arena_text(a, v[12].text)};
}

static syn_db_event event_of(syn_arena *a, const syn_db_value *v)
{
    return (syn_db_event){.id = syn_arena_text(a, v[0].text),
                          .org = syn_arena_text(a, v[1].text),
                          .actor = syn_arena_text(a, v[2].text),
                          .action = syn_arena_text(a, v[3].text),
                          .outcome = syn_arena_text(a, v[4].text),
                          .request_id = syn_arena_text(a, v[5].text),
                          .created_ms = v[6].integer,
                          .detail = syn_arena_text(a, v[7].text)};
}

static bool of_keys(syn_db_statement s)
{
    return s == SYN_DB_KEY_FIND || s == SYN_DB_KEY_LIST;
}

static syn_status add_row(void *context, const syn_db_value *v)
{
    syn_db_rows *r = context;
    syn_arena *a = &r->arena;
    if (of_keys(r->statement)) {
        r->keys = syn_arena_grow(a, r->keys, r->count, &r->room, sizeof *r->keys);
        if (r->keys) r->keys[r->count] = key_of(a, v);
    } else if (r->statement == SYN_DB_AUDIT_LIST) {
        r->events = syn_arena_grow(a, r->events, r->count, &r->room, sizeof *r->events);
        if (r->events) r->events[r->count] = event_of(a, v);
    } else {
        r->records = syn_arena_grow(a, r->records, r->count, &r->room, sizeof *r->records);
        if (r->records) r->records[r->count] = record_of(a, v);
    }
    if (a->failed) return syn_fail(SYN_ERR_MEMORY, "the records take too much memory");
    r->count++;
    return SYN_OK;
}

syn_status syn_db_read(const syn_db_link *link, const syn_db_call *call, syn_db_rows *rows)
{
    return syn_db_link_read(link, call, add_row, rows);
}

/* ---- pages ---- */

static syn_status take_int(void *context, const syn_db_value *v)
{
    *(int64_t *)context = v[0].integer;
    return SYN_OK;
}

static void set_int(syn_db_call *call, int at, int64_t value)
{
    call->values[at] = (syn_db_value){SYN_DB_INT, .integer = value};
}

/* Finds where the slice before p->before_ms begins, and what matches in it. */
static syn_status find_slice(const syn_db_link *link, const syn_db_call *call, int slice_at,
                             syn_db_page *p)
{
    const syn_db_sql *sql = &syn_db_sqls[call->statement];
    syn_db_call border = *call, count = *call;
    int64_t from_ms = 0, matches = 0;
    border.statement = sql->border;
    set_int(&border, (int)strlen(syn_db_sqls[sql->border].types) - 1, p->before_ms);
    SYN_RETURN_IF(syn_db_link_read(link, &border, take_int, &from_ms));
    count.statement = sql->count;
    set_int(&count, slice_at, p->before_ms);
    set_int(&count, slice_at + 1, from_ms);
    SYN_RETURN_IF(syn_db_link_read(link, &count, take_int, &matches));
    p->from_ms = from_ms;
    p->slice = matches;
    p->total += matches;
    return SYN_OK;
}

syn_status syn_db_page_on(const syn_db_link *link, const syn_db_call *list, syn_db_page *p,
                          syn_db_rows *rows, bool *over)
{
    syn_db_call call = *list;
    const int slice_at = (int)strlen(syn_db_sqls[call.statement].types) - 4;
    const int64_t limit = call.values[slice_at + 2].integer;
    const int64_t offset = call.values[slice_at + 3].integer;
    *over = false;
    if (p->from_ms < 0) SYN_RETURN_IF(find_slice(link, &call, slice_at, p));
    /* Of all that matches, [offset, offset + limit) is the page and [total - slice, total) here. */
    const int64_t end = p->total < offset + limit ? p->total : offset + limit;
    int64_t asked = end - (offset + p->asked);
    if (asked > ROWS_AT_ONCE) asked = ROWS_AT_ONCE;
    if (asked > 0) {
        set_int(&call, slice_at, p->before_ms);
        set_int(&call, slice_at + 1, p->from_ms);
        set_int(&call, slice_at + 2, asked);
        set_int(&call, slice_at + 3, offset + p->asked - (p->total - p->slice));
        rows->count = p->count; /* those of a try that failed go */
        SYN_RETURN_IF(syn_db_read(link, &call, rows));
        p->count = rows->count;
        p->asked += asked;
    }
    if (offset + p->asked < end) return SYN_OK;
    *over = p->from_ms == 0 || (p->total >= SYN_DB_TOTAL_MAX && p->total >= offset + limit);
    p->before_ms = p->from_ms;
    p->from_ms = -1;
    return SYN_OK;
}
