/* The service's durable records: keys, history, audit; in SQLite or PostgreSQL, chosen by URL.
 *
 * One thread owns the only connection. Calls from any thread copy what they are given into a
 * bounded queue and return; `done` is called once for each accepted call, on that thread. What has
 * gathered while one transaction was written goes out as the next one, at most 256 calls or 1 MiB,
 * so that a group is a matter of milliseconds and nobody waits for company. A write is reported as
 * done after its commit has reached the disk, never before. Reads follow the writes of their group.
 * Lists and totals are read a slice of some milliseconds at a time, between which other calls are
 * answered, so that nobody waits for a search through all records of somebody else.
 *
 * Where the server of a PostgreSQL database is lost, the thread reconnects with back-off and
 * repeats the group; every record carries an id chosen before it is sent, so that a repeated insert
 * adds nothing twice. A call that has waited for `patience_s` fails with one sentence, whether the
 * server is gone, hangs, or a lock is in the way. A full disk
 * fails the call at once, and later calls work again when there is room. A failed fsync of SQLite's
 * file refuses all later writes until the process starts again, since nobody can tell what is on
 * the disk. A write that fails and that nobody waits for is told to the log.
 *
 * Every row belongs to an organisation, and every call names the one it works for, except
 * syn_db_key_find (the key decides the organisation) and the retention's sweep.
 *
 * PostgreSQL is used through libpq on the same thread, a whole group per round trip (pipeline
 * mode). synchronous_commit is switched on for the session. */
#ifndef SYN_SERVE_STORE_H
#define SYN_SERVE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/base/status.h"

enum {
    SYN_DB_ID_BYTES = 37, /* with its 0 byte */
    SYN_DB_NAME_BYTES_MAX = 256,
    SYN_DB_TEXT_BYTES_MAX = 256 << 10, /* query, final answer, detail of an event */
    SYN_DB_REPLY_BYTES_MAX = 4 << 20,
    SYN_DB_ROWS_MAX = 100,
    SYN_DB_TOTAL_MAX = 10000,
    SYN_DB_OFFSET_MAX = 1000000000
};

typedef struct syn_db syn_db;

typedef struct syn_db_options {
    const char *url;         /* sqlite:///relative, sqlite:////absolute, postgresql://... */
    double retention_days;   /* history and audit older than this are removed; 0: never */
    double patience_s;       /* 0: 5; how long a call, or the opening, waits for a lost server */
    int64_t queue_max;       /* calls waiting; 0: 8192 */
    int64_t queue_bytes_max; /* of what they hold; 0: 64 MiB */
} syn_db_options;

/* Texts are UTF-8 without NUL. Where a text may be missing it is "" in what comes back, and NULL or
 * "" in what is given. Times are milliseconds since 1970, UTC. */

typedef struct syn_db_key {
    const char *id, *org;
    const char *sha256; /* of the key itself, 64 lower-case hex digits; the key is kept nowhere */
    const char *prefix; /* what may be shown of it */
    const char *name, *tier;
    int64_t created_ms, revoked_ms; /* revoked_ms 0: in force */
} syn_db_key;

typedef struct syn_db_record {
    const char *id, *org;
    const char *owner; /* the id of the key it was asked with */
    const char *query, *final_answer, *task_type;
    const char *reply; /* JSON, the whole answer; "" in lists */
    double confidence, execution_time_s;
    int64_t num_agents, num_rounds, created_ms;
    const char *session; /* the dialogue that it belongs to, or ""; "" in lists */
    /* For the totals; 0 in what comes back. */
    int64_t gaps_detected;
    double information_gain;
    bool converged;
} syn_db_record;

/* Of an organisation's records with at least one round. */
typedef struct syn_db_totals {
    int64_t collaborations, agents, rounds;
    int64_t failed; /* events of action "collaborate" whose outcome is "failed" or "unrecorded" */
    double avg_confidence, avg_time_s, p50_time_s, p95_time_s, p99_time_s;
    double avg_gaps_detected, avg_information_gain, convergence_rate;
} syn_db_totals;

typedef struct syn_db_event {
    const char *id, *org;
    const char *actor; /* the id of a key, or "" */
    const char *action, *outcome, *request_id;
    const char *detail; /* JSON without secrets */
    int64_t created_ms;
} syn_db_event;

/* Valid until `done` returns. */
typedef struct syn_db_result {
    syn_status status;    /* the rest is 0 and empty where it is not SYN_OK, but for the sentence */
    const char *sentence; /* of a failure, else "" */
    int64_t changed;      /* rows: of an insert 0 when it was there (also after a
                           * repetition over a lost server); of a revoke 0 when there is no such key */
    /* Lists: all that match, of which `count` are here; SYN_DB_TOTAL_MAX: that many or more. */
    int64_t total;
    int count; /* of the array below that the call is about */
    const syn_db_key *keys;
    const syn_db_record *records;
    const syn_db_event *events;
    const syn_db_totals *totals;
} syn_db_result;

/* Runs on the store's thread: short, without blocking; it may submit, not flush or close. */
typedef void (*syn_db_done)(void *context, const syn_db_result *result);

/* Opens or makes the database and brings its tables up to this version (each step is a transaction
 * of its own, replicas that start together take turns).
 * Errors: SYN_ERR_INVALID (URL), SYN_ERR_IO (file, or another process has it: a lock file NAME.lock
 * beside an SQLite file), SYN_ERR_FORMAT (no database, or of a later version), SYN_ERR_NETWORK. */
SYN_WARN_UNUSED syn_status syn_db_open(syn_db **db, const syn_db_options *options);

/* Answers everything that was accepted, then ends the thread. NULL is allowed. No call may be under
 * way or come later. */
void syn_db_close(syn_db *db);

/* Half of the queue is taken: who has not begun yet had better come later. Any thread. */
bool syn_db_is_crowded(syn_db *db);

/* Returns when nothing waits to be answered: all that was accepted before, and meanwhile. */
void syn_db_flush(syn_db *db);

/* A fresh id, unique over all replicas and sorted by time (UUIDv7). */
SYN_WARN_UNUSED syn_status syn_db_id(char out[SYN_DB_ID_BYTES]);

/* The calls. Everything given is copied; `done` may be NULL. created_ms 0 is the time of the call.
 * Errors, with which `done` is not called: SYN_ERR_INVALID (a text that is missing, too long or not
 * UTF-8, a number out of range), SYN_ERR_LIMIT (the queue is full), SYN_ERR_MEMORY. */

/* Adding the same id twice adds it once; so does a sha256 that is there. */
SYN_WARN_UNUSED syn_status syn_db_key_add(syn_db *db, const syn_db_key *key, syn_db_done done,
                                          void *context);
/* keys[0], revoked or not, of any organisation; count 0 when there is none. */
SYN_WARN_UNUSED syn_status syn_db_key_find(syn_db *db, const char *sha256, syn_db_done done,
                                           void *context);
/* Newest first; limit in [1, SYN_DB_ROWS_MAX]. */
SYN_WARN_UNUSED syn_status syn_db_key_list(syn_db *db, const char *org, int64_t limit,
                                           int64_t offset, syn_db_done done, void *context);
/* A key that was revoked before keeps its time. */
SYN_WARN_UNUSED syn_status syn_db_key_revoke(syn_db *db, const char *org, const char *id,
                                             syn_db_done done, void *context);

SYN_WARN_UNUSED syn_status syn_db_history_add(syn_db *db, const syn_db_record *record,
                                              syn_db_done done, void *context);

/* The same with an event of the audit log (NULL: none): both are there, or neither. Where the
 * record is refused, the event is written with SYN_DB_UNRECORDED as its outcome, unless the server
 * is lost. */
SYN_WARN_UNUSED syn_status syn_db_history_add_audited(syn_db *db, const syn_db_record *record,
                                                      const syn_db_event *event, syn_db_done done,
                                                      void *context);
#define SYN_DB_UNRECORDED "unrecorded"

typedef struct syn_db_filter {
    const char *org;
    const char *owner;     /* records of this key; NULL: of all, for an administrator */
    const char *task_type; /* NULL or "": any */
    double min_confidence;
    int64_t limit, offset; /* [1, SYN_DB_ROWS_MAX], [0, SYN_DB_OFFSET_MAX] */
} syn_db_filter;

/* Newest first, without `reply`. */
SYN_WARN_UNUSED syn_status syn_db_history_list(syn_db *db, const syn_db_filter *filter,
                                               syn_db_done done, void *context);
/* records[0] whole; count 0 when there is none, or it is another owner's (NULL: any). */
SYN_WARN_UNUSED syn_status syn_db_history_get(syn_db *db, const char *org, const char *owner,
                                              const char *id, syn_db_done done, void *context);

/* The last records of a dialogue of this owner, newest first, without `reply`. */
SYN_WARN_UNUSED syn_status syn_db_session_read(syn_db *db, const char *org, const char *owner,
                                               const char *session, int64_t limit, syn_db_done done,
                                               void *context);
/* totals[0]; those of another call of the organisation where making them takes long: not older than
 * ten times that. */
SYN_WARN_UNUSED syn_status syn_db_totals_read(syn_db *db, const char *org, syn_db_done done,
                                              void *context);

SYN_WARN_UNUSED syn_status syn_db_audit_add(syn_db *db, const syn_db_event *event, syn_db_done done,
                                            void *context);
/* Newest first. */
SYN_WARN_UNUSED syn_status syn_db_audit_list(syn_db *db, const char *org, int64_t limit,
                                             int64_t offset, syn_db_done done, void *context);

#endif
