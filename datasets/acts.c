#include "datasets/acts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/dataset.h"
#include "datasets/dialogue.h"

typedef struct entry {
    uint64_t key;
    syn_slice acts;
} entry;

struct syn_acts {
    char *text;
    entry *entries; /* in the order of their keys */
    size_t count, max;
};

uint64_t syn_dialogue_key(syn_slice id)
{
    char small[SYN_STREAM_KEY_MAX + 1];
    id = syn_dialogue_id(id);
    const size_t n = id.count < sizeof small ? id.count : sizeof small;
    for (size_t i = 0; i < n; i++) small[i] = (char)tolower((unsigned char)id.bytes[i]);
    return syn_dataset_key(small, n);
}

static int by_key(const void *a, const void *b)
{
    const uint64_t x = ((const entry *)a)->key, y = ((const entry *)b)->key;
    return x < y ? -1 : x > y;
}

static bool entry_add(syn_json *j, syn_acts *a, syn_slice id)
{
    if (a->count == a->max) {
        const size_t max = a->max ? 2 * a->max : 1024;
        entry *entries = realloc(a->entries, max * sizeof *entries);
        if (!entries) return syn_json_fault(j, j->at, "out of memory");
        a->entries = entries;
        a->max = max;
    }
    entry *e = &a->entries[a->count];
    e->key = syn_dialogue_key(id);
    const bool object = syn_json_peek(j) == '{';
    const char *at = j->at;
    if (!syn_json_skip(j)) return false;
    e->acts = (syn_slice){at, (size_t)(j->at - at)};
    a->count += object; /* a dialogue without any is none */
    return true;
}

static bool entries_read(syn_json *j, syn_acts *a)
{
    int index;
    syn_slice key;
    if (!syn_json_enter_object(j, "the file of acts", &index)) return false;
    while (syn_json_next_key(j, &index, &key))
        if (!entry_add(j, a, key)) return false;
    return !j->fault_at && syn_json_finish(j);
}

syn_status syn_acts_read(const syn_files *f, int file, syn_acts **out)
{
    syn_status st = SYN_OK;
    syn_json json = {0};
    size_t bytes;
    *out = NULL;
    syn_acts *a = calloc(1, sizeof *a);
    if (!a) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", f->items[file].path);
    SYN_TRY(syn_files_load(f, file, SYN_ACTS_BYTES_MAX, &a->text, &bytes));
    syn_json_begin(&json, a->text, bytes);
    if (!entries_read(&json, a)) {
        st = syn_json_fail(&json, f->items[file].path);
        goto done;
    }
    if (a->count) qsort(a->entries, a->count, sizeof a->entries[0], by_key);
    *out = a;
    a = NULL;
done:
    syn_json_free(&json);
    syn_acts_free(a);
    return st;
}

void syn_acts_free(syn_acts *a)
{
    if (!a) return;
    free(a->text);
    free(a->entries);
    free(a);
}

/* The JSON text of a dialogue's acts, an object; no bytes where there is none. */
static syn_slice acts_find(const syn_acts *a, syn_slice id)
{
    const entry wanted = {.key = syn_dialogue_key(id)};
    const entry *e =
        a && a->count ? bsearch(&wanted, a->entries, a->count, sizeof wanted, by_key) : NULL;
    return e ? e->acts : (syn_slice){NULL, 0};
}

/* A key of digits as a number, as far as an int holds it; -1 for any other. */
static int turn_number(syn_slice key)
{
    int number = 0;
    if (key.count < 1 || key.count > 8) return -1;
    for (size_t i = 0; i < key.count; i++) {
        if (key.bytes[i] < '0' || key.bytes[i] > '9') return -1;
        number = 10 * number + (key.bytes[i] - '0');
    }
    return number;
}

static bool turns_read(syn_json *j, syn_acts_reader *read, void *owner)
{
    int index;
    syn_slice key;
    if (!syn_json_enter_object(j, "the acts of a dialogue", &index)) return false;
    while (syn_json_next_key(j, &index, &key))
        if (!read(j, turn_number(key), owner)) return false;
    return !j->fault_at;
}

bool syn_acts_each(const syn_acts *a, syn_slice id, syn_json *j, syn_json *own,
                   syn_acts_reader *read, void *owner)
{
    const syn_slice found = acts_find(a, id);
    if (!found.bytes) return true;
    syn_json_begin(own, found.bytes, found.count);
    return turns_read(own, read, owner) ||
           syn_json_fault(j, j->at, "its acts, in a file of their own: %s", own->fault);
}
