/* train --finetune: CKM and gap detector go on learning from the states of the roll-out, the other
 * judges do not, a run goes on to the bit, and what cannot be finetuned is refused. */
#include "tests/trainer/commands.h"
#include "tests/trainer/memory_dataset.h"

#include "trainer/finetune.h"
#include "trainer/ppo_private.h"

enum { RECORDS = 12, TEAM_MAX = 4, BOTH = SYN_FINETUNE_CKM | SYN_FINETUNE_GAP };

#define TINY                                                                                       \
    "--data train.h5 --batch-size 128 --mini-batch-size 64 --horizon 8 --epochs 2 "                \
    "--eval-episodes 40 --num-agents-range 2-4 --lr-finetune 1e-3 --threads 1 "

typedef struct world {
    syn_ctx ctx;
    syn_dataset ds;
    syn_idf idf;
    real *table;
    syn_corpus corpus;
    int32_t record[RECORDS];
    syn_model model;
    syn_ppo ppo;
    syn_finetune f;
} world;

static world w;

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    assert_ok(syn_ctx_init(&w.ctx, SYN_DEVICE_CPU, 1));
    dataset_begin(&w.ds);
    random_records(&w.ds, RECORDS, 6, 2, true);
    w.table = syn_device_alloc(&w.ctx, sizeof(real) * SYN_VOCABULARY * SYN_DE);
    syn_embedding_init(w.table, 1);
    assert_ok(syn_corpus_idf(&w.ds, NULL, &w.idf));
    assert_ok(syn_corpus_build(&w.ctx, &w.corpus, &w.ds, NULL, NULL, &w.idf, w.table, 0));
    for (int k = 0; k < RECORDS; k++) w.record[k] = k;
    cache_write("train.h5", 60, 1);
    untrained_write("init", "train.h5", true, false);
    return 0;
}

static int tear_down(void **state)
{
    syn_corpus_free(&w.ctx, &w.corpus);
    syn_device_free(&w.ctx, w.table);
    syn_dataset_free(&w.ds);
    syn_ctx_free(&w.ctx);
    return folder_teardown(state);
}

/* A roll-out of untrained networks; its states wait for the pass. */
static void begin(unsigned what, int64_t minibatches, double lr)
{
    const syn_ppo_source source = {&w.model.perception, w.record, RECORDS};
    syn_ppo_config cfg = SYN_PPO_DEFAULT;
    syn_env_config env = SYN_ENV_CONFIG_DEFAULT;
    env.agents_max = TEAM_MAX;
    cfg.minibatches = minibatches;
    cfg.shards = 2;
    cfg.shard_envs = 6;
    cfg.horizon = 8;
    w.model = (syn_model){.central = true, .has_perception = true, .has_control = true};
    assert_ok(syn_perception_init(&w.ctx, &w.model.perception, 2));
    assert_ok(syn_control_init(&w.ctx, &w.model.control, 3));
    assert_ok(syn_ppo_init(&w.ctx, &w.ppo, &cfg, &env, &w.corpus, true, &source, 1, 0.3f,
                           &w.model.control, NULL));
    assert_ok(syn_finetune_init(&w.f, what, lr, &w.ppo, &w.model));
    assert_ok(syn_ppo_rollout(&w.ppo));
}

static void end(void)
{
    syn_finetune_free(&w.f);
    syn_ppo_free(&w.ppo);
    syn_control_free(&w.ctx, &w.model.control);
    syn_perception_free(&w.ctx, &w.model.perception);
}

/* ---- What is learnt ---- */

/* Mean gap logit of the agents that lack something less that of the others, in the environments as
 * they stand: by the observers, as the policy sees it. */
static double separation(void)
{
    double sum[2] = {0};
    int count[2] = {0};
    assert_ok(syn_ppo_look(&w.ppo));
    for (int64_t s = 0; s < w.ppo.cfg.minibatches * w.ppo.local; s++) {
        const syn_ppo_shard *h = &w.ppo.shard[s];
        for (int64_t e = 0; e < w.ppo.cfg.shard_envs; e++) {
            for (int i = 0; i < h->envs[e].agents; i++) {
                const bool lacks = h->envs[e].gold & ~h->envs[e].memory[i];
                sum[lacks] += (double)h->observer.gap_logit[e * SYN_AGENTS_MAX + i];
                count[lacks]++;
            }
        }
    }
    assert_true(count[0] && count[1]);
    return sum[1] / count[1] - sum[0] / count[0];
}

static void losses_fall_on_the_states_of_the_roll_out(void **state)
{
    syn_finetune_stats first, s;
    begin(BOTH, 2, 1e-3);
    const double before = separation();
    assert_ok(syn_finetune_update(&w.f, 1, &first));
    for (int k = 0; k < 30; k++) assert_ok(syn_finetune_update(&w.f, 1, &s));
    const double after = separation();
    print_message("gap loss %.3f -> %.3f, link loss %.3f -> %.3f, logits apart %.2f -> %.2f\n",
                  first.gap_loss, s.gap_loss, first.link_loss, s.link_loss, before, after);
    assert_true(s.gap_loss < 0.8 * first.gap_loss);
    assert_true(s.link_loss < 0.8 * first.link_loss);
    assert_true(after > before + 0.5);
    assert_int_equal(w.model.perception.params.step, 31 * 2);
    end();
}

/* A step of length eps along it lowers the loss by eps times its norm. */
static void the_gradient_is_that_of_half_of_both_losses(void **state)
{
    const double eps = 5e-3;
    syn_finetune_stats at, there;
    begin(BOTH, 1, 0);
    syn_params *t = &w.model.perception.params;
    w.model.perception.dropout = 0;
    assert_ok(syn_finetune_update(&w.f, 1, &at));
    for (int64_t k = 0; k < t->total; k++)
        t->value[k] -= (real)(eps / at.grad_norm * (double)t->grad[k]);
    assert_ok(syn_finetune_update(&w.f, 1, &there));
    const double fall = 0.5 * (at.gap_loss + at.link_loss - there.gap_loss - there.link_loss) / eps;
    assert_true(fabs(fall - at.grad_norm) < 0.05 * at.grad_norm);
    end();
}

/* The tensors that the mask names change, every one; all others keep their bits. */
static void only_what_is_named_learns(void **state)
{
    for (unsigned what = 1; what <= BOTH; what++) {
        syn_finetune_stats s;
        begin(what, 2, 1e-3);
        syn_params *t = &w.model.perception.params;
        const uint64_t control = syn_params_hash(&w.model.control.params);
        real *before = malloc(sizeof(real) * (size_t)t->total);
        memcpy(before, t->value, sizeof(real) * (size_t)t->total);
        assert_ok(syn_finetune_update(&w.f, 1, &s));
        for (int i = 0; i < t->count; i++) {
            const bool ckm = i >= SYN_P_IN_W && i <= SYN_P_EMPTY, gap = i >= SYN_P_GAP_W1;
            const bool learns =
                (ckm && what & SYN_FINETUNE_CKM) || (gap && what & SYN_FINETUNE_GAP);
            const bool same = !memcmp(syn_value(t, i), before + t->item[i].offset,
                                      sizeof(real) * (size_t)t->item[i].count);
            /* Teams without an empty memory say nothing of what one is worth. */
            if (same == learns && i != SYN_P_EMPTY) {
                fail_msg("mask %u: %s %s", what, t->item[i].name, same ? "stands still" : "moves");
            }
        }
        assert_true(syn_params_hash(&w.model.control.params) == control);
        free(before);
        end();
    }
}

/* ---- What flows ---- */

/* PPO's loss of the minibatch, as an epoch has it. */
static double ppo_pass(void)
{
    const syn_ppo_coef coef = {(real)0.2, (real)0.005, (real)0.5, 0};
    real stats[SYN_PPO_STATS] = {0};
    for (int64_t l = 0; l < w.ppo.local; l++)
        assert_ok(syn_ppo_shard_gradient(&w.ppo, &w.ppo.shard[l], &coef, stats, NULL));
    return (double)stats[SYN_PPO_LOSS];
}

/* Makes the CKM vectors of the roll-out again, by observers that see its turns for the first time.
 */
static void replay(void)
{
    const int64_t E = w.ppo.cfg.shard_envs, T = w.ppo.cfg.horizon;
    const int64_t width = (int64_t)SYN_AGENTS_MAX * SYN_CKM;
    syn_observation x;
    assert_ok(syn_observation_alloc(&w.ctx, &x, E));
    for (int64_t l = 0; l < w.ppo.local; l++) {
        syn_observer o;
        assert_ok(syn_observer_init(&w.ctx, &o, E, true));
        for (int64_t t = 0; t < T; t++) {
            assert_ok(syn_observe_turn(&w.ctx, &o, &w.model.perception, &w.corpus.tasks,
                                       w.f.seen + (l * T + t) * E, &x));
            for (int64_t e = 0; e < E; e++) {
                const size_t present = (size_t)(x.count[e] * SYN_CKM);
                memcpy(w.ppo.shard[l].x.ckm + (t * E + e) * width, x.ckm + e * width,
                       sizeof(real) * present);
            }
        }
        syn_observer_free(&w.ctx, &o);
    }
    syn_observation_free(&w.ctx, &x);
}

/* A step of length eps along it, in the encoder, lowers PPO's loss by eps times its norm. */
static void the_policys_gradient_reaches_the_encoder(void **state)
{
    const double eps = 0.02;
    syn_finetune_stats s;
    begin(SYN_FINETUNE_CKM, 1, 0);
    syn_params *t = &w.model.perception.params;
    w.model.perception.dropout = 0;
    assert_ok(syn_finetune_update(&w.f, 1, &s)); /* of the labels alone */
    real *g = malloc(sizeof(real) * (size_t)t->total);
    memcpy(g, t->grad, sizeof(real) * (size_t)t->total);
    replay(); /* nothing has changed yet */
    const double at = ppo_pass();
    assert_ok(syn_finetune_update(&w.f, 1, &s));
    double norm = 0;
    const syn_param *end_of = &t->item[SYN_P_EMPTY];
    for (int64_t k = t->item[SYN_P_IN_W].offset; k < end_of->offset + end_of->count; k++) {
        g[k] = t->grad[k] - g[k];
        norm += (double)(g[k] * g[k]);
    }
    norm = sqrt(norm);
    for (int64_t k = t->item[SYN_P_IN_W].offset; k < end_of->offset + end_of->count; k++)
        t->value[k] -= (real)(eps / norm * (double)g[k]);
    replay();
    const double fall = (at - ppo_pass()) / eps;
    print_message("norm %.5f, the loss fell by %.5f for every unit\n", norm, fall);
    assert_true(norm > 1e-4 && fabs(fall - norm) < 0.05 * norm);
    free(g);
    end();
}

/* Where no epoch has run since the roll-out, and without ckm, nothing flows. */
static void a_gradient_flows_once(void **state)
{
    syn_finetune_stats label, both, after;
    begin(SYN_FINETUNE_CKM, 1, 0);
    assert_ok(syn_finetune_update(&w.f, 1, &label));
    ppo_pass();
    assert_ok(syn_finetune_update(&w.f, 1, &both));
    assert_ok(syn_finetune_update(&w.f, 1, &after));
    assert_true(both.grad_norm != label.grad_norm);
    assert_true(after.grad_norm == label.grad_norm);
    end();
    begin(SYN_FINETUNE_GAP, 1, 0);
    assert_null(w.f.dckm);
    end();
}

/* Other labels in a turn that is not taken change nothing. */
static void one_turn_in_four_is_taken_another_one_every_update(void **state)
{
    syn_finetune_stats true_ones, other;
    begin(BOTH, 1, 0);
    assert_int_equal(w.f.every, SYN_FINETUNE_EVERY);
    for (int64_t updates = 0; updates < 4; updates++) {
        w.ppo.updates = updates;
        assert_ok(syn_ppo_rollout(&w.ppo));
        assert_ok(syn_finetune_update(&w.f, 1, &true_ones));
        for (int64_t t = 0; t < 8; t++) {
            syn_env *envs = w.f.seen + t * 6;
            for (int e = 0; e < 6; e++) envs[e].gold = ~envs[e].gold;
            assert_ok(syn_finetune_update(&w.f, 1, &other));
            assert_int_equal(other.gap_loss != true_ones.gap_loss, t % 4 == updates);
            for (int e = 0; e < 6; e++) envs[e].gold = ~envs[e].gold;
        }
    }
    end();
}

/* ---- State ---- */

static void the_best_comes_back_with_its_calibration(void **state)
{
    syn_finetune_stats s;
    begin(BOTH, 1, 1e-3);
    w.model.perception.calibrated[SYN_GAP] = (syn_calibration){2, 0.5f};
    syn_finetune_keep(&w.f, &w.model.perception);
    const uint64_t kept = syn_params_hash(&w.model.perception.params);
    assert_ok(syn_finetune_update(&w.f, 1, &s));
    assert_ok(syn_finetune_calibrate(&w.f, w.record, RECORDS));
    assert_true(w.model.perception.calibrated[SYN_GAP].temperature != 2);
    assert_true(syn_params_hash(&w.model.perception.params) != kept);
    syn_finetune_take(&w.f);
    assert_true(syn_params_hash(&w.model.perception.params) == kept);
    assert_true(w.model.perception.calibrated[SYN_GAP].temperature == 2);
    assert_true(w.model.perception.calibrated[SYN_GAP].offset == 0.5f);
    end();
}

/* What it was before leaves no trace in a calibration. */
static void a_calibration_is_fitted_anew(void **state)
{
    syn_calibration c[2][SYN_GAP_OUT];
    begin(BOTH, 1, 1e-3);
    for (int k = 0; k < 2; k++) {
        assert_ok(syn_finetune_calibrate(&w.f, w.record, RECORDS));
        memcpy(c[k], w.model.perception.calibrated, sizeof c[k]);
    }
    assert_memory_equal(c[0], c[1], sizeof c[0]);
    end();
}

static void a_weight_that_is_not_finite_stops_it(void **state)
{
    syn_finetune_stats s;
    begin(BOTH, 1, 1e-3);
    syn_value(&w.model.perception.params, SYN_P_GAP_B5)[SYN_GAP] = NAN;
    const uint64_t weights = syn_params_hash(&w.model.perception.params);
    assert_int_equal(syn_finetune_update(&w.f, 1, &s), SYN_ERR_NUMERIC);
    assert_string_equal(syn_error_text(), "update 1, finetuning, minibatch 1: the loss of gaps and "
                                          "links is not finite; the step was not taken");
    assert_true(syn_params_hash(&w.model.perception.params) == weights);
    end();
}

static void a_run_without_moments_does_not_go_on(void **state)
{
    syn_checkpoint *cp = NULL;
    begin(BOTH, 1, 1e-3);
    assert_ok(syn_checkpoint_open(path_of("init"), &cp));
    assert_int_equal(syn_finetune_restore(&w.f, cp), SYN_ERR_FORMAT);
    assert_non_null(strstr(syn_error_text(), "it was not trained with --finetune"));
    syn_checkpoint_close(cp);
    end();
}

static void cross_fitted_judges_are_refused(void **state)
{
    syn_finetune other;
    begin(BOTH, 1, 1e-3);
    w.model.parts = 2;
    assert_int_equal(syn_finetune_init(&other, BOTH, 1e-3, &w.ppo, &w.model), SYN_ERR_INVALID);
    syn_finetune_free(&other);
    w.model.parts = 0;
    end();
}

/* ---- The command ---- */

static void judges_learn_and_ranker_and_refiner_do_not(void **state)
{
    int compared;
    assert_works("train " TINY "--init init --out both --env-steps 512 --finetune ckm,gap");
    assert_true(largest_difference("init", "both/latest", "perception.ranker", &compared) == 0);
    assert_true(largest_difference("init", "both/latest", "perception.refiner", &compared) == 0);
    assert_int_equal(compared, 6);
    assert_true(largest_difference("init", "both/latest", "perception.ckm", &compared) > 1e-3);
    assert_true(largest_difference("init", "both/latest", "perception.gap", &compared) > 1e-3);
    assert_true(largest_difference("init", "both/latest", "perception.calibration", &compared) > 0);
    assert_works("checkpoint verify both");
    assert_works("train " TINY "--init init --out gap --env-steps 128 --finetune gap");
    assert_true(largest_difference("init", "gap/latest", "perception.ckm", &compared) == 0);
    assert_true(largest_difference("init", "gap/latest", "perception.gap", &compared) > 1e-4);
}

/* The first line of a run's metrics. */
static json_t *first_line(const char *run)
{
    char *text = metrics_of(run);
    text[strcspn(text, "\n")] = 0;
    json_t *j = json_loads(text, 0, NULL);
    assert_non_null(j);
    free(text);
    return j;
}

/* PPO reads the roll-out as it was: the first update is the same with and without. */
static void policy_and_critic_are_not_disturbed(void **state)
{
    static const char *const same[] = {"policy_loss", "value_loss", "kl", "grad_norm", "return"};
    static const char *const more[] = {"finetune_gap_loss", "finetune_link_loss",
                                       "finetune_grad_norm", "lr_finetune"};
    int compared;
    assert_works("train " TINY "--init init --out plain --env-steps 128");
    assert_works("train " TINY "--init init --out tuned --env-steps 128 --finetune ckm,gap");
    assert_true(largest_difference("plain/latest", "tuned/latest", "control.", &compared) == 0);
    assert_true(largest_difference("init", "plain/latest", "perception.", &compared) == 0);
    json_t *plain = first_line("plain"), *tuned = first_line("tuned");
    for (size_t k = 0; k < sizeof same / sizeof *same; k++)
        assert_true(json_equal(json_object_get(plain, same[k]), json_object_get(tuned, same[k])));
    for (size_t k = 0; k < sizeof more / sizeof *more; k++) {
        assert_null(json_object_get(plain, more[k]));
        assert_true(json_number_value(json_object_get(tuned, more[k])) > 0);
    }
    json_decref(plain);
    json_decref(tuned);
}

/* Stopped where no evaluation was due, and after one. */
static void a_resumed_run_ends_in_the_same_bits(void **state)
{
    char whole[HASH_TEXT], hash[HASH_TEXT];
    static const char *const until[] = {"--init init --env-steps 128", "--resume --env-steps 256",
                                        "--resume --env-steps 384", "--resume --env-steps 512"};
    assert_works("train " TINY "--init init --out whole --env-steps 512 --eval-interval 2 "
                 "--finetune ckm,gap");
    for (int k = 0; k < 4; k++)
        assert_works("train " TINY "--out parts --eval-interval 2 --finetune ckm,gap %s", until[k]);
    assert_string_equal(content_of("parts/latest", hash), content_of("whole/latest", whole));
}

static void the_bits_do_not_depend_on_the_number_of_ranks(void **state)
{
    char one[HASH_TEXT], two[HASH_TEXT];
    assert_works("train " TINY "--init init --out one --env-steps 256 --deterministic "
                 "--eval-interval 1 --finetune ckm,gap");
    int code = syncog("--version >/dev/null; pids=; for r in 0 1; do SYNCOG_RANK=$r SYNCOG_RANKS=2 "
                      "'%s' train " TINY "--init init --out two --env-steps 256 --deterministic "
                      "--eval-interval 1 --compare-interval 1 --finetune ckm,gap "
                      "--rendezvous file:meet & pids=\"$pids $!\"; done; worst=0; "
                      "for p in $pids; do wait $p || worst=1; done; (exit $worst)",
                      SYN_PROGRAM);
    if (code) fail_msg("exit %d: %s", code, complained);
    assert_string_equal(content_of("two/latest", two), content_of("one/latest", one));
    assert_int_equal(assert_same_metrics("one", "two"), 2);
}

/* A checkpoint with cross-fitted parts. */
static void parts_write(const char *name)
{
    syn_model m;
    assert_ok(syn_model_load(&w.ctx, path_of("init"), &m, NULL, NULL));
    for (m.parts = 0; m.parts < 2; m.parts++)
        assert_ok(syn_perception_init(&w.ctx, &m.part[m.parts], 1));
    assert_ok(syn_model_save(path_of(name), &m, false, NULL, NULL));
    syn_model_free(&w.ctx, &m);
}

static void what_cannot_be_finetuned_is_refused(void **state)
{
    parts_write("crossfit");
    assert_works("train " TINY "--init init --out frozen --env-steps 128");
    assert_works("train " TINY "--init init --out moving --env-steps 128 --finetune ckm,gap");
    static const char *const refused[][2] = {
        {"--init crossfit --out x --finetune gap", "pre-trained with --cross-fit 0"},
        {"--init init --out x --finetune ckm,ranker", "--finetune knows no 'ranker'"},
        {"--out frozen --resume --finetune gap --env-steps 256", "another finetune"},
        {"--out moving --resume --env-steps 256", "another finetune"},
        {"--out moving --resume --finetune gap --env-steps 256", "another finetune"}};
    for (size_t k = 0; k < sizeof refused / sizeof *refused; k++)
        assert_one_sentence(refused[k][0], syncog("train " TINY "%s", refused[k][0]), 2,
                            refused[k][1]);
    assert_int_not_equal(access(path_of("x"), F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_fall_on_the_states_of_the_roll_out),
        cmocka_unit_test(the_gradient_is_that_of_half_of_both_losses),
        cmocka_unit_test(only_what_is_named_learns),
        cmocka_unit_test(the_policys_gradient_reaches_the_encoder),
        cmocka_unit_test(a_gradient_flows_once),
        cmocka_unit_test(one_turn_in_four_is_taken_another_one_every_update),
        cmocka_unit_test(the_best_comes_back_with_its_calibration),
        cmocka_unit_test(a_calibration_is_fitted_anew),
        cmocka_unit_test(a_weight_that_is_not_finite_stops_it),
        cmocka_unit_test(a_run_without_moments_does_not_go_on),
        cmocka_unit_test(cross_fitted_judges_are_refused),
        cmocka_unit_test(judges_learn_and_ranker_and_refiner_do_not),
        cmocka_unit_test(policy_and_critic_are_not_disturbed),
        cmocka_unit_test(a_resumed_run_ends_in_the_same_bits),
        cmocka_unit_test(the_bits_do_not_depend_on_the_number_of_ranks),
        cmocka_unit_test(what_cannot_be_finetuned_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
