#include "trainer/dist_private.h"

#ifdef SYN_HAVE_NCCL

#    include <nccl.h>
#    include <stdio.h>
#    include <stdlib.h>
#    include <string.h>

#    include "kernels/tree_sum.h"

/* Sums with the tree of dist.h, which NCCL's own reductions do not promise: each rank gets its
 * slice of everybody's buffer, adds the slices in a kernel, and sends the sum to all. The traffic
 * is that of a ring all-reduce, and no choice of algorithm inside NCCL can change a bit. */

enum { EVENTS_MAX = SYN_DIST_JOBS_MAX + 1 };

struct syn_dist_nccl {
    ncclComm_t comm;
    cudaStream_t stream;
    cudaEvent_t finished;
    real *slices; /* (size, slice), device */
    int64_t slice_max;
};

/* The caller's events, used in a circle: a job holds its own until it is done. */
static cudaEvent_t events[EVENTS_MAX];
static uint64_t events_used;

bool syn_dist_nccl_built(void)
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

syn_status syn_dist_nccl_prepare(syn_dist *d)
{
    TRY_CUDA(d, cudaGetDevice(&d->device), "asked for its device");
    for (int i = 0; i < EVENTS_MAX; i++) {
        if (events[i]) continue;
        TRY_CUDA(d, cudaEventCreateWithFlags(&events[i], cudaEventDisableTiming), "made an event");
    }
    return SYN_OK;
}

/* The calls of a non-blocking communicator return at once; this waits until they have had effect.
 */
static syn_status settle(syn_dist *d, const char *what)
{
    syn_dist_wait wait = {0};
    ncclResult_t state = ncclInProgress;
    for (;;) {
        TRY_NCCL(d, ncclCommGetAsyncError(d->nccl->comm, &state), what);
        if (state == ncclSuccess) return SYN_OK;
        if (state != ncclInProgress) return fail_nccl(d, state, what);
        SYN_RETURN_IF(syn_dist_pause(d, &wait, d->rank ? 0 : 1));
    }
}

/* Until the device has done what was queued, or another rank is gone. */
static syn_status await_device(syn_dist *d)
{
    syn_dist_wait wait = {0};
    syn_dist_nccl *c = d->nccl;
    TRY_CUDA(d, cudaEventRecord(c->finished, c->stream), "queued a sum");
    for (;;) {
        ncclResult_t state = ncclSuccess;
        const cudaError_t error = cudaEventQuery(c->finished);
        if (error == cudaSuccess) return SYN_OK;
        if (error != cudaErrorNotReady) return fail_cuda(d, error, "summed over ranks");
        TRY_NCCL(d, ncclCommGetAsyncError(c->comm, &state), "summed over ranks");
        if (state != ncclSuccess && state != ncclInProgress) {
            return fail_nccl(d, state, "summed over ranks");
        }
        SYN_RETURN_IF(syn_dist_pause(d, &wait, d->rank ? 0 : 1));
    }
}

syn_status syn_dist_nccl_open(syn_dist *d)
{
    ncclUniqueId id;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    memset(&id, 0, sizeof id);
    d->nccl = calloc(1, sizeof *d->nccl);
    if (!d->nccl) return syn_fail(SYN_ERR_MEMORY, "out of memory for NCCL");
    syn_dist_nccl *c = d->nccl;
    TRY_CUDA(d, cudaSetDevice(d->device), "chose its device");
    TRY_CUDA(d, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "made a stream");
    TRY_CUDA(d, cudaEventCreateWithFlags(&c->finished, cudaEventDisableTiming), "made an event");
    if (d->rank == 0) TRY_NCCL(d, ncclGetUniqueId(&id), "made an id");
    const syn_dist_job tell = {.kind = SYN_DIST_BROADCAST, .x = &id, .n = sizeof id};
    SYN_RETURN_IF(syn_dist_run(d, &tell));
    TRY_NCCL(d, ncclCommInitRankConfig(&c->comm, d->size, id, d->rank, &config), "connected");
    return settle(d, "connected");
}

void syn_dist_nccl_close(syn_dist *d)
{
    syn_dist_nccl *c = d->nccl;
    syn_status st = SYN_OK;
    if (!c) return;
    if (c->comm && !d->failed) {
        (void)ncclCommFinalize(c->comm);
        st = settle(d, "ended");
        if (st == SYN_OK) (void)ncclCommDestroy(c->comm);
    }
    if (c->comm && (d->failed || st != SYN_OK)) (void)ncclCommAbort(c->comm);
    if (c->finished) (void)cudaEventDestroy(c->finished);
    if (c->stream) (void)cudaStreamDestroy(c->stream);
    if (c->slices) (void)cudaFree(c->slices);
    free(c);
    d->nccl = NULL;
}

syn_status syn_dist_nccl_mark(syn_dist *d, void **event)
{
    const cudaEvent_t e = events[events_used++ % EVENTS_MAX];
    TRY_CUDA(d, cudaEventRecord(e, (cudaStream_t)d->ctx->stream), "queued a sum");
    *event = e;
    return SYN_OK;
}

static int64_t slice_begin(int64_t n, int size, int rank)
{
    return n / size * rank + (rank < n % size ? rank : n % size);
}

/* Everybody's piece `r` of x goes to rank r; (size, own piece) arrives in slices. */
static syn_status scatter_slices(syn_dist *d, const real *x, int64_t n, int64_t own)
{
    syn_dist_nccl *c = d->nccl;
    TRY_NCCL(d, ncclGroupStart(), "summed over ranks");
    for (int r = 0; r < d->size; r++) {
        const int64_t begin = slice_begin(n, d->size, r), end = slice_begin(n, d->size, r + 1);
        if (end > begin) {
            TRY_NCCL(d,
                     ncclSend(x + begin, (size_t)(end - begin), ncclFloat, r, c->comm, c->stream),
                     "sent a slice");
        }
        if (own) {
            TRY_NCCL(d,
                     ncclRecv(c->slices + own * r, (size_t)own, ncclFloat, r, c->comm, c->stream),
                     "received a slice");
        }
    }
    TRY_NCCL(d, ncclGroupEnd(), "summed over ranks");
    return settle(d, "summed over ranks");
}

/* The sums, row 0 of slices, go to everybody's x. */
static syn_status gather_sums(syn_dist *d, real *x, int64_t n, int64_t own)
{
    syn_dist_nccl *c = d->nccl;
    TRY_NCCL(d, ncclGroupStart(), "summed over ranks");
    for (int r = 0; r < d->size; r++) {
        const int64_t begin = slice_begin(n, d->size, r), end = slice_begin(n, d->size, r + 1);
        if (own) {
            TRY_NCCL(d, ncclSend(c->slices, (size_t)own, ncclFloat, r, c->comm, c->stream),
                     "sent a sum");
        }
        if (end > begin) {
            TRY_NCCL(d,
                     ncclRecv(x + begin, (size_t)(end - begin), ncclFloat, r, c->comm, c->stream),
                     "received a sum");
        }
    }
    TRY_NCCL(d, ncclGroupEnd(), "summed over ranks");
    return settle(d, "summed over ranks");
}

syn_status syn_dist_nccl_sum(syn_dist *d, const syn_dist_job *job)
{
    syn_dist_nccl *c = d->nccl;
    const int64_t n = job->n;
    const int64_t own = slice_begin(n, d->size, d->rank + 1) - slice_begin(n, d->size, d->rank);
    syn_ctx on_stream = {.device = SYN_DEVICE_CUDA, .threads = 1, .stream = c->stream};
    if (own > c->slice_max) {
        if (c->slices) TRY_CUDA(d, cudaFree(c->slices), "freed memory");
        c->slices = NULL;
        c->slice_max = 0;
        TRY_CUDA(d, cudaMalloc((void **)&c->slices, sizeof(real) * (size_t)(own * d->size)),
                 "took memory for a sum over ranks");
        c->slice_max = own;
    }
    TRY_CUDA(d, cudaStreamWaitEvent(c->stream, (cudaEvent_t)job->event, 0), "queued a sum");
    SYN_RETURN_IF(scatter_slices(d, job->x, n, own));
    if (own) SYN_RETURN_IF(syn_tree_sum(&on_stream, c->slices, d->size, own));
    SYN_RETURN_IF(gather_sums(d, job->x, n, own));
    return await_device(d);
}

#else

static syn_status fail_unbuilt(void)
{
    return syn_fail(SYN_ERR_UNSUPPORTED,
                    "this build has no NCCL: build with -DSYN_CUDA=ON -DSYN_NCCL=ON");
}

bool syn_dist_nccl_built(void)
{
    return false;
}

syn_status syn_dist_nccl_prepare(syn_dist *d)
{
    (void)d;
    return fail_unbuilt();
}

syn_status syn_dist_nccl_open(syn_dist *d)
{
    (void)d;
    return fail_unbuilt();
}

void syn_dist_nccl_close(syn_dist *d)
{
    (void)d;
}

syn_status syn_dist_nccl_mark(syn_dist *d, void **event)
{
    (void)d, (void)event;
    return fail_unbuilt();
}

syn_status syn_dist_nccl_sum(syn_dist *d, const syn_dist_job *job)
{
    (void)d, (void)job;
    return fail_unbuilt();
}

#endif
