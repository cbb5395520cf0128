/* Episodes for supervised phases and measurements: states of the environment with their labels. */
#ifndef SYN_TRAINER_EPISODES_H
#define SYN_TRAINER_EPISODES_H

#include "engine/observe.h"
#include "trainer/corpus.h"
#include "trainer/labels.h"

typedef struct syn_episode_config {
    syn_env_config env;
    float consensus_share; /* of episodes with goal consensus, else env.goal */
    float untitled_share;  /* of episodes on the task without titles */
    int deliveries_max;    /* random moves before the state is taken, 0..deliveries_max */
    float opening_share;   /* of states without any */
} syn_episode_config;

extern const syn_episode_config syn_episodes_training; /* what pre-training draws */
extern const syn_episode_config syn_episodes_opening;  /* the asker's opening state, titles kept */

/* Draws the state of episode `number` over the records listed (indices into the corpus), each as
 * likely as any other; every agent counts as changed. Pure function of (seed, number). */
void syn_episode_draw(syn_env *env, const syn_episode_config *cfg, const syn_corpus *corpus,
                      const int32_t *records, int64_t record_count, uint64_t seed, uint64_t number);

/* The same, with the records as likely as `draw` says, which is of that list. */
void syn_episode_draw_weighted(syn_env *env, const syn_episode_config *cfg,
                               const syn_corpus *corpus, const int32_t *records,
                               int64_t record_count, const syn_draw *draw, uint64_t seed,
                               uint64_t number);

#endif
