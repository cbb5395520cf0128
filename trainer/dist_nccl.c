/* Without NCCL: trainer/dist_nccl.cu is the true one. */
#include "trainer/dist_private.h"

#ifndef SYN_HAVE_NCCL

static syn_status fail_unbuilt(void)
{
    return syn_fail(SYN_ERR_UNSUPPORTED,
                    "this build has no NCCL: build with -DSYN_CUDA=ON -DSYN_NCCL=ON");
}

bool syn_dist_nccl_built(void)
{
    return false;
}

syn_status syn_dist_nccl_prepare(syn_dist *d)
{
    (void)d;
    return fail_unbuilt();
}

syn_status syn_dist_nccl_open(syn_dist *d)
{
    (void)d;
    return fail_unbuilt();
}

void syn_dist_nccl_abort(syn_dist *d)
{
    (void)d;
}

void syn_dist_nccl_close(syn_dist *d)
{
    (void)d;
}

syn_status syn_dist_nccl_mark(syn_dist *d, void **event)
{
    (void)d, (void)event;
    return fail_unbuilt();
}

syn_status syn_dist_nccl_sum(syn_dist *d, const syn_dist_job *job)
{
    (void)d, (void)job;
    return fail_unbuilt();
}

syn_status syn_dist_nccl_queue(syn_dist *d, const syn_dist_part *part, int parts)
{
    (void)d, (void)part, (void)parts;
    return fail_unbuilt();
}

syn_status syn_dist_nccl_follow(syn_dist *d, const syn_dist_job *job)
{
    (void)d, (void)job;
    return fail_unbuilt();
}

#endif
