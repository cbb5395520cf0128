#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernels/base/progress.h"
#include "trainer/dist_private.h"

enum {
    POLL_MS = 100,
    PENDING_S = 5,      /* a connection that does not say who it is */
    SEEN_MS = 3000,     /* rank 0 answers at once, or it is not rank 0 */
    RETRY_US = 50000,   /* between two tries to connect */
    GRACE_S = 3,        /* rank 0 gives up first and says who is missing */
    RANKS_NAMED_MAX = 8 /* in a sentence */
};

typedef struct pending {
    int fd;
    double since_s;
    syn_dist_inbox in;
} pending;

typedef struct door {
    syn_dist *d;
    syn_dist_meeting *m;
    pending *waiting; /* (waiting_max) */
    struct pollfd *polled;
    int count, waiting_max;
    int missing; /* connections */
} door;

static const char *place(const syn_dist *d, const syn_dist_meeting *m)
{
    return d->rendezvous ? d->rendezvous : m->address;
}

static void refuse(syn_dist *d, int fd, const char *fmt, int a, int b)
{
    syn_dist_frame f = syn_dist_frame_make(d, SYN_DIST_REFUSED);
    snprintf(f.text, sizeof f.text, fmt, a, b);
    (void)syn_dist_frame_send(fd, &f);
    close(fd);
}

/* Decides about a connection that has said who it is; its fd is used or closed. */
static void admit(door *o, int fd, const syn_dist_frame *f)
{
    syn_dist *d = o->d;
    const bool data = f->kind == SYN_DIST_HELLO_DATA;
    if (f->magic != SYN_DIST_MAGIC || (f->kind != SYN_DIST_HELLO && !data) ||
        memcmp(f->token, o->m->token, sizeof f->token) != 0) {
        close(fd); /* of another run, or none of ours */
        return;
    }
    if (f->size != d->size) {
        refuse(d, fd, "it is one of %d ranks, rank 0 one of %d", f->size, d->size);
        return;
    }
    if (f->rank < 1 || f->rank >= d->size) {
        refuse(d, fd, "there is no rank %d among %d", f->rank, d->size);
        return;
    }
    syn_dist_peer *p = &d->star->peers[f->rank];
    int *slot = data ? &p->data : &p->fd;
    if (*slot >= 0) {
        refuse(d, fd, "there are two processes that say they are rank %d of %d", f->rank, d->size);
        return;
    }
    const syn_dist_frame seen = syn_dist_frame_make(d, SYN_DIST_SEEN);
    if (!data && !syn_dist_frame_send(fd, &seen)) {
        close(fd);
        return;
    }
    *slot = fd;
    o->missing--;
}

static void take_new(door *o, double now)
{
    int fd;
    while (o->count < o->waiting_max &&
           (fd = accept4(o->m->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        o->waiting[o->count++] = (pending){.fd = fd, .since_s = now};
    }
}

static void hear(door *o, double now)
{
    for (int i = 0; i < o->count; i++) {
        pending *p = &o->waiting[i];
        const int got = syn_dist_frame_read(p->fd, &p->in);
        if (got == 0 && now - p->since_s < PENDING_S) continue;
        if (got > 0) {
            admit(o, p->fd, &p->in.frame);
        } else {
            close(p->fd);
        }
        *p = o->waiting[--o->count];
        i--;
    }
}

/* A rank that has gone again before all were there may come back: it retries. */
static void forget_gone(door *o)
{
    syn_dist *d = o->d;
    char byte;
    for (int r = 1; r < d->size; r++) {
        syn_dist_peer *p = &d->star->peers[r];
        if (p->fd < 0 || recv(p->fd, &byte, 1, MSG_PEEK) != 0) continue;
        close(p->fd);
        p->fd = -1;
        o->missing++;
        if (p->data < 0) continue;
        close(p->data);
        p->data = -1;
        o->missing++;
    }
}

static syn_status nobody_came(const door *o)
{
    char names[128] = "";
    int used = 0, named = 0, missing = 0;
    for (int r = 1; r < o->d->size; r++) {
        const syn_dist_peer *p = &o->d->star->peers[r];
        if (p->fd >= 0 && (o->d->mpi || p->data >= 0)) continue;
        missing++;
        if (named == RANKS_NAMED_MAX) continue;
        used += snprintf(names + used, sizeof names - (size_t)used, "%s%d", named ? ", " : "", r);
        named++;
    }
    return syn_fail(SYN_ERR_DIST, "%d of %d ranks have not come to rank 0 at %s within %d s: %s%s",
                    missing, o->d->size, place(o->d, o->m), o->d->timeout_s, names,
                    missing > named ? ", ..." : "");
}

static syn_status receive_all(syn_dist *d, syn_dist_meeting *m)
{
    syn_status st = SYN_OK;
    const double deadline = syn_clock_s() + d->timeout_s;
    door o = {.d = d, .m = m, .waiting_max = 2 * d->size + 16};
    o.missing = (d->size - 1) * (d->mpi ? 1 : 2);
    o.waiting = calloc((size_t)o.waiting_max, sizeof *o.waiting);
    o.polled = calloc((size_t)o.waiting_max + 1, sizeof *o.polled);
    if (!o.waiting || !o.polled) {
        SYN_TRY(syn_fail(SYN_ERR_MEMORY, "out of memory for %d ranks", d->size));
    }
    while (o.missing) {
        double now = syn_clock_s();
        if (now > deadline) SYN_TRY(nobody_came(&o));
        o.polled[0] = (struct pollfd){.fd = m->listener, .events = POLLIN};
        for (int i = 0; i < o.count; i++) {
            o.polled[i + 1] = (struct pollfd){.fd = o.waiting[i].fd, .events = POLLIN};
        }
        (void)poll(o.polled, (nfds_t)o.count + 1, POLL_MS);
        now = syn_clock_s();
        take_new(&o, now);
        hear(&o, now);
        forget_gone(&o);
    }
    const syn_dist_frame welcome = syn_dist_frame_make(d, SYN_DIST_WELCOME);
    for (int r = 1; r < d->size; r++) (void)syn_dist_frame_send(d->star->peers[r].fd, &welcome);
done:
    for (int i = 0; i < o.count; i++) close(o.waiting[i].fd);
    free(o.waiting);
    free(o.polled);
    return st;
}

/* Waits for a frame: its kind, or 0 when none came before deadline or the connection ended. */
static uint32_t await_frame(int fd, syn_dist_inbox *in, double deadline)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int got = 0;
    while ((got = syn_dist_frame_read(fd, in)) == 0 && syn_clock_s() < deadline) {
        (void)poll(&p, 1, POLL_MS);
    }
    return got > 0 && in->frame.magic == SYN_DIST_MAGIC ? in->frame.kind : 0;
}

static int greet(syn_dist *d, syn_dist_meeting *m, syn_dist_frame_kind kind, char *reason,
                 size_t reason_bytes)
{
    const int fd = syn_dist_meet_connect(d->rendezvous, m, reason, reason_bytes);
    if (fd < 0) return -1;
    syn_dist_frame hello = syn_dist_frame_make(d, kind);
    memcpy(hello.token, m->token, sizeof hello.token);
    if (syn_dist_frame_send(fd, &hello)) return fd;
    snprintf(reason, reason_bytes, "the connection was cut");
    close(fd);
    return -1;
}

/* One try. True when rank 0 has welcomed this rank or refused it (*st). */
static bool join(syn_dist *d, syn_dist_meeting *m, double deadline, char *reason,
                 size_t reason_bytes, syn_status *st)
{
    syn_dist_peer *p = &d->star->peers[0];
    syn_dist_inbox in = {0};
    uint32_t kind = 0;
    p->fd = greet(d, m, SYN_DIST_HELLO, reason, reason_bytes);
    if (p->fd < 0) return false;
    kind = await_frame(p->fd, &in, syn_clock_s() + SEEN_MS / 1e3);
    if (kind == SYN_DIST_SEEN) {
        if (!d->mpi) p->data = greet(d, m, SYN_DIST_HELLO_DATA, reason, reason_bytes);
        if (d->mpi || p->data >= 0) kind = await_frame(p->fd, &in, deadline + GRACE_S);
    }
    if (kind == SYN_DIST_WELCOME) return true;
    if (kind == SYN_DIST_STOP) {
        *st = syn_fail(SYN_ERR_DIST, "%s", in.frame.text);
        return true;
    }
    if (kind == SYN_DIST_REFUSED) {
        *st = syn_fail(SYN_ERR_DIST, "rank 0 refuses rank %d: %s", d->rank, in.frame.text);
        return true;
    }
    snprintf(reason, reason_bytes, "what answers there is not rank 0 of this run, or has left");
    close(p->fd);
    if (p->data >= 0) close(p->data);
    p->fd = p->data = -1;
    return false;
}

static syn_status find_rank0(syn_dist *d, syn_dist_meeting *m)
{
    const double deadline = syn_clock_s() + d->timeout_s;
    char reason[512] = "";
    syn_status st = SYN_OK;
    while (!join(d, m, deadline, reason, sizeof reason, &st)) {
        if (syn_clock_s() > deadline) {
            return syn_fail(SYN_ERR_DIST, "rank %d has not reached rank 0 at %s within %d s: %s",
                            d->rank, place(d, m), d->timeout_s, reason);
        }
        usleep(RETRY_US);
    }
    return st;
}

syn_status syn_dist_star_open(syn_dist *d, syn_dist_meeting *m)
{
    const int count = d->rank ? 1 : d->size;
    syn_dist_star *s = calloc(1, sizeof *s);
    syn_dist_peer *peers = calloc((size_t)count, sizeof *peers);
    if (!s || !peers) {
        free(s);
        free(peers);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for %d ranks", d->size);
    }
    *s = (syn_dist_star){.count = count, .peers = peers, .laggard = -1};
    s->beat_s = d->timeout_s < 10 ? d->timeout_s / 10.0 : 1.0;
    s->window_s = 5 * s->beat_s;
    for (int i = 0; i < count; i++) peers[i].fd = peers[i].data = -1;
    d->star = s;
    SYN_RETURN_IF(d->rank ? find_rank0(d, m) : receive_all(d, m));
    s->window_began_s = s->looked_s = syn_clock_s();
    for (int i = 0; i < count; i++) peers[i].heard_s = s->looked_s;
    return SYN_OK;
}
