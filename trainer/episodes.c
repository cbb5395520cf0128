#include "trainer/episodes.h"

const syn_episode_config syn_episodes_training = {SYN_ENV_CONFIG_DEFAULT, 0.2f, 0.3f, 6, 0.4f};
const syn_episode_config syn_episodes_opening = {SYN_ENV_CONFIG_DEFAULT, 0, 0, 0, 1};

/* Moves pieces as a team might: by cosine or at random, to the asker half of the time. */
static void deliver(syn_env *env, const syn_env_config *cfg, const syn_corpus *corpus, syn_rng *rng)
{
    const real *quest = corpus->tasks.quest + (int64_t)env->task * SYN_TASK_QUEST;
    const bool by_cosine = syn_rng_uniform(rng) < 0.6f;
    float rank[SYN_AGENTS_MAX * SYN_ROWS_MAX];
    for (int p = 0; p < SYN_ROWS_MAX; p++) {
        rank[p] = by_cosine ? (float)quest[p * SYN_DQ + SYN_Q_COSINE] : syn_rng_uniform(rng);
        for (int i = 1; i < SYN_AGENTS_MAX; i++) rank[i * SYN_ROWS_MAX + p] = rank[p];
    }
    int from = (int)syn_rng_below(rng, (uint32_t)env->agents);
    int to = syn_rng_uniform(rng) < 0.5f ? 0 : (int)syn_rng_below(rng, (uint32_t)env->agents);
    bool broadcast = syn_rng_uniform(rng) < 0.1f;
    if (!broadcast && from == to) return;
    (void)syn_env_step(env, cfg, syn_action_index(broadcast ? SYN_BROADCAST : SYN_SEND, from, to),
                       rank);
}

void syn_episode_draw(syn_env *env, const syn_episode_config *cfg, const syn_corpus *corpus,
                      const int32_t *records, int64_t record_count, uint64_t seed, uint64_t number)
{
    const syn_draw evenly = {0};
    syn_episode_draw_weighted(env, cfg, corpus, records, record_count, &evenly, seed, number);
}

void syn_episode_draw_weighted(syn_env *env, const syn_episode_config *cfg,
                               const syn_corpus *corpus, const int32_t *records,
                               int64_t record_count, const syn_draw *draw, uint64_t seed,
                               uint64_t number)
{
    int64_t first;
    syn_rng rng = syn_rng_make(seed, ((uint64_t)SYN_STREAM_PRETRAIN << 32) + number);
    syn_env_config c = cfg->env;
    c.turns_max = 1000; /* deliveries never time out */
    /* Evenly, nothing is drawn for it: runs without weights keep their bits. */
    const uint32_t word = draw->blocks < 2 ? 0 : syn_rng_u32(&rng);
    const int64_t among = syn_draw_block(draw, record_count, word, &first);
    int32_t record = records[first + syn_rng_below(&rng, (uint32_t)among)];
    int task = 2 * record + (syn_rng_uniform(&rng) < cfg->untitled_share);
    if (syn_rng_uniform(&rng) < cfg->consensus_share) c.goal = SYN_GOAL_CONSENSUS;
    bool opening = syn_rng_uniform(&rng) < cfg->opening_share;
    int moves = opening ? 0 : 1 + (int)syn_rng_below(&rng, (uint32_t)cfg->deliveries_max);
    syn_env_reset(env, &c, task, &corpus->tasks.info[task], seed, number);
    for (int k = 0; k < moves; k++) deliver(env, &c, corpus, &rng);
    env->turns_max = cfg->env.turns_max ? cfg->env.turns_max : 2 * corpus->tasks.info[task].pieces;
    env->changed = (1u << env->agents) - 1;
}
