/* A model as a checkpoint: every bit comes back, and what is not such a model is one sentence. */
#include "tests/trainer/commands.h"

static syn_ctx ctx;

static int set_up(void **state)
{
    return folder_setup(state) || syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1) != SYN_OK;
}

static int tear_down(void **state)
{
    syn_ctx_free(&ctx);
    return folder_teardown(state);
}

static void noise(real *x, int64_t n, uint64_t stream)
{
    syn_rng rng = syn_rng_make(99, stream);
    for (int64_t i = 0; i < n; i++) x[i] = (real)syn_rng_uniform(&rng) - (real)0.5;
}

static void perception_make(syn_perception *p, uint64_t seed)
{
    assert_ok(syn_perception_init(&ctx, p, seed));
    for (int k = 0; k < SYN_GAP_OUT; k++) {
        p->calibrated[k] =
            (syn_calibration){1.25f + (float)seed + (float)k, -0.3f * (float)(seed + 1)};
    }
}

/* All that a model may have. */
static void model_make(syn_model *m)
{
    assert_ok(syn_model_init(&ctx, m, 77));
    m->central = false;
    for (int k = 0; k < SYN_IDF_BUCKETS; k++) m->idf->value[k] = (float)(k % 97) * 0.125f;
    perception_make(&m->perception, 1);
    perception_make(&m->shuffled, 2);
    m->parts = 3;
    for (int k = 0; k < 3; k++) perception_make(&m->part[k], 3 + (uint64_t)k);
    assert_ok(syn_control_init(&ctx, &m->control, 9));
    assert_ok(syn_params_trainable(&ctx, &m->control.params));
    for (int i = 0; i < m->control.params.count; i++) { /* the gaps between tensors stay zero */
        const syn_param *t = &m->control.params.item[i];
        noise(m->control.params.m + t->offset, t->count, 2 * (uint64_t)i);
        noise(m->control.params.v + t->offset, t->count, 2 * (uint64_t)i + 1);
    }
    m->control.params.step = 12345;
    m->has_perception = m->has_shuffled = m->has_control = m->has_policy = true;
}

static void assert_same_values(const syn_params *a, const syn_params *b, const real *x,
                               const real *y)
{
    assert_int_equal(a->total, b->total);
    assert_non_null(x);
    assert_non_null(y);
    assert_memory_equal(x, y, sizeof *x * (size_t)a->total);
}

static void assert_same_perception(const syn_perception *a, const syn_perception *b)
{
    assert_same_values(&a->params, &b->params, a->params.value, b->params.value);
    assert_memory_equal(a->calibrated, b->calibrated, sizeof a->calibrated);
}

/* ---- Round trip ---- */

static void every_bit_comes_back(void **state)
{
    syn_model m, got;
    char *config = NULL, *provenance = NULL;
    model_make(&m);
    const syn_save_facts facts = {.config_json = "{\"phase\":\"test\"}",
                                  .provenance_json = "{\"records\":3}"};
    assert_ok(syn_model_save(path_of("full"), &m, true, &facts, NULL));
    assert_ok(syn_model_load(&ctx, path_of("full"), &got, &config, &provenance));
    assert_string_equal(config, "{\"phase\":\"test\"}");
    assert_string_equal(provenance, "{\"records\":3}");
    assert_memory_equal(got.idf->value, m.idf->value, sizeof m.idf->value);
    assert_memory_equal(got.table, m.table, sizeof *m.table * SYN_VOCABULARY * SYN_DE);
    assert_int_equal(got.table_seed, 77);
    assert_false(got.central);
    assert_true(got.has_perception && got.has_shuffled && got.has_control && got.has_policy);
    assert_int_equal(got.parts, 3);
    assert_same_perception(&got.perception, &m.perception);
    assert_same_perception(&got.shuffled, &m.shuffled);
    for (int k = 0; k < 3; k++) assert_same_perception(&got.part[k], &m.part[k]);
    const syn_params *a = &got.control.params, *b = &m.control.params;
    assert_same_values(a, b, a->value, b->value);
    assert_same_values(a, b, a->m, b->m);
    assert_same_values(a, b, a->v, b->v);
    assert_int_equal(a->step, 12345);
    free(config);
    free(provenance);
    syn_model_free(&ctx, &got);
    syn_model_free(&ctx, &m);
}

static void saving_what_was_loaded_gives_the_same_content(void **state)
{
    syn_model m;
    char first[HASH_TEXT], second[HASH_TEXT];
    assert_ok(syn_model_load(&ctx, path_of("full"), &m, NULL, NULL));
    assert_ok(syn_model_save(path_of("again"), &m, true, NULL, NULL));
    assert_string_equal(content_of("full", first), content_of("again", second));
    syn_model_free(&ctx, &m);
}

static void a_model_without_parts_or_moments_is_small(void **state)
{
    syn_model m, got;
    assert_ok(syn_model_load(&ctx, path_of("full"), &m, NULL, NULL));
    const int parts = m.parts;
    m.parts = 0;
    assert_ok(syn_model_save(path_of("deployed"), &m, false, NULL, NULL));
    m.parts = parts;
    assert_ok(syn_model_load(&ctx, path_of("deployed"), &got, NULL, NULL));
    assert_int_equal(got.parts, 0);
    assert_null(got.control.params.m);
    assert_null(got.control.params.grad);
    assert_same_values(&got.control.params, &m.control.params, got.control.params.value,
                       m.control.params.value);
    assert_same_perception(&got.perception, &m.perception);
    syn_model_free(&ctx, &got);
    syn_model_free(&ctx, &m);
}

static void an_empty_model_comes_back_empty(void **state)
{
    syn_model m, got;
    assert_ok(syn_model_init(&ctx, &m, 1));
    assert_ok(syn_model_save(path_of("empty"), &m, true, NULL, NULL));
    assert_ok(syn_model_load(&ctx, path_of("empty"), &got, NULL, NULL));
    assert_false(got.has_perception || got.has_shuffled || got.has_control || got.has_policy);
    assert_true(got.central);
    assert_null(got.perception.params.value);
    assert_null(got.control.params.value);
    syn_model_free(&ctx, &got);
    syn_model_free(&ctx, &m);
}

/* What a run goes on from travels with the model and is no part of it. */
static void resume_state_comes_back_beside_the_model(void **state)
{
    syn_model m, got;
    syn_checkpoint *cp = NULL;
    uint64_t rng[2] = {7, UINT64_MAX}, rng_got[2] = {0};
    syn_tensor item = {"resume.rng", 1, {2}, SYN_TENSOR_U64, rng};
    const syn_tensors resume = {&item, 1};
    assert_ok(syn_model_load(&ctx, path_of("deployed"), &m, NULL, NULL));
    assert_ok(syn_model_save(path_of("run"), &m, false, NULL, &resume));
    assert_ok(syn_checkpoint_open_version(path_of("run"), "latest", &cp));
    assert_ok(syn_model_read(&ctx, cp, &got));
    char *config = syn_model_config(cp);
    assert_string_equal(config, "{}");
    free(config);
    item.data = rng_got;
    assert_ok(syn_checkpoint_read(cp, &item));
    assert_memory_equal(rng_got, rng, sizeof rng);
    assert_same_perception(&got.perception, &m.perception);
    syn_checkpoint_close(cp);
    item.name = "rng";
    assert_fails(syn_model_save(path_of("run"), &m, false, NULL, &resume), SYN_ERR_INVALID,
                 "the name of tensor rng does not begin with resume.");
    syn_model_free(&ctx, &got);
    syn_model_free(&ctx, &m);
}

/* Two versions of the weights are two files in memory; each reader has its own. */
static void two_checkpoints_can_be_open_at_once(void **state)
{
    syn_checkpoint *cp[2];
    float value[2][64];
    syn_model m;
    assert_ok(syn_model_load(&ctx, path_of("full"), &m, NULL, NULL));
    for (int64_t i = 0; i < m.perception.params.total; i++) m.perception.params.value[i] += 1;
    assert_ok(syn_model_save(path_of("moved"), &m, true, NULL, NULL));
    for (int k = 0; k < 2; k++)
        assert_ok(syn_checkpoint_open(path_of(k ? "moved" : "full"), &cp[k]));
    assert_ok(
        syn_model_save(path_of("beside"), &m, true, NULL, NULL)); /* saving does not disturb them */
    for (int k = 0; k < 2; k++) {
        syn_tensor t = *syn_checkpoint_find(cp[k], "perception.ranker.b0");
        t.data = value[k];
        assert_ok(syn_checkpoint_read(cp[k], &t));
    }
    for (int i = 0; i < 64; i++) assert_true(value[1][i] > value[0][i] + 0.5f);
    for (int k = 0; k < 2; k++) syn_checkpoint_close(cp[k]);
    syn_model_free(&ctx, &m);
}

static void weights_that_are_not_finite_do_not_replace_those_that_are(void **state)
{
    syn_model m;
    char before[HASH_TEXT], after[HASH_TEXT];
    content_of("full", before);
    assert_ok(syn_model_load(&ctx, path_of("full"), &m, NULL, NULL));
    m.part[1].params.value[m.part[1].params.item[SYN_P_GAP_W3].offset + 5] = (real)NAN;
    assert_fails(syn_model_save(path_of("full"), &m, true, NULL, NULL), SYN_ERR_NUMERIC,
                 "tensor part1.gap.w3 is not finite at 5");
    assert_string_equal(before, content_of("full", after));
    syn_model_free(&ctx, &m);
}

/* ---- What is not such a model ---- */

enum { TENSORS_MAX = 512 };

/* The tensors of "deployed", to be saved again with something changed. */
typedef struct copy {
    syn_checkpoint *cp;
    syn_tensor tensor[TENSORS_MAX];
    int count;
} copy;

static void copy_open(copy *c)
{
    assert_ok(syn_checkpoint_open(path_of("deployed"), &c->cp));
    c->count = syn_checkpoint_tensor_count(c->cp);
    assert_in_range(c->count, 1, TENSORS_MAX - 1);
    for (int i = 0; i < c->count; i++) {
        c->tensor[i] = *syn_checkpoint_tensor(c->cp, i);
        c->tensor[i].data = calloc(1, (size_t)syn_tensor_bytes(&c->tensor[i]));
        assert_ok(syn_checkpoint_read(c->cp, &c->tensor[i]));
    }
}

static void copy_close(copy *c)
{
    for (int i = 0; i < c->count; i++) free(c->tensor[i].data);
    syn_checkpoint_close(c->cp);
}

static syn_tensor *copy_find(copy *c, const char *name)
{
    for (int i = 0; i < c->count; i++) {
        if (!strcmp(c->tensor[i].name, name)) return &c->tensor[i];
    }
    fail_msg("there is no tensor %s", name);
    return NULL;
}

/* Saved with this config (NULL: its own), the model is refused with these words; nothing is loaded.
 */
static void assert_refused(const copy *c, int count, const char *config, const char *words)
{
    syn_model m;
    const syn_save_facts facts = {.config_json = config ? config : syn_checkpoint_config(c->cp)};
    assert_ok(syn_checkpoint_save(path_of("wrong"), c->tensor, count, &facts, NULL));
    assert_fails(syn_model_load(&ctx, path_of("wrong"), &m, NULL, NULL), SYN_ERR_FORMAT, words);
    if (!strstr(syn_error_text(), "wrong") || strchr(syn_error_text(), '\n')) {
        fail_msg("not one sentence that names the folder: %s", syn_error_text());
    }
    assert_null(m.idf);
    assert_null(m.perception.params.value);
}

static void other_shapes_and_names_are_one_sentence(void **state)
{
    copy c;
    copy_open(&c);
    syn_tensor *w = copy_find(&c, "control.state.lstm.W"), kept = *w;
    w->shape[0] = kept.shape[1];
    w->shape[1] = kept.shape[0];
    assert_refused(&c, c.count, NULL, "control.state.lstm.W");
    *w = kept;
    w->shape[0] /= 2;
    assert_refused(&c, c.count, NULL, "control.state.lstm.W");
    *w = kept;
    w->type = SYN_TENSOR_I32;
    assert_refused(&c, c.count, NULL, "control.state.lstm.W");
    *w = kept;
    w->name = "control.state.gru.W";
    assert_refused(&c, c.count, NULL, "control.state.lstm.W");
    *w = kept;
    assert_refused(&c, c.count - 1, NULL, c.tensor[c.count - 1].name);
    float one = 1;
    c.tensor[c.count] = (syn_tensor){"control.extra", 1, {1}, SYN_TENSOR_F32, &one};
    assert_refused(&c, c.count + 1, NULL, "control.extra");
    copy_close(&c);
}

static void a_config_that_does_not_fit_is_one_sentence(void **state)
{
    copy c;
    copy_open(&c);
    assert_refused(&c, c.count, "{}", "");
    assert_refused(&c, c.count, "{\"has_perception\":true}", "");
    assert_refused(&c, c.count, "{\"parts\":-1}", "does not describe a model");
    assert_refused(&c, c.count, "{\"parts\":9}", "does not describe a model");
    assert_refused(&c, c.count, "{\"parts\":1000000000000}", "does not describe a model");
    assert_refused(
        &c, c.count,
        "{\"parts\":2,\"has_perception\":true,\"has_shuffled\":true,\"has_control\":true}",
        "part0.");
    float one = 1;
    const syn_tensor other = {"encoder.weight", 1, {1}, SYN_TENSOR_F32, &one};
    const copy foreign = {c.cp, {other}, 1};
    assert_refused(&foreign, 1, "{\"model\":\"bert\"}", "");
    copy_close(&c);
}

static void damage_is_one_sentence(void **state)
{
    syn_model m;
    assert_fails(syn_model_load(&ctx, path_of("nowhere"), &m, NULL, NULL), SYN_ERR_IO, "nowhere");
    assert_ok(syn_model_init(&ctx, &m, 1));
    assert_ok(syn_model_save(path_of("cut"), &m, false, NULL, NULL));
    syn_model_free(&ctx, &m);
    assert_int_equal(truncate(path_of("cut/versions/000001/weights.h5"), 1000), 0);
    assert_fails(syn_model_load(&ctx, path_of("cut"), &m, NULL, NULL), SYN_ERR_FORMAT, "cut");
    assert_null(m.idf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_comes_back),
        cmocka_unit_test(saving_what_was_loaded_gives_the_same_content),
        cmocka_unit_test(a_model_without_parts_or_moments_is_small),
        cmocka_unit_test(an_empty_model_comes_back_empty),
        cmocka_unit_test(resume_state_comes_back_beside_the_model),
        cmocka_unit_test(two_checkpoints_can_be_open_at_once),
        cmocka_unit_test(weights_that_are_not_finite_do_not_replace_those_that_are),
        cmocka_unit_test(other_shapes_and_names_are_one_sentence),
        cmocka_unit_test(a_config_that_does_not_fit_is_one_sentence),
        cmocka_unit_test(damage_is_one_sentence),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
