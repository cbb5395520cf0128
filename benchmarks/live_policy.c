/* A question under a policy: a team's round, or one agent alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/live_private.h"
#include "serve/prompt.h"

enum { ERROR_BYTES = 256 };

const char *syn_live_policy_name(syn_live_policy policy)
{
    static const char *const names[] = {"learned", "broadcast", "round_robin",
                                        "asker",   "single",    "self_consistency"};
    return names[policy];
}

bool syn_live_policy_is_alone(syn_live_policy policy)
{
    return policy == SYN_LIVE_SINGLE || policy == SYN_LIVE_SELF_CONSISTENCY;
}

bool syn_live_policy_is_asked(syn_live_policy policy, const syn_live_bench *bench)
{
    return policy != SYN_LIVE_ASKER || syn_live_has_evidence(bench);
}

const char *syn_live_provider(const syn_live_plan *plan)
{
    const syn_provider *p = plan->agents_are->agent.provider;
    if (strcmp(p->name, "custom") != 0) return p->name;
    return strcmp(p->host, "api.openai.com") == 0 ? "openai" : p->host;
}

const char *syn_live_model(const syn_live_plan *plan)
{
    const syn_drive_agent *a = &plan->agents_are->agent;
    if (a->provider->dialect == SYN_DIALECT_EXTRACTIVE) return NULL;
    return a->model ? a->model : a->provider->model;
}

struct syn_live_asking {
    syn_live_solo *solo; /* one of them */
    syn_drive *drive;
    void (*done)(void *context, const syn_live_reply *reply);
    void *context;
    char error[ERROR_BYTES]; /* of the call that failed last, "": none */
    const syn_live_plan *plan;
    int64_t tokens_cap;
    double cost_cap_usd;
    syn_live_reply spent; /* by the team's calls so far: a round that has failed tells none */
};

/* ---- what it takes ---- */

void syn_live_add_call(const syn_live_plan *plan, int64_t prompt_tokens, const syn_llm_reply *call,
                       syn_live_reply *reply)
{
    const syn_agents *who = plan->agents_are;
    int64_t in = call->usage.prompt, out = call->usage.completion;
    double in_usd, out_usd;
    if (call->text && in < 0) in = prompt_tokens;
    if (call->text && out < 0) out = syn_prompt_tokens(call->text);
    in = in < 0 ? 0 : in;
    out = out < 0 ? 0 : out;
    reply->calls++;
    reply->prompt_tokens += in;
    reply->completion_tokens += out;
    if (call->usage.cost_usd >= 0)
        reply->cost_usd += call->usage.cost_usd;
    else if (syn_provider_price(who->providers, who->agent.provider, who->agent.model, &in_usd,
                                &out_usd))
        reply->cost_usd += (double)in * in_usd + (double)out * out_usd;
    else if (in + out > 0)
        reply->cost_known = false;
}

static void add_spent(const syn_live_reply *spent, syn_live_reply *reply)
{
    reply->calls += spent->calls;
    reply->prompt_tokens += spent->prompt_tokens;
    reply->completion_tokens += spent->completion_tokens;
    reply->cost_usd += spent->cost_usd;
    reply->cost_known = reply->cost_known && spent->cost_known;
}

void syn_live_ask_spent(const syn_live_asking *a, syn_live_reply *reply)
{
    add_spent(a->solo ? syn_live_solo_spent(a->solo) : &a->spent, reply);
}

/* ---- the team ---- */

static int bits(uint32_t mask)
{
    int n = 0;
    for (; mask; mask &= mask - 1) n++;
    return n;
}

static void read_reply(const syn_round_reply *r, syn_live_piece *cited, syn_live_reply *out)
{
    syn_live_answer_of(r, cited, &out->answer);
    out->confidence = r->confidence;
    out->rounds = r->rounds;
    out->messages = r->messages;
    out->broadcast_messages = r->broadcast_messages;
    out->targeted_messages = r->targeted_messages;
    out->gaps = r->gaps_detected;
    out->calls = r->llm_calls;
    out->failed = bits(r->agents_failed);
    out->prompt_tokens = r->prompt_tokens;
    out->completion_tokens = r->completion_tokens;
    out->cost_known = r->cost_known;
    out->cost_usd = r->cost_usd;
    out->converged = r->convergence_achieved;
    out->entropy = r->agents_used > 1 ? r->final_entropy : NAN;
    out->latency_s = r->execution_s;
    out->capped = r->capped;
    out->peak_tokens = r->peak_tokens;
    out->peak_usd = r->peak_usd;
    out->stopped_by = syn_stop_name(r->stopped_by);
    out->said = r->answers;
    out->said_count = r->agents;
    out->dialogue = r->dialogue;
    out->dialogue_count = r->dialogue_count;
}

static void on_notice(void *context, const syn_notice *notice, const syn_round_reply *reply)
{
    syn_live_asking *a = context;
    (void)reply;
    if (notice->type == SYN_NOTICE_ERROR && notice->agent >= 0)
        snprintf(a->error, sizeof a->error, "%s", notice->text);
}

static void on_called(void *context, const syn_round_call *call, const syn_drive_agent *agent,
                      const syn_llm_reply *reply)
{
    syn_live_asking *a = context;
    (void)agent;
    syn_live_add_call(a->plan, syn_prompt_tokens(call->system) + syn_prompt_tokens(call->user),
                      reply, &a->spent);
}

/* A round whose cap has no room for a single call calls that cap invalid. */
void syn_live_note_cap(syn_live_reply *reply, int64_t tokens_cap, double cost_cap_usd)
{
    static const char cap[] = "caps.";
    if (reply->status != SYN_ERR_INVALID || strncmp(reply->sentence, cap, sizeof cap - 1)) return;
    reply->capped = true;
    reply->peak_tokens = 2 * tokens_cap;
    reply->peak_usd = 2 * cost_cap_usd;
}

static void on_done(void *context, syn_status st, const char *sentence)
{
    syn_live_asking *a = context;
    char both[2 * ERROR_BYTES];
    snprintf(both, sizeof both, "%s%s%s%s", sentence, *a->error ? " (" : "", a->error,
             *a->error ? ")" : "");
    syn_live_piece cited[SYN_TEAM_ITEMS_MAX];
    syn_live_reply reply = {.status = st,
                            .sentence = both,
                            .answer = {.answer = "", .short_answer = ""},
                            .entropy = NAN,
                            .cost_known = true,
                            .stopped_by = "failed"};
    syn_live_note_cap(&reply, a->tokens_cap, a->cost_cap_usd);
    if (st == SYN_OK)
        read_reply(syn_drive_reply(a->drive), cited, &reply);
    else
        add_spent(&a->spent, &reply);
    a->done(a->context, &reply);
}

static syn_status start_team(const syn_live_ask *ask, syn_live_asking *a)
{
    const syn_live_plan *plan = ask->plan;
    const syn_decider turns = syn_live_turns_decider();
    syn_round_config config = *ask->config;
    config.cognitive_gaps = ask->policy != SYN_LIVE_BROADCAST;
    config.ask = ask->policy == SYN_LIVE_ASKER ? SYN_ASK_ASKER : SYN_ASK_ALL;
    syn_drive_options o = {.round = &config,
                           .deciders = plan->deciders,
                           .decider = ask->policy == SYN_LIVE_ROUND_ROBIN ? &turns : NULL,
                           .providers = plan->agents_are->providers,
                           .calibrations = plan->agents_are->calibrations,
                           .loop = ask->loop,
                           .llm = ask->llm,
                           .tag = ask->tag,
                           .notice = on_notice,
                           .called = on_called,
                           .done = on_done,
                           .context = a};
    for (int i = 0; i < config.agents; i++) o.agent[i] = plan->agents_are->agent;
    return syn_drive_start(&o, &a->drive);
}

/* An asker to whom nothing can move is one agent too. */
static bool asks_one(const syn_live_ask *ask)
{
    return syn_live_policy_is_alone(ask->policy) ||
           (ask->policy == SYN_LIVE_ASKER && ask->config->document_count == 0);
}

syn_status syn_live_ask_start(const syn_live_ask *ask, syn_live_asking **out)
{
    syn_status st;
    *out = NULL;
    syn_live_asking *a = calloc(1, sizeof *a);
    if (!a) return syn_fail(SYN_ERR_MEMORY, "out of memory for a question");
    a->done = ask->done;
    a->context = ask->context;
    a->plan = ask->plan;
    a->tokens_cap = ask->config->tokens_cap;
    a->cost_cap_usd = ask->config->cost_cap_usd;
    a->spent.cost_known = true;
    if (asks_one(ask))
        st = syn_live_solo_start(ask, &a->solo);
    else
        st = start_team(ask, a);
    if (st == SYN_OK)
        *out = a;
    else
        free(a);
    return st;
}

void syn_live_ask_free(syn_live_asking *a)
{
    if (!a) return;
    syn_live_solo_free(a->solo);
    syn_drive_free(a->drive);
    free(a);
}
