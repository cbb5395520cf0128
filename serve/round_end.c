/* The end of a round, and of the collaboration. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "serve/round_internal.h"

static double relative_entropy(const syn_round *r, double entropy)
{
    return entropy / log(r->team.agents);
}

/* The decider's estimate; negative where nobody judged it. */
static double sufficiency(const syn_round *r)
{
    return r->observed ? (double)r->seen.sufficiency : -1;
}

/* For a team with documents. */
static bool has_judged(const syn_round *r)
{
    return r->reply.grounded && sufficiency(r) >= 0;
}

static bool converged(const syn_round *r)
{
    double enough = has_judged(r) ? sufficiency(r) : r->pool.consensus;
    return r->pool.clusters > 0 && relative_entropy(r, r->pool.entropy) < .3 &&
           enough >= r->config.convergence_threshold;
}

void syn_round_report_convergence(syn_round *r)
{
    syn_note *n = syn_round_notify(r, SYN_NOTICE_CONVERGENCE);
    n->entropy = relative_entropy(r, r->pool.entropy);
    n->sufficiency = sufficiency(r);
    n->clusters = r->pool.clusters;
    r->reply.convergence_achieved = converged(r);
}

void syn_round_judge(syn_round *r)
{
    syn_round_report_convergence(r);
    bool may_end = r->team.round >= r->config.rounds_min;
    if (r->cap_hit)
        syn_round_finish(r, SYN_STOP_CAP);
    else if (r->phase_end == SYN_ABSTAIN)
        syn_round_finish(r, SYN_STOP_ABSTAINED);
    else if (may_end && r->reply.convergence_achieved)
        syn_round_finish(r, SYN_STOP_CONVERGED);
    else if (r->phase_end == SYN_ANSWER)
        syn_round_finish(r, SYN_STOP_ANSWERED);
    else if (r->deadlocks >= 2)
        syn_round_finish(r, SYN_STOP_DEADLOCK);
    else if (r->team.round >= r->config.rounds_max || r->team.turn_count >= r->team.turns_max)
        syn_round_finish(r, SYN_STOP_MAX_ROUNDS);
    else
        r->stage = SYN_STAGE_ROUND;
}

/* ---- the final answer ---- */

/* The needs that the asker, or failing it the others, stated last. */
static const char *what_is_missing(syn_round *r)
{
    syn_text_builder b = {.arena = &r->arena};
    if (*r->team.need[0]) return r->team.need[0];
    for (int i = 1; i < r->team.agents; i++)
        if (*r->team.need[i]) syn_build(&b, "%s%s", b.bytes ? "; " : "", r->team.need[i]);
    return b.bytes ? syn_built(&b) : "evidence that settles the question";
}

static void abstain(syn_round *r)
{
    syn_text_builder b = {.arena = &r->arena};
    r->reply.abstained = true;
    r->reply.missing = what_is_missing(r);
    syn_build(&b,
              "The team abstains: the evidence at hand does not settle the question. Missing: %s",
              r->reply.missing);
    r->reply.final_answer = syn_built(&b);
    r->reply.short_answer = "unknown";
}

/* The probability of the answer that is given: of its cluster, or its own where it is in none. */
static double answer_probability(const syn_round *r, const syn_parsed_reply *final)
{
    const syn_pool *p = &r->pool;
    double winner = p->winner >= 0 ? p->probability[p->winner] : 0;
    if (!final || !syn_round_short_answers(r) || syn_round_verbatim(r)) return winner;
    if (syn_no_answer(final->short_answer)) return .01;
    for (int i = 0; i < r->team.agents; i++)
        if (r->answers[i].cluster >= 0 &&
            syn_same_answer(final->short_answer, r->answers[i].short_text))
            return p->probability[r->answers[i].cluster];
    return syn_calibrate_confidence(final->confidence, r->config.aggregator.calibration);
}

static void speak_for_winner(syn_round *r)
{
    int speaker = r->pool.speaker;
    for (int i = 0; speaker < 0 && i < r->team.agents; i++)
        if (r->answers[i].given) speaker = i;
    r->reply.final_answer = "The team found no answer.";
    r->reply.short_answer = "unknown";
    if (speaker < 0 || !*r->answers[speaker].text) return;
    r->reply.answered_by = &r->config.agent[speaker];
    r->reply.final_answer = r->answers[speaker].text;
    r->reply.short_answer = r->answers[speaker].short_text;
}

static void fill_metrics(syn_round *r)
{
    syn_round_reply *reply = &r->reply;
    double first = r->judged ? r->entropy_first : r->pool.entropy;
    reply->rounds = r->team.round;
    reply->agents_used = 0;
    for (int i = 0; i < r->team.agents; i++) reply->agents_used += r->answers[i].given;
    reply->messages = r->team.messages;
    reply->consensus_score = r->pool.consensus;
    reply->convergence_achieved = converged(r);
    reply->final_entropy = relative_entropy(r, r->pool.entropy);
    reply->information_gain = relative_entropy(r, first - r->pool.entropy);
    reply->agents_failed = r->failed;
    reply->capped = r->cap_hit;
    reply->sufficiency = sufficiency(r);
    reply->execution_s = r->now_s - r->created_s;
    reply->unix_s = syn_round_unix(r);
    memcpy(reply->answers, r->answers, sizeof reply->answers);
}

void syn_round_conclude(syn_round *r, const syn_parsed_reply *final)
{
    syn_round_reply *reply = &r->reply;
    if (final) {
        reply->final_answer = final->answer;
        reply->short_answer = final->short_answer;
        reply->answered_by = &r->config.aggregator;
    } else if (!reply->abstained)
        speak_for_winner(r);
    fill_metrics(r);
    reply->confidence = answer_probability(r, final);
    if (has_judged(r) && reply->confidence > reply->sufficiency)
        reply->confidence = reply->sufficiency;
    r->stage = SYN_STAGE_DONE;
    syn_round_drop_calls(r);
    syn_note *n = syn_round_notify(r, SYN_NOTICE_FINAL_ANSWER);
    n->text = reply->final_answer;
    n->confidence = reply->confidence;
}

void syn_round_finish(syn_round *r, syn_stop stop)
{
    syn_round_end_decider(r);
    r->reply.stopped_by = stop;
    if (stop == SYN_STOP_ABSTAINED) {
        abstain(r);
        syn_round_conclude(r, NULL);
        return;
    }
    if (syn_round_want(r, SYN_CALL_FINAL, 0))
        r->stage = SYN_STAGE_FINAL;
    else
        syn_round_conclude(r, NULL);
}

syn_status syn_round_out_of_time(syn_round *r)
{
    int given = 0;
    for (int i = 0; i < r->team.agents; i++) given += r->answers[i].given;
    if (given == 0)
        return syn_fail(SYN_ERR_LIMIT, "no agent answered within %g s", r->config.timeout_s);
    for (int k = 0; k < r->open_count; k++)
        if (r->open[k].call.purpose == SYN_CALL_ANSWER) r->failed |= 1u << r->open[k].call.agent;
    syn_round_end_decider(r);
    if (r->answers_changed) SYN_RETURN_IF(syn_round_pool(r));
    r->reply.stopped_by = SYN_STOP_DEADLINE;
    syn_round_conclude(r, NULL);
    return SYN_OK;
}
