#include "engine/syncog.h"

#include <stdlib.h>
#include <string.h>

#include "engine/syncog_private.h"

enum { N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX };

const char *syn_version(void)
{
    return SYN_VERSION;
}

/* ---- Engine ---- */

syn_status syn_engine_create(const syn_engine_config *given, syn_engine **out)
{
    syn_engine_config config = SYN_ENGINE_CONFIG_DEFAULT;
    *out = NULL;
    if (given) {
        SYN_REQUIRE(given->size == sizeof config,
                    "syn_engine_config.size is %zu, this version's is %zu", given->size,
                    sizeof config);
        config = *given;
    }
    const char *device = config.device ? config.device : "auto";
    if (strcmp(device, "cuda") == 0) {
        return syn_fail(SYN_ERR_UNSUPPORTED, "an engine scores teams on the CPU: ask for device "
                                             "\"cpu\" or \"auto\"");
    }
    SYN_REQUIRE(strcmp(device, "cpu") == 0 || strcmp(device, "auto") == 0,
                "device is \"%s\", allowed are \"auto\", \"cpu\", \"cuda\"", device);
    syn_engine *g = calloc(1, sizeof *g);
    if (!g) return syn_fail(SYN_ERR_MEMORY, "out of memory for an engine");
    syn_status st = syn_ctx_init(&g->ctx, SYN_DEVICE_CPU, config.threads ? config.threads : 1);
    if (st != SYN_OK) {
        free(g);
        return st;
    }
    g->seed = config.seed;
    g->users = 1;
    *out = g;
    return SYN_OK;
}

syn_status syn_engine_check(const syn_engine *g, const char *name)
{
    if (g->model.has_perception) return SYN_OK;
    return syn_fail(SYN_ERR_UNSUPPORTED,
                    "%s: the model has not been trained to look at teams: 'syncog pretrain' "
                    "trains it",
                    name);
}

void syn_engine_close(syn_engine *g)
{
    if (!g || --g->users > 0) return;
    syn_model_unpack(&g->ctx, &g->model);
    syn_model_free(&g->ctx, &g->model);
    syn_ctx_free(&g->ctx);
    free(g);
}

syn_status syn_engine_describe(const syn_engine *g, syn_engine_info *out)
{
    SYN_REQUIRE(g && out, "syn_engine_describe: engine or out is NULL");
    const syn_model *m = &g->model;
    int64_t parameters = (int64_t)SYN_VOCABULARY * SYN_DE + m->perception.params.total;
    if (m->has_control) parameters += m->control.params.total;
    *out = (syn_engine_info){m->has_policy, m->central, parameters};
    return SYN_OK;
}

/* ---- Teams from texts ---- */

/* All different pieces, and which of them each given piece is. */
typedef struct table {
    syn_document row[R];
    int rows;
    int8_t of[N][R];
} table;

static bool same(const syn_document *a, const syn_document *b)
{
    const char *x = a->title ? a->title : "", *y = b->title ? b->title : "";
    return a->claim == b->claim && strcmp(a->text, b->text) == 0 && strcmp(x, y) == 0;
}

static syn_status table_add(table *t, int agent, int k, const syn_document *piece)
{
    SYN_REQUIRE(piece->text, "agent %d: the text of its piece %d is NULL", agent, k);
    int r = 0;
    while (r < t->rows && !same(&t->row[r], piece)) r++;
    if (r == R) {
        return syn_fail(SYN_ERR_LIMIT, "the team has more than %d different pieces", R);
    }
    if (r == t->rows) t->row[t->rows++] = *piece;
    t->of[agent][k] = (int8_t)r;
    return SYN_OK;
}

static syn_status table_make(table *t, const syn_team_text *text)
{
    t->rows = 0;
    SYN_REQUIRE(text && text->agent, "the text of the team is NULL");
    SYN_REQUIRE(text->agents >= 2 && text->agents <= N, "a team of %d agents: allowed are 2 to %d",
                text->agents, N);
    SYN_REQUIRE(text->history_count >= 0 && (text->history || text->history_count == 0),
                "the history of the team is NULL");
    for (int i = 0; i < text->agents; i++) {
        const syn_agent_text *a = &text->agent[i];
        SYN_REQUIRE(a->count >= 0 && (a->pieces || a->count == 0), "agent %d: its pieces are NULL",
                    i);
        if (a->count > R) {
            return syn_fail(SYN_ERR_LIMIT, "agent %d has %d pieces, at most %d fit", i, a->count,
                            R);
        }
        for (int k = 0; k < a->count; k++) SYN_RETURN_IF(table_add(t, i, k, &a->pieces[k]));
    }
    return SYN_OK;
}

/* An opening in which every agent has read its pieces in the order they were given. */
static syn_status team_open(const syn_session *s, const syn_team_text *text, const table *t,
                            syn_env *team)
{
    const uint32_t nothing[N] = {0};
    SYN_RETURN_IF(syn_session_begin(s, text->goal, text->agents, nothing,
                                    text->turns_max ? text->turns_max : 2 * t->rows, team));
    for (int i = 0; i < text->agents; i++) {
        for (int k = 0; k < text->agent[i].count; k++) {
            team->own[i] |= 1u << t->of[i][k];
            syn_env_receive(team, i, t->of[i][k], i);
        }
    }
    return SYN_OK;
}

static syn_status replay(syn_session *s, const syn_team_text *text, syn_env *team)
{
    for (int k = 0; k < text->history_count; k++) {
        syn_action ignored;
        if (s->engine->model.has_policy) {
            SYN_RETURN_IF(syn_session_decide(s, team, NULL, true, &ignored, NULL, NULL));
        }
        syn_status st = syn_session_apply(s, team, &text->history[k]);
        if (st != SYN_OK) return syn_fail_within(st, "history[%d]", k);
    }
    return SYN_OK;
}

syn_status syn_session_create_team(syn_engine *engine, const syn_team_text *text, syn_session **out,
                                   syn_env *team, int *row)
{
    table t;
    syn_env made;
    syn_session *s = NULL;
    syn_status st;
    SYN_REQUIRE(out && team, "syn_session_create_team: out or team is NULL");
    *out = NULL;
    SYN_TRY(table_make(&t, text));
    SYN_TRY(syn_session_create(engine, text->question, t.row, t.rows, &s));
    SYN_TRY(team_open(s, text, &t, &made));
    SYN_TRY(replay(s, text, &made));
    for (int i = 0; row && i < text->agents; i++) {
        for (int k = 0; k < text->agent[i].count; k++) *row++ = t.of[i][k];
    }
    *team = made;
    *out = s;
    s = NULL;
done:
    syn_session_free(s);
    return st;
}

syn_status syn_engine_score(syn_engine *engine, const syn_team_text *text, float *gaps,
                            float *sufficiency, float *ckm)
{
    syn_session *s = NULL;
    syn_env team;
    syn_status st;
    SYN_TRY(syn_session_create_team(engine, text, &s, &team, NULL));
    SYN_TRY(syn_session_observe(s, &team, gaps, sufficiency));
    if (ckm) SYN_TRY(syn_session_ckm(s, &team, ckm));
done:
    syn_session_free(s);
    return st;
}

/* Two agents that hold everything: what they know is all there is. */
syn_status syn_engine_rank(syn_engine *engine, const char *question, const syn_document *pieces,
                           int count, float *relevance)
{
    syn_session *s = NULL;
    syn_env team;
    syn_status st;
    SYN_REQUIRE(relevance, "syn_engine_rank: relevance is NULL");
    SYN_TRY(syn_session_create(engine, question, pieces, count, &s));
    const uint32_t all = count >= R ? ~0u : (1u << count) - 1;
    SYN_TRY(syn_session_begin(s, SYN_GOAL_ASKER, 2, (const uint32_t[2]){all, all}, 2, &team));
    SYN_TRY(syn_session_look(s, &team));
    for (int r = 0; r < count; r++) {
        const real logit = s->observer.central ? s->observer.rel[r] : (real)s->observer.rank[r];
        relevance[r] = (float)syn_sigmoid(logit);
    }
done:
    syn_session_free(s);
    return st;
}
