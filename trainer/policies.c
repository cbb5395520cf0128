#include "trainer/policies.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/sample.h"
#include "trainer/episodes.h"
#include "trainer/metrics.h"

enum { E_MAX = 128, N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX };
static const float PUSH_COSINE = 0.10f, PUSH_PROBABILITY = 0.5f;

const char *syn_policy_name(syn_policy_kind k)
{
    static const char *const name[] = {
#define SYN_POLICY_NAME(n, text) text,
        SYN_POLICY_MAP(SYN_POLICY_NAME)
#undef SYN_POLICY_NAME
    };
    return k < SYN_POLICY_COUNT ? name[k] : "unknown";
}

static bool learned(syn_policy_kind k)
{
    return k == SYN_POLICY_LEARNED || k == SYN_POLICY_LEARNED_NO_REQUEST;
}
static bool by_ranker(syn_policy_kind k)
{
    return learned(k) || (k >= SYN_POLICY_NEVER_RANKER && k <= SYN_POLICY_COSINE_PUSH_RANKER);
}

/* ---- Scripted policies: the flat action for one environment ---- */

enum { ANSWER_INDEX = A - 2, ABSTAIN_INDEX = A - 1 };

static int random_legal(const syn_env *e, syn_rng *rng)
{
    uint8_t mask[A];
    int legal = 0;
    syn_env_legal(e, mask);
    for (int a = 0; a < A; a++) legal += mask[a];
    int k = (int)syn_rng_below(rng, (uint32_t)legal);
    for (int a = 0; a < A; a++) {
        if (mask[a] && k-- == 0) return a;
    }
    return ANSWER_INDEX;
}

static int broadcast_all(const syn_env *e, const float *rank)
{
    for (int k = 0; k < e->agents; k++) {
        int i = (e->turn + k) % e->agents;
        uint32_t unheard = 0; /* own pieces that somebody lacks: passing on what came is no use */
        for (int j = 0; j < e->agents; j++) {
            if (j != i) unheard |= e->own[i] & syn_env_unsent(e, i, j);
        }
        if (unheard && syn_env_piece(e, SYN_BROADCAST, i, -1, rank) >= 0) {
            return syn_action_index(SYN_BROADCAST, i, 0);
        }
    }
    return ANSWER_INDEX;
}

/* The sender whose turn it is and who still has something of its own for somebody. */
static int round_robin(const syn_env *e)
{
    for (int k = 0; k < e->agents * e->agents; k++) {
        int i = (e->turn + k) % e->agents, j = 0;
        if (e->goal == SYN_GOAL_CONSENSUS)
            j = (e->turn / e->agents + k / e->agents + i + 1) % e->agents;
        if (i == j || !(syn_env_unsent(e, i, j) & e->own[i] & ~e->memory[j])) continue;
        return syn_action_index(SYN_SEND, i, j);
    }
    return ANSWER_INDEX;
}

static int push_best(const syn_env *e, const float *rank, float threshold)
{
    int best = -1, to = 0;
    float worth = threshold;
    for (int i = 0; i < e->agents; i++) {
        for (int j = 0; j < (e->goal == SYN_GOAL_CONSENSUS ? e->agents : 1); j++) {
            if (i == j) continue;
            int p = syn_env_piece(e, SYN_SEND, i, j, rank);
            if (p < 0 || e->memory[j] >> p & 1 || rank[i * R + p] < worth) continue;
            worth = rank[i * R + p];
            best = i;
            to = j;
        }
    }
    return best < 0 ? ANSWER_INDEX : syn_action_index(SYN_SEND, best, to);
}

/* Knows the gold pieces; its rank table is the gold mask. */
static int oracle(const syn_env *e)
{
    if (e->stratum == 2) return ABSTAIN_INDEX;
    if (syn_env_goal_reached(e)) return ANSWER_INDEX;
    for (int i = 0; i < e->agents; i++) {
        if (e->goal == SYN_GOAL_ASKER) {
            if (i && (syn_env_unsent(e, i, 0) & e->gold & ~e->memory[0]))
                return syn_action_index(SYN_SEND, i, 0);
            continue;
        }
        uint32_t lacked = 0;
        for (int j = 0; j < e->agents; j++) {
            if (j != i) lacked |= syn_env_unsent(e, i, j) & e->gold & ~e->memory[j];
        }
        if (lacked) return syn_action_index(SYN_BROADCAST, i, 0);
    }
    return ANSWER_INDEX;
}

/* Round robin and broadcast hand out what each agent was dealt: its own pieces go before those it
 * got. The oracle knows which gold somebody lacks. */
static bool raises(syn_policy_kind k)
{
    return k == SYN_POLICY_BROADCAST || k == SYN_POLICY_BROADCAST_RANKER ||
           k == SYN_POLICY_ROUND_ROBIN || k == SYN_POLICY_ROUND_ROBIN_RANKER ||
           k == SYN_POLICY_ROUND_ROBIN_AUTO_END || k == SYN_POLICY_ORACLE;
}

static void raise_rows(syn_policy_kind k, const syn_env *e, const float *rank, float *raised)
{
    uint32_t common = ~0u; /* what all know */
    for (int i = 0; i < e->agents; i++) common &= e->memory[i];
    memcpy(raised, rank, sizeof(float) * N * R);
    for (int i = 0; i < e->agents; i++) {
        uint32_t left = k == SYN_POLICY_ORACLE ? e->gold & ~common : e->own[i];
        for (; left; left &= left - 1) raised[i * R + syn_lowest(left)] += 1e4f;
    }
}

static int scripted(syn_policy_kind kind, const syn_env *e, const float *rank, syn_rng *rng)
{
    if (kind != SYN_POLICY_ORACLE && e->turn == e->turns_max - 1) return ANSWER_INDEX;
    switch (kind) {
    case SYN_POLICY_RANDOM:
    case SYN_POLICY_RANDOM_RANKER:
        return random_legal(e, rng);
    case SYN_POLICY_BROADCAST:
    case SYN_POLICY_BROADCAST_RANKER:
        return broadcast_all(e, rank);
    case SYN_POLICY_ROUND_ROBIN:
    case SYN_POLICY_ROUND_ROBIN_RANKER:
        return round_robin(e);
    case SYN_POLICY_ROUND_ROBIN_AUTO_END:
        return syn_env_goal_reached(e) ? ANSWER_INDEX : round_robin(e);
    case SYN_POLICY_COSINE_PUSH:
        return push_best(e, rank, 3 * PUSH_COSINE);
    case SYN_POLICY_COSINE_PUSH_RANKER:
        return push_best(e, rank, logf(PUSH_PROBABILITY / (1 - PUSH_PROBABILITY)));
    case SYN_POLICY_ORACLE:
        return oracle(e);
    default:
        return ANSWER_INDEX;
    }
}

/* ---- Lockstep play ---- */

typedef struct game {
    const syn_play *play;
    syn_policy_kind kind;
    int64_t E, next, count;
    syn_env *envs;
    int64_t *episode; /* (E): which one plays here, -1 when done */
    int16_t *requests, *moves;
    float *rank; /* (E, N, R) */
    syn_observer observer;
    syn_observation x;
    real *h, *c, *logit, *value, *logp;
    int32_t *action;
    uint64_t *counter;
    syn_episode_result *result;
    syn_play_trace *trace;
} game;

static void rank_fill(game *g, int64_t e)
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

static void game_start(game *g, int64_t e)
{
    const syn_play *play = g->play;
    g->episode[e] = g->next < g->count ? g->next++ : -1;
    const syn_env_source src = {play->corpus->tasks.info, play->record, play->records,
                                play->untitled_share, play->seed};
    syn_env_start(&g->envs[e], &play->env, &src, (uint64_t)(g->episode[e] < 0 ? 0 : g->episode[e]));
    g->requests[e] = g->moves[e] = 0;
    if (!by_ranker(g->kind)) rank_fill(g, e);
}

static void game_finish(game *g, int64_t e)
{
    const syn_env *env = &g->envs[e];
    g->result[g->episode[e]] =
        (syn_episode_result){env->task / 2,
                             env->episode_return,
                             (int16_t)env->messages,
                             (int16_t)env->deliveries,
                             (int16_t)env->turn,
                             (int16_t)env->agents,
                             g->requests[e],
                             g->moves[e],
                             (uint8_t)env->success,
                             env->stratum != 2,
                             env->last.kind == SYN_ABSTAIN,
                             env->last.kind == SYN_ABSTAIN || env->last.kind == SYN_ANSWER,
                             (uint8_t)env->stratum};
}

static void trace_gaps(game *g)
{
    for (int64_t e = 0; g->trace && e < g->E; e++) {
        if (g->episode[e] < 0 || g->trace->count >= g->trace->max) continue;
        const syn_env *env = &g->envs[e];
        g->trace->gap[g->trace->count++] =
            (syn_scored){(float)g->observer.gap_logit[e * N], syn_label_gap(env, 0), env->task / 2};
    }
}

static syn_status learned_actions(game *g)
{
    const syn_play *play = g->play;
    syn_ctx *ctx = play->ctx;
    trace_gaps(g);
    if (g->kind == SYN_POLICY_LEARNED_NO_REQUEST) {
        const int first = syn_action_index(SYN_REQUEST, 0, 1), pairs = N * (N - 1);
        for (int64_t e = 0; e < g->E; e++) memset(g->x.mask + e * A + first, 0, (size_t)pairs);
    }
    SYN_RETURN_IF(syn_control_forward(ctx, play->control, 1, g->E, &g->x, g->h, g->c, NULL,
                                      g->logit, g->value, g->h, g->c));
    for (int64_t e = 0; e < g->E; e++) {
        g->logit[e * A + ANSWER_INDEX] += (real)play->stop_bias;
        g->counter[e] = ((uint64_t)(g->episode[e] + 1) << 16) + (uint64_t)g->envs[e].turn;
    }
    return syn_policy_sample(ctx, g->E, A, g->logit, g->x.mask, !play->sample, play->seed,
                             g->counter, g->action, g->logp, NULL, NULL);
}

static syn_status game_turn(game *g)
{
    const syn_play *play = g->play;
    const float *rank = by_ranker(g->kind) ? g->observer.rank : g->rank;
    if (learned(g->kind)) {
        SYN_RETURN_IF(syn_observe_turn(play->ctx, &g->observer, play->perception,
                                       &play->corpus->tasks, g->envs, &g->x));
        SYN_RETURN_IF(learned_actions(g));
    } else if (by_ranker(g->kind)) {
        SYN_RETURN_IF(syn_observe_views(play->ctx, &g->observer, play->perception,
                                        &play->corpus->tasks, g->envs));
    }
    float raised[N * R];
    for (int64_t e = 0; e < g->E; e++) {
        const float *worth = rank + e * N * R;
        if (g->episode[e] < 0) {
            g->envs[e].changed = 0;
            continue;
        }
        syn_env *env = &g->envs[e];
        if (raises(g->kind)) {
            raise_rows(g->kind, env, worth, raised);
            worth = raised;
        }
        if (!learned(g->kind)) {
            syn_rng rng =
                syn_rng_make(play->seed, ((uint64_t)SYN_STREAM_EVAL << 40) +
                                             ((uint64_t)g->episode[e] << 8) + (uint64_t)env->turn);
            g->action[e] = scripted(g->kind, env, worth, &rng);
        }
        const syn_action a = syn_action_of(g->action[e]);
        g->moves[e] += a.kind <= SYN_BROADCAST;
        g->requests[e] += a.kind == SYN_REQUEST;
        (void)syn_env_step(env, &play->env, g->action[e], worth);
        if (!env->done) continue;
        game_finish(g, e);
        game_start(g, e);
    }
    return SYN_OK;
}

static syn_status game_alloc(game *g)
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
    if (!by_ranker(g->kind)) return SYN_OK;
    SYN_RETURN_IF(syn_observer_init(ctx, &g->observer, g->E, g->play->central));
    return learned(g->kind) ? syn_observation_alloc(ctx, &g->x, g->E) : SYN_OK;
}

static void game_free(game *g)
{
    void *all[] = {g->envs,    g->episode, g->requests, g->moves, g->rank,  g->action,
                   g->counter, g->h,       g->c,        g->logit, g->value, g->logp};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    syn_observer_free(g->play->ctx, &g->observer);
    syn_observation_free(g->play->ctx, &g->x);
}

syn_status syn_play_policy(const syn_play *play, syn_policy_kind kind, int64_t count,
                           syn_episode_result *result, syn_play_trace *trace)
{
    syn_status st;
    game g = {.play = play,
              .kind = kind,
              .E = count < E_MAX ? count : E_MAX,
              .count = count,
              .result = result,
              .trace = trace};
    SYN_REQUIRE(count > 0 && play->records > 0, "there is nothing to play");
    SYN_REQUIRE(!by_ranker(kind) || play->perception, "policy %s needs a trained ranker",
                syn_policy_name(kind));
    SYN_REQUIRE(!learned(kind) || play->control, "policy %s needs a trained policy",
                syn_policy_name(kind));
    SYN_TRY(game_alloc(&g));
    for (int64_t e = 0; e < g.E; e++) game_start(&g, e);
    for (bool playing = true; playing;) {
        SYN_TRY(game_turn(&g));
        playing = false;
        for (int64_t e = 0; e < g.E; e++) playing |= g.episode[e] >= 0;
    }
done:
    game_free(&g);
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
