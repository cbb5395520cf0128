/* The store's thread and its queue. */
#include "serve/store.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "serve/store_internal.h"

#define BACKOFF_MIN_S 0.05
#define BACKOFF_MAX_S 2.0
#define SWEEP_S       3600.0
enum { GROUP_BYTES_MAX = 1 << 20 };

/* ---- the queue ---- */

bool syn_db_is_full(syn_db *db, size_t bytes)
{
    pthread_mutex_lock(&db->lock);
    const bool full = db->waiting >= db->options.queue_max ||
                      (int64_t)bytes > db->options.queue_bytes_max - db->waiting_bytes;
    pthread_mutex_unlock(&db->lock);
    return full;
}

bool syn_db_is_crowded(syn_db *db)
{
    pthread_mutex_lock(&db->lock);
    const bool crowded = db->waiting > db->options.queue_max / 2 ||
                         db->waiting_bytes > db->options.queue_bytes_max / 2;
    pthread_mutex_unlock(&db->lock);
    return crowded;
}

syn_status syn_db_submit(syn_db *db, syn_db_job *job)
{
    pthread_mutex_lock(&db->lock);
    const bool full = db->closing || db->waiting >= db->options.queue_max ||
                      (int64_t)job->bytes > db->options.queue_bytes_max - db->waiting_bytes;
    if (!full) {
        *db->last = job;
        db->last = &job->next;
        db->waiting++;
        db->waiting_bytes += (int64_t)job->bytes;
        pthread_cond_signal(&db->news);
    }
    pthread_mutex_unlock(&db->lock);
    if (!full) return SYN_OK;
    free(job);
    return syn_fail(SYN_ERR_LIMIT, "too many calls wait for the database");
}

void syn_db_flush(syn_db *db)
{
    pthread_mutex_lock(&db->lock);
    while (db->waiting > 0) pthread_cond_wait(&db->answers, &db->lock);
    pthread_mutex_unlock(&db->lock);
}

/* Waits until `until_s` or news, with the lock held. */
static void wait_until(syn_db *db, double until_s)
{
    struct timespec t = {(time_t)until_s, (long)((until_s - (double)(time_t)until_s) * 1e9)};
    (void)pthread_cond_timedwait(&db->news, &db->lock, &t);
}

/* The next group, or NULL when there is a sweep or a step to do, or nothing more to come (*end). */
static syn_db_job *next_group(syn_db *db, bool *end)
{
    const bool steps = db->walkers || db->pages;
    pthread_mutex_lock(&db->lock);
    while (!db->first && !db->closing && !steps && syn_clock_s() < db->sweep_s) {
        if (db->options.retention_days > 0)
            wait_until(db, db->sweep_s);
        else
            pthread_cond_wait(&db->news, &db->lock);
    }
    syn_db_job *group = db->first, **tail = &db->first;
    size_t bytes = 0;
    for (int count = 0; *tail && count < SYN_DB_GROUP_MAX; count++) {
        if (count && bytes + (*tail)->bytes > GROUP_BYTES_MAX) break;
        bytes += (*tail)->bytes;
        tail = &(*tail)->next;
    }
    *end = !group && db->closing && !steps;
    if (group) {
        db->first = *tail;
        *tail = NULL;
        if (!db->first) db->last = &db->first;
    }
    pthread_mutex_unlock(&db->lock);
    return group;
}

/* ---- the connection ---- */

static void disconnect(syn_db *db)
{
    if (db->handle) db->driver->close(db->handle);
    db->handle = NULL;
}

/* Only a store that opens looks after the tables: one that connects again would wait for whoever
 * changes them, and its callers with it. */
static syn_status connect_once(syn_db *db, double until_s)
{
    syn_status st = SYN_OK;
    if (!db->up_to_date) {
        SYN_TRY(db->driver->open(db->url, until_s, &db->handle));
        SYN_TRY(syn_db_migrate(db->driver, db->handle));
        db->up_to_date = true;
        disconnect(db);
        until_s = syn_clock_s() + db->options.patience_s;
    }
    SYN_TRY(db->driver->open(db->url, until_s, &db->handle));
    SYN_TRY(db->driver->prepare(db->handle, until_s));
done:
    if (st != SYN_OK) disconnect(db);
    return st;
}

static void sleep_s(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&t, &t) != 0) {
    }
}

syn_status syn_db_connect(syn_db *db, double until_s, syn_db_link *link)
{
    while (!db->handle) {
        const double now = syn_clock_s();
        if (now >= until_s || db->retry_s > until_s)
            return syn_fail(SYN_ERR_NETWORK, "%s", db->sentence);
        if (db->retry_s > now) sleep_s(db->retry_s - now);
        const syn_status st = connect_once(db, until_s);
        if (st == SYN_OK) {
            db->backoff_s = 0;
            break;
        }
        snprintf(db->sentence, sizeof db->sentence, "%s", syn_error_text());
        if (st != SYN_ERR_NETWORK) return st;
        db->backoff_s = db->backoff_s ? 2 * db->backoff_s : BACKOFF_MIN_S;
        if (db->backoff_s > BACKOFF_MAX_S) db->backoff_s = BACKOFF_MAX_S;
        db->retry_s = syn_clock_s() + db->backoff_s * (.5 + .5 * (double)syn_rng_uniform(&db->rng));
    }
    *link = (syn_db_link){db->driver, db->handle, until_s};
    return SYN_OK;
}

bool syn_db_again(syn_db *db, syn_status st, double until_s)
{
    if (st != SYN_ERR_NETWORK || !db->handle) return false;
    snprintf(db->sentence, sizeof db->sentence, "%s", syn_error_text());
    syn_log(SYN_LOG_WARN, "%s; connecting again", db->sentence);
    disconnect(db);
    return syn_clock_s() < until_s;
}

/* ---- a group ---- */

/* Repeats over lost connections; every call may be repeated, whether it had an effect or not. */
static syn_status write_calls(syn_db *db, syn_db_call *calls, int count, double until_s)
{
    syn_db_link link;
    syn_status st;
    do {
        st = syn_db_connect(db, until_s, &link);
        if (st == SYN_OK) st = db->driver->write(link.handle, calls, count, until_s);
    } while (syn_db_again(db, st, until_s));
    return st;
}

static syn_status read_call(syn_db *db, const syn_db_call *call, double until_s, syn_db_rows *rows)
{
    syn_db_link link;
    syn_status st;
    do {
        rows->count = 0; /* those of a try that failed go */
        st = syn_db_connect(db, until_s, &link);
        if (st == SYN_OK) st = syn_db_read(&link, call, rows);
    } while (syn_db_again(db, st, until_s));
    return st;
}

static bool is_write(const syn_db_job *job)
{
    return syn_db_sqls[job->calls[0].statement].write;
}

void syn_db_answer(syn_db_job *job, syn_status st, syn_db_result *result)
{
    if (st != SYN_OK) *result = (syn_db_result){.status = st, .sentence = syn_error_text()};
    if (!result->sentence) result->sentence = "";
    if (job->done) job->done(job->context, result);
}

/* The event of a record that was refused. What a lost server has kept, nobody knows. */
static void tell_of_loss(syn_db *db, syn_db_job *job, syn_status st, double until_s)
{
    char sentence[SYN_DB_SENTENCE_BYTES];
    if (job->count < 2 || st == SYN_ERR_NETWORK) return;
    snprintf(sentence, sizeof sentence, "%s", syn_error_text());
    job->calls[1].values[SYN_DB_EVENT_OUTCOME].text = SYN_DB_UNRECORDED;
    if (write_calls(db, &job->calls[1], 1, until_s) != SYN_OK)
        syn_log(SYN_LOG_ERROR, "an event of the audit log was lost: %s", syn_error_text());
    (void)syn_fail(st, "%s", sentence);
}

/* All in one transaction. Where one of several is refused, each is tried by itself, so that a fault
 * in one harms no other. */
static void run_writes(syn_db *db, syn_db_job *group, double until_s)
{
    int count = 0, k = 0, lost = 0;
    for (syn_db_job *j = group; j; j = j->next)
        for (int i = 0; is_write(j) && i < j->count; i++) db->calls[count++] = j->calls[i];
    if (!count) return;
    const syn_status st = write_calls(db, db->calls, count, until_s);
    char sentence[SYN_DB_SENTENCE_BYTES];
    snprintf(sentence, sizeof sentence, "%s", st == SYN_OK ? "" : syn_error_text());
    for (syn_db_job *j = group; j; j = j->next) {
        if (!is_write(j)) continue;
        const bool alone = j->count == count;
        syn_status one = st == SYN_OK ? SYN_OK : syn_fail(st, "%s", sentence);
        if (st != SYN_OK && st != SYN_ERR_NETWORK && !alone)
            one = write_calls(db, &db->calls[k], j->count, until_s);
        if (one != SYN_OK) tell_of_loss(db, j, one, until_s);
        lost += one != SYN_OK && !j->done;
        syn_db_result result = {.changed = db->calls[k].changed};
        syn_db_answer(j, one, &result);
        k += j->count;
    }
    if (lost)
        syn_log(SYN_LOG_ERROR, "of the records that nobody waits for, %d were lost: %s", lost,
                sentence);
}

static void run_reads(syn_db *db, syn_db_job *group, double until_s)
{
    for (syn_db_job *j = group; j; j = j->next) {
        if (is_write(j)) continue;
        syn_db_rows rows;
        syn_db_result result = {0};
        syn_db_rows_init(&rows, j->calls[0].statement);
        const syn_status st = read_call(db, &j->calls[0], until_s, &rows);
        if (st == SYN_OK) syn_db_rows_tell(&rows, &result);
        syn_db_answer(j, st, &result);
        syn_db_rows_free(&rows);
    }
}

void syn_db_drop(syn_db *db, syn_db_job *group)
{
    int64_t count = 0, bytes = 0;
    while (group) {
        syn_db_job *next = group->next;
        count++;
        bytes += (int64_t)group->bytes;
        free(group);
        group = next;
    }
    pthread_mutex_lock(&db->lock);
    db->waiting -= count;
    db->waiting_bytes -= bytes;
    pthread_cond_broadcast(&db->answers);
    pthread_mutex_unlock(&db->lock);
}

/* ---- the thread ---- */

/* One slice of what is too old; the next at once while there is more. */
static void sweep(syn_db *db)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    const int64_t before_ms =
        (int64_t)t.tv_sec * 1000 - (int64_t)(db->options.retention_days * 86400e3);
    syn_db_call calls[2] = {{.statement = SYN_DB_HISTORY_EXPIRE},
                            {.statement = SYN_DB_AUDIT_EXPIRE}};
    for (int k = 0; k < 2; k++)
        calls[k].values[0] = (syn_db_value){SYN_DB_INT, .integer = before_ms};
    const syn_status st = write_calls(db, calls, 2, syn_clock_s() + db->options.patience_s);
    if (st != SYN_OK) syn_log(SYN_LOG_WARN, "old records were not removed: %s", syn_error_text());
    const bool more = st == SYN_OK && calls[0].changed + calls[1].changed > 0;
    db->sweep_s = syn_clock_s() + (more ? 0 : SWEEP_S);
}

static void *store_main(void *arg)
{
    syn_db *db = arg;
    for (;;) {
        bool end;
        syn_db_job *group = next_group(db, &end);
        if (end) return NULL;
        syn_db_take_steps(db, &group);
        if (group) {
            const double until_s = group->submitted_s + db->options.patience_s;
            run_writes(db, group, until_s);
            run_reads(db, group, until_s);
            syn_db_drop(db, group);
        }
        syn_db_steps_on(db);
        if (syn_clock_s() >= db->sweep_s) sweep(db);
    }
}

/* ---- opening and closing ---- */

static void destroy(syn_db *db)
{
    disconnect(db);
    syn_db_forget(&db->known);
    pthread_cond_destroy(&db->news);
    pthread_cond_destroy(&db->answers);
    pthread_mutex_destroy(&db->lock);
    free(db->url);
    free(db);
}

static syn_status choose(syn_db *db, const syn_db_options *o)
{
    SYN_REQUIRE(o->url && strlen(o->url) < 4096, "the database's address is missing or too long");
    SYN_REQUIRE(o->retention_days >= 0 && o->retention_days < 100000 && o->patience_s >= 0 &&
                    o->queue_max >= 0 && o->queue_bytes_max >= 0,
                "a negative limit of the store");
    db->options = *o;
    if (!o->patience_s) db->options.patience_s = 5;
    if (!o->queue_max) db->options.queue_max = 8192;
    if (!o->queue_bytes_max) db->options.queue_bytes_max = 64 << 20;
    if (strncmp(o->url, "sqlite:///", 10) == 0)
        db->driver = &syn_db_sqlite;
    else if (strncmp(o->url, "postgresql://", 13) == 0 || strncmp(o->url, "postgres://", 11) == 0)
        db->driver = &syn_db_postgres;
    else
        return syn_fail(SYN_ERR_INVALID,
                        "the database's address begins with neither sqlite:/// nor postgresql://");
    db->url = strdup(o->url);
    return db->url ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory");
}

syn_status syn_db_open(syn_db **out, const syn_db_options *options)
{
    syn_status st = SYN_OK;
    syn_db_link link;
    *out = NULL;
    syn_db *db = calloc(1, sizeof *db);
    if (!db) return syn_fail(SYN_ERR_MEMORY, "out of memory");
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&db->lock, NULL);
    pthread_cond_init(&db->news, &monotonic);
    pthread_cond_init(&db->answers, NULL);
    pthread_condattr_destroy(&monotonic);
    db->last = &db->first;
    SYN_TRY(choose(db, options));
    const double now = syn_clock_s();
    db->rng = syn_rng_make((uint64_t)(now * 1e9), SYN_STREAM_RETRY);
    db->sweep_s = options->retention_days > 0 ? now : INFINITY;
    SYN_TRY(syn_db_connect(db, now + db->options.patience_s, &link));
    if (pthread_create(&db->thread, NULL, store_main, db) != 0)
        st = syn_fail(SYN_ERR_MEMORY, "the store's thread cannot be started");
done:
    if (st == SYN_OK)
        *out = db;
    else
        destroy(db);
    return st;
}

void syn_db_close(syn_db *db)
{
    if (!db) return;
    pthread_mutex_lock(&db->lock);
    db->closing = true;
    pthread_cond_signal(&db->news);
    pthread_mutex_unlock(&db->lock);
    pthread_join(db->thread, NULL);
    destroy(db);
}
