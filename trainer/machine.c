#include "trainer/machine.h"

#include <string.h>

#include "kernels/lstm.h"

static bool gpu_for_each(void)
{
    const int ranks = syn_dist_local_size();
    return ranks > 0 && ranks <= syn_device_count();
}

/* The recurrent layers of the networks, as a run that trains computes them. */
static const syn_lstm_layer LAYERS[] = {{SYN_CKM_HALF, 2, 1, SYN_ROWS_MAX, .packed = true},
                                        {SYN_STATE, 1, 1, 2, .resets = true}};

/* Before the ranks meet, who sum on it. */
static syn_status open_gpu(syn_machine *m, const syn_run_config *cfg)
{
    const bool wanted = strcmp(cfg->device, "cuda") == 0;
    if (!wanted && (strcmp(cfg->device, "cpu") == 0 || !gpu_for_each())) return SYN_OK;
    SYN_RETURN_IF(syn_lstm_variant_prefer(cfg->lstm));
    syn_device_select(syn_dist_local_rank());
    SYN_RETURN_IF(syn_ctx_init(&m->gpu, SYN_DEVICE_CUDA, (int)cfg->threads));
    m->on_gpu = true;
    if (strcmp(cfg->precision, "mixed") == 0) m->gpu.math = SYN_MATH_MIXED;
    return syn_lstm_variant_check(&m->gpu, LAYERS, sizeof LAYERS / sizeof *LAYERS);
}

syn_status syn_machine_open(syn_machine *m, const syn_run_config *cfg)
{
    memset(m, 0, sizeof *m);
    SYN_RETURN_IF(open_gpu(m, cfg));
    const syn_dist_config ranks = {.backend = cfg->backend,
                                   .rendezvous = cfg->rendezvous,
                                   .timeout_s = (int)cfg->rank_timeout,
                                   .ctx = m->on_gpu ? &m->gpu : NULL};
    return syn_dist_open(&ranks, &m->dist);
}

void syn_machine_close(syn_machine *m)
{
    syn_dist_close(m->dist);
    if (m->on_gpu) syn_ctx_free(&m->gpu);
    memset(m, 0, sizeof *m);
}

int syn_machine_end(syn_machine *m, syn_status st)
{
    const bool ours = st != SYN_ERR_USAGE && st != SYN_ERR_INTERRUPTED;
    if (st != SYN_OK && st != SYN_ERR_INTERRUPTED) syn_dist_abort(m->dist, syn_error_text());
    if (syn_dist_rank(m->dist) == 0 || ours) return syn_exit_code(st);
    return st == SYN_OK ? 0 : st == SYN_ERR_USAGE ? 2 : 1;
}

static uint64_t text_hash(const char *text)
{
    return syn_dataset_key(text, strlen(text));
}

syn_status syn_machine_same(const syn_machine *m, const char *options, const char *data,
                            const char *checkpoint)
{
    SYN_RETURN_IF(syn_dist_same(m->dist, text_hash(options), "options are"));
    SYN_RETURN_IF(syn_dist_same(m->dist, text_hash(data), "data are"));
    return checkpoint ? syn_dist_same(m->dist, text_hash(checkpoint), "checkpoint is") : SYN_OK;
}
