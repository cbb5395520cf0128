/* The perception's training and inference on the device beside the CPU's: logits, knowledge vectors
 * and every gradient. */
#include "engine/perception.h"
#include "tests/cuda.h"
#include "tests/kernels/random.h"

/* A team of three and a team of two; one of either knows nothing. */
enum { AGENTS = 5, LINKS = 4, ITEMS = 8, ROWS = AGENTS + LINKS };

static const int32_t offset[] = {0, 3, 3, 6, 6, ITEMS}, first[] = {0, 0, 0, 3, 3},
                     size[] = {3, 3, 3, 2, 2}, link_i[] = {0, 1, 2, 4}, link_j[] = {1, 2, 0, 3};

/* The perception and one batch on one device. */
typedef struct side {
    syn_ctx *ctx;
    syn_perception p;
    syn_team_batch batch;
    real *logit, *dlogit, *ckm, *dckm, *relevance;
} side;

/* On the device of ctx, with the weights of `from` where there is one. */
static void side_make(side *s, syn_ctx *ctx, uint32_t without, const side *from)
{
    real *items = random_real(4, ITEMS * SYN_DI), *bias = random_real(5, ITEMS);
    real *dlogit = random_real(6, ROWS * SYN_GAP_OUT), *dckm = random_real(7, AGENTS * SYN_CKM);
    memset(s, 0, sizeof *s);
    s->ctx = ctx;
    assert_ok(syn_perception_init(ctx, &s->p, 3));
    assert_ok(syn_params_trainable(ctx, &s->p.params));
    s->p.without = without;
    const size_t bytes = sizeof(real) * (size_t)s->p.params.total;
    if (from) {
        assert_ok(syn_copy_in(ctx, s->p.params.value, from->p.params.value, bytes));
    } else {
        for (int64_t k = 0; k < s->p.params.total; k++) s->p.params.value[k] *= 2;
    }
    s->batch =
        (syn_team_batch){.agents = AGENTS,
                         .links = LINKS,
                         .seq = {AGENTS, 3, ITEMS, to_device(ctx, offset, sizeof offset), NULL},
                         .first = to_device(ctx, first, sizeof first),
                         .size = to_device(ctx, size, sizeof size),
                         .link_i = to_device(ctx, link_i, sizeof link_i),
                         .link_j = to_device(ctx, link_j, sizeof link_j),
                         .items = to_device(ctx, items, sizeof(real) * ITEMS * SYN_DI),
                         .bias = to_device(ctx, bias, sizeof(real) * ITEMS)};
    s->logit = poisoned(ctx, sizeof(real) * ROWS * SYN_GAP_OUT);
    s->ckm = poisoned(ctx, sizeof(real) * AGENTS * SYN_CKM);
    s->relevance = poisoned(ctx, sizeof(real) * ITEMS);
    s->dlogit = to_device(ctx, dlogit, sizeof(real) * ROWS * SYN_GAP_OUT);
    s->dckm = to_device(ctx, dckm, sizeof(real) * AGENTS * SYN_CKM);
    free(items);
    free(bias);
    free(dlogit);
    free(dckm);
}

static void side_free(side *s)
{
    const syn_team_batch *b = &s->batch;
    free_device(s->ctx, (void *)b->seq.offset, (void *)b->first, (void *)b->size, (void *)b->link_i,
                (void *)b->link_j, (void *)b->items, (void *)b->bias, s->logit, s->ckm,
                s->relevance, s->dlogit, s->dckm);
    syn_perception_free(s->ctx, &s->p);
}

/* Twice, under different masks: gradients add up. */
static void train(side *s, bool dropout)
{
    for (uint64_t counter = 8; counter < 10; counter++) {
        syn_perception_cache *cache;
        syn_scratch_mark mark = syn_scratch_push(s->ctx);
        assert_ok(syn_perception_forward(s->ctx, &s->p, &s->batch, dropout, 7, counter, &cache,
                                         s->logit));
        assert_ok(syn_perception_backward(s->ctx, &s->p, &s->batch, cache, s->dlogit));
        syn_scratch_pop(s->ctx, mark);
    }
}

static void gradients_assert_close(const side *cpu, const side *gpu, const char *when)
{
    for (int i = 0; i < cpu->p.params.count; i++) {
        const syn_param *t = &cpu->p.params.item[i];
        expect_close_device(gpu->ctx, CUDA_FP32, t->count, syn_grad(&cpu->p.params, i),
                            syn_grad(&gpu->p.params, i), "%s: gradient of %s", when, t->name);
    }
}

static void gradients_are_those_of_the_cpu(void **state)
{
    (void)state;
    static const struct {
        bool dropout;
        uint32_t without;
        const char *name;
    } cases[] = {{false, 0, "plain"}, {true, 0, "dropout"}, {true, SYN_WITHOUT_CKM, "means"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        syn_ctx cpu_ctx, gpu_ctx;
        side cpu, gpu;
        cuda_begin(&cpu_ctx, &gpu_ctx);
        side_make(&cpu, &cpu_ctx, cases[k].without, NULL);
        side_make(&gpu, &gpu_ctx, cases[k].without, &cpu);
        train(&cpu, cases[k].dropout);
        train(&gpu, cases[k].dropout);
        expect_close_device(&gpu_ctx, CUDA_FP32, ROWS * SYN_GAP_OUT, cpu.logit, gpu.logit,
                            "%s: logits", cases[k].name);
        gradients_assert_close(&cpu, &gpu, cases[k].name);
        side_free(&cpu);
        side_free(&gpu);
        cuda_end(&cpu_ctx, &gpu_ctx);
    }
}

static void the_encoder_alone_is_that_of_the_cpu(void **state)
{
    (void)state;
    syn_ctx cpu_ctx, gpu_ctx;
    side cpu, gpu, *both[] = {&cpu, &gpu};
    cuda_begin(&cpu_ctx, &gpu_ctx);
    side_make(&cpu, &cpu_ctx, 0, NULL);
    side_make(&gpu, &gpu_ctx, 0, &cpu);
    for (int k = 0; k < 2; k++) {
        side *s = both[k];
        const syn_team_batch *b = &s->batch;
        assert_ok(syn_ckm_forward(s->ctx, &s->p, &b->seq, b->items, b->bias, s->ckm, s->relevance));
        assert_ok(syn_ckm_backward(s->ctx, &s->p, &b->seq, b->items, b->bias, s->dckm));
    }
    expect_close_device(&gpu_ctx, CUDA_FP32, AGENTS * SYN_CKM, cpu.ckm, gpu.ckm, "ckm");
    expect_close_device(&gpu_ctx, CUDA_FP32, ITEMS, cpu.relevance, gpu.relevance, "relevance");
    gradients_assert_close(&cpu, &gpu, "encoder");
    side_free(&cpu);
    side_free(&gpu);
    cuda_end(&cpu_ctx, &gpu_ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_the_cpu),
        cmocka_unit_test(the_encoder_alone_is_that_of_the_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
