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
    SYN_DB_KEY_COUNT,
    SYN_DB_KEY_REVOKE,
    SYN_DB_HISTORY_ADD,
    SYN_DB_HISTORY_LIST,
    SYN_DB_HISTORY_COUNT,
    SYN_DB_HISTORY_LIST_OWN,
    SYN_DB_HISTORY_COUNT_OWN,
    SYN_DB_HISTORY_GET,
    SYN_DB_HISTORY_GET_OWN,
    SYN_DB_SESSION,
    SYN_DB_TOTALS_SLICE,
    SYN_DB_TOTALS_QUANTILE,
    SYN_DB_TOTALS_FAILED,
    SYN_DB_AUDIT_ADD,
    SYN_DB_AUDIT_LIST,
    SYN_DB_AUDIT_COUNT,
    SYN_DB_HISTORY_EXPIRE,
    SYN_DB_AUDIT_EXPIRE,
    SYN_DB_STATEMENTS
} syn_db_statement;

enum { SYN_DB_VALUES_MAX = 16, SYN_DB_GROUP_MAX = 256, SYN_DB_EVENT_OUTCOME = 4 };

/* The same text for every driver. `types` has a letter per parameter $1, $2, ..., `columns` one per
 * column: i integer, r real, t text. `count` is the statement that counts what a list matches,
 * up to SYN_DB_TOTAL_MAX, given the first of the list's values; SYN_DB_STATEMENTS where there is
 * none. */
typedef struct syn_db_sql {
    const char *text, *types, *columns;
    bool write;
    syn_db_statement count;
} syn_db_sql;

extern const syn_db_sql syn_db_sqls[SYN_DB_STATEMENTS];

/* Step k brings a database of version k to k + 1. */
extern const char *const syn_db_steps[];
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
 * other failure the connection is ready for the next call and the failed one has had no effect. */
typedef struct syn_db_driver {
    /* Connects to a database; `url` outlives the handle. */
    syn_status (*open)(const char *url, void **handle);
    void (*close)(void *handle);
    /* Starts a transaction that no other process' can overlap, for syn_db_migrate. */
    const char *begin_alone;
    /* Statements without values or results; *version (may be NULL) the first column of the last. */
    syn_status (*script)(void *handle, const char *sql, int64_t *version);
    /* Prepares syn_db_sqls, once the tables are there. */
    syn_status (*prepare)(void *handle);
    /* All of them in one transaction, on disk when it returns SYN_OK. */
    syn_status (*write)(void *handle, syn_db_call *calls, int count);
    syn_status (*read)(void *handle, const syn_db_call *call, syn_db_row row, void *context);
} syn_db_driver;

extern const syn_db_driver syn_db_sqlite, syn_db_postgres;

/* Brings the tables to this version. */
SYN_WARN_UNUSED syn_status syn_db_migrate(const syn_db_driver *driver, void *handle);

#endif
