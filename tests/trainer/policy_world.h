/* A few random tasks, networks that nobody has trained, and plays on them. */
#ifndef SYN_TESTS_TRAINER_POLICY_WORLD_H
#define SYN_TESTS_TRAINER_POLICY_WORLD_H

#include "tests/trainer/memory_dataset.h"
#include "trainer/policies.h"

enum { R = SYN_ROWS_MAX, EPISODES = 300, FEW = 40 };

typedef struct world {
    syn_ctx ctx;
    syn_dataset ds;
    syn_corpus corpus;
    syn_perception perception;
    syn_control control;
    int32_t record[64];
} world;

static world w;

static inline int setup(void **state)
{
    syn_idf *idf = calloc(1, sizeof *idf);
    real *table = calloc((size_t)SYN_VOCABULARY * SYN_DE, sizeof *table);
    if (!idf || !table) return -1;
    syn_embedding_init(table, 1);
    assert_ok(syn_ctx_init(&w.ctx, SYN_DEVICE_CPU, 1));
    dataset_begin(&w.ds);
    random_records(&w.ds, 8, 10, 2, true);
    random_records(&w.ds, 4, 6, 3, true);
    assert_ok(syn_corpus_idf(&w.ds, NULL, idf));
    assert_ok(syn_corpus_build(&w.ctx, &w.corpus, &w.ds, NULL, NULL, idf, table, 0));
    assert_ok(syn_perception_init(&w.ctx, &w.perception, 3));
    assert_ok(syn_control_init(&w.ctx, &w.control, 4));
    for (int64_t k = 0; k < w.control.params.total; k++) w.control.params.value[k] *= 3;
    for (int32_t r = 0; r < w.corpus.records; r++) w.record[r] = r;
    free(idf);
    free(table);
    return 0;
}

static inline int teardown(void **state)
{
    syn_control_free(&w.ctx, &w.control);
    syn_perception_free(&w.ctx, &w.perception);
    syn_corpus_free(&w.ctx, &w.corpus);
    syn_dataset_free(&w.ds);
    syn_ctx_free(&w.ctx);
    return 0;
}

static inline syn_play play_make(int goal)
{
    syn_play p = {.ctx = &w.ctx,
                  .corpus = &w.corpus,
                  .env = SYN_ENV_CONFIG_DEFAULT,
                  .record = w.record,
                  .records = w.corpus.records,
                  .untitled_share = 0.3f,
                  .seed = 17,
                  .central = true,
                  .perception = &w.perception,
                  .control = &w.control};
    p.env.goal = goal;
    return p;
}

/* The policies that cost little, and the learned ones, which are played on few episodes. */
static inline bool is_learned(int kind)
{
    return kind == SYN_POLICY_LEARNED || kind == SYN_POLICY_LEARNED_NO_REQUEST;
}

static inline int64_t count_of(int kind)
{
    return is_learned(kind) ? FEW : EPISODES;
}

static inline void play_on(const syn_play *p, int kind, int64_t count, syn_episode_result *r)
{
    memset(r, 0x55, sizeof *r * (size_t)count);
    assert_ok(syn_play_policy(p, (syn_policy_kind)kind, count, r, NULL));
}

/* The opening of an episode, from its number alone. */
static inline syn_env opening(const syn_play *p, int64_t episode)
{
    const syn_env_source src = {p->corpus->tasks.info, p->record, p->records,
                                p->untitled_share,     p->seed,   p->draw};
    syn_env e;
    syn_env_start(&e, &p->env, &src, (uint64_t)episode);
    return e;
}

static inline void results_assert_equal(const syn_episode_result *a, const syn_episode_result *b,
                                        int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        assert_true(a[i].episode_return == b[i].episode_return);
        assert_true(a[i].record == b[i].record && a[i].turns == b[i].turns);
        assert_true(a[i].messages == b[i].messages && a[i].deliveries == b[i].deliveries);
        assert_true(a[i].requests == b[i].requests && a[i].moves == b[i].moves);
        assert_true(a[i].success == b[i].success && a[i].abstained == b[i].abstained);
        assert_true(a[i].ended == b[i].ended && a[i].stratum == b[i].stratum);
    }
}

#endif
