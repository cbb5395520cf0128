/* The LSTM in the product's precision against plain loops in double, over odd shapes, layouts and
 * thread counts; equal runs must be equal to the bit. */
#include "tests/kernels/lstm_problem.h"

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* One step of one sequence: h, c (H) in double, inout. */
static void reference_step(const problem *p, int64_t row, double *h, double *c, double *z)
{
    int64_t D = p->z.D, H = p->z.H;
    for (int64_t j = 0; j < 4 * H; j++) {
        z[j] = p->b[j];
        for (int64_t d = 0; d < D; d++) z[j] += (double)p->W[j * D + d] * p->x[row * D + d];
        for (int64_t k = 0; k < H; k++) z[j] += p->R[j * H + k] * h[k];
    }
    for (int64_t j = 0; j < H; j++) {
        c[j] = sigmoid(z[H + j]) * c[j] + sigmoid(z[j]) * tanh(z[2 * H + j]);
        h[j] = sigmoid(z[3 * H + j]) * tanh(c[j]);
    }
}

static void expect_row(const real *got, const double *want, int64_t n, const char *name)
{
    for (int64_t j = 0; j < n; j++)
        if (!(fabs(got[j] - want[j]) <= 3e-6))
            fail_msg("%s[%lld] is %.9g, not %.9g", name, (long long)j, got[j], want[j]);
}

static void expect_reference(const problem *p)
{
    const shape *s = &p->z;
    int64_t H = s->H;
    double *h = malloc(sizeof *h * (size_t)(6 * H));
    assert_non_null(h);
    double *c = h + H, *z = h + 2 * H;
    for (int64_t b = 0; b < s->batch; b++) {
        for (int64_t j = 0; j < H; j++) {
            h[j] = s->from_zero ? 0 : p->h0[b * H + j];
            c[j] = s->from_zero ? 0 : p->c0[b * H + j];
        }
        int64_t length = syn_seq_length(&p->seq, b);
        for (int64_t i = 0; i < length; i++) {
            int64_t t = s->reverse ? length - 1 - i : i, row = syn_seq_row(&p->seq, b, t);
            if (p->seq.reset && p->seq.reset[t * s->batch + b])
                memset(h, 0, sizeof *h * (size_t)(2 * H));
            reference_step(p, row, h, c, z);
            expect_row(p->h + row * H, h, H, "h");
            expect_row(p->c + row * H, c, H, "c");
        }
        expect_row(p->hT + b * H, h, H, "hT");
        expect_row(p->cT + b * H, c, H, "cT");
    }
    free(h);
}

static void forward_matches_the_plain_loops(void **state)
{
    for (int i = 0; i < SHAPE_COUNT; i++) {
        for (int threads = 1; threads <= 3; threads++) {
            problem p = problem_create(SHAPES[i], threads);
            forward(&p);
            expect_reference(&p);
            problem_free(&p);
        }
    }
}

static void expect_close(const real *a, const real *b, int64_t n, const char *name, int shape_index)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - b[i]) <= 1e-4 * (1 + fabs((double)b[i]))))
            fail_msg("shape %d: %s[%lld] is %.9g with more threads, %.9g with one", shape_index,
                     name, (long long)i, a[i], b[i]);
}

static void backward_does_not_depend_on_the_threads(void **state)
{
    for (int i = 0; i < SHAPE_COUNT; i++) {
        problem one = problem_create(SHAPES[i], 1);
        forward(&one);
        backward(&one);
        const shape *z = &SHAPES[i];
        for (int threads = 2; threads <= 3; threads++) {
            problem more = problem_create(SHAPES[i], threads);
            forward(&more);
            backward(&more);
            expect_close(more.dx, one.dx, one.seq.rows * z->D, "dx", i);
            expect_close(more.dW, one.dW, 4 * z->H * z->D, "dW", i);
            expect_close(more.dR, one.dR, 4 * z->H * z->H, "dR", i);
            expect_close(more.db, one.db, 4 * z->H, "db", i);
            expect_close(more.dh0, one.dh0, z->batch * z->H, "dh0", i);
            expect_close(more.dc0, one.dc0, z->batch * z->H, "dc0", i);
            problem_free(&more);
        }
        problem_free(&one);
    }
}

static void equal_runs_are_equal_to_the_bit(void **state)
{
    for (int i = 0; i < SHAPE_COUNT; i++) {
        problem a = problem_create(SHAPES[i], 2), b = problem_create(SHAPES[i], 2);
        forward(&a);
        backward(&a);
        forward(&b);
        backward(&b);
        const shape *z = &SHAPES[i];
        size_t size = sizeof(real), rows = (size_t)a.seq.rows, H = (size_t)z->H, D = (size_t)z->D;
        assert_memory_equal(a.h, b.h, size * rows * H);
        assert_memory_equal(a.dx, b.dx, size * rows * D);
        assert_memory_equal(a.dW, b.dW, size * 4 * H * D);
        assert_memory_equal(a.dR, b.dR, size * 4 * H * H);
        assert_memory_equal(a.dh0, b.dh0, size * (size_t)z->batch * H);
        problem_free(&a);
        problem_free(&b);
    }
}

/* Without a place for cells and gates the result is the same; the state may be updated in place. */
static void inference_needs_no_gates(void **state)
{
    for (int i = 0; i < SHAPE_COUNT; i++) {
        if (SHAPES[i].from_zero) continue;
        problem p = problem_create(SHAPES[i], 2);
        const shape *z = &p.z;
        size_t state_bytes = sizeof(real) * (size_t)(z->batch * z->H);
        forward(&p);
        real *h = p.h;
        syn_rng rng = syn_rng_make(1, SYN_STREAM_TEST);
        p.h = numbers(p.seq.rows * z->H, NAN, &rng);
        assert_ok(syn_lstm_forward(&p.ctx, &p.seq, z->D, z->H, z->reverse, p.x, p.W, p.R, p.b, p.h0,
                                   p.c0, p.h, z->H, NULL, NULL, p.h0, p.c0));
        assert_memory_equal(p.h, h, sizeof(real) * (size_t)(p.seq.rows * z->H));
        assert_memory_equal(p.h0, p.hT, state_bytes);
        assert_memory_equal(p.c0, p.cT, state_bytes);
        /* One without the other is nobody's wish. */
        assert_int_equal(syn_lstm_forward(&p.ctx, &p.seq, z->D, z->H, z->reverse, p.x, p.W, p.R,
                                          p.b, NULL, NULL, p.h, z->H, p.c, NULL, NULL, NULL),
                         SYN_ERR_INVALID);
        free(h);
        problem_free(&p);
    }
}

static void no_sequences_are_no_work(void **state)
{
    problem p = problem_create((shape){1, 2, 3, 4, .packed = true}, 1);
    int32_t none[3] = {0, 0, 0};
    p.seq = (syn_seq){2, 0, 0, none, NULL};
    real hT[8], cT[8];
    assert_ok(syn_lstm_forward(&p.ctx, &p.seq, 3, 4, false, NULL, p.W, p.R, p.b, NULL, NULL, NULL,
                               4, NULL, NULL, hT, cT));
    for (int i = 0; i < 8; i++) assert_true(hT[i] == 0 && cT[i] == 0);
    p.seq = (syn_seq){0, 0, 0, NULL, NULL};
    assert_ok(syn_lstm_forward(&p.ctx, &p.seq, 3, 4, false, NULL, p.W, p.R, p.b, NULL, NULL, NULL,
                               4, NULL, NULL, NULL, NULL));
    problem_free(&p);
}

static void malformed_sequences_are_refused(void **state)
{
    problem p = problem_create((shape){4, 3, 3, 4, .packed = true}, 1);
    syn_seq good = p.seq;
    p.offset[2]--; /* sequence 1 then has a length below zero */
    assert_int_equal(syn_lstm_forward(&p.ctx, &p.seq, 3, 4, false, p.x, p.W, p.R, p.b, NULL, NULL,
                                      p.h, 4, p.c, p.v, NULL, NULL),
                     SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "sequence 1"));
    p.offset[2]++;
    p.seq.rows--;
    assert_int_equal(syn_lstm_forward(&p.ctx, &p.seq, 3, 4, false, p.x, p.W, p.R, p.b, NULL, NULL,
                                      p.h, 4, p.c, p.v, NULL, NULL),
                     SYN_ERR_INVALID);
    p.seq = good;
    p.seq.reset = p.reset;
    assert_int_equal(syn_lstm_forward(&p.ctx, &p.seq, 3, 4, false, p.x, p.W, p.R, p.b, NULL, NULL,
                                      p.h, 4, p.c, p.v, NULL, NULL),
                     SYN_ERR_INVALID);
    p.seq = (syn_seq){4, 3, 11, NULL, NULL};
    assert_int_equal(syn_lstm_forward(&p.ctx, &p.seq, 3, 4, false, p.x, p.W, p.R, p.b, NULL, NULL,
                                      p.h, 4, p.c, p.v, NULL, NULL),
                     SYN_ERR_INVALID);
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_matches_the_plain_loops),
        cmocka_unit_test(backward_does_not_depend_on_the_threads),
        cmocka_unit_test(equal_runs_are_equal_to_the_bit),
        cmocka_unit_test(inference_needs_no_gates),
        cmocka_unit_test(no_sequences_are_no_work),
        cmocka_unit_test(malformed_sequences_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
