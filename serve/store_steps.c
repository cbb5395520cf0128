/* Lists and totals: made in steps, between which the store's thread answers other calls. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/progress.h"
#include "serve/store_internal.h"

/* ---- lists ---- */

static void append(syn_db_job **list, syn_db_job *job)
{
    while (*list) list = &(*list)->next;
    *list = job;
    job->next = NULL;
}

static void take_pages(syn_db *db, syn_db_job **group)
{
    while (*group) {
        syn_db_job *j = *group;
        if (!syn_db_sqls[j->calls[0].statement].border) {
            group = &j->next;
            continue;
        }
        *group = j->next;
        append(&db->pages, j);
    }
}

/* They take turns, but for one that has rows. */
static void page_on(syn_db *db)
{
    syn_db_job *j = db->pages;
    syn_db_link link;
    syn_db_result result = {0};
    const double until_s = j->submitted_s + db->options.patience_s;
    bool over = false;
    syn_status st;
    if (j->page.count == 0) syn_db_rows_init(&db->rows, j->calls[0].statement);
    do {
        st = syn_db_connect(db, until_s, &link);
        if (st == SYN_OK) st = syn_db_page_on(&link, &j->calls[0], &j->page, &db->rows, &over);
    } while (syn_db_again(db, st, until_s));
    if (st == SYN_OK && !over && j->page.count) return;
    db->pages = j->next;
    j->next = NULL;
    if (st == SYN_OK && !over) {
        append(&db->pages, j);
    } else {
        if (st == SYN_OK) syn_db_rows_tell(&db->rows, &result);
        result.total = j->page.total < SYN_DB_TOTAL_MAX ? j->page.total : SYN_DB_TOTAL_MAX;
        syn_db_answer(j, st, &result);
        syn_db_drop(db, j);
    }
    syn_db_rows_free(&db->rows);
}

/* ---- totals ---- */

/* Takes from *list what asks for totals, of `org` where that is not NULL, and was submitted by
 * `until_s`; puts it behind *to. */
static void take_walkers(syn_db_job **list, const char *org, double until_s, syn_db_job **to)
{
    while (*to) to = &(*to)->next;
    while (*list) {
        syn_db_job *j = *list;
        const bool taken = j->calls[0].statement == SYN_DB_TOTALS_SLICE &&
                           (!org || strcmp(org, j->calls[0].values[0].text) == 0) &&
                           j->submitted_s <= until_s;
        if (!taken) {
            list = &j->next;
            continue;
        }
        *list = j->next;
        j->next = NULL;
        *to = j;
        to = &j->next;
    }
}

static void answer_walkers(syn_db *db, const char *org, double until_s, syn_status st,
                           syn_db_totals *totals)
{
    syn_db_job *done = NULL;
    take_walkers(&db->walkers, org, until_s, &done);
    for (syn_db_job *j = done; j; j = j->next) {
        syn_db_result result = {.totals = totals, .count = totals ? 1 : 0};
        result.total = result.count;
        syn_db_answer(j, st, &result);
    }
    syn_db_drop(db, done);
}

static void end_walk(syn_db *db, syn_status st)
{
    char org[SYN_DB_NAME_BYTES_MAX + 1];
    const bool dear = db->walk_s > SYN_DB_DEAR_S;
    const double now_s = syn_clock_s();
    snprintf(org, sizeof org, "%s", db->walkers->calls[0].values[0].text);
    syn_db_totals totals = db->walk.totals;
    if (st == SYN_OK && dear)
        syn_db_remember(&db->known, org, &totals, now_s + SYN_DB_FRESH_FOR * db->walk_s);
    answer_walkers(db, org, dear ? now_s : db->walk_begun_s, st, st == SYN_OK ? &totals : NULL);
    free(db->walk.borders);
    db->walk_begun_s = 0;
}

/* False: the totals are not known, and a walk to them has begun. */
static bool answers_at_once(syn_db *db)
{
    const double now_s = syn_clock_s();
    char org[SYN_DB_NAME_BYTES_MAX + 1];
    snprintf(org, sizeof org, "%s", db->walkers->calls[0].values[0].text);
    syn_db_totals *known = syn_db_recall(&db->known, org, now_s);
    if (known) {
        answer_walkers(db, org, now_s, SYN_OK, known);
        return true;
    }
    db->walk = SYN_DB_WALK;
    db->walk_begun_s = now_s;
    db->walk_s = 0;
    return false;
}

static void walk_on(syn_db *db)
{
    bool over = false;
    syn_db_link link;
    syn_status st;
    if (db->walk_begun_s == 0 && answers_at_once(db)) return;
    const double now_s = syn_clock_s();
    const double until_s = db->walkers->submitted_s + db->options.patience_s;
    do {
        st = syn_db_connect(db, until_s, &link);
        if (st == SYN_OK)
            st = syn_db_walk_on(&link, db->walkers->calls[0].values[0].text, &db->walk, &over);
    } while (syn_db_again(db, st, until_s));
    db->walk_s += syn_clock_s() - now_s;
    if (over || st != SYN_OK) end_walk(db, st);
}

/* ---- both ---- */

void syn_db_take_steps(syn_db *db, syn_db_job **group)
{
    take_walkers(group, NULL, INFINITY, &db->walkers);
    take_pages(db, group);
}

void syn_db_steps_on(syn_db *db)
{
    if (db->pages) page_on(db);
    if (db->walkers) walk_on(db);
}
