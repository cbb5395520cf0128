#include "checkpoints/model_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_TENSORS_MAX = 512, CALIBRATION = 2 * SYN_GAP_OUT };

/* The tensors of a model under construction, with room for the names. */
typedef struct table {
    syn_tensor tensor[SYN_CHECKPOINT_TENSORS_MAX];
    char name[MODEL_TENSORS_MAX][SYN_TENSOR_NAME_BYTES_MAX];
    float calibration[SYN_MODEL_PARTS_MAX + 2][CALIBRATION];
    int count, calibrations;
} table;

static void add(table *t, const char *prefix, const char *name, int rank, const int64_t *shape,
                void *data)
{
    syn_tensor *x = &t->tensor[t->count];
    snprintf(t->name[t->count], sizeof t->name[0], "%s%s", prefix, name);
    x->name = t->name[t->count++];
    x->rank = rank;
    for (int k = 0; k < rank; k++) x->shape[k] = shape[k];
    x->type = SYN_TENSOR_F32;
    x->data = data;
}

static void add_params(table *t, const char *prefix, const syn_params *p, real *buffer)
{
    for (int i = 0; i < p->count; i++) {
        add(t, prefix, p->item[i].name, p->item[i].rank, p->item[i].shape,
            buffer + p->item[i].offset);
    }
}

static void add_perception(table *t, const char *prefix, const syn_perception *p)
{
    const int64_t shape[2] = {SYN_GAP_OUT, 2};
    float *c = t->calibration[t->calibrations++];
    for (int k = 0; k < SYN_GAP_OUT; k++) {
        c[2 * k] = p->calibrated[k].temperature;
        c[2 * k + 1] = p->calibrated[k].offset;
    }
    add_params(t, prefix, &p->params, p->params.value);
    add(t, prefix, "calibration", 2, shape, c);
}

static void add_model(table *t, const syn_model *m, bool moments)
{
    const int64_t buckets[1] = {SYN_IDF_BUCKETS};
    char prefix[32];
    t->count = t->calibrations = 0;
    add(t, "", "idf", 1, buckets, m->idf->value);
    if (m->has_perception) add_perception(t, "perception.", &m->perception);
    if (m->has_shuffled) add_perception(t, "shuffled.", &m->shuffled);
    for (int k = 0; k < m->parts; k++) {
        snprintf(prefix, sizeof prefix, "part%d.", k);
        add_perception(t, prefix, &m->part[k]);
    }
    if (!m->has_control) return;
    add_params(t, "control.", &m->control.params, m->control.params.value);
    if (!moments || !m->control.params.m) return;
    add_params(t, "moment1.", &m->control.params, m->control.params.m);
    add_params(t, "moment2.", &m->control.params, m->control.params.v);
}

/* What add_perception wrote into the calibration rows goes back, in the same order. */
static void take_calibration(table *t, syn_perception *p, int *row)
{
    const float *c = t->calibration[(*row)++];
    for (int k = 0; k < SYN_GAP_OUT; k++) {
        p->calibrated[k] = (syn_calibration){c[2 * k], c[2 * k + 1]};
    }
}

static syn_status add_resume(table *t, const char *dir, const syn_tensors *resume)
{
    if (!resume) return SYN_OK;
    if (resume->count > SYN_CHECKPOINT_TENSORS_MAX - t->count) {
        return syn_fail(SYN_ERR_INVALID, "checkpoint %s: %d tensors to resume from are too many",
                        dir, resume->count);
    }
    for (int i = 0; i < resume->count; i++) {
        const char *name = resume->item[i].name;
        if (!name || strncmp(name, SYN_RESUME_PREFIX, strlen(SYN_RESUME_PREFIX))) {
            return syn_fail(SYN_ERR_INVALID,
                            "checkpoint %s: the name of tensor %s does not begin "
                            "with " SYN_RESUME_PREFIX,
                            dir, name ? name : "(none)");
        }
        t->tensor[t->count++] = resume->item[i];
    }
    return SYN_OK;
}

/* The version's config: what shapes the model, and the caller's own. */
static char *config_format(const syn_model *m, const char *config_json)
{
    json_t *config = config_json ? json_loads(config_json, 0, NULL) : json_object();
    json_t *root = json_pack("{s:b, s:I, s:i, s:b, s:b, s:b, s:b, s:I, s:O?}", "central",
                             m->central, "table_seed", (json_int_t)m->table_seed, "parts", m->parts,
                             "has_perception", m->has_perception, "has_shuffled", m->has_shuffled,
                             "has_control", m->has_control, "has_policy", m->has_policy, "step",
                             (json_int_t)m->control.params.step, "config", config);
    char without[SYN_WITHOUT_TEXT_BYTES];
    syn_without_text(m->perception.without, without, sizeof without);
    if (*without) json_object_set_new(root, "without", json_string(without));
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    json_decref(config);
    return text;
}

syn_status syn_model_save(const char *dir, const syn_model *m, bool moments,
                          const syn_save_facts *facts, const syn_tensors *resume)
{
    syn_save_facts about = facts ? *facts : (syn_save_facts){0};
    syn_status st = syn_fail(SYN_ERR_MEMORY, "out of memory while a checkpoint was written");
    char *text = NULL;
    table *t = malloc(sizeof *t);
    if (!t) goto done;
    text = config_format(m, about.config_json);
    if (!text) goto done;
    about.config_json = text;
    add_model(t, m, moments);
    SYN_TRY(add_resume(t, dir, resume));
    st = syn_checkpoint_save(dir, t->tensor, t->count, &about, NULL);
done:
    free(text);
    free(t);
    return st;
}

/* Makes the networks that the stored description names. */
static syn_status shape_model(syn_ctx *ctx, syn_model *m, const json_t *root, const char *dir)
{
    const json_int_t parts = json_integer_value(json_object_get(root, "parts"));
    if (!json_is_object(root) || parts < 0 || parts > SYN_MODEL_PARTS_MAX) {
        return syn_fail(SYN_ERR_FORMAT, "checkpoint %s: its config does not describe a model", dir);
    }
    SYN_RETURN_IF(
        syn_model_init(ctx, m, (uint64_t)json_integer_value(json_object_get(root, "table_seed"))));
    m->central = json_is_true(json_object_get(root, "central"));
    m->has_perception = json_is_true(json_object_get(root, "has_perception"));
    m->has_shuffled = json_is_true(json_object_get(root, "has_shuffled"));
    m->has_control = json_is_true(json_object_get(root, "has_control"));
    m->has_policy = m->has_control && json_is_true(json_object_get(root, "has_policy"));
    m->parts = (int)parts;
    if (m->has_perception) SYN_RETURN_IF(syn_perception_init(ctx, &m->perception, 0));
    if (m->has_shuffled) SYN_RETURN_IF(syn_perception_init(ctx, &m->shuffled, 0));
    for (int k = 0; k < m->parts; k++) SYN_RETURN_IF(syn_perception_init(ctx, &m->part[k], 0));
    const json_t *without = json_object_get(root, "without");
    uint32_t ablated;
    if (without && !json_is_string(without))
        return syn_fail(SYN_ERR_FORMAT, "checkpoint %s: what it goes without is no text", dir);
    if (syn_without_parse(json_string_value(without), &ablated) != SYN_OK) {
        return syn_fail(
            SYN_ERR_UNSUPPORTED,
            "checkpoint %s: it goes without \"%s\", not all of which this program knows", dir,
            json_string_value(without));
    }
    m->perception.without = m->shuffled.without = ablated;
    for (int k = 0; k < m->parts; k++) m->part[k].without = ablated;
    return m->has_control ? syn_control_init(ctx, &m->control, 0) : SYN_OK;
}

static syn_status read_tensors(syn_ctx *ctx, const syn_checkpoint *cp, syn_model *m,
                               const json_t *root)
{
    const bool moments = syn_checkpoint_find(cp, "moment1.state.in.w") != NULL;
    syn_status st = SYN_OK;
    table *t = malloc(sizeof *t);
    if (!t) return syn_fail(SYN_ERR_MEMORY, "out of memory while a checkpoint was read");
    if (m->has_control && moments) SYN_TRY(syn_params_trainable(ctx, &m->control.params));
    add_model(t, m, moments);
    SYN_TRY(syn_checkpoint_read_all(cp, "", t->tensor, t->count));
    int row = 0;
    if (m->has_perception) take_calibration(t, &m->perception, &row);
    if (m->has_shuffled) take_calibration(t, &m->shuffled, &row);
    for (int k = 0; k < m->parts; k++) take_calibration(t, &m->part[k], &row);
    m->control.params.step = json_integer_value(json_object_get(root, "step"));
done:
    free(t);
    return st;
}

syn_status syn_model_read(syn_ctx *ctx, const syn_checkpoint *cp, syn_model *m)
{
    syn_status st;
    json_t *root = json_loads(syn_checkpoint_config(cp), 0, NULL);
    memset(m, 0, sizeof *m);
    SYN_TRY(shape_model(ctx, m, root, syn_checkpoint_dir(cp)));
    SYN_TRY(read_tensors(ctx, cp, m, root));
done:
    if (st != SYN_OK) syn_model_free(ctx, m);
    json_decref(root);
    return st;
}

char *syn_model_config(const syn_checkpoint *cp)
{
    json_t *root = json_loads(syn_checkpoint_config(cp), 0, NULL);
    char *text = json_dumps(json_object_get(root, "config"), JSON_COMPACT);
    json_decref(root);
    return text;
}

syn_status syn_model_load(syn_ctx *ctx, const char *dir, syn_model *m, char **config,
                          char **provenance)
{
    syn_checkpoint *cp = NULL;
    char *stored = NULL;
    syn_status st;
    memset(m, 0, sizeof *m);
    SYN_TRY(syn_checkpoint_open(dir, &cp));
    if (provenance && !(stored = strdup(syn_checkpoint_provenance(cp)))) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory while a checkpoint was read");
        goto done;
    }
    SYN_TRY(syn_model_read(ctx, cp, m));
    if (provenance) {
        *provenance = stored;
        stored = NULL;
    }
    if (config) *config = syn_model_config(cp);
done:
    free(stored);
    syn_checkpoint_close(cp);
    return st;
}

bool syn_model_tensor_trains(const char *name)
{
    static const char *const prefixes[] = {"moment1.", "moment2.", SYN_RESUME_PREFIX};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!strncmp(name, prefixes[i], strlen(prefixes[i]))) return true;
    }
    return !strncmp(name, "part", 4) && name[4] >= '0' && name[4] <= '9' && name[5] == '.';
}

syn_status syn_model_deployed_config(const syn_checkpoint *cp, char **config)
{
    json_t *root = json_loads(syn_checkpoint_config(cp), 0, NULL);
    const bool model = json_is_integer(json_object_get(root, "parts"));
    if (model) json_object_set_new(root, "parts", json_integer(0));
    *config = model ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (*config) return SYN_OK;
    return syn_fail(SYN_ERR_FORMAT, "checkpoint %s: its config does not describe a model",
                    syn_checkpoint_dir(cp));
}
