/* Synthetic records as the tests read them. */
#ifndef SYN_TESTS_DATASETS_SYNTH_READ_H
#define SYN_TESTS_DATASETS_SYNTH_READ_H

#include "tests/test.h"

#include <dirent.h>
#include <jansson.h>
#include <unistd.h>

#include "datasets/synth.h"

static char folder[64];

static inline int make_folder(void **state)
{
    strcpy(folder, "/tmp/syn_synth_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    DIR *d = opendir(folder);
    char path[512];
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.') unlink(path);
    }
    if (d) closedir(d);
    return rmdir(folder);
}

static inline const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline syn_synth_options options(int64_t tasks, uint64_t seed)
{
    syn_synth_options o = syn_synth_defaults();
    o.tasks = tasks;
    o.seed = seed;
    return o;
}

/* The bytes of the file, NUL-terminated. */
static inline char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(n + 1);
    assert_int_equal(fread(text, 1, n, f), n);
    text[n] = 0;
    fclose(f);
    return text;
}

static inline char *generate(const syn_synth_options *o)
{
    assert_ok(syn_synth_write(o, in_folder("a.json")));
    return read_file(in_folder("a.json"));
}

static inline json_t *records_of(const syn_synth_options *o)
{
    char *text = generate(o);
    json_error_t error;
    json_t *list = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!list) fail_msg("line %d: %s", error.line, error.text);
    assert_int_equal(json_array_size(list), o->tasks);
    free(text);
    return list;
}

static inline const char *text_of(const json_t *record, const char *key)
{
    const char *s = json_string_value(json_object_get(record, key));
    assert_non_null(s);
    return s;
}

static inline const char *title_of(const json_t *record, size_t piece)
{
    const json_t *p = json_array_get(json_object_get(record, "context"), piece);
    return json_string_value(json_array_get(p, 0));
}

static inline const json_t *sentences_of(const json_t *record, size_t piece)
{
    const json_t *p = json_array_get(json_object_get(record, "context"), piece);
    return json_array_get(p, 1);
}

static inline size_t piece_count(const json_t *record)
{
    return json_array_size(json_object_get(record, "context"));
}

static inline bool is_gold(const json_t *record, size_t piece)
{
    const json_t *facts = json_object_get(record, "supporting_facts"), *fact;
    size_t i;
    json_array_foreach(facts, i, fact)
    {
        const char *title = json_string_value(json_array_get(fact, 0));
        if (!strcmp(title, title_of(record, piece))) return true;
    }
    return false;
}

static inline int gold_count(const json_t *record)
{
    int count = 0;
    for (size_t i = 0; i < piece_count(record); i++) count += is_gold(record, i);
    return count;
}

/* Title and sentences of a piece, joined; the caller frees. */
static inline char *piece_text(const json_t *record, size_t piece, bool with_title)
{
    char *text = strdup(with_title ? title_of(record, piece) : "");
    const json_t *sentence;
    size_t i;
    json_array_foreach(sentences_of(record, piece), i, sentence)
    {
        char *longer = NULL;
        assert_true(asprintf(&longer, "%s %s", text, json_string_value(sentence)) > 0);
        free(text);
        text = longer;
    }
    return text;
}

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

#endif
