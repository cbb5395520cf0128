/* What the tests of live tasks share: files of questions in a folder of their own, and one question
 * with what a team gets for it. */
#ifndef SYN_TESTS_BENCHMARKS_LIVE_TASKS_H
#define SYN_TESTS_BENCHMARKS_LIVE_TASKS_H

#include "tests/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "benchmarks/live_task.h"

static char folder[64];

static inline int make_folder(void **state)
{
    strcpy(folder, "/tmp/syncog-live-task-XXXXXX");
    return mkdtemp(folder) ? 0 : 1;
}

static inline int remove_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* A path in the folder; kept until the fourth call after. */
static inline const char *path_of(const char *name)
{
    static char paths[4][128];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline const char *file(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline const char *json_file(const char *name, const json_t *j)
{
    const char *path = path_of(name);
    assert_int_equal(json_dump_file(j, path, 0), 0);
    return path;
}

static inline syn_live_bench *seeded_bench(const char *benchmark, const char *path, uint64_t seed)
{
    syn_live_bench *b;
    const syn_live_bench_options o = {
        .benchmark = benchmark, .path = path, .shots = 5, .seed = seed};
    assert_ok(syn_live_bench_open(&o, &b));
    return b;
}

static inline syn_live_bench *bench_of(const char *benchmark, const char *path)
{
    return seeded_bench(benchmark, path, 7);
}

static inline const syn_question *next_of(syn_live_bench *b)
{
    const syn_question *q;
    int64_t number;
    assert_ok(syn_live_bench_next(b, &q, &number));
    return q;
}

/* What a team gets. */
typedef struct task {
    syn_arena arena;
    syn_round_config config;
} task;

static inline task *task_of(const syn_live_bench *b, const syn_question *q, int agents)
{
    task *t = calloc(1, sizeof *t);
    assert_non_null(t);
    syn_arena_init(&t->arena, 16 << 20);
    syn_round_config_defaults(&t->config);
    assert_ok(syn_live_task_make(b, q, agents, &t->arena, &t->config));
    return t;
}

static inline void task_free(task *t)
{
    syn_arena_free(&t->arena);
    free(t);
}

static inline double figure(const json_t *j, const char *name)
{
    const json_t *value = json_object_get(j, name);
    if (!json_is_number(value)) fail_msg("there is no figure '%s'", name);
    return json_number_value(value);
}

static inline const char *member(const json_t *j, const char *name)
{
    const char *text = json_string_value(json_object_get(j, name));
    if (!text) fail_msg("there is no text '%s'", name);
    return text;
}

static inline syn_live_verdict judged(const syn_live_bench *b, const syn_question *q,
                                      syn_live_answer a)
{
    syn_live_verdict v;
    assert_ok(syn_live_judge(b, q, &a, &v));
    return v;
}

#endif
