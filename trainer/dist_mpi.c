#include "trainer/dist_private.h"

#ifdef SYN_HAVE_MPI

#    include <mpi.h>

bool syn_dist_mpi_built(void)
{
    return true;
}

static syn_status fail_mpi(const syn_dist *d, int error, const char *what)
{
    char text[MPI_MAX_ERROR_STRING] = "unknown error";
    int bytes = 0;
    (void)MPI_Error_string(error, text, &bytes);
    return syn_fail(SYN_ERR_DIST, "rank %d: MPI failed while it %s: %s", d->rank, what, text);
}

/* Only this thread ever calls MPI, so that no more than MPI_THREAD_FUNNELED is asked for; a program
 * that has started MPI itself has to have allowed for two threads in turn. */
static syn_status begin(syn_dist *d)
{
    int begun = 0, ended = 0, provided = 0;
    (void)MPI_Initialized(&begun);
    (void)MPI_Finalized(&ended);
    if (ended) return syn_fail(SYN_ERR_DIST, "MPI was used before and cannot be started again");
    if (begun) {
        (void)MPI_Query_thread(&provided);
        if (provided >= MPI_THREAD_SERIALIZED) return SYN_OK;
        return syn_fail(SYN_ERR_DIST, "MPI was started for one thread only");
    }
    const int error = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    if (error != MPI_SUCCESS) return fail_mpi(d, error, "started");
    d->mpi_begun = true;
    if (provided >= MPI_THREAD_FUNNELED) return SYN_OK;
    return syn_fail(SYN_ERR_UNSUPPORTED, "this MPI is built without threads");
}

syn_status syn_dist_mpi_open(syn_dist *d)
{
    int rank = 0, size = 0;
    SYN_RETURN_IF(begin(d));
    (void)MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    (void)MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    (void)MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size != d->size || rank != d->rank) {
        return syn_fail(SYN_ERR_DIST,
                        "%s started rank %d of %d, but MPI says rank %d of %d: the launcher and "
                        "this program belong to different MPI installations",
                        d->launch.by, d->rank, d->size, rank, size);
    }
    return SYN_OK;
}

void syn_dist_mpi_close(syn_dist *d)
{
    if (d->mpi_begun) (void)MPI_Finalize();
    d->mpi_begun = false;
}

syn_status syn_dist_mpi_exchange(syn_dist *d, int to, const void *out, int64_t out_bytes, int from,
                                 void *in, int64_t in_bytes)
{
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    MPI_Status status[2];
    syn_dist_wait wait = {0};
    int error = MPI_SUCCESS, there = 0, got = 0;
    if (from >= 0) {
        error = MPI_Irecv(in, (int)in_bytes, MPI_BYTE, from, 0, MPI_COMM_WORLD, &requests[0]);
    }
    if (error == MPI_SUCCESS && to >= 0) {
        error = MPI_Isend(out, (int)out_bytes, MPI_BYTE, to, 0, MPI_COMM_WORLD, &requests[1]);
    }
    while (error == MPI_SUCCESS) {
        error = MPI_Testall(2, requests, &there, status);
        if (there || error != MPI_SUCCESS) break;
        SYN_RETURN_IF(syn_dist_pause(d, &wait, from >= 0 ? from : to));
    }
    if (error == MPI_ERR_IN_STATUS && from >= 0 && status[0].MPI_ERROR != MPI_SUCCESS) {
        error = status[0].MPI_ERROR;
    }
    if (error != MPI_SUCCESS) return fail_mpi(d, error, "exchanged data");
    if (from >= 0) (void)MPI_Get_count(&status[0], MPI_BYTE, &got);
    if (from < 0 || got == in_bytes) return SYN_OK;
    return syn_fail(SYN_ERR_DIST,
                    "rank %d sends %d bytes where rank %d expects %lld: they are not at the same "
                    "operation",
                    from, got, d->rank, (long long)in_bytes);
}

#else

bool syn_dist_mpi_built(void)
{
    return false;
}

syn_status syn_dist_mpi_open(syn_dist *d)
{
    return syn_fail(SYN_ERR_UNSUPPORTED,
                    "%s started %d ranks, but this build has no MPI: build with -DSYN_MPI=ON, or "
                    "give the ranks a rendezvous",
                    d->launch.by, d->size);
}

void syn_dist_mpi_close(syn_dist *d)
{
    (void)d;
}

syn_status syn_dist_mpi_exchange(syn_dist *d, int to, const void *out, int64_t out_bytes, int from,
                                 void *in, int64_t in_bytes)
{
    (void)to, (void)out, (void)out_bytes, (void)from, (void)in, (void)in_bytes;
    return syn_dist_mpi_open(d);
}

#endif
