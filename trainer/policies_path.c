#include "trainer/policies_path.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/policies_game.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX };

/* A slot's episode on its way: rows are kept here until it ends, so that each path's are together.
 */
typedef struct slot {
    syn_path_row *row; /* (turns_max) */
    int32_t rows, rows_max;
    uint32_t going; /* the rules that have not stopped, one bit each */
} slot;

typedef struct recorder {
    syn_game game;
    const syn_stop_bias *rules;
    int rule_count;
    slot *slots; /* (E) */
    syn_paths *out;
} recorder;

static syn_status slot_begin(recorder *r, int64_t e)
{
    const syn_env *env = &r->game.envs[e];
    slot *s = &r->slots[e];
    s->rows = 0;
    s->going = (uint32_t)((UINT64_C(1) << r->rule_count) - 1);
    if (r->game.episode[e] < 0) return SYN_OK;
    if (env->turns_max <= s->rows_max) return SYN_OK;
    syn_path_row *row = realloc(s->row, sizeof *row * (size_t)env->turns_max);
    if (!row) return syn_fail(SYN_ERR_MEMORY, "out of memory for paths");
    s->row = row;
    s->rows_max = env->turns_max;
    return SYN_OK;
}

/* Appends the slot's rows as the path of its episode. */
static syn_status slot_end(recorder *r, int64_t e)
{
    syn_paths *p = r->out;
    const syn_env *env = &r->game.envs[e];
    slot *s = &r->slots[e];
    if (p->rows + s->rows > p->rows_max) {
        const int64_t most = 2 * p->rows_max + s->rows + 1024;
        syn_path_row *row = realloc(p->row, sizeof *row * (size_t)most);
        if (!row) return syn_fail(SYN_ERR_MEMORY, "out of memory for paths");
        p->row = row;
        p->rows_max = most;
    }
    memcpy(p->row + p->rows, s->row, sizeof *s->row * (size_t)s->rows);
    p->path[r->game.episode[e]] = (syn_path){.first = p->rows,
                                             .rows = s->rows,
                                             .record = env->task / 2,
                                             .agents = (int16_t)env->agents,
                                             .stratum = (uint8_t)env->stratum};
    p->rows += s->rows;
    return SYN_OK;
}

/* The learned policy's best move, -1 when there is none; *worth: its logit. */
static int best_move(const syn_game *g, int64_t e, float *worth)
{
    const real *logit = g->logit + e * A;
    const uint8_t *mask = g->x.mask + e * A;
    int best = -1;
    for (int a = 0; a < SYN_ANSWER_INDEX; a++) {
        if (mask[a] && (best < 0 || logit[a] > logit[best])) best = a;
    }
    *worth = best < 0 ? -INFINITY : (float)logit[best];
    return best;
}

static syn_path_row row_of(const syn_game *g, int64_t e, float move)
{
    const syn_env *env = &g->envs[e];
    syn_path_row row = {.episode_return = env->episode_return,
                        .messages = (int16_t)env->messages,
                        .deliveries = (int16_t)env->deliveries,
                        .turn = (int16_t)env->turn,
                        .requests = g->requests[e],
                        .moves = g->moves[e],
                        .reached = syn_env_goal_reached(env)};
    if (!g->observed) return row;
    row.move = move;
    row.answer = (float)g->logit[e * A + SYN_ANSWER_INDEX];
    row.abstain = (float)g->logit[e * A + SYN_ABSTAIN_INDEX];
    row.gap = (float)g->observer.gap[e * N];
    return row;
}

static bool wants_to_stop(const syn_path_row *row, syn_stop_bias bias)
{
    return row->answer + bias.answer > row->move || row->abstain + bias.abstain > row->move;
}

/* One turn of slot e: keeps its state and makes the router's move, or ends the path. */
static syn_status record_turn(recorder *r, int64_t e)
{
    syn_game *g = &r->game;
    slot *s = &r->slots[e];
    const syn_env *env = &g->envs[e];
    const bool learned = syn_policy_is_learned(g->kind);
    float raised[N * R], worth = 0;
    const float *rank = syn_game_worth(g, e, raised);
    int move = g->observed ? best_move(g, e, &worth) : -1;
    syn_path_row *row = &s->row[s->rows++];
    *row = row_of(g, e, worth);
    if (learned) {
        for (int k = 0; k < r->rule_count; k++)
            if (wants_to_stop(row, r->rules[k])) s->going &= ~(1u << k);
        if (!s->going) move = -1;
    } else {
        syn_rng rng = syn_game_rng(g, e);
        const bool random = g->kind == SYN_POLICY_RANDOM || g->kind == SYN_POLICY_RANDOM_RANKER;
        move = random ? syn_scripted_random_move(env, &rng)
                      : syn_scripted_action(g->kind, env, rank, &rng);
    }
    if (move >= 0 && move < SYN_ANSWER_INDEX && env->turn < env->turns_max - 1) {
        syn_game_step(g, e, move, rank);
        return SYN_OK;
    }
    SYN_RETURN_IF(slot_end(r, e));
    syn_game_start(g, e);
    return slot_begin(r, e);
}

syn_status syn_play_paths(const syn_play *play, syn_policy_kind router, bool observed,
                          const syn_stop_bias *rules, int rule_count, int64_t count, syn_paths *out)
{
    syn_status st;
    recorder r = {.rules = rules, .rule_count = rule_count, .out = out};
    observed |= syn_policy_is_learned(router);
    *out = (syn_paths){.observed = observed, .count = count, .env = play->env};
    SYN_REQUIRE(rule_count <= SYN_PATH_RULES_MAX &&
                    (rule_count > 0) == syn_policy_is_learned(router),
                "%d rules of stopping for the paths of %s", rule_count, syn_policy_name(router));
    SYN_TRY(syn_game_init(&r.game, play, router, observed, count));
    out->path = calloc((size_t)count, sizeof *out->path);
    r.slots = calloc((size_t)r.game.E, sizeof *r.slots);
    if (!out->path || !r.slots) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for %lld paths", (long long)count);
        goto done;
    }
    for (int64_t e = 0; e < r.game.E; e++) SYN_TRY(slot_begin(&r, e));
    while (syn_game_playing(&r.game)) {
        SYN_TRY(syn_game_look(&r.game));
        for (int64_t e = 0; e < r.game.E; e++) {
            if (r.game.episode[e] >= 0) SYN_TRY(record_turn(&r, e));
        }
    }
done:
    for (int64_t e = 0; r.slots && e < r.game.E; e++) free(r.slots[e].row);
    free(r.slots);
    syn_game_free(&r.game);
    if (st != SYN_OK) syn_paths_free(out);
    return st;
}

void syn_paths_free(syn_paths *p)
{
    free(p->path);
    free(p->row);
    *p = (syn_paths){0};
}

/* ---- Rules of stopping ---- */

static const syn_path_row *rows_of(const syn_paths *p, int64_t episode, int32_t *last)
{
    *last = p->path[episode].rows - 1;
    return p->row + p->path[episode].first;
}

syn_path_stop syn_stop_biased(const syn_paths *p, int64_t episode, syn_stop_bias bias)
{
    int32_t last, k = 0;
    const syn_path_row *row = rows_of(p, episode, &last);
    while (k < last && !wants_to_stop(&row[k], bias)) k++;
    return (syn_path_stop){k, row[k].abstain + bias.abstain > row[k].answer + bias.answer};
}

syn_path_stop syn_stop_after(const syn_paths *p, int64_t episode, int messages)
{
    int32_t last, k = 0;
    const syn_path_row *row = rows_of(p, episode, &last);
    while (k < last && row[k + 1].messages <= messages) k++;
    return (syn_path_stop){k, false};
}

syn_path_stop syn_stop_reached(const syn_paths *p, int64_t episode)
{
    int32_t last, k = 0;
    const syn_path_row *row = rows_of(p, episode, &last);
    while (k < last && !row[k].reached) k++;
    return (syn_path_stop){k, false};
}

syn_path_stop syn_stop_gap(const syn_paths *p, int64_t episode, float answer, float abstain)
{
    int32_t last, k = 0;
    const syn_path_row *row = rows_of(p, episode, &last);
    while (k < last && row[k].gap >= answer) k++;
    return (syn_path_stop){k, row[k].gap >= answer && row[k].gap > abstain};
}

syn_episode_result syn_path_result(const syn_paths *p, int64_t episode, syn_path_stop stop)
{
    const syn_path *path = &p->path[episode];
    const syn_path_row *row = p->row + path->first + stop.row;
    const bool answerable = path->stratum != 2, right = stop.abstain ? !answerable : row->reached;
    const float reward = !right         ? p->env.reward_failure
                         : stop.abstain ? p->env.reward_abstain
                                        : p->env.reward_success;
    return (syn_episode_result){.record = path->record,
                                .episode_return =
                                    row->episode_return + (-p->env.turn_cost + reward),
                                .messages = row->messages,
                                .deliveries = row->deliveries,
                                .turns = (int16_t)(row->turn + 1),
                                .agents = path->agents,
                                .requests = row->requests,
                                .moves = row->moves,
                                .success = right && !stop.abstain,
                                .answerable = answerable,
                                .abstained = stop.abstain,
                                .ended = 1,
                                .stratum = path->stratum};
}
