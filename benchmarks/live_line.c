/* One answer as a line of OUT.records.jsonl. */
#include <math.h>
#include <string.h>

#include "benchmarks/live_private.h"
#include "serve/aggregate.h"
#include "serve/words.h"

enum {
    QUESTION_BYTES = 300,
    MESSAGE_BYTES = 400,
    ANSWER_BYTES = 16 * 1024,
    SHORT_ANSWER_BYTES = 1024,
    ENTRIES_MAX = 300 /* of a dialogue */
};

/* ---- JSON ---- */

static json_t *cut(const char *text, size_t bytes)
{
    return json_stringn(text, syn_utf8_prefix(text, bytes));
}

static json_t *rounded(double x)
{
    return isfinite(x) ? json_real(round(x * 1e6) / 1e6) : json_null();
}

static json_t *agent_or_all(int agent)
{
    return agent < 0 ? json_null() : json_integer(agent + 1);
}

/* Takes the value; NULL, or no memory, gives up the whole. */
static void put(json_t **object, const char *name, json_t *value)
{
    if (json_object_set_new(*object, name, value) == 0) return;
    json_decref(*object);
    *object = NULL;
}

static void append(json_t **list, json_t *value)
{
    if (json_array_append_new(*list, value) == 0) return;
    json_decref(*list);
    *list = NULL;
}

static json_t *dialogue_json(const syn_live_reply *r)
{
    json_t *list = json_array();
    for (int k = 0; k < r->dialogue_count && k < ENTRIES_MAX; k++) {
        const syn_dialogue_entry *e = &r->dialogue[k];
        append(&list, json_pack("{s:i, s:i, s:o, s:s, s:o}", "round", e->round, "agent_id",
                                e->agent + 1, "to", agent_or_all(e->to), "message_type",
                                e->message_type, "message", cut(e->message, MESSAGE_BYTES)));
    }
    return list;
}

/* ---- how sure the agents were, and how right ---- */

static json_t *stated_json(const syn_live_asked *q, const syn_live_reply *r)
{
    json_t *list = json_array();
    /* MultiWOZ: agents answer each other there; only the last call writes what is judged. */
    if (q->question->task ||
        syn_live_proves_path_only(syn_live_benchmark(q->bench), !syn_live_model(q->plan)))
        return list;
    for (int k = 0; k < r->said_count; k++) {
        const syn_answer *a = &r->said[k];
        syn_live_verdict verdict = {0};
        /* Who does not know states no confidence in an answer. */
        if (!a->given || syn_no_answer(a->short_text)) continue;
        const syn_live_answer own = {.answer = a->text, .short_answer = a->short_text};
        if (syn_live_judge(q->bench, q->question, &own, &verdict) == SYN_OK)
            append(&list, json_pack("[o, i]", rounded(a->confidence), (int)verdict.correct));
        syn_live_verdict_free(&verdict);
    }
    return list;
}

/* ---- who answered ---- */

static json_t *agents_json(const syn_live_asked *q)
{
    const int count = syn_live_policy_is_alone(q->policy) ? 1 : q->agents;
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        append(&list, json_pack("{s:s, s:s?}", "provider", syn_live_provider(q->plan), "model",
                                syn_live_model(q->plan)));
    return list;
}

/* ---- the line ---- */

static json_t *begin(const syn_live_asked *q, const syn_live_reply *r)
{
    const syn_question *question = q->question;
    const char *benchmark = syn_live_benchmark(q->bench);
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:i, s:I, s:s, s:s, s:s}", "benchmark", benchmark, "id",
                  question->id, "policy", syn_live_policy_name(q->policy), "num_agents", q->agents,
                  "number", (json_int_t)q->number, "stratum", syn_live_stratum(question), "domain",
                  question->domain, "group", *question->context ? question->context : question->id);
    put(&j, "question", cut(question->question, QUESTION_BYTES));
    put(&j, "answer", cut(r->answer.answer, ANSWER_BYTES));
    put(&j, "short_answer", cut(r->answer.short_answer, SHORT_ANSWER_BYTES));
    put(&j, "abstained", json_boolean(r->answer.abstained));
    put(&j, "error", r->status == SYN_OK ? json_null() : json_string(r->sentence));
    put(&j, "agents", agents_json(q));
    return j;
}

static void add_figures(json_t **j, const syn_live_reply *r)
{
    put(j, "confidence", rounded(r->confidence));
    put(j, "rounds", json_integer(r->rounds));
    put(j, "messages", json_integer(r->messages));
    put(j, "broadcast_messages", json_integer(r->broadcast_messages));
    put(j, "targeted_messages", json_integer(r->targeted_messages));
    put(j, "calls", json_integer(r->calls));
    put(j, "failed_calls", json_integer(r->failed));
    put(j, "prompt_tokens", json_integer(r->prompt_tokens));
    put(j, "completion_tokens", json_integer(r->completion_tokens));
    put(j, "cost_usd", r->cost_known ? json_real(round(r->cost_usd * 1e9) / 1e9) : json_null());
    put(j, "latency_s", rounded(r->latency_s));
    put(j, "converged", json_boolean(r->converged));
    put(j, "entropy", rounded(r->entropy));
    put(j, "gaps", json_integer(r->gaps));
    put(j, "stopped_by", json_string(r->stopped_by));
}

static void add_verdict(json_t **j, const syn_live_verdict *v)
{
    put(j, "correct", json_integer(v->correct));
    put(j, "score", json_real(v->score));
    put(j, "unparsed", json_boolean(v->unparsed));
    put(j, "prediction", v->prediction ? json_incref(v->prediction) : json_null());
    put(j, "metrics", v->metrics ? json_incref(v->metrics) : json_null());
}

syn_status syn_live_line(const syn_live_asked *q, const syn_live_reply *r, json_t **out)
{
    syn_live_verdict verdict = {0};
    *out = NULL;
    if (r->status == SYN_OK)
        SYN_RETURN_IF(syn_live_judge(q->bench, q->question, &r->answer, &verdict));
    json_t *j = begin(q, r);
    add_verdict(&j, &verdict);
    add_figures(&j, r);
    /* Paid for, but no answer: whoever reads the file for figures passes over other kinds. */
    if (r->capped || r->status == SYN_ERR_INTERRUPTED) put(&j, "kind", json_string("unfinished"));
    put(&j, "stated", stated_json(q, r));
    if (syn_live_policy_is_alone(q->policy)) put(&j, "samples", json_integer(r->samples));
    if (q->number < SYN_LIVE_DIALOGUE_QUESTIONS && r->dialogue_count > 0)
        put(&j, "dialogue", dialogue_json(r));
    syn_live_verdict_free(&verdict);
    *out = j;
    return j ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for an answer");
}
