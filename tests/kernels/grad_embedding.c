/* Embedding bags against central differences, and the contract's corners. */
#include "kernels/embedding.h"
#include "tests/gradcheck.h"
#include "tests/kernels/random.h"

enum { BAGS = 5, D = 7, V = 9, COUNT = 11 };

/* A bag of several, an empty one, one of one, one with an id twice, and the rest. Row 8 is unused.
 */
static const int32_t OFFSET[BAGS + 1] = {0, 3, 3, 4, 8, 11};
static const int32_t ID[COUNT] = {4, 0, 2, 4, 1, 7, 1, 0, 3, 4, 5};

typedef struct bags {
    syn_ctx ctx;
    real table[V * D], weight[COUNT], y[BAGS * D], norm[BAGS], dy[BAGS * D];
} bags;

static void bags_init(bags *b, int threads)
{
    assert_ok(syn_ctx_init(&b->ctx, SYN_DEVICE_CPU, threads));
    random_fill(1, V * D, -1, 1, b->table);
    random_fill(2, COUNT, 0.2, 2, b->weight);
    random_fill(3, BAGS * D, -1, 1, b->dy);
}

static double bags_loss(void *user)
{
    bags *b = user;
    assert_ok(syn_embedding_bag_forward(&b->ctx, BAGS, D, OFFSET, ID, b->weight, b->table, b->y,
                                        b->norm));
    return dot_product(BAGS * D, b->y, b->dy);
}

static void bags_backward(bags *b, real *dtable)
{
    int32_t order[COUNT], owner[COUNT];
    assert_ok(syn_embedding_bag_plan(&b->ctx, BAGS, OFFSET, ID, V, order, owner));
    (void)bags_loss(b);
    assert_ok(syn_embedding_bag_backward(&b->ctx, BAGS, D, OFFSET, ID, b->weight, b->y, b->norm,
                                         b->dy, V, dtable, order, owner));
}

static void table_gradient_matches_central_differences(void **state)
{
    bags b;
    bags_init(&b, 1);
    real dtable[V * D] = {0};
    bags_backward(&b, dtable);
    gradcheck_assert("table", bags_loss, &b, b.table, dtable, V * D, GRADCHECK_ALL);
    syn_ctx_free(&b.ctx);
}

static void gradient_accumulates_and_leaves_unused_rows_alone(void **state)
{
    bags b;
    bags_init(&b, 1);
    real once[V * D] = {0}, more[V * D];
    bags_backward(&b, once);
    for (int i = 0; i < V * D; i++) more[i] = 5;
    bags_backward(&b, more);
    for (int i = 0; i < V * D; i++) assert_true(fabs(more[i] - 5 - once[i]) < 1e-12);
    for (int d = 0; d < D; d++) assert_true(more[8 * D + d] == 5);
    syn_ctx_free(&b.ctx);
}

static void bags_have_length_one_and_empty_ones_are_zero(void **state)
{
    bags b;
    bags_init(&b, 2);
    memset(b.y, 0x7f, sizeof b.y);
    (void)bags_loss(&b);
    for (int n = 0; n < BAGS; n++) {
        double length = dot_product(D, b.y + n * D, b.y + n * D);
        assert_true(fabs(length - (n == 1 ? 0 : 1)) < 1e-12);
    }
    assert_true(b.norm[1] == 0);
    /* Bag 2 is row 4 alone: its direction, whatever its weight. */
    double along = dot_product(D, b.y + 2 * D, b.table + 4 * D);
    assert_true(fabs(along - sqrt(dot_product(D, b.table + 4 * D, b.table + 4 * D))) < 1e-12);
    syn_ctx_free(&b.ctx);
}

static void a_bag_that_cancels_out_is_zero_and_has_no_gradient(void **state)
{
    syn_ctx ctx;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    const int32_t offset[2] = {0, 2}, id[2] = {0, 1}, order[2] = {0, 1}, owner[2] = {0, 0};
    const real table[4] = {1, 2, -1, -2}, weight[2] = {3, 3}, dy[2] = {1, 1};
    real y[2], norm[1], dtable[4] = {0};
    assert_ok(syn_embedding_bag_forward(&ctx, 1, 2, offset, id, weight, table, y, norm));
    assert_true(y[0] == 0 && y[1] == 0 && norm[0] == 0);
    assert_ok(syn_embedding_bag_backward(&ctx, 1, 2, offset, id, weight, y, norm, dy, 2, dtable,
                                         order, owner));
    for (int i = 0; i < 4; i++) assert_true(dtable[i] == 0);
    syn_ctx_free(&ctx);
}

static void plan_sorts_by_id_then_position_and_knows_each_bag(void **state)
{
    syn_ctx ctx;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    int32_t order[COUNT], owner[COUNT];
    assert_ok(syn_embedding_bag_plan(&ctx, BAGS, OFFSET, ID, V, order, owner));
    const int32_t expected_order[COUNT] = {1, 7, 4, 6, 2, 8, 0, 3, 9, 10, 5};
    const int32_t expected_owner[COUNT] = {0, 0, 0, 2, 3, 3, 3, 3, 4, 4, 4};
    assert_memory_equal(order, expected_order, sizeof order);
    assert_memory_equal(owner, expected_owner, sizeof owner);
    syn_ctx_free(&ctx);
}

static void plan_refuses_ids_and_offsets_out_of_range(void **state)
{
    syn_ctx ctx;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    int32_t order[COUNT], owner[COUNT], id[COUNT], offset[BAGS + 1];
    memcpy(id, ID, sizeof id);
    memcpy(offset, OFFSET, sizeof offset);
    id[6] = V;
    assert_int_equal(syn_embedding_bag_plan(&ctx, BAGS, offset, id, V, order, owner),
                     SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "id 9 at position 6"));
    id[6] = -1;
    assert_int_equal(syn_embedding_bag_plan(&ctx, BAGS, offset, id, V, order, owner),
                     SYN_ERR_INVALID);
    id[6] = 1;
    offset[2] = 2;
    assert_int_equal(syn_embedding_bag_plan(&ctx, BAGS, offset, id, V, order, owner),
                     SYN_ERR_INVALID);
    syn_ctx_free(&ctx);
}

/* Many positions over few rows, so that every thread meets rows of the others' positions. */
static void result_is_bit_equal_for_any_number_of_threads(void **state)
{
    enum { N = 400, PER_BAG = 6, WIDTH = 33, ROWS = 50, TOTAL = N * PER_BAG };
    static int32_t offset[N + 1], id[TOTAL], order[TOTAL], owner[TOTAL];
    static real weight[TOTAL], table[ROWS * WIDTH], dy[N * WIDTH], y[2][N * WIDTH], norm[2][N];
    static real dtable[2][ROWS * WIDTH];
    syn_rng rng = syn_rng_make(4, SYN_STREAM_TEST);
    for (int k = 0; k < TOTAL; k++) id[k] = (int32_t)syn_rng_below(&rng, ROWS);
    for (int n = 0; n <= N; n++) offset[n] = n * PER_BAG;
    random_fill(5, TOTAL, 0, 1, weight);
    random_fill(6, ROWS * WIDTH, -1, 1, table);
    random_fill(7, N * WIDTH, -1, 1, dy);
    for (int run = 0; run < 2; run++) {
        syn_ctx ctx;
        assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, run ? 3 : 1));
        assert_ok(syn_embedding_bag_plan(&ctx, N, offset, id, ROWS, order, owner));
        assert_ok(syn_embedding_bag_forward(&ctx, N, WIDTH, offset, id, weight, table, y[run],
                                            norm[run]));
        assert_ok(syn_embedding_bag_backward(&ctx, N, WIDTH, offset, id, weight, y[run], norm[run],
                                             dy, ROWS, dtable[run], order, owner));
        syn_ctx_free(&ctx);
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(dtable[0], dtable[1], sizeof dtable[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_gradient_matches_central_differences),
        cmocka_unit_test(gradient_accumulates_and_leaves_unused_rows_alone),
        cmocka_unit_test(bags_have_length_one_and_empty_ones_are_zero),
        cmocka_unit_test(a_bag_that_cancels_out_is_zero_and_has_no_gradient),
        cmocka_unit_test(plan_sorts_by_id_then_position_and_knows_each_bag),
        cmocka_unit_test(plan_refuses_ids_and_offsets_out_of_range),
        cmocka_unit_test(result_is_bit_equal_for_any_number_of_threads),
    };
    return cmocka_run_group_tests_name("grad_embedding", tests, NULL, NULL);
}
