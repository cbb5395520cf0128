/* Routing and stopping told apart: the routing of one policy, the stopping of another. */
#include <math.h>
#include <stdlib.h>

#include "benchmarks/eval_parts.h"

/* ---- Rules that follow the learned policy's number of messages ---- */

typedef struct counted {
    const syn_episode_result *like; /* as many messages as in these episodes */
    double mean;                    /* or, when NULL, as many on average in every episode */
    uint64_t seed;
} counted;

/* A mean of 1.3 messages is one in seven of ten episodes and two in the others. */
static syn_path_stop rule_counted(const syn_paths *p, int64_t episode, const void *how)
{
    const counted *c = how;
    if (c->like) return syn_stop_after(p, episode, c->like[episode].messages);
    const syn_philox x = syn_rng_block(c->seed, SYN_STREAM_EVAL, (uint64_t)episode);
    return syn_stop_after(p, episode, (int)floor(c->mean + (double)syn_rng_unit(x.x[0])));
}

static syn_path_stop rule_reached(const syn_paths *p, int64_t episode, const void *how)
{
    (void)how;
    return syn_stop_reached(p, episode);
}

/* The learned policy's curve: what it reaches without a message, and every bias of the grid. */
static syn_status learned_curve(syn_evaluation *ev, syn_eval_row *row)
{
    syn_episode_result *result = malloc(sizeof *result * (size_t)ev->learned.count);
    if (!result) return syn_fail(SYN_ERR_MEMORY, "out of memory for the evaluation");
    row->point[row->points++] = ev->report->row[SYN_POLICY_NEVER].point[0];
    for (int k = 0; k < SYN_SWEEP_POINTS; k++) {
        syn_eval_stop(&ev->learned, syn_rule_biased, &syn_sweep_grid[k], result);
        const syn_policy_summary s = syn_policy_summarise(result, ev->learned.count);
        row->point[row->points++] = (syn_trade){s.messages, s.success_answerable};
    }
    free(result);
    return SYN_OK;
}

syn_status syn_eval_mixed(syn_evaluation *ev)
{
    const syn_play play = syn_eval_play(ev, &ev->side);
    const int64_t n = ev->cfg->episodes;
    const int learned = syn_eval_row_of(ev, syn_policy_name(SYN_POLICY_LEARNED));
    syn_paths random = {0};
    syn_status st;
    SYN_TRY(syn_play_paths(&play, SYN_POLICY_LEARNED, true, syn_sweep_grid, SYN_SWEEP_POINTS, n,
                           &ev->learned));
    SYN_TRY(syn_play_paths(&play, SYN_POLICY_RANDOM, false, NULL, 0, n, &random));
    SYN_TRY(learned_curve(ev, &ev->report->row[learned]));
    const counted same = {.like = ev->result[learned]},
                  mean = {.mean = ev->report->row[learned].all.messages, .seed = ev->cfg->seed};
    SYN_TRY(syn_eval_add_stopped(ev, "learned_fixed_stop", &ev->learned, rule_counted, &mean));
    SYN_TRY(syn_eval_add_stopped(ev, "learned_auto_end", &ev->learned, rule_reached, NULL));
    SYN_TRY(syn_eval_add_stopped(ev, "round_robin_learned_stop", &ev->round_robin, syn_rule_biased,
                                 &ev->cfg->bias));
    SYN_TRY(syn_eval_add_stopped(ev, "round_robin_learned_count", &ev->round_robin, rule_counted,
                                 &same));
    SYN_TRY(syn_eval_add_stopped(ev, "random_learned_count", &random, rule_counted, &same));
done:
    syn_paths_free(&random);
    return st;
}
