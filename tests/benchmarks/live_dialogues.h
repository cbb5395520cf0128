/* MultiWOZ for live teams: hand-made dialogues, their databases and reference folder. */
#ifndef SYN_TESTS_BENCHMARKS_LIVE_DIALOGUES_H
#define SYN_TESTS_BENCHMARKS_LIVE_DIALOGUES_H

#include "tests/benchmarks/live_tasks.h"

static json_t *golden; /* dialogues, one for each rule of the metric, with their database */

/* The databases as a release has them, beside the dialogues and in a reference folder. */
static inline void write_databases(void)
{
    const char *domain;
    json_t *items;
    char name[64];
    mkdir(path_of("db"), 0700);
    mkdir(path_of("reference"), 0700);
    mkdir(path_of("reference/database"), 0700);
    mkdir(path_of("reference/references"), 0700);
    json_object_foreach(json_object_get(golden, "database"), domain, items)
    {
        snprintf(name, sizeof name, "reference/database/%s_db.json", domain);
        json_file(name, items);
        items = json_deep_copy(items);
        if (!strcmp(domain, "train"))
            json_array_append_new(items,
                                  json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "trainID", "TR9",
                                            "departure", "ely", "destination", "cambridge", "day",
                                            "sunday", "leaveAt", "09:00", "arriveBy", "09:20"));
        snprintf(name, sizeof name, "db/%s_db.json", domain);
        json_file(name, items);
        json_decref(items);
    }
}

static inline int open_golden(void **state)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/multiwoz_dialogues.json", SYN_SOURCE_DIR);
    golden = json_load_file(path, 0, NULL);
    if (!golden || make_folder(state)) return 1;
    write_databases();
    return 0;
}

static inline int close_golden(void **state)
{
    json_decref(golden);
    return remove_folder(state);
}

/* An exchange: what the user says, what the system says, the state between them. */
static inline void add_exchange(json_t *log, const char *user, const char *system, json_t *state)
{
    const char *domain;
    json_t *slots, *metadata = json_object();
    json_object_foreach(state, domain, slots)
    {
        json_object_set_new(metadata, domain,
                            json_pack("{s:O, s:{s:[]}}", "semi", slots, "book", "booked"));
    }
    json_array_append_new(log, json_pack("{s:s, s:{}}", "text", user, "metadata"));
    json_array_append_new(
        log, json_pack("{s:s, s:o, s:{}}", "text", system, "metadata", metadata, "dialog_act"));
}

/* A release of one dialogue "one", whose second turn follows `state`. */
static inline void one_dialogue_file(const char *first, const char *second, const char *before,
                                     const char *state)
{
    json_t *log = json_array(), *a = json_loads(before, 0, NULL), *b = json_loads(state, 0, NULL);
    assert_true(a && b);
    add_exchange(log, first, "What else?", a);
    add_exchange(log, second, "The Oak has [value_count] rooms.", b);
    json_t *all = json_pack("{s:{s:{}, s:o}}", "ONE.json", "goal", "log", log);
    json_file("data.json", all);
    json_decref(all);
    json_decref(a);
    json_decref(b);
}

static inline syn_live_bench *one_dialogue(const char *first, const char *second,
                                           const char *before, const char *state)
{
    one_dialogue_file(first, second, before, state);
    return bench_of("multiwoz", folder);
}

static inline const char *document(const task *t, const char *domain)
{
    for (int k = 0; k < t->config.document_count; k++)
        if (!strcmp(t->config.documents[k].title, domain)) return t->config.documents[k].text;
    fail_msg("there is no document of '%s'", domain);
    return "";
}

static inline syn_live_verdict of_text(const syn_live_bench *b, const syn_question *q,
                                       const char *text)
{
    return judged(b, q, (syn_live_answer){.answer = text, .short_answer = "first words"});
}

#endif
