/* The run: questions in turns, so many at a time, until all are asked or something stops it. */
#include "benchmarks/live_private.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "serve/llm_tape.h"
#include "trainer/stop.h"

enum { LOOK_MS = 200, SYNC_EVERY = 10 /* looks */ };

static const char unfinished[] = "the run has not ended: it is under way, or was killed";

/* ---- stopping ---- */

void syn_live_stop(syn_live_eval *e, bool at_once, syn_status st, const char *fmt, ...)
{
    if (!e->stopping) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(e->why, sizeof e->why, fmt, ap);
        va_end(ap);
        e->status = st;
        e->stopping = true;
    }
    if (at_once) uv_stop(&e->loop);
}

/* A provider that is down would fail every question that is left. */
static void look_at_provider(syn_live_eval *e, const syn_live_reply *reply)
{
    const syn_provider *p = e->plan->agents_are->agent.provider;
    const bool failed = reply->status == SYN_ERR_NETWORK || reply->status == SYN_ERR_LIMIT;
    if (reply->unasked) return;
    e->failures = failed ? e->failures + 1 : 0;
    if (failed && e->llm && syn_llm_breaker(e->llm, p) != SYN_CLOSED)
        syn_live_stop(e, true, SYN_ERR_NETWORK, "%s has failed too often in a row: %.300s",
                      syn_live_provider(e->plan), reply->sentence);
    else if (e->failures >= SYN_LIVE_FAILURES_MAX)
        syn_live_stop(e, true, SYN_ERR_NETWORK, "%d answers in a row have failed: %.300s",
                      e->failures, reply->sentence);
}

/* Whether calls that the provider failed leave no measure of the policy: some agents answered while
 * it is down, or the asker could not be asked again, which is no abstention. */
static bool is_maimed(const syn_live_eval *e, const syn_live_asked *asked, const syn_live_reply *r)
{
    if (r->status != SYN_OK || !r->failed || !e->llm) return false;
    return asked->policy == SYN_LIVE_ASKER ||
           syn_llm_breaker(e->llm, e->plan->agents_are->agent.provider) != SYN_CLOSED;
}

/* The reply as it is kept: with the latency of the recording where a tape is replayed. A team that
 * was cut short is no measure of a team. */
static syn_live_reply kept(const syn_live_eval *e, const syn_live_asked *asked,
                           const syn_live_reply *given)
{
    syn_live_reply r = *given;
    r.latency_s = syn_tape_measured(e->plan->tape, asked->tag, r.latency_s);
    if (r.capped) {
        r.status = SYN_ERR_LIMIT;
        r.sentence = "a cap of the run left no room for a call";
        r.stopped_by = syn_stop_name(SYN_STOP_CAP);
        return r;
    }
    if (!is_maimed(e, asked, &r)) return r;
    r.status = SYN_ERR_NETWORK;
    r.sentence = "the provider failed for some of the calls";
    r.stopped_by = "failed";
    return r;
}

void syn_live_take(syn_live_eval *e, const syn_live_asked *asked, const syn_live_reply *given)
{
    json_t *line;
    const syn_live_reply reply = kept(e, asked, given);
    syn_status st = syn_live_line(asked, &reply, &line);
    if (st == SYN_OK && e->plan->tape) st = syn_tape_check(e->plan->tape);
    if (st == SYN_OK) st = syn_live_records_add(&e->records, line);
    json_decref(line);
    if (st != SYN_OK)
        syn_live_stop(e, true, st, "%s", syn_error_text());
    else if (!reply.capped)
        look_at_provider(e, &reply);
}

/* ---- questions ---- */

/* The next question of the benchmark whose turn it is, with something to ask; false: none is left,
 * or the run has been stopped. */
static bool next_question(syn_live_eval *e, int place)
{
    const syn_live_plan *plan = e->plan;
    for (int tried = 0; tried < plan->sources && !e->stopping; tried++) {
        const int b = e->turn;
        const syn_question *q = NULL;
        int64_t number = 0;
        e->turn = (e->turn + 1) % plan->sources;
        if (plan->limit > 0 && e->read[b] >= plan->limit) e->at_end[b] = true;
        if (e->at_end[b]) continue;
        syn_status st = syn_live_bench_next(e->bench[b], &q, &number);
        if (st == SYN_OK && q)
            st = syn_live_question_begin(e, place, e->bench[b], q, number, &e->question[place]);
        if (st != SYN_OK) syn_live_stop(e, true, st, "%s", syn_error_text());
        e->at_end[b] = !q;
        e->read[b] += q != NULL;
        if (e->question[place]) return true;
        if (q) tried = -1; /* answered before: this round counts anew */
    }
    return false;
}

static void go_on_waiting(syn_live_eval *e)
{
    for (int place = 0; place < e->plan->parallel; place++)
        if (e->question[place] && syn_live_question_waits(e->question[place]))
            syn_live_question_go(e->question[place]);
}

void syn_live_go_on(syn_live_eval *e)
{
    if (e->going) return;
    e->going = true;
    go_on_waiting(e);
    for (int place = 0; place < e->plan->parallel && !e->stopping;) {
        if (e->question[place]) {
            place++;
        } else if (next_question(e, place)) {
            e->open++;
            syn_live_question_go(e->question[place]);
        } else {
            break;
        }
    }
    if (e->stopping) go_on_waiting(e); /* they end */
    e->going = false;
    if (e->open == 0) uv_stop(&e->loop);
}

/* ---- looking around ---- */

/* How many of the plan's policies are asked. */
static int policies_of(const syn_live_plan *plan, const syn_live_bench *bench)
{
    int n = 0;
    for (int p = 0; p < SYN_LIVE_POLICY_COUNT; p++)
        n += (plan->policies >> p & 1) && syn_live_policy_is_asked((syn_live_policy)p, bench);
    return n;
}

/* How many answers there will be, as far as is known: a benchmark may have fewer questions than the
 * limit. 0: unknown. */
static int64_t answers_expected(const syn_live_eval *e)
{
    int64_t answers = 0;
    for (int b = 0; b < e->plan->sources; b++) {
        if (!e->at_end[b] && e->plan->limit == 0) return 0;
        answers += (e->at_end[b] ? e->read[b] : e->plan->limit) * policies_of(e->plan, e->bench[b]);
    }
    return answers * e->plan->agent_counts;
}

typedef struct looker {
    syn_live_eval *eval;
    syn_progress bar;
    int looks;
} looker;

static void show(looker *l)
{
    const syn_live_records *r = &l->eval->records;
    char cost[48] = "";
    if (r->cost_known && r->cost_usd > 0) snprintf(cost, sizeof cost, ", $%.4g", r->cost_usd);
    l->bar.total = answers_expected(l->eval);
    syn_progress_update(&l->bar, r->answered, "%" PRId64 " calls%s, %" PRId64 " failed", r->calls,
                        cost, r->failed);
}

/* What was recorded first: no answer is on the disk without the calls behind it. */
static syn_status sync_files(syn_live_eval *e)
{
    if (e->plan->tape && e->records.dirty) SYN_RETURN_IF(syn_tape_sync(e->plan->tape));
    return syn_live_records_sync(&e->records);
}

static void on_look(uv_timer_t *timer)
{
    looker *l = timer->data;
    syn_live_eval *e = l->eval;
    const int signal = syn_stop_signal();
    if (signal)
        syn_live_stop(e, true, SYN_ERR_INTERRUPTED, "stopped by %s",
                      signal == SIGINT ? "SIGINT" : "SIGTERM");
    if (++l->looks % SYNC_EVERY == 0 && sync_files(e) != SYN_OK)
        syn_live_stop(e, true, SYN_ERR_IO, "%s", syn_error_text());
    show(l);
}

/* ---- life ---- */

static syn_status open_loop(syn_live_eval *e)
{
    const syn_agents *who = e->plan->agents_are;
    if (uv_loop_init(&e->loop) != 0) return syn_fail(SYN_ERR_MEMORY, "out of memory for a loop");
    e->loop_open = true;
    uv_timer_init(&e->loop, &e->timer);
    if (who->agent.provider->dialect == SYN_DIALECT_EXTRACTIVE) return SYN_OK;
    return syn_llm_create(who->providers, &e->loop,
                          &(syn_llm_options){.seed = e->plan->seed,
                                             .time_scale = e->plan->time_scale,
                                             .tape = e->plan->tape},
                          &e->llm);
}

static void close_loop(syn_live_eval *e)
{
    if (!e->loop_open) return;
    e->stopping = true;
    for (int k = 0; k < SYN_LIVE_PARALLEL_MAX; k++) syn_live_question_free(e->question[k]);
    syn_llm_destroy(e->llm);
    uv_close((uv_handle_t *)&e->timer, NULL);
    /* Until all handles are closed: a stop that nobody waited for ends the first run at once. */
    while (uv_run(&e->loop, UV_RUN_DEFAULT) != 0) {
    }
    uv_loop_close(&e->loop);
    e->loop_open = false;
}

/* Says where the asker is left out; fails where that leaves nothing to ask. */
static syn_status check_asked(const syn_live_eval *e)
{
    const syn_live_plan *plan = e->plan;
    int asked = 0;
    for (int b = 0; b < plan->sources; b++) {
        asked += policies_of(plan, e->bench[b]);
        if (plan->policies >> SYN_LIVE_ASKER & 1 &&
            !syn_live_policy_is_asked(SYN_LIVE_ASKER, e->bench[b]))
            syn_log(SYN_LOG_WARN, "%s: is not asked of the policy 'asker', as it has no documents",
                    plan->source[b].benchmark);
    }
    if (asked) return SYN_OK;
    return syn_fail(SYN_ERR_USAGE, "nothing would be asked: the policy 'asker' is for benchmarks "
                                   "that have documents");
}

static syn_status open_benches(syn_live_eval *e)
{
    const syn_live_plan *plan = e->plan;
    for (int b = 0; b < plan->sources; b++) {
        const syn_live_bench_options o = {.benchmark = plan->source[b].benchmark,
                                          .path = plan->source[b].path,
                                          .reference = plan->reference,
                                          .shots = plan->shots,
                                          .seed = plan->seed};
        SYN_RETURN_IF(syn_live_bench_open(&o, &e->bench[b]));
        if (syn_live_unscored(e->bench[b]))
            syn_log(SYN_LOG_WARN, "%s: %s", plan->source[b].benchmark,
                    syn_live_unscored(e->bench[b]));
    }
    return check_asked(e);
}

/* Runs the loop until all is asked, or something stops it. */
static void ask_all(syn_live_eval *e)
{
    looker l = {.eval = e};
    syn_progress_begin(&l.bar, "eval", "answers", 0);
    l.bar.before = e->records.answered;
    e->timer.data = &l;
    uv_timer_start(&e->timer, on_look, LOOK_MS, LOOK_MS);
    syn_live_go_on(e);
    if (e->open > 0) uv_run(&e->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&e->timer);
    syn_progress_end(&l.bar);
}

/* What the run has come to, as the results file and the command say it. */
static syn_status conclude(syn_live_eval *e)
{
    const syn_live_records *r = &e->records;
    const syn_live_plan *plan = e->plan;
    if (e->status == SYN_OK && r->failed) {
        e->status = SYN_ERR_NETWORK;
        snprintf(e->why, sizeof e->why, "%" PRId64 " of %" PRId64 " answers failed", r->failed,
                 r->count);
    }
    syn_status st = sync_files(e);
    const syn_status written =
        syn_live_results_write(plan, r, e->bench, true, e->status == SYN_OK ? NULL : e->why);
    if (st == SYN_OK) st = written;
    if (st != SYN_OK && e->status != SYN_OK)
        return syn_fail(e->status, "%.250s; and %.250s", e->why, syn_error_text());
    if (st != SYN_OK || e->status == SYN_OK) return st;
    return syn_fail(e->status, "%.400s; %s says so, and the same command goes on from its answers",
                    e->why, plan->output);
}

syn_status syn_live_evaluate(const syn_live_plan *plan)
{
    syn_status st;
    syn_live_eval *e = calloc(1, sizeof *e);
    if (!e) return syn_fail(SYN_ERR_MEMORY, "out of memory for the run");
    e->plan = plan;
    e->records.fd = -1;
    SYN_TRY(syn_live_results_check(plan));
    SYN_TRY(open_benches(e));
    if (plan->predictions) SYN_TRY(syn_live_predictions_folder(plan->predictions));
    SYN_TRY(syn_live_records_open(&e->records, plan->output, plan->overwrite));
    SYN_TRY(syn_live_results_check(plan)); /* another run may have ended since */
    SYN_TRY(syn_live_results_write(plan, &e->records, e->bench, false, unfinished));
    SYN_TRY(open_loop(e));
    ask_all(e);
    close_loop(e);
    st = conclude(e);
done:
    close_loop(e);
    syn_live_records_close(&e->records);
    for (int b = 0; b < plan->sources; b++) syn_live_bench_close(e->bench[b]);
    free(e);
    return st;
}
