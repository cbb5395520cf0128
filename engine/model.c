#include "engine/model.h"

#include <stdlib.h>
#include <string.h>

syn_status syn_model_init(syn_ctx *ctx, syn_model *m, uint64_t table_seed)
{
    memset(m, 0, sizeof *m);
    m->central = true;
    m->table_seed = table_seed;
    m->idf = calloc(1, sizeof *m->idf);
    m->table = syn_device_alloc(ctx, sizeof(real) * SYN_VOCABULARY * SYN_DE);
    if (!m->idf || !m->table) {
        syn_model_free(ctx, m);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a model");
    }
    syn_embedding_init(m->table, table_seed);
    return SYN_OK;
}

void syn_model_free(syn_ctx *ctx, syn_model *m)
{
    free(m->idf);
    syn_device_free(ctx, m->table);
    syn_perception_free(ctx, &m->perception);
    syn_perception_free(ctx, &m->shuffled);
    for (int k = 0; k < SYN_MODEL_PARTS_MAX; k++) syn_perception_free(ctx, &m->part[k]);
    syn_control_free(ctx, &m->control);
    memset(m, 0, sizeof *m);
}

syn_status syn_model_pack(syn_ctx *ctx, const syn_model *m)
{
    SYN_RETURN_IF(syn_params_pack(ctx, &m->perception.params));
    const syn_status st = syn_params_pack(ctx, &m->control.params);
    if (st != SYN_OK) syn_params_unpack(ctx, &m->perception.params);
    return st;
}

void syn_model_unpack(syn_ctx *ctx, const syn_model *m)
{
    syn_params_unpack(ctx, &m->perception.params);
    syn_params_unpack(ctx, &m->control.params);
}
