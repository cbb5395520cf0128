/* What stays of a collaboration: its reply, a record in the history, an event in the audit log, and
 * what is counted. */
#include <stdlib.h>
#include <string.h>

#include "kernels/base/progress.h"
#include "serve/collaboration_internal.h"
#include "serve/json_text.h"
#include "serve/round_json.h"
#include "serve/words.h"

/* ---- the audit log ---- */

static json_t *audit_detail(const syn_collaboration *c, const syn_round_reply *r)
{
    json_t *detail = json_pack("{s:s, s:s, s:s, s:s}", "id", c->id, "session_id", c->session,
                               "task_type", c->task_type, "route", c->visit->rule->name);
    if (c->guarded) json_object_set_new(detail, "injection", syn_findings_json(&c->findings));
    if (!r) return detail;
    json_object_set_new(detail, "num_agents", json_integer(r->agents));
    json_object_set_new(detail, "num_rounds", json_integer(r->rounds));
    json_object_set_new(detail, "stopped_by", json_string(syn_stop_name(r->stopped_by)));
    json_object_set_new(detail, "total_tokens",
                        json_integer(r->prompt_tokens + r->completion_tokens));
    json_object_set_new(detail, "cost_usd", r->cost_known ? json_real(r->cost_usd) : json_null());
    return detail;
}

void syn_collaboration_audit(syn_collaboration *c, const char *outcome, const syn_round_reply *r)
{
    syn_visit_audit(c->visit, "collaborate", outcome, audit_detail(c, r));
}

static void count(const syn_collaboration *c, const syn_round_reply *r)
{
    syn_metrics *m = c->visit->worker->service->metrics;
    syn_metrics_add(m, SYN_METRIC_COLLABORATIONS, syn_stop_name(r->stopped_by), 1);
    syn_metrics_observe(m, SYN_METRIC_COLLABORATION_SECONDS, NULL, r->execution_s);
    syn_metrics_add(m, SYN_METRIC_ROUNDS, NULL, r->rounds);
    if (r->broadcast_messages)
        syn_metrics_add(m, SYN_METRIC_AGENT_MESSAGES, "broadcast", r->broadcast_messages);
    if (r->targeted_messages)
        syn_metrics_add(m, SYN_METRIC_AGENT_MESSAGES, "targeted", r->targeted_messages);
}

/* ---- the record ---- */

/* A reply above the store's limit is kept without its longest parts, and says so. */
static char *shortened(json_t *reply)
{
    static const char *const long_parts[] = {"dialogue_history", "agent_responses"};
    json_object_set_new(reply, "shortened", json_true());
    for (size_t k = 0; k < sizeof long_parts / sizeof *long_parts; k++)
        json_object_set_new(reply, long_parts[k], json_array());
    char *text = syn_json_text(reply, SYN_API_JSON);
    if (text && strlen(text) <= SYN_DB_REPLY_BYTES_MAX) return text;
    free(text);
    const char *answer = json_string_value(json_object_get(reply, "final_answer"));
    const size_t bytes = syn_utf8_prefix(answer ? answer : "", SYN_DB_TEXT_BYTES_MAX);
    json_object_set_new(reply, "final_answer", json_stringn(answer ? answer : "", bytes));
    return syn_json_text(reply, SYN_API_JSON);
}

static void stored(void *context, const syn_db_result *result)
{
    syn_collaboration *c = context;
    c->end.status = result->status;
    syn_metrics_observe(c->visit->worker->service->metrics, SYN_METRIC_STORE_SECONDS, "history_add",
                        syn_clock_s() - c->recorded_s);
    syn_visit_hop(&c->hop);
}

/* With its event: whoever finds the one on the disk finds the other. */
static syn_status add_record(syn_collaboration *c, const syn_round_reply *r, const char *text)
{
    const syn_visit *v = c->visit;
    syn_status st = SYN_OK;
    const size_t bytes = syn_utf8_prefix(r->final_answer, SYN_DB_TEXT_BYTES_MAX);
    char *answer = strndup(r->final_answer, bytes);
    if (!answer) return syn_fail(SYN_ERR_MEMORY, "out of memory for a record");
    const syn_db_record record = {.id = c->id,
                                  .org = v->caller.org,
                                  .owner = v->caller.key,
                                  .query = c->query,
                                  .final_answer = answer,
                                  .task_type = c->task_type,
                                  .reply = text,
                                  .confidence = r->confidence,
                                  .execution_time_s = r->execution_s,
                                  .num_agents = r->agents,
                                  .num_rounds = r->rounds,
                                  .created_ms = (int64_t)(r->unix_s * 1000),
                                  .session = c->session,
                                  .gaps_detected = r->gaps_detected,
                                  .information_gain = r->information_gain,
                                  .converged = r->convergence_achieved};
    c->recorded_s = syn_clock_s();
    char *detail = NULL;
    const syn_db_event event = syn_visit_event(v, "collaborate", "ok", audit_detail(c, r), &detail);
    st = syn_db_history_add_audited(v->worker->service->db, &record, &event, stored, c);
    free(detail);
    free(answer);
    return st;
}

/* The reply as it is sent and stored. NULL: out of memory. */
static json_t *reply_of(const syn_collaboration *c, const syn_round_reply *r)
{
    json_t *json = syn_reply_json(r);
    if (json_object_set_new(json, "id", json_string(c->id)) == 0 &&
        json_object_set_new(json, "query", json_string(c->query)) == 0 &&
        json_object_set_new(json, "task_type", json_string(c->task_type)) == 0 &&
        json_object_set_new(json, "injection",
                            c->guarded ? syn_findings_json(&c->findings) : json_null()) == 0)
        return json;
    json_decref(json);
    return NULL;
}

syn_status syn_collaboration_record(syn_collaboration *c, const syn_round_reply *r)
{
    syn_status st = SYN_OK;
    char *text = NULL;
    json_t *json = reply_of(c, r);
    if (!json) return syn_fail(SYN_ERR_MEMORY, "out of memory for a reply");
    c->text = syn_json_text(json, SYN_API_JSON);
    if (c->text && strlen(c->text) > SYN_DB_REPLY_BYTES_MAX) text = shortened(json);
    c->end.reply = r;
    c->end.text = c->text;
    c->end.text_bytes = c->text ? strlen(c->text) : 0;
    c->end.drive = c->drive;
    count(c, r);
    if (!c->text)
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for a reply");
    else
        st = add_record(c, r, text ? text : c->text);
    free(text);
    json_decref(json);
    return st;
}
