/* Everything a decision needs, as one object: idf, embedding, perception, control.
 *
 * A model is complete when has_policy is set; after phase 1 alone it scores evidence but does not
 * decide. parts are the cross-fitted perceptions that phase 2 trains on; a deployed model has none.
 *
 * A model lies in host memory, that of a CPU context; what computes on a device takes copies of its
 * networks (syn_params_clone). */
#ifndef SYN_ENGINE_MODEL_H
#define SYN_ENGINE_MODEL_H

#include "engine/control.h"

enum { SYN_MODEL_PARTS_MAX = 8 };

typedef struct syn_model {
    syn_idf *idf;        /* owned */
    real *table;         /* (SYN_VOCABULARY, SYN_DE), owned */
    uint64_t table_seed; /* the table is syn_embedding_init of it */
    bool central;        /* the policy sees features of all pieces, not only of what was sent */
    syn_perception perception;
    syn_perception shuffled; /* the leak test: fitted to shuffled labels */
    syn_perception part[SYN_MODEL_PARTS_MAX];
    int parts;
    bool has_perception, has_shuffled;
    bool has_control; /* the control network is there: the state encoder at least */
    bool has_policy;  /* it has been trained to decide */
    syn_control control;
} syn_model;

/* An empty model with its embedding table; idf is zero until it is counted or loaded. */
SYN_WARN_UNUSED syn_status syn_model_init(syn_ctx *ctx, syn_model *m, uint64_t table_seed);
void syn_model_free(syn_ctx *ctx, syn_model *m);

/* syn_params_pack of the networks that decide, and back. */
SYN_WARN_UNUSED syn_status syn_model_pack(syn_ctx *ctx, const syn_model *m);
void syn_model_unpack(syn_ctx *ctx, const syn_model *m);

#endif
