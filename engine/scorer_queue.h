/* A queue in front of a scorer: any thread puts jobs in, one thread scores them in batches.
 *
 * The scorer's thread owns the context and the scorer. When it is idle it takes whatever waits, up
 * to a batch, at once; while it works, the next batch gathers. Nothing is delayed for company
 * unless max_delay_us says so. A job is the caller's own memory: the queue allocates nothing for
 * it, keeps it from a submit that succeeds until its `done` is called, and then does not look at it
 * again.
 *
 *     static void done(syn_job *job) { ... uv_async_send(job->user); }
 *     syn_job *job = ...;
 *     *job = (syn_job){.kind = SYN_JOB_SCORE, .ask.score = request, .done = done, .user = async};
 *     SYN_RETURN_IF(syn_scorer_queue_submit(queue, job));
 *
 * Jobs of one slot are done in the order in which they came; two of them never share a batch.
 * Otherwise the oldest job goes first, and takes with it others of its kind; before a batch of
 * requests, the openings, new pieces and closings that wait are done, some hundreds at most. So an
 * opening does not wait for a closing that itself waits for a request of its slot. */
#ifndef SYN_ENGINE_SCORER_QUEUE_H
#define SYN_ENGINE_SCORER_QUEUE_H

#include "engine/scorer.h"
#include "engine/scorer_histogram.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct syn_scorer_queue syn_scorer_queue;

enum { SYN_SCORER_QUEUE_MAX = 1 << 20, SYN_JOB_ERROR_BYTES = 256 };

typedef struct syn_scorer_queue_options {
    syn_scorer_options scorer;
    syn_device device;
    int device_index; /* of several CUDA devices, counted round */
    syn_math math;    /* how CUDA computes */
    int threads;      /* of the CPU; 0: one per core */
    int length_max;   /* jobs that may wait, 1 to SYN_SCORER_QUEUE_MAX */
    int max_delay_us; /* how long the oldest job may wait for a batch to fill, up to a second; 0:
                         not at all */
} syn_scorer_queue_options;

#define SYN_SCORER_QUEUE_DEFAULT                                                                   \
    ((syn_scorer_queue_options){{1024, 64, 1}, SYN_DEVICE_CPU, 0, SYN_MATH_FP32, 1, 4096, 0})

typedef enum syn_job_kind {
    SYN_JOB_SCORE,  /* ask.score -> result */
    SYN_JOB_OPEN,   /* ask.session.task, and memory where there is one -> ask.session.slot */
    SYN_JOB_PIECES, /* ask.session: slot and task */
    SYN_JOB_CLOSE,  /* ask.session.slot -> memory, where one is wanted */
    SYN_JOB_GAPS,   /* the networks by themselves: outputs where ask says */
    SYN_JOB_CKM,
    SYN_JOB_STATES,
    SYN_JOB_POLICY,
    SYN_JOB_KINDS
} syn_job_kind;

/* Seconds. copy and compute are those of the batch that the job was in, with `batch` jobs. */
typedef struct syn_job_times {
    double queue_s, copy_s, compute_s;
    int batch;
} syn_job_times;

typedef struct syn_job syn_job;
struct syn_job {
    /* The caller's: what is pointed to stays as it is until `done`. */
    syn_job_kind kind;
    union {
        syn_score_request score;
        struct {
            int64_t slot;
            const syn_scorer_task *task;
            syn_scorer_memory *memory; /* may be NULL */
        } session;
        syn_gap_part gaps;
        syn_ckm_call ckm;
        syn_state_call states;
        syn_policy_call policy;
    } ask;
    /* Called on the scorer's thread, once, for every job that was submitted and not cancelled: it
     * hands the job on and returns. What result points to goes when it returns. */
    void (*done)(syn_job *job);
    void *user;
    bool certain; /* taken even where length_max jobs wait: its caller bounds how many there are */
    /* Filled before `done`. */
    syn_status status;
    char error[SYN_JOB_ERROR_BYTES]; /* the sentence, where status is not SYN_OK */
    syn_score_result result;
    syn_job_times times;
    /* The queue's. */
    syn_job *previous, *next;
    double submitted_s;
    bool waits;
};

/* Starts the thread, which opens a context on the device and the scorer; returns when both are
 * there, or with what has failed. model: in host memory, with perception, for as long as the queue.
 */
SYN_WARN_UNUSED syn_status syn_scorer_queue_open(const syn_model *model,
                                                 const syn_scorer_queue_options *options,
                                                 syn_scorer_queue **out);
/* Jobs that still wait end with SYN_ERR_INTERRUPTED; returns when the thread has ended. Nobody else
 * uses the queue any more. NULL is allowed. */
void syn_scorer_queue_close(syn_scorer_queue *q);

/* Any thread. SYN_ERR_LIMIT: as many wait as may; the job has not been taken and `done` is not
 * called. What is wrong with a job itself, its status says later. */
SYN_WARN_UNUSED syn_status syn_scorer_queue_submit(syn_scorer_queue *q, syn_job *job);
/* Any thread. True: the job waited, and is the caller's again; `done` is not called. False: it is
 * under way or done. */
bool syn_scorer_queue_cancel(syn_scorer_queue *q, syn_job *job);

typedef struct syn_scorer_queue_stats {
    uint64_t done[SYN_JOB_KINDS], failed, refused, cancelled;
    uint64_t batches, batched; /* calls of the networks, and jobs in them */
    int waiting, slots_open;
    syn_histogram queue, copy, compute; /* a job counts with the times of its batch */
} syn_scorer_queue_stats;

/* Any thread. *out is overwritten. */
void syn_scorer_queue_read(syn_scorer_queue *q, syn_scorer_queue_stats *out);

#ifdef __cplusplus
}
#endif
#endif
