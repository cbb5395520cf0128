#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernels/base/log.h"
#include "kernels/base/progress.h"
#include "trainer/dist_private.h"

/* A rank is slow when it computes for more than SLOW times what the median of the others does, in
 * SLOW_WINDOWS windows on end, with at least SLOW_JOBS sums or other jobs in each. */
static const double SLOW = 3, SLOW_AGAIN_S = 60;
enum { SLOW_WINDOWS = 3, SLOW_JOBS = 3 };

/* This process did not run for so long: it was stopped itself, the others' silence means nothing.
 */
static const double ASLEEP_S = 2;

/* ---- frames ---- */

syn_dist_frame syn_dist_frame_make(const syn_dist *d, syn_dist_frame_kind kind)
{
    syn_dist_frame f;
    memset(&f, 0, sizeof f); /* with its padding: it travels */
    f.magic = SYN_DIST_MAGIC;
    f.kind = kind;
    f.rank = d->rank;
    f.size = d->size;
    f.laggard = -1;
    return f;
}

bool syn_dist_frame_send(int fd, const syn_dist_frame *frame)
{
    const unsigned char *p = (const unsigned char *)frame;
    size_t sent = 0;
    if (fd < 0) return false;
    while (sent < sizeof *frame) {
        const ssize_t n = send(fd, p + sent, sizeof *frame - sent, MSG_NOSIGNAL);
        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN && sent) { /* the rest of a frame that has begun */
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            if (poll(&room, 1, 1000) == 1) continue;
        }
        return false;
    }
    return true;
}

int syn_dist_frame_read(int fd, syn_dist_inbox *in)
{
    unsigned char *p = (unsigned char *)&in->frame;
    if (in->bytes == sizeof in->frame) in->bytes = 0;
    for (;;) {
        const ssize_t n = recv(fd, p + in->bytes, sizeof in->frame - in->bytes, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return 0;
        if (n <= 0) return -1;
        in->bytes += (size_t)n;
        if (in->bytes < sizeof in->frame) continue;
        in->frame.text[sizeof in->frame.text - 1] = 0;
        return 1;
    }
}

/* ---- beats ---- */

static void own_state(syn_dist *d, double now, uint64_t *posted, double *busy)
{
    pthread_mutex_lock(&d->lock);
    *posted = d->posted;
    *busy = d->busy_s + (d->busy_since_s ? now - d->busy_since_s : 0);
    pthread_mutex_unlock(&d->lock);
}

/* Rank 0: the longest silence, else the fewest jobs. */
static void find_laggard(syn_dist *d, double now, uint64_t own_posted)
{
    syn_dist_star *s = d->star;
    uint64_t most = own_posted, least = own_posted;
    int behind = 0, silent = -1;
    double silence = d->timeout_s / 2.0;
    for (int r = 1; r < d->size; r++) {
        const syn_dist_peer *p = &s->peers[r];
        if (p->posted > most) most = p->posted;
        if (p->posted < least) {
            least = p->posted;
            behind = r;
        }
        if (now - p->heard_s > silence) {
            silence = now - p->heard_s;
            silent = r;
        }
    }
    s->laggard = silent >= 0 ? silent : least < most ? behind : -1;
    s->laggard_silent_s = s->laggard > 0 ? now - s->peers[s->laggard].heard_s : 0;
    s->laggard_posted = s->laggard > 0 ? s->peers[s->laggard].posted : own_posted;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Rank 0, at the end of a window; busy (size): seconds computed in it. */
static void judge_window(syn_dist *d, const double *busy, double *others, double now, double length)
{
    for (int r = 0; r < d->size; r++) {
        syn_dist_peer *p = &d->star->peers[r];
        int n = 0;
        for (int i = 0; i < d->size; i++) {
            if (i != r) others[n++] = busy[i];
        }
        qsort(others, (size_t)n, sizeof *others, by_value);
        const double median = others[n / 2];
        const bool slow = busy[r] > SLOW * median && busy[r] > 0.1 * length;
        p->slow_windows = slow ? p->slow_windows + 1 : 0;
        if (p->slow_windows < SLOW_WINDOWS) continue;
        if (p->warned_s && now - p->warned_s < SLOW_AGAIN_S) continue;
        p->warned_s = now;
        syn_log(SYN_LOG_WARN,
                "rank %d is slow: it computed for %.2f of the last %.2f s, the median of the "
                "others is %.2f s",
                r, busy[r], length, median);
    }
}

static void look_for_slow(syn_dist *d, double now, uint64_t posted, double own_busy)
{
    syn_dist_star *s = d->star;
    const double length = now - s->window_began_s;
    if (length < s->window_s) return;
    double *busy = malloc(sizeof *busy * 2 * (size_t)d->size);
    s->peers[0].busy_s = own_busy;
    for (int r = 0; r < d->size; r++) {
        if (busy) busy[r] = s->peers[r].busy_s - s->peers[r].window_busy_s;
        s->peers[r].window_busy_s = s->peers[r].busy_s;
    }
    if (busy && posted - s->window_posted >= SLOW_JOBS) {
        judge_window(d, busy, busy + d->size, now, length);
    } else {
        for (int r = 0; r < d->size; r++) s->peers[r].slow_windows = 0;
    }
    free(busy);
    s->window_began_s = now;
    s->window_posted = posted;
}

static void beat(syn_dist *d, double now)
{
    syn_dist_star *s = d->star;
    syn_dist_frame f = syn_dist_frame_make(d, SYN_DIST_BEAT);
    own_state(d, now, &f.posted, &f.busy_s);
    if (d->rank == 0) {
        find_laggard(d, now, f.posted);
        look_for_slow(d, now, f.posted, f.busy_s);
        f.laggard = s->laggard;
        f.laggard_silent_s = (float)s->laggard_silent_s;
        f.laggard_posted = s->laggard_posted;
    }
    for (int i = 0; i < s->count; i++) (void)syn_dist_frame_send(s->peers[i].fd, &f);
    s->beaten_s = now;
}

/* ---- what the others say ---- */

static int peer_rank(const syn_dist *d, int index)
{
    return d->rank ? 0 : index;
}

static syn_status take_frame(syn_dist *d, syn_dist_peer *p, double now)
{
    syn_dist_star *s = d->star;
    const syn_dist_frame *f = &p->in.frame;
    if (f->magic != SYN_DIST_MAGIC) return syn_fail(SYN_ERR_DIST, "a rank sent what is no frame");
    p->heard_s = now;
    if (f->kind == SYN_DIST_BYE) p->bye = true;
    if (f->kind == SYN_DIST_STOP) return syn_fail(SYN_ERR_DIST, "%s", f->text);
    if (f->kind != SYN_DIST_BEAT) return SYN_OK;
    p->posted = f->posted;
    p->busy_s = f->busy_s;
    if (d->rank) {
        s->laggard = f->laggard;
        s->laggard_silent_s = f->laggard_silent_s;
        s->laggard_posted = f->laggard_posted;
    }
    return SYN_OK;
}

static syn_status read_peer(syn_dist *d, int index, double now)
{
    syn_dist_peer *p = &d->star->peers[index];
    int got;
    if (p->fd < 0) return SYN_OK;
    while ((got = syn_dist_frame_read(p->fd, &p->in)) > 0) {
        SYN_RETURN_IF(take_frame(d, p, now));
    }
    if (got == 0) return SYN_OK;
    close(p->fd);
    p->fd = -1;
    if (p->bye) return SYN_OK;
    return syn_fail(SYN_ERR_DIST,
                    "rank %d has ended without a word: it was killed, it crashed, or its machine "
                    "is gone",
                    peer_rank(d, index));
}

static syn_status fail_silent(int rank, double silent_s)
{
    return syn_fail(SYN_ERR_DIST,
                    "rank %d has not answered for %.0f s: it is stopped, or its machine is gone",
                    rank, silent_s);
}

syn_status syn_dist_star_tick(syn_dist *d, double now)
{
    syn_dist_star *s = d->star;
    if (!s) return SYN_OK;
    const double gap = now - s->looked_s;
    s->looked_s = now;
    for (int i = 0; gap > ASLEEP_S && i < s->count; i++) s->peers[i].heard_s += gap;
    for (int i = 0; i < s->count; i++) SYN_RETURN_IF(read_peer(d, i, now));
    if (now - s->beaten_s >= s->beat_s) beat(d, now);
    for (int i = 0; i < s->count; i++) {
        const syn_dist_peer *p = &s->peers[i];
        if (p->fd < 0 || p->bye || now - p->heard_s <= d->timeout_s) continue;
        return fail_silent(peer_rank(d, i), now - p->heard_s);
    }
    return SYN_OK;
}

void syn_dist_star_tell(syn_dist *d, const char *sentence)
{
    syn_dist_star *s = d->star;
    syn_dist_frame f = syn_dist_frame_make(d, SYN_DIST_STOP);
    snprintf(f.text, sizeof f.text, "%s", sentence);
    for (int i = 0; s && i < s->count; i++) (void)syn_dist_frame_send(s->peers[i].fd, &f);
}

syn_status syn_dist_star_blame(syn_dist *d, int peer)
{
    const syn_dist_star *s = d->star;
    const unsigned long long job = (unsigned long long)d->done + 1;
    if (!s) {
        return syn_fail(SYN_ERR_DIST, "rank %d has not answered rank %d for %d s at the start",
                        peer, d->rank, d->timeout_s);
    }
    const double silent = d->rank ? syn_clock_s() - s->peers[0].heard_s : 0;
    if (silent > d->timeout_s / 2.0) return fail_silent(0, silent);
    if (s->laggard >= 0 && s->laggard_silent_s > d->timeout_s / 2.0) {
        return fail_silent(s->laggard, s->laggard_silent_s);
    }
    if (s->laggard >= 0 && s->laggard_posted < job) {
        return syn_fail(SYN_ERR_DIST,
                        "rank %d has not come to operation %llu for %d s, though it answers: it "
                        "hangs, or is far slower than the others",
                        s->laggard, job, d->timeout_s);
    }
    return syn_fail(SYN_ERR_DIST, "rank %d has sent rank %d nothing for %d s in operation %llu",
                    peer, d->rank, d->timeout_s, job);
}

/* ---- the end ---- */

void syn_dist_star_bye(syn_dist *d)
{
    syn_dist_star *s = d->star;
    const syn_dist_frame f = syn_dist_frame_make(d, SYN_DIST_BYE);
    for (int i = 0; s && i < s->count; i++) (void)syn_dist_frame_send(s->peers[i].fd, &f);
}

void syn_dist_star_close(syn_dist *d, double linger_s)
{
    syn_dist_star *s = d->star;
    if (!s) return;
    const double deadline = syn_clock_s() + linger_s;
    for (int i = 0; i < s->count; i++) {
        if (s->peers[i].fd >= 0) shutdown(s->peers[i].fd, SHUT_WR);
    }
    for (int i = 0; i < s->count; i++) {
        syn_dist_peer *p = &s->peers[i];
        struct pollfd in = {.fd = p->fd, .events = POLLIN};
        while (p->fd >= 0 && syn_dist_frame_read(p->fd, &p->in) >= 0 && syn_clock_s() < deadline) {
            (void)poll(&in, 1, 10);
        }
        if (p->fd >= 0) close(p->fd);
        if (p->data >= 0) close(p->data);
    }
    free(s->peers);
    free(s);
    d->star = NULL;
}

/* ---- data, without MPI ---- */

typedef struct message_head {
    uint64_t magic, bytes;
} message_head;

/* One direction of an exchange: the head, then the data. */
typedef struct stream {
    int fd;
    message_head head;
    unsigned char *data;
    size_t moved, total; /* with the head */
} stream;

/* Moves what can be moved: false when nothing could. */
static bool move(stream *s, bool out)
{
    const size_t head = sizeof s->head;
    unsigned char *p =
        s->moved < head ? (unsigned char *)&s->head + s->moved : s->data + (s->moved - head);
    const size_t n = (s->moved < head ? head : s->total) - s->moved;
    const ssize_t k = out ? send(s->fd, p, n, MSG_NOSIGNAL) : recv(s->fd, p, n, 0);
    if (k <= 0) return false; /* the end of a connection is told by the beats' one */
    s->moved += (size_t)k;
    return true;
}

static syn_status check_head(const syn_dist *d, const stream *s, int from, int64_t bytes)
{
    if (s->head.magic == SYN_DIST_MAGIC && s->head.bytes == (uint64_t)bytes) return SYN_OK;
    return syn_fail(SYN_ERR_DIST,
                    "rank %d sends %llu bytes where rank %d expects %lld: they are not at the same "
                    "operation",
                    from, (unsigned long long)s->head.bytes, d->rank, (long long)bytes);
}

syn_status syn_dist_star_exchange(syn_dist *d, int to, const void *out, int64_t out_bytes, int from,
                                  void *in, int64_t in_bytes)
{
    const size_t head = sizeof(message_head);
    stream o = {.fd = to < 0 ? -1 : d->star->peers[d->rank ? 0 : to].data,
                .head = {SYN_DIST_MAGIC, (uint64_t)out_bytes},
                .data = (unsigned char *)out,
                .total = to < 0 ? 0 : head + (size_t)out_bytes};
    stream i = {.fd = from < 0 ? -1 : d->star->peers[d->rank ? 0 : from].data,
                .data = in,
                .total = from < 0 ? 0 : head + (size_t)in_bytes};
    syn_dist_wait wait = {0};
    bool checked = false;
    while (o.moved < o.total || i.moved < i.total) {
        bool moved = o.moved < o.total && move(&o, true);
        if (i.moved < i.total && move(&i, false)) moved = true;
        if (!checked && from >= 0 && i.moved >= head) {
            SYN_RETURN_IF(check_head(d, &i, from, in_bytes));
            checked = true;
        }
        if (moved) {
            wait = (syn_dist_wait){0};
        } else {
            SYN_RETURN_IF(syn_dist_pause(d, &wait, from >= 0 ? from : to));
        }
    }
    return SYN_OK;
}
