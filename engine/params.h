/* All parameters of a network in one flat buffer with a named table; gradients and Adam moments
 * likewise: one all-reduce, one norm, one optimiser pass, one checkpoint loop.
 *
 * Use: syn_params_add for every tensor, then syn_params_commit, which allocates. Offsets are
 * aligned to 16 elements; the gaps stay zero. */
#ifndef SYN_ENGINE_PARAMS_H
#define SYN_ENGINE_PARAMS_H

#include "kernels/optim.h"

enum { SYN_PARAMS_MAX = 64, SYN_PARAM_NAME_MAX = 40, SYN_PARAM_ALIGN = 16 };

typedef struct syn_param {
    char name[SYN_PARAM_NAME_MAX]; /* "ckm.lstm.W" */
    int rank;
    int64_t shape[3];
    int64_t offset, count;
    float init; /* uniform in [-init, init] at syn_params_init */
} syn_param;

typedef struct syn_params {
    syn_param item[SYN_PARAMS_MAX];
    int count;
    int64_t total;      /* elements of each buffer below */
    real *value;        /* owned, device memory */
    real *grad, *m, *v; /* owned, NULL until syn_params_trainable */
    int64_t step;       /* Adam steps taken */
} syn_params;

/* Registers a tensor (rank 1 to 3; unused sizes 1) and returns its index. fan_in > 0: initial
 * values uniform in +-1/sqrt(fan_in) (PyTorch's default for linear and LSTM); 0: zeros. */
int syn_params_add(syn_params *p, const char *name, int64_t a, int64_t b, int64_t c,
                   int64_t fan_in);

/* Allocates the values (zero), then draws them from (seed, SYN_STREAM_INIT). */
SYN_WARN_UNUSED syn_status syn_params_commit(syn_ctx *ctx, syn_params *p, uint64_t seed);

/* Allocates gradients and moments (zero) where they are not yet. */
SYN_WARN_UNUSED syn_status syn_params_trainable(syn_ctx *ctx, syn_params *p);

void syn_params_free(syn_ctx *ctx, syn_params *p);

/* For inference: ctx keeps the matrices laid out for its products (kernels/packed.h; those named
 * "*.R" for their recurrence) until unpack, which comes before the values change or are freed. On
 * an error nothing is kept. */
SYN_WARN_UNUSED syn_status syn_params_pack(syn_ctx *ctx, const syn_params *p);
void syn_params_unpack(syn_ctx *ctx, const syn_params *p);
SYN_WARN_UNUSED syn_status syn_params_zero_grad(syn_ctx *ctx, syn_params *p);

/* `to`, overwritten: a copy in ctx's memory of a network in host memory, with its moments where it
 * has any. On an error `to` is empty. */
SYN_WARN_UNUSED syn_status syn_params_clone(syn_ctx *ctx, syn_params *to, const syn_params *host);

/* Brings values, step and moments of `from`, in ctx's memory, back to the network that it was
 * cloned from, which gets moments where it has none. */
SYN_WARN_UNUSED syn_status syn_params_fetch(syn_ctx *ctx, const syn_params *from, syn_params *host);

static inline real *syn_value(const syn_params *p, int i)
{
    return p->value + p->item[i].offset;
}
static inline real *syn_grad(const syn_params *p, int i)
{
    return p->grad ? p->grad + p->item[i].offset : NULL;
}

typedef struct syn_adam {
    real lr, beta1, beta2, eps, weight_decay, max_grad_norm; /* max_grad_norm 0: no clipping */
} syn_adam;

/* The norm of the gradient of the tensors first..last, in host memory. SYN_ERR_NUMERIC, naming the
 * tensor, when it is not finite. */
SYN_WARN_UNUSED syn_status syn_params_grad_norm(syn_ctx *ctx, const syn_params *p, int first,
                                                int last, real *norm);

/* Clips the gradient of the tensors first..last, whose norm is `norm`, to max_grad_norm and takes
 * AdamW step p->step on them (1 is the first); the others stay as they are. */
SYN_WARN_UNUSED syn_status syn_params_apply(syn_ctx *ctx, syn_params *p, int first, int last,
                                            const syn_adam *adam, real norm);

/* Both: counts the step, and *norm is the norm before clipping. Nothing is updated on an error. */
SYN_WARN_UNUSED syn_status syn_params_step(syn_ctx *ctx, syn_params *p, int first, int last,
                                           const syn_adam *adam, real *norm);

/* The same in two halves that wait for nothing: norm (1), adam (1) and skip (1, or NULL) are on the
 * device (syn_adamw_device). p->step stays as it is: `adam` knows the step. */
SYN_WARN_UNUSED syn_status syn_params_norm(syn_ctx *ctx, const syn_params *p, int first, int last,
                                           real *norm);
SYN_WARN_UNUSED syn_status syn_params_apply_device(syn_ctx *ctx, syn_params *p, int first, int last,
                                                   const syn_adam_scalars *adam, const real *norm,
                                                   const int32_t *skip);

/* For a gradient of the tensors first..last whose norm is not finite: SYN_ERR_NUMERIC, with a
 * sentence that names the tensor. */
SYN_WARN_UNUSED syn_status syn_params_blame(syn_ctx *ctx, const syn_params *p, int first, int last);

/* SYN_ERR_NUMERIC, naming the tensor, when a value is not finite. Waits for the device. */
SYN_WARN_UNUSED syn_status syn_params_check(syn_ctx *ctx, const syn_params *p);

/* Equal for equal values, to the bit; of a network in host memory. */
uint64_t syn_params_hash(const syn_params *p);

#endif
