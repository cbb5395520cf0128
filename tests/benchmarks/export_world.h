/* Records to export, in a folder of the test's own, and the rows that come out. */
#ifndef SYN_TESTS_BENCHMARKS_EXPORT_WORLD_H
#define SYN_TESTS_BENCHMARKS_EXPORT_WORLD_H

#include <sys/stat.h>
#include <unistd.h>

#include "benchmarks/export.h"
#include "tests/test.h"

typedef struct world {
    char folder[64], records[96], out[96], url[128];
    syn_export_options options;
    syn_export_report report;
} world;

static inline int begin(void **state)
{
    world *w = calloc(1, sizeof *w);
    strcpy(w->folder, "/tmp/syncog-export-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->records, sizeof w->records, "%s/a.records.jsonl", w->folder);
    snprintf(w->out, sizeof w->out, "%s/out", w->folder);
    snprintf(w->url, sizeof w->url, "sqlite:///%s/a.db", w->folder);
    w->options = (syn_export_options){.source.history = w->records,
                                      .out = w->out,
                                      .filter = {.confidence_min = .5,
                                                 .score_min = .5,
                                                 .answer_words_min = 1,
                                                 .answer_words_max = 100,
                                                 .question_words_max = 100},
                                      .gap_min = .1};
    *state = w;
    return 0;
}

static inline int end(void **state)
{
    world *w = *state;
    char command[128];
    syn_export_report_free(&w->report);
    snprintf(command, sizeof command, "rm -rf '%s'", w->folder);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static inline syn_status export_as(world *w, const char *format)
{
    w->options.format = syn_export_format_find(format);
    assert_non_null(w->options.format);
    w->options.filter.any_answer = w->options.format->kind == SYN_EXPORT_PREFERENCE;
    w->options.filter.dialogue = w->options.format->kind == SYN_EXPORT_REASONING;
    syn_export_report_free(&w->report);
    return syn_export(&w->options, &w->report);
}

/* A record of an evaluation; `change` (NULL: none) is an object whose members replace its own. */
static inline void record(const world *w, const char *id, const char *question, const char *answer,
                          const char *change)
{
    FILE *file = fopen(w->records, "a");
    json_t *r = json_pack(
        "{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:f, s:f, s:n, s:s, s:b, s:[{s:i s:i s:n s:s s:s}, "
        "{s:i s:i s:i s:s s:s}]}",
        "benchmark", "hotpotqa", "id", id, "policy", "learned", "num_agents", 3, "question",
        question, "answer", answer, "short_answer", answer, "score", 1., "confidence", .9, "error",
        "stopped_by", "converged", "abstained", false, "dialogue", "round", 1, "agent_id", 2, "to",
        "message_type", "broadcast", "message", "It rains.", "round", 2, "agent_id", 1, "to", 3,
        "message_type", "request", "message", "Where?");
    assert_non_null(r);
    if (change) {
        json_t *other = json_loads(change, 0, NULL);
        assert_non_null(other);
        json_object_update(r, other);
        json_decref(other);
    }
    json_dumpf(r, file, JSON_COMPACT);
    fputc('\n', file);
    json_decref(r);
    fclose(file);
}

/* The rows of a split, an array; empty where it has no file. */
static inline json_t *rows_of(const world *w, const char *split)
{
    char path[160], line[16384];
    json_t *rows = json_array();
    snprintf(path, sizeof path, "%s/jsonl/%s.jsonl", w->out, split);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        json_array_append_new(rows, json_loads(line, 0, NULL));
    if (file) fclose(file);
    return rows;
}

/* The one row of the train split. */
static inline json_t *only_row(const world *w)
{
    json_t *rows = rows_of(w, "train"), *row = json_incref(json_array_get(rows, 0));
    assert_int_equal(json_array_size(rows), 1);
    json_decref(rows);
    return row;
}

static inline const char *text(const json_t *row, const char *name)
{
    const char *value = json_string_value(json_object_get(row, name));
    if (!value) fail_msg("no text %s", name);
    return value;
}

static inline char *file_text(const world *w, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", w->out, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *content = calloc(1, 65536);
    fread(content, 1, 65535, file);
    fclose(file);
    return content;
}

#endif
