/* What the files of the store share. */
#ifndef SYN_SERVE_STORE_INTERNAL_H
#define SYN_SERVE_STORE_INTERNAL_H

#include "serve/arena.h"
#include "serve/store.h"
#include "serve/store_driver.h"

/* An accepted call, in one piece of memory with its texts. */
typedef struct syn_db_job {
    struct syn_db_job *next;
    syn_db_call calls[2]; /* the second is an event that is written together with the first */
    int count;
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
SYN_WARN_UNUSED syn_status syn_db_walk_on(const syn_db_driver *driver, void *handle,
                                          const char *org, syn_db_walk *walk, bool *over);

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

/* Reads what the call asks for into `result`, whose rows lie in the arena. */
SYN_WARN_UNUSED syn_status syn_db_read(const syn_db_driver *driver, void *handle,
                                       const syn_db_call *call, syn_arena *arena,
                                       syn_db_result *result);

#endif
