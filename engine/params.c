#include "engine/params.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/rng.h"
#include "kernels/optim.h"
#include "kernels/packed.h"

static size_t bytes_of(const syn_params *p)
{
    return sizeof(real) * (size_t)p->total;
}

int syn_params_add(syn_params *p, const char *name, int64_t a, int64_t b, int64_t c, int64_t fan_in)
{
    assert(p->count < SYN_PARAMS_MAX && !p->value && a > 0 && b > 0 && c > 0);
    syn_param *t = &p->item[p->count];
    snprintf(t->name, sizeof t->name, "%s", name);
    t->rank = c > 1 ? 3 : b > 1 ? 2 : 1;
    t->shape[0] = a;
    t->shape[1] = b;
    t->shape[2] = c;
    t->count = a * b * c;
    t->offset = p->total;
    t->init = fan_in > 0 ? (float)(1 / sqrt((double)fan_in)) : 0;
    p->total += (t->count + SYN_PARAM_ALIGN - 1) / SYN_PARAM_ALIGN * SYN_PARAM_ALIGN;
    return p->count++;
}

static void draw(const syn_params *p, uint64_t seed, real *value)
{
    for (int i = 0; i < p->count; i++) {
        const syn_param *t = &p->item[i];
        if (t->init == 0) continue;
        syn_rng rng = syn_rng_make(seed, ((uint64_t)SYN_STREAM_INIT << 32) + (uint64_t)i);
        real *x = value + t->offset;
        for (int64_t k = 0; k < t->count; k++) x[k] = (2 * syn_rng_uniform(&rng) - 1) * t->init;
    }
}

syn_status syn_params_commit(syn_ctx *ctx, syn_params *p, uint64_t seed)
{
    const size_t bytes = bytes_of(p);
    p->value = syn_device_alloc(ctx, bytes);
    if (!p->value) return SYN_ERR_MEMORY;
    if (ctx->device == SYN_DEVICE_CPU) {
        draw(p, seed, p->value);
        return SYN_OK;
    }
    real *host = calloc(1, bytes);
    if (!host) return syn_fail(SYN_ERR_MEMORY, "out of memory for a network's first weights");
    draw(p, seed, host);
    const syn_status st = syn_copy_in(ctx, p->value, host, bytes);
    free(host);
    return st;
}

syn_status syn_params_trainable(syn_ctx *ctx, syn_params *p)
{
    const size_t bytes = bytes_of(p);
    if (!p->grad) p->grad = syn_device_alloc(ctx, bytes);
    if (!p->m) p->m = syn_device_alloc(ctx, bytes);
    if (!p->v) p->v = syn_device_alloc(ctx, bytes);
    return p->grad && p->m && p->v ? SYN_OK : SYN_ERR_MEMORY;
}

void syn_params_free(syn_ctx *ctx, syn_params *p)
{
    syn_device_free(ctx, p->value);
    syn_device_free(ctx, p->grad);
    syn_device_free(ctx, p->m);
    syn_device_free(ctx, p->v);
    memset(p, 0, sizeof *p);
}

static bool recurrent(const syn_param *t)
{
    const size_t n = strlen(t->name);
    return n > 2 && strcmp(t->name + n - 2, ".R") == 0;
}

syn_status syn_params_pack(syn_ctx *ctx, const syn_params *p)
{
    syn_status st = SYN_OK;
    int done = 0;
    for (; done < p->count && st == SYN_OK; done++) {
        const syn_param *t = &p->item[done];
        if (t->rank != 2) continue;
        st = recurrent(t) ? syn_packed_recurrence(ctx, t->shape[1], syn_value(p, done))
                          : syn_packed_product(ctx, t->shape[0], t->shape[1], syn_value(p, done));
    }
    for (int k = 0; k < done - 1 && st != SYN_OK; k++) syn_packed_remove(ctx, syn_value(p, k));
    return st;
}

void syn_params_unpack(syn_ctx *ctx, const syn_params *p)
{
    for (int k = 0; p->value && k < p->count; k++) syn_packed_remove(ctx, syn_value(p, k));
}

syn_status syn_params_zero_grad(syn_ctx *ctx, syn_params *p)
{
    return syn_zero(ctx, p->grad, bytes_of(p));
}

/* ---- Between host and device ---- */

syn_status syn_params_clone(syn_ctx *ctx, syn_params *to, const syn_params *host)
{
    const size_t bytes = bytes_of(host);
    *to = *host;
    to->value = to->grad = to->m = to->v = NULL;
    to->value = syn_device_alloc(ctx, bytes);
    syn_status st = to->value ? syn_copy_in(ctx, to->value, host->value, bytes) : SYN_ERR_MEMORY;
    if (st == SYN_OK && host->m) {
        st = syn_params_trainable(ctx, to);
        if (st == SYN_OK) st = syn_copy_in(ctx, to->m, host->m, bytes);
        if (st == SYN_OK) st = syn_copy_in(ctx, to->v, host->v, bytes);
    }
    if (st != SYN_OK) syn_params_free(ctx, to);
    return st;
}

syn_status syn_params_fetch(syn_ctx *ctx, const syn_params *from, syn_params *host)
{
    const size_t bytes = bytes_of(host);
    syn_ctx cpu = {.device = SYN_DEVICE_CPU, .threads = 1};
    SYN_REQUIRE(from->total == host->total, "two networks of %lld and %lld weights",
                (long long)from->total, (long long)host->total);
    SYN_RETURN_IF(syn_copy_out(ctx, host->value, from->value, bytes));
    host->step = from->step;
    if (!from->m) return SYN_OK;
    if (!host->m) host->m = syn_device_alloc(&cpu, bytes);
    if (!host->v) host->v = syn_device_alloc(&cpu, bytes);
    if (!host->m || !host->v) return SYN_ERR_MEMORY;
    SYN_RETURN_IF(syn_copy_out(ctx, host->m, from->m, bytes));
    return syn_copy_out(ctx, host->v, from->v, bytes);
}

/* ---- Finite ---- */

/* The first of the tensors first..last whose part of `buffer` is not finite; -1: none. */
static syn_status not_finite(syn_ctx *ctx, const syn_params *p, const real *buffer, int first,
                             int last, int *which)
{
    int32_t found = 0;
    syn_scratch_mark mark = syn_scratch_push(ctx);
    int32_t *flag = SYN_SCRATCH(ctx, int32_t, 1);
    syn_status st = flag ? syn_zero(ctx, flag, sizeof *flag) : SYN_ERR_MEMORY;
    for (int i = first; i <= last && st == SYN_OK; i++) {
        st = syn_flag_not_finite(ctx, p->item[i].count, buffer + p->item[i].offset, i + 1, flag);
    }
    if (st == SYN_OK) st = syn_copy_out(ctx, &found, flag, sizeof found);
    syn_scratch_pop(ctx, mark);
    *which = found - 1;
    return st;
}

static int64_t span(const syn_params *p, int first, int last)
{
    return p->item[last].offset + p->item[last].count - p->item[first].offset;
}

syn_status syn_params_norm(syn_ctx *ctx, const syn_params *p, int first, int last, real *norm)
{
    return syn_grad_norm(ctx, span(p, first, last), p->grad + p->item[first].offset, norm);
}

syn_status syn_params_blame(syn_ctx *ctx, const syn_params *p, int first, int last)
{
    int which;
    SYN_RETURN_IF(not_finite(ctx, p, p->grad, first, last, &which));
    if (which < 0) return syn_fail(SYN_ERR_NUMERIC, "the gradient's norm is not finite");
    return syn_fail(SYN_ERR_NUMERIC, "the gradient of %s is not finite", p->item[which].name);
}

syn_status syn_params_grad_norm(syn_ctx *ctx, const syn_params *p, int first, int last, real *norm)
{
    syn_scratch_mark mark = syn_scratch_push(ctx);
    real *device = SYN_SCRATCH(ctx, real, 1);
    syn_status st = device ? syn_params_norm(ctx, p, first, last, device) : SYN_ERR_MEMORY;
    if (st == SYN_OK) st = syn_copy_out(ctx, norm, device, sizeof *norm);
    syn_scratch_pop(ctx, mark);
    if (st != SYN_OK || isfinite(*norm)) return st;
    return syn_params_blame(ctx, p, first, last);
}

syn_status syn_params_apply(syn_ctx *ctx, syn_params *p, int first, int last, const syn_adam *adam,
                            real norm)
{
    const int64_t at = p->item[first].offset;
    const real scale =
        adam->max_grad_norm > 0 && norm > adam->max_grad_norm ? adam->max_grad_norm / norm : 1;
    return syn_adamw(ctx, span(p, first, last), p->value + at, p->grad + at, p->m + at, p->v + at,
                     adam->lr, adam->beta1, adam->beta2, adam->eps, adam->weight_decay, p->step,
                     scale);
}

syn_status syn_params_apply_device(syn_ctx *ctx, syn_params *p, int first, int last,
                                   const syn_adam_scalars *adam, const real *norm,
                                   const int32_t *skip)
{
    const int64_t at = p->item[first].offset;
    return syn_adamw_device(ctx, span(p, first, last), p->value + at, p->grad + at, p->m + at,
                            p->v + at, adam, norm, skip);
}

syn_status syn_params_step(syn_ctx *ctx, syn_params *p, int first, int last, const syn_adam *adam,
                           real *norm)
{
    SYN_RETURN_IF(syn_params_grad_norm(ctx, p, first, last, norm));
    p->step++;
    return syn_params_apply(ctx, p, first, last, adam, *norm);
}

syn_status syn_params_check(syn_ctx *ctx, const syn_params *p)
{
    int which;
    SYN_RETURN_IF(not_finite(ctx, p, p->value, 0, p->count - 1, &which));
    if (which < 0) return SYN_OK;
    return syn_fail(SYN_ERR_NUMERIC, "the weights %s are not finite", p->item[which].name);
}

uint64_t syn_params_hash(const syn_params *p)
{
    uint64_t h = 0;
    for (int64_t k = 0; k < p->total; k++) {
        uint64_t x = 0;
        memcpy(&x, p->value + k, sizeof *p->value);
        h = (h ^ x) * 0xff51afd7ed558ccdu; /* a step is one-to-one: no single change is lost */
        h ^= h >> 32;
    }
    return h;
}
