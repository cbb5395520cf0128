/* What the files of trainer/dist*.c share; nobody else includes it.
 *
 * dist.c        the public functions: they queue jobs and wait for them
 * dist_thread.c the communication thread: runs jobs, notices failures, gives up in time
 * dist_tree.c   the collectives, made of exchanges between two ranks
 * dist_launch.c who started this process, and as which rank
 * dist_meet.c   how ranks find rank 0: address lists, tcp://, file:
 * dist_hello.c  rank 0 and the others connect
 * dist_star.c   one TCP connection between rank 0 and every other: beats, reasons, small data
 * dist_mpi.c, dist_nccl.cu  the two libraries, each behind a few functions */
#ifndef SYN_TRAINER_DIST_PRIVATE_H
#define SYN_TRAINER_DIST_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>

#include "trainer/dist.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SYN_DIST_JOBS_MAX = 256, /* buckets posted and not yet summed */
    SYN_DIST_TEXT_MAX = 900, /* bytes of a sentence that travels */
    SYN_DIST_TOKEN_BYTES = 16,
    SYN_DIST_ADDRESS_MAX = 1000 /* bytes of the text by which rank 0 is found */
};

typedef enum syn_dist_job_kind {
    SYN_DIST_SUM,
    SYN_DIST_FOLLOW, /* until the device has passed the event */
    SYN_DIST_SUM_F64,
    SYN_DIST_MAX_F64,
    SYN_DIST_GATHER,
    SYN_DIST_SCATTER,
    SYN_DIST_BROADCAST,
    SYN_DIST_BARRIER
} syn_dist_job_kind;

typedef struct syn_dist_job {
    syn_dist_job_kind kind;
    void *x;        /* in place, or out */
    const void *in; /* of gather and scatter */
    int64_t n;      /* numbers, or bytes */
    void *event;    /* with NCCL: x is ready when the device has passed it */
} syn_dist_job;

typedef struct syn_dist_launch {
    int rank, size, local_rank, local_size; /* local_size 0: unknown */
    bool mpi;                               /* an MPI launcher, or one that offers PMI */
    const char *by;                         /* for sentences */
} syn_dist_launch;

/* What travels on the connections to rank 0: always whole frames, between machines of one kind. */
typedef enum syn_dist_frame_kind {
    SYN_DIST_HELLO = 1, /* rank r's connection; answered by SEEN or REFUSED, then by WELCOME */
    SYN_DIST_HELLO_DATA,
    SYN_DIST_SEEN,
    SYN_DIST_REFUSED,
    SYN_DIST_WELCOME, /* all are there */
    SYN_DIST_BEAT,
    SYN_DIST_STOP, /* text: why all leave */
    SYN_DIST_BYE
} syn_dist_frame_kind;

typedef struct syn_dist_frame {
    uint32_t magic, kind;
    int32_t rank, size;
    unsigned char token[SYN_DIST_TOKEN_BYTES];
    uint64_t posted; /* jobs that the sender's caller has posted */
    double busy_s;   /* the caller's time outside of dist functions */
    /* From rank 0: who is furthest behind, or -1, how long it has been silent, and its jobs. */
    int32_t laggard;
    float laggard_silent_s;
    uint64_t laggard_posted;
    char text[SYN_DIST_TEXT_MAX];
} syn_dist_frame;

enum { SYN_DIST_MAGIC = 0x53594e31 };

/* The part of a frame that has come so far. */
typedef struct syn_dist_inbox {
    syn_dist_frame frame;
    size_t bytes;
} syn_dist_inbox;

typedef struct syn_dist_peer {
    int fd, data; /* -1: none; data only without MPI */
    bool bye;
    double heard_s, busy_s, window_busy_s, warned_s;
    uint64_t posted;
    int slow_windows;
    syn_dist_inbox in;
} syn_dist_peer;

typedef struct syn_dist_star {
    int count;            /* of peers: size at rank 0, else 1 (rank 0) */
    syn_dist_peer *peers; /* [own rank] is unused at rank 0 */
    double beat_s, beaten_s, looked_s, window_s, window_began_s;
    uint64_t window_posted;
    int laggard; /* as in the frame */
    double laggard_silent_s;
    uint64_t laggard_posted;
} syn_dist_star;

typedef struct syn_dist_nccl syn_dist_nccl;

/* Device buffers that travel through host memory, where there is MPI but no NCCL. */
typedef struct syn_dist_stage {
    real *host; /* (n_max) */
    int64_t n_max, n;
    real *device; /* of the caller */
} syn_dist_stage;

struct syn_dist {
    syn_dist_launch launch;
    int rank, size;
    int timeout_s;
    const char *rendezvous; /* of the config; NULL with MPI */
    bool mpi, use_nccl;
    int device; /* the CUDA device that was current at the open */
    syn_ctx *ctx;

    pthread_t thread;
    pthread_mutex_t lock; /* guards the fields up to the next comment */
    pthread_cond_t work, finished;
    syn_dist_job jobs[SYN_DIST_JOBS_MAX]; /* [k % JOBS_MAX] for done <= k < posted */
    uint64_t posted, done;
    bool opened, quit;
    bool failed, told; /* told: the caller has the sentence */
    syn_status failure;
    bool abort_wanted, abort_sent;
    char why[SYN_DIST_TEXT_MAX];      /* of the abort */
    char sentence[SYN_DIST_TEXT_MAX]; /* of the failure */
    double failed_s;                  /* when */
    double busy_s, busy_since_s;      /* the caller's time outside of these functions */

    /* The communication thread's own. */
    double ticked_s;
    syn_dist_star *star;
    syn_dist_nccl *nccl;
    void *scratch;
    size_t scratch_bytes;
    bool mpi_begun, logged;
    double term_s; /* when SIGTERM was noticed; 0: not */

    /* The caller's own. */
    syn_dist_stage stages[SYN_DIST_JOBS_MAX];
    int staged;
};

/* A wait of the communication thread. Time in which this process itself did not run (stopped, or
 * starved) does not count. */
typedef struct syn_dist_wait {
    int turns;
    double last_s, waited_s;
} syn_dist_wait;

/* Between two looks at something that is not there yet: spins, then sleeps tens of microseconds,
 * notices failures, and gives up after timeout_s. */
SYN_WARN_UNUSED syn_status syn_dist_pause(syn_dist *d, syn_dist_wait *w, int peer);

void *syn_dist_thread(void *dist); /* of pthread_create */

/* SIGTERM, where nobody handles it, is told in a sentence before it ends the process: mpirun sends
 * it to all ranks when one has failed. */
void syn_dist_watch_term(bool on);

/* Grows the scratch memory, which keeps nothing. */
SYN_WARN_UNUSED syn_status syn_dist_scratch(syn_dist *d, size_t bytes, void **p);

/* Sends to one rank and receives from another (-1: none) at the same time; both sides give the
 * same sizes. Over TCP one of the two is rank 0. */
SYN_WARN_UNUSED syn_status syn_dist_exchange(syn_dist *d, int to, const void *out,
                                             int64_t out_bytes, int from, void *in,
                                             int64_t in_bytes);

SYN_WARN_UNUSED syn_status syn_dist_run(syn_dist *d, const syn_dist_job *job);

/* ---- dist_launch.c ---- */

/* size 1 when nobody started several. mpi_only: skip the launchers without MPI. met: there is a
 * rendezvous, so that Slurm's allocation variables may be trusted. SYN_ERR_USAGE for nonsense. */
SYN_WARN_UNUSED syn_status syn_dist_launch_read(bool mpi_only, bool met, syn_dist_launch *launch);

/* ---- dist_meet.c: every fd is non-blocking ---- */

typedef struct syn_dist_meeting {
    int listener; /* rank 0's, else -1 */
    bool left;    /* the file is there */
    unsigned char token[SYN_DIST_TOKEN_BYTES];
    char
        address[SYN_DIST_ADDRESS_MAX]; /* "PORT TOKEN HOSTNAME ADDRESS...", or tcp://'s HOST:PORT */
} syn_dist_meeting;

/* SYN_ERR_USAGE when it is neither tcp://HOST:PORT nor file:PATH. */
SYN_WARN_UNUSED syn_status syn_dist_meet_check(const char *rendezvous);
/* Rank 0 listens. rendezvous NULL: on a free port; `address` then has to reach the others. */
SYN_WARN_UNUSED syn_status syn_dist_meet_listen(const char *rendezvous, bool one_machine,
                                                syn_dist_meeting *m);
/* One try of another rank, at most about a second: a connected socket, or -1 and the reason. */
int syn_dist_meet_connect(const char *rendezvous, syn_dist_meeting *m, char *reason,
                          size_t reason_bytes);
/* Ends the listening and takes the file away. */
void syn_dist_meet_close(const char *rendezvous, syn_dist_meeting *m);

/* ---- dist_hello.c ---- */

/* Collective: every rank connects to rank 0, within timeout_s. m->address is what rank 0's listen
 * gave when there is no rendezvous. */
SYN_WARN_UNUSED syn_status syn_dist_star_open(syn_dist *d, syn_dist_meeting *m);

/* ---- dist_star.c ---- */

syn_dist_frame syn_dist_frame_make(const syn_dist *d, syn_dist_frame_kind kind);
/* False when the connection has no room or is broken. */
bool syn_dist_frame_send(int fd, const syn_dist_frame *frame);
/* 1: in->frame is whole (and the next call begins another), 0: not yet, -1: the connection ended.
 */
int syn_dist_frame_read(int fd, syn_dist_inbox *in);

/* Sends and reads what is due. SYN_ERR_DIST when a rank has ended, is silent, or told why it
 * stops. */
SYN_WARN_UNUSED syn_status syn_dist_star_tick(syn_dist *d, double now_s);
/* Passes a sentence on to all other ranks. */
void syn_dist_star_tell(syn_dist *d, const char *sentence);
/* After a wait for `peer` that took timeout_s: the sentence that names who is missing. */
syn_status syn_dist_star_blame(syn_dist *d, int peer);
/* A clean end: the others take the end of the connection for what it is. */
void syn_dist_star_bye(syn_dist *d);
/* Waits up to linger_s until the others have hung up, so that nothing on its way is lost. */
void syn_dist_star_close(syn_dist *d, double linger_s);
SYN_WARN_UNUSED syn_status syn_dist_star_exchange(syn_dist *d, int to, const void *out,
                                                  int64_t out_bytes, int from, void *in,
                                                  int64_t in_bytes);

/* ---- dist_mpi.c: SYN_ERR_UNSUPPORTED in builds without MPI ---- */

bool syn_dist_mpi_built(void);
SYN_WARN_UNUSED syn_status syn_dist_mpi_open(syn_dist *d);
void syn_dist_mpi_close(syn_dist *d);
SYN_WARN_UNUSED syn_status syn_dist_mpi_exchange(syn_dist *d, int to, const void *out,
                                                 int64_t out_bytes, int from, void *in,
                                                 int64_t in_bytes);

/* ---- dist_nccl.cu: SYN_ERR_UNSUPPORTED in builds without NCCL (dist_nccl.c) ---- */

bool syn_dist_nccl_built(void);
/* The caller's side, before the thread starts: keeps the current device. */
SYN_WARN_UNUSED syn_status syn_dist_nccl_prepare(syn_dist *d);
SYN_WARN_UNUSED syn_status syn_dist_nccl_open(syn_dist *d);
/* After a failure, once and at once: no device waits for another rank any more. */
void syn_dist_nccl_abort(syn_dist *d);
void syn_dist_nccl_close(syn_dist *d);
/* The caller's side: an event behind what is queued on ctx's stream. */
SYN_WARN_UNUSED syn_status syn_dist_nccl_mark(syn_dist *d, void **event);
SYN_WARN_UNUSED syn_status syn_dist_nccl_sum(syn_dist *d, const syn_dist_job *job);
SYN_WARN_UNUSED syn_status syn_dist_nccl_follow(syn_dist *d, const syn_dist_job *job);
/* The caller's side of syn_dist_sum_queue. */
SYN_WARN_UNUSED syn_status syn_dist_nccl_queue(syn_dist *d, const syn_dist_part *part, int parts);

#ifdef __cplusplus
}
#endif
#endif
