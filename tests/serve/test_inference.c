/* The Open Inference Protocol over HTTP: what the networks give is what the scorer gives by itself,
 * whichever way tensors travel; the orchestrator decides as a session would. */
#include "tests/serve/inference_world.h"

/* ---- The networks ---- */

static void ckm_is_the_scorer_s(void **state)
{
    enum { M = 7 };
    static float items[BATCH * M * SYN_DI], ckm[BATCH * SYN_CKM], relevance[BATCH * M];
    const int32_t length[BATCH] = {7, 0, 1, 5, 7};
    fill(items, BATCH * M * SYN_DI, 2);
    const syn_ckm_call call = {BATCH, M, items, length, ckm, relevance};
    assert_ok(syn_scorer_ckm(scorer, &call, NULL));
    each_way("ckm", BATCH, M, (const void *[]){items, length}, (const char *[]){"ckm", "relevance"},
             (const float *[]){ckm, relevance}, (int64_t[]){BATCH * SYN_CKM, BATCH * M});
}

static void states_are_the_scorer_s(void **state)
{
    enum { T = 6 };
    static float message_x[BATCH * T * SYN_DM], h0[BATCH * SYN_STATE], c0[BATCH * SYN_STATE],
        h[BATCH * SYN_STATE], c[BATCH * SYN_STATE];
    const int32_t length[BATCH] = {6, 0, 1, 5, 6};
    fill(message_x, BATCH * T * SYN_DM, 3);
    fill(h0, BATCH * SYN_STATE, 4);
    fill(c0, BATCH * SYN_STATE, 5);
    memcpy(h, h0, sizeof h);
    memcpy(c, c0, sizeof c);
    const syn_state_call call = {BATCH, T, message_x, length, h, c};
    assert_ok(syn_scorer_states(scorer, &call, NULL));
    each_way("state_encoder", BATCH, T, (const void *[]){message_x, length, h0, c0},
             (const char *[]){"h", "c"}, (const float *[]){h, c},
             (int64_t[]){BATCH * SYN_STATE, BATCH * SYN_STATE});
}

static void the_policy_is_the_scorer_s(void **state)
{
    static float s[BATCH * SYN_STATE], ckm[BATCH * N * SYN_CKM],
        pair[BATCH * 2 * N * N * SYN_PAIR_X], agent[BATCH * N * SYN_AGENT_X],
        summary[BATCH * SYN_SUMMARY], probability[BATCH * A], value[BATCH];
    static uint8_t mask[BATCH * A];
    const int32_t agents[BATCH] = {2, 3, 10, 4, 2};
    fill(s, BATCH * SYN_STATE, 6);
    fill(ckm, BATCH * N * SYN_CKM, 7);
    fill(pair, BATCH * 2 * N * N * SYN_PAIR_X, 8);
    fill(agent, BATCH * N * SYN_AGENT_X, 9);
    fill(summary, BATCH * SYN_SUMMARY, 10);
    for (int k = 0; k < BATCH * A; k++) mask[k] = k % 3 == 0;
    for (int k = 0; k < BATCH; k++) mask[k * A + A - 1] = 1;
    const syn_policy_call call = {BATCH,   s,      ckm,  pair,        agent,
                                  summary, agents, mask, probability, value};
    assert_ok(syn_scorer_policy(scorer, &call, NULL));
    each_way("policy", BATCH, 1, (const void *[]){s, ckm, pair, agent, summary, agents, mask},
             (const char *[]){"probability", "value"}, (const float *[]){probability, value},
             (int64_t[]){BATCH * A, BATCH});
}

static void counts_beyond_their_range_are_refused(void **state)
{
    float items[2 * SYN_DI] = {0};
    for (int k = 0; k < 2; k++) {
        const int32_t length = k ? -1 : 3;
        message m = message_new();
        const char *header = header_of_inputs(&m, syn_inference_model_of("ckm"), 1, 2,
                                              (const void *[]){items, &length}, true, "");
        svc_reply r = infer("ckm", header, &m);
        assert_error(&r, 400, "'length'");
        free(m.text);
    }
}

static void bodies_are_compressed_both_ways(void **state)
{
    static float x[64 * PAIR], link[64], gap[64], got[64];
    fill(x, 64 * PAIR, 11);
    const syn_gap_part part = {64, x, link, gap};
    assert_ok(syn_scorer_gaps(scorer, 1, &part, NULL));
    for (int coding = SYN_CODING_GZIP; coding <= SYN_CODING_DEFLATE; coding++) {
        const char *name = syn_coding_name((syn_coding)coding);
        char more[200], *zipped, *body;
        size_t zipped_bytes, bytes;
        message m = message_new();
        const char *header = header_of_inputs(&m, syn_inference_model_of("gap_detector"), 64, 1,
                                              (const void *[]){x}, true, "");
        assert_ok(syn_zip((syn_coding)coding, m.text, m.bytes, &zipped, &zipped_bytes));
        snprintf(more, sizeof more, "%sContent-Encoding: %s\r\nAccept-Encoding: %s\r\n", header,
                 name, name);
        svc_reply r = post("/v2/models/gap_detector/infer", more, zipped, zipped_bytes);
        assert_int_equal(r.status, 200);
        assert_string_equal(svc_header(&r, "Content-Encoding"), name);
        assert_ok(syn_unzip((syn_coding)coding, r.body, r.bytes, 1 << 20, &body, &bytes));
        svc_reply plain = {.head = strdup("\r\n"), .body = body, .bytes = bytes};
        output(&plain, "gap", got, 64);
        assert_near(got, gap, 64, "gap");
        free(plain.head);
        free(body);
        svc_forget(&r);
        r = post("/v2/models/gap_detector/infer", more, zipped, zipped_bytes - 3);
        assert_error(&r, 400, "not encoded");
        free(zipped);
        free(m.text);
    }
    message bomb = message_new();
    char *zeros = calloc(1, 17 << 20), *zipped;
    size_t bytes;
    assert_ok(syn_zip(SYN_CODING_GZIP, zeros, 17 << 20, &zipped, &bytes));
    svc_reply r =
        post("/v2/models/gap_detector/infer", "Content-Encoding: gzip\r\n", zipped, bytes);
    assert_error(&r, 400, "decodes to more");
    r = post("/v2/models/gap_detector/infer", "Content-Encoding: br\r\n", "{}", 2);
    assert_error(&r, 415, "neither gzip nor deflate");
    free(zeros);
    free(zipped);
    free(bomb.text);
}

/* ---- The orchestrator ---- */

static int number(const json_t *object, const char *name)
{
    return (int)json_integer_value(json_object_get(object, name));
}

/* The same pieces in the order in which the request names them: rows as the orchestrator has them.
 */
static syn_session *session_as_asked(syn_env *team, int *piece_of_row)
{
    syn_document row[PIECES];
    uint32_t holds[3] = {0};
    int n = 0;
    syn_session *s;
    for (int i = 0; i < 3; i++) {
        for (uint32_t left = dealt[i]; left; left &= left - 1) {
            row[n] = pieces[syn_lowest(left)];
            row[n].claim = false; /* a request has documents alone */
            holds[i] |= 1u << n;
            piece_of_row[n++] = syn_lowest(left);
        }
    }
    assert_ok(syn_session_create(shared, question, row, n, &s));
    assert_ok(syn_session_begin(s, SYN_GOAL_ASKER, 3, holds, 12, team));
    return s;
}

static void the_orchestrator_decides_as_a_session_does(void **state)
{
    char history[2000] = "";
    int piece_of_row[PIECES];
    syn_env team;
    syn_session *s = session_as_asked(&team, piece_of_row);
    bool sent = false;
    for (int turn = 0; turn < 5; turn++) {
        float gaps[9], sufficiency, probability;
        uint8_t mask[A];
        syn_action a;
        memset(mask, 1, sizeof mask);
        mask[A - 1] = turn > 0; /* nobody gives up before anything was told */
        assert_ok(syn_session_observe(s, &team, gaps, &sufficiency));
        assert_ok(syn_session_decide(s, &team, mask, true, &a, &probability, NULL));
        message m = message_new();
        put_team(&m, history);
        json_t *d = decision_of(&m);
        assert_string_equal(json_string_value(json_object_get(d, "policy")), "trained");
        assert_string_equal(json_string_value(json_object_get(d, "action")),
                            syn_action_name((syn_action_kind)a.kind));
        assert_float_equal(json_real_value(json_object_get(d, "probability")), (double)probability,
                           1e-5);
        assert_float_equal(json_real_value(json_object_get(d, "sufficiency")), (double)sufficiency,
                           1e-5);
        for (int k = 0; k < 9; k++) {
            const json_t *row = json_array_get(json_object_get(d, "gaps"), (size_t)(k / 3));
            assert_float_equal(json_real_value(json_array_get(row, (size_t)(k % 3))),
                               (double)gaps[k], 1e-5);
        }
        if (a.kind <= SYN_BROADCAST) {
            char id[8];
            sent = true;
            assert_int_equal(number(d, "from"), a.from + 1);
            assert_int_equal(number(d, "to"), a.kind == SYN_BROADCAST ? 0 : a.to + 1);
            snprintf(id, sizeof id, "r%d", piece_of_row[a.piece]);
            assert_string_equal(json_string_value(json_object_get(d, "item")), id);
        }
        json_decref(d);
        free(m.text);
        if (a.kind > SYN_BROADCAST) { /* any other move, that the history goes on */
            a = (syn_action){SYN_SEND, (int8_t)(1 + turn % 2), 0, -1};
            assert_ok(syn_session_apply(s, &team, &a));
            a = team.last;
        } else {
            assert_ok(syn_session_apply(s, &team, &a));
        }
        sprintf(history + strlen(history),
                "%s{\"action\":\"%s\",\"from\":%d,%s%.0d%s\"item\":\"r%d\"}", turn ? "," : "",
                syn_action_name((syn_action_kind)a.kind), a.from + 1,
                a.kind == SYN_BROADCAST ? "" : "\"to\":", a.kind == SYN_BROADCAST ? 0 : a.to + 1,
                a.kind == SYN_BROADCAST ? "" : ",", piece_of_row[a.piece]);
    }
    assert_true(sent);
    syn_session_free(s);
}

static void a_wrong_team_is_refused(void **state)
{
    static const char *const bodies[] = {
        "{}", "", "{\"question\":\"<b>\",\"agents\":[{\"items\":[{\"text\":\"a\"}]},{}],\"x\":1}",
        "{\"question\":\"a\",\"agents\":[{\"items\":[{\"text\":\"a\"}]},{}],\"history\":[{"
        "\"action\":"
        "\"send\",\"from\":2,\"to\":1,\"item\":\"1\"}]}"};
    for (int k = 0; k < 4; k++) {
        svc_reply r = post("/v2/models/orchestrator/infer",
                           "Inference-Header-Content-Length: 0\r\n", bodies[k], strlen(bodies[k]));
        assert_error(&r, 400, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gaps_are_the_scorer_s),
                                       cmocka_unit_test(ckm_is_the_scorer_s),
                                       cmocka_unit_test(states_are_the_scorer_s),
                                       cmocka_unit_test(the_policy_is_the_scorer_s),
                                       cmocka_unit_test(counts_beyond_their_range_are_refused),
                                       cmocka_unit_test(bodies_are_compressed_both_ways),
                                       cmocka_unit_test(the_orchestrator_decides_as_a_session_does),
                                       cmocka_unit_test(a_wrong_team_is_refused)};
    return cmocka_run_group_tests(tests, begin, end);
}
