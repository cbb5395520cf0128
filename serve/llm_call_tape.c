/* A call and its tape: what is recorded of it, or how it comes about once more. */
#include <stdio.h>
#include <string.h>

#include "kernels/base/progress.h"
#include "serve/llm_internal.h"

enum { SLICE_BYTES = 4096 }; /* of a body that is replayed, as a connection hands it on */

/* ---- recording ---- */

static syn_exchange_attempt *attempt_now(syn_llm_ticket *c)
{
    syn_exchange *x = c->exchange;
    return x && !c->plays && x->attempt_count < SYN_EXCHANGE_ATTEMPTS_MAX
               ? &x->attempt[x->attempt_count]
               : NULL;
}

void syn_llm_tape_header(syn_llm_ticket *c, const char *content_type)
{
    syn_exchange_attempt *a = attempt_now(c);
    if (!a) return;
    size_t n = 0;
    for (; content_type[n] >= ' ' && content_type[n] <= '~' && n + 1 < sizeof a->content_type; n++)
        a->content_type[n] = content_type[n];
    a->content_type[n] = 0;
}

void syn_llm_tape_body(syn_llm_ticket *c, const char *data, size_t bytes)
{
    syn_exchange_attempt *a = attempt_now(c);
    if (a && !syn_buffer_add(&a->body, data, bytes)) c->exchange->failed = true;
}

void syn_llm_tape_attempt(syn_llm_ticket *c, int end)
{
    syn_exchange_attempt *a = attempt_now(c);
    if (!a) return;
    a->status = c->http_status > 0 && c->http_status < 1000 ? c->http_status : 0;
    a->retry_after_s = c->retry_after_s;
    a->end = end;
    c->exchange->attempt_count++;
}

/* What of the sentence does not name the host. */
static const char *without_host(const syn_llm_ticket *c)
{
    const char *colon = strstr(c->error, ": ");
    return colon ? colon + 2 : c->error;
}

void syn_llm_tape_end(syn_llm_ticket *c, const syn_llm_reply *reply)
{
    syn_exchange *x = c->exchange;
    if (!x || c->plays) return;
    if (c->state == CALL_FAILED) snprintf(x->error, sizeof x->error, "%.150s", without_host(c));
    x->first_byte_s = reply->first_byte_s;
    x->time_s = reply->time_s;
    syn_tape_add(c->llm->tape, x, c->body, c->provider->secret->key);
    syn_exchange_free(x);
    c->exchange = NULL;
}

void syn_llm_tape_cancel(syn_llm_ticket *c)
{
    if (!c->exchange || c->plays) return;
    const syn_llm_reply reply = {.time_s = syn_clock_s() - c->submitted_s};
    syn_llm_tape_attempt(c, SYN_EXCHANGE_CANCELLED);
    syn_llm_tape_end(c, &reply);
}

/* ---- replaying ---- */

static void hand_in_headers(syn_llm_ticket *c, const syn_exchange_attempt *a)
{
    char line[192];
    int n = snprintf(line, sizeof line, "Content-Type: %s", a->content_type);
    syn_llm_events.header(c, line, (size_t)n);
    if (a->retry_after_s < 0) return;
    n = snprintf(line, sizeof line, "Retry-After: %.17g", a->retry_after_s);
    syn_llm_events.header(c, line, (size_t)n);
}

/* The bytes of the attempt; its end comes with another timer, so that the callbacks of the user may
 * do what they like with the call. */
static void hand_in(syn_llm_ticket *c)
{
    const syn_exchange_attempt *a = &c->exchange->attempt[c->attempts - 1];
    bool more = true;
    c->fed = true;
    c->http_status = a->status;
    if (*a->content_type || a->retry_after_s >= 0) hand_in_headers(c, a);
    for (size_t at = 0, n; more && at < a->body.bytes; at += n) {
        n = a->body.bytes - at < SLICE_BYTES ? a->body.bytes - at : SLICE_BYTES;
        more = syn_llm_events.body(c, a->body.text + at, n);
    }
    c->hangs = a->end == SYN_EXCHANGE_CANCELLED; /* until it is cancelled again */
    if (c->hangs)
        uv_timer_stop(&c->timer);
    else
        syn_llm_arm(c, 0, 0);
    syn_llm_events.came(c);
}

static void end(syn_llm_ticket *c)
{
    const syn_exchange_attempt *a = &c->exchange->attempt[c->attempts - 1];
    if (a->end == SYN_EXCHANGE_STALLED)
        syn_llm_stall(c);
    else
        syn_llm_events.ended(c, a->end == SYN_EXCHANGE_OPEN ? SYN_FETCH_OK : (syn_fetch_end)a->end,
                             a->status);
}

void syn_llm_play(syn_llm_ticket *c)
{
    syn_llm_ticket *first = NULL;
    for (syn_llm_ticket *o = c->llm->open; o; o = o->next)
        if (o->plays && o->state == CALL_RUNNING && !o->hangs &&
            (!first || o->exchange->at < first->exchange->at))
            first = o;
    if (first != c) syn_llm_arm(c, 0, 0); /* its turn comes */
    if (first->fed)
        end(first);
    else
        hand_in(first);
}
