#include "datasets/entities.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "datasets/files.h"
#include "kernels/base/arena.h"

enum { NESTING_MAX = 4, ITEMS_MAX = 64, ARENA_BYTES_MAX = 256 << 20 };

typedef struct memory {
    syn_arena arena;
    syn_domain domains[SYN_ENTITY_DOMAINS_MAX];
} memory;

/* ---- Reading ---- */

typedef struct row_reader {
    syn_json *json;
    syn_arena *arena;
    int count;
    syn_field fields[SYN_ENTITY_FIELDS_MAX];
} row_reader;

static bool field_add(row_reader *r, const char *name, const char *value)
{
    if (r->count == SYN_ENTITY_FIELDS_MAX)
        return syn_json_fault(r->json, r->json->at, "more than %d fields in a row",
                              SYN_ENTITY_FIELDS_MAX);
    r->fields[r->count++] = (syn_field){name, value};
    return true;
}

/* A value that holds no other, as a text; what does is written as it stands in the file. */
static bool plain_read(row_reader *r, const char **out)
{
    syn_json *j = r->json;
    syn_slice text;
    const char c = syn_json_peek(j), *at = j->at;
    if (c == '"') {
        if (!syn_json_string(j, "a value", &text)) return false;
    } else {
        if (!syn_json_skip(j)) return false;
        text = c == 'n' ? (syn_slice){"", 0} : (syn_slice){at, (size_t)(j->at - at)};
    }
    *out = syn_slice_text(r->arena, text);
    return true;
}

static bool list_read(row_reader *r, const char **out)
{
    int index;
    const char *item;
    *out = "";
    if (!syn_json_enter_list(r->json, "a value", &index)) return false;
    while (syn_json_next_item(r->json, &index)) {
        if (index == ITEMS_MAX)
            return syn_json_fault(r->json, r->json->at, "more than %d values in a field",
                                  ITEMS_MAX);
        if (!plain_read(r, &item)) return false;
        *out = index ? syn_arena_format(r->arena, "%s, %s", *out, item) : item;
    }
    return !r->json->fault_at;
}

/* Reads the members of an object as fields, their names behind `prefix`. */
static bool fields_read(row_reader *r, const char *prefix, int nesting)
{
    int index;
    syn_slice key;
    const char *value;
    if (nesting > NESTING_MAX)
        return syn_json_fault(r->json, r->json->at, "fields within fields deeper than %d",
                              NESTING_MAX);
    if (!syn_json_enter_object(r->json, "a row", &index)) return false;
    while (syn_json_next_key(r->json, &index, &key)) {
        const char *name = syn_arena_format(r->arena, "%s%s%.*s", prefix, *prefix ? " " : "",
                                            key.count > 255 ? 255 : (int)key.count, key.bytes);
        const char c = syn_json_peek(r->json);
        if (c == '{') {
            if (!fields_read(r, name, nesting + 1)) return false;
            continue;
        }
        if (!(c == '[' ? list_read(r, &value) : plain_read(r, &value))) return false;
        if (!field_add(r, name, value)) return false;
    }
    return !r->json->fault_at && !r->arena->failed;
}

static bool row_read(row_reader *r, syn_row *out)
{
    r->count = 0;
    if (!fields_read(r, "", 1)) return false;
    syn_field *fields = syn_arena_array(r->arena, (size_t)r->count + 1, sizeof *fields);
    if (!fields) return false;
    memcpy(fields, r->fields, (size_t)r->count * sizeof *fields);
    *out = (syn_row){fields, r->count};
    return true;
}

/* Reads a list of rows, or one. `rows` has room for SYN_ENTITY_ROWS_MAX. */
static bool rows_read(row_reader *r, syn_row *rows, int *count)
{
    int index;
    *count = 0;
    if (syn_json_peek(r->json) == '{') {
        *count = 1;
        return row_read(r, rows) && syn_json_finish(r->json);
    }
    if (!syn_json_enter_list(r->json, "the database", &index)) return false;
    while (syn_json_next_item(r->json, &index)) {
        if (*count == SYN_ENTITY_ROWS_MAX)
            return syn_json_fault(r->json, r->json->at, "more than %d rows", SYN_ENTITY_ROWS_MAX);
        if (!row_read(r, &rows[(*count)++])) return false;
    }
    return !r->json->fault_at && syn_json_finish(r->json);
}

static syn_status domain_read(const syn_files *f, int file, memory *m, syn_domain *out)
{
    syn_status st = SYN_OK;
    syn_json json = {0};
    char *text = NULL;
    size_t bytes;
    int count;
    syn_row *rows = malloc(SYN_ENTITY_ROWS_MAX * sizeof *rows);
    const char *path = f->items[file].path, *base = syn_file_base(f->items[file].name);
    row_reader r = {.json = &json, .arena = &m->arena};
    if (!rows) return syn_fail(SYN_ERR_MEMORY, "%s: no memory for its rows", path);
    SYN_TRY(syn_files_load(f, file, SYN_ENTITY_FILE_BYTES_MAX, &text, &bytes));
    syn_json_begin(&json, text, bytes);
    if (!rows_read(&r, rows, &count)) {
        st = json.fault_at ? syn_json_fail(&json, path) : syn_arena_check(&m->arena, path);
        goto done;
    }
    syn_row *kept = syn_arena_array(&m->arena, (size_t)count + 1, sizeof *kept);
    if (kept) memcpy(kept, rows, (size_t)count * sizeof *kept);
    *out = (syn_domain){syn_arena_text_n(&m->arena, base, strlen(base) - strlen("_db.json")), kept,
                        count};
    st = syn_arena_check(&m->arena, path);
done:
    syn_json_free(&json);
    free(text);
    free(rows);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const syn_domain *)a)->name, ((const syn_domain *)b)->name);
}

/* Reads all databases of a list of files; of two with one name the first. */
static syn_status domains_read(const syn_files *f, memory *m, syn_entities *out)
{
    for (int i = -1; (i = syn_files_find(f, "?*_db.json", i + 1)) >= 0;) {
        syn_domain d;
        if (out->domain_count == SYN_ENTITY_DOMAINS_MAX)
            return syn_fail(SYN_ERR_LIMIT, "%s: more than %d databases", f->items[i].path,
                            SYN_ENTITY_DOMAINS_MAX);
        SYN_RETURN_IF(domain_read(f, i, m, &d));
        if (!syn_entities_domain(out, d.name)) m->domains[out->domain_count++] = d;
    }
    qsort(m->domains, (size_t)out->domain_count, sizeof m->domains[0], by_name);
    return SYN_OK;
}

/* Reads those at a place, which need not exist. */
static syn_status place_read(const char *path, memory *m, syn_entities *out)
{
    struct stat info;
    syn_files files;
    if (stat(path, &info) != 0) return SYN_OK;
    SYN_RETURN_IF(syn_files_open(&files, path));
    syn_status st = domains_read(&files, m, out);
    syn_files_close(&files);
    return st;
}

static syn_status read_around(const char *path, memory *m, syn_entities *out)
{
    char folder[PATH_MAX], place[PATH_MAX + 4];
    if (strlen(path) >= sizeof folder)
        return syn_fail(SYN_ERR_LIMIT, "%.100s...: the path is too long", path);
    SYN_RETURN_IF(place_read(path, m, out));
    for (int up = 0; up < 2 && out->domain_count == 0; up++) {
        char *parent = realpath(path, folder) ? dirname(folder) : NULL;
        if (parent && up) parent = dirname(parent);
        if (!parent) break;
        snprintf(place, sizeof place, "%s/db", parent);
        SYN_RETURN_IF(place_read(place, m, out));
    }
    if (out->domain_count == 0)
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: neither holds databases (restaurant_db.json, ...) nor "
                        "has a folder db with them beside it",
                        path);
    return SYN_OK;
}

syn_status syn_entities_read(const char *path, syn_entities *out)
{
    *out = (syn_entities){0};
    memory *m = calloc(1, sizeof *m);
    if (!m) return syn_fail(SYN_ERR_MEMORY, "%s: no memory for its databases", path);
    syn_arena_init(&m->arena, ARENA_BYTES_MAX);
    out->memory = m;
    out->domains = m->domains;
    syn_status st = read_around(path, m, out);
    if (st != SYN_OK) syn_entities_free(out);
    return st;
}

void syn_entities_free(syn_entities *e)
{
    memory *m = e->memory;
    if (m) syn_arena_free(&m->arena);
    free(m);
    *e = (syn_entities){0};
}

/* ---- Asking ---- */

const syn_domain *syn_entities_domain(const syn_entities *e, const char *name)
{
    for (int i = 0; i < e->domain_count; i++)
        if (strcasecmp(e->domains[i].name, name) == 0) return &e->domains[i];
    return NULL;
}

static bool is_passed(char c)
{
    return c == ' ' || c == '-' || c == '_' || c == '\t';
}

/* Equal without case, blanks and hyphens; of `b` the part up to a '|' or its end. */
static bool alike(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (is_passed(*a)) a++;
        while (is_passed(*b)) b++;
        if (*b == '\0' || *b == '|') return *a == '\0';
        if (strncasecmp(a, b, 1) != 0) return false;
    }
}

static const syn_field *field_find(const syn_row *row, const char *name)
{
    for (int i = 0; i < row->field_count; i++)
        if (alike(row->fields[i].name, name)) return &row->fields[i];
    return NULL;
}

const char *syn_row_value(const syn_row *row, const char *name)
{
    const syn_field *f = field_find(row, name);
    return f ? f->value : "";
}

/* "7:05" and "07:05" in minutes; -1 for anything else. */
static int minutes_of(const char *time)
{
    int hours, minutes, end = 0;
    if (sscanf(time, "%2d:%2d%n", &hours, &minutes, &end) != 2 || time[end]) return -1;
    return hours >= 0 && minutes >= 0 ? 60 * hours + minutes : -1;
}

static bool asks_nothing(const char *value)
{
    return !*value || alike("dontcare", value) || alike("don't care", value) ||
           alike("donotcare", value) || alike("do n't care", value) || alike("any", value);
}

static bool slot_holds(const syn_row *row, const syn_slot *s)
{
    const syn_field *f = field_find(row, s->slot);
    if (!f || asks_nothing(s->value)) return true;
    const bool leave = alike(f->name, "leaveat"), arrive = alike(f->name, "arriveby");
    if (leave || arrive) {
        const int asked = minutes_of(s->value), there = minutes_of(f->value);
        return asked < 0 || there < 0 || (leave ? there >= asked : there <= asked);
    }
    for (const char *value = s->value; value;) {
        if (alike(f->value, value) || (alike("free", value) && alike(f->value, "yes"))) return true;
        value = strchr(value, '|');
        if (value) value++;
    }
    return false;
}

int syn_domain_find(const syn_domain *d, const syn_slot *state, int state_count,
                    const syn_row **rows, int max)
{
    int found = 0;
    for (int i = 0; i < d->row_count; i++) {
        bool good = true;
        for (int k = 0; good && k < state_count; k++)
            good = strcasecmp(state[k].domain, d->name) != 0 || slot_holds(&d->rows[i], &state[k]);
        if (!good) continue;
        if (found < max) rows[found] = &d->rows[i];
        found++;
    }
    return found;
}
