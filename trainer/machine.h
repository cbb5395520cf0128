/* What a command that trains computes on: this rank's GPU, where it has one, and the other ranks.
 */
#ifndef SYN_TRAINER_MACHINE_H
#define SYN_TRAINER_MACHINE_H

#include "trainer/dist.h"
#include "trainer/run.h"

/* All zero: not open. */
typedef struct syn_machine {
    syn_ctx gpu; /* where on_gpu says so */
    bool on_gpu;
    syn_dist *dist;
} syn_machine;

/* --device auto is a GPU where each rank of this machine has one of its own. m is to be closed on
 * an error too. Errors: SYN_ERR_UNSUPPORTED, SYN_ERR_USAGE, SYN_ERR_DEVICE, SYN_ERR_DIST. */
SYN_WARN_UNUSED syn_status syn_machine_open(syn_machine *m, const syn_run_config *cfg);
void syn_machine_close(syn_machine *m);

/* Tells the other ranks of a failure, where st is one, and gives the command's exit code: what
 * every rank is told by itself (a wrong option, a signal), the first rank says. */
int syn_machine_end(syn_machine *m, syn_status st);

/* SYN_ERR_DIST where the ranks have not been told or have not read the same: the texts of options,
 * data, and, where not NULL, of what identifies the checkpoint to begin with. Collective. */
SYN_WARN_UNUSED syn_status syn_machine_same(const syn_machine *m, const char *options,
                                            const char *data, const char *checkpoint);

/* Where the networks are computed: m's GPU, or the CPU context. */
static inline syn_ctx *syn_machine_ctx(syn_machine *m, syn_ctx *cpu)
{
    return m->on_gpu ? &m->gpu : cpu;
}

#endif
