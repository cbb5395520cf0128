/* Sums with the tree of dist.h, which NCCL's own reductions do not promise: each rank gets its
 * slice of everybody's buffer, adds the slices in a kernel, and sends the sum to all. The traffic
 * is that of a ring all-reduce, and no choice of algorithm inside NCCL can change a bit.
 *
 * A sum is queued either by the communication thread, on a stream of its own, or by the caller, on
 * its context's stream, where it may be part of a graph. The two never overlap: the caller's queue
 * only when nothing is posted. What makes a device wait for a rank that has gone is ended by
 * ncclCommAbort: every wait of a host, in whatever thread, comes back then. NCCL may return from it
 * only when the graphs that hold sums have been freed, so it has a thread of its own. */
#include "trainer/dist_private.h"

#ifdef SYN_HAVE_NCCL

#    include <cuda_runtime.h>
#    include <nccl.h>
#    include <stdlib.h>
#    include <string.h>
#    include <time.h>

#    include "kernels/base/progress.h"
#    include "kernels/tree_sum.h"

enum { EVENTS_MAX = SYN_DIST_JOBS_MAX + 1, ABORT_S = 5 };

struct syn_dist_nccl {
    ncclComm_t comm;
    pthread_mutex_t lock; /* around calls with comm, and `aborted` */
    bool aborted;         /* comm is nobody's any more but the aborter's */
    bool aborting;        /* the aborter has been started */
    pthread_t aborter;
    int device;
    cudaStream_t stream; /* the communication thread's */
    cudaEvent_t finished;
    real *slices; /* (size, slice), device; of the communication thread's sums */
    int64_t slice_max;
};

/* Where one side's calls go. */
typedef struct lane {
    syn_dist *d;
    cudaStream_t stream;
    bool callers; /* the caller's thread: it does not look after the other ranks */
} lane;

/* The caller's events, used in a circle: a job holds its own until it is done. */
static cudaEvent_t events[EVENTS_MAX];
static uint64_t events_used;

extern "C" bool syn_dist_nccl_built(void)
{
    return true;
}

static syn_status fail_cuda(const syn_dist *d, cudaError_t error, const char *what)
{
    return syn_fail(SYN_ERR_DIST, "rank %d: CUDA failed while it %s: %s", d->rank, what,
                    cudaGetErrorString(error));
}

static syn_status fail_nccl(const syn_dist *d, ncclResult_t error, const char *what)
{
    return syn_fail(SYN_ERR_DIST, "rank %d: NCCL failed while it %s: %s (%s)", d->rank, what,
                    ncclGetErrorString(error), ncclGetLastError(NULL));
}

#    define TRY_CUDA(d, call, what)                                                                \
        do {                                                                                       \
            cudaError_t error_ = (call);                                                           \
            if (error_ != cudaSuccess) return fail_cuda(d, error_, what);                          \
        } while (0)

#    define TRY_NCCL(d, call, what)                                                                \
        do {                                                                                       \
            ncclResult_t error_ = (call);                                                          \
            if (error_ != ncclSuccess && error_ != ncclInProgress)                                 \
                return fail_nccl(d, error_, what);                                                 \
        } while (0)

extern "C" syn_status syn_dist_nccl_prepare(syn_dist *d)
{
    TRY_CUDA(d, cudaGetDevice(&d->device), "asked for its device");
    for (int i = 0; i < EVENTS_MAX; i++) {
        if (events[i]) continue;
        TRY_CUDA(d, cudaEventCreateWithFlags(&events[i], cudaEventDisableTiming), "made an event");
    }
    return SYN_OK;
}

/* ---- Waiting ---- */

static syn_status state_of(syn_dist *d, ncclResult_t *state, const char *what)
{
    syn_dist_nccl *c = d->nccl;
    pthread_mutex_lock(&c->lock);
    const ncclResult_t error = c->aborted ? ncclSuccess : ncclCommGetAsyncError(c->comm, state);
    const bool aborted = c->aborted;
    pthread_mutex_unlock(&c->lock);
    if (aborted) return syn_fail(SYN_ERR_DIST, "rank %d: the ranks have parted", d->rank);
    if (error != ncclSuccess) return fail_nccl(d, error, what);
    if (*state != ncclSuccess && *state != ncclInProgress) return fail_nccl(d, *state, what);
    return SYN_OK;
}

/* The calls of a non-blocking communicator return at once; this waits until they have had effect.
 */
static syn_status settle(const lane *l, const char *what)
{
    syn_dist *d = l->d;
    syn_dist_wait wait = {};
    const struct timespec moment = {0, 20000};
    const double until = syn_clock_s() + d->timeout_s;
    for (;;) {
        ncclResult_t state = ncclInProgress;
        SYN_RETURN_IF(state_of(d, &state, what));
        if (state == ncclSuccess) return SYN_OK;
        if (!l->callers) {
            SYN_RETURN_IF(syn_dist_pause(d, &wait, d->rank ? 0 : 1));
            continue;
        }
        if (syn_clock_s() > until)
            return syn_fail(SYN_ERR_DIST, "rank %d: NCCL has not %s in %d s", d->rank, what,
                            d->timeout_s);
        nanosleep(&moment, NULL);
    }
}

/* Until the device has passed the event, or another rank is gone. */
static syn_status await_event(syn_dist *d, cudaEvent_t event)
{
    syn_dist_wait wait = {};
    for (;;) {
        ncclResult_t state = ncclSuccess;
        const cudaError_t error = cudaEventQuery(event);
        if (error == cudaSuccess) return SYN_OK;
        (void)cudaGetLastError(); /* "not ready" is one, which a later launch must not find */
        if (error != cudaErrorNotReady) return fail_cuda(d, error, "summed over ranks");
        SYN_RETURN_IF(state_of(d, &state, "summed over ranks"));
        SYN_RETURN_IF(syn_dist_pause(d, &wait, d->rank ? 0 : 1));
    }
}

/* ---- Opening and closing ---- */

extern "C" syn_status syn_dist_nccl_open(syn_dist *d)
{
    ncclUniqueId id;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    memset(&id, 0, sizeof id);
    d->nccl = (syn_dist_nccl *)calloc(1, sizeof *d->nccl);
    if (!d->nccl) return syn_fail(SYN_ERR_MEMORY, "out of memory for NCCL");
    syn_dist_nccl *c = d->nccl;
    pthread_mutex_init(&c->lock, NULL);
    c->device = d->device;
    TRY_CUDA(d, cudaSetDevice(d->device), "chose its device");
    TRY_CUDA(d, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "made a stream");
    TRY_CUDA(d, cudaEventCreateWithFlags(&c->finished, cudaEventDisableTiming), "made an event");
    if (d->rank == 0) TRY_NCCL(d, ncclGetUniqueId(&id), "made an id");
    syn_dist_job tell = {};
    tell.kind = SYN_DIST_BROADCAST;
    tell.x = &id;
    tell.n = sizeof id;
    SYN_RETURN_IF(syn_dist_run(d, &tell));
    TRY_NCCL(d, ncclCommInitRankConfig(&c->comm, d->size, id, d->rank, &config), "connected");
    const lane own = {d, c->stream, false};
    return settle(&own, "connected");
}

static void *abort_comm(void *nccl)
{
    syn_dist_nccl *c = (syn_dist_nccl *)nccl;
    (void)cudaSetDevice(c->device);
    (void)ncclCommAbort(c->comm);
    return NULL;
}

extern "C" void syn_dist_nccl_abort(syn_dist *d)
{
    syn_dist_nccl *c = d->nccl;
    if (!c || !c->comm || c->aborted) return;
    pthread_mutex_lock(&c->lock); /* nobody is amid a call */
    c->aborted = true;
    pthread_mutex_unlock(&c->lock);
    c->aborting = pthread_create(&c->aborter, NULL, abort_comm, c) == 0;
}

/* False where something still holds the communicator: it is left to the end of the process. */
static bool aborter_ended(syn_dist_nccl *c)
{
    struct timespec until;
    if (!c->aborting) return true;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ABORT_S;
    if (pthread_timedjoin_np(c->aborter, NULL, &until) == 0) return true;
    (void)pthread_detach(c->aborter);
    return false;
}

extern "C" void syn_dist_nccl_close(syn_dist *d)
{
    syn_dist_nccl *c = d->nccl;
    if (!c) return;
    if (c->comm && !d->failed) {
        const lane own = {d, c->stream, false};
        (void)ncclCommFinalize(c->comm);
        if (settle(&own, "ended") == SYN_OK)
            (void)ncclCommDestroy(c->comm);
        else
            syn_dist_nccl_abort(d);
    } else if (c->comm) {
        syn_dist_nccl_abort(d);
    }
    d->nccl = NULL;
    if (!aborter_ended(c)) return;
    if (c->finished) (void)cudaEventDestroy(c->finished);
    if (c->stream) (void)cudaStreamDestroy(c->stream);
    if (c->slices) (void)cudaFree(c->slices);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- Sums ---- */

static int64_t slice_begin(int64_t n, int size, int rank)
{
    return n / size * rank + (rank < n % size ? rank : n % size);
}

static int64_t slice_count(int64_t n, int size, int rank)
{
    return slice_begin(n, size, rank + 1) - slice_begin(n, size, rank);
}

/* Room for everybody's slices of the parts that this rank adds. */
static int64_t slices_size(const syn_dist *d, const syn_dist_part *part, int parts)
{
    int64_t size = 0;
    for (int k = 0; k < parts; k++) size += slice_count(part[k].n, d->size, d->rank) * d->size;
    return size;
}

/* Queues what this rank sends and receives of a part. `back` false: everybody's slice r of x goes
 * to rank r, where (size, own slice) arrives in slices. `back`: the sums, row 0 of slices, go to
 * everybody's x. */
static syn_status exchange_part(const lane *l, const syn_dist_part *part, real *slices, bool back)
{
    typedef struct run {
        real *x;
        int64_t n;
    } run;
    syn_dist *d = l->d;
    const int64_t own = slice_count(part->n, d->size, d->rank);
    for (int r = 0; r < d->size; r++) {
        const run theirs = {part->x + slice_begin(part->n, d->size, r),
                            slice_count(part->n, d->size, r)};
        const run mine = {slices + (back ? 0 : own * r), own};
        const run out = back ? mine : theirs, in = back ? theirs : mine;
        if (out.n) {
            TRY_NCCL(d, ncclSend(out.x, (size_t)out.n, ncclFloat, r, d->nccl->comm, l->stream),
                     "sent a slice");
        }
        if (in.n) {
            TRY_NCCL(d, ncclRecv(in.x, (size_t)in.n, ncclFloat, r, d->nccl->comm, l->stream),
                     "received a slice");
        }
    }
    return SYN_OK;
}

/* One direction of all parts, as one group of NCCL's. Holds the lock. */
static syn_status exchange_locked(const lane *l, const syn_dist_part *part, int parts, real *slices,
                                  bool back)
{
    syn_dist *d = l->d;
    syn_status st = SYN_OK;
    if (d->nccl->aborted) return syn_fail(SYN_ERR_DIST, "rank %d: the ranks have parted", d->rank);
    TRY_NCCL(d, ncclGroupStart(), "summed over ranks");
    for (int k = 0; k < parts && st == SYN_OK; k++) {
        st = exchange_part(l, &part[k], slices, back);
        slices += slice_count(part[k].n, d->size, d->rank) * d->size;
    }
    const ncclResult_t ended = ncclGroupEnd(); /* a group that has begun is ended in any case */
    if (st == SYN_OK) TRY_NCCL(d, ended, "summed over ranks");
    return st;
}

static syn_status exchange_all(const lane *l, const syn_dist_part *part, int parts, real *slices,
                               bool back)
{
    syn_dist_nccl *c = l->d->nccl;
    pthread_mutex_lock(&c->lock);
    const syn_status st = exchange_locked(l, part, parts, slices, back);
    pthread_mutex_unlock(&c->lock);
    return st == SYN_OK ? settle(l, "summed over ranks") : st;
}

/* Queues the sums of all parts; slices as slices_size says. */
static syn_status queue_sums(const lane *l, syn_ctx *ctx, const syn_dist_part *part, int parts,
                             real *slices)
{
    const syn_dist *d = l->d;
    real *at = slices;
    SYN_RETURN_IF(exchange_all(l, part, parts, slices, false));
    for (int k = 0; k < parts; k++) {
        const int64_t own = slice_count(part[k].n, d->size, d->rank);
        if (own) SYN_RETURN_IF(syn_tree_sum(ctx, at, d->size, own));
        at += own * d->size;
    }
    return exchange_all(l, part, parts, slices, true);
}

extern "C" syn_status syn_dist_nccl_mark(syn_dist *d, void **event)
{
    const cudaEvent_t e = events[events_used++ % EVENTS_MAX];
    TRY_CUDA(d, cudaEventRecord(e, (cudaStream_t)d->ctx->stream), "queued a sum");
    *event = e;
    return SYN_OK;
}

extern "C" syn_status syn_dist_nccl_sum(syn_dist *d, const syn_dist_job *job)
{
    syn_dist_nccl *c = d->nccl;
    const lane own = {d, c->stream, false};
    const syn_dist_part part = {(real *)job->x, job->n};
    const int64_t size = slices_size(d, &part, 1);
    syn_ctx on_stream;
    memset(&on_stream, 0, sizeof on_stream);
    on_stream.device = SYN_DEVICE_CUDA;
    on_stream.threads = 1;
    on_stream.stream = c->stream;
    if (size > c->slice_max) {
        if (c->slices) TRY_CUDA(d, cudaFree(c->slices), "freed memory");
        c->slices = NULL;
        c->slice_max = 0;
        TRY_CUDA(d, cudaMalloc((void **)&c->slices, sizeof(real) * (size_t)size),
                 "took memory for a sum over ranks");
        c->slice_max = size;
    }
    TRY_CUDA(d, cudaStreamWaitEvent(c->stream, (cudaEvent_t)job->event, 0), "queued a sum");
    SYN_RETURN_IF(queue_sums(&own, &on_stream, &part, 1, c->slices));
    TRY_CUDA(d, cudaEventRecord(c->finished, c->stream), "queued a sum");
    return await_event(d, c->finished);
}

extern "C" syn_status syn_dist_nccl_queue(syn_dist *d, const syn_dist_part *part, int parts)
{
    const lane callers = {d, (cudaStream_t)d->ctx->stream, true};
    const syn_scratch_mark mark = syn_scratch_push(d->ctx);
    real *slices = SYN_SCRATCH(d->ctx, real, slices_size(d, part, parts));
    const syn_status st =
        slices ? queue_sums(&callers, d->ctx, part, parts, slices) : SYN_ERR_MEMORY;
    syn_scratch_pop(d->ctx, mark);
    return st;
}

extern "C" syn_status syn_dist_nccl_follow(syn_dist *d, const syn_dist_job *job)
{
    return await_event(d, (cudaEvent_t)job->event);
}

#endif
