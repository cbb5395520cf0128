/* What stands in for the CUDA side of phase 1 and of the finetuning in builds without it, where no
 * context asks for it.
 */
#include "trainer/finetune_ops.h"
#include "trainer/pretrain_ops.h"

#ifndef SYN_HAVE_CUDA

static syn_status unbuilt(void)
{
    return syn_fail(SYN_ERR_UNSUPPORTED, "this build has no CUDA");
}

syn_status syn_gap_batch_make_cuda(syn_ctx *ctx, const syn_observer *o, const syn_tasks *tasks,
                                   const syn_env *envs, const int32_t *label, const real *scale,
                                   const syn_gap_shape *shape, syn_gap_batch *b)
{
    (void)ctx, (void)o, (void)tasks, (void)envs, (void)label, (void)scale, (void)shape, (void)b;
    return unbuilt();
}

syn_status syn_judge_rows_cuda(syn_ctx *ctx, const syn_observer *o, const syn_tasks *tasks,
                               const syn_env *envs, bool refiner, const real *scale, real *x,
                               real *target, real *weight)
{
    (void)ctx, (void)o, (void)tasks, (void)envs, (void)refiner, (void)scale, (void)x, (void)target;
    (void)weight;
    return unbuilt();
}

syn_status syn_items_standardise_cuda(syn_ctx *ctx, int64_t n, const real *mean, const real *scale,
                                      real *items)
{
    (void)ctx, (void)n, (void)mean, (void)scale, (void)items;
    return unbuilt();
}

syn_status syn_turn_sizes_cuda(syn_ctx *ctx, int64_t turns, int64_t E, const syn_env *seen,
                               syn_turn_size *size)
{
    (void)ctx, (void)turns, (void)E, (void)seen, (void)size;
    return unbuilt();
}

syn_status syn_sum_over_turns_cuda(syn_ctx *ctx, int64_t T, int64_t E, const syn_env *seen,
                                   real *dckm)
{
    (void)ctx, (void)T, (void)E, (void)seen, (void)dckm;
    return unbuilt();
}

syn_status syn_flow_rows_cuda(syn_ctx *ctx, const syn_observer *o, const syn_tasks *tasks,
                              const syn_env *envs, const syn_gap_shape *shape, const real *dckm,
                              int32_t *offset, real *x, real *bias, real *d)
{
    (void)ctx, (void)o, (void)tasks, (void)envs, (void)shape, (void)dckm, (void)offset, (void)x;
    (void)bias, (void)d;
    return unbuilt();
}

#else
typedef int syn_pretrain_ops_are_in_cu; /* a file may not be empty */
#endif
