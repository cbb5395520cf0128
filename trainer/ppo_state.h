/* All that the next update depends on beside the weights and their moments, as tensors: saving
 * changes nothing, and a run that is restored goes on to the bit. */
#ifndef SYN_TRAINER_PPO_STATE_H
#define SYN_TRAINER_PPO_STATE_H

#include "checkpoints/checkpoint.h"
#include "trainer/ppo.h"

enum { SYN_PPO_STATE_FIELDS = 5, SYN_PPO_STATE_TENSORS = SYN_PPO_STATE_FIELDS + 2 };

typedef struct syn_ppo_state {
    void *field[SYN_PPO_STATE_FIELDS]; /* owned; of all environments of all ranks */
    int64_t shape[7];
    double norm[3];
    syn_tensor
        tensor[SYN_PPO_STATE_TENSORS]; /* under SYN_RESUME_PREFIX; they point into the above */
    int count;                         /* 0 on every rank but the first */
} syn_ppo_state;

/* Collective; to be called between two updates. */
SYN_WARN_UNUSED syn_status syn_ppo_state_gather(const syn_ppo *p, syn_ppo_state *s);
void syn_ppo_state_free(syn_ppo_state *s);

typedef enum syn_ppo_restored {
    SYN_RESTORED_EXACT,    /* the run goes on as if it had never stopped */
    SYN_RESTORED_RESHAPED, /* the same episodes go on in shards of another size: other rounding */
    SYN_RESTORED_ANEW      /* other environments: the episodes begin anew */
} syn_ppo_restored;

/* After syn_ppo_init, on every rank by itself: updates, value normalisation and, where the
 * environments are the same, their states. SYN_ERR_FORMAT for what cannot be the state of a run;
 * a checkpoint without any gives SYN_RESTORED_ANEW with `updates` as it is. */
SYN_WARN_UNUSED syn_status syn_ppo_state_restore(syn_ppo *p, const syn_checkpoint *cp,
                                                 syn_ppo_restored *how);

/* Leaves of another run, cp, that c has been read from, the weights alone, for a run that begins
 * with them: Adam's moments and their count are zeroed, and the value normalisation, without which
 * the critic's last layer says nothing, is folded into it. SYN_ERR_FORMAT. */
SYN_WARN_UNUSED syn_status syn_ppo_state_weights_only(syn_control *c, const syn_checkpoint *cp);

#endif
