#include "serve/decider_model.h"

#include <stdlib.h>
#include <string.h>

#include "engine/syncog.h"

/* The networks see at most SYN_ROWS_MAX rows, a live team holds up to 64 items: all pieces are
 * rows, and the newest claims fill what is left. */
typedef struct state {
    syn_engine *engine;
    syn_session *session;
    int rows;
    int slot[SYN_ROWS_MAX];        /* of a row */
    uint32_t serial[SYN_ROWS_MAX]; /* of the item that the row was built from */
    int row[SYN_TEAM_ITEMS_MAX];   /* of a slot, -1 for none */
    syn_env env;
} state;

static int choose_rows(state *s, const syn_team *team)
{
    int rows = 0;
    int chosen[SYN_ROWS_MAX];
    for (int k = 0; k < team->piece_count && rows < SYN_ROWS_MAX; k++) chosen[rows++] = k;
    bool taken[SYN_TEAM_ITEMS_MAX] = {false};
    while (rows < SYN_ROWS_MAX) {
        int newest = -1;
        for (int k = team->piece_count; k < team->item_count; k++) {
            if (taken[k] || (newest >= 0 && team->items[k].serial < team->items[newest].serial))
                continue;
            newest = k;
        }
        if (newest < 0) break;
        taken[newest] = true;
        chosen[rows++] = newest;
    }
    memcpy(s->slot, chosen, sizeof(int) * (size_t)rows);
    for (int k = 0; k < SYN_TEAM_ITEMS_MAX; k++) s->row[k] = -1;
    for (int r = 0; r < rows; r++) s->row[s->slot[r]] = r;
    return rows;
}

/* Makes or renews the session when the rows are not those it was built from. */
static syn_status follow_rows(state *s, const syn_team *team)
{
    syn_document piece[SYN_ROWS_MAX];
    uint32_t serial[SYN_ROWS_MAX];
    const bool begins = team->turn_count == 0 && team->round <= 1;
    const int rows = choose_rows(s, team);
    for (int r = 0; r < rows; r++) {
        const syn_team_item *item = &team->items[s->slot[r]];
        /* What is longer than any real title or paragraph is no words: the networks see an empty
         * one. */
        const bool title = strlen(item->title) <= SYN_TITLE_BYTES_MAX;
        const bool text = strlen(item->text) <= SYN_DOCUMENT_BYTES_MAX;
        piece[r] = (syn_document){title ? item->title : "", text ? item->text : "", item->claim};
        serial[r] = item->serial;
    }
    const bool same = s->session && rows == s->rows &&
                      memcmp(serial, s->serial, sizeof *serial * (size_t)rows) == 0;
    s->rows = rows;
    memcpy(s->serial, serial, sizeof *serial * (size_t)rows);
    if (rows == 0 || (same && !begins)) return SYN_OK;
    if (s->session && !begins) return syn_session_pieces(s->session, piece, rows);
    syn_session_free(s->session);
    s->session = NULL;
    return syn_session_create(s->engine, team->question, piece, rows, &s->session);
}

static uint32_t rows_of(const state *s, uint64_t items)
{
    uint32_t rows = 0;
    for (int r = 0; r < s->rows; r++) rows |= (uint32_t)(items >> s->slot[r] & 1) << r;
    return rows;
}

/* What agent i holds, in order of arrival. */
static void fill_memory(const state *s, const syn_team *team, int i, syn_env *e)
{
    uint32_t left = rows_of(s, team->holds[i]);
    while (left) {
        int next = -1;
        for (uint32_t rest = left; rest; rest &= rest - 1) {
            int r = syn_lowest(rest);
            if (next < 0 || team->got_turn[i][s->slot[r]] < team->got_turn[i][s->slot[next]])
                next = r;
        }
        left &= ~(1u << next);
        e->turn = team->got_turn[i][s->slot[next]];
        syn_env_receive(e, i, next, team->giver[i][s->slot[next]]);
    }
}

static void last_action(const state *s, const syn_team *team, syn_env *e)
{
    e->last = (syn_action){SYN_NO_ACTION, -1, -1, -1};
    if (!team->turn_count) return;
    const syn_team_turn *t = &team->turns[team->turn_count - 1];
    e->last = (syn_action){(int8_t)t->kind, (int8_t)t->from, (int8_t)t->to, -1};
    if (t->item < 0) return;
    const int row = s->row[t->item];
    const int receiver = t->kind == SYN_REQUEST ? t->from : t->to;
    /* A recycled slot may hold another claim by now. */
    if (row >= 0 && (receiver < 0 || e->memory[receiver] >> row & 1)) e->last.piece = (int8_t)row;
    if (e->last.piece < 0) e->last = (syn_action){SYN_NO_ACTION, -1, -1, -1};
}

/* The trainer's environment in the state of the live team. */
static void fill_env(state *s, const syn_team *team)
{
    syn_env *e = &s->env;
    memset(e, 0, sizeof *e);
    e->agents = team->agents;
    e->goal = (int8_t)team->goal;
    e->turns_max = team->turns_max < SYN_TURNS_MAX ? team->turns_max : SYN_TURNS_MAX;
    for (int i = 0; i < team->agents; i++) {
        e->own[i] = rows_of(s, team->own[i]);
        for (int j = 0; j < team->agents; j++) e->sent[i][j] = rows_of(s, team->sent[i][j]);
        fill_memory(s, team, i, e);
        e->present |= e->memory[i] | e->own[i];
    }
    for (int r = 0; r < s->rows && r < SYN_ROWS_MAX; r++)
        e->claims |= (uint32_t)team->items[s->slot[r]].claim << r;
    e->claims &= e->present;
    for (int t = 0; t < team->turn_count; t++) {
        const syn_action_kind kind = team->turns[t].kind;
        e->deliveries += kind == SYN_BROADCAST ? team->agents - 1 : kind <= SYN_REQUEST;
    }
    e->turn = team->turn_count < e->turns_max ? team->turn_count : e->turns_max;
    e->messages = team->messages;
    last_action(s, team, e);
}

static syn_status observe(void *user, const syn_team *team, syn_team_gaps *out)
{
    state *s = user;
    float gaps[SYN_AGENTS_MAX * SYN_AGENTS_MAX];
    memset(out, 0, sizeof *out);
    SYN_RETURN_IF(follow_rows(s, team));
    if (s->rows == 0) { /* nobody has said or been given anything: everything is missing */
        for (int i = 0; i < team->agents; i++) out->gaps[i][i] = 1;
        return SYN_OK;
    }
    fill_env(s, team);
    SYN_RETURN_IF(syn_session_observe(s->session, &s->env, gaps, &out->sufficiency));
    for (int i = 0; i < team->agents; i++) {
        for (int j = 0; j < team->agents; j++) out->gaps[i][j] = gaps[i * team->agents + j];
    }
    return SYN_OK;
}

static syn_status decide(void *user, const syn_team *team, const syn_team_gaps *seen,
                         syn_decision *out)
{
    state *s = user;
    syn_action a;
    uint8_t mask[SYN_ACTIONS_MAX];
    (void)seen;
    *out =
        (syn_decision){.kind = SYN_NO_ACTION, .from = -1, .to = -1, .item = -1, .probability = 1};
    if (s->rows == 0) return SYN_OK;
    /* ANSWER and ABSTAIN may be wanted before they are allowed: then nothing is worth a message. */
    const int answer = syn_action_index(SYN_ANSWER, 0, 0),
              abstain = syn_action_index(SYN_ABSTAIN, 0, 0);
    memcpy(mask, team->legal, sizeof mask);
    mask[answer] = 1;
    mask[abstain] = team->piece_count > 0;
    SYN_RETURN_IF(syn_session_decide(s->session, &s->env, mask, true, &a, &out->probability, NULL));
    if ((a.kind == SYN_ANSWER && !team->legal[answer]) ||
        (a.kind == SYN_ABSTAIN && !team->legal[abstain])) {
        return SYN_OK;
    }
    out->kind = (syn_action_kind)a.kind;
    out->from = a.from;
    out->to = a.to;
    if (a.piece >= 0 && a.kind <= SYN_BROADCAST) out->item = s->slot[a.piece];
    return SYN_OK;
}

syn_status syn_decider_model(const char *dir, syn_decider *out)
{
    syn_engine_info info;
    state *s = calloc(1, sizeof *s);
    syn_status st;
    if (!s) return syn_fail(SYN_ERR_MEMORY, "out of memory for the networks");
    SYN_TRY(syn_engine_open(dir, NULL, &s->engine));
    SYN_TRY(syn_engine_describe(s->engine, &info));
    if (!info.decides) {
        st = syn_fail(SYN_ERR_UNSUPPORTED,
                      "checkpoint %s: holds no trained policy; run 'syncog train' first", dir);
        goto done;
    }
    *out = (syn_decider){observe, decide, s, "trained", false};
    return SYN_OK;
done:
    syn_engine_close(s->engine);
    free(s);
    return st;
}

void syn_decider_model_free(syn_decider *decider)
{
    state *s = decider->user;
    if (!s) return;
    syn_session_free(s->session);
    syn_engine_close(s->engine);
    free(s);
    decider->user = NULL;
}
