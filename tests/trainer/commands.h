/* What the tests of pretrain, train and eval share: caches of synthetic tasks, the program as a
 * user runs it, checkpoints of networks that nobody has trained, and the content of a checkpoint.
 */
#ifndef SYN_TESTS_TRAINER_COMMANDS_H
#define SYN_TESTS_TRAINER_COMMANDS_H

#include "tests/datasets/helpers.h"

#include <jansson.h>
#include <sys/wait.h>

#include "checkpoints/model_file.h"
#include "datasets/synth.h"
#include "trainer/corpus.h"

enum { SAID_MAX = 1 << 17, HASH_TEXT = 65 };

static char said[SAID_MAX];       /* what the last command printed ... */
static char complained[SAID_MAX]; /* ... and wrote to stderr */

/* A cache of synthetic tasks at folder/NAME. Equal seeds give equal records. */
static inline void cache_write(const char *name, int64_t tasks, uint64_t seed)
{
    syn_synth_options o = syn_synth_defaults();
    syn_prepare_report report;
    char text[160];
    snprintf(text, sizeof text, "%s.json", path_of(name));
    o.tasks = tasks;
    o.seed = seed;
    assert_ok(syn_synth_write(&o, text));
    assert_ok(prepare_one("hotpotqa", text, path_of(name), &report));
    assert_int_equal(report.records, tasks);
}

static inline void slurp(const char *name, char *to)
{
    FILE *f = fopen(path_of(name), "rb");
    assert_non_null(f);
    to[fread(to, 1, SAID_MAX - 1, f)] = 0;
    fclose(f);
}

/* Runs `syncog ...` through the shell in the test's folder, so that names are relative to it.
 * Returns the exit code, or -1 when a signal ended it. */
static inline int syncog(const char *fmt, ...) SYN_PRINTF(1, 2);
static inline int syncog(const char *fmt, ...)
{
    char command[2048], line[4096];
    va_list args;
    va_start(args, fmt);
    assert_true(vsnprintf(command, sizeof command, fmt, args) < (int)sizeof command);
    va_end(args);
    snprintf(line, sizeof line, "cd '%s' && { '%s' %s; } >said 2>complained", test_folder,
             SYN_PROGRAM, command);
    int status = system(line);
    slurp("said", said);
    slurp("complained", complained);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int line_count(const char *text)
{
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

/* The last command was refused: the code, nothing on stdout, one line "syncog: ..." with these
 * words. */
static inline void assert_one_sentence(const char *what, int got, int code, const char *words)
{
    if (got != code || said[0] || line_count(complained) != 1 ||
        strncmp(complained, "syncog: ", 8) || !strstr(complained, words)) {
        fail_msg("syncog %s: exit %d, expected %d and one sentence with \"%s\"; stdout \"%s\", "
                 "stderr \"%s\"",
                 what, got, code, words, said, complained);
    }
}

#define assert_works(...)                                                                          \
    do {                                                                                           \
        int works_ = syncog(__VA_ARGS__);                                                          \
        if (works_ != 0) fail_msg("exit %d: %s", works_, complained);                              \
    } while (0)

/* The hash over all weights of the checkpoint folder/NAME. */
static inline const char *content_of(const char *name, char out[HASH_TEXT])
{
    syn_checkpoint *cp = NULL;
    assert_ok(syn_checkpoint_open(path_of(name), &cp));
    snprintf(out, HASH_TEXT, "%s", syn_checkpoint_content_sha256(cp));
    syn_checkpoint_close(cp);
    return out;
}

/* The largest difference between the tensors of checkpoint a whose name begins with `prefix` and
 * those of checkpoint b, which must have them too. *compared: how many. */
static inline double largest_difference(const char *a, const char *b, const char *prefix,
                                        int *compared)
{
    syn_checkpoint *x = NULL, *y = NULL;
    double largest = 0;
    *compared = 0;
    assert_ok(syn_checkpoint_open(path_of(a), &x));
    assert_ok(syn_checkpoint_open(path_of(b), &y));
    for (int i = 0; i < syn_checkpoint_tensor_count(x); i++) {
        syn_tensor t = *syn_checkpoint_tensor(x, i);
        if (strncmp(t.name, prefix, strlen(prefix))) continue;
        const int64_t n = syn_tensor_elements(&t);
        float *u = malloc((size_t)syn_tensor_bytes(&t)), *v = malloc((size_t)syn_tensor_bytes(&t));
        t.data = u;
        assert_ok(syn_checkpoint_read(x, &t));
        t.data = v;
        assert_ok(syn_checkpoint_read(y, &t));
        for (int64_t k = 0; k < n; k++) {
            double d = fabs((double)u[k] - (double)v[k]);
            if (d > largest) largest = d;
        }
        ++*compared;
        free(u);
        free(v);
    }
    syn_checkpoint_close(x);
    syn_checkpoint_close(y);
    return largest;
}

static inline char *metrics_of(const char *run)
{
    char name[48];
    size_t bytes;
    snprintf(name, sizeof name, "%.30s/metrics.jsonl", run);
    return file_read(path_of(name), &bytes);
}

/* The metrics of runs folder/A and folder/B are equal but for the times. Returns the lines. */
static inline int assert_same_metrics(const char *a, const char *b)
{
    static const char *const timed[] = {"seconds", "env_steps_per_s"};
    char *text[2] = {metrics_of(a), metrics_of(b)}, *at[2] = {text[0], text[1]}, *line;
    int lines = 0;
    while ((line = strsep(&at[0], "\n")) && *line) {
        char *other = strsep(&at[1], "\n");
        json_t *x = json_loads(line, 0, NULL), *y = json_loads(other ? other : "", 0, NULL);
        for (int k = 0; k < 2; k++) {
            json_object_del(x, timed[k]);
            json_object_del(y, timed[k]);
        }
        if (!json_equal(x, y)) fail_msg("%s, line %d: %s\n%s: %s", a, lines + 1, line, b, other);
        json_decref(x);
        json_decref(y);
        lines++;
    }
    assert_true(!at[1] || !*at[1]);
    free(text[0]);
    free(text[1]);
    return lines;
}

/* Networks as they are initialised, with the idf of the cache, saved as folder/NAME. */
static inline void untrained_write(const char *name, const char *cache, bool perception,
                                   bool policy)
{
    syn_ctx ctx;
    syn_dataset ds = {0};
    syn_model m;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    assert_ok(syn_dataset_load(&ds, path_of(cache)));
    assert_ok(syn_model_init(&ctx, &m, 1));
    assert_ok(syn_corpus_idf(&ds, NULL, m.idf));
    if (perception) assert_ok(syn_perception_init(&ctx, &m.perception, 5));
    if (policy) assert_ok(syn_control_init(&ctx, &m.control, 6));
    m.has_perception = perception;
    m.has_control = m.has_policy = policy;
    assert_ok(syn_model_save(path_of(name), &m, false, NULL, NULL));
    syn_model_free(&ctx, &m);
    syn_dataset_free(&ds);
    syn_ctx_free(&ctx);
}

#endif
