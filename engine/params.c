#include "engine/params.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "kernels/base/rng.h"
#include "kernels/optim.h"

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

syn_status syn_params_commit(syn_ctx *ctx, syn_params *p, uint64_t seed)
{
    p->value = syn_device_alloc(ctx, sizeof(real) * (size_t)p->total);
    if (!p->value) return SYN_ERR_MEMORY;
    for (int i = 0; i < p->count; i++) {
        const syn_param *t = &p->item[i];
        if (t->init == 0) continue;
        syn_rng rng = syn_rng_make(seed, ((uint64_t)SYN_STREAM_INIT << 32) + (uint64_t)i);
        real *x = syn_value(p, i);
        for (int64_t k = 0; k < t->count; k++) x[k] = (2 * syn_rng_uniform(&rng) - 1) * t->init;
    }
    return SYN_OK;
}

syn_status syn_params_trainable(syn_ctx *ctx, syn_params *p)
{
    size_t bytes = sizeof(real) * (size_t)p->total;
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

void syn_params_zero_grad(syn_params *p)
{
    memset(p->grad, 0, sizeof(real) * (size_t)p->total);
}

/* What is not finite times 0 is not 0. */
static bool all_finite(int64_t n, const real *x)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < n; k++) sum += 0 * x[k];
    return sum == 0;
}

/* The first of the tensors first..last whose part of `buffer` is not finite; NULL: none. */
static const char *not_finite(const syn_params *p, const real *buffer, int first, int last)
{
    for (int i = first; i <= last; i++) {
        if (!all_finite(p->item[i].count, buffer + p->item[i].offset)) return p->item[i].name;
    }
    return NULL;
}

static int64_t span(const syn_params *p, int first, int last)
{
    return p->item[last].offset + p->item[last].count - p->item[first].offset;
}

syn_status syn_params_grad_norm(syn_ctx *ctx, const syn_params *p, int first, int last, real *norm)
{
    SYN_RETURN_IF(syn_grad_norm(ctx, span(p, first, last), p->grad + p->item[first].offset, norm));
    if (isfinite(*norm)) return SYN_OK;
    const char *name = not_finite(p, p->grad, first, last);
    if (!name) return syn_fail(SYN_ERR_NUMERIC, "the gradient's norm is not finite");
    return syn_fail(SYN_ERR_NUMERIC, "the gradient of %s is not finite", name);
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

syn_status syn_params_step(syn_ctx *ctx, syn_params *p, int first, int last, const syn_adam *adam,
                           real *norm)
{
    SYN_RETURN_IF(syn_params_grad_norm(ctx, p, first, last, norm));
    p->step++;
    return syn_params_apply(ctx, p, first, last, adam, *norm);
}

syn_status syn_params_check(const syn_params *p)
{
    const char *name = not_finite(p, p->value, 0, p->count - 1);
    return name ? syn_fail(SYN_ERR_NUMERIC, "the weights %s are not finite", name) : SYN_OK;
}

uint64_t syn_params_hash(const syn_params *p)
{
    return XXH3_64bits(p->value, sizeof(real) * (size_t)p->total);
}
