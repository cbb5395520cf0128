#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "trainer/dist_private.h"
#ifdef SYN_HAVE_CUDA
#    include "kernels/base/cuda.h"
#endif

enum { TIMEOUT_S = 50, RANKS_NAMED_MAX = 8 };
static const double ABORT_S = 2;

/* ---- open and close ---- */

static bool on_device(const syn_dist *d)
{
    return d->ctx && d->ctx->device == SYN_DEVICE_CUDA;
}

/* What carries the data, from the config and the launcher. */
static syn_status choose(syn_dist *d, const syn_dist_config *cfg)
{
    const char *backend = cfg->backend ? cfg->backend : "auto";
    const bool mpi = !strcmp(backend, "mpi"), tcp = !strcmp(backend, "tcp");
    const bool nccl = !strcmp(backend, "nccl");
    if (!mpi && !tcp && !nccl && strcmp(backend, "auto") != 0) {
        return syn_fail(SYN_ERR_USAGE, "\"%s\" carries no sums: it is auto, mpi, tcp or nccl",
                        backend);
    }
    if (cfg->rendezvous) SYN_RETURN_IF(syn_dist_meet_check(cfg->rendezvous));
    SYN_RETURN_IF(syn_dist_launch_read(mpi, cfg->rendezvous != NULL, &d->launch));
    d->rank = d->launch.rank;
    d->size = d->launch.size;
    d->timeout_s = cfg->timeout_s > 0 ? cfg->timeout_s : TIMEOUT_S;
    d->ctx = cfg->ctx;
    if (d->size == 1) return SYN_OK;
    d->mpi = mpi || (!tcp && d->launch.mpi && !cfg->rendezvous);
    d->rendezvous = d->mpi ? NULL : cfg->rendezvous;
    if (!d->mpi && !d->rendezvous) {
        return syn_fail(SYN_ERR_USAGE,
                        "%s started %d ranks without MPI: they need a rendezvous, tcp://HOST:PORT "
                        "or file:PATH",
                        d->launch.by, d->size);
    }
    if (d->mpi && !syn_dist_mpi_built()) return syn_dist_mpi_open(d);
    d->use_nccl = nccl || (on_device(d) && !mpi && !tcp && syn_dist_nccl_built());
    if (nccl && !on_device(d)) {
        return syn_fail(SYN_ERR_UNSUPPORTED, "NCCL sums buffers on CUDA devices, not on the CPU");
    }
    return d->use_nccl ? syn_dist_nccl_prepare(d) : SYN_OK;
}

static syn_status begin_thread(syn_dist *d)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->work, &monotonic);
    pthread_cond_init(&d->finished, NULL);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&d->thread, NULL, syn_dist_thread, d) != 0) {
        return syn_fail(SYN_ERR_MEMORY, "the communication thread cannot be started");
    }
    syn_dist_watch_term(true);
    pthread_mutex_lock(&d->lock);
    while (!d->opened && !d->failed) pthread_cond_wait(&d->finished, &d->lock);
    d->told = d->failed;
    d->busy_since_s = syn_clock_s();
    const syn_status st = d->failed ? syn_fail(d->failure, "%s", d->sentence) : SYN_OK;
    pthread_mutex_unlock(&d->lock);
    return st;
}

syn_status syn_dist_open(const syn_dist_config *cfg, syn_dist **out)
{
    const syn_dist_config none = {0};
    syn_dist *d = calloc(1, sizeof *d);
    *out = NULL;
    if (!d) return syn_fail(SYN_ERR_MEMORY, "out of memory for the ranks");
    syn_status st = choose(d, cfg ? cfg : &none);
    if (st != SYN_OK) {
        free(d);
        return st;
    }
    if (d->size > 1) st = begin_thread(d);
    if (st != SYN_OK) {
        if (d->thread)
            syn_dist_close(d);
        else
            free(d);
        return st;
    }
    *out = d;
    return SYN_OK;
}

/* Holds d->lock. All ranks come here before one of them ends. A failure is only logged: the
 * caller's own sentence stays. */
static void part(syn_dist *d)
{
    if (d->failed) return;
    while (!d->failed && d->posted - d->done == SYN_DIST_JOBS_MAX) {
        pthread_cond_wait(&d->finished, &d->lock);
    }
    d->jobs[d->posted++ % SYN_DIST_JOBS_MAX] = (syn_dist_job){.kind = SYN_DIST_BARRIER};
    pthread_cond_signal(&d->work);
    while (!d->failed && d->done < d->posted) pthread_cond_wait(&d->finished, &d->lock);
    if (d->failed && !d->told) syn_log(SYN_LOG_ERROR, "at the end: %s", d->sentence);
}

void syn_dist_close(syn_dist *d)
{
    if (!d) return;
    if (d->size > 1) {
        pthread_mutex_lock(&d->lock);
        part(d);
        d->quit = true;
        pthread_cond_signal(&d->work);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->thread, NULL);
        syn_dist_watch_term(false);
        pthread_cond_destroy(&d->finished);
        pthread_cond_destroy(&d->work);
        pthread_mutex_destroy(&d->lock);
    }
    for (int i = 0; i < SYN_DIST_JOBS_MAX; i++) free(d->stages[i].host);
    free(d->scratch);
    free(d);
}

void syn_dist_abort(syn_dist *d, const char *why)
{
    if (!d || d->size == 1) return;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)ABORT_S;
    pthread_mutex_lock(&d->lock);
    if (!d->failed) {
        snprintf(d->why, sizeof d->why, "%s", why);
        d->abort_wanted = true;
        pthread_cond_signal(&d->work);
    }
    d->told = true;
    while (!d->abort_sent) {
        if (pthread_cond_timedwait(&d->finished, &d->lock, &until) != 0) break;
    }
    pthread_mutex_unlock(&d->lock);
}

int syn_dist_rank(const syn_dist *d)
{
    return d ? d->rank : 0;
}

int syn_dist_size(const syn_dist *d)
{
    return d ? d->size : 1;
}

/* ---- jobs ---- */

/* Holds d->lock. */
static syn_status failure(syn_dist *d)
{
    d->told = true;
    return syn_fail(d->failure, "%s", d->sentence);
}

/* Holds d->lock: the caller's clock stands still while it waits for other ranks. */
static void rest(syn_dist *d, bool begin)
{
    const double now = syn_clock_s();
    if (begin) d->busy_s += now - d->busy_since_s;
    d->busy_since_s = begin ? 0 : now;
}

static syn_status post(syn_dist *d, const syn_dist_job *job)
{
    pthread_mutex_lock(&d->lock);
    while (!d->failed && d->posted - d->done == SYN_DIST_JOBS_MAX) {
        pthread_cond_wait(&d->finished, &d->lock);
    }
    const syn_status st = d->failed ? failure(d) : SYN_OK;
    if (st == SYN_OK) {
        d->jobs[d->posted++ % SYN_DIST_JOBS_MAX] = *job;
        pthread_cond_signal(&d->work);
    }
    pthread_mutex_unlock(&d->lock);
    return st;
}

static syn_status wait_all(syn_dist *d)
{
    pthread_mutex_lock(&d->lock);
    rest(d, true);
    while (!d->failed && d->done < d->posted) pthread_cond_wait(&d->finished, &d->lock);
    rest(d, false);
    const syn_status st = d->failed ? failure(d) : SYN_OK;
    pthread_mutex_unlock(&d->lock);
    return st;
}

static syn_status do_job(syn_dist *d, const syn_dist_job *job)
{
    SYN_RETURN_IF(post(d, job));
    return wait_all(d);
}

/* ---- sums ---- */

/* Where the device's buffers travel through host memory. */
static syn_status stage_out(syn_dist *d, real *x, int64_t n, real **host)
{
#ifdef SYN_HAVE_CUDA
    if (d->staged == SYN_DIST_JOBS_MAX) SYN_RETURN_IF(syn_dist_sum_wait(d));
    syn_dist_stage *s = &d->stages[d->staged];
    if (s->n_max < n) {
        free(s->host);
        s->host = malloc(sizeof *s->host * (size_t)n);
        s->n_max = s->host ? n : 0;
        if (!s->host) return syn_fail(SYN_ERR_MEMORY, "out of memory for a sum over ranks");
    }
    SYN_RETURN_IF(syn_copy_out(d->ctx, s->host, x, sizeof *x * (size_t)n));
    s->n = n;
    s->device = x;
    *host = s->host;
    d->staged++;
    return SYN_OK;
#else
    (void)d, (void)x, (void)n, (void)host;
    return syn_fail(SYN_ERR_UNSUPPORTED, "this build has no CUDA");
#endif
}

static syn_status stage_in(syn_dist *d)
{
#ifdef SYN_HAVE_CUDA
    for (int i = 0; i < d->staged; i++) {
        const syn_dist_stage *s = &d->stages[i];
        SYN_RETURN_IF(syn_copy_in(d->ctx, s->device, s->host, sizeof *s->host * (size_t)s->n));
    }
#endif
    d->staged = 0;
    return SYN_OK;
}

syn_status syn_dist_sum_begin(syn_dist *d, real *x, int64_t n)
{
    if (syn_dist_size(d) == 1 || n == 0) return SYN_OK;
    SYN_REQUIRE(x && n > 0, "a sum over ranks of nothing");
    syn_dist_job job = {.kind = SYN_DIST_SUM, .x = x, .n = n};
    if (d->use_nccl) {
        SYN_RETURN_IF(syn_dist_nccl_mark(d, &job.event));
    } else if (on_device(d)) {
        real *host = NULL;
        SYN_RETURN_IF(stage_out(d, x, n, &host));
        job.x = host;
    }
    return post(d, &job);
}

syn_status syn_dist_sum_wait(syn_dist *d)
{
    if (syn_dist_size(d) == 1) return SYN_OK;
    SYN_RETURN_IF(wait_all(d));
    return stage_in(d);
}

bool syn_dist_sum_queues(const syn_dist *d)
{
    return syn_dist_size(d) > 1 && d->use_nccl;
}

/* A failure that the communication thread knows says more than what came of it here. */
static syn_status explain(syn_dist *d, syn_status st)
{
    pthread_mutex_lock(&d->lock);
    if (st != SYN_OK && d->failed) st = failure(d);
    pthread_mutex_unlock(&d->lock);
    return st;
}

syn_status syn_dist_sum_queue(syn_dist *d, const syn_dist_part *part, int parts)
{
    SYN_REQUIRE(syn_dist_sum_queues(d), "sums over ranks are queued with NCCL alone");
    SYN_REQUIRE(part && parts > 0 && parts <= SYN_DIST_PARTS_MAX, "a sum over ranks of %d parts",
                parts);
    for (int k = 0; k < parts; k++)
        SYN_REQUIRE(part[k].x && part[k].n > 0, "a sum over ranks of nothing");
    return explain(d, syn_dist_nccl_queue(d, part, parts));
}

syn_status syn_dist_sum_launched(syn_dist *d)
{
    syn_dist_job job = {.kind = SYN_DIST_FOLLOW};
    SYN_REQUIRE(syn_dist_sum_queues(d), "sums over ranks are queued with NCCL alone");
    SYN_RETURN_IF(syn_dist_nccl_mark(d, &job.event));
    return post(d, &job);
}

syn_status syn_dist_sum_f64(syn_dist *d, double *x, int64_t n)
{
    if (syn_dist_size(d) == 1 || n == 0) return SYN_OK;
    SYN_REQUIRE(x && n > 0, "a sum over ranks of nothing");
    return do_job(d, &(syn_dist_job){.kind = SYN_DIST_SUM_F64, .x = x, .n = n});
}

syn_status syn_dist_max_f64(syn_dist *d, double *x, int64_t n)
{
    if (syn_dist_size(d) == 1 || n == 0) return SYN_OK;
    SYN_REQUIRE(x && n > 0, "a maximum over ranks of nothing");
    return do_job(d, &(syn_dist_job){.kind = SYN_DIST_MAX_F64, .x = x, .n = n});
}

/* ---- between rank 0 and the others ---- */

syn_status syn_dist_gather(syn_dist *d, const void *mine, int64_t bytes, void *all)
{
    if (bytes == 0) return SYN_OK;
    SYN_REQUIRE(mine && bytes > 0 && (all || syn_dist_rank(d)), "a gather of nothing, or nowhere");
    if (syn_dist_size(d) == 1) {
        memcpy(all, mine, (size_t)bytes);
        return SYN_OK;
    }
    return do_job(d, &(syn_dist_job){.kind = SYN_DIST_GATHER, .x = all, .in = mine, .n = bytes});
}

syn_status syn_dist_scatter(syn_dist *d, const void *all, int64_t bytes, void *mine)
{
    if (bytes == 0) return SYN_OK;
    SYN_REQUIRE(mine && bytes > 0 && (all || syn_dist_rank(d)), "a scatter of nothing, or nowhere");
    if (syn_dist_size(d) == 1) {
        memcpy(mine, all, (size_t)bytes);
        return SYN_OK;
    }
    return do_job(d, &(syn_dist_job){.kind = SYN_DIST_SCATTER, .x = mine, .in = all, .n = bytes});
}

syn_status syn_dist_broadcast(syn_dist *d, void *x, int64_t bytes)
{
    if (syn_dist_size(d) == 1 || bytes == 0) return SYN_OK;
    SYN_REQUIRE(x && bytes > 0, "a broadcast of nothing");
    return do_job(d, &(syn_dist_job){.kind = SYN_DIST_BROADCAST, .x = x, .n = bytes});
}

syn_status syn_dist_same(syn_dist *d, uint64_t hash, const char *what)
{
    uint64_t all[SYN_RANKS_MAX] = {0};
    char names[128] = "";
    int odd = 0, used = 0;
    if (syn_dist_size(d) == 1) return SYN_OK;
    SYN_RETURN_IF(syn_dist_gather(d, &hash, sizeof hash, all));
    SYN_RETURN_IF(syn_dist_broadcast(d, all, (int64_t)sizeof *all * d->size));
    for (int r = 1; r < d->size; r++) {
        if (all[r] == all[0] || ++odd > RANKS_NAMED_MAX) continue;
        used += snprintf(names + used, sizeof names - (size_t)used, "%s%d", used ? ", " : "", r);
    }
    if (!odd) return SYN_OK;
    return syn_fail(SYN_ERR_DIST, "%s %s%s's %s not rank 0's", odd > 1 ? "ranks" : "rank", names,
                    odd > RANKS_NAMED_MAX ? " and others" : "", what);
}
