/* The end of a round in which the evidence has moved and the asker alone is asked. */
#include "serve/round_internal.h"

bool syn_round_asks_again(const syn_round *r)
{
    const syn_team *t = &r->team;
    uint64_t others = 0;
    if (r->config.ask != SYN_ASK_ASKER || t->round >= r->config.rounds_max) return false;
    if (t->messages_max > 0 && t->messages >= t->messages_max) return false;
    for (int i = 1; i < t->agents; i++) others |= t->holds[i];
    return (others & ~t->holds[0]) != 0;
}

void syn_round_ask_asker(syn_round *r)
{
    syn_round_end_decider(r);
    if (syn_round_want(r, SYN_CALL_FINAL, 0))
        r->stage = SYN_STAGE_FINAL;
    else if (r->cap_hit)
        syn_round_fail(r, SYN_ERR_INVALID, r->cap_text);
}

/* The asker gets what it lacks and is asked once more. False: a cap has no room for that call. */
static bool ask_again(syn_round *r)
{
    r->team.round++;
    r->observed = false; /* what was judged is not what it holds then */
    syn_round_notify(r, SYN_NOTICE_ROUND);
    syn_round_give_asker(r);
    return syn_round_want(r, SYN_CALL_FINAL, 0);
}

static void answer_with(syn_round *r, double confidence)
{
    const syn_answer *said = &r->answers[0];
    const syn_parsed_reply final = {
        .answer = said->text, .short_answer = said->short_text, .confidence = confidence};
    r->reply.stopped_by = r->reply.convergence_achieved ? SYN_STOP_CONVERGED : SYN_STOP_ANSWERED;
    syn_round_conclude(r, &final);
}

static void asker_failed(syn_round *r)
{
    r->failed |= 1;
    if (r->answers[0].given)
        syn_round_finish(r, SYN_STOP_ABSTAINED);
    else
        syn_round_fail(r, SYN_ERR_NETWORK, "no agent answered: every call failed");
}

syn_status syn_round_asker_said(syn_round *r, const syn_parsed_reply *reply)
{
    const bool again = syn_round_asks_again(r);
    if (!reply) {
        asker_failed(r);
        return SYN_OK;
    }
    /* A verbatim reply without text may be all tool calls. */
    const bool silent = syn_round_verbatim(r) && !*reply->answer;
    const bool knows = silent || !syn_no_answer(reply->short_answer);
    syn_round_take_answer(r, 0, reply);
    SYN_RETURN_IF(syn_round_pool(r));
    syn_round_report_convergence(r);
    if (knows || (!again && r->config.final_verbatim))
        answer_with(r, reply->confidence);
    else if (!again || !ask_again(r))
        syn_round_finish(r, SYN_STOP_ABSTAINED);
    return SYN_OK;
}
