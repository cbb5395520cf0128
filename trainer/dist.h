/* Training on several ranks: one process per device, sums over ranks, and the end of all of them
 * when one fails.
 *
 * All functions are collective (every rank calls them, in the same order, with the same sizes) and
 * are called from one thread, unless said otherwise. A communication thread does the work: it is
 * the only one that touches MPI or NCCL. Every failure is SYN_ERR_DIST with one sentence that names
 * the rank; after the first, every further call fails with it.
 *
 * Ranks come from the launcher: mpirun (OMPI_COMM_WORLD_RANK, PMI_RANK, PMIX_RANK), SYNCOG_RANK and
 * SYNCOG_RANKS, or Slurm without MPI (SLURM_PROCID, SLURM_NTASKS), the last two with a rendezvous.
 * A process that no launcher started is alone: MPI is not even initialised.
 *
 * Besides what carries the sums, every rank keeps one TCP connection to rank 0, which tells at once
 * when a process has ended, passes on why, and notices the one that no longer answers. */
#ifndef SYN_TRAINER_DIST_H
#define SYN_TRAINER_DIST_H

#include <stdint.h>

#include "kernels/base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct syn_dist syn_dist;

enum { SYN_RANKS_MAX = 1024, SYN_DIST_PARTS_MAX = 8 };

typedef struct syn_dist_config {
    /* "auto", NULL: mpi when mpirun started several ranks, tcp when SYNCOG_RANKS or Slurm did, and
     * NCCL for sums on CUDA devices where it is built in; "mpi"; "tcp"; "nccl" (insists on it). */
    const char *backend;
    /* Where ranks without MPI meet: "tcp://HOST:PORT" (rank 0 listens there) or "file:PATH" (rank 0
     * leaves its address there, on a file system that all see); NULL with MPI. */
    const char *rendezvous;
    int timeout_s; /* longer without an answer is a hang; 0: 50 */
    /* Where the buffers of syn_dist_sum_begin lie: a CUDA context for its device, NULL or a CPU
     * context for host memory. Borrowed until the close. */
    syn_ctx *ctx;
} syn_dist_config;

/* A single process gives size 1, where all calls are no-ops or copies. SYN_ERR_USAGE for an unknown
 * backend or rendezvous, SYN_ERR_UNSUPPORTED for one that this build has not got. `cfg` may be
 * NULL. */
SYN_WARN_UNUSED syn_status syn_dist_open(const syn_dist_config *cfg, syn_dist **out);

/* Waits for the others (up to timeout_s) unless something has failed. NULL is fine. */
void syn_dist_close(syn_dist *d);

/* Not collective, after a local failure: tells the others why, so that they leave too, and returns
 * within about two seconds. NULL is fine. */
void syn_dist_abort(syn_dist *d, const char *why);

int syn_dist_rank(const syn_dist *d); /* NULL: 0 */
int syn_dist_size(const syn_dist *d); /* NULL: 1 */

/* The rank within its machine, by which it takes a device, and how many ranks the machine has; from
 * the launcher, before any open. Without a launcher 0 and 1; a size of 0: it has not said. */
int syn_dist_local_rank(void);
int syn_dist_local_size(void);

/* Sum over ranks, in place; x (n). Per element a fixed binary tree over ranks,
 * ((0+1)+(2+3))+((4+5)+(6+7)), the same bits on every rank and in every run, whatever carries it.
 * For a power-of-two size the tree continues a power-of-two tree of local partial sums; else the
 * first size-p ranks pairs (p the largest power of two) are added first: (0+1)+2 for three. Sums
 * in host memory take denormals for 0, as all CPU ops do.
 * begin posts a bucket and returns at once, so that the caller computes the next one meanwhile; x
 * must stay untouched until syn_dist_sum_wait returns, which waits for all that was posted. On CUDA
 * begin follows what is queued on the context's stream. */
SYN_WARN_UNUSED syn_status syn_dist_sum_begin(syn_dist *d, real *x, int64_t n);
SYN_WARN_UNUSED syn_status syn_dist_sum_wait(syn_dist *d);

/* The same sums, on CUDA with NCCL, queued on the context's stream and no more: they may be part of
 * what is recorded there as a graph, take their scratch from the context, and wait for nothing.
 * Several parts, at most SYN_DIST_PARTS_MAX, cost as much as one of their size. Not while posted
 * sums are under way. Once the work is queued (a graph: launched), `launched` posts that it is to
 * end within timeout_s, and syn_dist_sum_wait waits for it; the host may wait for the stream only
 * after that, and frees graphs that hold sums before the close. When a rank fails, what waits for
 * it on the device is given up, and the stream comes to its end. */
typedef struct syn_dist_part {
    real *x; /* (n), inout */
    int64_t n;
} syn_dist_part;
bool syn_dist_sum_queues(const syn_dist *d); /* whether this is to be had; NULL: no */
SYN_WARN_UNUSED syn_status syn_dist_sum_queue(syn_dist *d, const syn_dist_part *part, int parts);
SYN_WARN_UNUSED syn_status syn_dist_sum_launched(syn_dist *d);

/* Blocking, host memory, in place; the same tree. */
SYN_WARN_UNUSED syn_status syn_dist_sum_f64(syn_dist *d, double *x, int64_t n);
SYN_WARN_UNUSED syn_status syn_dist_max_f64(syn_dist *d, double *x, int64_t n);

/* all (size, bytes) at rank 0, NULL elsewhere; mine (bytes). Host memory, no overlap. */
SYN_WARN_UNUSED syn_status syn_dist_gather(syn_dist *d, const void *mine, int64_t bytes, void *all);
SYN_WARN_UNUSED syn_status syn_dist_scatter(syn_dist *d, const void *all, int64_t bytes,
                                            void *mine);
/* From rank 0; x (bytes), host memory. */
SYN_WARN_UNUSED syn_status syn_dist_broadcast(syn_dist *d, void *x, int64_t bytes);

/* SYN_ERR_DIST, on every rank, that names those whose hash is not that of rank 0: "rank 2's WHAT
 * not rank 0's", with `what` as in "weights at update 300 are". */
SYN_WARN_UNUSED syn_status syn_dist_same(syn_dist *d, uint64_t hash, const char *what);

#ifdef __cplusplus
}
#endif
#endif
