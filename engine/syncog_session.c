/* Sessions of the public API: looking at a team, scoring it, deciding. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/syncog_private.h"
#include "kernels/sample.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX, A = SYN_ACTIONS_MAX };

syn_status syn_session_create(syn_engine *engine, const char *question, const syn_document *pieces,
                              int count, syn_session **out)
{
    syn_status st;
    SYN_REQUIRE(out, "syn_session_create: out is NULL");
    *out = NULL;
    SYN_REQUIRE(engine, "syn_session_create: the engine is NULL");
    syn_session *s = calloc(1, sizeof *s);
    if (!s) return syn_fail(SYN_ERR_MEMORY, "out of memory for a session");
    s->engine = engine;
    s->decided = -1;
    engine->users++;
    SYN_TRY(syn_question_read(question, &s->question, &s->question_count));
    SYN_TRY(syn_tasks_alloc(&engine->ctx, &s->tasks, 1));
    SYN_TRY(syn_observer_init(&engine->ctx, &s->observer, 1, engine->model.central));
    SYN_TRY(syn_observation_alloc(&engine->ctx, &s->x, 1));
    SYN_TRY(syn_pieces_read(s, pieces, count));
    s->number = engine->sessions++;
    *out = s;
    return SYN_OK;
done:
    syn_session_free(s);
    return st;
}

void syn_session_free(syn_session *s)
{
    if (!s) return;
    syn_ctx *ctx = &s->engine->ctx;
    syn_observation_free(ctx, &s->x);
    syn_observer_free(ctx, &s->observer);
    syn_tasks_free(ctx, &s->tasks);
    free(s->question);
    syn_engine_close(s->engine);
    free(s);
}

syn_status syn_session_pieces(syn_session *s, const syn_document *pieces, int count)
{
    SYN_REQUIRE(s, "syn_session_pieces: the session is NULL");
    return syn_pieces_read(s, pieces, count);
}

/* ---- Looking ---- */

syn_status syn_session_look(syn_session *s, const syn_env *team)
{
    syn_engine *g = s->engine;
    SYN_RETURN_IF(syn_team_check(team, s->rows));
    syn_flush_denormals();
    syn_env now = *team;
    now.task = 0;
    /* What moved last may be a claim that is no longer there. */
    if (now.last.piece >= 0 && !(now.present >> now.last.piece & 1)) now.last.piece = -1;
    now.changed = s->known ? syn_team_changed(&s->seen, &now) : (1u << now.agents) - 1;
    s->known = false; /* the observer is in between when the next line fails */
    SYN_RETURN_IF(
        syn_observe_turn(&g->ctx, &s->observer, &g->model.perception, &s->tasks, &now, &s->x));
    s->seen = now;
    s->known = true;
    return SYN_OK;
}

syn_status syn_session_observe(syn_session *s, const syn_env *team, float *gaps, float *sufficiency)
{
    SYN_REQUIRE(s, "syn_session_observe: the session is NULL");
    SYN_RETURN_IF(syn_session_look(s, team));
    const int n = team->agents;
    for (int i = 0; gaps && i < n; i++) {
        for (int j = 0; j < n; j++) {
            gaps[i * n + j] = (float)(i == j ? s->observer.gap[i] : s->observer.link[i * N + j]);
        }
    }
    if (sufficiency) *sufficiency = (float)syn_team_sufficiency(team, s->observer.gap);
    return SYN_OK;
}

syn_status syn_session_ckm(syn_session *s, const syn_env *team, float *ckm)
{
    _Static_assert((int)SYN_CKM_WIDTH == (int)SYN_CKM, "the public width is the network's");
    SYN_REQUIRE(s && ckm, "syn_session_ckm: session or ckm is NULL");
    SYN_RETURN_IF(syn_session_look(s, team));
    for (int k = 0; k < team->agents * SYN_CKM; k++) ckm[k] = (float)s->observer.ckm[k];
    return SYN_OK;
}

syn_status syn_session_relevance(syn_session *s, const syn_env *team, float *relevance)
{
    SYN_REQUIRE(s && relevance, "syn_session_relevance: session or relevance is NULL");
    SYN_RETURN_IF(syn_session_look(s, team));
    for (int i = 0; i < team->agents; i++) {
        for (int r = 0; r < s->rows; r++) {
            const bool present = team->present >> r & 1;
            relevance[i * s->rows + r] =
                present ? (float)syn_sigmoid((real)s->observer.rank[i * R + r]) : 0;
        }
    }
    return SYN_OK;
}

/* ---- Deciding ---- */

/* One step of the memory, from before this turn's step if there has been one. */
static syn_status step(syn_session *s, const syn_env *team)
{
    syn_engine *g = s->engine;
    const bool again = s->decided == team->turn;
    const syn_memory *from = again ? &s->before : &s->after;
    syn_memory next;
    SYN_RETURN_IF(syn_control_forward(&g->ctx, &g->model.control, 1, 1, &s->x, from->h, from->c,
                                      NULL, s->logit, NULL, next.h, next.c));
    if (!again) s->before = s->after;
    s->after = next;
    s->decided = team->turn;
    return SYN_OK;
}

static syn_status choose(syn_session *s, const uint8_t *mask, bool greedy, int32_t *action)
{
    syn_engine *g = s->engine;
    uint8_t allowed[A];
    real logp;
    const uint64_t counter = s->number << 32 | (s->draws & UINT32_MAX);
    for (int a = 0; a < A; a++) allowed[a] = s->x.mask[a] && (!mask || mask[a]);
    SYN_RETURN_IF(syn_policy_sample(&g->ctx, 1, A, s->logit, allowed, greedy, g->seed, &counter,
                                    action, &logp, NULL, s->probability));
    s->draws += !greedy;
    if (*action >= 0 && !isfinite((double)logp)) {
        return syn_fail(SYN_ERR_NUMERIC, "the policy's probabilities are not finite");
    }
    return SYN_OK;
}

syn_status syn_session_decide(syn_session *s, const syn_env *team, const uint8_t *mask, bool greedy,
                              syn_action *out, float *probability, float *all)
{
    int32_t action;
    SYN_REQUIRE(s && out, "syn_session_decide: session or out is NULL");
    if (!s->engine->model.has_policy) {
        return syn_fail(SYN_ERR_UNSUPPORTED, "this model has not been trained to decide, it can "
                                             "only observe: train it with 'syncog train'");
    }
    SYN_RETURN_IF(syn_session_look(s, team));
    SYN_RETURN_IF(step(s, team));
    SYN_RETURN_IF(choose(s, mask, greedy, &action));
    *out = syn_action_of(action);
    if (out->kind <= SYN_ALONE) {
        out->piece = (int8_t)syn_env_piece(team, out->kind, out->from, out->to, s->observer.rank);
    }
    if (probability) *probability = action < 0 ? 1 : (float)s->probability[action];
    for (int a = 0; all && a < A; a++) all[a] = (float)s->probability[a];
    return SYN_OK;
}
