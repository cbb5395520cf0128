/* Totals of an organisation: sums of its records, a slice of them at a time, so that other calls
 * wait for no more than one slice. Slices go by execution time, whose index has all that is summed;
 * so their borders tell where a quantile is, too. */
#include <stdlib.h>
#include <string.h>

#include "serve/store_internal.h"

enum { FIRST_ROOM = 16 };

/* ---- slices ---- */

static void set_org(syn_db_call *call, const char *org)
{
    call->values[0] = (syn_db_value){SYN_DB_TEXT, .text = org};
}

static void set_after(syn_db_call *call, double after_s)
{
    call->values[1] = (syn_db_value){SYN_DB_REAL, .real = after_s};
}

typedef struct slice {
    syn_db_totals sums; /* the averages' members hold sums */
    double last_s;
} slice;

static syn_status take_slice(void *context, const syn_db_value *v)
{
    slice *s = context;
    s->sums = (syn_db_totals){.collaborations = v[0].integer,
                              .agents = v[1].integer,
                              .rounds = v[2].integer,
                              .avg_confidence = v[3].real,
                              .avg_time_s = v[4].real,
                              .avg_gaps_detected = v[5].real,
                              .avg_information_gain = v[6].real,
                              .convergence_rate = v[7].real};
    s->last_s = v[8].real;
    return SYN_OK;
}

static syn_status keep_border(syn_db_walk *w, int64_t count)
{
    if (w->count == w->room) {
        const int room = w->room ? 2 * w->room : FIRST_ROOM;
        void *grown = realloc(w->borders, sizeof *w->borders * (size_t)room);
        if (!grown) return syn_fail(SYN_ERR_MEMORY, "out of memory for totals");
        w->borders = grown;
        w->room = room;
    }
    w->borders[w->count].after_s = w->after_s;
    w->borders[w->count++].records = count;
    return SYN_OK;
}

static void add(syn_db_totals *to, const syn_db_totals *s)
{
    to->collaborations += s->collaborations;
    to->agents += s->agents;
    to->rounds += s->rounds;
    to->avg_confidence += s->avg_confidence;
    to->avg_time_s += s->avg_time_s;
    to->avg_gaps_detected += s->avg_gaps_detected;
    to->avg_information_gain += s->avg_information_gain;
    to->convergence_rate += s->convergence_rate;
}

/* ---- the end ---- */

static syn_status take_count(void *context, const syn_db_value *v)
{
    *(int64_t *)context = v[0].integer;
    return SYN_OK;
}

static syn_status take_real(void *context, const syn_db_value *v)
{
    *(double *)context = v[0].real;
    return SYN_OK;
}

/* The smallest time that so many percent of the records do not exceed. */
static syn_status quantile(const syn_db_link *link, const char *org, const syn_db_walk *w,
                           int percent, double *out)
{
    int64_t rank = (w->totals.collaborations * percent + 99) / 100 - 1;
    int k = 0;
    if (rank < 0) return SYN_OK;
    while (k < w->count - 1 && rank >= w->borders[k].records) rank -= w->borders[k++].records;
    syn_db_call call = {.statement = SYN_DB_TOTALS_QUANTILE};
    set_org(&call, org);
    set_after(&call, w->borders[k].after_s);
    call.values[2] = (syn_db_value){SYN_DB_INT, .integer = rank};
    return syn_db_link_read(link, &call, take_real, out);
}

static syn_status finish(const syn_db_link *link, const char *org, syn_db_walk *w)
{
    syn_db_totals t = w->totals;
    syn_db_call call = {.statement = SYN_DB_TOTALS_FAILED};
    set_org(&call, org);
    SYN_RETURN_IF(syn_db_link_read(link, &call, take_count, &t.failed));
    SYN_RETURN_IF(quantile(link, org, w, 50, &t.p50_time_s));
    SYN_RETURN_IF(quantile(link, org, w, 95, &t.p95_time_s));
    SYN_RETURN_IF(quantile(link, org, w, 99, &t.p99_time_s));
    const double n = t.collaborations ? (double)t.collaborations : 1;
    t.avg_confidence /= n;
    t.avg_time_s /= n;
    t.avg_gaps_detected /= n;
    t.avg_information_gain /= n;
    t.convergence_rate /= n;
    w->totals = t;
    return SYN_OK;
}

/* ---- the whole ---- */

syn_status syn_db_walk_on(const syn_db_link *link, const char *org, syn_db_walk *w, bool *over)
{
    slice s = {.last_s = 0};
    syn_db_call call = {.statement = SYN_DB_TOTALS_SLICE};
    *over = false;
    set_org(&call, org);
    set_after(&call, w->after_s);
    SYN_RETURN_IF(syn_db_link_read(link, &call, take_slice, &s));
    if (s.sums.collaborations == 0) {
        *over = true;
        return finish(link, org, w);
    }
    SYN_RETURN_IF(keep_border(w, s.sums.collaborations));
    add(&w->totals, &s.sums);
    w->after_s = s.last_s;
    return SYN_OK;
}

/* ---- what is known ---- */

static int place_of(const syn_db_known *known, const char *org)
{
    int k = 0;
    while (k < SYN_DB_KNOWN_MAX && !(known->list[k].org && strcmp(known->list[k].org, org) == 0))
        k++;
    return k;
}

syn_db_totals *syn_db_recall(syn_db_known *known, const char *org, double now_s)
{
    const int k = place_of(known, org);
    return k < SYN_DB_KNOWN_MAX && now_s < known->list[k].until_s ? &known->list[k].totals : NULL;
}

void syn_db_remember(syn_db_known *known, const char *org, const syn_db_totals *totals,
                     double until_s)
{
    int k = place_of(known, org);
    if (k == SYN_DB_KNOWN_MAX) {
        char *copy = strdup(org);
        if (!copy) return;
        k = known->next++ % SYN_DB_KNOWN_MAX;
        free(known->list[k].org);
        known->list[k].org = copy;
    }
    known->list[k].totals = *totals;
    known->list[k].until_s = until_s;
}

void syn_db_forget(syn_db_known *known)
{
    for (int k = 0; k < SYN_DB_KNOWN_MAX; k++) free(known->list[k].org);
}
