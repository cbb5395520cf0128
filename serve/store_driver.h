/* What a database driver has to do, and the statements that all drivers run. Private to the store.
 */
#ifndef SYN_SERVE_STORE_DRIVER_H
#define SYN_SERVE_STORE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/base/status.h"

/* A column or a parameter. */
typedef enum syn_db_type { SYN_DB_INT, SYN_DB_REAL, SYN_DB_TEXT } syn_db_type;

typedef struct syn_db_value {
    syn_db_type type;
    union {
        int64_t integer;
        double real;
        const char *text; /* with 0 byte, never NULL */
    };
} syn_db_value;

typedef enum syn_db_statement {
    SYN_DB_KEY_ADD,
    SYN_DB_KEY_FIND,
    SYN_DB_KEY_LIST,
    SYN_DB_KEY_BORDER,
    SYN_DB_KEY_COUNT,
    SYN_DB_KEY_REVOKE,
    SYN_DB_HISTORY_ADD,
    SYN_DB_HISTORY_LIST,
    SYN_DB_HISTORY_BORDER,
    SYN_DB_HISTORY_COUNT,
    SYN_DB_HISTORY_LIST_OWN,
    SYN_DB_HISTORY_BORDER_OWN,
    SYN_DB_HISTORY_COUNT_OWN,
    SYN_DB_HISTORY_GET,
    SYN_DB_HISTORY_GET_OWN,
    SYN_DB_SESSION,
    SYN_DB_TOTALS_SLICE,
    SYN_DB_TOTALS_QUANTILE,
    SYN_DB_TOTALS_FAILED,
    SYN_DB_AUDIT_ADD,
    SYN_DB_AUDIT_LIST,
    SYN_DB_AUDIT_BORDER,
    SYN_DB_AUDIT_COUNT,
    SYN_DB_HISTORY_EXPIRE,
    SYN_DB_AUDIT_EXPIRE,
    SYN_DB_STATEMENTS
} syn_db_statement;

enum { SYN_DB_VALUES_MAX = 16, SYN_DB_GROUP_MAX = 256, SYN_DB_EVENT_OUTCOME = 4 };

/* The same text for every driver. `types` has a letter per parameter $1, $2, ..., `columns` one per
 * column: i integer, r real, t text.
 *
 * A list is read in slices by time. Its parameters are what it is filtered by, the time before
 * which the slice ends, the time with which it begins, and the limit and the offset within it.
 * `border` tells with which time the slice begins that ends before a time, given the first of the
 * filter's values and that time; no row where it is the last. `count` tells how many of a slice
 * match, given all but limit and offset. Both are 0 where a statement is no list. */
typedef struct syn_db_sql {
    const char *text, *types, *columns;
    bool write;
    syn_db_statement border, count;
} syn_db_sql;

extern const syn_db_sql syn_db_sqls[SYN_DB_STATEMENTS];

enum { SYN_DB_STEP_INDEXES_MAX = 4 };

/* Step k brings a database of version k to k + 1: `script` in a transaction (NULL: nothing), then
 * each index ("NAME ON TABLE ...") by itself, then those are dropped whose names stand in `drop`.
 */
typedef struct syn_db_step {
    const char *script, *indexes[SYN_DB_STEP_INDEXES_MAX], *drop[SYN_DB_STEP_INDEXES_MAX];
} syn_db_step;

extern const syn_db_step syn_db_steps[];
extern const int syn_db_step_count;

typedef struct syn_db_call {
    syn_db_statement statement;
    syn_db_value values[SYN_DB_VALUES_MAX];
    int64_t changed; /* out: rows */
} syn_db_call;

/* A row of a result; the texts are valid until it returns. Not SYN_OK ends the reading. */
typedef syn_status (*syn_db_row)(void *context, const syn_db_value *columns);

/* A driver's functions are called from one thread. Failures: SYN_ERR_NETWORK means that the
 * connection is gone and nothing can be said of the call: close, open, and repeat it. After any
 * other failure the connection is ready for the next call and the failed one has had no effect.
 * Where there is an `until_s` (of syn_clock_s), a server that has not answered by then counts as
 * gone; a connection that stands is given a second at least. */
typedef struct syn_db_driver {
    /* Connects to a database; `url` outlives the handle. */
    syn_status (*open)(const char *url, double until_s, void **handle);
    void (*close)(void *handle);
    /* Statements without values or results, as long as they take; *number (may be NULL) is the
     * first column of the last. */
    syn_status (*script)(void *handle, const char *sql, int64_t *number);
    /* Prepares syn_db_sqls, once the tables are there. */
    syn_status (*prepare)(void *handle, double until_s);
    /* All of them in one transaction, on disk when it returns SYN_OK. */
    syn_status (*write)(void *handle, syn_db_call *calls, int count, double until_s);
    syn_status (*read)(void *handle, const syn_db_call *call, double until_s, syn_db_row row,
                       void *context);

    /* For syn_db_migrate: that the tables' version is read and changed by no other process until
     * the connection is closed is asked for with `alone` (NULL: nobody else can) until it answers
     * 1. `begin` starts a transaction; `index` and `drop` go before an index's name, outside of
     * transactions, and let others write meanwhile. */
    const char *alone, *begin, *index, *drop;
} syn_db_driver;

/* A connection, for what has to be answered by a time. */
typedef struct syn_db_link {
    const syn_db_driver *driver;
    void *handle;
    double until_s;
} syn_db_link;

static inline syn_status syn_db_link_read(const syn_db_link *link, const syn_db_call *call,
                                          syn_db_row row, void *context)
{
    return link->driver->read(link->handle, call, link->until_s, row, context);
}

extern const syn_db_driver syn_db_sqlite, syn_db_postgres;

/* store_migrate.c: brings the tables to this version; the connection is of no use for other things
 * afterwards. */
SYN_WARN_UNUSED syn_status syn_db_migrate(const syn_db_driver *driver, void *handle);

#endif
