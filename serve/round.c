#include "serve/round.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/round_internal.h"
#include "serve/words.h"

/* ---- actions ---- */

const char *syn_action_name(syn_action_kind kind)
{
    static const char *const names[] = {"send",   "request", "broadcast", "alone",
                                        "answer", "abstain", "none"};
    return names[kind];
}

const char *syn_stop_name(syn_stop stop)
{
    static const char *const names[] = {"converged", "answered", "abstained", "max_rounds",
                                        "deadlock",  "cap",      "deadline"};
    return names[stop];
}

uint64_t syn_team_givable(const syn_team *team, int from, int to)
{
    return team->holds[from] & ~team->sent[from][to] & ~team->sent[to][from];
}

uint64_t syn_team_requestable(const syn_team *team, int from, int to)
{
    return syn_team_givable(team, to, from) & ~team->holds[from];
}

uint64_t syn_team_broadcastable(const syn_team *team, int from)
{
    uint64_t items = 0;
    for (int to = 0; to < team->agents; to++)
        if (to != from) items |= syn_team_givable(team, from, to);
    return items;
}

/* ---- creation ---- */

void syn_round_config_defaults(syn_round_config *config)
{
    memset(config, 0, sizeof *config);
    config->agents = 3;
    config->rounds_max = 5;
    config->cognitive_gaps = true;
    config->temperature = .7;
    config->convergence_threshold = .85;
    config->reply_tokens_max = 1024;
    config->context_bytes_max = 32 * 1024;
    config->timeout_s = 300;
}

static bool within(double x, double low, double high)
{
    return x >= low && x <= high;
}

static bool utf8(const char *text)
{
    return !text || syn_utf8_fault(text, strlen(text)) < 0;
}

static syn_status check_documents(const syn_round_config *c)
{
    size_t bytes = 0;
    SYN_REQUIRE(within(c->document_count, 0, SYN_ROUND_DOCUMENTS_MAX),
                "documents: %d are given, at most %d are read", c->document_count,
                SYN_ROUND_DOCUMENTS_MAX);
    for (int k = 0; k < c->document_count; k++) {
        const syn_round_document *d = &c->documents[k];
        SYN_REQUIRE(d->text && *d->text, "documents[%d].text is empty", k);
        SYN_REQUIRE(d->agents >> c->agents == 0, "documents[%d].agents names an agent above %d", k,
                    c->agents);
        bytes += strlen(d->text);
        SYN_REQUIRE(bytes <= SYN_ROUND_EVIDENCE_BYTES_MAX, "documents: more than %d bytes of text",
                    SYN_ROUND_EVIDENCE_BYTES_MAX);
    }
    return SYN_OK;
}

static syn_status check_prices(const syn_round_config *c)
{
    static const char needs[] = "caps.cost_usd needs the price of every model, and that of";
    if (!(c->cost_cap_usd > 0)) return SYN_OK;
    for (int i = 0; i < c->agents; i++)
        SYN_REQUIRE(c->agent[i].price_known, "%s agent %d is unknown", needs, i + 1);
    SYN_REQUIRE(c->aggregator.price_known, "%s the aggregator is unknown", needs);
    return SYN_OK;
}

static syn_status check(const syn_round_config *c, const syn_decider *decider)
{
    SYN_REQUIRE(c->question && c->question[strspn(c->question, " \t\r\n")], "query is empty");
    SYN_REQUIRE(strlen(c->question) <= SYN_ROUND_QUESTION_BYTES_MAX,
                "query is longer than %d bytes", SYN_ROUND_QUESTION_BYTES_MAX);
    SYN_REQUIRE(utf8(c->question), "query is not UTF-8");
    SYN_REQUIRE(utf8(c->context) && utf8(c->dialogue), "context is not UTF-8");
    SYN_REQUIRE(within(c->agents, 2, SYN_AGENTS_MAX), "num_agents is %d, not 2 to %d", c->agents,
                SYN_AGENTS_MAX);
    SYN_REQUIRE(within(c->rounds_max, 1, SYN_ROUND_MAX), "max_rounds is %d, not 1 to %d",
                c->rounds_max, SYN_ROUND_MAX);
    SYN_REQUIRE(within(c->rounds_min, 0, c->rounds_max),
                "config.min_rounds is %d, not 1 to max_rounds", c->rounds_min);
    SYN_REQUIRE(within(c->temperature, 0, 2), "config.temperature is not 0 to 2");
    SYN_REQUIRE(within(c->convergence_threshold, 0, 1),
                "config.convergence_threshold is not 0 to 1");
    SYN_REQUIRE(within((double)c->reply_tokens_max, 1, 1e6), "the reply's tokens are not 1 to 1e6");
    SYN_REQUIRE(within((double)c->final_tokens_max, 0, 1e6) && c->final_extra_tokens >= 0,
                "the final reply's tokens are not 0 to 1e6");
    SYN_REQUIRE(within((double)c->context_bytes_max, 0, 1 << 20),
                "config.max_context_length is not 0 to %d", 1 << 20);
    SYN_REQUIRE(c->messages_cap >= 0 && c->tokens_cap >= 0 && within(c->cost_cap_usd, 0, 1e9),
                "caps must not be negative");
    SYN_REQUIRE(within(c->timeout_s, 1e-3, 86400), "the timeout is not within a day");
    SYN_REQUIRE(decider || !c->cognitive_gaps, "a decider is needed to detect cognitive gaps");
    SYN_REQUIRE(c->ask == SYN_ASK_ALL || c->document_count > 0,
                "config.ask is asker, which needs documents that can move to it");
    SYN_RETURN_IF(check_prices(c));
    return check_documents(c);
}

static void copy_agent(syn_arena *a, syn_round_agent *agent, const char *fallback)
{
    agent->name = syn_arena_text(a, agent->name && *agent->name ? agent->name : fallback);
    agent->role = syn_arena_text(a, agent->role);
    agent->context = syn_arena_text(a, agent->context);
    if (agent->provider) agent->provider = syn_arena_text(a, agent->provider);
    if (agent->model) agent->model = syn_arena_text(a, agent->model);
}

static syn_status copy_config(syn_round *r, const syn_round_config *given)
{
    syn_arena *a = &r->arena;
    syn_round_config *c = &r->config;
    *c = *given;
    c->question = syn_arena_text(a, given->question);
    c->context = syn_arena_text(a, given->context);
    c->dialogue = syn_arena_text(a, given->dialogue);
    c->session_id = syn_arena_text(a, given->session_id);
    if (c->ask == SYN_ASK_ASKER) c->rounds_min = 1;
    if (c->rounds_min == 0) c->rounds_min = c->rounds_max < 2 ? c->rounds_max : 2;
    for (int i = 0; i < c->agents; i++) {
        char name[32];
        snprintf(name, sizeof name, "agent %d", i + 1);
        copy_agent(a, &c->agent[i], name);
    }
    copy_agent(a, &c->aggregator, c->agent[0].name);
    syn_round_document *docs = syn_arena_alloc(a, sizeof *docs * (size_t)(c->document_count + 1));
    for (int k = 0; docs && k < c->document_count; k++) {
        char id[32];
        snprintf(id, sizeof id, "d%d", k + 1);
        docs[k] = given->documents[k];
        docs[k].id = syn_arena_text(a, docs[k].id && *docs[k].id ? docs[k].id : id);
        docs[k].title = syn_arena_text(a, docs[k].title);
    }
    c->documents = docs;
    return a->failed ? syn_fail(SYN_ERR_MEMORY, "out of memory for the documents") : SYN_OK;
}

static void set_up_team(syn_round *r)
{
    const syn_round_config *c = &r->config;
    syn_team *t = &r->team;
    t->question = c->question;
    t->agents = c->agents;
    t->goal = c->document_count > 0 ? SYN_GOAL_ASKER : SYN_GOAL_CONSENSUS;
    t->rounds_max = c->rounds_max;
    t->messages_max = c->messages_cap;
    t->tokens_max = c->tokens_cap;
    for (int i = 0; i < c->agents; i++) {
        t->need[i] = "";
        r->answers[i] = (syn_answer){.text = "", .short_text = "", .cluster = -1};
        r->reply.agent_name[i] = c->agent[i].name;
    }
    r->reply.agent = c->agent;
    r->reply.session_id = c->session_id;
    r->reply.agents = c->agents;
    r->reply.team = t;
    r->reply.grounded = c->document_count > 0;
    r->reply.policy = !c->cognitive_gaps ? "broadcast" : r->decider.policy;
    r->reply.cost_known = true;
    r->reply.final_answer = r->reply.short_answer = r->reply.missing = "";
}

syn_status syn_round_create(const syn_round_config *config, const syn_decider *decider,
                            double now_s, syn_round **out)
{
    syn_status st;
    *out = NULL;
    SYN_RETURN_IF(check(config, decider));
    syn_round *r = calloc(1, sizeof *r);
    if (!r) return syn_fail(SYN_ERR_MEMORY, "out of memory for a collaboration");
    syn_arena_init(&r->arena, SYN_ROUND_ARENA_BYTES_MAX);
    if (decider) r->decider = *decider;
    r->created_s = r->now_s = now_s;
    r->deadline_s = now_s + config->timeout_s;
    r->call_id_next = 1;
    SYN_TRY(copy_config(r, config));
    set_up_team(r);
    SYN_TRY(syn_round_deal(r));
    r->config.documents = NULL; /* their texts are the caller's */
    r->team.turns_max = r->team.piece_count > 10 ? 2 * r->team.piece_count : 20;
    syn_round_notify(r, SYN_NOTICE_SESSION)->text = r->config.session_id;
    SYN_TRY(syn_round_tick(r, now_s));
    *out = r;
    return SYN_OK;
done:
    syn_round_destroy(r);
    return st;
}

void syn_round_destroy(syn_round *r)
{
    if (!r) return;
    syn_round_drop_calls(r);
    syn_arena_free(&r->arena);
    free(r->notes);
    free(r);
}

/* ---- notices and errors ---- */

double syn_round_unix(const syn_round *r)
{
    return r->config.started_unix_s + (r->now_s - r->created_s);
}

/* Room for one more that waits; those that have been read make room first. */
static syn_note *note_place(syn_round *r)
{
    if (r->note_read == r->note_count) r->note_read = r->note_count = 0;
    if (r->note_count < r->note_room) return &r->notes[r->note_count++];
    const int room = r->note_room ? 2 * r->note_room : 8;
    syn_note *grown = realloc(r->notes, sizeof *grown * (size_t)room);
    if (!grown) return NULL;
    r->notes = grown;
    r->note_room = room;
    return &r->notes[r->note_count++];
}

syn_note *syn_round_notify(syn_round *r, syn_notice_type type)
{
    static _Thread_local syn_note spare;
    syn_note *n = note_place(r);
    if (!n) {
        r->arena.failed = SYN_ERR_MEMORY;
        n = &spare;
    }
    *n = (syn_note){.type = type, .unix_s = syn_round_unix(r), .round = r->team.round};
    n->agent = n->from = n->to = -1;
    n->text = n->item_id = "";
    n->sufficiency = -1;
    return n;
}

void syn_round_end_decider(syn_round *r)
{
    if (r->decider.end) r->decider.end(r->decider.user);
    r->decider.end = NULL;
}

void syn_round_fail(syn_round *r, syn_status code, const char *sentence)
{
    snprintf(r->why, sizeof r->why, "%s", sentence);
    syn_round_end_decider(r);
    r->failure = code;
    r->stage = SYN_STAGE_DONE;
    syn_round_drop_calls(r);
    syn_round_notify(r, SYN_NOTICE_ERROR)->text = r->why;
    (void)syn_fail(code, "%s", r->why);
}

/* ---- events ---- */

/* Runs until something from outside is needed. */
static syn_status advance(syn_round *r)
{
    bool wait = false;
    while (r->stage != SYN_STAGE_DONE && !wait && !r->arena.failed) {
        if (r->open_count > 0) return SYN_OK;
        switch (r->stage) {
        case SYN_STAGE_ROUND:
            syn_round_begin(r);
            break;
        case SYN_STAGE_CALLS:
            SYN_RETURN_IF(syn_round_cluster(r));
            break;
        case SYN_STAGE_PHASE:
            SYN_RETURN_IF(syn_round_phase(r, &wait));
            break;
        case SYN_STAGE_JUDGE:
            if (r->config.ask == SYN_ASK_ASKER)
                syn_round_ask_asker(r);
            else
                syn_round_judge(r);
            break;
        case SYN_STAGE_PARTITION: /* these two end when their call does */
        case SYN_STAGE_FINAL:
        case SYN_STAGE_DONE:
            return SYN_OK;
        }
    }
    if (r->arena.failed)
        return syn_fail(SYN_ERR_MEMORY, "the collaboration needs more than %d MiB of memory",
                        SYN_ROUND_ARENA_BYTES_MAX >> 20);
    return SYN_OK;
}

static syn_status run(syn_round *r)
{
    if (r->stage == SYN_STAGE_DONE) return r->failure;
    syn_status st = r->now_s >= r->deadline_s ? syn_round_out_of_time(r) : advance(r);
    if (st != SYN_OK) syn_round_fail(r, st, syn_error_text());
    return r->failure;
}

syn_status syn_round_tick(syn_round *r, double now_s)
{
    if (now_s > r->now_s) r->now_s = now_s;
    return run(r);
}

syn_status syn_round_call_done(syn_round *r, double now_s, uint32_t id,
                               const syn_call_result *result)
{
    if (now_s > r->now_s) r->now_s = now_s;
    for (int k = 0; k < r->open_count; k++) {
        if (r->open[k].call.id != id) continue;
        syn_open_call open = r->open[k];
        r->open[k] = r->open[--r->open_count];
        syn_status st = syn_round_take_result(r, &open, result);
        free(open.prompt);
        if (st != SYN_OK) syn_round_fail(r, st, syn_error_text());
        break;
    }
    return run(r);
}

bool syn_round_next_call(syn_round *r, syn_round_call *out)
{
    int next = -1;
    for (int k = 0; k < r->open_count; k++)
        if (!r->open[k].handed_out && (next < 0 || r->open[k].call.id < r->open[next].call.id))
            next = k;
    if (next < 0) return false;
    r->open[next].handed_out = true;
    *out = r->open[next].call;
    return true;
}

bool syn_round_next_notice(syn_round *r, syn_notice *out)
{
    if (r->note_read == r->note_count) return false;
    const syn_note *n = &r->notes[r->note_read++];
    *out = (syn_notice){.type = n->type,
                        .unix_s = n->unix_s,
                        .round = n->round,
                        .agent = n->agent,
                        .text = n->text,
                        .kind = n->kind,
                        .from = n->from,
                        .to = n->to,
                        .item_id = n->item_id,
                        .probability = n->probability,
                        .confidence = n->confidence,
                        .entropy = n->entropy,
                        .sufficiency = n->sufficiency,
                        .clusters = n->clusters};
    if (!n->gaps) return true;
    out->agents = r->team.agents;
    for (int i = 0; i < out->agents; i++)
        memcpy(out->gaps[i], n->gaps + i * out->agents, sizeof(float) * (size_t)out->agents);
    return true;
}

bool syn_round_finished(const syn_round *r, syn_status *st)
{
    if (st) *st = r->failure;
    return r->stage == SYN_STAGE_DONE;
}

double syn_round_wake_s(const syn_round *r)
{
    return r->deadline_s;
}

const syn_round_reply *syn_round_result(const syn_round *r)
{
    return r->stage == SYN_STAGE_DONE && r->failure == SYN_OK ? &r->reply : NULL;
}
