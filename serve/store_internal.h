/* What the files of the store share. */
#ifndef SYN_SERVE_STORE_INTERNAL_H
#define SYN_SERVE_STORE_INTERNAL_H

#include <pthread.h>

#include "kernels/base/arena.h"
#include "kernels/base/rng.h"
#include "serve/store.h"
#include "serve/store_driver.h"

/* store_rows.c: a page of a list on the way; SYN_DB_PAGE at its beginning. */
typedef struct syn_db_page {
    int64_t before_ms, from_ms; /* the slice that is read; from_ms -1: none */
    int64_t slice, total;       /* what matches in it, and up to its end */
    int64_t asked;              /* rows of the page that were asked for, */
    int count;                  /* and those that were there */
} syn_db_page;

#define SYN_DB_PAGE                                                                                \
    (syn_db_page)                                                                                  \
    {                                                                                              \
        .before_ms = INT64_MAX, .from_ms = -1                                                      \
    }

/* An accepted call, in one piece of memory with its texts. */
typedef struct syn_db_job {
    struct syn_db_job *next;
    syn_db_call calls[2]; /* the second is an event that is written together with the first */
    int count;
    syn_db_page page; /* of a list */
    syn_db_done done;
    void *context;
    double submitted_s;
    size_t bytes;
} syn_db_job;

/* store_totals.c: totals on the way; SYN_DB_WALK at its beginning. */
typedef struct syn_db_walk {
    syn_db_totals totals; /* at the end; before, sums */
    double after_s;       /* execution times up to this are summed */
    struct {
        double after_s;
        int64_t records;
    } * borders; /* of the slices so far; free() it */
    int count, room;
} syn_db_walk;

#define SYN_DB_WALK                                                                                \
    (syn_db_walk)                                                                                  \
    {                                                                                              \
        .after_s = -1e300                                                                          \
    }

/* Goes one slice further. A failed step may be tried again, over another connection too. */
SYN_WARN_UNUSED syn_status syn_db_walk_on(const syn_db_link *link, const char *org,
                                          syn_db_walk *walk, bool *over);

/* Totals that were dear to make are told again for ten times as long as that took. */
#define SYN_DB_DEAR_S    0.05
#define SYN_DB_FRESH_FOR 10
enum { SYN_DB_KNOWN_MAX = 16 };

typedef struct syn_db_known {
    struct {
        char *org; /* NULL: none */
        syn_db_totals totals;
        double until_s;
    } list[SYN_DB_KNOWN_MAX];
    int next;
} syn_db_known;

/* NULL: there are none that may be told at `now_s`. */
syn_db_totals *syn_db_recall(syn_db_known *known, const char *org, double now_s);
/* Without memory for it nothing is remembered. */
void syn_db_remember(syn_db_known *known, const char *org, const syn_db_totals *totals,
                     double until_s);
void syn_db_forget(syn_db_known *known);

/* Takes the job over, or frees it and says why not. */
SYN_WARN_UNUSED syn_status syn_db_submit(syn_db *db, syn_db_job *job);
/* True where `bytes` more would be refused; asked before anything is copied. */
bool syn_db_is_full(syn_db *db, size_t bytes);

/* What rows have become. */
typedef struct syn_db_rows {
    syn_arena arena;
    syn_db_key *keys;
    syn_db_record *records;
    syn_db_event *events;
    int count, room;
    syn_db_statement statement;
} syn_db_rows;

void syn_db_rows_init(syn_db_rows *rows, syn_db_statement statement);
void syn_db_rows_free(syn_db_rows *rows);
/* The result's rows lie in the arena. */
void syn_db_rows_tell(const syn_db_rows *rows, syn_db_result *result);

/* Reads what a call that is no list asks for. */
SYN_WARN_UNUSED syn_status syn_db_read(const syn_db_link *link, const syn_db_call *call,
                                       syn_db_rows *rows);

/* Goes one step further with a list: to the end of a slice, or of some rows. A failed step may be
 * tried again, over another connection too; `rows` is the page's own as soon as it has any. */
SYN_WARN_UNUSED syn_status syn_db_page_on(const syn_db_link *link, const syn_db_call *list,
                                          syn_db_page *page, syn_db_rows *rows, bool *over);

/* ---- store.c: the store, and what store_steps.c needs of it ---- */

enum { SYN_DB_SENTENCE_BYTES = 512 };

struct syn_db {
    const syn_db_driver *driver;
    syn_db_options options;
    char *url;

    pthread_mutex_t lock;
    pthread_cond_t news, answers;
    pthread_t thread;
    /* Under the lock. */
    syn_db_job *first, **last;
    int64_t waiting, waiting_bytes; /* accepted and not yet answered */
    bool closing;

    /* The thread's own. */
    void *handle;    /* NULL: not connected */
    bool up_to_date; /* the tables */
    double retry_s, backoff_s, sweep_s;
    char sentence[SYN_DB_SENTENCE_BYTES]; /* of the last failure to connect, or loss */
    syn_rng rng;
    syn_db_job *pages; /* lists, of which only the first one's page may have `rows` */
    syn_db_rows rows;
    syn_db_job *walkers; /* wait for totals; `walk` is of the first one's organisation */
    syn_db_walk walk;
    double walk_begun_s, walk_s; /* when it began, and what it has cost */
    syn_db_known known;
    syn_db_call calls[2 * SYN_DB_GROUP_MAX];
};

/* Tries until `until_s`, with back-off; no try within the back-off of one that failed. */
SYN_WARN_UNUSED syn_status syn_db_connect(syn_db *db, double until_s, syn_db_link *link);
/* Whether what failed so over a connection is to be tried again. A lost connection is closed. */
bool syn_db_again(syn_db *db, syn_status st, double until_s);
/* Tells whoever waits for the job: `result`, or the failure. */
void syn_db_answer(syn_db_job *job, syn_status st, syn_db_result *result);
/* Frees answered jobs. */
void syn_db_drop(syn_db *db, syn_db_job *group);

/* ---- store_steps.c ---- */

/* Takes from the group what is made in steps. */
void syn_db_take_steps(syn_db *db, syn_db_job **group);
/* One step of a list and one of totals. */
void syn_db_steps_on(syn_db *db);

#endif
