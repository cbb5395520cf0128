/* Requests for a decision from text: the whole team is built from the request, its history is
 * played with the decider looking on, turn by turn, as it does in a collaboration, and what it
 * would do next is the answer. Then all is forgotten. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/inference_internal.h"
#include "serve/inference_team.h"
#include "serve/json_text.h"

typedef struct consultation {
    syn_inference_call base; /* first */
    syn_inference_team team;
    syn_decider decider;
    atomic_bool hopping; /* the hop is on its way: the memory stays until it has come */
    bool over;
    syn_status status; /* and, where it is not OK, */
    char sentence[SYN_JOB_ERROR_BYTES];
} consultation;

size_t syn_inference_orchestrator_bytes(void)
{
    return sizeof(consultation);
}

static void answer(consultation *c)
{
    syn_inference_team_free(&c->team);
    if (c->status == SYN_OK)
        syn_inference_answer(&c->base, NULL);
    else
        syn_inference_refuse(&c->base, c->status, c->sentence);
}

/* The decider is asked no more; after this no hop begins. */
static void finish(consultation *c, syn_status st, const char *sentence)
{
    c->over = true;
    c->status = st;
    if (st != SYN_OK) snprintf(c->sentence, sizeof c->sentence, "%s", sentence);
    syn_decider_free(&c->decider);
    if (!atomic_load(&c->hopping)) answer(c);
}

static syn_status write_decision(consultation *c, const syn_decision *d, const syn_team_gaps *seen)
{
    json_t *json = syn_inference_team_decision(&c->team, d, seen, c->decider.policy);
    char *text = json ? syn_json_text(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    const syn_status st = text ? syn_inference_text(&c->base.request, text, strlen(text))
                               : syn_fail(SYN_ERR_MEMORY, "out of memory for a decision");
    free(text);
    json_decref(json);
    return st;
}

/* Turns, until the decider makes one wait or has decided. *over: it has. */
static syn_status go_on(consultation *c, bool *over)
{
    for (;;) {
        syn_team_gaps seen = {0};
        syn_decision d = {.kind = SYN_NO_ACTION, .from = -1, .to = -1, .item = -1};
        SYN_RETURN_IF(c->decider.observe(c->decider.user, &c->team.team, &seen));
        if (seen.pending) return SYN_OK;
        SYN_RETURN_IF(c->decider.decide(c->decider.user, &c->team.team, &seen, &d));
        if (d.pending) return SYN_OK;
        if (c->team.team.turn_count == c->team.history_count) {
            *over = true;
            return write_decision(c, &d, &seen);
        }
        SYN_RETURN_IF(syn_inference_team_play(&c->team));
    }
}

static void step(consultation *c)
{
    bool over = false;
    const syn_status st = go_on(c, &over);
    if (over || st != SYN_OK) finish(c, st, syn_error_text());
}

static void back(syn_hop *hop)
{
    consultation *c = (consultation *)hop;
    atomic_store(&c->hopping, false);
    if (c->over)
        answer(c);
    else
        step(c);
}

/* Any thread. */
static void wake(void *user)
{
    consultation *c = user;
    if (!atomic_exchange(&c->hopping, true)) syn_visit_hop(&c->base.hop);
}

static void cancel(syn_http_request *request)
{
    consultation *c = syn_visit_of(request)->data;
    if (!c->over) finish(c, SYN_ERR_INTERRUPTED, "the client has gone");
}

syn_status syn_inference_orchestrator_read(syn_inference_call *base)
{
    consultation *c = (consultation *)base;
    syn_inference_request *r = &base->request;
    SYN_RETURN_IF(syn_inference_team_read(r->input[0], r->text_bytes, &c->team));
    free(r->memory); /* the team has its own copies, for which the room stays taken */
    r->memory = r->input[0] = NULL;
    return SYN_OK;
}

void syn_inference_orchestrator_drop(syn_inference_call *base)
{
    syn_inference_team_free(&((consultation *)base)->team);
}

void syn_inference_orchestrator_begin(syn_inference_call *base)
{
    consultation *c = (consultation *)base;
    base->hop.run = back;
    const syn_status st = syn_decider_make(base->of->service->deciders, wake, c, &c->decider);
    if (st != SYN_OK) {
        finish(c, st, syn_error_text());
        return;
    }
    syn_http_on_cancel(base->hop.visit->request, cancel);
    step(c);
}
