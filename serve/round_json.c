#include "serve/round_json.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

void syn_timestamp(double unix_s, char *out)
{
    int64_t ms = (int64_t)floor(unix_s * 1000 + .5);
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 32 - n, ".%03dZ", (int)(ms % 1000));
}

static json_t *timestamp(double unix_s)
{
    char text[32];
    syn_timestamp(unix_s, text);
    return json_string(text);
}

static json_t *rounded(double x)
{
    return json_real(round(x * 1e6) / 1e6);
}

static json_t *judged(double x)
{
    return x < 0 ? json_null() : rounded(x);
}

static json_t *agent_or_null(int agent)
{
    return agent < 0 ? json_null() : json_integer(agent + 1);
}

/* Takes the value. A list that would lack one is given up: no answer goes out with a part of it. */
static void append(json_t **list, json_t *value)
{
    if (json_array_append_new(*list, value) == 0) return;
    json_decref(*list);
    *list = NULL;
}

static json_t *metrics_json(const syn_round_reply *r)
{
    return json_pack("{s:i, s:i, s:i, s:o, s:i, s:o, s:b, s:o}", "total_messages", r->messages,
                     "broadcast_messages", r->broadcast_messages, "targeted_messages",
                     r->targeted_messages, "consensus_score", rounded(r->consensus_score),
                     "cognitive_gaps_detected", r->gaps_detected, "information_gain",
                     rounded(r->information_gain), "convergence_achieved", r->convergence_achieved,
                     "final_entropy", rounded(r->final_entropy));
}

static json_t *text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

static json_t *answered_by_json(const syn_round_agent *agent)
{
    if (!agent || !agent->provider) return json_null();
    return json_pack("{s:s, s:o}", "provider", agent->provider, "model",
                     text_or_null(agent->model));
}

static json_t *responses_json(const syn_round_reply *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->agents; i++) {
        const syn_answer *a = &r->answers[i];
        if (!a->given) continue;
        append(&list,
               json_pack("{s:i, s:s, s:o, s:o, s:s, s:s, s:o, s:o}", "agent_id", i + 1, "name",
                         r->agent_name[i], "provider", text_or_null(r->agent[i].provider), "model",
                         text_or_null(r->agent[i].model), "response", a->text, "short_answer",
                         a->short_text, "confidence", rounded(a->confidence), "contribution_score",
                         rounded(a->weight)));
    }
    return list;
}

static json_t *dialogue_json(const syn_round_reply *r)
{
    json_t *list = json_array();
    for (int k = 0; k < r->dialogue_count; k++) {
        const syn_dialogue_entry *e = &r->dialogue[k];
        append(&list,
               json_pack("{s:i, s:i, s:o, s:s, s:s, s:o}", "round", e->round, "agent_id",
                         e->agent + 1, "to", agent_or_null(e->to), "message_type", e->message_type,
                         "message", e->message, "timestamp", timestamp(e->unix_s)));
    }
    return list;
}

static json_t *usage_json(const syn_round_reply *r)
{
    return json_pack("{s:I, s:I, s:I, s:i, s:o}", "prompt_tokens", (json_int_t)r->prompt_tokens,
                     "completion_tokens", (json_int_t)r->completion_tokens, "total_tokens",
                     (json_int_t)(r->prompt_tokens + r->completion_tokens), "calls", r->llm_calls,
                     "cost_usd",
                     r->cost_known ? json_real(round(r->cost_usd * 1e9) / 1e9) : json_null());
}

static json_t *failed_json(const syn_round_reply *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->agents; i++)
        if (r->agents_failed >> i & 1) append(&list, json_integer(i + 1));
    return list;
}

static json_t *skipped_json(const syn_round_reply *r)
{
    json_t *list = json_array();
    for (int k = 0; k < r->skipped_count; k++)
        append(&list, json_pack("{s:s, s:i}", "document", r->skipped[k].document, "part",
                                r->skipped[k].part));
    return list;
}

json_t *syn_reply_json(const syn_round_reply *r)
{
    json_t *j =
        json_pack("{s:s, s:s, s:o, s:i, s:i, s:o, s:o, s:o, s:o}", "final_answer", r->final_answer,
                  "short_answer", r->short_answer, "confidence", rounded(r->confidence),
                  "num_rounds", r->rounds, "agents_used", r->agents_used, "collaboration_metrics",
                  metrics_json(r), "agent_responses", responses_json(r), "dialogue_history",
                  dialogue_json(r), "usage", usage_json(r));
    json_t *rest = json_pack(
        "{s:o, s:s, s:s, s:b, s:s?, s:s, s:o, s:o, s:o, s:o, s:o, s:s?}", "answered_by",
        answered_by_json(r->answered_by), "policy", r->policy, "mode",
        r->grounded ? "grounded" : "open", "abstained", r->abstained, "missing",
        r->abstained ? r->missing : NULL, "stopped_by", syn_stop_name(r->stopped_by),
        "agents_failed", failed_json(r), "skipped_pieces", skipped_json(r), "sufficiency",
        judged(r->sufficiency), "execution_time_seconds", rounded(r->execution_s), "timestamp",
        timestamp(r->unix_s), "session_id", *r->session_id ? r->session_id : NULL);
    if (!j || !rest || json_object_update(j, rest) != 0) {
        json_decref(j);
        j = NULL;
    }
    json_decref(rest);
    return j;
}

static json_t *gaps_json(const syn_notice *n)
{
    json_t *rows = json_array();
    for (int i = 0; i < n->agents; i++) {
        json_t *row = json_array();
        for (int j = 0; j < n->agents; j++) append(&row, rounded((double)n->gaps[i][j]));
        append(&rows, row);
    }
    return rows;
}

static json_t *body_json(const syn_notice *n, const syn_round_reply *reply)
{
    switch (n->type) {
    case SYN_NOTICE_SESSION:
        return json_pack("{s:s, s:s?}", "type", "session", "session_id", *n->text ? n->text : NULL);
    case SYN_NOTICE_ROUND:
        return json_pack("{s:s}", "type", "round");
    case SYN_NOTICE_AGENT_RESPONSE:
        return json_pack("{s:s, s:i, s:s, s:o}", "type", "agent_response", "agent_id", n->agent + 1,
                         "message", n->text, "confidence", rounded(n->confidence));
    case SYN_NOTICE_GAPS:
        return json_pack("{s:s, s:o, s:o}", "type", "gaps", "gaps", gaps_json(n), "sufficiency",
                         judged(n->sufficiency));
    case SYN_NOTICE_MESSAGE:
        return json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:o}", "type", "message", "from",
                         agent_or_null(n->from), "to", agent_or_null(n->to), "kind",
                         syn_action_name(n->kind), "item", n->item_id, "text", n->text,
                         "probability", rounded(n->probability));
    case SYN_NOTICE_CONVERGENCE:
        return json_pack("{s:s, s:o, s:o, s:i}", "type", "convergence", "entropy",
                         rounded(n->entropy), "sufficiency", judged(n->sufficiency), "clusters",
                         n->clusters);
    case SYN_NOTICE_FINAL_ANSWER:
        return json_pack("{s:s, s:s, s:o}", "type", "final_answer", "answer", n->text, "reply",
                         reply ? syn_reply_json(reply) : json_null());
    case SYN_NOTICE_ERROR:
        break;
    }
    return json_pack("{s:s, s:o, s:s}", "type", "error", "agent_id", agent_or_null(n->agent),
                     "detail", n->text);
}

json_t *syn_notice_json(const syn_notice *notice, const syn_round_reply *reply)
{
    json_t *j = body_json(notice, reply);
    if (!j) return NULL;
    if (json_object_set_new(j, "round", json_integer(notice->round)) != 0 ||
        json_object_set_new(j, "timestamp", timestamp(notice->unix_s)) != 0) {
        json_decref(j);
        return NULL;
    }
    return j;
}
