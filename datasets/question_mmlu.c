/* MMLU: a CSV file a subject and split, of rows question, four choices, letter, without a header. A
 * question of each subject in turn, so that the first N are of all of them. */
#include <stdlib.h>
#include <string.h>

#include "datasets/csv.h"
#include "datasets/question_private.h"

enum { CHOICES = 4, FIELDS = 2 + CHOICES, FILE_BYTES_MAX = 32 << 20, ALL_BYTES_MAX = 256 << 20 };

typedef struct subject {
    const char *name;
    char *text; /* of its file; NULL once all is read */
    syn_csv csv;
    int64_t row;
    const syn_shot *shots;
    int shot_count;
} subject;

typedef struct subjects {
    subject *items;
    int count, next;
    syn_arena arena; /* names and examples: they stay */
    size_t bytes;    /* of all files */
} subjects;

static syn_status fail_row(const syn_csv *c, const char *what)
{
    return syn_fail(SYN_ERR_FORMAT, "%s: line %lld: %s", c->path, (long long)c->row_line, what);
}

/* What one row says; texts are copied to the arena. */
static syn_status row_take(syn_arena *arena, const syn_csv *c, syn_shot *out)
{
    static const char *const labels[CHOICES] = {"A", "B", "C", "D"};
    if (c->field_count != FIELDS)
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: line %lld: the row has %d fields, a question, four choices and a "
                        "letter are expected",
                        c->path, (long long)c->row_line, c->field_count);
    const syn_slice letter = c->fields[FIELDS - 1];
    syn_choice *choices = syn_arena_array(arena, CHOICES, sizeof *choices);
    if (!choices) return syn_arena_check(arena, c->path);
    for (int i = 0; i < CHOICES; i++)
        choices[i] = (syn_choice){labels[i], syn_slice_text(arena, c->fields[1 + i])};
    *out = (syn_shot){.question = syn_slice_text(arena, c->fields[0]),
                      .choices = choices,
                      .choice_count = CHOICES,
                      .answer = ""};
    if (letter.count == 1 && letter.bytes[0] >= 'A' && letter.bytes[0] < 'A' + CHOICES)
        out->answer = labels[letter.bytes[0] - 'A'];
    else if (letter.count)
        return fail_row(c, "the last field is not one of A, B, C and D");
    return syn_arena_check(arena, c->path);
}

static syn_status shots_read(syn_questions *q, subjects *all, int file, subject *s)
{
    syn_status st = SYN_OK;
    syn_csv csv;
    char *text = NULL;
    size_t bytes;
    bool more = true;
    syn_shot *shots = syn_arena_array(&all->arena, (size_t)q->shots, sizeof *shots);
    if (!shots) return syn_arena_check(&all->arena, q->path);
    SYN_TRY(syn_files_load(&q->files, file, FILE_BYTES_MAX, &text, &bytes));
    syn_csv_begin(&csv, q->files.items[file].path, text, bytes);
    while (s->shot_count < q->shots) {
        SYN_TRY(syn_csv_next(&csv, &more));
        if (!more) break;
        SYN_TRY(row_take(&all->arena, &csv, &shots[s->shot_count]));
        if (!*shots[s->shot_count].answer) {
            st = fail_row(&csv, "the example has no answer");
            goto done;
        }
        s->shot_count++;
    }
    s->shots = shots;
done:
    free(text);
    return st;
}

/* The subject's file of another split, wherever it lies. */
static syn_status shots_find(syn_questions *q, subjects *all, subject *s)
{
    const char *pattern = syn_arena_format(&all->arena, "%s_dev.csv", s->name);
    int file = syn_files_find(&q->files, pattern, 0);
    if (file < 0)
        return syn_fail(SYN_ERR_FORMAT, "%s: holds no %s, where the examples of the subject are",
                        q->path, pattern);
    return shots_read(q, all, file, s);
}

static syn_status subject_add(syn_questions *q, subjects *all, int file, size_t suffix)
{
    const char *base = syn_file_base(q->files.items[file].name);
    const size_t n = strlen(base);
    size_t bytes;
    if (q->subject && (strlen(q->subject) != n - suffix || memcmp(base, q->subject, n - suffix)))
        return SYN_OK;
    if (all->count == SYN_QUESTION_SUBJECTS_MAX)
        return syn_fail(SYN_ERR_LIMIT, "%s: holds more than %d subjects", q->path,
                        SYN_QUESTION_SUBJECTS_MAX);
    subject *s = &all->items[all->count++];
    s->name = syn_arena_text_n(&all->arena, base, n - suffix);
    SYN_RETURN_IF(syn_arena_check(&all->arena, q->path));
    SYN_RETURN_IF(syn_files_load(&q->files, file, FILE_BYTES_MAX, &s->text, &bytes));
    all->bytes += bytes;
    if (all->bytes > ALL_BYTES_MAX)
        return syn_fail(SYN_ERR_LIMIT, "%s: its files are longer than %d MiB together", q->path,
                        ALL_BYTES_MAX >> 20);
    syn_csv_begin(&s->csv, q->files.items[file].path, s->text, bytes);
    SYN_RETURN_IF(syn_question_chosen(q, file));
    return q->shots ? shots_find(q, all, s) : SYN_OK;
}

/* "abstract_algebra_test.csv": the part behind the subject, NULL where there is none. */
static const char *suffix_of(const char *base)
{
    static const char *const suffixes[] = {"_test.csv", "_val.csv", "_dev.csv"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(base), m = strlen(suffixes[i]);
        if (n > m && strcmp(base + n - m, suffixes[i]) == 0) return base + n - m;
    }
    return NULL;
}

/* One file is read by itself; its examples lie in its folder, or in the folder dev beside that. */
static syn_status single_open(syn_questions *q, subjects *all)
{
    const char *path = q->files.items[0].path, *suffix = suffix_of(q->files.items[0].name);
    const int shots = q->shots;
    if (!suffix)
        return syn_fail(SYN_ERR_FORMAT, "%s: is not named as MMLU's files are (anatomy_test.csv)",
                        path);
    q->shots = 0;
    SYN_RETURN_IF(subject_add(q, all, 0, strlen(suffix)));
    q->shots = shots;
    if (shots == 0 || all->count == 0) return SYN_OK;
    const int folder = (int)(q->files.items[0].name - path);
    static const char *const places[] = {"", "../dev/"};
    syn_status st = SYN_OK;
    for (int i = 0; i < 2; i++) {
        syn_files own = q->files;
        const char *dev = syn_arena_format(&all->arena, "%.*s%s%s_dev.csv", folder, path, places[i],
                                           all->items[0].name);
        st = syn_files_open(&q->files, dev);
        if (st == SYN_OK) st = shots_read(q, all, 0, &all->items[0]);
        syn_files_close(&q->files);
        q->files = own;
        if (st != SYN_ERR_IO) return st;
    }
    return st;
}

static syn_status mmlu_open(syn_questions *q)
{
    static const char *const splits[][2] = {
        {"test", "_test.csv"}, {"dev", "_val.csv"}, {"train", "_dev.csv"}};
    subjects *all = q->state;
    syn_arena_init(&all->arena, SYN_QUESTION_RECORD_BYTES_MAX);
    all->items = calloc(SYN_QUESTION_SUBJECTS_MAX, sizeof *all->items);
    if (!all->items) return syn_fail(SYN_ERR_MEMORY, "%s: no memory for its subjects", q->path);
    if (q->files.single) return single_open(q, all);
    for (int i = 0; i < 3 && all->count == 0; i++) {
        if (q->split && strcmp(q->split, splits[i][0]) != 0) continue;
        const char *pattern = syn_arena_format(&all->arena, "*%s", splits[i][1]);
        for (int f = -1; (f = syn_files_find(&q->files, pattern, f + 1)) >= 0;)
            SYN_RETURN_IF(subject_add(q, all, f, strlen(splits[i][1])));
    }
    if (all->count > 0) return SYN_OK;
    return syn_fail(SYN_ERR_FORMAT,
                    "%s: holds no file of mmlu%s%s%s%s (anatomy_test.csv, for example)", q->path,
                    q->split ? ", split " : "", q->split ? q->split : "",
                    q->subject ? ", subject " : "", q->subject ? q->subject : "");
}

static void mmlu_close(syn_questions *q)
{
    subjects *all = q->state;
    for (int i = 0; i < all->count; i++) free(all->items[i].text);
    free(all->items);
    syn_arena_free(&all->arena);
}

static syn_status question_fill(syn_questions *q, subject *s)
{
    syn_shot row;
    SYN_RETURN_IF(row_take(&q->arena, &s->csv, &row));
    syn_question *n = syn_question_add(q);
    const char **answer = syn_arena_alloc(&q->arena, sizeof *answer);
    if (!n || !answer) return syn_arena_check(&q->arena, s->csv.path);
    n->id = syn_arena_format(&q->arena, "%s/%lld", s->name, (long long)s->row++);
    n->question = row.question;
    n->domain = s->name;
    n->choices = row.choices;
    n->choice_count = row.choice_count;
    *answer = row.answer;
    n->answers = answer;
    n->answer_count = *row.answer ? 1 : 0;
    n->shots = s->shots;
    n->shot_count = s->shot_count;
    return syn_arena_check(&q->arena, s->csv.path);
}

static syn_status mmlu_fill(syn_questions *q)
{
    subjects *all = q->state;
    bool more;
    for (int passed = 0; passed < all->count; passed++) {
        const int at = all->next;
        subject *s = &all->items[at];
        all->next = (at + 1) % all->count;
        if (!s->text) continue;
        q->chosen_next = at + 1;
        SYN_RETURN_IF(syn_csv_next(&s->csv, &more));
        if (more) return question_fill(q, s);
        free(s->text);
        s->text = NULL;
    }
    q->at_end = true;
    return SYN_OK;
}

const syn_question_format syn_question_mmlu = {
    .benchmark = "mmlu",
    .state_bytes = sizeof(subjects),
    .fill = mmlu_fill,
    .open = mmlu_open,
    .close = mmlu_close,
};
