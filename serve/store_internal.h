/* What the files of the store share. */
#ifndef SYN_SERVE_STORE_INTERNAL_H
#define SYN_SERVE_STORE_INTERNAL_H

#include "serve/arena.h"
#include "serve/store.h"
#include "serve/store_driver.h"

/* An accepted call, in one piece of memory with its texts. */
typedef struct syn_db_job {
    struct syn_db_job *next;
    syn_db_call call;
    syn_db_done done;
    void *context;
    double submitted_s;
    size_t bytes;
} syn_db_job;

/* Takes the job over, or frees it and says why not. */
SYN_WARN_UNUSED syn_status syn_db_submit(syn_db *db, syn_db_job *job);
/* True where `bytes` more would be refused; asked before anything is copied. */
bool syn_db_is_full(syn_db *db, size_t bytes);

/* Reads what the call asks for into `result`, whose rows lie in the arena. */
SYN_WARN_UNUSED syn_status syn_db_read(const syn_db_driver *driver, void *handle,
                                       const syn_db_call *call, syn_arena *arena,
                                       syn_db_result *result);

#endif
