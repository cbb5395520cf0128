#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/pretrain.h"

enum { CHUNK = 128, N = SYN_AGENTS_MAX };

void syn_measured_free(syn_measured *m)
{
    free(m->gap);
    free(m->link);
    free(m->ranker);
    free(m->first);
    memset(m, 0, sizeof *m);
}

/* Adds what one scored team says of its asker. */
static void collect(syn_measured *m, const syn_observer *o, const syn_env *env, int64_t e)
{
    const int32_t group = env->task / 2;
    m->gap[m->gaps++] = (syn_scored){(float)o->gap_logit[e * N], syn_label_gap(env, 0), group};
    for (int j = 1; j < env->agents; j++) {
        float link = (float)o->link[e * N * N + j];
        m->link[m->links++] = (syn_scored){link, syn_label_link(env, 0, j), group};
    }
    for (uint32_t left = env->present; left; left &= left - 1) {
        int p = syn_lowest(left);
        float z =
            o->central ? (float)o->rel[e * SYN_ROWS_MAX + p] : o->rank[e * N * SYN_ROWS_MAX + p];
        float first = o->central ? (float)o->first[e * SYN_ROWS_MAX + p] : z;
        m->first[m->ranks] = (syn_scored){first, env->gold >> p & 1, group};
        m->ranker[m->ranks++] = (syn_scored){z, env->gold >> p & 1, group};
    }
}

syn_status syn_measure(syn_ctx *ctx, const syn_perception *p, bool central,
                       const syn_corpus *corpus, const syn_episode_config *episodes,
                       const int32_t *records, int64_t record_count, int64_t count, uint64_t seed,
                       syn_measured *out)
{
    syn_status st;
    syn_observer o = {0};
    const syn_draw draw = syn_corpus_draw(corpus, records, record_count);
    memset(out, 0, sizeof *out);
    syn_env *envs = calloc(CHUNK, sizeof *envs);
    out->gap = malloc(sizeof *out->gap * (size_t)count);
    out->link = malloc(sizeof *out->link * (size_t)count * N);
    out->ranker = malloc(sizeof *out->ranker * (size_t)count * SYN_ROWS_MAX);
    out->first = malloc(sizeof *out->first * (size_t)count * SYN_ROWS_MAX);
    if (!envs || !out->gap || !out->link || !out->ranker || !out->first) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for %lld measured episodes", (long long)count);
        goto done;
    }
    SYN_TRY(syn_observer_init(ctx, &o, CHUNK, central));
    for (int64_t at = 0; at < count; at += CHUNK) {
        o.envs = count - at < CHUNK ? count - at : CHUNK;
        for (int64_t e = 0; e < o.envs; e++) {
            syn_episode_draw_weighted(&envs[e], episodes, corpus, records, record_count, &draw,
                                      seed, (uint64_t)(at + e));
        }
        SYN_TRY(syn_observe_views(ctx, &o, p, &corpus->tasks, envs));
        SYN_TRY(syn_observe_team(ctx, &o, p, envs, &corpus->tasks));
        for (int64_t e = 0; e < o.envs; e++) collect(out, &o, &envs[e], e);
    }
done:
    if (st != SYN_OK) syn_measured_free(out);
    syn_observer_free(ctx, &o);
    free(envs);
    return st;
}

syn_status syn_calibrate_perception(syn_ctx *ctx, syn_perception *p, bool central,
                                    const syn_corpus *corpus, const int32_t *records,
                                    int64_t record_count, int64_t count, uint64_t seed,
                                    double *link_auroc)
{
    syn_measured m;
    syn_episode_config states = syn_episodes_opening;
    states.deliveries_max = 6;
    states.opening_share = 0.6f;
    for (int k = 0; k < SYN_GAP_OUT; k++) p->calibrated[k] = (syn_calibration){1, 0};
    SYN_RETURN_IF(
        syn_measure(ctx, p, central, corpus, &states, records, record_count, count, seed, &m));
    p->calibrated[SYN_GAP] = syn_calibration_fit(m.gap, m.gaps);
    for (int64_t i = 0; i < m.links; i++) { /* measured as probabilities: back to logits */
        double x = fmin(fmax(m.link[i].logit, 1e-6), 1 - 1e-6);
        m.link[i].logit = (float)log(x / (1 - x));
    }
    p->calibrated[SYN_LINK] = syn_calibration_fit(m.link, m.links);
    if (link_auroc) *link_auroc = syn_auroc(m.link, m.links);
    syn_measured_free(&m);
    return SYN_OK;
}
