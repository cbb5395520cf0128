/* One question of a benchmark: its teams and its lone agents are asked one after the other, so that
 * self-consistency knows what the learned policy has taken. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/live_private.h"

enum { ARENA_BYTES_MAX = 256 << 20 };

struct syn_live_question {
    syn_live_eval *eval;
    int place; /* in eval->question */
    syn_live_bench *bench;
    syn_question *question; /* own copy */
    int64_t number;
    int size, policy;       /* under way: of the plan's sizes, of the policies */
    int64_t learned_tokens; /* of this size; 0: unknown */
    syn_arena arena;        /* texts of what is asked */
    bool has_arena;
    syn_round_config config;
    char tag[512];
    syn_live_room room;      /* what it may take */
    syn_live_asking *asking; /* NULL: none is under way, */
    bool waits;              /* as the caps have no room yet */
};

static syn_live_asked asked_of(const syn_live_question *q)
{
    const syn_live_plan *plan = q->eval->plan;
    return (syn_live_asked){.plan = plan,
                            .bench = q->bench,
                            .question = q->question,
                            .number = q->number,
                            .policy = (syn_live_policy)q->policy,
                            .agents = plan->agents[q->size],
                            .tag = q->tag};
}

static const syn_live_known *known(const syn_live_question *q, int size, int policy)
{
    const uint64_t key =
        syn_live_key(syn_live_benchmark(q->bench), q->question->id,
                     syn_live_policy_name((syn_live_policy)policy), q->eval->plan->agents[size]);
    const syn_live_known *k = syn_live_records_find(&q->eval->records, key);
    return k && !k->failed ? k : NULL;
}

/* Moves to the next one that has to be asked, the one at hand included; false: there is none. */
static bool find_next(syn_live_question *q)
{
    const syn_live_plan *plan = q->eval->plan;
    for (; q->size < plan->agent_counts; q->size++, q->policy = 0) {
        for (; q->policy < SYN_LIVE_POLICY_COUNT; q->policy++) {
            if (q->policy == 0) q->learned_tokens = 0;
            if (!(plan->policies >> q->policy & 1)) continue;
            if (!syn_live_policy_is_asked((syn_live_policy)q->policy, q->bench)) continue;
            const syn_live_known *k = known(q, q->size, q->policy);
            if (!k) return true;
            if (q->policy == SYN_LIVE_LEARNED) q->learned_tokens = k->tokens;
        }
    }
    return false;
}

static void drop_asking(syn_live_question *q)
{
    if (q->asking) syn_live_release(q->eval, &q->room);
    syn_live_ask_free(q->asking);
    q->asking = NULL;
    if (q->has_arena) syn_arena_free(&q->arena);
    q->has_arena = false;
}

/* What its calls have taken is kept, as that of an answer that has failed. */
static void give_up(syn_live_question *q)
{
    const syn_live_asked asked = asked_of(q);
    json_t *line = NULL;
    syn_live_reply reply = {.status = SYN_ERR_INTERRUPTED,
                            .sentence = "the run was stopped before it had ended",
                            .answer = {.answer = "", .short_answer = ""},
                            .entropy = NAN,
                            .cost_known = true,
                            .stopped_by = "failed"};
    syn_live_ask_spent(q->asking, &reply);
    if (reply.prompt_tokens + reply.completion_tokens == 0) return;
    /* Where the disk is full the run has been stopped for it, and the sentence stays that. */
    if (syn_live_line(&asked, &reply, &line) == SYN_OK)
        (void)!syn_live_records_add(&q->eval->records, line);
    json_decref(line);
}

void syn_live_question_free(syn_live_question *q)
{
    if (!q) return;
    if (q->asking) give_up(q);
    drop_asking(q);
    q->eval->question[q->place] = NULL;
    q->eval->open--;
    free(q->question);
    free(q);
}

/* The asking that has ended is freed first: another one may begin, or the question be over. */
static void take(syn_live_question *q, const syn_live_reply *reply)
{
    syn_live_eval *e = q->eval;
    const syn_live_asked asked = asked_of(q);
    syn_live_take(e, &asked, reply);
    syn_live_learn(e, &q->room, reply);
    if (reply->status == SYN_OK && q->policy == SYN_LIVE_LEARNED)
        q->learned_tokens = reply->prompt_tokens + reply->completion_tokens;
    drop_asking(q);
    /* What was cut short is asked again with more room; not beside a tape, which knows the first
     * asking of a process by its tag alone: there it is for the next one. */
    if (!reply->capped || e->plan->tape) q->policy++;
}

static void on_done(void *context, const syn_live_reply *reply)
{
    syn_live_question *q = context;
    syn_live_eval *e = q->eval;
    take(q, reply);
    syn_live_question_go(q);
    syn_live_go_on(e); /* others may have waited for it */
}

/* A cap on cost needs prices. */
static void set_caps(const syn_live_question *q, syn_round_config *c)
{
    const syn_agents *who = q->eval->plan->agents_are;
    double in, out;
    c->tokens_cap = q->room.tokens;
    if (syn_provider_price(who->providers, who->agent.provider, who->agent.model, &in, &out))
        c->cost_cap_usd = q->room.usd;
}

static syn_status make_config(syn_live_question *q)
{
    const syn_live_plan *plan = q->eval->plan;
    const bool alone = syn_live_policy_is_alone((syn_live_policy)q->policy);
    syn_round_config *c = &q->config;
    syn_arena_init(&q->arena, ARENA_BYTES_MAX);
    q->has_arena = true;
    syn_round_config_defaults(c);
    c->rounds_max = plan->rounds_max;
    c->temperature = plan->temperature;
    c->timeout_s = plan->timeout_s;
    c->reply_tokens_max = plan->reply_tokens_max;
    set_caps(q, c);
    return syn_live_task_make(q->bench, q->question, alone ? 1 : plan->agents[q->size], &q->arena,
                              c);
}

static syn_status start(syn_live_question *q)
{
    syn_live_eval *e = q->eval;
    SYN_RETURN_IF(make_config(q));
    snprintf(q->tag, sizeof q->tag, "%s/%s/%d/%s", syn_live_benchmark(q->bench), q->question->id,
             e->plan->agents[q->size], syn_live_policy_name((syn_live_policy)q->policy));
    const syn_live_ask ask = {.plan = e->plan,
                              .policy = (syn_live_policy)q->policy,
                              .config = &q->config,
                              .tag = q->tag,
                              .tokens = q->learned_tokens,
                              .loop = &e->loop,
                              .llm = e->llm,
                              .done = on_done,
                              .context = q};
    SYN_RETURN_IF(syn_live_ask_start(&ask, &q->asking));
    syn_live_hold(e, &q->room);
    return SYN_OK;
}

/* A question that cannot be asked, too long for a round say, is a failed answer. */
static void take_unasked(syn_live_question *q, syn_status st)
{
    syn_live_reply reply = {.status = st,
                            .sentence = syn_error_text(),
                            .answer = {.answer = "", .short_answer = ""},
                            .entropy = NAN,
                            .cost_known = true,
                            .unasked = true,
                            .stopped_by = "failed"};
    syn_live_note_cap(&reply, q->config.tokens_cap, q->config.cost_cap_usd);
    if (st == SYN_ERR_MEMORY || st == SYN_ERR_DEVICE)
        syn_live_stop(q->eval, true, st, "%s", syn_error_text());
    else
        take(q, &reply);
}

void syn_live_question_go(syn_live_question *q)
{
    syn_live_eval *e = q->eval;
    q->waits = false;
    while (!q->asking) {
        syn_live_may may = SYN_LIVE_NO_MORE;
        if (!e->stopping && find_next(q)) may = syn_live_find_room(e, &q->room);
        if (may == SYN_LIVE_WAIT) {
            q->waits = true;
            return;
        }
        if (may == SYN_LIVE_NO_MORE) {
            syn_live_question_free(q);
            syn_live_go_on(e);
            return;
        }
        const syn_status st = start(q);
        if (st == SYN_OK) return;
        drop_asking(q);
        take_unasked(q, st);
    }
}

bool syn_live_question_waits(const syn_live_question *q)
{
    return q->waits;
}

syn_status syn_live_question_begin(syn_live_eval *e, int place, syn_live_bench *bench,
                                   const syn_question *question, int64_t number,
                                   syn_live_question **out)
{
    *out = NULL;
    syn_live_question *q = calloc(1, sizeof *q);
    if (!q) return syn_fail(SYN_ERR_MEMORY, "out of memory for a question");
    *q = (syn_live_question){.eval = e, .place = place, .bench = bench, .number = number};
    const syn_status st = syn_question_copy(question, &q->question);
    if (st != SYN_OK || !find_next(q)) {
        free(q->question);
        free(q);
        return st;
    }
    *out = q;
    return SYN_OK;
}
