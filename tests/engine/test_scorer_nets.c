/* The networks by themselves give what they give inside of a session. */
#include "engine/syncog_private.h"
#include "tests/engine/scorer_world.h"

/* Pairs of a team's vectors in the order of its gap matrix; the diagonal is the mean form. */
static void pairs_of(const real *ckm, int n, real *pair)
{
    for (int k = 0; k < n * n; k++) {
        const int i = k / n, j = k % n;
        real *x = pair + k * 2 * SYN_CKM;
        memcpy(x, ckm + i * SYN_CKM, sizeof(real) * SYN_CKM);
        for (int d = 0; d < SYN_CKM; d++) {
            real sum = 0;
            for (int o = 0; o < n; o++) sum += o == i ? 0 : ckm[o * SYN_CKM + d];
            x[SYN_CKM + d] = i == j ? sum / (real)(n - 1) : ckm[j * SYN_CKM + d];
        }
    }
}

static void pairs_of_vectors_have_the_gaps_of_their_team(void **state)
{
    enum { PAIRS = 1100 };
    static real pair[PAIRS * 2 * SYN_CKM];
    static float link[PAIRS], gap[PAIRS], one_link[PAIRS], one_gap[PAIRS];
    syn_ctx ctx;
    syn_scorer *s = scorer_of(&ctx, 1, 1);
    syn_session *session = session_of(PIECES);
    const syn_env team = opening(session);
    const syn_score_result r = score(s, slot_of(s, PIECES), &team, SYN_WANT_CKM);
    pairs_of(r.ckm, 3, pair);
    for (int k = 9; k < PAIRS; k++)
        memcpy(pair + k * 2 * SYN_CKM, pair + k % 9 * 2 * SYN_CKM, sizeof(real) * 2 * SYN_CKM);
    real gaps[9];
    memcpy(gaps, r.gaps, sizeof gaps);
    const syn_gap_part all = {PAIRS, pair, link, gap};
    syn_score_times times;
    assert_ok(syn_scorer_gaps(s, 1, &all, &times));
    assert_true(times.compute_s > 0);
    for (int k = 0; k < PAIRS; k++) {
        const int i = k % 9;
        assert_float_equal((i % 4 == 0 ? gap[k] : link[k]), gaps[i], 1e-5);
    }
    /* However the rows are dealt among callers. */
    const int64_t deal[] = {0, 1, 500, 0, 12, 587, 0};
    syn_gap_part part[7];
    int64_t at = 0;
    for (int k = 0; k < 7; at += deal[k++]) {
        part[k] = (syn_gap_part){deal[k], pair + at * 2 * SYN_CKM, one_link + at, one_gap + at};
    }
    assert_int_equal(at, PAIRS);
    assert_ok(syn_scorer_gaps(s, 7, part, NULL));
    for (int k = 0; k < PAIRS; k++) {
        assert_float_equal(one_link[k], link[k], 1e-6);
        assert_float_equal(one_gap[k], gap[k], 1e-6);
    }
    assert_ok(syn_scorer_gaps(s, 0, NULL, NULL));
    part[0].n = -1;
    assert_says(syn_scorer_gaps(s, 1, part, NULL), SYN_ERR_INVALID, "part 0");
    syn_session_free(session);
    scorer_end(&ctx, s);
}

static void items_become_the_vectors_of_their_agents(void **state)
{
    enum { M = 5, COPIES = 250 };
    static real items[COPIES * M * SYN_DI], ckm[COPIES * SYN_CKM], relevance[COPIES * M];
    static int32_t length[COPIES];
    syn_ctx ctx;
    syn_scorer *s = scorer_of(&ctx, 1, 1);
    syn_session *session = session_of(PIECES);
    syn_env team = opening(session);
    float want[N * SYN_CKM];
    real packed[R * SYN_DI], bias[R];
    int32_t offset[2];
    assert_ok(syn_session_ckm(session, &team, want));
    memset(items, 0xff, sizeof items); /* beyond the length nothing is read */
    for (int32_t k = 0; k < COPIES; k++) {
        const int32_t agent = k % 3;
        length[k] = k == 7 ? 0 : team.count[agent];
        (void)syn_observe_items(&shared->ctx, &session->observer, &session->tasks, &team, 1, &agent,
                                offset, packed, bias);
        memcpy(items + k * M * SYN_DI, packed, sizeof(real) * (size_t)(length[k] * SYN_DI));
    }
    const syn_ckm_call q = {COPIES, M, items, length, ckm, relevance};
    assert_ok(syn_scorer_ckm(s, &q, NULL));
    for (int k = 0; k < COPIES; k++) {
        double sum = 0;
        for (int d = 0; d < SYN_CKM && k != 7; d++)
            assert_float_equal(ckm[k * SYN_CKM + d], want[k % 3 * SYN_CKM + d], 1e-5);
        for (int t = 0; t < M; t++) sum += (double)relevance[k * M + t];
        assert_float_equal(sum, k == 7 ? 0 : 1, 1e-5);
        for (int t = length[k]; t < M; t++) assert_true(relevance[k * M + t] == 0);
    }
    assert_memory_equal(ckm + 7 * SYN_CKM, syn_value(&shared->model.perception.params, SYN_P_EMPTY),
                        sizeof(real) * SYN_CKM);
    length[3] = M + 1;
    assert_says(syn_scorer_ckm(s, &q, NULL), SYN_ERR_INVALID, "length[3] is 6, of 5");
    syn_session_free(session);
    scorer_end(&ctx, s);
}

static void sequences_of_messages_are_steps_of_the_memory(void **state)
{
    enum { T = 4, SEQUENCES = 150 };
    static real message[SEQUENCES * T * SYN_DM], h[SEQUENCES * SYN_STATE], c[SEQUENCES * SYN_STATE];
    static int32_t length[SEQUENCES];
    syn_ctx ctx;
    syn_scorer *s = scorer_of(&ctx, 1, 1);
    syn_rng rng = syn_rng_make(9, SYN_STREAM_TEST);
    for (int k = 0; k < SEQUENCES * T * SYN_DM; k++) message[k] = syn_rng_uniform(&rng) - (real).5;
    for (int k = 0; k < SEQUENCES * SYN_STATE; k++) h[k] = c[k] = syn_rng_uniform(&rng) - (real).5;
    for (int k = 0; k < SEQUENCES; k++) length[k] = k % (T + 1);
    real want_h[SYN_STATE], want_c[SYN_STATE];
    enum { ONE = 148 }; /* of three steps, in the second piece */
    memcpy(want_h, h + ONE * SYN_STATE, sizeof want_h);
    memcpy(want_c, c + ONE * SYN_STATE, sizeof want_c);
    for (int t = 0; t < 3; t++) {
        const int32_t one = 1;
        const syn_state_call step = {1, 1, message + (ONE * T + t) * SYN_DM, &one, want_h, want_c};
        assert_ok(syn_scorer_states(s, &step, NULL));
    }
    real still[SYN_STATE];
    memcpy(still, h + 5 * SYN_STATE, sizeof still);
    const syn_state_call q = {SEQUENCES, T, message, length, h, c};
    assert_ok(syn_scorer_states(s, &q, NULL));
    for (int d = 0; d < SYN_STATE; d++) {
        assert_float_equal(h[ONE * SYN_STATE + d], want_h[d], 1e-5);
        assert_float_equal(c[ONE * SYN_STATE + d], want_c[d], 1e-5);
    }
    assert_memory_equal(h + 5 * SYN_STATE, still, sizeof still); /* no step at all */
    length[0] = -1;
    assert_says(syn_scorer_states(s, &q, NULL), SYN_ERR_INVALID, "length[0]");
    scorer_end(&ctx, s);
}

static void a_decision_from_given_features_is_that_of_a_session(void **state)
{
    enum { COPIES = 67 };
    syn_ctx ctx;
    syn_scorer *s = scorer_of(&ctx, 1, 1);
    syn_session *session = session_of(PIECES);
    syn_env team = opening(session);
    float all[A];
    syn_action a;
    apply(session, &team, SYN_SEND, 1, 0);
    assert_ok(syn_session_decide(session, &team, NULL, true, &a, NULL, all));
    const size_t width[] = {SYN_STATE, N * SYN_CKM, 2 * N * N * SYN_PAIR_X, N * SYN_AGENT_X,
                            SYN_SUMMARY};
    const real *from[] = {session->after.h, session->x.ckm, session->x.pair_x, session->x.agent_x,
                          session->x.summary};
    real *x[5], probability[COPIES * A], value[COPIES];
    int32_t agents[COPIES];
    uint8_t mask[COPIES * A];
    for (int k = 0; k < 5; k++) {
        x[k] = malloc(sizeof(real) * COPIES * width[k]);
        assert_non_null(x[k]);
        for (int row = 0; row < COPIES; row++)
            memcpy(x[k] + (size_t)row * width[k], from[k], sizeof(real) * width[k]);
    }
    for (int row = 0; row < COPIES; row++) {
        memcpy(mask + row * A, session->x.mask, A);
        agents[row] = 3;
    }
    const syn_policy_call q = {COPIES, x[0],   x[1], x[2],        x[3],
                               x[4],   agents, mask, probability, value};
    assert_ok(syn_scorer_policy(s, &q, NULL));
    for (int k = 0; k < COPIES * A; k++) assert_float_equal(probability[k], all[k % A], 1e-5);
    syn_engine *g = session->engine;
    real logit[A], want;
    assert_ok(syn_policy_forward(&g->ctx, &g->model.control, 1, &session->x, session->after.h,
                                 logit, &want));
    for (int row = 0; row < COPIES; row++) assert_float_equal(value[row], want, 1e-4);
    agents[66] = 11;
    assert_says(syn_scorer_policy(s, &q, NULL), SYN_ERR_INVALID, "agents[66] is 11");
    for (int k = 0; k < 5; k++) free(x[k]);
    syn_session_free(session);
    scorer_end(&ctx, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_of_vectors_have_the_gaps_of_their_team),
        cmocka_unit_test(items_become_the_vectors_of_their_agents),
        cmocka_unit_test(sequences_of_messages_are_steps_of_the_memory),
        cmocka_unit_test(a_decision_from_given_features_is_that_of_a_session),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
