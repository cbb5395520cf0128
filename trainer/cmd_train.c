/* syncog train */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/machine.h"
#include "trainer/place.h"
#include "trainer/ppo_state.h"
#include "trainer/stop.h"
#include "trainer/train_options.h"

int syn_cmd_train(int argc, char **argv);

typedef struct command_state {
    syn_train_options o;
    syn_machine machine;
    syn_run s;
    syn_corpus corpus;
    syn_model m;
    syn_checkpoint *cp;
    char *config, *provenance;
    syn_train_result result;
} command_state;

static syn_status load_model(command_state *k, syn_train_config *c)
{
    const syn_train_options *o = &k->o;
    SYN_RETURN_IF(syn_model_read(&k->s.ctx, k->cp, &k->m));
    syn_run_check_folds(&o->run, o->resume ? o->out : o->init, syn_checkpoint_provenance(k->cp));
    if (!k->m.has_perception) {
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: holds no ckm and gap detector; run 'syncog pretrain' first",
                        o->resume ? o->out : o->init);
    }
    if (c->finetune && k->m.parts) {
        return syn_fail(SYN_ERR_USAGE,
                        "--finetune: %s holds cross-fitted judges, of which none is deployed; it "
                        "takes a checkpoint pre-trained with --cross-fit 0",
                        o->resume ? o->out : o->init);
    }
    if (o->resume && !k->m.has_policy) {
        return syn_fail(SYN_ERR_FORMAT,
                        "--resume: %s: holds no run to go on with, but a checkpoint without a "
                        "policy; give it as --init, and another --out",
                        o->out);
    }
    if (o->resume) {
        SYN_RETURN_IF(syn_train_stored_check(k->cp, o, c));
        SYN_RETURN_IF(syn_train_stored_init(k->cp, &k->config));
        c->config_json = k->config;
        c->resume = k->cp;
    }
    if (!k->m.has_control)
        SYN_RETURN_IF(syn_control_init(&k->s.ctx, &k->m.control, (uint64_t)o->run.seed));
    else if (!o->resume)
        SYN_RETURN_IF(syn_ppo_state_weights_only(&k->m.control, k->cp));
    k->m.has_control = true;
    return SYN_OK;
}

/* What the folders are wrong for is told before anything is read. */
static syn_status open_places(command_state *k)
{
    const syn_train_options *o = &k->o;
    bool replaces;
    if (o->resume) return syn_place_open_run(o->out, &k->cp);
    if (syn_dist_rank(k->machine.dist) == 0)
        SYN_RETURN_IF(syn_place_begin(o->out, o->init, o->overwrite, true, &replaces));
    return syn_place_open_init(o->init, &k->cp);
}

static syn_status train(command_state *k)
{
    syn_train_options *o = &k->o;
    syn_train_config c;
    SYN_RETURN_IF(syn_train_options_config(o, k->machine.on_gpu, k->machine.dist, &c));
    if (k->machine.on_gpu) c.device = &k->machine.gpu;
    SYN_RETURN_IF(open_places(k));
    SYN_RETURN_IF(syn_run_open(&k->s, &o->run, true));
    c.provenance_json = k->provenance = syn_run_provenance(&k->s, &o->run);
    c.config_json = k->config = syn_train_stored_text(o, &c);
    if (!k->provenance || !k->config)
        return syn_fail(SYN_ERR_MEMORY, "out of memory for the options");
    SYN_RETURN_IF(load_model(k, &c));
    SYN_RETURN_IF(syn_machine_same(&k->machine, k->config, k->provenance,
                                   syn_checkpoint_content_sha256(k->cp)));
    if (syn_dist_rank(k->machine.dist) == 0) SYN_RETURN_IF(syn_run_out(&k->s, o->out));
    syn_status st = syn_corpus_build(&k->s.ctx, &k->corpus, &k->s.data, k->s.use, k->s.use,
                                     k->m.idf, k->m.table, (int)o->run.pieces);
    SYN_RETURN_IF(syn_run_about_data(st, &o->run));
    SYN_RETURN_IF(syn_corpus_weigh(&k->corpus, &k->s.data, k->s.weight));
    if (k->m.perception.without & SYN_WITHOUT_TITLES) syn_corpus_without_titles(&k->corpus);
    st = syn_train(&k->s.ctx, &c, &k->s.data, &k->corpus, &k->m, &k->result);
    SYN_RETURN_IF(syn_run_about_data(st, &o->run));
    if (syn_dist_rank(k->machine.dist) != 0) return SYN_OK;
    const syn_train_result *r = &k->result;
    const double busy = r->rollout_seconds + r->update_seconds;
    printf("trained %lld env-steps in %.1f s (%.0f a second: roll-out %.1f s, update %.1f s); best "
           "held-out return %.2f at %lld; KL stop in %.0f %% of updates%s\nsaved %s\n",
           (long long)r->env_steps, r->seconds, busy > 0 ? (double)r->env_steps / busy : 0,
           r->rollout_seconds, r->update_seconds, r->best_return, (long long)r->best_steps,
           100 * r->kl_stop_share, r->stopped_early ? "; stopped early" : "", o->out);
    return SYN_OK;
}

int syn_cmd_train(int argc, char **argv)
{
    command_state *k = calloc(1, sizeof *k);
    bool done = false;
    if (!k) return syn_exit_code(syn_fail(SYN_ERR_MEMORY, "out of memory"));
    syn_status st = syn_train_options_parse(&k->o, argc, argv, &done);
    if (st == SYN_OK && !done) {
        syn_stop_watch();
        st = syn_machine_open(&k->machine, &k->o.run);
        if (st == SYN_OK) st = train(k);
    }
    int code = syn_machine_end(&k->machine, st);
    if (st == SYN_ERR_INTERRUPTED) code = 128 + k->result.signal;
    free(k->config);
    free(k->provenance);
    syn_checkpoint_close(k->cp);
    if (k->s.ready) {
        syn_model_free(&k->s.ctx, &k->m);
        syn_corpus_free(&k->s.ctx, &k->corpus);
    }
    syn_run_close(&k->s);
    syn_machine_close(&k->machine);
    free(k);
    return code;
}
