/* The observation of one turn: message vector, features of the possible moves, summary, legal mask.
 */
#include <string.h>

#include "engine/observe_core.h"

enum { R = SYN_ROWS_MAX, N = SYN_AGENTS_MAX };

static void team_make(syn_team *t, const syn_observer *o, const syn_env *env, int64_t e)
{
    syn_team_place(t, o, env, e);
    for (int p = 0; p < R; p++) syn_team_relevance(t, p);
    for (int i = 0; i <= N; i++) syn_team_held(t, i);
    syn_team_gaps(t);
}

static void message_vector(const syn_team *t, const real *quest, real *x)
{
    int reader;
    const int p = syn_message_head(t, x, &reader);
    if (p < 0) return;
    memcpy(x, quest + p * SYN_DQ, sizeof(real) * SYN_DQ);
    memcpy(x + SYN_DQ, t->own + (reader * R + p) * SYN_DV, sizeof(real) * SYN_DV);
    if (t->central) memcpy(x + SYN_DQ + SYN_DV, t->all + p * SYN_DV, sizeof(real) * SYN_DV);
}

/* The move `kind` by i towards j. */
static void pair_vector(const syn_team *t, const real *quest, int kind, int i, int j, real *x)
{
    const int p = syn_pair_head(t, kind, i, j, x);
    x += SYN_PAIR_HEAD;
    if (p < 0) {
        memset(x, 0, sizeof(real) * (SYN_DQ + SYN_DV));
        return;
    }
    memcpy(x, quest + p * SYN_DQ, sizeof(real) * SYN_DQ);
    memcpy(x + SYN_DQ, t->own + (i * R + p) * SYN_DV, sizeof(real) * SYN_DV);
}

/* What an ablation takes away from the observation of environment e. */
static void go_without(uint32_t without, const syn_observation *out, int64_t e, int agents)
{
    syn_without_apply(without, SYN_INPUT_MESSAGE, 1, out->message + e * SYN_DM);
    syn_without_apply(without, SYN_INPUT_SUMMARY, 1, out->summary + e * SYN_SUMMARY);
    syn_without_apply(without, SYN_INPUT_AGENT, agents, out->agent_x + e * N * SYN_AGENT_X);
    for (int64_t k = 0; k < 2 * N; k++) { /* rows of pairs that are not there stay as they are */
        real *x = out->pair_x + (e * 2 * N + k) * N * SYN_PAIR_X;
        const int64_t i = k % N;
        if (i >= agents) continue;
        syn_without_apply(without, SYN_INPUT_PAIR, i, x);
        syn_without_apply(without, SYN_INPUT_PAIR, agents - 1 - i, x + (i + 1) * SYN_PAIR_X);
    }
    /* An empty message after a fresh start, every turn: the state is a constant. */
    if (without & SYN_WITHOUT_STATE) out->reset[e] = 1;
}

syn_status syn_observe_turn_cpu(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                                const syn_tasks *tasks, const syn_env *envs,
                                const syn_observation *out)
{
    SYN_RETURN_IF(syn_observe_views(ctx, o, p, tasks, envs));
    SYN_RETURN_IF(syn_observe_team(ctx, o, p, envs, tasks));
#pragma omp parallel for schedule(static) num_threads(ctx->threads)
    for (int64_t e = 0; e < o->envs; e++) {
        const syn_env *env = &envs[e];
        const real *quest = tasks->quest + (int64_t)env->task * SYN_TASK_QUEST;
        syn_team t;
        team_make(&t, o, env, e);
        message_vector(&t, quest, out->message + e * SYN_DM);
        syn_summary_vector(&t, out->summary + e * SYN_SUMMARY);
        uint8_t *mask = out->mask + e * SYN_ACTIONS_MAX;
        syn_env_legal(env, mask);
        for (int a = 0; out->allow && a < SYN_ACTIONS_MAX; a++)
            mask[a] &= out->allow[e * out->allow_stride + a];
        out->count[e] = env->agents;
        out->reset[e] = env->turn == 0;
        memcpy(out->ckm + e * N * SYN_CKM, o->ckm + e * N * SYN_CKM, sizeof(real) * N * SYN_CKM);
        for (int i = 0; i < env->agents; i++) {
            syn_agent_vector(&t, i, out->agent_x + (e * N + i) * SYN_AGENT_X);
            for (int j = 0; j < env->agents; j++) {
                if (i == j) continue;
                real *x = out->pair_x + ((e * 2 * N + i) * N + j) * SYN_PAIR_X;
                pair_vector(&t, quest, SYN_SEND, i, j, x);
                pair_vector(&t, quest, SYN_REQUEST, i, j, x + (int64_t)N * N * SYN_PAIR_X);
            }
        }
        if (p->without) go_without(p->without, out, e, env->agents);
    }
    return SYN_OK;
}

syn_status syn_observe_turn(syn_ctx *ctx, syn_observer *o, const syn_perception *p,
                            const syn_tasks *tasks, const syn_env *envs, const syn_observation *out)
{
    return SYN_DISPATCH(ctx, syn_observe_turn, o, p, tasks, envs, out);
}
