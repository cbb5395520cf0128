#include "serve/drive.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/base/progress.h"
#include "serve/drive_internal.h"

/* A call to a model that is under way. */
typedef struct open_call {
    syn_drive *drive;
    syn_llm_ticket *ticket; /* NULL: the place is free */
    syn_round_call call;
} open_call;

struct syn_drive {
    syn_drive_options o; /* round is not kept */
    syn_round *round;
    syn_decider decider;
    syn_drive_member member;
    uv_timer_t timer;
    double timer_s; /* for when it is set */
    open_call open[SYN_AGENTS_MAX];
    int extractions; /* on the pool */
    bool going, ended, freed, timer_closed, verbatim;
    bool told;           /* a piece of a model's final answer was handed on */
    const char *failure; /* the last error of the whole, "": none */
    char *traceparent, *tag, *models[SYN_AGENTS_MAX + 1];
    syn_answer_stream answer;
    const json_t *final_message;
    char final_finish[16];
    syn_llm_usage final_usage;
};

static void pump(syn_drive *d);

/* ---- life ---- */

static void destroy_parts(syn_drive *d)
{
    syn_round_destroy(d->round);
    json_decref((json_t *)d->final_message);
    json_decref((json_t *)d->o.final_chat);
    for (int k = 0; k <= SYN_AGENTS_MAX; k++) free(d->models[k]);
    free(d->traceparent);
    free(d->tag);
    free(d);
}

/* Gone once neither the loop nor the pool knows it: after every function of ours that was on the
 * stack when it was freed. */
static void settle(syn_drive *d)
{
    if (d->freed && d->timer_closed && d->extractions == 0) destroy_parts(d);
}

static void on_timer_closed(uv_handle_t *handle)
{
    syn_drive *d = handle->data;
    d->timer_closed = true;
    settle(d);
}

static void cancel_calls(syn_drive *d)
{
    for (int k = 0; k < SYN_AGENTS_MAX; k++) {
        if (d->open[k].ticket) syn_llm_cancel(d->open[k].ticket);
        d->open[k].ticket = NULL;
    }
}

void syn_drive_free(syn_drive *d)
{
    if (!d || d->freed) return;
    d->freed = true;
    cancel_calls(d);
    syn_decider_free(&d->decider);
    syn_drive_leave(&d->member);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

/* ---- what is handed on ---- */

/* Callbacks may free the drive: false then. */
static bool hand_on_notices(syn_drive *d)
{
    syn_notice n;
    while (!d->freed && syn_round_next_notice(d->round, &n)) {
        const syn_round_reply *reply =
            n.type == SYN_NOTICE_FINAL_ANSWER ? syn_round_result(d->round) : NULL;
        if (n.type == SYN_NOTICE_ERROR && n.agent < 0) d->failure = n.text;
        if (d->o.notice) d->o.notice(d->o.context, &n, reply);
    }
    return !d->freed;
}

static void end(syn_drive *d, syn_status st)
{
    char sentence[512] = "";
    if (st != SYN_OK) snprintf(sentence, sizeof sentence, "%s", d->failure);
    d->ended = true;
    cancel_calls(d);
    uv_timer_stop(&d->timer);
    if (d->o.done) d->o.done(d->o.context, st, sentence);
}

/* What this piece of a JSON reply adds to its answer, NUL-terminated; free() it. */
static char *answer_of(syn_answer_stream *s, const char *piece)
{
    size_t bytes = strlen(piece);
    char *text = malloc(3 * bytes + 8);
    if (text) text[syn_answer_feed(s, piece, bytes, text)] = 0;
    return text;
}

static void hand_on_delta(syn_drive *d, const syn_llm_delta *delta)
{
    if (d->verbatim || !delta->text) {
        d->told = d->told || delta->text || delta->tool_calls;
        d->o.final_delta(d->o.context, delta);
        return;
    }
    char *text = answer_of(&d->answer, delta->text);
    if (text && *text) {
        d->told = true;
        d->o.final_delta(d->o.context, &(syn_llm_delta){.text = text});
    }
    free(text);
}

static void on_delta(void *context, const syn_llm_delta *delta)
{
    syn_drive *d = ((open_call *)context)->drive;
    hand_on_delta(d, delta);
}

/* ---- calls to models ---- */

static const syn_drive_agent *agent_of(const syn_drive *d, const syn_round_call *call)
{
    return call->purpose == SYN_CALL_ANSWER ? &d->o.agent[call->agent] : &d->o.aggregator;
}

static void keep_final(syn_drive *d, const syn_llm_reply *reply)
{
    json_decref((json_t *)d->final_message);
    d->final_message = NULL;
    if (!reply->message) return;
    d->final_message = json_incref((json_t *)reply->message);
    snprintf(d->final_finish, sizeof d->final_finish, "%s", reply->finish);
    d->final_usage = reply->usage;
}

static void on_reply(void *context, const syn_llm_reply *reply)
{
    open_call *c = context;
    syn_drive *d = c->drive;
    const syn_round_call call = c->call;
    c->ticket = NULL;
    if (call.purpose == SYN_CALL_FINAL) keep_final(d, reply);
    if (d->o.called) d->o.called(d->o.context, &call, agent_of(d, &call), reply);
    if (!d->freed) {
        const syn_call_result result = {.text = reply->text,
                                        .error = reply->error,
                                        .prompt_tokens = reply->usage.prompt,
                                        .completion_tokens = reply->usage.completion,
                                        .cost_usd = reply->usage.cost_usd};
        (void)!syn_round_call_done(d->round, syn_clock_s(), call.id, &result);
        pump(d);
    }
}

/* The final call as a chat request with what was asked of it alone. New reference. */
static json_t *final_chat(const syn_drive *d, const syn_round_call *call)
{
    json_t *own = json_copy((json_t *)d->o.final_chat);
    json_t *chat =
        json_pack("{s:[{s:s, s:s}, {s:s, s:s}], s:I, s:f}", "messages", "role", "system", "content",
                  call->system, "role", "user", "content", call->user, "max_tokens",
                  (json_int_t)call->max_tokens, "temperature", call->temperature);
    json_object_del(own, "messages");
    if (json_object_get(own, "max_completion_tokens")) json_object_del(chat, "max_tokens");
    if (chat && json_object_update(chat, own) != 0) {
        json_decref(chat);
        chat = NULL;
    }
    json_decref(own);
    return chat;
}

/* The call's on a tape; free() it. NULL: out of memory. */
static char *tag_of(const syn_drive *d, const syn_round_call *call)
{
    static const char *const purpose[] = {[SYN_CALL_ANSWER] = "answer",
                                          [SYN_CALL_FINAL] = "final",
                                          [SYN_CALL_PARTITION] = "partition"};
    char *tag;
    return asprintf(&tag, "%s/%s/%d/%d", d->tag, purpose[call->purpose], call->agent + 1,
                    call->round) < 0
               ? NULL
               : tag;
}

static syn_status submit(syn_drive *d, const syn_round_call *call)
{
    const syn_drive_agent *agent = agent_of(d, call);
    bool final = call->purpose == SYN_CALL_FINAL;
    const bool streams = final && call->last && d->o.stream_final && d->o.final_delta;
    open_call *c = d->open;
    while (c->ticket) c++; /* no round has more open than there are places */
    *c = (open_call){.drive = d, .call = *call};
    json_t *chat = final && d->o.final_chat ? final_chat(d, call) : NULL;
    char *tag = d->tag ? tag_of(d, call) : NULL;
    if ((final && d->o.final_chat && !chat) || (d->tag && !tag)) {
        json_decref(chat);
        free(tag);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a call");
    }
    const syn_llm_call request = {.provider = agent->provider,
                                  .model = agent->model,
                                  .system = call->system,
                                  .user = call->user,
                                  .max_tokens = call->max_tokens,
                                  .temperature = call->temperature,
                                  .chat = chat,
                                  .timeout_s = call->deadline_s - syn_clock_s(),
                                  .traceparent = d->traceparent,
                                  .tag = tag,
                                  .delta = streams ? on_delta : NULL,
                                  .done = on_reply,
                                  .context = c};
    syn_status st = syn_llm_submit(d->o.llm, &request, &c->ticket);
    json_decref(chat);
    free(tag);
    return st;
}

/* ---- extractive agents ---- */

/* A final answer that is streamed is one piece. */
static void stream_extracted(syn_drive *d, const char *text)
{
    syn_answer_stream whole = {0};
    char *answer = answer_of(&whole, text);
    if (answer && *answer) d->o.final_delta(d->o.context, &(syn_llm_delta){.text = answer});
    free(answer);
}

static void take_extracted(syn_drive *d, const syn_round_call *call, const char *text,
                           const char *error)
{
    bool final = call->purpose == SYN_CALL_FINAL && call->last && text;
    if (final && d->o.stream_final && d->o.final_delta) stream_extracted(d, text);
    if (d->freed) return;
    const syn_call_result result = {.text = text, .error = error, .cost_usd = 0};
    (void)!syn_round_call_done(d->round, syn_clock_s(), call->id, &result);
}

static void on_extracted(void *user, syn_extraction *e)
{
    syn_drive *d = user;
    d->extractions--;
    for (int k = 0; k < syn_extraction_count(e) && !d->freed && !d->ended; k++) {
        const char *text, *error;
        const syn_round_call *call = syn_extraction_result(e, k, &text, &error);
        take_extracted(d, call, text, error);
    }
    syn_extraction_free(e);
    if (d->freed)
        settle(d);
    else
        pump(d);
}

/* ---- the round ---- */

static void fail_call(syn_drive *d, const syn_round_call *call)
{
    const syn_call_result failed = {
        .error = syn_error_text(), .prompt_tokens = -1, .completion_tokens = -1, .cost_usd = 0};
    (void)!syn_round_call_done(d->round, syn_clock_s(), call->id, &failed);
}

/* Makes all calls that the round wants; false when there was none. */
static bool make_calls(syn_drive *d)
{
    syn_extraction *e = NULL;
    syn_round_call call;
    bool any = false;
    for (; syn_round_next_call(d->round, &call); any = true) {
        bool pool = agent_of(d, &call)->provider->dialect == SYN_DIALECT_EXTRACTIVE;
        if (!pool) {
            if (submit(d, &call) != SYN_OK) fail_call(d, &call);
            continue;
        }
        if (!e) e = syn_extraction_begin(&call);
        if (e)
            syn_extraction_add(e, &call);
        else {
            (void)!syn_fail(SYN_ERR_MEMORY, "out of memory for an extractive agent");
            fail_call(d, &call);
        }
    }
    if (!e) return any;
    if (syn_extraction_start(e, d->o.loop, on_extracted, d) == SYN_OK) {
        d->extractions++;
        return any;
    }
    for (int k = 0; k < syn_extraction_count(e); k++) {
        const char *text, *error;
        fail_call(d, syn_extraction_result(e, k, &text, &error));
    }
    syn_extraction_free(e);
    return any;
}

static void on_timer(uv_timer_t *timer);

/* Does all that can be done without waiting. */
static void pump(syn_drive *d)
{
    syn_status st;
    for (bool any = true; any && !d->freed && !d->ended;) {
        any = make_calls(d);
        if (!hand_on_notices(d)) break;
        if (syn_round_finished(d->round, &st)) end(d, st);
    }
    if (!d->freed && !d->ended && d->timer_s != syn_round_wake_s(d->round)) {
        double wait_s = fmax(syn_round_wake_s(d->round) - syn_clock_s(), 0);
        d->timer_s = syn_round_wake_s(d->round);
        uv_timer_start(&d->timer, on_timer, (uint64_t)ceil(1000 * wait_s), 0);
    }
}

/* The deadline is near, or a decider is ready: it is asked again where it was before the drive
 * went.
 */
static void tick(void *user)
{
    syn_drive *d = user;
    if (!d->going || d->ended) return;
    (void)!syn_round_tick(d->round, syn_clock_s());
    pump(d);
}

static void on_timer(uv_timer_t *timer)
{
    syn_drive *d = timer->data;
    d->timer_s = -1;
    tick(d);
}

/* ---- start ---- */

static syn_status keep_agent(syn_drive *d, int place, syn_drive_agent *agent,
                             syn_round_agent *priced)
{
    if (agent->model && *agent->model) {
        d->models[place] = strdup(agent->model);
        if (!d->models[place]) return syn_fail(SYN_ERR_MEMORY, "out of memory for a collaboration");
    }
    agent->model = d->models[place];
    SYN_REQUIRE(agent->provider && agent->provider->ready, "an agent's provider has no key");
    SYN_REQUIRE(agent->provider->dialect == SYN_DIALECT_EXTRACTIVE || d->o.llm,
                "agents that are models need a client");
    priced->provider = agent->provider->name;
    priced->model = agent->model ? agent->model : agent->provider->model;
    priced->price_known = syn_provider_price(d->o.providers, agent->provider, agent->model,
                                             &priced->prompt_usd, &priced->completion_usd);
    if (priced->calibration == 0)
        priced->calibration = syn_calibration_of(
            d->o.calibrations, syn_calibrated_name(agent->provider, agent->model));
    return SYN_OK;
}

syn_status syn_drive_prepare(syn_drive *d, const syn_round_config *given)
{
    syn_round_config config = *given;
    if (!d->o.aggregator.provider) d->o.aggregator = d->o.agent[0];
    for (int i = 0; i < config.agents && i < SYN_AGENTS_MAX; i++)
        SYN_RETURN_IF(keep_agent(d, i, &d->o.agent[i], &config.agent[i]));
    SYN_RETURN_IF(keep_agent(d, SYN_AGENTS_MAX, &d->o.aggregator, &config.aggregator));
    config.aggregator_is_model = d->o.aggregator.provider->dialect != SYN_DIALECT_EXTRACTIVE;
    if (config.cognitive_gaps && d->o.deciders && !d->o.decider)
        SYN_RETURN_IF(syn_decider_make(d->o.deciders, syn_drive_ring, &d->member, &d->decider));
    if (config.started_unix_s == 0) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        config.started_unix_s = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    }
    const syn_decider *decider = d->decider.observe ? &d->decider : d->o.decider;
    return syn_round_create(&config, decider, syn_clock_s(), &d->round);
}

syn_status syn_drive_make(const syn_drive_options *options, syn_drive **out)
{
    *out = NULL;
    syn_drive *d = calloc(1, sizeof *d);
    if (!d) return syn_fail(SYN_ERR_MEMORY, "out of memory for a collaboration");
    d->o = *options;
    d->o.round = NULL;
    d->o.final_chat = json_incref((json_t *)options->final_chat);
    d->o.traceparent = d->o.tag = NULL;
    d->verbatim = options->round->final_verbatim;
    d->failure = "the collaboration failed";
    d->timer_s = -1;
    d->member.woken = tick;
    d->member.user = d;
    if (options->traceparent) d->traceparent = strdup(options->traceparent);
    if (options->tag) d->tag = strdup(options->tag);
    syn_status st = syn_drive_join(options->loop, &d->member);
    if (st != SYN_OK || uv_timer_init(options->loop, &d->timer) != 0) {
        destroy_parts(d);
        return st;
    }
    d->timer.data = d;
    *out = d;
    return SYN_OK;
}

void syn_drive_go(syn_drive *d)
{
    d->going = true;
    syn_drive_ring(&d->member); /* callbacks never come within this */
}

syn_status syn_drive_start(const syn_drive_options *options, syn_drive **out)
{
    SYN_RETURN_IF(syn_drive_make(options, out));
    const syn_status st = syn_drive_prepare(*out, options->round);
    if (st == SYN_OK) {
        syn_drive_go(*out);
        return SYN_OK;
    }
    syn_drive_free(*out);
    *out = NULL;
    return st;
}

const syn_round_reply *syn_drive_reply(const syn_drive *d)
{
    return d && d->round ? syn_round_result(d->round) : NULL;
}

bool syn_drive_final(const syn_drive *d, const json_t **message, const char **finish,
                     syn_llm_usage *usage)
{
    if (!d->final_message) return false;
    *message = d->final_message;
    *finish = d->final_finish;
    *usage = d->final_usage;
    return true;
}

bool syn_drive_final_broke(const syn_drive *d)
{
    return d->told && !d->final_message;
}
