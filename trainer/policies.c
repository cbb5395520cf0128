#include "trainer/policies.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/sample.h"
#include "trainer/episodes.h"
#include "trainer/metrics.h"
#include "trainer/policies_game.h"

enum { E_MAX = 128, N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX };

const char *syn_policy_name(syn_policy_kind k)
{
    static const char *const name[] = {
#define SYN_POLICY_NAME(n, text) text,
        SYN_POLICY_MAP(SYN_POLICY_NAME)
#undef SYN_POLICY_NAME
    };
    return k < SYN_POLICY_COUNT ? name[k] : "unknown";
}

/* ---- Lockstep play ---- */

static void rank_fill(syn_game *g, int64_t e)
{
    const syn_env *env = &g->envs[e];
    const real *quest = g->play->corpus->tasks.quest + (int64_t)env->task * SYN_TASK_QUEST;
    float *rank = g->rank + e * N * R;
    for (int p = 0; p < R; p++) {
        float worth = g->kind == SYN_POLICY_ORACLE ? (float)(env->gold >> p & 1)
                                                   : (float)quest[p * SYN_DQ + SYN_Q_COSINE];
        for (int i = 0; i < N; i++) rank[i * R + p] = worth;
    }
}

void syn_game_start(syn_game *g, int64_t e)
{
    const syn_play *play = g->play;
    g->episode[e] = g->next < g->count ? g->next++ : -1;
    if (g->episode[e] < 0) {
        g->envs[e].changed = 0; /* nothing is looked at again */
        return;
    }
    const syn_env_source src = {play->corpus->tasks.info, play->record, play->records,
                                play->untitled_share,     play->seed,   play->draw};
    syn_env_start(&g->envs[e], &play->env, &src, (uint64_t)(play->first + g->episode[e]));
    g->requests[e] = g->moves[e] = 0;
    if (!syn_policy_by_ranker(g->kind)) rank_fill(g, e);
}

bool syn_game_playing(const syn_game *g)
{
    for (int64_t e = 0; e < g->E; e++) {
        if (g->episode[e] >= 0) return true;
    }
    return false;
}

static void trace_gaps(syn_game *g)
{
    for (int64_t e = 0; g->trace && e < g->E; e++) {
        if (g->episode[e] < 0 || g->trace->count >= g->trace->max) continue;
        const syn_env *env = &g->envs[e];
        g->trace->gap[g->trace->count++] =
            (syn_scored){(float)g->observer.gap_logit[e * N], syn_label_gap(env, 0), env->task / 2};
    }
}

syn_status syn_game_look(syn_game *g)
{
    const syn_play *play = g->play;
    syn_ctx *ctx = play->ctx;
    const syn_tasks *tasks = &play->corpus->tasks;
    if (!g->observed) { /* who never speaks has no use for ranks */
        return syn_policy_by_ranker(g->kind) && g->kind != SYN_POLICY_NEVER_RANKER
                   ? syn_observe_views(ctx, &g->observer, play->perception, tasks, g->envs)
                   : SYN_OK;
    }
    SYN_RETURN_IF(syn_observe_turn(ctx, &g->observer, play->perception, tasks, g->envs, &g->x));
    trace_gaps(g);
    if (g->kind == SYN_POLICY_LEARNED_NO_REQUEST) {
        const int first = syn_action_index(SYN_REQUEST, 0, 1), pairs = N * (N - 1);
        for (int64_t e = 0; e < g->E; e++) memset(g->x.mask + e * A + first, 0, (size_t)pairs);
    }
    return syn_control_forward(ctx, play->control, 1, g->E, &g->x, g->h, g->c, NULL, g->logit,
                               g->value, g->h, g->c);
}

const float *syn_game_worth(const syn_game *g, int64_t e, float *raised)
{
    const float *rank = (syn_policy_by_ranker(g->kind) ? g->observer.rank : g->rank) + e * N * R;
    if (!syn_scripted_raises(g->kind)) return rank;
    syn_scripted_raise(g->kind, &g->envs[e], rank, raised);
    return raised;
}

void syn_game_step(syn_game *g, int64_t e, int action, const float *worth)
{
    const syn_action a = syn_action_of(action);
    g->moves[e] += a.kind <= SYN_BROADCAST;
    g->requests[e] += a.kind == SYN_REQUEST;
    (void)syn_env_step(&g->envs[e], &g->play->env, action, worth);
}

syn_rng syn_game_rng(const syn_game *g, int64_t e)
{
    return syn_rng_make(g->play->seed, ((uint64_t)SYN_STREAM_EVAL << 40) +
                                           ((uint64_t)(g->play->first + g->episode[e]) << 8) +
                                           (uint64_t)g->envs[e].turn);
}

static syn_status game_alloc(syn_game *g)
{
    syn_ctx *ctx = g->play->ctx;
    const size_t E = (size_t)g->E;
    g->envs = calloc(E, sizeof *g->envs);
    g->episode = calloc(E, sizeof *g->episode);
    g->requests = calloc(E, sizeof *g->requests);
    g->moves = calloc(E, sizeof *g->moves);
    g->rank = calloc(E * N * R, sizeof *g->rank);
    g->action = calloc(E, sizeof *g->action);
    g->counter = calloc(E, sizeof *g->counter);
    g->h = calloc(E * SYN_STATE, sizeof(real));
    g->c = calloc(E * SYN_STATE, sizeof(real));
    g->logit = calloc(E * A, sizeof(real));
    g->value = calloc(E, sizeof(real));
    g->logp = calloc(E, sizeof(real));
    if (!g->envs || !g->episode || !g->requests || !g->moves || !g->rank || !g->action ||
        !g->counter || !g->h || !g->c || !g->logit || !g->value || !g->logp) {
        return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld environments", (long long)g->E);
    }
    if (!g->observed && !syn_policy_by_ranker(g->kind)) return SYN_OK;
    SYN_RETURN_IF(syn_observer_init(ctx, &g->observer, g->E, g->play->central));
    return g->observed ? syn_observation_alloc(ctx, &g->x, g->E) : SYN_OK;
}

syn_status syn_game_init(syn_game *g, const syn_play *play, syn_policy_kind kind, bool observed,
                         int64_t count)
{
    *g = (syn_game){.play = play,
                    .kind = kind,
                    .observed = observed,
                    .E = count < E_MAX ? count : E_MAX,
                    .count = count};
    SYN_REQUIRE(count > 0 && play->records > 0, "there is nothing to play");
    SYN_REQUIRE(play->perception || !(observed || syn_policy_by_ranker(kind)),
                "policy %s needs a trained ranker", syn_policy_name(kind));
    SYN_REQUIRE(!observed || play->control, "policy %s needs a trained policy",
                syn_policy_name(kind));
    SYN_RETURN_IF(game_alloc(g));
    for (int64_t e = 0; e < g->E; e++) syn_game_start(g, e);
    return SYN_OK;
}

void syn_game_free(syn_game *g)
{
    void *all[] = {g->envs,    g->episode, g->requests, g->moves, g->rank,  g->action,
                   g->counter, g->h,       g->c,        g->logit, g->value, g->logp};
    if (!g->play) return;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    syn_observer_free(g->play->ctx, &g->observer);
    syn_observation_free(g->play->ctx, &g->x);
    *g = (syn_game){0};
}

/* ---- One policy's episodes ---- */

/* The learned policy's choice in every slot, into g->action. */
static syn_status choose(syn_game *g)
{
    const syn_play *play = g->play;
    for (int64_t e = 0; e < g->E; e++) {
        const syn_env *env = &g->envs[e];
        g->logit[e * A + SYN_ANSWER_INDEX] += (real)play->stop_bias;
        g->logit[e * A + SYN_ABSTAIN_INDEX] += (real)play->abstain_bias;
        if (play->stop_in_time && env->turn == env->turns_max - 1)
            memset(g->x.mask + e * A, 0, SYN_ANSWER_INDEX);
        g->counter[e] = ((uint64_t)(play->first + g->episode[e] + 1) << 16) + (uint64_t)env->turn;
    }
    return syn_policy_sample(play->ctx, g->E, A, g->logit, g->x.mask, !play->sample, play->seed,
                             g->counter, g->action, g->logp, NULL, NULL);
}

static syn_episode_result result_of(const syn_game *g, int64_t e)
{
    const syn_env *env = &g->envs[e];
    return (syn_episode_result){.record = env->task / 2,
                                .episode_return = env->episode_return,
                                .messages = (int16_t)env->messages,
                                .deliveries = (int16_t)env->deliveries,
                                .turns = (int16_t)env->turn,
                                .agents = (int16_t)env->agents,
                                .requests = g->requests[e],
                                .moves = g->moves[e],
                                .success = (uint8_t)env->success,
                                .answerable = env->stratum != 2,
                                .abstained = env->last.kind == SYN_ABSTAIN,
                                .ended =
                                    env->last.kind == SYN_ABSTAIN || env->last.kind == SYN_ANSWER,
                                .stratum = (uint8_t)env->stratum};
}

syn_status syn_play_policy(const syn_play *play, syn_policy_kind kind, int64_t count,
                           syn_episode_result *result, syn_play_trace *trace)
{
    syn_status st;
    syn_game g;
    float raised[N * R];
    const bool learned = syn_policy_is_learned(kind);
    SYN_TRY(syn_game_init(&g, play, kind, learned, count));
    g.trace = trace;
    while (syn_game_playing(&g)) {
        SYN_TRY(syn_game_look(&g));
        if (learned) SYN_TRY(choose(&g));
        for (int64_t e = 0; e < g.E; e++) {
            if (g.episode[e] < 0) continue;
            const float *worth = syn_game_worth(&g, e, raised);
            syn_rng rng = syn_game_rng(&g, e);
            if (!learned) g.action[e] = syn_scripted_action(kind, &g.envs[e], worth, &rng);
            syn_game_step(&g, e, g.action[e], worth);
            if (!g.envs[e].done) continue;
            result[g.episode[e]] = result_of(&g, e);
            syn_game_start(&g, e);
        }
    }
done:
    syn_game_free(&g);
    return st;
}

syn_policy_summary syn_policy_summarise(const syn_episode_result *r, int64_t count)
{
    syn_policy_summary s = {0};
    double answerable = 0, success_answerable = 0, abstained = 0, right = 0, unanswerable = 0,
           requests = 0, moves = 0;
    for (int64_t i = 0; i < count; i++) {
        s.episode_return += r[i].episode_return;
        s.success += r[i].success || (r[i].abstained && !r[i].answerable);
        s.messages += r[i].messages;
        s.deliveries += r[i].deliveries;
        s.ended += r[i].ended;
        s.turns += r[i].turns;
        answerable += r[i].answerable;
        unanswerable += !r[i].answerable;
        success_answerable += r[i].success;
        abstained += r[i].abstained;
        right += r[i].abstained && !r[i].answerable;
        requests += r[i].requests;
        moves += r[i].moves;
    }
    const double n = count ? (double)count : 1;
    s.episode_return /= n;
    s.success /= n;
    s.messages /= n;
    s.deliveries /= n;
    s.ended /= n;
    s.turns /= n;
    s.success_answerable = answerable > 0 ? success_answerable / answerable : 0;
    s.abstain_precision = abstained > 0 ? right / abstained : 0;
    s.abstain_recall = unanswerable > 0 ? right / unanswerable : 0;
    s.request_share = moves > 0 ? requests / moves : 0;
    s.episodes = count;
    return s;
}
