/* A team of agents as a model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/openai_internal.h"

/* ---- the rounds as reasoning ---- */

static void message_line(const syn_notice *n, char *out, size_t bytes)
{
    const int from = n->from + 1, to = n->to + 1;
    switch (n->kind) {
    case SYN_SEND:
        snprintf(out, bytes, "Agent %d tells agent %d: ", from, to);
        break;
    case SYN_REQUEST:
        snprintf(out, bytes, "Agent %d asks agent %d, who tells: ", from, to);
        break;
    case SYN_BROADCAST:
        snprintf(out, bytes, "Agent %d tells all: ", from);
        break;
    case SYN_ALONE:
        snprintf(out, bytes, "Agent %d thinks again.", from);
        break;
    case SYN_ANSWER:
        snprintf(out, bytes, "The team answers.");
        break;
    case SYN_ABSTAIN:
        snprintf(out, bytes, "The team abstains.");
        break;
    case SYN_NO_ACTION:
        snprintf(out, bytes, "Nothing more to tell.");
        break;
    }
}

/* What is put before the notice's text; false: it is not told. */
static bool notice_line(const syn_notice *n, char *out, size_t bytes)
{
    *out = 0;
    switch (n->type) {
    case SYN_NOTICE_ROUND:
        snprintf(out, bytes, "Round %d", n->round);
        return true;
    case SYN_NOTICE_AGENT_RESPONSE:
        snprintf(out, bytes, "Agent %d (%.2f): ", n->agent + 1, n->confidence);
        return true;
    case SYN_NOTICE_MESSAGE:
        message_line(n, out, bytes);
        return true;
    case SYN_NOTICE_CONVERGENCE:
        snprintf(out, bytes, "Entropy %.2f, %d answer%s", n->entropy, n->clusters,
                 n->clusters == 1 ? "" : "s");
        return true;
    case SYN_NOTICE_ERROR:
        if (n->agent < 0) return false;
        snprintf(out, bytes, "Agent %d failed: ", n->agent + 1);
        return true;
    case SYN_NOTICE_SESSION:
    case SYN_NOTICE_GAPS:
    case SYN_NOTICE_FINAL_ANSWER:
        break;
    }
    return false;
}

static void on_notice(void *context, const syn_notice *n)
{
    syn_chat *c = context;
    char line[160];
    if (!notice_line(n, line, sizeof line)) return;
    const char *text = n->text && n->type != SYN_NOTICE_ROUND ? n->text : "";
    size_t bytes = strlen(line) + strlen(text) + 2;
    char *whole = malloc(bytes);
    if (!whole) return;
    snprintf(whole, bytes, "%s%s\n", line, text);
    syn_chat_stream_delta(c->stream, &(syn_llm_delta){.reasoning = whole});
    free(whole);
}

/* The final call's own reasoning is told where the rounds are. */
static void on_delta(void *context, const syn_llm_delta *delta)
{
    syn_chat *c = context;
    syn_llm_delta told = *delta;
    if (!c->events) told.reasoning = NULL;
    syn_chat_stream_delta(c->stream, &told);
}

/* ---- the end ---- */

static syn_llm_usage usage_of(const syn_round_reply *reply)
{
    return (syn_llm_usage){.prompt = reply->prompt_tokens,
                           .completion = reply->completion_tokens,
                           .cost_usd = reply->cost_known ? reply->cost_usd : -1};
}

static json_t *completion_of(const syn_chat *c, const syn_collaboration_end *end)
{
    const json_t *message = NULL;
    const char *finish = "stop";
    syn_llm_usage share = {.cost_usd = 0};
    json_t *own = NULL;
    const bool said = syn_drive_final(end->drive, &message, &finish, &share) && message;
    if (!said || end->reply->abstained) {
        own = syn_chat_says(end->reply->final_answer);
        message = own;
        finish = "stop";
    }
    const syn_chat_answer answer = {
        .message = message, .finish = finish, .usage = usage_of(end->reply), .final = &share};
    json_t *completion = message ? syn_chat_completion(&c->head, &answer) : NULL;
    json_decref(own);
    return completion;
}

static void fail(syn_chat *c, const syn_collaboration_end *end)
{
    if (c->stream && syn_chat_stream_begun(c->stream)) {
        syn_chat_fail(c, end->http_status, NULL, -1, end->sentence);
        return;
    }
    syn_collaboration_refuse(c->visit, end);
    syn_chat_forget(c);
}

static void on_done(void *context, const syn_collaboration_end *end)
{
    syn_chat *c = context;
    if (c->cancelled)
        syn_chat_leave(c);
    else if (end->status == SYN_OK && c->stream && syn_drive_final_broke(end->drive))
        syn_chat_fail(c, end->reply->stopped_by == SYN_STOP_DEADLINE ? 504 : 502, NULL, -1,
                      "The final answer broke off.");
    else if (end->status == SYN_OK)
        syn_chat_answer_with(c, completion_of(c, end), NULL);
    else
        fail(c, end);
}

/* ---- the call ---- */

void syn_chat_ask_team(syn_chat *c, const syn_chat_route *route)
{
    syn_chat_fault fault = {0};
    json_t *body = syn_chat_collaborate(&c->request, c->body, route->agents, route->team, &fault);
    if (!body) {
        syn_chat_refuse_with(c, &fault);
        return;
    }
    char *dialogue = syn_chat_dialogue(&c->request);
    c->events = c->stream && c->request.events;
    const syn_collaboration_hooks hooks = {.final_chat = c->final_chat,
                                           .stream_final = c->stream != NULL,
                                           .final_verbatim = true,
                                           .dialogue = dialogue,
                                           .notice = c->events ? on_notice : NULL,
                                           .final_delta = c->stream ? on_delta : NULL,
                                           .done = on_done,
                                           .context = c};
    bool begun = syn_collaboration_start(c->visit, body, &hooks, &c->team);
    json_decref(body);
    free(dialogue);
    json_decref(c->body);
    c->body = NULL;
    c->request = (syn_chat_request){0};
    if (!begun) syn_chat_forget(c);
}
