#include <stdlib.h>
#include <string.h>

#include "trainer/dist_private.h"

/* Numbers that are summed at a time: per rank where sums go through rank 0, and between ranks. */
enum { STAR_CHUNK = 1 << 18, SUM_PART = 1 << 18 };

/* An exchange travels in pieces: a wait that sleeps between two looks would slow down what is on
 * its way, so the first piece, which may have to wait for the partner, is small, and the waits for
 * the others are too short to sleep in. */
enum { FIRST_PIECE_BYTES = 1 << 15, PIECE_BYTES = 1 << 20 };

syn_status syn_dist_scratch(syn_dist *d, size_t bytes, void **p)
{
    if (bytes > d->scratch_bytes) {
        free(d->scratch);
        d->scratch = malloc(bytes);
        d->scratch_bytes = d->scratch ? bytes : 0;
    }
    *p = d->scratch;
    return *p || !bytes
               ? SYN_OK
               : syn_fail(SYN_ERR_MEMORY, "out of memory for a sum over %d ranks", d->size);
}

syn_status syn_dist_exchange(syn_dist *d, int to, const void *out, int64_t out_bytes, int from,
                             void *in, int64_t in_bytes)
{
    const char *send = out;
    char *receive = in;
    int64_t piece = FIRST_PIECE_BYTES;
    while ((to >= 0 && out_bytes > 0) || (from >= 0 && in_bytes > 0)) {
        const int64_t o = to < 0 ? 0 : out_bytes < piece ? out_bytes : piece;
        const int64_t i = from < 0 ? 0 : in_bytes < piece ? in_bytes : piece;
        SYN_RETURN_IF((d->mpi ? syn_dist_mpi_exchange : syn_dist_star_exchange)(
            d, o ? to : -1, send, o, i ? from : -1, receive, i));
        send += o;
        receive += i;
        out_bytes -= o;
        in_bytes -= i;
        piece = PIECE_BYTES;
    }
    return SYN_OK;
}

/* ---- the tree ---- */

static int power_of_two_within(int size)
{
    int p = 1;
    while (2 * p <= size) p *= 2;
    return p;
}

/* x = x + y (or the larger), x of the lower ranks. */
static void combine(syn_dist_job_kind kind, void *x, const void *y, int64_t n)
{
    if (kind == SYN_DIST_SUM) {
        real *a = x;
        const real *b = y;
        for (int64_t i = 0; i < n; i++) a[i] += b[i];
        return;
    }
    double *a = x;
    const double *b = y;
    for (int64_t i = 0; i < n; i++) {
        if (kind == SYN_DIST_SUM_F64) {
            a[i] += b[i];
        } else if (b[i] > a[i] || b[i] != b[i]) { /* a NaN is not lost */
            a[i] = b[i];
        }
    }
}

/* rows (size, n) of numbers of `width` bytes; the result is left in the first. */
static void combine_rows(syn_dist_job_kind kind, char *rows, int size, int64_t n, size_t width)
{
    const int p = power_of_two_within(size), surplus = size - p;
    const size_t row = (size_t)n * width;
    for (int i = 0; i < surplus; i++) {
        combine(kind, rows + (size_t)(2 * i) * row, rows + (size_t)(2 * i + 1) * row, n);
    }
    for (int apart = 1; apart < p; apart *= 2) {
        for (int i = 0; i + apart < p; i += 2 * apart) {
            const int j = i + apart;
            const int a = i < surplus ? 2 * i : i + surplus, b = j < surplus ? 2 * j : j + surplus;
            combine(kind, rows + (size_t)a * row, rows + (size_t)b * row, n);
        }
    }
}

/* Through rank 0: for few numbers, and for all where there is no MPI. */
static syn_status reduce_at_zero(syn_dist *d, syn_dist_job_kind kind, char *x, int64_t n,
                                 size_t width)
{
    for (int64_t at = 0; at < n; at += STAR_CHUNK) {
        const int64_t k = n - at < STAR_CHUNK ? n - at : STAR_CHUNK;
        const int64_t bytes = k * (int64_t)width;
        char *part = x + (size_t)at * width;
        if (d->rank) {
            SYN_RETURN_IF(syn_dist_exchange(d, 0, part, bytes, -1, NULL, 0));
            SYN_RETURN_IF(syn_dist_exchange(d, -1, NULL, 0, 0, part, bytes));
            continue;
        }
        void *rows = NULL;
        SYN_RETURN_IF(syn_dist_scratch(d, (size_t)bytes * (size_t)d->size, &rows));
        memcpy(rows, part, (size_t)bytes);
        for (int r = 1; r < d->size; r++) {
            SYN_RETURN_IF(syn_dist_exchange(d, -1, NULL, 0, r, (char *)rows + r * bytes, bytes));
        }
        combine_rows(kind, rows, d->size, k, width);
        memcpy(part, rows, (size_t)bytes);
        for (int r = 1; r < d->size; r++) {
            SYN_RETURN_IF(syn_dist_exchange(d, r, part, bytes, -1, NULL, 0));
        }
    }
    return SYN_OK;
}

/* Recursive halving, then doubling back (R. Rabenseifner, "Optimization of collective reduction
 * operations", ICCS 2004), with the nearest partner first, which makes the element's tree
 * ((0+1)+(2+3))+...: every rank ends with the sum of one segment and fetches the others. */
static syn_status halve_and_double(syn_dist *d, int v, int p, int surplus, real *x, int64_t n,
                                   real *from_partner)
{
    int64_t begin[32], end[32], lo = 0, hi = n;
    int level = 0;
    const int64_t width = sizeof *x;
    for (int apart = 1; apart < p; apart *= 2, level++) {
        const int u = v ^ apart, partner = u < surplus ? 2 * u : u + surplus;
        const int64_t mid = lo + (hi - lo) / 2;
        const bool lower = v < u;
        begin[level] = lo;
        end[level] = hi;
        const int64_t out = lower ? mid : lo, out_n = lower ? hi - mid : mid - lo;
        lo = lower ? lo : mid;
        hi = lower ? mid : hi;
        SYN_RETURN_IF(syn_dist_exchange(d, partner, x + out, out_n * width, partner, from_partner,
                                        (hi - lo) * width));
        combine(SYN_DIST_SUM, x + lo, from_partner, hi - lo); /* a + b and b + a are one */
    }
    for (int apart = p / 2; apart >= 1; apart /= 2) {
        const int u = v ^ apart, partner = u < surplus ? 2 * u : u + surplus;
        level--;
        const int64_t in = lo == begin[level] ? hi : begin[level];
        const int64_t in_n = end[level] - begin[level] - (hi - lo);
        SYN_RETURN_IF(syn_dist_exchange(d, partner, x + lo, (hi - lo) * width, partner, x + in,
                                        in_n * width));
        lo = begin[level];
        hi = end[level];
    }
    return SYN_OK;
}

/* Of a size that is no power of two, the first pairs add up before and are told after. */
static syn_status sum_between(syn_dist *d, real *x, int64_t n)
{
    const int p = power_of_two_within(d->size), surplus = d->size - p;
    const int64_t bytes = n * (int64_t)sizeof *x;
    const bool paired = d->rank < 2 * surplus;
    void *scratch = NULL;
    if (paired && d->rank % 2) {
        SYN_RETURN_IF(syn_dist_exchange(d, d->rank - 1, x, bytes, -1, NULL, 0));
        return syn_dist_exchange(d, -1, NULL, 0, d->rank - 1, x, bytes);
    }
    SYN_RETURN_IF(syn_dist_scratch(d, (size_t)bytes, &scratch));
    if (paired) {
        SYN_RETURN_IF(syn_dist_exchange(d, -1, NULL, 0, d->rank + 1, scratch, bytes));
        combine(SYN_DIST_SUM, x, scratch, n);
    }
    SYN_RETURN_IF(
        halve_and_double(d, paired ? d->rank / 2 : d->rank - surplus, p, surplus, x, n, scratch));
    return paired ? syn_dist_exchange(d, d->rank + 1, x, bytes, -1, NULL, 0) : SYN_OK;
}

/* In parts whose scratch stays in the processor's cache: the tree is one of elements, so that parts
 * change no bit. */
static syn_status sum_in_parts(syn_dist *d, real *x, int64_t n)
{
    for (int64_t at = 0; at < n; at += SUM_PART) {
        SYN_RETURN_IF(sum_between(d, x + at, n - at < SUM_PART ? n - at : SUM_PART));
    }
    return SYN_OK;
}

/* ---- between rank 0 and the others ---- */

static syn_status gather(syn_dist *d, const void *mine, int64_t bytes, char *all)
{
    if (d->rank) return syn_dist_exchange(d, 0, mine, bytes, -1, NULL, 0);
    memcpy(all, mine, (size_t)bytes);
    for (int r = 1; r < d->size; r++) {
        SYN_RETURN_IF(syn_dist_exchange(d, -1, NULL, 0, r, all + r * bytes, bytes));
    }
    return SYN_OK;
}

static syn_status scatter(syn_dist *d, const char *all, int64_t bytes, void *mine)
{
    if (d->rank) return syn_dist_exchange(d, -1, NULL, 0, 0, mine, bytes);
    for (int r = 1; r < d->size; r++) {
        SYN_RETURN_IF(syn_dist_exchange(d, r, all + r * bytes, bytes, -1, NULL, 0));
    }
    memcpy(mine, all, (size_t)bytes);
    return SYN_OK;
}

static syn_status broadcast(syn_dist *d, void *x, int64_t bytes)
{
    if (d->rank) return syn_dist_exchange(d, -1, NULL, 0, 0, x, bytes);
    for (int r = 1; r < d->size; r++) {
        SYN_RETURN_IF(syn_dist_exchange(d, r, x, bytes, -1, NULL, 0));
    }
    return SYN_OK;
}

static syn_status barrier(syn_dist *d)
{
    char all[SYN_RANKS_MAX] = {0}, mine = 0;
    SYN_RETURN_IF(gather(d, &mine, 1, all));
    return broadcast(d, &mine, 1);
}

syn_status syn_dist_run(syn_dist *d, const syn_dist_job *job)
{
    switch (job->kind) {
    case SYN_DIST_SUM:
        if (d->nccl) return syn_dist_nccl_sum(d, job);
        if (d->mpi) return sum_in_parts(d, job->x, job->n);
        return reduce_at_zero(d, job->kind, job->x, job->n, sizeof(real));
    case SYN_DIST_FOLLOW:
        return syn_dist_nccl_follow(d, job);
    case SYN_DIST_SUM_F64:
    case SYN_DIST_MAX_F64:
        return reduce_at_zero(d, job->kind, job->x, job->n, sizeof(double));
    case SYN_DIST_GATHER:
        return gather(d, job->in, job->n, job->x);
    case SYN_DIST_SCATTER:
        return scatter(d, job->in, job->n, job->x);
    case SYN_DIST_BROADCAST:
        return broadcast(d, job->x, job->n);
    case SYN_DIST_BARRIER:
        return barrier(d);
    }
    return syn_fail(SYN_ERR_INVALID, "no such job");
}
