/* PostgreSQL through libpq. The connection is non-blocking underneath and waited for with a limit,
 * so that a server that stopped, or a cable that was pulled, ends a call like a closed socket. So
 * does a table that somebody has locked.
 * Calls go out in pipeline mode: all up to a sync point are one transaction and one round trip. */
#include "serve/store_driver.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "kernels/base/progress.h"

#define ANSWER_S 1.0 /* what a connection that stands is given at least */
enum { NUMBER_BYTES = 32, NAME_BYTES = 16, CONNECT_S_MAX = 5, WAIT_MS_MAX = 60000 };

typedef struct database {
    PGconn *conn;
    char where[256]; /* host:port/name, never the user's name or password */
} database;

/* libpq's messages end with a line feed, and later lines may quote data. */
static int first_line(const char *message)
{
    return (int)strcspn(message, "\r\n");
}

static syn_status lost(const database *d, const char *message)
{
    return syn_fail(SYN_ERR_NETWORK, "the database at %s: %.*s", d->where, first_line(message),
                    *message ? message : "the connection was lost");
}

/* Classes 08 (connection) and 57 (the server is being stopped, or somebody stopped the statement),
 * 25006 (it has become a standby) and 55P03 (a lock was not to be had in time) are no answer about
 * the statement. */
static syn_status fault(const database *d, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!text) text = PQresultErrorMessage(result);
    if (PQstatus(d->conn) == CONNECTION_BAD || !state || strncmp(state, "08", 2) == 0 ||
        strncmp(state, "57", 2) == 0 || strcmp(state, "25006") == 0 || strcmp(state, "55P03") == 0)
        return lost(d, text);
    return syn_fail(SYN_ERR_IO, "the database at %s: %.*s", d->where, first_line(text), text);
}

/* ---- opening ---- */

/* Looked for in the URL first: libpq's own sentence may quote the password. */
static syn_status describe(database *d, const char *url)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &message);
    PQfreemem(message);
    if (!options)
        return syn_fail(SYN_ERR_INVALID, "the database's address is not one of PostgreSQL: "
                                         "postgresql://USER:PASSWORD@HOST:PORT/NAME");
    const char *host = "localhost", *port = "5432", *name = "";
    for (const PQconninfoOption *o = options; o->keyword; o++) {
        if (!o->val || !*o->val) continue;
        if (strcmp(o->keyword, "host") == 0) host = o->val;
        if (strcmp(o->keyword, "port") == 0) port = o->val;
        if (strcmp(o->keyword, "dbname") == 0) name = o->val;
    }
    snprintf(d->where, sizeof d->where, "%s:%s/%s", host, port, name);
    PQconninfoFree(options);
    return SYN_OK;
}

static void pg_close(void *handle)
{
    database *d = handle;
    if (!d) return;
    PQfinish(d->conn);
    free(d);
}

static void no_notice(void *context, const char *message)
{
    (void)context;
    (void)message;
}

static syn_status connect_to(database *d, const char *url, double until_s)
{
    /* What the URL says comes last, and wins. */
    static const char *const names[] = {"connect_timeout",
                                        "client_encoding",
                                        "fallback_application_name",
                                        "keepalives_idle",
                                        "tcp_user_timeout",
                                        "dbname",
                                        NULL};
    const double left_s = until_s - syn_clock_s();
    char seconds[NUMBER_BYTES];
    snprintf(seconds, sizeof seconds, "%d",
             left_s > CONNECT_S_MAX ? CONNECT_S_MAX : (int)fmax(left_s, 0) + 1);
    const char *values[] = {seconds, "UTF8", "syncog", "10", "10000", url, NULL};
    d->conn = PQconnectdbParams(names, values, 1);
    if (!d->conn) return syn_fail(SYN_ERR_MEMORY, "out of memory");
    if (PQstatus(d->conn) != CONNECTION_OK) return lost(d, PQerrorMessage(d->conn));
    if (PQsetnonblocking(d->conn, 1) != 0) return lost(d, PQerrorMessage(d->conn));
    PQsetNoticeProcessor(d->conn, no_notice, NULL);
    return SYN_OK;
}

/* ---- answers ---- */

static double deadline(double until_s)
{
    return fmax(until_s, syn_clock_s() + ANSWER_S);
}

/* Sends what is left and waits until a result can be taken. */
static syn_status await(database *d, double until_s)
{
    for (;;) {
        const int flush = PQflush(d->conn);
        if (flush < 0) return lost(d, PQerrorMessage(d->conn));
        if (!PQisBusy(d->conn)) return SYN_OK;
        struct pollfd p = {PQsocket(d->conn), (short)(POLLIN | (flush ? POLLOUT : 0)), 0};
        const double left_s = until_s - syn_clock_s();
        if (left_s <= 0) return lost(d, "no answer in time");
        const int ready = poll(&p, 1, (int)fmin(left_s * 1000 + 1, WAIT_MS_MAX));
        if (ready < 0 && errno != EINTR) return lost(d, strerror(errno));
        if (ready > 0 && p.revents & ~POLLOUT && !PQconsumeInput(d->conn))
            return lost(d, PQerrorMessage(d->conn));
    }
}

/* Outside of pipeline mode: takes all results of what was sent; the first failure counts. *number
 * (may be NULL) is the first column of the last. */
static syn_status take_all(database *d, double until_s, int64_t *number)
{
    syn_status st = SYN_OK;
    for (;;) {
        SYN_RETURN_IF(await(d, until_s));
        PGresult *result = PQgetResult(d->conn);
        if (!result) return st;
        const ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
            st = st == SYN_OK ? fault(d, result) : st;
        else if (number)
            *number = PQntuples(result) == 1 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : -1;
        PQclear(result);
    }
}

static syn_status run(database *d, const char *sql, double until_s, int64_t *number)
{
    if (!PQsendQuery(d->conn, sql)) return lost(d, PQerrorMessage(d->conn));
    return take_all(d, until_s, number);
}

static syn_status pg_script(void *handle, const char *sql, int64_t *number)
{
    return run(handle, sql, INFINITY, number);
}

static syn_status pg_open(const char *url, double until_s, void **handle)
{
    syn_status st = SYN_OK;
    database *d = calloc(1, sizeof *d);
    *handle = NULL;
    if (!d) return syn_fail(SYN_ERR_MEMORY, "out of memory");
    SYN_TRY(describe(d, url));
    SYN_TRY(connect_to(d, url, until_s));
    SYN_TRY(run(d, "SET synchronous_commit = on; SET statement_timeout = '8s'", deadline(until_s),
                NULL));
done:
    if (st == SYN_OK)
        *handle = d;
    else
        pg_close(d);
    return st;
}

static void statement_name(int statement, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "s%d", statement);
}

static syn_status pg_prepare(void *handle, double until_s)
{
    database *d = handle;
    until_s = deadline(until_s);
    for (int k = 0; k < SYN_DB_STATEMENTS; k++) {
        char name[NAME_BYTES];
        statement_name(k, name);
        if (!PQsendPrepare(d->conn, name, syn_db_sqls[k].text, 0, NULL))
            return lost(d, PQerrorMessage(d->conn));
        SYN_RETURN_IF(take_all(d, until_s, NULL));
    }
    return PQenterPipelineMode(d->conn) ? SYN_OK : lost(d, PQerrorMessage(d->conn));
}

/* ---- calls ---- */

static syn_status send_call(database *d, const syn_db_call *call)
{
    const syn_db_sql *sql = &syn_db_sqls[call->statement];
    const char *values[SYN_DB_VALUES_MAX];
    char numbers[SYN_DB_VALUES_MAX][NUMBER_BYTES], name[NAME_BYTES];
    const int count = (int)strlen(sql->types);
    for (int k = 0; k < count; k++) {
        const syn_db_value *v = &call->values[k];
        values[k] = v->type == SYN_DB_TEXT ? v->text : numbers[k];
        if (v->type == SYN_DB_INT)
            snprintf(numbers[k], NUMBER_BYTES, "%lld", (long long)v->integer);
        if (v->type == SYN_DB_REAL) snprintf(numbers[k], NUMBER_BYTES, "%.17g", v->real);
    }
    statement_name(call->statement, name);
    if (!PQsendQueryPrepared(d->conn, name, count, values, NULL, NULL, 0))
        return lost(d, PQerrorMessage(d->conn));
    return SYN_OK;
}

/* Of one call: its result, which may be a failure, and the NULL that ends it. */
static syn_status take_result(database *d, double until_s, PGresult **result)
{
    SYN_RETURN_IF(await(d, until_s));
    *result = PQgetResult(d->conn);
    if (!*result) return lost(d, PQerrorMessage(d->conn));
    SYN_RETURN_IF(await(d, until_s));
    PGresult *end = PQgetResult(d->conn);
    if (!end) return SYN_OK;
    PQclear(end);
    return lost(d, "an answer out of order");
}

/* A sync point answers for the commit. One that fails leaves open what became of the transaction,
 * like a lost connection. */
static syn_status take_sync(database *d, double until_s)
{
    SYN_RETURN_IF(await(d, until_s));
    PGresult *result = PQgetResult(d->conn);
    const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const syn_status st = PQresultStatus(result) == PGRES_PIPELINE_SYNC
                              ? SYN_OK
                              : lost(d, text ? text : PQerrorMessage(d->conn));
    PQclear(result);
    return st;
}

typedef syn_status (*take)(void *context, syn_db_call *call, const PGresult *result);

/* Sends the calls as one transaction and gives each result to `taker`. The first failure is
 * returned, after the connection is in step again. */
static syn_status exchange(database *d, syn_db_call *calls, int count, double until_s, take taker,
                           void *context)
{
    until_s = deadline(until_s);
    for (int k = 0; k < count; k++) SYN_RETURN_IF(send_call(d, &calls[k]));
    if (!PQpipelineSync(d->conn)) return lost(d, PQerrorMessage(d->conn));
    syn_status st = SYN_OK;
    char sentence[512] = "";
    for (int k = 0; k < count; k++) {
        PGresult *result = NULL;
        syn_status one = take_result(d, until_s, &result);
        if (one == SYN_OK) {
            const ExecStatusType status = PQresultStatus(result);
            if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
                one = st == SYN_OK ? taker(context, &calls[k], result) : SYN_OK;
            else if (status != PGRES_PIPELINE_ABORTED)
                one = fault(d, result);
        }
        PQclear(result);
        if (one == SYN_ERR_NETWORK) return one;
        if (st == SYN_OK && one != SYN_OK) {
            st = one;
            snprintf(sentence, sizeof sentence, "%s", syn_error_text());
        }
    }
    const syn_status synced = take_sync(d, until_s);
    if (synced == SYN_ERR_NETWORK || st == SYN_OK) return synced;
    return syn_fail(st, "%s", sentence);
}

static syn_status take_write(void *context, syn_db_call *call, const PGresult *result)
{
    (void)context;
    call->changed = strtoll(PQcmdTuples((PGresult *)result), NULL, 10);
    return SYN_OK;
}

static syn_status pg_write(void *handle, syn_db_call *calls, int count, double until_s)
{
    return exchange(handle, calls, count, until_s, take_write, NULL);
}

typedef struct reading {
    syn_db_row row;
    void *context;
} reading;

static syn_status take_rows(void *context, syn_db_call *call, const PGresult *result)
{
    const reading *r = context;
    const char *columns = syn_db_sqls[call->statement].columns;
    for (int i = 0; i < PQntuples(result); i++) {
        syn_db_value v[SYN_DB_VALUES_MAX];
        for (int k = 0; columns[k]; k++) {
            const char *text = PQgetvalue(result, i, k);
            if (columns[k] == 'i')
                v[k] = (syn_db_value){SYN_DB_INT, .integer = strtoll(text, NULL, 10)};
            else if (columns[k] == 'r')
                v[k] = (syn_db_value){SYN_DB_REAL, .real = strtod(text, NULL)};
            else
                v[k] = (syn_db_value){SYN_DB_TEXT, .text = text};
        }
        SYN_RETURN_IF(r->row(r->context, v));
    }
    return SYN_OK;
}

static syn_status pg_read(void *handle, const syn_db_call *call, double until_s, syn_db_row row,
                          void *context)
{
    reading r = {row, context};
    syn_db_call copy = *call;
    return exchange(handle, &copy, 1, until_s, take_rows, &r);
}

const syn_db_driver syn_db_postgres = {
    .open = pg_open,
    .close = pg_close,
    .script = pg_script,
    .prepare = pg_prepare,
    .write = pg_write,
    .read = pg_read,
    /* An index over a large table takes longer than a call may. */
    .alone = "SET statement_timeout = 0; "
             "SELECT CASE WHEN pg_try_advisory_lock(5928301774) THEN 1 ELSE 0 END",
    /* Everybody waits behind who waits for a table as a whole. */
    .begin = "BEGIN; SET LOCAL lock_timeout = '1s'",
    .index = "CREATE INDEX CONCURRENTLY ",
    .drop = "DROP INDEX CONCURRENTLY IF EXISTS ",
};
