/* What the files of a collaboration share. */
#ifndef SYN_SERVE_COLLABORATION_INTERNAL_H
#define SYN_SERVE_COLLABORATION_INTERNAL_H

#include <stdatomic.h>

#include "serve/api_request.h"
#include "serve/collaboration.h"
#include "serve/findings.h"
#include "serve/stop_watch.h"

enum { SYN_SENTENCE_BYTES = 320 };

typedef enum syn_collaboration_stage {
    SYN_COLLABORATION_WAITS,    /* a hop comes, and nobody else may end it */
    SYN_COLLABORATION_PREPARES, /* the same, and the pool has it */
    SYN_COLLABORATION_RUNS,     /* the drive's callbacks come */
    SYN_COLLABORATION_OVER      /* `done` was called */
} syn_collaboration_stage;

struct syn_collaboration {
    syn_hop hop; /* first */
    syn_visit *visit;
    syn_collaboration_hooks hooks;
    syn_collaboration_stage stage;
    const char *cancelled; /* why; NULL: it is not */
    bool guarded;
    double begun_s, recorded_s; /* recorded_s: when its record was given to the store */
    syn_stop_watch watch;
    char id[SYN_DB_ID_BYTES], session[SYN_SESSION_BYTES_MAX + 1];
    const char *task_type;
    char *query;

    /* Until the team runs. */
    json_t *body;
    syn_api_request request;
    char *dialogue;
    bool dialogue_given; /* by the caller, not by the store */

    /* Between syn_collaboration_prepare and `prepared` they are the pool's. */
    uv_work_t work;
    void (*prepared)(syn_collaboration *c);
    atomic_bool unwanted; /* the pool may stop */
    syn_status prepared_st;
    bool blocked; /* by the guard, for what stands at findings.list[0] */

    syn_drive *drive;
    syn_findings findings;
    char *text;
    char sentence[SYN_SENTENCE_BYTES], field[48]; /* of end */
    syn_collaboration_end end;
};

/* collaboration_prepare.c: the guard looks at the request's texts, and the drive is prepared; on
 * the pool where there is much to read. Then `prepared` is called on the loop, never within this,
 * with prepared_st (its sentence in c->sentence) and `blocked`; SYN_ERR_INTERRUPTED where it was
 * cancelled first. Not SYN_OK: it will not be called. */
SYN_WARN_UNUSED syn_status syn_collaboration_prepare(syn_collaboration *c,
                                                     void (*prepared)(syn_collaboration *c));
/* It need not go on; `prepared` is called nevertheless. */
void syn_collaboration_unprepare(syn_collaboration *c);

/* The reply's JSON into c->text, and its record on the way to the store with its event of the audit
 * log; c->hop comes when it is on the disk, or cannot be, with c->end filled in. Not SYN_OK:
 * nothing will come. */
SYN_WARN_UNUSED syn_status syn_collaboration_record(syn_collaboration *c,
                                                    const syn_round_reply *reply);
/* Its event in the audit log. reply NULL: there is none. */
void syn_collaboration_audit(syn_collaboration *c, const char *outcome,
                             const syn_round_reply *reply);

#endif
