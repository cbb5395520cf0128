/* Attention pooling on the device beside the CPU's. */
#include "kernels/attention.h"
#include "tests/kernels/twins.h"

enum { BATCH = 6 };
static const int32_t OFFSET[BATCH + 1] = {0, 3, 3, 4, 44, 51, 51}; /* lengths 3, 0, 1, 40, 7, 0 */

static void pooling(twins *t, bool packed, int64_t D, int64_t A, bool with_bias)
{
    const int64_t rows = packed ? OFFSET[BATCH] : 5 * BATCH;
    const syn_seq cpu = {BATCH, packed ? 40 : 5, rows, packed ? OFFSET : NULL, NULL};
    syn_seq gpu = cpu;
    if (packed) gpu.offset = twin_list(t, OFFSET, BATCH + 1);
    twin h = twin_random(t, 1, rows * D), Wa = twin_random(t, 2, A * D), w = twin_random(t, 3, A);
    twin bias = twin_random(t, 4, rows), empty = twin_random(t, 5, D);
    twin u = twin_poisoned(t, rows * A), alpha = twin_poisoned(t, rows),
         out = twin_poisoned(t, BATCH * D);
    assert_ok(syn_attention_forward(&t->cpu, &cpu, D, A, h.cpu, Wa.cpu, w.cpu,
                                    with_bias ? bias.cpu : NULL, empty.cpu, u.cpu, alpha.cpu,
                                    out.cpu));
    assert_ok(syn_attention_forward(&t->gpu, &gpu, D, A, h.gpu, Wa.gpu, w.gpu,
                                    with_bias ? bias.gpu : NULL, empty.gpu, u.gpu, alpha.gpu,
                                    out.gpu));
    twin_expect(t, CUDA_FP32, u, "attention, packed %d: u", packed);
    twin_expect(t, CUDA_FP32, alpha, "attention, packed %d: alpha", packed);
    twin_expect(t, CUDA_FP32, out, "attention, packed %d: out", packed);
    twin dout = twin_random(t, 6, BATCH * D), dh = twin_poisoned(t, rows * D);
    twin dWa = twin_random(t, 7, A * D), dw = twin_random(t, 8, A), dempty = twin_random(t, 9, D);
    twin dbias = twin_poisoned(t, rows);
    assert_ok(syn_attention_backward(&t->cpu, &cpu, D, A, h.cpu, Wa.cpu, w.cpu, u.cpu, alpha.cpu,
                                     dout.cpu, dh.cpu, dWa.cpu, dw.cpu,
                                     with_bias ? dbias.cpu : NULL, dempty.cpu));
    assert_ok(syn_attention_backward(&t->gpu, &gpu, D, A, h.gpu, Wa.gpu, w.gpu, u.gpu, alpha.gpu,
                                     dout.gpu, dh.gpu, dWa.gpu, dw.gpu,
                                     with_bias ? dbias.gpu : NULL, dempty.gpu));
    twin_expect(t, CUDA_FP32, dh, "attention, packed %d: dh", packed);
    twin_expect(t, CUDA_FP32, dWa, "attention, packed %d: dWa", packed);
    twin_expect(t, CUDA_FP32, dw, "attention, packed %d: dw", packed);
    twin_expect(t, CUDA_FP32, dbias, "attention, packed %d: dbias", packed);
    twin_expect(t, CUDA_FP32, dempty, "attention, packed %d: dempty", packed);
}

static void forward_and_backward_match(void **state)
{
    for (int packed = 0; packed < 2; packed++) {
        twins t;
        twins_begin(&t);
        pooling(&t, packed, 40, 24, true);
        pooling(&t, packed, 33, 130, false);
        pooling(&t, packed, 1, 1, true);
        twins_end(&t);
    }
}

/* Of sequences whose number is known on the device alone; room for more stays as it was. */
static void live_sequences_match(void **state)
{
    enum { D = 64, A = 48, ROOM = 9, ROOM_ROWS = 70 };
    for (int mixed = 0; mixed < 2; mixed++) {
        for (int32_t batch = 0; batch <= BATCH; batch += 3) {
            twins t;
            twins_begin(&t);
            t.gpu.math = mixed ? SYN_MATH_MIXED : SYN_MATH_FP32;
            const int32_t rows = OFFSET[batch];
            twin h = twin_random(&t, 1, ROOM_ROWS * D), Wa = twin_random(&t, 2, A * D);
            twin w = twin_random(&t, 3, A), bias = twin_random(&t, 4, ROOM_ROWS);
            twin empty = twin_random(&t, 5, D), alpha = twin_poisoned(&t, ROOM_ROWS);
            twin out = twin_poisoned(&t, ROOM * D);
            assert_ok(syn_attention_live(&t.cpu, ROOM, &batch, ROOM_ROWS, &rows, OFFSET, D, A,
                                         h.cpu, Wa.cpu, w.cpu, bias.cpu, empty.cpu, alpha.cpu,
                                         out.cpu));
            assert_ok(syn_attention_live(&t.gpu, ROOM, twin_list(&t, &batch, 1), ROOM_ROWS,
                                         twin_list(&t, &rows, 1), twin_list(&t, OFFSET, BATCH + 1),
                                         D, A, h.gpu, Wa.gpu, w.gpu, bias.gpu, empty.gpu, alpha.gpu,
                                         out.gpu));
            const double bound = mixed ? 2 * CUDA_TF32 : CUDA_FP32;
            twin_expect(&t, bound, alpha, "attention of %d live: alpha", (int)batch);
            twin_expect(&t, bound, out, "attention of %d live: out", (int)batch);
            twins_end(&t);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_and_backward_match),
        cmocka_unit_test(live_sequences_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
