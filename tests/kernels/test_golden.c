/* The recurrent kernels against PyTorch: tests/golden/make_golden.py says how the files were made.
 */
#include "kernels/attention.h"
#include "kernels/lstm.h"
#include "tests/test.h"

enum { TENSORS_MAX = 32, NAME_BYTES = 16 };

typedef struct golden {
    int count;
    char name[TENSORS_MAX][NAME_BYTES];
    real *data[TENSORS_MAX];
    int64_t size[TENSORS_MAX], width[TENSORS_MAX]; /* width: the last dimension */
} golden;

static void golden_load(golden *g, const char *file)
{
    char path[4096], line[256];
    memset(g, 0, sizeof *g);
    snprintf(path, sizeof path, "%s/tests/golden/%s", SYN_SOURCE_DIR, file);
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("%s is missing", path);
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "syncog-golden 1\n");
    while (fscanf(f, " %15[^: \n]:", g->name[g->count]) == 1) {
        int64_t size = 1, width = 1;
        assert_true(g->count < TENSORS_MAX && fgets(line, sizeof line, f));
        for (char *at = line, *end; width = strtol(at, &end, 10), end != at; at = end) {
            size *= width;
            g->width[g->count] = width;
        }
        real *data = malloc(sizeof *data * (size_t)size);
        assert_non_null(data);
        for (int64_t i = 0; i < size; i++) {
            double value;
            assert_int_equal(fscanf(f, "%lf", &value), 1);
            data[i] = (real)value;
        }
        g->data[g->count] = data;
        g->size[g->count++] = size;
    }
    assert_true(feof(f));
    fclose(f);
}

static void golden_free(golden *g)
{
    for (int i = 0; i < g->count; i++) free(g->data[i]);
}

static int find(const golden *g, const char *name)
{
    for (int i = 0; i < g->count; i++)
        if (strcmp(g->name[i], name) == 0) return i;
    fail_msg("no tensor %s in the golden file", name);
    return -1;
}

static const real *get(const golden *g, const char *name)
{
    return g->data[find(g, name)];
}

static void expect(const golden *g, const char *name, const real *got)
{
    int at = find(g, name);
    for (int64_t i = 0; i < g->size[at]; i++) {
        double want = g->data[at][i], off = fabs(got[i] - want);
        if (!(off <= 2e-5 + 2e-5 * fabs(want)))
            fail_msg("%s[%lld] is %.9g, PyTorch has %.9g", name, (long long)i, got[i], want);
    }
}

/* Outputs hold NaN before, gradients that are added to hold zero. */
static real *poisoned(syn_ctx *ctx, int64_t count)
{
    real *p = syn_device_alloc(ctx, sizeof *p * (size_t)count);
    assert_non_null(p);
    for (int64_t i = 0; i < count; i++) p[i] = NAN;
    return p;
}

static real *zeroed(syn_ctx *ctx, int64_t count)
{
    real *p = syn_device_alloc(ctx, sizeof *p * (size_t)count);
    assert_non_null(p);
    return p;
}

/* Every buffer of a test, freed at its end. */
typedef struct pool {
    syn_ctx ctx;
    real *items[64];
    int count;
} pool;

static real *keep(pool *p, real *item)
{
    assert_true(p->count < 64);
    p->items[p->count++] = item;
    return item;
}

#define POISONED(count) keep(&p, poisoned(&p.ctx, (count)))
#define ZEROED(count)   keep(&p, zeroed(&p.ctx, (count)))

static void pool_free(pool *p)
{
    for (int i = 0; i < p->count; i++) syn_device_free(&p->ctx, p->items[i]);
    syn_ctx_free(&p->ctx);
}

static int64_t offsets(const golden *g, int32_t *offset, int64_t *longest)
{
    int64_t batch = g->size[find(g, "lengths")];
    const real *lengths = get(g, "lengths");
    offset[0] = 0;
    for (int64_t b = 0; b < batch; b++) {
        offset[b + 1] = offset[b] + (int32_t)lengths[b];
        *longest = lengths[b] > *longest ? (int64_t)lengths[b] : *longest;
    }
    return batch;
}

static void lstm_matches_pytorch(void **state)
{
    golden g;
    golden_load(&g, "lstm.txt");
    pool p = {0};
    assert_ok(syn_ctx_init(&p.ctx, SYN_DEVICE_CPU, 1));
    int64_t B = g.size[find(&g, "h0")] / g.width[find(&g, "h0")], H = g.width[find(&g, "h0")];
    int64_t D = g.width[find(&g, "x")], rows = g.size[find(&g, "x")] / D;
    syn_seq q = {B, rows / B, rows, NULL, NULL};
    real *h = POISONED(rows * H), *c = POISONED(rows * H), *v = POISONED(rows * 4 * H);
    real *hT = POISONED(B * H), *cT = POISONED(B * H);
    assert_ok(syn_lstm_forward(&p.ctx, &q, D, H, false, get(&g, "x"), get(&g, "W"), get(&g, "R"),
                               get(&g, "b"), get(&g, "h0"), get(&g, "c0"), h, H, c, v, hT, cT));
    expect(&g, "h", h);
    expect(&g, "hT", hT);
    expect(&g, "cT", cT);
    real *dx = POISONED(rows * D), *dh0 = POISONED(B * H), *dc0 = POISONED(B * H);
    real *dW = ZEROED(4 * H * D), *dR = ZEROED(4 * H * H), *db = ZEROED(4 * H);
    assert_ok(syn_lstm_backward(&p.ctx, &q, D, H, false, get(&g, "x"), get(&g, "W"), get(&g, "R"),
                                get(&g, "h0"), get(&g, "c0"), h, H, c, v, get(&g, "dh"), H,
                                get(&g, "dhT"), get(&g, "dcT"), dx, dW, dR, db, dh0, dc0));
    expect(&g, "dx", dx);
    expect(&g, "dW", dW);
    expect(&g, "dR", dR);
    expect(&g, "db", db);
    expect(&g, "dh0", dh0);
    expect(&g, "dc0", dc0);
    pool_free(&p);
    golden_free(&g);
}

static void bilstm_matches_pytorch(void **state)
{
    golden g;
    golden_load(&g, "bilstm.txt");
    pool p = {0};
    assert_ok(syn_ctx_init(&p.ctx, SYN_DEVICE_CPU, 1));
    int32_t offset[64];
    int64_t longest = 0, batch = offsets(&g, offset, &longest), rows = offset[batch];
    int64_t D = g.width[find(&g, "x")], H = g.width[find(&g, "h")] / 2;
    syn_seq q = {batch, longest, rows, offset, NULL};
    real *h = POISONED(rows * 2 * H), *c = POISONED(2 * rows * H), *v = POISONED(2 * rows * 4 * H);
    assert_ok(syn_bilstm_forward(&p.ctx, &q, D, H, get(&g, "x"), get(&g, "Wf"), get(&g, "Rf"),
                                 get(&g, "bf"), get(&g, "Wr"), get(&g, "Rr"), get(&g, "br"), h, c,
                                 v));
    expect(&g, "h", h);
    real *dx = POISONED(rows * D), *dWf = ZEROED(4 * H * D), *dRf = ZEROED(4 * H * H);
    real *dbf = ZEROED(4 * H), *dWr = ZEROED(4 * H * D), *dRr = ZEROED(4 * H * H);
    real *dbr = ZEROED(4 * H);
    assert_ok(syn_bilstm_backward(&p.ctx, &q, D, H, get(&g, "x"), get(&g, "Wf"), get(&g, "Rf"),
                                  get(&g, "Wr"), get(&g, "Rr"), h, c, v, get(&g, "dh"), dx, dWf,
                                  dRf, dbf, dWr, dRr, dbr));
    expect(&g, "dx", dx);
    expect(&g, "dWf", dWf);
    expect(&g, "dRf", dRf);
    expect(&g, "dbf", dbf);
    expect(&g, "dWr", dWr);
    expect(&g, "dRr", dRr);
    expect(&g, "dbr", dbr);
    pool_free(&p);
    golden_free(&g);
}

static void attention_matches_pytorch(void **state)
{
    golden g;
    golden_load(&g, "attention.txt");
    pool p = {0};
    assert_ok(syn_ctx_init(&p.ctx, SYN_DEVICE_CPU, 1));
    int32_t offset[64];
    int64_t longest = 0, batch = offsets(&g, offset, &longest), rows = offset[batch];
    int64_t D = g.width[find(&g, "h")], A = g.width[find(&g, "w")];
    syn_seq q = {batch, longest, rows, offset, NULL};
    real *u = POISONED(rows * A), *alpha = POISONED(rows), *out = POISONED(batch * D);
    assert_ok(syn_attention_forward(&p.ctx, &q, D, A, get(&g, "h"), get(&g, "Wa"), get(&g, "w"),
                                    get(&g, "bias"), get(&g, "empty"), u, alpha, out));
    expect(&g, "alpha", alpha);
    expect(&g, "out", out);
    real *dh = POISONED(rows * D), *dbias = POISONED(rows);
    real *dWa = ZEROED(A * D), *dw = ZEROED(A), *dempty = ZEROED(D);
    assert_ok(syn_attention_backward(&p.ctx, &q, D, A, get(&g, "h"), get(&g, "Wa"), get(&g, "w"), u,
                                     alpha, get(&g, "dout"), dh, dWa, dw, dbias, dempty));
    expect(&g, "dh", dh);
    expect(&g, "dWa", dWa);
    expect(&g, "dw", dw);
    expect(&g, "dbias", dbias);
    expect(&g, "dempty", dempty);
    pool_free(&p);
    golden_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lstm_matches_pytorch),
        cmocka_unit_test(bilstm_matches_pytorch),
        cmocka_unit_test(attention_matches_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
