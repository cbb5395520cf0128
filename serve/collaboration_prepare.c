/* What takes a while before a team can start: a megabyte of documents is looked through and chosen
 * from in some 40 ms, for which nobody else's request is to wait. */
#include <stdio.h>
#include <string.h>

#include "serve/collaboration_internal.h"

/* A millisecond of work: not worth the way to the pool, where others' documents may be ahead. */
enum { AT_ONCE_BYTES = 16 << 10 };

/* ---- on any thread ---- */

static void look_at(syn_collaboration *c, syn_looked_at kind, const char *where, const char *text)
{
    if (!atomic_load(&c->unwanted)) syn_findings_look(&c->findings, kind, where, text);
}

static void look(syn_collaboration *c)
{
    const syn_round_config *r = &c->request.round;
    char where[64];
    look_at(c, SYN_LOOKED_AT_QUERY, "query", r->question);
    look_at(c, SYN_LOOKED_AT_CONTEXT, "context", r->context);
    if (c->dialogue_given) look_at(c, SYN_LOOKED_AT_CONTEXT, "dialogue", c->dialogue);
    for (int i = 0; i < r->agents; i++) {
        snprintf(where, sizeof where, "agents[%d].context", i);
        look_at(c, SYN_LOOKED_AT_CONTEXT, where, r->agent[i].context);
        snprintf(where, sizeof where, "agents[%d].role", i);
        look_at(c, SYN_LOOKED_AT_CONTEXT, where, r->agent[i].role);
    }
    for (int k = 0; k < r->document_count; k++) {
        snprintf(where, sizeof where, "documents[%d].title", k);
        look_at(c, SYN_LOOKED_AT_DOCUMENTS, where, r->documents[k].title);
        snprintf(where, sizeof where, "documents[%d].text", k);
        look_at(c, SYN_LOOKED_AT_DOCUMENTS, where, r->documents[k].text);
    }
}

static void work(syn_collaboration *c)
{
    const char *guard = c->visit->worker->service->settings.guard;
    c->guarded = strcmp(guard, "off") != 0;
    if (c->guarded) look(c);
    c->blocked = c->findings.flagged > 0 && strcmp(guard, "block") == 0;
    if (c->blocked || atomic_load(&c->unwanted)) return;
    c->prepared_st = syn_drive_prepare(c->drive, &c->request.round);
    if (c->prepared_st != SYN_OK) snprintf(c->sentence, sizeof c->sentence, "%s", syn_error_text());
}

static void on_work(uv_work_t *w)
{
    work(w->data);
}

/* ---- on the loop ---- */

static void end(syn_collaboration *c)
{
    c->stage = SYN_COLLABORATION_WAITS;
    if (atomic_load(&c->unwanted)) c->prepared_st = SYN_ERR_INTERRUPTED;
    c->prepared(c);
}

static void on_worked(uv_work_t *w, int status)
{
    (void)status; /* one that was taken back is unwanted */
    end(w->data);
}

static void on_hop(syn_hop *hop)
{
    end((syn_collaboration *)hop);
}

static size_t length(const char *text)
{
    return text ? strlen(text) : 0;
}

static size_t bytes_of(const syn_collaboration *c)
{
    const syn_round_config *r = &c->request.round;
    size_t bytes = length(r->question) + length(r->context) + length(c->dialogue);
    for (int i = 0; i < r->agents; i++)
        bytes += length(r->agent[i].context) + length(r->agent[i].role);
    for (int k = 0; k < r->document_count; k++)
        bytes += length(r->documents[k].title) + length(r->documents[k].text);
    return bytes;
}

syn_status syn_collaboration_prepare(syn_collaboration *c, void (*prepared)(syn_collaboration *c))
{
    c->prepared = prepared;
    c->work.data = c;
    c->stage = SYN_COLLABORATION_WAITS;
    if (bytes_of(c) <= AT_ONCE_BYTES) {
        work(c);
        c->hop.run = on_hop;
        syn_visit_hop(&c->hop);
        return SYN_OK;
    }
    struct uv_loop_s *loop = syn_http_loop(c->visit->worker->server);
    if (uv_queue_work(loop, &c->work, on_work, on_worked) != 0)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a collaboration");
    c->stage = SYN_COLLABORATION_PREPARES;
    return SYN_OK;
}

void syn_collaboration_unprepare(syn_collaboration *c)
{
    atomic_store(&c->unwanted, true);
    if (c->stage == SYN_COLLABORATION_PREPARES) (void)uv_cancel((uv_req_t *)&c->work);
}
