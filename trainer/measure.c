#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/pretrain.h"

enum { CHUNK = 128, N = SYN_AGENTS_MAX, R = SYN_ROWS_MAX };

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

/* An observer in the context's memory, and its results where the host reads them. */
typedef struct watcher {
    syn_ctx *ctx;
    syn_observer o, seen;  /* seen: what collect reads, of o itself on the CPU */
    int64_t chunk;         /* states at a time */
    syn_env *envs, *there; /* (chunk): in host memory; the same in the context's */
} watcher;

static syn_status watcher_init(watcher *w, syn_ctx *ctx, bool central, int64_t count)
{
    memset(w, 0, sizeof *w);
    w->ctx = ctx;
    w->chunk = count < CHUNK ? count : CHUNK;
    const size_t E = (size_t)w->chunk;
    w->envs = calloc(E, sizeof *w->envs);
    if (!w->envs)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld episodes", (long long)w->chunk);
    SYN_RETURN_IF(syn_observer_init(ctx, &w->o, w->chunk, central));
    if (ctx->device == SYN_DEVICE_CPU) {
        w->there = w->envs;
        return SYN_OK;
    }
    w->seen = (syn_observer){.central = central,
                             .gap_logit = malloc(sizeof(real) * E * N),
                             .link = malloc(sizeof(real) * E * N * N),
                             .rel = malloc(sizeof(real) * E * R),
                             .first = malloc(sizeof(real) * E * R),
                             .rank = malloc(sizeof(float) * E * N * R)};
    w->there = syn_device_alloc(ctx, sizeof *w->there * E);
    if (!w->there) return SYN_ERR_MEMORY;
    const syn_observer *x = &w->seen;
    if (x->gap_logit && x->link && x->rel && x->first && x->rank) return SYN_OK;
    return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld episodes", (long long)w->chunk);
}

static void watcher_free(watcher *w)
{
    if (!w->ctx) return;
    syn_observer_free(w->ctx, &w->o);
    if (w->there != w->envs) {
        syn_device_free(w->ctx, w->there);
        void *all[] = {w->seen.gap_logit, w->seen.link, w->seen.rel, w->seen.first, w->seen.rank};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
    }
    free(w->envs);
}

/* Scores the first `count` of w->envs into w->seen. */
static syn_status watch(watcher *w, const syn_perception *p, const syn_tasks *tasks, int64_t count)
{
    syn_ctx *ctx = w->ctx;
    syn_observer *o = &w->o, *to = &w->seen;
    const bool copied = w->there != w->envs;
    const size_t E = (size_t)count;
    if (copied) { /* whose observers keep their size: the rest is somebody's */
        for (int64_t e = count; e < w->chunk; e++) w->envs[e] = w->envs[0];
        SYN_RETURN_IF(syn_copy_in(ctx, w->there, w->envs, sizeof *w->envs * (size_t)w->chunk));
    } else {
        o->envs = count;
    }
    SYN_RETURN_IF(syn_observe_views(ctx, o, p, tasks, w->there));
    SYN_RETURN_IF(syn_observe_team(ctx, o, p, w->there, tasks));
    if (!copied) {
        *to = *o;
        return SYN_OK;
    }
    SYN_RETURN_IF(syn_copy_out(ctx, to->gap_logit, o->gap_logit, sizeof(real) * E * N));
    SYN_RETURN_IF(syn_copy_out(ctx, to->link, o->link, sizeof(real) * E * N * N));
    SYN_RETURN_IF(syn_copy_out(ctx, to->rel, o->rel, sizeof(real) * E * R));
    SYN_RETURN_IF(syn_copy_out(ctx, to->first, o->first, sizeof(real) * E * R));
    return syn_copy_out(ctx, to->rank, o->rank, sizeof(float) * E * N * R);
}

syn_status syn_measure(syn_ctx *ctx, const syn_perception *p, bool central,
                       const syn_corpus *corpus, const syn_episode_config *episodes,
                       const int32_t *records, int64_t record_count, int64_t count, uint64_t seed,
                       syn_measured *out)
{
    syn_status st;
    watcher w = {0};
    const syn_draw draw = syn_corpus_draw(corpus, records, record_count);
    memset(out, 0, sizeof *out);
    out->gap = malloc(sizeof *out->gap * (size_t)count);
    out->link = malloc(sizeof *out->link * (size_t)count * N);
    out->ranker = malloc(sizeof *out->ranker * (size_t)count * R);
    out->first = malloc(sizeof *out->first * (size_t)count * R);
    if (!out->gap || !out->link || !out->ranker || !out->first) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for %lld measured episodes", (long long)count);
        goto done;
    }
    SYN_TRY(watcher_init(&w, ctx, central, count));
    for (int64_t at = 0; at < count; at += w.chunk) {
        const int64_t n = count - at < w.chunk ? count - at : w.chunk;
        for (int64_t e = 0; e < n; e++) {
            syn_episode_draw_weighted(&w.envs[e], episodes, corpus, records, record_count, &draw,
                                      seed, (uint64_t)(at + e));
        }
        SYN_TRY(watch(&w, p, syn_corpus_tasks(ctx, corpus), n));
        for (int64_t e = 0; e < n; e++) collect(out, &w.seen, &w.envs[e], e);
    }
done:
    if (st != SYN_OK) syn_measured_free(out);
    watcher_free(&w);
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
