/* A scorer's opening: all of its memory, the weights, and the graphs of its batches. */
#include <stdlib.h>
#include <string.h>

#include "engine/scorer_private.h"

enum {
    N = SYN_AGENTS_MAX,
    R = SYN_ROWS_MAX,
    A = SYN_ACTIONS_MAX,
    H = SYN_GAP_HIDDEN,
    CPU_ROWS = 64 /* of a batch at a time: what is in work stays in the caches */
};

const int syn_bucket_rows[SYN_SCORER_BUCKETS] = {1, 4, 16, 64, 256, 1024};

int syn_bucket_of(int64_t rows)
{
    int k = 0;
    while (syn_bucket_rows[k] < rows) k++;
    return k;
}

/* Memory taken in one go: `to` points to a pointer. */
typedef struct wanted {
    void *to;
    int64_t count;
    size_t size;
    bool host;
} wanted;

static syn_status take(syn_ctx *ctx, const wanted *w, int count)
{
    for (int k = 0; k < count; k++) {
        const size_t bytes = (size_t)w[k].count * w[k].size;
        void *p = w[k].host ? syn_pinned_alloc(ctx, bytes) : syn_device_alloc(ctx, bytes);
        if (!p) return SYN_ERR_MEMORY;
        memcpy(w[k].to, &p, sizeof p);
    }
    return SYN_OK;
}

static void give_back(syn_ctx *ctx, const wanted *w, int count)
{
    for (int k = 0; k < count; k++) {
        void *p;
        memcpy(&p, w[k].to, sizeof p);
        if (w[k].host)
            syn_pinned_free(ctx, p);
        else
            syn_device_free(ctx, p);
    }
}

enum { WANTED = 40 };

/* All of a scorer's buffers but those of observer and observation; returns how many. */
static int wanted_list(syn_scorer *s, wanted *w)
{
    const int64_t S = s->options.slots, B = s->options.batch_max, E = s->rows_max;
    syn_store *t = &s->store;
    syn_batch *b = &s->batch;
    const wanted all[] = {
        {&t->own, S * (N + 1) * R * SYN_DV, sizeof(real), false},
        {&t->rel, S * R, sizeof(real), false},
        {&t->rank, S * N * R, sizeof(float), false},
        {&t->ckm, S * N * SYN_CKM, sizeof(real), false},
        {&t->a, S * N * H, sizeof(real), false},
        {&t->b, S * N * H, sizeof(real), false},
        {&t->link, S * N * N, sizeof(real), false},
        {&t->gap, S * N, sizeof(real), false},
        {&t->h, S * 2 * SYN_STATE, sizeof(real), false},
        {&t->c, S * 2 * SYN_STATE, sizeof(real), false},
        {&t->seen, S, sizeof(syn_env), false},
        {&t->quest, S * SYN_TASK_QUEST, sizeof(real), false},
        {&t->pair, S * SYN_TASK_PAIR, sizeof(real), false},
        {&b->settled, E, sizeof(syn_settled), false},
        {&b->envs, E, sizeof(syn_env), false},
        {&b->counter, E, sizeof(uint64_t), false},
        {&b->h0, E * SYN_STATE, sizeof(real), false},
        {&b->c0, E * SYN_STATE, sizeof(real), false},
        {&b->hT, E * SYN_STATE, sizeof(real), false},
        {&b->cT, E * SYN_STATE, sizeof(real), false},
        {&b->logit, E * A, sizeof(real), false},
        {&b->all, E * A, sizeof(real), false},
        {&b->logp[0], E, sizeof(real), false},
        {&b->logp[1], E, sizeof(real), false},
        {&b->action[0], E, sizeof(int32_t), false},
        {&b->action[1], E, sizeof(int32_t), false},
        {&s->same, SYN_SCORER_NET_ROWS, sizeof(int32_t), false},
        {&s->upload_device, SYN_SCORER_HEAD_BYTES + E * (int64_t)sizeof(syn_staged), 1, false},
        {&s->upload, SYN_SCORER_HEAD_BYTES + E * (int64_t)sizeof(syn_staged), 1, true},
        {&s->settled, B, sizeof(syn_settled), true},
        {&s->ckm, B * N * SYN_CKM, sizeof(real), true},
        {&s->all, B * A, sizeof(real), true},
        {&s->logit, B * A, sizeof(real), true},
        {&s->rank, B * N * R, sizeof(float), true},
        {&s->order, B, sizeof(int32_t), true},
        {&s->pairs, SYN_SCORER_NET_ROWS * 2 * SYN_CKM, sizeof(real), true},
        {&s->gap_logit, SYN_SCORER_NET_ROWS * SYN_GAP_OUT, sizeof(real), true},
    };
    enum { COUNT = sizeof all / sizeof *all };
    _Static_assert((int)COUNT <= (int)WANTED, "the list has room");
    memcpy(w, all, sizeof all);
    return COUNT;
}

static syn_status slots_make(syn_scorer *s)
{
    const int S = s->options.slots;
    s->slot = calloc((size_t)S, sizeof *s->slot);
    if (!s->slot) return syn_fail(SYN_ERR_MEMORY, "out of memory for %d sessions", S);
    for (int k = 0; k < S; k++) s->slot[k].next = k + 1 < S ? k + 1 : -1;
    return SYN_OK;
}

static syn_status buffers_make(syn_scorer *s)
{
    syn_ctx *ctx = s->ctx;
    wanted w[WANTED];
    int32_t same[SYN_SCORER_NET_ROWS];
    for (int k = 0; k < SYN_SCORER_NET_ROWS; k++) same[k] = k;
    const int count = wanted_list(s, w);
    syn_status st = take(ctx, w, count);
    if (st == SYN_OK) st = syn_observer_init(ctx, &s->batch.o, s->rows_max, s->model->central);
    if (st == SYN_OK) st = syn_observation_alloc(ctx, &s->batch.x, s->rows_max);
    if (st != SYN_OK) {
        return syn_fail(st,
                        "out of memory for %d sessions and batches of %d: take fewer (%.1f MiB "
                        "of the device are free)",
                        s->options.slots, s->options.batch_max,
                        (double)syn_device_room(ctx) / (1 << 20));
    }
    s->batch.live = s->upload_device;
    s->batch.staged = (const syn_staged *)((const char *)s->upload_device + SYN_SCORER_HEAD_BYTES);
    s->batch.x.allow = s->batch.staged->mask;
    s->batch.x.allow_stride = sizeof *s->batch.staged;
    SYN_RETURN_IF(syn_copy_in(ctx, s->same, same, sizeof same));
    return syn_scorer_clock_open(ctx, &s->clock);
}

/* The networks on the device: the model's own on the CPU. */
static syn_status weights_make(syn_scorer *s)
{
    const syn_model *m = s->model;
    s->perception = m->perception;
    s->control = m->control;
    if (s->ctx->device == SYN_DEVICE_CPU) {
        SYN_RETURN_IF(syn_model_pack(s->ctx, m));
        s->packed = true;
        return SYN_OK;
    }
    memset(&s->perception.params, 0, sizeof s->perception.params);
    memset(&s->control.params, 0, sizeof s->control.params);
    SYN_RETURN_IF(syn_params_clone(s->ctx, &s->perception.params, &m->perception.params));
    if (!m->has_control) return SYN_OK;
    return syn_params_clone(s->ctx, &s->control.params, &m->control.params);
}

syn_status syn_scorer_open(syn_ctx *ctx, const syn_model *model, const syn_scorer_options *options,
                           syn_scorer **out)
{
    syn_status st;
    SYN_REQUIRE(ctx && model && options && out, "syn_scorer_open: an argument is NULL");
    *out = NULL;
    SYN_REQUIRE(options->slots >= 1 && options->slots <= SYN_SCORER_SLOTS_MAX,
                "a scorer of %d sessions, allowed are 1 to %d", options->slots,
                SYN_SCORER_SLOTS_MAX);
    SYN_REQUIRE(options->batch_max >= 1 && options->batch_max <= SYN_SCORER_BATCH_MAX,
                "batches of %d, allowed are 1 to %d", options->batch_max, SYN_SCORER_BATCH_MAX);
    if (!model->has_perception) {
        return syn_fail(SYN_ERR_UNSUPPORTED, "the model has not been trained to look at teams: "
                                             "'syncog pretrain' trains it");
    }
    syn_scorer *s = calloc(1, sizeof *s);
    if (!s) return syn_fail(SYN_ERR_MEMORY, "out of memory for a scorer");
    s->ctx = ctx;
    s->model = model;
    s->options = *options;
    const int bucket = syn_bucket_rows[syn_bucket_of(options->batch_max)];
    s->rows_max = ctx->device == SYN_DEVICE_CUDA  ? bucket
                  : options->batch_max < CPU_ROWS ? options->batch_max
                                                  : CPU_ROWS;
    SYN_TRY(slots_make(s));
    SYN_TRY(weights_make(s));
    SYN_TRY(buffers_make(s));
    SYN_TRY(syn_scorer_warm(s));
    *out = s;
    return SYN_OK;
done:
    syn_scorer_close(s);
    return st;
}

void syn_scorer_close(syn_scorer *s)
{
    if (!s) return;
    wanted w[WANTED];
    for (int k = 0; k < SYN_SCORER_BUCKETS * SYN_SCORER_MODES; k++)
        syn_graph_free(s->ctx, &s->graph[k / SYN_SCORER_MODES][k % SYN_SCORER_MODES]);
    if (s->ctx->device == SYN_DEVICE_CUDA) {
        syn_params_free(s->ctx, &s->perception.params);
        syn_params_free(s->ctx, &s->control.params);
    }
    if (s->packed) syn_model_unpack(s->ctx, s->model);
    syn_observation_free(s->ctx, &s->batch.x);
    syn_observer_free(s->ctx, &s->batch.o);
    give_back(s->ctx, w, wanted_list(s, w));
    syn_scorer_clock_close(s->ctx, &s->clock);
    free(s->slot);
    free(s);
}
