/* Versions that can be told apart: each holds one tensor whose values name its step. */
#ifndef SYN_TESTS_CHECKPOINTS_STEPS_H
#define SYN_TESTS_CHECKPOINTS_STEPS_H

#include "tests/datasets/helpers.h"

#include "checkpoints/store.h"

enum { STEP_VALUES = 20000 };

static float step_values[STEP_VALUES];

static inline syn_status save_step_as(const char *dir, int step, bool best, int max_versions)
{
    char config[64], metrics[64];
    for (int i = 0; i < STEP_VALUES; i++) step_values[i] = (float)step + (float)i;
    syn_tensor t = {"w", 1, {STEP_VALUES}, SYN_TENSOR_F32, step_values};
    snprintf(config, sizeof config, "{\"step\":%d}", step);
    snprintf(metrics, sizeof metrics, "{\"return\":%d.5,\"messages\":%d}", step % 7, step);
    const syn_save_facts facts = {
        .config_json = config, .metrics_json = metrics, .best = best, .max_versions = max_versions};
    return syn_checkpoint_save(dir, &t, 1, &facts, NULL);
}

static inline syn_status save_step(const char *dir, int step)
{
    return save_step_as(dir, step, false, 2);
}

/* The step of the version `which`, whose tensor must be that step's; -1 when it does not load. */
static inline int step_of(const char *dir, const char *which)
{
    syn_checkpoint *cp = NULL;
    static float loaded[STEP_VALUES];
    syn_tensor t = {"w", 1, {STEP_VALUES}, SYN_TENSOR_F32, loaded};
    int step = -1;
    if (syn_checkpoint_open_version(dir, which, &cp) != SYN_OK) return -1;
    assert_ok(syn_checkpoint_read(cp, &t));
    assert_int_equal(sscanf(syn_checkpoint_config(cp), "{\"step\":%d}", &step), 1);
    for (int i = 0; i < STEP_VALUES; i++) assert_true(loaded[i] == (float)step + (float)i);
    syn_checkpoint_close(cp);
    return step;
}

/* "1 2 5*": the versions there are, best marked by a *, latest by a +. */
static inline const char *versions_of(const char *dir)
{
    static char text[512];
    syn_store store;
    int n = 0;
    text[0] = 0;
    if (syn_store_open(dir, &store, NULL) != SYN_OK) return "none";
    for (int i = 0; i < store.count; i++) {
        const int64_t number = store.versions[i].number;
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%lld%s%s", i ? " " : "",
                      (long long)number, number == store.best ? "*" : "",
                      number == store.latest ? "+" : "");
    }
    syn_store_free(&store);
    return text;
}

#endif
