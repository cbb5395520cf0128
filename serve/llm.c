#include "serve/llm.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/base/progress.h"
#include "serve/llm_internal.h"

enum { REPLY_BYTES_MAX = 8 << 20, SPARES_MAX = 512 };

/* ---- tickets ---- */

static void free_parts(syn_llm_ticket *c)
{
    syn_llm_forget(c);
    free(c->body);
    free(c->model);
    free(c->reply.text);
    free(c->events.text);
    syn_llm_result_free(&c->result);
    syn_exchange_free(c->exchange);
    c->exchange = NULL;
    c->body = c->model = NULL;
    c->reply = c->events = (syn_buffer){0};
}

static void unlink_open(syn_llm_ticket *c)
{
    syn_llm *llm = c->llm;
    if (c->previous)
        c->previous->next = c->next;
    else
        llm->open = c->next;
    if (c->next) c->next->previous = c->previous;
}

static void on_ticket_closed(uv_handle_t *handle)
{
    syn_llm_ticket *c = handle->data;
    syn_llm *llm = c->llm;
    free(c);
    if (--llm->handles == 0) free(llm);
}

void syn_llm_release(syn_llm_ticket *c)
{
    syn_llm *llm = c->llm;
    if (c->fetch) syn_fetch_cancel(c->fetch);
    c->fetch = NULL;
    syn_llm_tape_cancel(c);
    if (c->admitted) syn_breaker_withdraw(&llm->breakers[c->provider->index], c->probe);
    uv_timer_stop(&c->timer);
    free_parts(c);
    unlink_open(c);
    if (llm->spares == SPARES_MAX) {
        uv_close((uv_handle_t *)&c->timer, on_ticket_closed);
        return;
    }
    c->next = llm->spare;
    llm->spare = c;
    llm->spares++;
}

static syn_llm_ticket *take_ticket(syn_llm *llm)
{
    syn_llm_ticket *c = llm->spare;
    if (c) {
        llm->spare = c->next;
        llm->spares--;
        size_t from = offsetof(syn_llm_ticket, provider);
        memset((char *)c + from, 0, sizeof *c - from);
    } else {
        c = calloc(1, sizeof *c);
        if (!c) return NULL;
        uv_timer_init(llm->loop, &c->timer);
        c->timer.data = c;
        c->llm = llm;
        llm->handles++;
    }
    c->previous = NULL;
    c->next = llm->open;
    if (llm->open) llm->open->previous = c;
    llm->open = c;
    return c;
}

void syn_llm_cancel(syn_llm_ticket *ticket)
{
    if (!ticket) return;
    if (ticket->busy)
        ticket->gone = true;
    else
        syn_llm_release(ticket);
}

/* ---- calls ---- */

static syn_status fill_ticket(syn_llm_ticket *c, const syn_provider *provider, const char *model,
                              double timeout_s, char *body)
{
    c->provider = provider;
    c->body = body;
    c->model = strdup(model ? model : provider->model);
    if (!c->body) return SYN_ERR_INVALID; /* the sentence is there */
    if (!c->model) return syn_fail(SYN_ERR_MEMORY, "out of memory for a call");
    c->body_bytes = strlen(body);
    c->submitted_s = syn_clock_s();
    c->deadline_s = c->submitted_s + timeout_s;
    return SYN_OK;
}

static syn_status check_provider(const syn_provider *provider, const char *url, const char *what)
{
    if (provider->ready && url) return SYN_OK;
    return syn_fail(SYN_ERR_INVALID, provider->ready ? "%s: there are no %s" : "%s: has no key",
                    provider->name, what);
}

static const syn_llm_dialect *dialect_of(const syn_provider *provider)
{
    return provider->dialect == SYN_DIALECT_ANTHROPIC ? &syn_dialect_anthropic
                                                      : &syn_dialect_openai;
}

char *syn_llm_body(const syn_llm_call *call)
{
    return dialect_of(call->provider)->body(call->provider, call);
}

syn_status syn_llm_submit(syn_llm *llm, const syn_llm_call *call, syn_llm_ticket **ticket)
{
    const syn_provider *provider = call->provider;
    *ticket = NULL;
    syn_status st = check_provider(provider, provider->secret->chat_url, "chat completions");
    syn_llm_ticket *c = st == SYN_OK ? take_ticket(llm) : NULL;
    if (!c) {
        free(call->body);
        return st == SYN_OK ? syn_fail(SYN_ERR_MEMORY, "out of memory for a call") : st;
    }
    c->dialect = dialect_of(provider);
    st = fill_ticket(c, provider, call->model, call->timeout_s,
                     call->body ? call->body : syn_llm_body(call));
    if (st != SYN_OK) {
        syn_llm_release(c);
        return st;
    }
    c->stream = call->delta != NULL;
    c->delta = call->delta;
    c->done = call->done;
    c->context = call->context;
    c->result.lenient = call->chat != NULL;
    if (call->traceparent && strlen(call->traceparent) == 55)
        snprintf(c->traceparent, sizeof c->traceparent, "traceparent: %s", call->traceparent);
    syn_llm_admit(c, call->tag, c->submitted_s);
    *ticket = c;
    return SYN_OK;
}

syn_status syn_llm_embed(syn_llm *llm, const syn_llm_embedding *call, syn_llm_ticket **ticket)
{
    const syn_provider *provider = call->provider;
    *ticket = NULL;
    SYN_RETURN_IF(check_provider(provider, provider->secret->embed_url, "embeddings"));
    syn_llm_ticket *c = take_ticket(llm);
    if (!c) return syn_fail(SYN_ERR_MEMORY, "out of memory for a call");
    c->dialect = &syn_dialect_openai;
    syn_status st =
        fill_ticket(c, provider, call->model, call->timeout_s, syn_embed_body(provider, call));
    if (st != SYN_OK) {
        syn_llm_release(c);
        return st;
    }
    c->embedding = true;
    c->result.embeds = provider;
    c->result.embed_count = call->count;
    c->done = call->done;
    c->context = call->context;
    syn_llm_admit(c, call->tag, c->submitted_s);
    *ticket = c;
    return SYN_OK;
}

syn_breaker_state syn_llm_breaker(const syn_llm *llm, const syn_provider *provider)
{
    double until_s = llm->breakers[provider->index].open_until_s;
    if (until_s == 0) return SYN_CLOSED;
    return syn_clock_s() < until_s ? SYN_OPENED : SYN_HALF_OPEN;
}

/* ---- the whole ---- */

syn_status syn_llm_create(const syn_providers *providers, uv_loop_t *loop,
                          const syn_llm_options *options, syn_llm **out)
{
    const syn_llm_options none = {0};
    const syn_llm_options *o = options ? options : &none;
    *out = NULL;
    syn_llm *llm = calloc(1, sizeof *llm);
    if (!llm) return syn_fail(SYN_ERR_MEMORY, "out of memory for the connections");
    syn_status st = syn_fetcher_create(loop, &llm->fetcher);
    if (st != SYN_OK) {
        free(llm);
        return st;
    }
    llm->providers = providers;
    llm->loop = loop;
    llm->tape = o->tape;
    llm->reply_bytes_max = o->reply_bytes_max > 0 ? o->reply_bytes_max : REPLY_BYTES_MAX;
    llm->scale = o->time_scale > 0 ? o->time_scale : 1;
    llm->limit_scale = o->limit_scale > 0 ? o->limit_scale : llm->scale;
    llm->rng = syn_rng_make(o->seed, SYN_STREAM_RETRY);
    llm->handles = 1;
    *out = llm;
    return SYN_OK;
}

static void on_fetcher_closed(void *user)
{
    syn_llm *llm = user;
    if (--llm->handles == 0) free(llm);
}

void syn_llm_destroy(syn_llm *llm)
{
    if (!llm) return;
    while (llm->open) syn_llm_release(llm->open);
    for (syn_llm_ticket *c; (c = llm->spare);) {
        llm->spare = c->next;
        uv_close((uv_handle_t *)&c->timer, on_ticket_closed);
    }
    syn_fetcher_destroy(llm->fetcher, on_fetcher_closed, llm);
}
