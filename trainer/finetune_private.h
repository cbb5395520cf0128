/* Between the finetuning (finetune.c) and how CUDA learns from a shard (finetune_device.c). */
#ifndef SYN_TRAINER_FINETUNE_PRIVATE_H
#define SYN_TRAINER_FINETUNE_PRIVATE_H

#include "trainer/finetune.h"
#include "trainer/finetune_ops.h"

static const double syn_finetune_share = 0.5; /* of both losses in what is minimised */

/* On CUDA. */
struct syn_finetune_device {
    syn_turn_size *size, *size_host; /* (shards, horizon) */
    real *scale;                     /* (shards, SYN_GAP_OUT): of the losses */
    real *scale_host;
    uint32_t *changed; /* (shard_envs) */
};

static inline int64_t syn_finetune_shards(const syn_finetune *f)
{
    return f->ppo->cfg.minibatches * f->ppo->local;
}
static inline syn_env *syn_finetune_seen(const syn_finetune *f, int64_t shard)
{
    return f->seen + shard * f->ppo->cfg.horizon * f->ppo->cfg.shard_envs;
}
static inline real *syn_finetune_dckm(const syn_finetune *f, int64_t shard)
{
    return f->dckm +
           shard * f->ppo->cfg.horizon * f->ppo->cfg.shard_envs * SYN_AGENTS_MAX * SYN_CKM;
}
/* The first of the turns that this update takes. */
static inline int64_t syn_finetune_first_turn(const syn_finetune *f)
{
    return f->update % f->every;
}

SYN_WARN_UNUSED syn_status syn_finetune_device_init(syn_finetune *f);
void syn_finetune_device_free(syn_finetune *f);

/* Before an update: how large the turns are, read by the host, which needs to know. */
SYN_WARN_UNUSED syn_status syn_finetune_device_begin(syn_finetune *f);

/* Adds gradient and losses (loss (SYN_GAP_OUT), on the device) of the shard's states. */
SYN_WARN_UNUSED syn_status syn_finetune_device_states(syn_finetune *f, int64_t shard,
                                                      int64_t number, real *loss);

/* PPO's gradient of the shard's CKM vectors, through the encoder. */
SYN_WARN_UNUSED syn_status syn_finetune_device_flow(syn_finetune *f, int64_t shard);

#endif
