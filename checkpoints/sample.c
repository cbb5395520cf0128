#include "checkpoints/sample.h"

#include <stdlib.h>
#include <string.h>

#include "checkpoints/model_file.h"
#include "checkpoints/safetensors.h"
#include "kernels/base/rng.h"

enum {
    ROWS = 8,   /* feature vectors for ranker and refiner */
    AGENTS = 4, /* a team whose memories have these lengths: an empty one and a single item too */
    ITEMS = 12,
    PAIRS = AGENTS * (AGENTS - 1),
    TURNS = 4,
    ENVS = 3,
    STEPS = TURNS * ENVS,
    TENSORS = 32
};
static const int32_t item_offset[AGENTS + 1] = {0, 3, 3, 4, ITEMS};
static const int32_t team_size[ENVS] = {2, 7, SYN_AGENTS_MAX};

typedef struct sample {
    syn_tensor tensor[TENSORS];
    int count;
    bool full; /* without memory: nothing more is added */
    syn_rng rng;
} sample;

/* A zeroed tensor that belongs to s; unused sizes are 0. NULL without memory. */
static void *add(sample *s, const char *name, syn_tensor_type type, int64_t a, int64_t b, int64_t c,
                 int64_t d)
{
    syn_tensor *t = &s->tensor[s->count];
    *t = (syn_tensor){.name = name, .shape = {a, b, c, d}, .type = type};
    while (t->rank < 4 && t->shape[t->rank]) t->rank++;
    t->data = s->full ? NULL : calloc(1, (size_t)syn_tensor_bytes(t));
    if (t->data) {
        s->count++;
    } else {
        s->full = true;
    }
    return t->data;
}

static float *add_out(sample *s, const char *name, int64_t a, int64_t b)
{
    return add(s, name, SYN_TENSOR_F32, a, b, 0, 0);
}

/* Uniform in [-1, 1]. */
static float *add_in(sample *s, const char *name, int64_t a, int64_t b, int64_t c, int64_t d)
{
    float *x = add(s, name, SYN_TENSOR_F32, a, b, c, d);
    const int64_t n = x ? syn_tensor_elements(&s->tensor[s->count - 1]) : 0;
    for (int64_t i = 0; i < n; i++) x[i] = (float)(2 * syn_rng_uniform(&s->rng) - 1);
    return x;
}

static int32_t *add_index(sample *s, const char *name, const int32_t *values, int64_t n)
{
    int32_t *x = add(s, name, SYN_TENSOR_I32, n, 0, 0, 0);
    if (x && values) memcpy(x, values, sizeof *x * (size_t)n);
    return x;
}

static syn_status no_memory(void)
{
    return syn_fail(SYN_ERR_MEMORY, "out of memory while a sample was drawn");
}

/* ---- ranker, refiner, CKM, gap detector ---- */

/* Half b of each agent, then the mean over the others of it: what the gap reads. */
static void append_means(float *b)
{
    for (int i = 0; i < AGENTS; i++) {
        float *mean = b + (AGENTS + i) * SYN_GAP_HIDDEN;
        for (int d = 0; d < SYN_GAP_HIDDEN; d++) {
            for (int j = 0; j < AGENTS; j++) {
                if (j != i) mean[d] += b[j * SYN_GAP_HIDDEN + d] / (AGENTS - 1);
            }
        }
    }
}

/* Of the calibrated probability: on inputs drawn at random that itself may be all but 0 or 1. */
static float log_odds(const syn_calibration *c, float z)
{
    return z / c->temperature + c->offset;
}

static syn_status sample_gap(syn_ctx *ctx, const syn_perception *p, const float *ckm, sample *s)
{
    float a[AGENTS * SYN_GAP_HIDDEN], b[2 * AGENTS * SYN_GAP_HIDDEN] = {0};
    float logit[(PAIRS + AGENTS) * SYN_GAP_OUT];
    int32_t from[PAIRS + AGENTS], to[PAIRS + AGENTS];
    int n = 0;
    for (int i = 0; i < AGENTS; i++) {
        for (int j = 0; j < AGENTS; j++) {
            if (i == j) continue;
            from[n] = i;
            to[n++] = j;
        }
    }
    for (int i = 0; i < AGENTS; i++) {
        from[n] = i;
        to[n++] = AGENTS + i;
    }
    SYN_RETURN_IF(syn_gap_factor(ctx, p, AGENTS, ckm, a, b));
    append_means(b);
    SYN_RETURN_IF(syn_gap_score(ctx, p, PAIRS + AGENTS, a, from, b, to, logit));
    add_index(s, "in.pair.i", from, PAIRS);
    add_index(s, "in.pair.j", to, PAIRS);
    float *link = add_out(s, "out.link", PAIRS, 0), *gap = add_out(s, "out.gap", AGENTS, 0);
    if (s->full) return no_memory();
    for (int r = 0; r < PAIRS; r++) {
        link[r] = log_odds(&p->calibrated[SYN_LINK], logit[r * SYN_GAP_OUT + SYN_LINK]);
    }
    for (int i = 0; i < AGENTS; i++) {
        gap[i] = log_odds(&p->calibrated[SYN_GAP], logit[(PAIRS + i) * SYN_GAP_OUT + SYN_GAP]);
    }
    return SYN_OK;
}

static syn_status sample_perception(syn_ctx *ctx, const syn_perception *p, sample *s)
{
    const float *x = add_in(s, "in.features", ROWS, SYN_DX, 0, 0);
    float *ranker = add_out(s, "out.ranker", ROWS, 0),
          *refiner = add_out(s, "out.refiner", ROWS, 0);
    const float *items = add_in(s, "in.items", ITEMS, SYN_DI, 0, 0);
    const float *bias = add_in(s, "in.items.bias", ITEMS, 0, 0, 0);
    const int32_t *offset = add_index(s, "in.items.offset", item_offset, AGENTS + 1);
    float *ckm = add_out(s, "out.ckm", AGENTS, SYN_CKM);
    float *relevance = add_out(s, "out.relevance", ITEMS, 0);
    if (s->full) return no_memory();
    const syn_seq seq = {.batch = AGENTS, .steps = ITEMS - 4, .rows = ITEMS, .offset = offset};
    SYN_RETURN_IF(syn_ranker_score(ctx, p, ROWS, x, ranker));
    SYN_RETURN_IF(syn_refiner_score(ctx, p, ROWS, x, refiner));
    SYN_RETURN_IF(syn_ckm_forward(ctx, p, &seq, items, bias, ckm, relevance));
    return sample_gap(ctx, p, ckm, s);
}

/* ---- state encoder, policy, critic ---- */

static syn_status sample_control(syn_ctx *ctx, const syn_control *c, sample *s)
{
    const syn_observation x = {
        .message = add_in(s, "in.message", STEPS, SYN_DM, 0, 0),
        .ckm = add_in(s, "in.ckm", STEPS, SYN_AGENTS_MAX, SYN_CKM, 0),
        .pair_x = add_in(s, "in.pair_x", 2 * STEPS, SYN_AGENTS_MAX, SYN_AGENTS_MAX, SYN_PAIR_X),
        .agent_x = add_in(s, "in.agent_x", STEPS, SYN_AGENTS_MAX, SYN_AGENT_X, 0),
        .summary = add_in(s, "in.summary", STEPS, SYN_SUMMARY, 0, 0),
        .count = add_index(s, "in.count", NULL, STEPS),
        .reset = add(s, "in.reset", SYN_TENSOR_U8, TURNS, ENVS, 0, 0)};
    const float *h0 = add_in(s, "in.h", ENVS, SYN_STATE, 0, 0);
    const float *c0 = add_in(s, "in.c", ENVS, SYN_STATE, 0, 0);
    float *logit = add_out(s, "out.logit", STEPS, SYN_ACTIONS_MAX);
    float *value = add_out(s, "out.value", STEPS, 0);
    float *hT = add_out(s, "out.h", ENVS, SYN_STATE), *cT = add_out(s, "out.c", ENVS, SYN_STATE);
    if (s->full) return no_memory();
    for (int r = 0; r < STEPS; r++) x.count[r] = team_size[r % ENVS];
    x.reset[1] = x.reset[2 * ENVS] = 1; /* an episode that begins, one that ends on the way */
    return syn_control_forward(ctx, c, TURNS, ENVS, &x, h0, c0, NULL, logit, value, hT, cT);
}

syn_status syn_sample_write(const char *dir, const char *which, const char *file)
{
    syn_status st;
    syn_ctx ctx;
    syn_checkpoint *cp = NULL;
    syn_model m = {0};
    sample s = {.rng = syn_rng_make(1, SYN_STREAM_TEST)};
    SYN_RETURN_IF(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    SYN_TRY(syn_checkpoint_open_version(dir, which, &cp));
    SYN_TRY(syn_model_read(&ctx, cp, &m));
    if (m.has_perception) SYN_TRY(sample_perception(&ctx, &m.perception, &s));
    if (m.has_control) SYN_TRY(sample_control(&ctx, &m.control, &s));
    if (!s.count) {
        st = syn_fail(SYN_ERR_UNSUPPORTED, "%s: the model has no networks to sample", dir);
        goto done;
    }
    SYN_TRY(syn_safetensors_write(file, &(syn_tensors){s.tensor, s.count}, NULL));
done:
    for (int i = 0; i < s.count; i++) free(s.tensor[i].data);
    syn_model_free(&ctx, &m);
    syn_checkpoint_close(cp);
    syn_ctx_free(&ctx);
    return st;
}
