#include "serve/collaboration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "serve/called.h"
#include "serve/collaboration_internal.h"
#include "serve/dialogue.h"
#include "serve/json_text.h"
#include "serve/prompt.h"

/* ---- the end ---- */

static void forget_request(syn_collaboration *c)
{
    syn_api_request_free(&c->request);
    json_decref(c->body);
    free(c->dialogue);
    c->body = NULL;
    c->dialogue = NULL;
}

static void cancel(syn_collaboration *c, const char *sentence);

static void on_stopping(void *owner)
{
    cancel(owner, "the service is stopping; ask again");
}

void syn_collaboration_free(syn_collaboration *c)
{
    if (!c) return;
    forget_request(c);
    syn_drive_free(c->drive);
    free(c->query);
    free(c->text);
    syn_stop_watch_end(&c->watch);
}

static void fail_with(syn_collaboration *c, syn_status st, int http_status, const char *sentence)
{
    snprintf(c->sentence, sizeof c->sentence, "%s", sentence);
    c->end =
        (syn_collaboration_end){.status = st, .http_status = http_status, .sentence = c->sentence};
}

/* The field that a sentence about the request begins with, NULL: none. */
static const char *field_of(syn_collaboration *c, const char *sentence)
{
    static const char *const names[] = {"caps", "config", "documents", "query", "context"};
    const size_t bytes = strcspn(sentence, " :");
    if (bytes >= sizeof c->field) return NULL;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (strncmp(sentence, names[k], strlen(names[k])) != 0) continue;
        snprintf(c->field, sizeof c->field, "%.*s", (int)bytes, sentence);
        return c->field;
    }
    return NULL;
}

/* What a failure of the round means to the caller, who is told nothing of the inside. */
static void explain(syn_collaboration *c, syn_status st, const char *sentence)
{
    if (st == SYN_ERR_INVALID) {
        fail_with(c, st, 400, sentence);
        c->end.field = field_of(c, sentence);
    } else if (st == SYN_ERR_NETWORK) {
        fail_with(c, st, 502,
                  "no agent answered: every call to the providers of language models failed");
    } else if (st == SYN_ERR_LIMIT) {
        fail_with(c, st, 504, sentence);
    } else {
        syn_log(SYN_LOG_ERROR, "request %s: the collaboration failed: %s", c->visit->request->id,
                sentence);
        fail_with(c, st, 500, "the collaboration failed");
    }
}

/* What is counted and written down of one without a reply: "failed" or "cancelled". */
static void note_end(syn_collaboration *c, const char *outcome)
{
    syn_metrics *m = c->visit->worker->service->metrics;
    syn_metrics_add(m, SYN_METRIC_COLLABORATIONS, outcome, 1);
    syn_metrics_observe(m, SYN_METRIC_COLLABORATION_SECONDS, NULL, syn_clock_s() - c->begun_s);
    syn_collaboration_audit(c, outcome, NULL);
}

/* Calls `done`, after which c may be gone. */
static void finish(syn_collaboration *c)
{
    c->stage = SYN_COLLABORATION_OVER;
    atomic_fetch_sub(&c->visit->worker->service->collaborations, 1);
    c->hooks.done(c->hooks.context, &c->end);
}

static void on_recorded(syn_hop *hop)
{
    syn_collaboration *c = (syn_collaboration *)hop;
    if (c->end.status == SYN_OK) {
        c->end.http_status = 200;
        c->end.sentence = "";
    } else {
        fail_with(c, c->end.status, 503, "the answer could not be written to the history");
    }
    finish(c);
}

static void on_failed(syn_hop *hop)
{
    finish((syn_collaboration *)hop);
}

/* `done` comes from the loop, not from within the call that has failed. */
static void finish_later(syn_collaboration *c)
{
    c->stage = SYN_COLLABORATION_WAITS;
    c->hop.run = on_failed;
    syn_visit_hop(&c->hop);
}

/* ---- the team at work ---- */

static void look_at_message(syn_collaboration *c, const syn_notice *n)
{
    char where[64];
    const bool answer = n->type == SYN_NOTICE_AGENT_RESPONSE;
    const bool claim = n->type == SYN_NOTICE_MESSAGE && n->item_id[0] == 'c';
    if (!c->guarded || (!answer && !claim)) return;
    snprintf(where, sizeof where, "agent %d, round %d", (answer ? n->agent : n->from) + 1,
             n->round);
    syn_findings_look(&c->findings, SYN_LOOKED_AT_MESSAGES, where, n->text);
}

/* "HOST: what happened": which machine a provider is on is not the caller's business. */
static const char *without_host(const char *sentence)
{
    const char *colon = strstr(sentence, ": ");
    return colon ? colon + 2 : sentence;
}

static void on_notice(void *context, const syn_notice *n, const syn_round_reply *reply)
{
    syn_collaboration *c = context;
    syn_notice told = *n;
    (void)reply;
    look_at_message(c, n);
    if (n->type == SYN_NOTICE_ERROR) told.text = without_host(n->text);
    const bool last =
        n->type == SYN_NOTICE_FINAL_ANSWER || (n->type == SYN_NOTICE_ERROR && n->agent < 0);
    if (!last && c->hooks.notice) c->hooks.notice(c->hooks.context, &told);
}

static void on_final_delta(void *context, const syn_llm_delta *delta)
{
    syn_collaboration *c = context;
    if (c->hooks.final_delta) c->hooks.final_delta(c->hooks.context, delta);
}

static void on_called(void *context, const syn_round_call *call, const syn_drive_agent *agent,
                      const syn_llm_reply *reply)
{
    syn_collaboration *c = context;
    (void)call;
    syn_visit_called(c->visit, agent->provider, agent->model, reply);
}

static void on_done(void *context, syn_status st, const char *sentence)
{
    syn_collaboration *c = context;
    const syn_round_reply *reply = st == SYN_OK ? syn_drive_reply(c->drive) : NULL;
    if (!reply) {
        explain(c, st, sentence);
        note_end(c, "failed");
        finish_later(c);
        return;
    }
    c->stage = SYN_COLLABORATION_WAITS;
    c->hop.run = on_recorded;
    st = syn_collaboration_record(c, reply);
    if (st == SYN_OK) return;
    syn_log(SYN_LOG_ERROR, "an answer was withheld because its record was not accepted: %s",
            syn_error_text());
    syn_collaboration_audit(c, SYN_DB_UNRECORDED, reply);
    fail_with(c, st, 503, "the answer could not be written to the history");
    finish_later(c);
}

/* What the final call is asked for beside its prompt counts against the caps. */
static syn_status reserve_final(const syn_collaboration *c, syn_round_config *round)
{
    const json_t *chat = c->hooks.final_chat;
    if (!chat) return SYN_OK;
    const json_t *tokens = json_object_get(chat, "max_completion_tokens");
    if (!json_is_integer(tokens)) tokens = json_object_get(chat, "max_tokens");
    round->final_tokens_max = json_integer_value(tokens);
    char *text = syn_json_text(chat, JSON_COMPACT);
    if (!text) return syn_fail(SYN_ERR_MEMORY, "out of memory for a collaboration");
    round->final_extra_tokens = syn_prompt_tokens(text);
    free(text);
    return SYN_OK;
}

/* The request's texts are copied by the round, and given up once it is made. */
static syn_status make_drive(syn_collaboration *c)
{
    const syn_worker *w = c->visit->worker;
    syn_api_request *r = &c->request;
    r->round.session_id = c->session;
    r->round.final_verbatim = c->hooks.final_verbatim;
    r->round.dialogue = c->dialogue;
    syn_drive_options o = {.round = &r->round,
                           .deciders = w->service->deciders,
                           .providers = w->service->providers,
                           .calibrations = w->service->calibrations,
                           .loop = syn_http_loop(w->server),
                           .llm = w->llm,
                           .aggregator = r->aggregator,
                           .final_chat = c->hooks.final_chat,
                           .stream_final = c->hooks.stream_final,
                           .traceparent = syn_visit_traceparent(c->visit),
                           .notice = on_notice,
                           .final_delta = on_final_delta,
                           .called = on_called,
                           .done = on_done,
                           .context = c};
    memcpy(o.agent, r->agent, sizeof o.agent);
    SYN_RETURN_IF(reserve_final(c, &r->round));
    return syn_drive_make(&o, &c->drive);
}

/* ---- the team is made ---- */

static void block(syn_collaboration *c)
{
    syn_metrics_add(c->visit->worker->service->metrics, SYN_METRIC_REFUSED, "guard", 1);
    syn_collaboration_audit(c, "blocked", NULL);
    fail_with(c, SYN_ERR_INVALID, 400,
              "this text looks like an attempt to instruct the agents, and such texts are refused "
              "here");
    c->end.field = c->findings.list[0].where;
}

static void on_prepared(syn_collaboration *c)
{
    char sentence[SYN_SENTENCE_BYTES];
    if (c->prepared_st == SYN_OK && !c->blocked) {
        forget_request(c);
        c->stage = SYN_COLLABORATION_RUNS;
        syn_drive_go(c->drive);
        if (c->hooks.begun) c->hooks.begun(c->hooks.context); /* c may be gone */
        return;
    }
    if (c->cancelled) {
        fail_with(c, SYN_ERR_INTERRUPTED, 503, c->cancelled);
        note_end(c, "cancelled");
    } else if (c->blocked) {
        block(c);
    } else {
        memcpy(sentence, c->sentence, sizeof sentence);
        explain(c, c->prepared_st, sentence);
        if (c->end.http_status >= 500) note_end(c, "failed");
    }
    finish(c);
}

/* Called on the loop, within start or not. */
static void prepare(syn_collaboration *c)
{
    syn_status st = make_drive(c);
    if (st == SYN_OK) st = syn_collaboration_prepare(c, on_prepared);
    if (st == SYN_OK) return;
    explain(c, st, syn_error_text());
    if (c->end.http_status >= 500) note_end(c, "failed");
    finish_later(c);
}

/* ---- the dialogue that is continued ---- */

static void on_dialogue(syn_hop *hop)
{
    syn_collaboration *c = (syn_collaboration *)hop;
    if (!c->cancelled && c->end.status == SYN_OK) {
        prepare(c);
        return;
    }
    if (c->cancelled)
        fail_with(c, SYN_ERR_INTERRUPTED, 503, c->cancelled);
    else
        fail_with(c, c->end.status, 503, "the dialogue could not be read");
    note_end(c, c->cancelled ? "cancelled" : "failed");
    finish(c);
}

static void take_dialogue(void *context, const syn_db_result *result)
{
    syn_collaboration *c = context;
    c->end.status = result->status;
    if (result->count > 0)
        c->dialogue = syn_dialogue_text(result->records, result->count,
                                        (size_t)c->request.round.context_bytes_max);
    if (result->count > 0 && !c->dialogue) c->end.status = SYN_ERR_MEMORY;
    syn_visit_hop(&c->hop);
}

static syn_status read_dialogue(syn_collaboration *c)
{
    const syn_visit *v = c->visit;
    c->stage = SYN_COLLABORATION_WAITS;
    c->hop.run = on_dialogue;
    return syn_db_session_read(v->worker->service->db, v->caller.org, v->caller.key, c->session,
                               SYN_DIALOGUE_TURNS_MAX, take_dialogue, c);
}

/* ---- the beginning ---- */

/* False: as many as there may be are under way. */
static bool enter(syn_service *s)
{
    if (atomic_fetch_add(&s->collaborations, 1) < s->settings.collaborations_max) return true;
    atomic_fetch_sub(&s->collaborations, 1);
    return false;
}

static syn_collaboration *make(syn_visit *v, json_t *body, const syn_collaboration_hooks *hooks,
                               const syn_api_request *request)
{
    syn_collaboration *c = calloc(1, sizeof *c);
    char *query = strdup(request->round.question);
    char *dialogue = hooks->dialogue ? strdup(hooks->dialogue) : NULL;
    if (!c || !query || (hooks->dialogue && !dialogue) || syn_db_id(c->id) != SYN_OK) {
        free(dialogue);
        free(query);
        free(c);
        return NULL;
    }
    c->visit = c->hop.visit = v;
    syn_stop_watch_begin(&c->watch, v->worker, on_stopping, free, c);
    c->hooks = *hooks;
    c->hooks.dialogue = NULL;
    c->begun_s = syn_clock_s();
    c->task_type = syn_task_types[request->round.task];
    c->query = query;
    c->dialogue = dialogue;
    c->dialogue_given = dialogue != NULL;
    c->body = json_incref(body);
    c->request = *request;
    snprintf(c->session, sizeof c->session, "%s",
             request->session_id ? request->session_id : c->id);
    return c;
}

static void begin(syn_collaboration *c)
{
    if (!c->request.session_id || c->dialogue) {
        prepare(c);
    } else if (read_dialogue(c) != SYN_OK) {
        fail_with(c, SYN_ERR_LIMIT, 503, "the dialogue could not be read");
        note_end(c, "failed");
        finish_later(c);
    }
}

bool syn_collaboration_start(syn_visit *v, json_t *body, const syn_collaboration_hooks *hooks,
                             syn_collaboration **out)
{
    const syn_service *s = v->worker->service;
    syn_api_request request;
    syn_field_fault fault;
    *out = NULL;
    if (!syn_api_request_read(body, &s->settings, s->providers, s->provider, &request, &fault)) {
        syn_visit_refuse(v, 400, fault.field, NULL, "%s: %s", fault.field, fault.message);
        return false;
    }
    syn_collaboration *c = make(v, body, hooks, &request);
    if (!c) {
        syn_api_request_free(&request);
        syn_visit_fail(v, SYN_ERR_MEMORY, "out of memory for a collaboration");
        return false;
    }
    if (!enter(v->worker->service)) {
        syn_metrics_add(s->metrics, SYN_METRIC_REFUSED, "overload", 1);
        syn_visit_later(v, 503, 1, "as many collaborations as there may be are under way");
        syn_collaboration_free(c);
        return false;
    }
    *out = c;
    begin(c);
    return true;
}

static void cancel(syn_collaboration *c, const char *sentence)
{
    if (c->cancelled) return;
    c->cancelled = sentence;
    if (c->stage != SYN_COLLABORATION_RUNS) {
        syn_collaboration_unprepare(c);
        return;
    }
    syn_drive_free(c->drive);
    c->drive = NULL;
    fail_with(c, SYN_ERR_INTERRUPTED, 503, sentence);
    note_end(c, "cancelled");
    finish(c);
}

void syn_collaboration_cancel(syn_collaboration *c)
{
    cancel(c, "the request was cancelled");
}

void syn_collaboration_refuse(syn_visit *v, const syn_collaboration_end *end)
{
    if (end->http_status == 503)
        syn_visit_later(v, 503, 1, "%s", end->sentence);
    else
        syn_visit_refuse(v, end->http_status, end->field, NULL, "%s", end->sentence);
}
