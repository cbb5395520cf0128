/* MultiWOZ: each system turn is a question, whose answer the team writes. Releases 2.0, 2.1 and 2.4
 * (data.json with lists of ids), ConvLab-2's (train, val, test.json) and 2.2 (folders of
 * dialogues_*.json). */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/delexicalise.h"
#include "datasets/goal.h"
#include "datasets/question_private.h"

enum { LIST_BYTES_MAX = 16 << 20 };

typedef struct dialogues {
    syn_dialogue_reader *read;
    syn_keyset test, dev; /* ids of data.json's lists */
    bool listed;          /* only those of `part` are asked */
    const char *part;     /* "train", "dev" or "test" */
    syn_json goal;        /* reads "goal" */
    syn_dialogue_more *more;
    syn_acts *acts; /* NULL: none of their own */
} dialogues;

/* ---- Texts of a dialogue ---- */

static syn_slot *state_make(syn_arena *arena, const char *const *domains, const syn_exchange *e)
{
    syn_slot *state = syn_arena_array(arena, (size_t)e->fact_count + 1, sizeof *state);
    for (int k = 0; state && k < e->fact_count; k++)
        state[k] = (syn_slot){domains[e->facts[k].domain], syn_slice_text(arena, e->facts[k].slot),
                              syn_slice_text(arena, e->facts[k].value)};
    return state;
}

static bool slices_equal(syn_slice a, syn_slice b)
{
    return a.count == b.count && memcmp(a.bytes, b.bytes, a.count) == 0;
}

static bool holds(const syn_exchange *e, const syn_fact *f)
{
    for (int k = 0; e && k < e->fact_count; k++)
        if (e->facts[k].domain == f->domain && slices_equal(e->facts[k].slot, f->slot) &&
            slices_equal(e->facts[k].value, f->value))
            return true;
    return false;
}

/* Domains in use in an exchange, as a mask; `before` are those of the exchange before. */
static uint32_t active_find(const syn_dialogue *d, int t, uint32_t before)
{
    const syn_exchange *e = &d->exchanges[t];
    uint32_t active = e->acts;
    for (int k = 0; k < e->fact_count; k++)
        if (!holds(t ? e - 1 : NULL, &e->facts[k])) active |= 1u << e->facts[k].domain;
    return active ? active : before;
}

/* The domains of a mask, in the dialogue's order. */
static const char *const *domains_of(syn_arena *arena, const syn_dialogue *d,
                                     const char *const *domains, uint32_t mask, int *count)
{
    const char **named = syn_arena_array(arena, (size_t)d->domain_count + 1, sizeof *named);
    *count = 0;
    for (int i = 0; named && i < d->domain_count; i++)
        if (mask >> i & 1) named[(*count)++] = domains[i];
    return named;
}

/* What is the same for all turns of a dialogue. */
typedef struct spoken_dialogue {
    const char *id;
    const char *const *domains;
    syn_spoken *spoken;
    int turn_count;
    syn_task_turn goal;     /* its goals and messages */
    const syn_slot *before; /* the state of the exchange before */
    int before_count;
} spoken_dialogue;

static bool goal_take(syn_questions *q, const syn_dialogue *d, syn_task_turn *out)
{
    dialogues *state = q->state;
    *out = (syn_task_turn){0};
    if (!d->more->goal.bytes || d->more->goal.bytes[0] != '{') return true;
    syn_json_begin(&state->goal, d->more->goal.bytes, d->more->goal.count);
    if (syn_goal_read(&state->goal, &q->arena, out)) return true;
    if (state->goal.fault_at)
        syn_json_fault(&q->json, state->goal.fault_at, "%s", state->goal.fault);
    return false;
}

static bool dialogue_begin(syn_questions *q, const syn_dialogue *d, spoken_dialogue *s)
{
    syn_arena *arena = &q->arena;
    char *id = syn_arena_alloc(arena, d->id.count + 1);
    if (!id || !goal_take(q, d, &s->goal)) return false;
    for (size_t i = 0; i < d->id.count; i++) id[i] = (char)tolower((unsigned char)d->id.bytes[i]);
    s->id = id;
    s->domains = syn_question_texts(arena, d->domains, d->domain_count);
    s->before = NULL;
    s->before_count = 0;
    s->spoken = syn_arena_array(arena, 2 * (size_t)d->exchange_count + 1, sizeof *s->spoken);
    s->turn_count = 0;
    for (int t = 0; s->spoken && t < d->exchange_count; t++) {
        s->spoken[2 * t] = (syn_spoken){"user", syn_slice_text(arena, d->exchanges[t].user)};
        s->spoken[2 * t + 1] =
            (syn_spoken){"system", syn_slice_text(arena, d->more->turns[t].text)};
        s->turn_count += d->more->turns[t].text.bytes != NULL;
    }
    return s->spoken != NULL;
}

static bool turn_add(syn_questions *q, const syn_dialogue *d, const spoken_dialogue *s, int t,
                     uint32_t active, const syn_slot *now)
{
    syn_arena *arena = &q->arena;
    const syn_exchange *e = &d->exchanges[t];
    const syn_system_turn *more = &d->more->turns[t];
    const char *last = more->last >= 0 ? s->domains[more->last] : "";
    syn_question *n = syn_question_add(q);
    syn_task_turn *task = syn_arena_alloc(arena, sizeof *task);
    if (!n || !task) return false;
    *task = s->goal;
    task->dialogue = s->id;
    task->turn = t;
    task->turn_count = s->turn_count;
    task->active = domains_of(arena, d, s->domains, active, &task->active_count);
    task->state = now;
    task->state_count = e->fact_count;
    task->before = s->before;
    task->before_count = s->before_count;
    task->booked = domains_of(arena, d, s->domains, more->booked, &task->booked_count);
    task->reference = s->spoken[2 * t + 1].text;
    task->delexicalised = syn_delexicalise(arena, more->text, d->more->marks + more->mark_first,
                                           more->mark_count, last);
    q->counted.unannotated += more->unannotated;
    n->id = syn_arena_format(arena, "%s#%d", s->id, t);
    n->context = s->id;
    n->turn = t;
    n->question = s->spoken[2 * t].text;
    n->domain = task->active && task->active_count ? task->active[0] : "";
    n->dialogue = s->spoken;
    n->dialogue_count = 2 * t;
    n->task = task;
    return true;
}

static bool dialogue_take(void *owner, const syn_dialogue *d)
{
    syn_questions *q = owner;
    spoken_dialogue s;
    uint32_t active = 0;
    if (!dialogue_begin(q, d, &s)) return false;
    for (int t = 0; t < d->exchange_count; t++) {
        const syn_slot *now = state_make(&q->arena, s.domains, &d->exchanges[t]);
        active = active_find(d, t, active);
        if (!now || (d->more->turns[t].text.bytes && !turn_add(q, d, &s, t, active, now)))
            return false;
        s.before = now;
        s.before_count = d->exchanges[t].fact_count;
    }
    return true;
}

/* ---- Which dialogues ---- */

static bool is_asked(const dialogues *state, syn_slice name)
{
    if (!state->listed) return true;
    const uint64_t key = syn_dialogue_key(name);
    if (strcmp(state->part, "test") == 0) return syn_keyset_has(&state->test, key);
    if (strcmp(state->part, "dev") == 0) return syn_keyset_has(&state->dev, key);
    return !syn_keyset_has(&state->test, key) && !syn_keyset_has(&state->dev, key);
}

static bool multiwoz_read(syn_questions *q, syn_slice name)
{
    dialogues *state = q->state;
    if (!is_asked(state, name)) return true;
    const syn_dialogue_sink sink = {state->acts, state->more, dialogue_take, q};
    return state->read(&q->json, name, &sink);
}

/* Reads a list of ids, one a line. */
static syn_status list_read(syn_questions *q, int file, syn_keyset *ids)
{
    syn_status st = SYN_OK;
    char *text = NULL;
    size_t bytes;
    bool fresh;
    SYN_RETURN_IF(syn_files_load(&q->files, file, LIST_BYTES_MAX, &text, &bytes));
    for (size_t at = 0, end; at < bytes; at = end) {
        for (end = at; end < bytes && !isspace((unsigned char)text[end]); end++) continue;
        if (end > at)
            SYN_TRY(
                syn_keyset_add(ids, syn_dialogue_key((syn_slice){text + at, end - at}), &fresh));
        while (end < bytes && isspace((unsigned char)text[end])) end++;
    }
done:
    free(text);
    return st;
}

/* ---- Which files ---- */

/* Bytes of a name up to its last part. */
static size_t folder_bytes(const char *name)
{
    return (size_t)(syn_file_base(name) - name);
}

static bool same_folder(const char *a, const char *b)
{
    return folder_bytes(a) == folder_bytes(b) && strncmp(a, b, folder_bytes(a)) == 0;
}

/* A list of ids beside data.json; -1: there is none. */
static int list_find(const syn_questions *q, int data, const char *pattern)
{
    for (int i = -1; (i = syn_files_find(&q->files, pattern, i + 1)) >= 0;)
        if (same_folder(q->files.items[i].name, q->files.items[data].name)) return i;
    return -1;
}

/* Takes a data.json, and the acts beside it. */
static syn_status data_chosen(syn_questions *q, int data)
{
    dialogues *state = q->state;
    const int acts = list_find(q, data, "dialogue_acts.json");
    if (acts >= 0) SYN_RETURN_IF(syn_acts_read(&q->files, acts, &state->acts));
    return syn_question_chosen(q, data);
}

/* Takes the data.json at `data` if its lists say which dialogues are in `part`. */
static syn_status data_take(syn_questions *q, int data, const char *part, bool *taken)
{
    dialogues *state = q->state;
    const int test = list_find(q, data, "testlistfile*"), dev = list_find(q, data, "vallistfile*");
    const bool needs_test = strcmp(part, "dev") != 0, needs_dev = strcmp(part, "test") != 0;
    if ((needs_test && test < 0) || (needs_dev && dev < 0)) return SYN_OK;
    if (test >= 0) SYN_RETURN_IF(list_read(q, test, &state->test));
    if (dev >= 0) SYN_RETURN_IF(list_read(q, dev, &state->dev));
    state->listed = *taken = true;
    return data_chosen(q, data);
}

/* Whether the folder that a file lies in has this name. */
static bool lies_in(const char *name, const char *folder)
{
    const size_t n = folder_bytes(name), m = strlen(folder);
    return n > m && strncmp(name + n - 1 - m, folder, m) == 0 &&
           (n - 1 == m || name[n - 2 - m] == '/');
}

/* Takes all of a folder of dialogues, and the acts in the folder that this lies in. */
static syn_status folder_take(syn_questions *q, int first)
{
    dialogues *state = q->state;
    const char *name = q->files.items[first].name;
    for (int i = -1; (i = syn_files_find(&q->files, "dialog_acts.json", i + 1)) >= 0;) {
        const size_t n = folder_bytes(q->files.items[i].name);
        const char *rest = name + n;
        if (strncmp(name, q->files.items[i].name, n) != 0 ||
            strcspn(rest, "/") + 1 != folder_bytes(rest))
            continue;
        SYN_RETURN_IF(syn_acts_read(&q->files, i, &state->acts));
        break;
    }
    for (int i = first; (i = syn_files_find(&q->files, "dialogues_*.json", i)) >= 0; i++)
        if (same_folder(q->files.items[i].name, q->files.items[first].name))
            SYN_RETURN_IF(syn_question_chosen(q, i));
    return SYN_OK;
}

/* Takes the first release that has this part. */
static syn_status part_take(syn_questions *q, const char *part, bool *taken)
{
    dialogues *state = q->state;
    state->part = part;
    for (int i = 0; i < q->files.count && !*taken; i++) {
        const char *name = q->files.items[i].name, *base = syn_file_base(name);
        const bool whole = strcmp(part, "dev") == 0 ? strcmp(base, "val.json") == 0
                                                    : strncmp(base, part, strlen(part)) == 0 &&
                                                          !strcmp(base + strlen(part), ".json");
        state->read = syn_multiwoz_dialogue;
        if (strcmp(base, "data.json") == 0) {
            SYN_RETURN_IF(data_take(q, i, part, taken));
        } else if (whole) {
            *taken = true;
            SYN_RETURN_IF(syn_question_chosen(q, i));
        } else if (strncmp(base, "dialogues_", 10) == 0 && lies_in(name, part)) {
            state->read = syn_multiwoz22_dialogue;
            *taken = true;
            SYN_RETURN_IF(folder_take(q, i));
        }
    }
    return SYN_OK;
}

/* A single file says by its first bracket which release it is of. */
static syn_status single_take(syn_questions *q)
{
    dialogues *state = q->state;
    const char *path = q->files.items[0].path;
    FILE *f = fopen(path, "rbe");
    if (!f) return syn_fail(SYN_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    int c = getc(f);
    while (c != EOF && c != '[' && c != '{') c = getc(f);
    const bool list = c == '[';
    fclose(f);
    state->read = list ? syn_multiwoz22_dialogue : syn_multiwoz_dialogue;
    return syn_question_chosen(q, 0);
}

static syn_status files_choose(syn_questions *q)
{
    static const char *const parts[] = {"test", "dev", "train"};
    dialogues *state = q->state;
    bool taken = false;
    if (q->files.single) return single_take(q);
    for (int i = 0; i < 3 && !taken; i++)
        if (!q->split || strcmp(q->split, parts[i]) == 0)
            SYN_RETURN_IF(part_take(q, parts[i], &taken));
    if (taken) return SYN_OK;
    /* Without its lists, data.json is asked as a whole; a folder may hold one part alone. */
    int file = syn_files_find(&q->files, "data.json", 0);
    state->read = syn_multiwoz_dialogue;
    if (!q->split && file >= 0) return data_chosen(q, file);
    file = syn_files_find(&q->files, "dialogues_*.json", 0);
    state->read = syn_multiwoz22_dialogue;
    if (!q->split && file >= 0) return folder_take(q, file);
    return syn_fail(SYN_ERR_FORMAT,
                    "%s: holds no dialogues of multiwoz%s%s (data.json with its lists of ids, or "
                    "test/dialogues_001.json, for example)",
                    q->path, q->split ? ", split " : "", q->split ? q->split : "");
}

static syn_status multiwoz_open(syn_questions *q)
{
    dialogues *state = q->state;
    state->more = malloc(sizeof *state->more);
    if (!state->more) return syn_fail(SYN_ERR_MEMORY, "%s: no memory for a dialogue", q->path);
    SYN_RETURN_IF(files_choose(q));
    q->layout = state->read == syn_multiwoz_dialogue ? SYN_JSON_MEMBERS : SYN_JSON_RECORDS;
    return SYN_OK;
}

static void multiwoz_close(syn_questions *q)
{
    dialogues *state = q->state;
    syn_keyset_free(&state->test);
    syn_keyset_free(&state->dev);
    syn_json_free(&state->goal);
    syn_acts_free(state->acts);
    free(state->more);
}

const syn_question_format syn_question_multiwoz = {
    .benchmark = "multiwoz",
    .state_bytes = sizeof(dialogues),
    .read = multiwoz_read,
    .open = multiwoz_open,
    .close = multiwoz_close,
};
