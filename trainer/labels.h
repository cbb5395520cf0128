/* What a state of the environment says of its agents: the truth that the gap detector learns. Pure
 * functions, usable in CUDA kernels. */
#ifndef SYN_TRAINER_LABELS_H
#define SYN_TRAINER_LABELS_H

#include "kernels/env_core.h"

/* Agent i lacks part of S. */
SYN_HD bool syn_label_gap(const syn_env *e, int i)
{
    return (e->gold & ~e->memory[i]) != 0;
}

/* j holds a part of S that i lacks. */
SYN_HD bool syn_label_link(const syn_env *e, int i, int j)
{
    return (e->gold & e->memory[j] & ~e->memory[i]) != 0;
}

#endif
