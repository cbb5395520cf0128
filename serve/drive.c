#include "serve/drive.h"

#include <stdlib.h>

#include "kernels/base/progress.h"
#include "serve/extractive.h"

static void hand_over_notices(syn_round *r, void (*notice)(void *, const syn_notice *), void *user)
{
    syn_notice n;
    while (syn_round_next_notice(r, &n))
        if (notice) notice(user, &n);
}

static syn_status answer_by_extraction(syn_round *r, const syn_round_call *call)
{
    char *text = NULL;
    syn_call_result result = {.cost_usd = 0};
    if (syn_extractive_reply(call, &text) != SYN_OK) result.error = syn_error_text();
    result.text = text;
    syn_status st = syn_round_call_done(r, syn_clock_s(), call->id, &result);
    free(text);
    return st;
}

static syn_status submit(syn_llm *llm, const syn_round_call *call)
{
    return syn_llm_submit(llm, &(syn_llm_call){.id = call->id,
                                               .system = call->system,
                                               .user = call->user,
                                               .max_tokens = call->max_tokens,
                                               .temperature = call->temperature,
                                               .timeout_s = call->deadline_s - syn_clock_s()});
}

static syn_status wait_for_reply(syn_round *r, syn_llm *llm)
{
    syn_llm_reply reply;
    bool got = false;
    double left = syn_round_wake_s(r) - syn_clock_s();
    SYN_RETURN_IF(syn_llm_wait(llm, left < 0 ? 0 : left, &reply, &got));
    if (!got) return syn_round_tick(r, syn_clock_s());
    syn_call_result result = {.text = reply.text,
                              .error = reply.error,
                              .prompt_tokens = reply.prompt_tokens,
                              .completion_tokens = reply.completion_tokens,
                              .cost_usd = reply.cost_usd};
    return syn_round_call_done(r, syn_clock_s(), reply.id, &result);
}

syn_status syn_round_drive(syn_round *r, syn_llm *llm,
                           void (*notice)(void *user, const syn_notice *n), void *user)
{
    syn_status st = SYN_OK;
    while (!syn_round_finished(r, &st)) {
        syn_round_call call;
        bool called = false;
        while (syn_round_next_call(r, &call)) {
            called = true;
            SYN_TRY(llm ? submit(llm, &call) : answer_by_extraction(r, &call));
        }
        hand_over_notices(r, notice, user);
        if (syn_round_finished(r, &st)) break;
        if (llm)
            SYN_TRY(wait_for_reply(r, llm));
        else if (!called)
            SYN_TRY(syn_round_tick(r, syn_clock_s()));
    }
done:
    if (llm) syn_llm_cancel_all(llm);
    hand_over_notices(r, notice, user);
    return st;
}
