/* What the tests of the public API have in common: a model with opinions in a folder of its own,
 * opened once, and a question with its pieces. */
#ifndef SYN_TESTS_ENGINE_SYNCOG_WORLD_H
#define SYN_TESTS_ENGINE_SYNCOG_WORLD_H

#include <unistd.h>

#include "checkpoints/model_file.h"
#include "engine/syncog.h"
#include "tests/test.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX, PIECES = 9 };

static const char question[] =
    "Which river flows through the town where the painter Marta Oyelaran was born?";
/* PIECES of the question's own, then SYN_FOREIGN_ROWS others: what the environment deals from. */
static const syn_document pieces[] = {
    {"Marta Oyelaran", "Marta Oyelaran (born 1931 in Velmora) was a painter of large landscapes.",
     false},
    {"Velmora", "Velmora is a town in the north. The river Issel flows through Velmora.", false},
    {"Painters of the North", "The Painters of the North met in 1952 in Karst.", false},
    {"Karst", "Karst is a town of 4000 people on the river Tamm.", false},
    {"Issel", "The Issel is a river of 120 km; it has many bridges.", false},
    {"Oyelaran family", "The Oyelaran family owned a mill in Karst until 1890.", false},
    {"Landscape", "A landscape is what can be seen from one place.", false},
    {NULL, "Marta Oyelaran never left her home town.", true},
    {"Tamm", "The river Tamm was dammed in 1961.", false},
    {"Tea", "Tea is grown in Assam and in Ceylon.", false},
    {"Mill", "A mill grinds grain. Many mills stand on rivers.", false},
    {"Bridge of Lorn", "The bridge of Lorn was built by 1200 men.", false},
    {"Ceylon", "Ceylon is an island in the south.", false},
};
enum { ROWS = sizeof pieces / sizeof *pieces };

static char folder[64], untrained[80], blind[80];
static syn_engine *shared;

/* ---- A model with opinions, saved and opened ---- */

static inline void model_make(syn_ctx *ctx, syn_model *m)
{
    assert_ok(syn_model_init(ctx, m, 11));
    assert_ok(syn_perception_init(ctx, &m->perception, 12));
    assert_ok(syn_control_init(ctx, &m->control, 13));
    for (int64_t k = 0; k < m->perception.params.total; k++) m->perception.params.value[k] *= 2;
    for (int64_t k = 0; k < m->control.params.total; k++) m->control.params.value[k] *= 3;
    m->perception.calibrated[SYN_GAP] = (syn_calibration){1.5f, -0.25f};
    syn_rng rng = syn_rng_make(14, SYN_STREAM_TEST);
    for (int k = 0; k < SYN_IDF_BUCKETS; k++) m->idf->value[k] = 1 + 7 * syn_rng_uniform(&rng);
    m->has_perception = m->has_control = m->has_policy = true;
}

static inline int setup(void **state)
{
    syn_ctx ctx;
    syn_model m;
    strcpy(folder, "/tmp/syncog-api-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(untrained, sizeof untrained, "%s/untrained", folder);
    snprintf(blind, sizeof blind, "%s/blind", folder);
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    model_make(&ctx, &m);
    assert_ok(syn_model_save(folder, &m, false, NULL, NULL));
    m.has_policy = false;
    m.central = false;
    assert_ok(syn_model_save(untrained, &m, false, NULL, NULL));
    m.has_perception = m.has_control = false;
    assert_ok(syn_model_save(blind, &m, false, NULL, NULL));
    syn_model_free(&ctx, &m);
    syn_ctx_free(&ctx);
    assert_ok(syn_engine_open(folder, NULL, &shared));
    return 0;
}

static inline int teardown(void **state)
{
    char command[96];
    syn_engine_close(shared);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static inline syn_session *session_of(int count)
{
    syn_session *s;
    assert_ok(syn_session_create(shared, question, pieces, count, &s));
    return s;
}

static inline void assert_says(syn_status st, syn_status expected, const char *words)
{
    if (st != expected || !strstr(syn_error_text(), words)) {
        fail_msg("status %d (%s), expected %d and \"%s\"", st, syn_error_text(), expected, words);
    }
}

/* ---- A team ---- */

static const uint32_t dealt[3] = {1u << 0 | 1u << 3, 1u << 1 | 1u << 4 | 1u << 7,
                                  1u << 2 | 1u << 5 | 1u << 8};

static inline syn_env opening(const syn_session *s)
{
    syn_env team;
    assert_ok(syn_session_begin(s, SYN_GOAL_ASKER, 3, dealt, 12, &team));
    return team;
}

static inline void apply(syn_session *s, syn_env *team, int kind, int from, int to)
{
    const syn_action a = {(int8_t)kind, (int8_t)from, (int8_t)to, -1};
    assert_ok(syn_session_apply(s, team, &a));
}

/* An opening and three turns. */
static inline syn_env played(syn_session *s)
{
    syn_env team = opening(s);
    apply(s, &team, SYN_SEND, 1, 0);
    apply(s, &team, SYN_BROADCAST, 2, -1);
    apply(s, &team, SYN_REQUEST, 0, 1);
    return team;
}

#endif
