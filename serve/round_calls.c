/* Calls of a round: who is called, what is reserved, what it has cost. */
#include <stdlib.h>
#include <string.h>

#include "serve/round_internal.h"

static const syn_round_agent *payer(const syn_round *r, syn_call_purpose purpose, int agent)
{
    return purpose == SYN_CALL_ANSWER ? &r->config.agent[agent] : &r->config.aggregator;
}

static double price(const syn_round_agent *who, int64_t prompt, int64_t completion)
{
    return (double)prompt * who->prompt_usd + (double)completion * who->completion_usd;
}

static syn_prompt prompt_of(const syn_round *r, syn_arena *scratch, syn_call_purpose purpose,
                            int agent)
{
    int cluster[SYN_AGENTS_MAX];
    if (purpose == SYN_CALL_ANSWER)
        return syn_prompt_answer(scratch, &r->config, &r->team, r->answers, agent);
    if (purpose == SYN_CALL_FINAL && r->config.ask == SYN_ASK_ASKER)
        return syn_prompt_asker(scratch, &r->config, &r->team, syn_round_verbatim(r),
                                syn_round_asks_again(r));
    if (purpose == SYN_CALL_FINAL)
        return syn_prompt_final(scratch, &r->config, &r->team, r->answers, syn_round_verbatim(r));
    syn_round_comparable(r, cluster);
    return syn_prompt_partition(scratch, &r->team, r->answers, cluster);
}

/* The caps have room for one more call of this size. */
static bool fits(syn_round *r, int64_t tokens, double usd)
{
    const syn_round_config *c = &r->config;
    const int64_t all_tokens = r->team.tokens + r->reserved_tokens + tokens;
    const double all_usd = r->reply.cost_usd + r->reserved_usd + usd;
    const char *cap = NULL;
    if (all_tokens > r->reply.peak_tokens) r->reply.peak_tokens = all_tokens;
    if (all_usd > r->reply.peak_usd) r->reply.peak_usd = all_usd;
    if (c->tokens_cap > 0 && all_tokens > c->tokens_cap)
        cap = "caps.tokens";
    else if (c->cost_cap_usd > 0 && all_usd > c->cost_cap_usd + 1e-12)
        cap = "caps.cost_usd";
    if (!cap) return true;
    syn_text_builder b = {.arena = &r->arena};
    if (!r->cap_hit)
        syn_build(&b, "%s leaves no room for a single call, which reserves %lld tokens", cap,
                  (long long)tokens);
    if (!r->cap_hit) r->cap_text = syn_built(&b);
    r->cap_hit = true;
    return false;
}

/* The prompt in one piece of its own, which goes when the call has ended. */
static bool keep_prompt(syn_open_call *open, const syn_prompt *prompt)
{
    const size_t system = strlen(prompt->system) + 1, user = strlen(prompt->user) + 1;
    open->prompt = malloc(system + user);
    if (!open->prompt) return false;
    memcpy(open->prompt, prompt->system, system);
    memcpy(open->prompt + system, prompt->user, user);
    open->call.system = open->prompt;
    open->call.user = open->prompt + system;
    return true;
}

static bool queue(syn_round *r, syn_call_purpose purpose, int agent, const syn_prompt *prompt)
{
    const syn_round_config *c = &r->config;
    const bool final = purpose == SYN_CALL_FINAL;
    const int64_t out =
        final && c->final_tokens_max > 0 ? c->final_tokens_max : c->reply_tokens_max;
    const int64_t in = syn_prompt_tokens(prompt->system) + syn_prompt_tokens(prompt->user) +
                       (final ? c->final_extra_tokens : 0);
    const int64_t tokens = in + out;
    const double usd = price(payer(r, purpose, agent), in, out);
    if (!fits(r, tokens, usd)) return false;
    syn_open_call *open = &r->open[r->open_count];
    *open = (syn_open_call){.prompt_tokens = in, .tokens = tokens, .cost_usd = usd};
    open->call = (syn_round_call){.id = r->call_id_next++,
                                  .purpose = purpose,
                                  .agent = agent,
                                  .round = r->team.round,
                                  .max_tokens = out,
                                  .temperature = c->temperature,
                                  .deadline_s = r->deadline_s,
                                  .last = final && !syn_round_asks_again(r),
                                  .team = &r->team,
                                  .answers = r->answers};
    if (!keep_prompt(open, prompt)) {
        r->arena.failed = SYN_ERR_MEMORY;
        return false;
    }
    r->reserved_tokens += tokens;
    r->reserved_usd += usd;
    r->open_count++;
    return true;
}

bool syn_round_want(syn_round *r, syn_call_purpose purpose, int agent)
{
    syn_arena scratch;
    syn_arena_init(&scratch, SYN_ROUND_ARENA_BYTES_MAX);
    const syn_prompt prompt = prompt_of(r, &scratch, purpose, agent);
    if (scratch.failed) r->arena.failed = scratch.failed;
    const bool wanted = !scratch.failed && queue(r, purpose, agent, &prompt);
    syn_arena_free(&scratch);
    return wanted;
}

void syn_round_drop_calls(syn_round *r)
{
    for (int k = 0; k < r->open_count; k++) free(r->open[k].prompt);
    r->open_count = 0;
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
    if (r->config.ask == SYN_ASK_ASKER) {
        r->stage = SYN_STAGE_PHASE;
        return;
    }
    for (int i = 0; i < t->agents; i++)
        if (called >> i & 1) syn_round_want(r, SYN_CALL_ANSWER, i);
    r->stage = SYN_STAGE_CALLS;
}

void syn_round_account(syn_round *r, const syn_open_call *open, const syn_call_result *result)
{
    const syn_round_call *call = &open->call;
    int64_t in = result->prompt_tokens, out = result->completion_tokens;
    r->reserved_tokens -= open->tokens;
    r->reserved_usd -= open->cost_usd;
    if (result->text) {
        if (in < 0) in = open->prompt_tokens;
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
