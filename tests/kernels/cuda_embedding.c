/* Embedding bags on the device beside the CPU's. */
#include "kernels/embedding.h"
#include "tests/kernels/twins.h"

/* Bags of ragged lengths, empty ones among them; ids that come back often. */
static void bags(twins *t, int64_t n, int64_t D, int64_t V)
{
    int32_t *offset = malloc(sizeof *offset * (size_t)(n + 1));
    assert_non_null(offset);
    syn_rng rng = syn_rng_make(2, SYN_STREAM_TEST);
    offset[0] = 0;
    for (int64_t b = 0; b < n; b++)
        offset[b + 1] = offset[b] + (int32_t)(b % 4 ? syn_rng_below(&rng, 30) : 0);
    const int64_t count = offset[n];
    int32_t *id = malloc(sizeof *id * (size_t)(count + 1)),
            *order = malloc(sizeof *id * (size_t)(count + 1));
    int32_t *owner = malloc(sizeof *id * (size_t)(count + 1));
    assert_true(id && order && owner);
    for (int64_t k = 0; k < count; k++)
        id[k] = (int32_t)(k % 3 ? syn_rng_below(&rng, (uint32_t)V) : V - 1);
    int32_t *offset_gpu = twin_list(t, offset, n + 1), *id_gpu = twin_list(t, id, count);
    int32_t *order_gpu = twin_list(t, id, count), *owner_gpu = twin_list(t, id, count);
    twin weight = twin_random(t, 1, count), table = twin_random(t, 2, V * D);
    twin y = twin_poisoned(t, n * D), norm = twin_poisoned(t, n), dy = twin_random(t, 3, n * D);
    twin dtable = twin_random(t, 4, V * D);
    assert_ok(syn_embedding_bag_forward(&t->cpu, n, D, offset, id, weight.cpu, table.cpu, y.cpu,
                                        norm.cpu));
    assert_ok(syn_embedding_bag_forward(&t->gpu, n, D, offset_gpu, id_gpu, weight.gpu, table.gpu,
                                        y.gpu, norm.gpu));
    twin_expect(t, CUDA_FP32, y, "%lld bags: y", (long long)n);
    twin_expect(t, CUDA_FP32, norm, "%lld bags: norm", (long long)n);
    assert_ok(syn_embedding_bag_plan(&t->cpu, n, offset, id, V, order, owner));
    assert_ok(syn_embedding_bag_plan(&t->gpu, n, offset_gpu, id_gpu, V, order_gpu, owner_gpu));
    expect_equal_device(&t->gpu, count, order, order_gpu, "%lld bags: order", (long long)n);
    expect_equal_device(&t->gpu, count, owner, owner_gpu, "%lld bags: owner", (long long)n);
    assert_ok(syn_embedding_bag_backward(&t->cpu, n, D, offset, id, weight.cpu, y.cpu, norm.cpu,
                                         dy.cpu, V, dtable.cpu, order, owner));
    assert_ok(syn_embedding_bag_backward(&t->gpu, n, D, offset_gpu, id_gpu, weight.gpu, y.gpu,
                                         norm.gpu, dy.gpu, V, dtable.gpu, order_gpu, owner_gpu));
    twin_expect(t, CUDA_FP32, dtable, "%lld bags: dtable", (long long)n);
    free(offset);
    free(id);
    free(order);
    free(owner);
}

static void bags_match(void **state)
{
    twins t;
    twins_begin(&t);
    bags(&t, 40, 33, 50);
    bags(&t, 1, 5, 3);
    bags(&t, 300, 4, 1000);
    bags(&t, 31, 130, 70000);
    twins_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bags_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
