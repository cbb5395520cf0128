#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "kernels/base/ctx.h"
#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "trainer/dist_private.h"

static const double TICK_S = 0.02; /* between two looks at the other ranks */
static const double IDLE_S = 0.05; /* the same, without work */
static const double TERM_S = 0.4;  /* after SIGTERM, for the reason to arrive; mpirun gives 1 s */
static const double LOG_S = 0.3;   /* for the caller to tell the failure itself */
/* For the caller to come back from its own work; a third of the timeout where that is less. */
static const double GIVE_UP_S = 15;
static const double LINGER_S = 0.5; /* for the others to hang up */
enum { SPINS = 500 };               /* before a wait sleeps: about 100 us */

static volatile sig_atomic_t term_seen;

static void see_term(int signal_number)
{
    (void)signal_number;
    term_seen = 1;
}

void syn_dist_watch_term(bool on)
{
    struct sigaction old, ours = {.sa_handler = see_term, .sa_flags = SA_RESTART};
    if (sigaction(SIGTERM, NULL, &old) != 0) return;
    if (on && old.sa_handler == SIG_DFL) (void)sigaction(SIGTERM, &ours, NULL);
    if (!on && old.sa_handler == see_term) (void)signal(SIGTERM, SIG_DFL);
}

/* ---- waiting ---- */

static syn_status tick(syn_dist *d, double now)
{
    d->ticked_s = now;
    pthread_mutex_lock(&d->lock);
    const bool aborted = d->abort_wanted;
    pthread_mutex_unlock(&d->lock);
    if (aborted) return syn_fail(SYN_ERR_DIST, "rank %d stopped the run: %s", d->rank, d->why);
    SYN_RETURN_IF(syn_dist_star_tick(d, now));
    if (term_seen && !d->term_s) d->term_s = now;
    if (!d->term_s || now - d->term_s < TERM_S) return SYN_OK;
    return syn_fail(
        SYN_ERR_DIST,
        "rank %d was told to stop by SIGTERM, which mpirun sends when a rank has failed "
        "or the run is interrupted",
        d->rank);
}

static void back_off(const syn_dist_wait *w)
{
    if (w->turns < SPINS) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    } else {
        const long us = w->waited_s < 0.01 ? 20 : w->waited_s < 1 ? 60 : 500;
        nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
    }
}

syn_status syn_dist_pause(syn_dist *d, syn_dist_wait *w, int peer)
{
    const double now = syn_clock_s();
    if (w->turns++ && now > w->last_s) w->waited_s += now - w->last_s < 1 ? now - w->last_s : 1;
    w->last_s = now;
    if (now - d->ticked_s >= TICK_S) SYN_RETURN_IF(tick(d, now));
    if (w->waited_s > d->timeout_s) return syn_dist_star_blame(d, peer);
    back_off(w);
    return SYN_OK;
}

/* ---- the thread ---- */

static syn_status open_star(syn_dist *d)
{
    syn_dist_meeting m = {.listener = -1};
    const bool one_machine = d->launch.local_size == d->size;
    syn_status st = SYN_OK;
    if (d->rank == 0) SYN_TRY(syn_dist_meet_listen(d->rendezvous, one_machine, &m));
    for (int r = 1; d->mpi && r < d->size; r++) {
        if (d->rank == 0)
            SYN_TRY(syn_dist_exchange(d, r, m.address, sizeof m.address, -1, NULL, 0));
        if (d->rank == r)
            SYN_TRY(syn_dist_exchange(d, -1, NULL, 0, 0, m.address, sizeof m.address));
    }
    SYN_TRY(syn_dist_star_open(d, &m));
done:
    syn_dist_meet_close(d->rendezvous, &m);
    return st;
}

static syn_status open_all(syn_dist *d)
{
    if (d->mpi) SYN_RETURN_IF(syn_dist_mpi_open(d));
    SYN_RETURN_IF(open_star(d));
    return d->use_nccl ? syn_dist_nccl_open(d) : SYN_OK;
}

/* From here on every call of the caller fails with this sentence, and the other ranks get it. */
static void set_failed(syn_dist *d, syn_status st)
{
    pthread_mutex_lock(&d->lock);
    d->failed = true;
    d->failure = st;
    d->failed_s = syn_clock_s();
    snprintf(d->sentence, sizeof d->sentence, "%s", syn_error_text());
    pthread_mutex_unlock(&d->lock);
    syn_dist_star_tell(d, d->sentence);
    syn_dist_nccl_abort(d);
    pthread_mutex_lock(&d->lock);
    d->abort_sent = true;
    pthread_cond_broadcast(&d->finished);
    pthread_mutex_unlock(&d->lock);
}

/* Holds d->lock. False when the thread shall end. */
static bool await_work(syn_dist *d)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(IDLE_S * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (!d->quit && d->posted == d->done && !d->abort_wanted) {
        if (pthread_cond_timedwait(&d->work, &d->lock, &until) == ETIMEDOUT) break;
    }
    return !(d->quit && d->posted == d->done);
}

static syn_status work(syn_dist *d)
{
    for (;;) {
        pthread_mutex_lock(&d->lock);
        const bool go_on = await_work(d), due = d->posted > d->done;
        const syn_dist_job job = d->jobs[d->done % SYN_DIST_JOBS_MAX];
        pthread_mutex_unlock(&d->lock);
        if (!go_on) return SYN_OK;
        const double now = syn_clock_s();
        if (now - d->ticked_s >= TICK_S) SYN_RETURN_IF(tick(d, now));
        if (!due) continue;
        SYN_RETURN_IF(syn_dist_run(d, &job));
        pthread_mutex_lock(&d->lock);
        d->done++;
        pthread_cond_broadcast(&d->finished);
        pthread_mutex_unlock(&d->lock);
    }
}

/* After a failure: the sentence is out soon, whatever the caller does, and a caller that does not
 * come back from its own work is not waited for. */
static void await_caller(syn_dist *d)
{
    const double patience = d->timeout_s / 3.0 < GIVE_UP_S ? d->timeout_s / 3.0 : GIVE_UP_S;
    for (;;) {
        const double now = syn_clock_s();
        pthread_mutex_lock(&d->lock);
        const double since = now - d->failed_s;
        const bool quit = d->quit, told = d->told;
        pthread_mutex_unlock(&d->lock);
        if (quit) return;
        const bool term = term_seen && !told && since > LOG_S;
        if (!told && since > LOG_S && !d->logged) {
            syn_log(SYN_LOG_ERROR, "%s", d->sentence);
            d->logged = true;
        }
        if (term) {
            signal(SIGTERM, SIG_DFL);
            kill(getpid(), SIGTERM);
        }
        if (!told && since > patience) _exit(1);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

void *syn_dist_thread(void *dist)
{
    syn_dist *d = dist;
    syn_flush_denormals();            /* it adds, as the CPU ops do: a tree's bits are theirs */
    prctl(PR_SET_TIMERSLACK, 1000UL); /* ns: sleeps of tens of microseconds are meant so */
    syn_status st = open_all(d);
    pthread_mutex_lock(&d->lock);
    d->opened = st == SYN_OK;
    pthread_cond_broadcast(&d->finished);
    pthread_mutex_unlock(&d->lock);
    if (st == SYN_OK) st = work(d);
    if (st != SYN_OK) {
        set_failed(d, st);
        await_caller(d);
    }
    if (st == SYN_OK) syn_dist_star_bye(d);
    syn_dist_nccl_close(d);
    syn_dist_star_close(d, LINGER_S);
    if (st == SYN_OK) syn_dist_mpi_close(d);
    return NULL;
}
