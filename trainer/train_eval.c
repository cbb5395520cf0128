#include <string.h>

#include "trainer/train_private.h"

/* Episodes [*first, *end) of a rank: those of its shards' parts. */
static void part_of(const syn_train_run *r, int64_t first_shard, int64_t shards, int64_t *first,
                    int64_t *end)
{
    const int64_t n = r->cfg->eval_episodes, S = r->ppo.cfg.shards;
    *first = n * first_shard / S;
    *end = n * (first_shard + shards) / S;
}

/* Everybody's episodes to rank 0, in order. A rank's part is sent with as many beyond it as make
 * all parts equally long. */
static syn_status bring_together(syn_train_run *r)
{
    const int64_t n = r->cfg->eval_episodes, ranks = syn_dist_size(r->cfg->dist);
    const int64_t slot = n / ranks + 1;
    const size_t each = sizeof *r->episodes;
    int64_t first, end;
    if (ranks == 1) return SYN_OK;
    syn_episode_result *all =
        syn_dist_rank(r->cfg->dist) ? NULL : r->episodes + n + slot; /* (ranks, slot) */
    part_of(r, r->ppo.local_first, r->ppo.local, &first, &end);
    SYN_RETURN_IF(syn_dist_gather(r->cfg->dist, r->episodes + first, slot * (int64_t)each, all));
    for (int64_t k = 0; all && k < ranks; k++) {
        part_of(r, k * r->ppo.local, r->ppo.local, &first, &end);
        memcpy(r->episodes + first, all + k * slot, each * (size_t)(end - first));
    }
    return SYN_OK;
}

syn_status syn_train_evaluate(syn_train_run *r, syn_policy_summary *held)
{
    syn_play play = {.ctx = r->ctx,
                     .corpus = r->corpus,
                     .env = r->cfg->env,
                     .record = r->record + r->held_first,
                     .records = r->held,
                     .draw = syn_corpus_draw(r->corpus, r->record + r->held_first, r->held),
                     .seed = r->cfg->ppo.seed + 1000003,
                     .central = r->model->central,
                     .perception = &r->model->perception,
                     .control = &r->model->control};
    for (int64_t s = r->ppo.local_first; s < r->ppo.local_first + r->ppo.local; s++) {
        int64_t end;
        part_of(r, s, 1, &play.first, &end);
        if (end == play.first) continue;
        SYN_RETURN_IF(syn_play_policy(&play, SYN_POLICY_LEARNED, end - play.first,
                                      r->episodes + play.first, NULL));
    }
    SYN_RETURN_IF(bring_together(r));
    *held = syn_policy_summarise(r->episodes, r->cfg->eval_episodes);
    if (syn_dist_size(r->cfg->dist) == 1) return SYN_OK;
    return syn_dist_broadcast(r->cfg->dist, held, (int64_t)sizeof *held);
}
