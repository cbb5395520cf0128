/* A run of phase 1: what pretrain.c, which knows its phases and when to stop, shares with its steps
 * on the CPU (pretrain_steps.c) and on CUDA (pretrain_device.c). */
#ifndef SYN_TRAINER_PRETRAIN_PRIVATE_H
#define SYN_TRAINER_PRETRAIN_PRIVATE_H

#include "kernels/base/progress.h"
#include "trainer/gap_batch.h"
#include "trainer/pretrain.h"

typedef enum syn_phase { SYN_PHASE_RANKER, SYN_PHASE_REFINER, SYN_PHASE_GAP, SYN_PHASES } syn_phase;

typedef struct syn_pretrain_device syn_pretrain_device;

typedef struct syn_pretrain_run {
    syn_ctx *ctx;
    const syn_pretrain_config *cfg;
    const syn_corpus *corpus;
    const syn_tasks *tasks; /* in the context's memory */
    int32_t *train, *held;
    int64_t train_count, held_count;
    syn_draw draw;       /* over train */
    syn_perception *p;   /* in the context's memory */
    int64_t first, mine; /* this rank learns from `mine` episodes of each batch, from `first` on */
    syn_observer o;      /* of these */
    syn_env *envs;       /* (batch), in host memory; on CUDA on their way to the device */
    int32_t *label;      /* (batch): whose labels each of them gets; likewise */
    real *best;          /* weights of the best check, in the context's memory */
    real *learning;      /* and those that go on learning while others are judged */
    real mean[SYN_DI], scale[SYN_DI]; /* the CKM learns from items x as (x - mean) * scale */
    double loss;                      /* of the steps since it was last taken, on the CPU */
    syn_pretrain_device *device;      /* on CUDA */
    syn_progress bar;
    int64_t done;
} syn_pretrain_run;

/* What one batch adds up to, over all ranks. */
typedef struct syn_pretrain_totals {
    int64_t rows; /* pieces that are judged */
    int64_t links;
    syn_gap_shape shape; /* of this rank's episodes */
} syn_pretrain_totals;

/* Draws batch number `number` of the stream `purpose` into r->envs and r->label. */
void syn_pretrain_draw(syn_pretrain_run *r, int64_t number, uint64_t purpose,
                       syn_pretrain_totals *totals);

/* Which tensors a phase fits, and its optimiser at one step. */
typedef struct syn_pretrain_aim {
    int first, last;
    uint64_t purpose; /* of its episodes */
    syn_adam adam;
} syn_pretrain_aim;
syn_pretrain_aim syn_pretrain_aim_of(const syn_pretrain_run *r, syn_phase phase, int64_t step);

/* The counter of a step's dropout: no two steps or ranks share one. */
uint64_t syn_pretrain_counter(const syn_pretrain_run *r, int64_t step);

/* One step of a phase, on either device. On CUDA it is only queued, and a gradient that is not
 * finite is told by the next syn_pretrain_loss. Collective. Errors: SYN_ERR_MEMORY,
 * SYN_ERR_NUMERIC, SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_pretrain_step(syn_pretrain_run *r, syn_phase phase, int64_t step);

/* The sum of the losses since the last call, over all ranks. Collective; waits for the device. */
SYN_WARN_UNUSED syn_status syn_pretrain_loss(syn_pretrain_run *r, syn_phase phase, double *loss);

/* r->mean and r->scale: of every column of the items. */
SYN_WARN_UNUSED syn_status syn_pretrain_measure_items(syn_pretrain_run *r);

/* Folds mean and scale into the CKM's first layer, which then reads items as they are. */
SYN_WARN_UNUSED syn_status syn_pretrain_fold_items(syn_pretrain_run *r);

/* ---- On CUDA ---- */

/* r->device and r->tasks; r->p and r->o are there. Errors: SYN_ERR_MEMORY, SYN_ERR_DEVICE. */
SYN_WARN_UNUSED syn_status syn_pretrain_device_init(syn_pretrain_run *r);
void syn_pretrain_device_free(syn_pretrain_run *r);

/* Points r->envs and r->label to where the next batch is drawn. */
SYN_WARN_UNUSED syn_status syn_pretrain_device_next(syn_pretrain_run *r);

SYN_WARN_UNUSED syn_status syn_pretrain_device_step(syn_pretrain_run *r, syn_phase phase,
                                                    int64_t step);
SYN_WARN_UNUSED syn_status syn_pretrain_device_loss(syn_pretrain_run *r, syn_phase phase,
                                                    double *loss);

/* r->mean and r->scale as CUDA's steps read them. */
SYN_WARN_UNUSED syn_status syn_pretrain_device_scales(syn_pretrain_run *r);

/* The items of a drawn batch (this rank's; n of them), in scratch of the host. */
SYN_WARN_UNUSED syn_status syn_pretrain_device_items(syn_pretrain_run *r,
                                                     const syn_pretrain_totals *totals,
                                                     real **items, int64_t *n);

#endif
