/* Batched environment: reset, step with reset in place, and tallies of finished episodes.
 *
 * An environment's episodes are numbered: episode k of environment e of a batch of E is first + e +
 * k * E, and everything about it follows from (seed, number). So a roll-out needs no host, and any
 * split of the batch over threads, devices or ranks gives the same episodes. */
#ifndef SYN_KERNELS_ENV_H
#define SYN_KERNELS_ENV_H

#include "kernels/base/ctx.h"
#include "kernels/draw.h"
#include "kernels/env_core.h"

/* Where episodes come from; the arrays are device memory. Task 2r is record r with titles, 2r + 1
 * without. */
typedef struct syn_env_source {
    const syn_task_info *info;
    const int32_t *record; /* (records): the records to draw from */
    int64_t records;
    float untitled_share;
    uint64_t seed;
    syn_draw draw; /* over `record`; all zero: evenly */
} syn_env_source;

/* Sums over the finished episodes of one environment. */
typedef struct syn_env_tally {
    int32_t episodes, success, answerable, abstained, abstained_right, unanswerable, ended;
    int32_t messages, deliveries, turns;
    float episode_return;
} syn_env_tally;

/* Adds the episode that e has just ended. */
SYN_HD void syn_env_tally_add(syn_env_tally *t, const syn_env *e)
{
    const bool abstained = e->last.kind == SYN_ABSTAIN, unanswerable = e->stratum == 2;
    t->episodes++;
    t->success += e->success;
    t->answerable += !unanswerable;
    t->unanswerable += unanswerable;
    t->abstained += abstained;
    t->abstained_right += abstained && unanswerable;
    t->ended += abstained || e->last.kind == SYN_ANSWER;
    t->messages += e->messages;
    t->deliveries += e->deliveries;
    t->turns += e->turn;
    t->episode_return += e->episode_return;
}

SYN_HD void syn_env_start(syn_env *e, const syn_env_config *cfg, const syn_env_source *src,
                          uint64_t episode)
{
    syn_philox x = syn_rng_block(src->seed, (uint64_t)SYN_STREAM_EPISODE << 40, episode);
    int64_t first, records = syn_draw_block(&src->draw, src->records, x.x[2], &first);
    int32_t record = src->record[first + (int64_t)(((uint64_t)x.x[0] * (uint64_t)records) >> 32)];
    int32_t task = 2 * record + (syn_rng_unit(x.x[1]) < src->untitled_share);
    syn_env_reset(e, cfg, task, &src->info[task], src->seed, episode);
}

#ifdef __cplusplus
extern "C" {
#endif

/* This and what follows: all arrays are on the context's device, cfg and src themselves are host
 * memory. Asynchronous on ctx->stream on CUDA, without scratch. The same bits for any number of
 * threads and on the CPU and on CUDA. Errors of all: SYN_ERR_DEVICE.
 *
 * Starts episode first + e in every environment; envs (E) is overwritten. Errors: SYN_ERR_INVALID
 * (no records, or team sizes outside of 2..SYN_AGENTS_MAX). */
SYN_WARN_UNUSED syn_status syn_env_reset_batch(syn_ctx *ctx, int64_t E, syn_env *envs,
                                               const syn_env_config *cfg, const syn_env_source *src,
                                               uint64_t first);

/* One turn of every environment. action (E): flat indexes; rank (E, SYN_AGENTS_MAX, SYN_ROWS_MAX);
 * reward, done (E): overwritten; tally (E): added to; next (E): the number of the episode that
 * follows the present one, advanced by `stride` where an episode ends and the next begins in place.
 */
SYN_WARN_UNUSED syn_status syn_env_step_batch(syn_ctx *ctx, int64_t E, syn_env *envs,
                                              const syn_env_config *cfg, const syn_env_source *src,
                                              const int32_t *action, const float *rank,
                                              real *reward, uint8_t *done, syn_env_tally *tally,
                                              uint64_t *next, uint64_t stride);

/* Legal masks, (E, SYN_ACTIONS_MAX), overwritten. */
SYN_WARN_UNUSED syn_status syn_env_mask_batch(syn_ctx *ctx, int64_t E, const syn_env *envs,
                                              uint8_t *mask);

/* The two sides of each op. Not for other callers. */
__typeof__(syn_env_reset_batch) syn_env_reset_batch_cpu, syn_env_reset_batch_cuda;
__typeof__(syn_env_step_batch) syn_env_step_batch_cpu, syn_env_step_batch_cuda;
__typeof__(syn_env_mask_batch) syn_env_mask_batch_cpu, syn_env_mask_batch_cuda;

#ifdef __cplusplus
}
#endif

#endif
