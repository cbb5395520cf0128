/* One agent with everything, asked once or several times: no team, no messages. Its pieces are cut
 * and its prompt is written by the same functions as a team's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/live_private.h"
#include "kernels/base/progress.h"
#include "serve/aggregate.h"
#include "serve/extractive.h"
#include "serve/prompt.h"

enum { SAMPLES = SYN_LIVE_SAMPLES_MAX, ARENA_BYTES_MAX = 64 << 20, ERROR_BYTES = 256 };

typedef struct sample {
    syn_live_solo *solo;
    syn_llm_ticket *ticket;
    char tag[512];
    syn_answer answer; /* given: it came */
} sample;

struct syn_live_solo {
    syn_live_ask ask;
    syn_arena arena;  /* prompt and answers */
    syn_round *round; /* owns the items' texts; is never run */
    syn_team team;
    syn_prompt prompt;
    int64_t prompt_tokens; /* estimated */
    syn_round_call call;
    bool extractive, verbatim, freed, working;
    double calibration; /* as a team's agents have it */
    uv_work_t work;
    uv_timer_t timer; /* the answer never comes within start */
    bool timer_closed;
    char *extracted;
    sample samples[SAMPLES];
    int wanted, asked, open;
    double begun_s;
    syn_live_reply reply;
    char error[ERROR_BYTES];
};

/* ---- life ---- */

static void settle(syn_live_solo *s)
{
    if (!s->freed || s->working || !s->timer_closed) return;
    syn_round_destroy(s->round);
    syn_arena_free(&s->arena);
    free(s->extracted);
    free(s);
}

static void on_closed(uv_handle_t *handle)
{
    syn_live_solo *s = handle->data;
    s->timer_closed = true;
    settle(s);
}

void syn_live_solo_free(syn_live_solo *s)
{
    if (!s || s->freed) return;
    s->freed = true;
    for (int k = 0; k < s->asked; k++)
        if (s->samples[k].ticket) syn_llm_cancel(s->samples[k].ticket);
    uv_close((uv_handle_t *)&s->timer, on_closed);
}

const syn_live_reply *syn_live_solo_spent(const syn_live_solo *s)
{
    return &s->reply;
}

/* ---- the end ---- */

/* The cluster with the most samples, of several the one that came first; -1: nobody knows. */
static int largest(const int *cluster, int n, int clusters, int *size)
{
    int best = -1;
    *size = 0;
    for (int c = 0; c < clusters; c++) {
        int count = 0;
        for (int k = 0; k < n; k++) count += cluster[k] == c;
        if (count <= *size) continue;
        best = c;
        *size = count;
    }
    return best;
}

static syn_status cluster(syn_live_solo *s, int *of, int *clusters)
{
    const char *texts[SAMPLES];
    for (int k = 0; k < s->asked; k++) {
        const syn_answer *a = &s->samples[k].answer;
        texts[k] = !a->given ? "" : s->verbatim ? a->text : a->short_text;
        of[k] = a->given && (s->verbatim || !syn_no_answer(texts[k])) ? 0 : -1;
    }
    if (s->verbatim) return syn_cluster_texts(s->asked, texts, of, clusters);
    *clusters = syn_cluster_answers(s->asked, texts, of);
    return SYN_OK;
}

static double entropy(const int *cluster, int n, int clusters)
{
    double h = 0;
    int in = 0;
    for (int k = 0; k < n; k++) in += cluster[k] >= 0;
    if (n < 2) return NAN;
    if (!in) return 1;
    for (int c = 0; c < clusters; c++) {
        double p = 0;
        for (int k = 0; k < n; k++) p += cluster[k] == c;
        p /= in;
        if (p > 0) h -= p * log(p);
    }
    return h / log(n);
}

static void cite(syn_live_solo *s, uint64_t support, syn_live_piece *cited)
{
    syn_live_answer *a = &s->reply.answer;
    a->cited = cited;
    for (int k = 0; k < s->team.item_count; k++)
        if (support >> k & 1)
            cited[a->cited_count++] =
                (syn_live_piece){s->team.items[k].title, s->team.items[k].text};
}

/* One sample speaks for all that agree with it. Of a single one the confidence is what it says, of
 * several the share that agrees. */
static syn_status choose(syn_live_solo *s, syn_live_piece *cited, syn_answer *said)
{
    int of[SAMPLES], clusters = 0, size, given = 0;
    const syn_answer *speaker = NULL;
    SYN_RETURN_IF(cluster(s, of, &clusters));
    const int best = largest(of, s->asked, clusters, &size);
    for (int k = 0; k < s->asked; k++) {
        syn_answer *a = &s->samples[k].answer;
        if (!a->given) continue;
        a->cluster = of[k];
        if (!speaker || (a->cluster == best && speaker->cluster != best)) speaker = a;
        said[given++] = *a;
    }
    syn_live_reply *r = &s->reply;
    r->said = said;
    r->said_count = given;
    r->entropy = entropy(of, s->asked, clusters);
    r->answer.answer = speaker->text;
    r->answer.short_answer = speaker->short_text;
    r->answer.abstained = best < 0;
    r->confidence = given > 1 ? (double)size / given : speaker->confidence;
    if (best < 0) r->confidence = .01;
    cite(s, speaker->support, cited);
    return SYN_OK;
}

static void finish(syn_live_solo *s)
{
    syn_live_piece cited[SYN_TEAM_ITEMS_MAX];
    syn_answer said[SAMPLES];
    syn_live_reply *r = &s->reply;
    int given = 0;
    for (int k = 0; k < s->asked; k++) given += s->samples[k].answer.given;
    r->rounds = 1;
    r->samples = s->asked;
    r->failed = s->asked - given;
    r->latency_s = syn_clock_s() - s->begun_s;
    r->stopped_by = given ? "answered" : "failed";
    if (s->arena.failed)
        r->status = syn_fail(SYN_ERR_MEMORY, "an answer needs more than %d MiB of memory",
                             ARENA_BYTES_MAX >> 20);
    else if (given)
        r->status = choose(s, cited, said);
    else
        r->status = syn_fail(SYN_ERR_NETWORK, "%s", *s->error ? s->error : "nobody answered");
    if (r->status != SYN_OK) r->sentence = syn_error_text();
    s->ask.done(s->ask.context, r);
}

/* ---- what comes ---- */

static uint64_t support_of(const syn_team *team, const syn_parsed_reply *reply)
{
    uint64_t items = 0;
    for (int n = 0; n < reply->support_count; n++)
        for (int k = 0; k < team->item_count; k++)
            if (strcmp(team->items[k].id, reply->support[n]) == 0) items |= 1ull << k;
    return items;
}

static void take_text(syn_live_solo *s, int k, const char *text)
{
    syn_parsed_reply parsed;
    if (s->verbatim)
        syn_prompt_take_plain(&s->arena, text, &parsed);
    else
        syn_prompt_parse(&s->arena, text, &parsed);
    s->samples[k].answer =
        (syn_answer){.given = true,
                     .text = parsed.answer,
                     .short_text = parsed.short_answer,
                     .confidence = syn_calibrate_confidence(parsed.confidence, s->calibration),
                     .cluster = -1,
                     .support = support_of(&s->team, &parsed)};
}

/* What a sample may take at most, as far as that is known before it is asked. */
static void reserve(const syn_live_solo *s, double *tokens, double *usd)
{
    const syn_agents *who = s->ask.plan->agents_are;
    const double out = (double)s->ask.config->reply_tokens_max;
    double in_usd, out_usd;
    *tokens = (double)s->prompt_tokens + out;
    *usd =
        syn_provider_price(who->providers, who->agent.provider, who->agent.model, &in_usd, &out_usd)
            ? (double)s->prompt_tokens * in_usd + out * out_usd
            : 0;
}

/* The caps have room for one more sample beside those that are under way. */
static bool has_room(syn_live_solo *s)
{
    const syn_round_config *c = s->ask.config;
    syn_live_reply *r = &s->reply;
    double tokens, usd;
    reserve(s, &tokens, &usd);
    tokens = (s->open + 1) * tokens + (double)(r->prompt_tokens + r->completion_tokens);
    usd = (s->open + 1) * usd + r->cost_usd;
    if (tokens > (double)r->peak_tokens) r->peak_tokens = (int64_t)tokens;
    if (usd > r->peak_usd) r->peak_usd = usd;
    return (c->tokens_cap <= 0 || tokens <= (double)c->tokens_cap) &&
           (!(c->cost_cap_usd > 0) || usd <= c->cost_cap_usd + 1e-12);
}

/* How often the agent is asked in all, once it is known what asking it takes. */
static int samples_for(const syn_live_solo *s)
{
    const int64_t each = s->reply.prompt_tokens + s->reply.completion_tokens;
    if (s->ask.policy != SYN_LIVE_SELF_CONSISTENCY || s->extractive) return 1;
    if (s->ask.tokens <= 0 || each <= 0) return SYN_LIVE_SAMPLES_DEFAULT;
    const double wanted = round((double)s->ask.tokens / (double)each);
    return wanted < 1 ? 1 : wanted > SAMPLES ? SAMPLES : (int)wanted;
}

static void ask_once(syn_live_solo *s);

static void on_reply(void *context, const syn_llm_reply *reply)
{
    sample *p = context;
    syn_live_solo *s = p->solo;
    p->ticket = NULL;
    s->open--;
    syn_live_add_call(s->ask.plan, s->prompt_tokens, reply, &s->reply);
    if (reply->text)
        take_text(s, (int)(p - s->samples), reply->text);
    else
        snprintf(s->error, sizeof s->error, "%s", reply->error);
    if (s->asked == 1) {
        s->wanted = reply->text ? samples_for(s) : 1;
        while (s->asked < s->wanted && !s->reply.capped) ask_once(s);
    }
    if (s->open == 0) finish(s);
}

/* A sample that cannot even be asked has failed. */
static void ask_once(syn_live_solo *s)
{
    const syn_live_plan *plan = s->ask.plan;
    s->reply.capped = !has_room(s);
    if (s->reply.capped) return;
    sample *p = &s->samples[s->asked++];
    p->solo = s;
    snprintf(p->tag, sizeof p->tag, "%s/sample %d", s->ask.tag, s->asked);
    const syn_llm_call call = {.provider = plan->agents_are->agent.provider,
                               .model = plan->agents_are->agent.model,
                               .system = s->prompt.system,
                               .user = s->prompt.user,
                               .max_tokens = s->ask.config->reply_tokens_max,
                               .temperature = s->ask.config->temperature,
                               .timeout_s = s->ask.config->timeout_s,
                               .tag = p->tag,
                               .done = on_reply,
                               .context = p};
    if (syn_llm_submit(s->ask.llm, &call, &p->ticket) == SYN_OK)
        s->open++;
    else
        snprintf(s->error, sizeof s->error, "%s", syn_error_text());
}

/* ---- extractive agents, on the pool ---- */

static void on_work(uv_work_t *work)
{
    syn_live_solo *s = work->data;
    if (syn_extractive_reply(&s->call, &s->extracted) != SYN_OK)
        snprintf(s->error, sizeof s->error, "%s", syn_error_text());
}

static void on_worked(uv_work_t *work, int status)
{
    syn_live_solo *s = work->data;
    (void)status; /* it is never cancelled */
    s->working = false;
    if (s->freed) {
        settle(s);
        return;
    }
    s->reply.calls = 1;
    if (s->extracted) take_text(s, 0, s->extracted);
    finish(s);
}

static void on_timer(uv_timer_t *timer)
{
    syn_live_solo *s = timer->data;
    if (!s->extractive) {
        ask_once(s);
        if (s->open == 0) finish(s);
        return;
    }
    s->asked = 1;
    s->work.data = s;
    s->working = uv_queue_work(s->ask.loop, &s->work, on_work, on_worked) == 0;
    if (!s->working) finish(s);
}

/* ---- start ---- */

/* A round of two, of whom the first holds everything, cuts the documents into pieces and makes the
 * team; the second is left out of it. */
static syn_status make_team(syn_live_solo *s)
{
    syn_round_config config = *s->ask.config;
    syn_round_document *all =
        syn_arena_alloc(&s->arena, sizeof *all * (size_t)(config.document_count + 1));
    if (!all) return syn_fail(SYN_ERR_MEMORY, "out of memory for a question");
    for (int k = 0; k < config.document_count; k++) {
        all[k] = config.documents[k];
        all[k].agents = 1;
    }
    config.documents = all;
    config.agents = 2;
    config.cognitive_gaps = false;
    config.rounds_min = 0;
    config.tokens_cap = 0; /* of the samples, which this round does not make */
    config.cost_cap_usd = 0;
    SYN_RETURN_IF(syn_round_create(&config, NULL, 0, &s->round));
    if (!syn_round_next_call(s->round, &s->call))
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a question");
    s->team = *s->call.team;
    s->team.agents = 1;
    return SYN_OK;
}

static void make_prompt(syn_live_solo *s)
{
    static const syn_answer none[SYN_AGENTS_MAX];
    syn_round_config config = *s->ask.config;
    if (!config.agent[0].name) config.agent[0].name = "agent 1";
    s->prompt = s->verbatim ? syn_prompt_final(&s->arena, &config, &s->team, none, true)
                            : syn_prompt_answer(&s->arena, &config, &s->team, none, 0);
    s->prompt_tokens = syn_prompt_tokens(s->prompt.system) + syn_prompt_tokens(s->prompt.user);
    s->call.team = &s->team;
    s->call.answers = none;
}

syn_status syn_live_solo_start(const syn_live_ask *ask, syn_live_solo **out)
{
    *out = NULL;
    syn_live_solo *s = calloc(1, sizeof *s);
    if (!s) return syn_fail(SYN_ERR_MEMORY, "out of memory for a question");
    s->ask = *ask;
    s->extractive = ask->plan->agents_are->agent.provider->dialect == SYN_DIALECT_EXTRACTIVE;
    s->verbatim = ask->config->final_verbatim && !s->extractive;
    s->calibration = syn_calibration_of(ask->plan->agents_are->calibrations,
                                        syn_calibrated_name(ask->plan->agents_are->agent.provider,
                                                            ask->plan->agents_are->agent.model));
    s->begun_s = syn_clock_s();
    s->reply = (syn_live_reply){
        .answer = {.answer = "", .short_answer = ""}, .cost_known = true, .entropy = NAN};
    syn_arena_init(&s->arena, ARENA_BYTES_MAX);
    syn_status st = make_team(s);
    if (st == SYN_OK) make_prompt(s);
    if (st == SYN_OK && s->arena.failed)
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for a question");
    if (st == SYN_OK && uv_timer_init(ask->loop, &s->timer) != 0)
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for a question");
    if (st != SYN_OK) {
        s->freed = s->timer_closed = true;
        settle(s);
        return st;
    }
    s->timer.data = s;
    uv_timer_start(&s->timer, on_timer, 0, 0);
    *out = s;
    return SYN_OK;
}
