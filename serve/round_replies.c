/* Replies of a round: answers, claims, and which answers mean the same. */
#include <stdio.h>
#include <string.h>

#include "engine/text.h"
#include "serve/round_internal.h"
#include "serve/words.h"

enum { CLAIM_TOKENS_MAX = 256 };

/* ---- claims ---- */

static size_t tokens_of(const char *text, uint32_t *token, size_t max)
{
    size_t n = 0;
    syn_text_tokenise(text, strlen(text), token, max, &n);
    for (size_t i = 0; i < n; i++) token[i] &= SYN_TOKEN_HASH;
    return n;
}

/* The words of the claim stand in this order in the text. */
static bool says(const char *text, const uint32_t *claim, size_t n)
{
    uint32_t token[4096];
    size_t m = tokens_of(text, token, 4096);
    for (size_t at = 0; at + n <= m; at++)
        if (memcmp(token + at, claim, n * sizeof *claim) == 0) return true;
    return false;
}

/* A slot for one more claim: a free one, or that of the oldest claim of an earlier round which
 * never left its author. -1 when there is neither. */
static int claim_slot(syn_round *r)
{
    syn_team *t = &r->team;
    if (t->item_count < SYN_TEAM_ITEMS_MAX) return t->item_count++;
    int oldest = -1;
    for (int k = t->piece_count; k < t->item_count; k++) {
        uint64_t bit = 1ull << k;
        int holders = 0;
        for (int i = 0; i < t->agents; i++) holders += (t->holds[i] & bit) != 0;
        if (holders > 1 || t->items[k].round == t->round) continue;
        if (oldest < 0 || t->items[k].serial < t->items[oldest].serial) oldest = k;
    }
    for (int i = 0; oldest >= 0 && i < t->agents; i++) {
        t->own[i] &= ~(1ull << oldest);
        t->holds[i] &= ~(1ull << oldest);
        for (int j = 0; j < t->agents; j++) t->sent[i][j] &= ~(1ull << oldest);
    }
    return oldest;
}

static void make_own(syn_team *t, int agent, int item)
{
    t->own[agent] |= 1ull << item;
    t->holds[agent] |= 1ull << item;
    t->got_turn[agent][item] = (int16_t)t->turn_count;
    t->giver[agent][item] = (int8_t)agent;
}

/* What the agent holds says it already: nothing new. The same claim of another agent becomes its
 * own too. Otherwise it is a new item. */
static void add_claim(syn_round *r, int agent, const char *claim)
{
    syn_team *t = &r->team;
    uint32_t token[CLAIM_TOKENS_MAX];
    size_t n = tokens_of(claim, token, CLAIM_TOKENS_MAX);
    if (n == 0) return;
    for (int k = 0; k < t->item_count; k++)
        if (says(t->items[k].text, token, n)) {
            bool held = t->holds[agent] >> k & 1;
            if (!held && !t->items[k].claim) continue;
            if (!held) make_own(t, agent, k);
            return;
        }
    int slot = claim_slot(r);
    if (slot < 0) return;
    char id[16];
    snprintf(id, sizeof id, "c%u", ++r->serial_next);
    t->items[slot] = (syn_team_item){.id = syn_arena_text(&r->arena, id),
                                     .title = "",
                                     .text = claim,
                                     .serial = r->serial_next,
                                     .author = agent,
                                     .round = t->round,
                                     .claim = true};
    make_own(t, agent, slot);
}

/* In the order of the agents, whoever answered first. */
static void take_claims(syn_round *r)
{
    for (int i = 0; i < r->team.agents; i++) {
        for (int k = 0; k < r->said[i].count; k++) add_claim(r, i, r->said[i].claim[k]);
        r->said[i].count = 0;
    }
}

/* ---- replies ---- */

static uint64_t support_of(const syn_team *t, int agent, const syn_parsed_reply *reply)
{
    uint64_t items = 0;
    for (int s = 0; s < reply->support_count; s++)
        for (int k = 0; k < t->item_count; k++)
            if ((t->holds[agent] >> k & 1) && strcmp(t->items[k].id, reply->support[s]) == 0)
                items |= 1ull << k;
    return items;
}

void syn_round_take_answer(syn_round *r, int agent, const syn_parsed_reply *reply)
{
    syn_arena *arena = &r->arena;
    syn_answer *answer = &r->answers[agent];
    *answer = (syn_answer){.given = true,
                           .text = syn_arena_text(arena, reply->answer),
                           .short_text = syn_arena_text(arena, reply->short_answer),
                           .confidence = syn_calibrate_confidence(
                               reply->confidence, r->config.agent[agent].calibration),
                           .cluster = -1,
                           .support = support_of(&r->team, agent, reply)};
    r->team.need[agent] = syn_arena_text(arena, reply->need);
    r->failed &= ~(1u << agent);
    r->answers_changed = true;
    syn_said *said = &r->said[agent];
    said->count = reply->claim_count;
    for (int k = 0; k < reply->claim_count; k++) {
        const char *claim = reply->claims[k];
        said->claim[k] =
            syn_arena_text_n(arena, claim, syn_words_prefix(claim, SYN_PIECE_WORDS_MAX));
    }
    syn_note *n = syn_round_notify(r, SYN_NOTICE_AGENT_RESPONSE);
    n->agent = agent;
    n->text = answer->text;
    n->confidence = answer->confidence;
}

/* A copy in the arena in which bytes that are not UTF-8 are question marks. */
static const char *clean(syn_arena *arena, const char *text)
{
    size_t bytes = syn_utf8_prefix(text, SYN_REPLY_TEXT_BYTES_MAX);
    char *copy = (char *)syn_arena_text_n(arena, text, bytes);
    if (arena->failed) return "";
    for (int64_t at = 0, next; (next = syn_utf8_fault(copy + at, bytes - (size_t)at)) >= 0;) {
        at += next;
        copy[at] = '?';
    }
    return copy;
}

static void note_failure(syn_round *r, const syn_round_call *call, const char *error)
{
    syn_note *n = syn_round_notify(r, SYN_NOTICE_ERROR);
    n->text = syn_arena_text(&r->arena, error ? error : "the call failed");
    n->agent = call->agent;
    if (call->purpose != SYN_CALL_ANSWER) return;
    r->failed |= 1u << call->agent;
    r->answers_changed = true;
    r->answers[call->agent].given = false;
    r->answers[call->agent].cluster = -1;
    r->answers[call->agent].weight = 0;
}

bool syn_round_verbatim(const syn_round *r)
{
    return r->config.final_verbatim && r->config.aggregator_is_model;
}

/* text NULL: the call has failed. */
static syn_status take_final(syn_round *r, syn_arena *scratch, const char *text)
{
    syn_parsed_reply reply = {.answer = ""};
    const bool verbatim = text && syn_round_verbatim(r);
    if (verbatim)
        syn_prompt_take_plain(scratch, text, &reply);
    else if (text)
        syn_prompt_parse(scratch, text, &reply);
    if (r->config.ask == SYN_ASK_ASKER) return syn_round_asker_said(r, text ? &reply : NULL);
    const bool use = verbatim || *reply.answer;
    if (use) {
        reply.answer = syn_arena_text(&r->arena, reply.answer);
        reply.short_answer = syn_arena_text(&r->arena, reply.short_answer);
    }
    syn_round_conclude(r, use ? &reply : NULL);
    return SYN_OK;
}

/* ---- clusters ---- */

int syn_round_comparable(const syn_round *r, int *cluster)
{
    int count = 0;
    for (int i = 0; i < r->team.agents; i++) {
        bool in = r->answers[i].given && !syn_no_answer(r->answers[i].short_text);
        cluster[i] = in ? 0 : -1;
        count += in;
    }
    return count;
}

static void pool(syn_round *r, const int *cluster)
{
    double confidence[SYN_AGENTS_MAX];
    int given = 0;
    for (int i = 0; i < r->team.agents; i++) {
        confidence[i] = r->answers[i].confidence;
        given += r->answers[i].given;
    }
    syn_pool_answers(r->team.agents, confidence, cluster, &r->pool);
    for (int i = 0; i < r->team.agents; i++) {
        syn_answer *a = &r->answers[i];
        a->cluster = cluster[i];
        a->weight = r->pool.share[i];
        /* Nobody knows: all have contributed alike. */
        if (r->pool.clusters == 0) a->weight = a->given ? 1.0 / given : 0;
    }
    if (!r->judged) r->entropy_first = r->pool.entropy;
    r->judged = true;
    r->answers_changed = false;
}

bool syn_round_short_answers(const syn_round *r)
{
    return r->config.task == SYN_TASK_QA || r->config.task == SYN_TASK_REASONING;
}

syn_status syn_round_pool(syn_round *r)
{
    const char *texts[SYN_AGENTS_MAX];
    int cluster[SYN_AGENTS_MAX], clusters;
    bool shorts = syn_round_short_answers(r);
    syn_round_comparable(r, cluster);
    for (int i = 0; i < r->team.agents; i++)
        texts[i] = shorts ? r->answers[i].short_text : r->answers[i].text;
    if (shorts)
        syn_cluster_answers(r->team.agents, texts, cluster);
    else
        SYN_RETURN_IF(syn_cluster_texts(r->team.agents, texts, cluster, &clusters));
    pool(r, cluster);
    return SYN_OK;
}

static void go_on(syn_round *r)
{
    r->stage = r->cap_hit ? SYN_STAGE_JUDGE : SYN_STAGE_PHASE;
}

static syn_status take_partition(syn_round *r, const char *text)
{
    int cluster[SYN_AGENTS_MAX];
    syn_round_comparable(r, cluster);
    if (text && syn_prompt_parse_partition(text, r->team.agents, cluster))
        pool(r, cluster);
    else
        SYN_RETURN_IF(syn_round_pool(r));
    go_on(r);
    return SYN_OK;
}

syn_status syn_round_take_result(syn_round *r, const syn_open_call *open,
                                 const syn_call_result *result)
{
    const syn_round_call *call = &open->call;
    syn_parsed_reply reply;
    syn_arena scratch;
    syn_status st = SYN_OK;
    syn_arena_init(&scratch, SYN_ROUND_ARENA_BYTES_MAX);
    syn_round_account(r, open, result);
    const char *text = result->text ? clean(&scratch, result->text) : NULL;
    if (!text) note_failure(r, call, result->error);
    if (call->purpose == SYN_CALL_PARTITION)
        st = take_partition(r, text);
    else if (call->purpose == SYN_CALL_FINAL)
        st = take_final(r, &scratch, text);
    else if (text) {
        syn_prompt_parse(&scratch, text, &reply);
        syn_round_take_answer(r, call->agent, &reply);
    }
    if (scratch.failed) r->arena.failed = scratch.failed;
    syn_arena_free(&scratch);
    return st;
}

/* True: nobody has answered, and the collaboration has ended. */
static bool nobody(syn_round *r)
{
    for (int i = 0; i < r->team.agents; i++)
        if (r->answers[i].given) return false;
    if (r->cap_hit && r->failed == 0)
        syn_round_fail(r, SYN_ERR_INVALID, r->cap_text);
    else
        syn_round_fail(r, SYN_ERR_NETWORK, "no agent answered: every call failed");
    return true;
}

syn_status syn_round_cluster(syn_round *r)
{
    int cluster[SYN_AGENTS_MAX];
    if (nobody(r)) return SYN_OK;
    take_claims(r);
    if (!r->answers_changed) {
        go_on(r);
        return SYN_OK;
    }
    bool worth_a_call = r->config.aggregator_is_model && !syn_round_short_answers(r) &&
                        syn_round_comparable(r, cluster) > 1;
    if (worth_a_call && syn_round_want(r, SYN_CALL_PARTITION, 0)) {
        r->stage = SYN_STAGE_PARTITION;
        return SYN_OK;
    }
    SYN_RETURN_IF(syn_round_pool(r));
    go_on(r);
    return SYN_OK;
}
