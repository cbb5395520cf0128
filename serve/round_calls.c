/* Calls of a round: who is called, what is reserved, what a reply means. */
#include <stdio.h>
#include <string.h>

#include "engine/text.h"
#include "serve/round_internal.h"
#include "serve/words.h"

enum { CLAIM_TOKENS_MAX = 256 };

/* ---- making calls ---- */

static const syn_round_agent *payer(const syn_round *r, syn_call_purpose purpose, int agent)
{
    return purpose == SYN_CALL_ANSWER ? &r->config.agent[agent] : &r->config.aggregator;
}

static double price(const syn_round_agent *who, int64_t prompt, int64_t completion)
{
    return (double)prompt * who->prompt_usd + (double)completion * who->completion_usd;
}

bool syn_round_want(syn_round *r, syn_call_purpose purpose, int agent, syn_prompt prompt)
{
    const syn_round_config *c = &r->config;
    int64_t in = syn_prompt_tokens(prompt.system) + syn_prompt_tokens(prompt.user);
    int64_t tokens = in + c->reply_tokens_max;
    double usd = price(payer(r, purpose, agent), in, c->reply_tokens_max);
    if ((c->tokens_cap > 0 && r->team.tokens + r->reserved_tokens + tokens > c->tokens_cap) ||
        (c->cost_cap_usd > 0 && r->reply.cost_usd + r->reserved_usd + usd > c->cost_cap_usd)) {
        r->cap_hit = true;
        return false;
    }
    r->reserved_tokens += tokens;
    r->reserved_usd += usd;
    syn_open_call *open = &r->open[r->open_count++];
    *open = (syn_open_call){.tokens = tokens, .cost_usd = usd};
    open->call = (syn_round_call){.id = r->call_id_next++,
                                  .purpose = purpose,
                                  .agent = agent,
                                  .round = r->team.round,
                                  .system = prompt.system,
                                  .user = prompt.user,
                                  .max_tokens = c->reply_tokens_max,
                                  .temperature = c->temperature,
                                  .deadline_s = r->deadline_s,
                                  .team = &r->team,
                                  .answers = r->answers};
    return true;
}

void syn_round_begin(syn_round *r)
{
    syn_team *t = &r->team;
    bool messages_spent = t->messages_max > 0 && t->messages >= t->messages_max;
    uint32_t called = t->round == 0 ? (1u << t->agents) - 1 : r->changed | r->alone;
    if (t->round > 0 && called == 0 && messages_spent) {
        syn_round_finish(r, SYN_STOP_CAP);
        return;
    }
    t->round++;
    r->changed = r->alone = 0;
    r->phase_begun = false;
    syn_round_notify(r, SYN_NOTICE_ROUND);
    for (int i = 0; i < t->agents; i++)
        if (called >> i & 1)
            syn_round_want(r, SYN_CALL_ANSWER, i,
                           syn_prompt_answer(&r->arena, &r->config, t, r->answers, i));
    r->stage = SYN_STAGE_CALLS;
}

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
            if (!held) {
                t->holds[agent] |= 1ull << k;
                t->own[agent] |= 1ull << k;
                t->got_turn[agent][k] = (int16_t)t->turn_count;
                t->giver[agent][k] = (int8_t)agent;
            }
            return;
        }
    int slot = claim_slot(r);
    if (slot < 0) return;
    char id[16];
    snprintf(id, sizeof id, "c%u", ++r->serial_next);
    t->items[slot] = (syn_team_item){
        .id = syn_arena_text(&r->arena, id),
        .title = "",
        .text = syn_arena_text_n(&r->arena, claim, syn_words_prefix(claim, SYN_PIECE_WORDS_MAX)),
        .serial = r->serial_next,
        .author = agent,
        .round = t->round,
        .claim = true};
    t->own[agent] |= 1ull << slot;
    t->holds[agent] |= 1ull << slot;
    t->got_turn[agent][slot] = (int16_t)t->turn_count;
    t->giver[agent][slot] = (int8_t)agent;
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

static void take_answer(syn_round *r, int agent, const syn_parsed_reply *reply)
{
    syn_answer *answer = &r->answers[agent];
    *answer = (syn_answer){.given = true,
                           .text = reply->answer,
                           .short_text = reply->short_answer,
                           .confidence = syn_calibrate_confidence(
                               reply->confidence, r->config.agent[agent].calibration),
                           .cluster = -1,
                           .support = support_of(&r->team, agent, reply)};
    r->team.need[agent] = reply->need;
    r->failed &= ~(1u << agent);
    for (int k = 0; k < reply->claim_count; k++) add_claim(r, agent, reply->claims[k]);
    syn_notice *n = syn_round_notify(r, SYN_NOTICE_AGENT_RESPONSE);
    n->agent = agent;
    n->text = answer->text;
    n->confidence = answer->confidence;
}

static void account(syn_round *r, const syn_open_call *open, const syn_call_result *result)
{
    const syn_round_call *call = &open->call;
    int64_t in = result->prompt_tokens, out = result->completion_tokens;
    r->reserved_tokens -= open->tokens;
    r->reserved_usd -= open->cost_usd;
    if (result->text) {
        if (in < 0) in = syn_prompt_tokens(call->system) + syn_prompt_tokens(call->user);
        if (out < 0) out = syn_prompt_tokens(result->text);
    }
    in = in < 0 ? 0 : in;
    out = out < 0 ? 0 : out;
    r->reply.llm_calls++;
    r->reply.prompt_tokens += in;
    r->reply.completion_tokens += out;
    r->team.tokens += in + out;
    const syn_round_agent *who = payer(r, call->purpose, call->agent);
    if (result->cost_usd >= 0)
        r->reply.cost_usd += result->cost_usd;
    else if (who->price_known)
        r->reply.cost_usd += price(who, in, out);
    else if (in + out > 0)
        r->reply.cost_known = false;
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
    syn_notice *n = syn_round_notify(r, SYN_NOTICE_ERROR);
    n->text = syn_arena_text(&r->arena, error ? error : "the call failed");
    if (call->purpose != SYN_CALL_ANSWER) return;
    n->agent = call->agent;
    r->failed |= 1u << call->agent;
    r->answers[call->agent].given = false;
    r->answers[call->agent].cluster = -1;
    r->answers[call->agent].weight = 0;
}

/* cluster[i] 0 for the answers to compare, -1 for the others; returns how many to compare. */
static int comparable(const syn_round *r, int *cluster)
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
    for (int i = 0; i < r->team.agents; i++) confidence[i] = r->answers[i].confidence;
    syn_pool_answers(r->team.agents, confidence, cluster, &r->pool);
    for (int i = 0; i < r->team.agents; i++) {
        r->answers[i].cluster = cluster[i];
        r->answers[i].weight = r->pool.share[i];
    }
    if (!r->judged) r->entropy_first = r->pool.entropy;
    r->judged = true;
}

static bool short_answers_do(const syn_round *r)
{
    return r->config.task == SYN_TASK_QA || r->config.task == SYN_TASK_REASONING;
}

syn_status syn_round_pool(syn_round *r)
{
    const char *texts[SYN_AGENTS_MAX];
    int cluster[SYN_AGENTS_MAX], clusters;
    bool shorts = short_answers_do(r);
    comparable(r, cluster);
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
    comparable(r, cluster);
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
    account(r, open, result);
    const char *text = result->text ? clean(&r->arena, result->text) : NULL;
    if (!text) note_failure(r, call, result->error);
    if (call->purpose == SYN_CALL_PARTITION) return take_partition(r, text);
    if (text) syn_prompt_parse(&r->arena, text, &reply);
    if (call->purpose == SYN_CALL_FINAL)
        syn_round_conclude(r, text && *reply.answer ? &reply : NULL);
    else if (text)
        take_answer(r, call->agent, &reply);
    return SYN_OK;
}

/* ---- clusters ---- */

syn_status syn_round_cluster(syn_round *r)
{
    int cluster[SYN_AGENTS_MAX], given = 0;
    for (int i = 0; i < r->team.agents; i++) given += r->answers[i].given;
    if (given == 0 && r->cap_hit && r->failed == 0) {
        syn_round_fail(r, SYN_ERR_LIMIT, "the caps leave no room for a single call");
        return SYN_OK;
    }
    if (given == 0) {
        syn_round_fail(r, SYN_ERR_NETWORK, "no agent answered: every call failed");
        return SYN_OK;
    }
    bool worth_a_call =
        r->config.aggregator_is_model && !short_answers_do(r) && comparable(r, cluster) > 1;
    if (worth_a_call &&
        syn_round_want(r, SYN_CALL_PARTITION, 0,
                       syn_prompt_partition(&r->arena, &r->config, &r->team, r->answers))) {
        r->stage = SYN_STAGE_PARTITION;
        return SYN_OK;
    }
    SYN_RETURN_IF(syn_round_pool(r));
    go_on(r);
    return SYN_OK;
}
