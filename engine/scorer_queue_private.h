/* What the files of the queue share; nobody else includes this. */
#ifndef SYN_ENGINE_SCORER_QUEUE_PRIVATE_H
#define SYN_ENGINE_SCORER_QUEUE_PRIVATE_H

#include <pthread.h>

#include "engine/scorer_private.h"
#include "engine/scorer_queue.h"

/* Jobs wait in three lines, each in the order in which they came. */
typedef enum line_kind { SESSIONS, PAIRS, OTHERS, LINES } line_kind;

typedef struct line {
    syn_job *first, *last;
} line;

struct syn_scorer_queue {
    syn_scorer_queue_options options;
    const syn_model *model;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows, up to the next line */
    pthread_cond_t news, opened;
    line lines[LINES];
    int waiting;
    bool sleeping, closing, ready;
    syn_status opening; /* and its sentence */
    char sentence[1024];
    syn_scorer_queue_stats stats;

    /* The thread's own. */
    syn_ctx ctx;
    syn_scorer *scorer;
    syn_job **job; /* (jobs_max): the batch */
    syn_score_request *request;
    syn_score_result *result;
    syn_gap_part *part;
    uint64_t *stamp; /* (slots): the look along the line that last met the slot */
    uint64_t look;
    int ahead; /* openings, new pieces and closings since requests had their turn */
};

/* scorer_queue_work.c, on the queue's thread, without the lock. Each ends the jobs in q->job, of
 * which `done` is called for every one. */
void syn_queue_scores_run(syn_scorer_queue *q, int n); /* requests of different slots */
void syn_queue_gaps_run(syn_scorer_queue *q, int n);
void syn_queue_one_run(syn_scorer_queue *q, syn_job *job); /* of any other kind */
/* A job that is not worked on. */
void syn_queue_end(syn_scorer_queue *q, syn_job *job, syn_status st, const char *sentence);

#endif
