#include "benchmarks/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/eval_parts.h"

syn_status syn_eval_side_init(syn_ctx *ctx, syn_eval_side *s, const syn_dataset *ds,
                              const uint8_t *use, const uint8_t *pool, const syn_model *model,
                              int pieces)
{
    memset(s, 0, sizeof *s);
    SYN_RETURN_IF(
        syn_corpus_build(ctx, &s->corpus, ds, use, pool, model->idf, model->table, pieces));
    if (model->perception.without & SYN_WITHOUT_TITLES) syn_corpus_without_titles(&s->corpus);
    s->record = malloc(sizeof *s->record * (size_t)s->corpus.records);
    if (!s->record) {
        const long long records = s->corpus.records;
        syn_eval_side_free(ctx, s);
        return syn_fail(SYN_ERR_MEMORY, "out of memory for %lld records", records);
    }
    for (int64_t k = 0; k < s->corpus.records; k++) s->record[k] = (int32_t)k;
    return SYN_OK;
}

void syn_eval_side_free(syn_ctx *ctx, syn_eval_side *s)
{
    free(s->record);
    syn_corpus_free(ctx, &s->corpus);
    memset(s, 0, sizeof *s);
}

syn_play syn_eval_play(const syn_evaluation *ev, const syn_eval_side *s)
{
    const syn_model *m = ev->model;
    return (syn_play){.ctx = ev->ctx,
                      .corpus = &s->corpus,
                      .env = ev->cfg->env,
                      .record = s->record,
                      .records = s->corpus.records,
                      .seed = s->seed,
                      .central = m->central,
                      .perception = &m->perception,
                      .control = m->has_policy ? &m->control : NULL};
}

const syn_eval_row *syn_eval_find(const syn_eval_report *r, const char *name)
{
    for (int k = 0; k < r->rows; k++) {
        if (!strcmp(r->row[k].name, name)) return &r->row[k];
    }
    return NULL;
}

static void report_clear(syn_eval_report *r)
{
    const syn_interval unknown = {NAN, NAN, NAN};
    memset(r, 0, sizeof *r);
    r->gap.shuffled_auroc = r->rollout_auroc = r->rollout_balanced_accuracy = NAN;
    r->difference = (syn_eval_difference){unknown, unknown, unknown};
}

syn_status syn_evaluate(syn_ctx *ctx, const syn_eval_config *cfg, const syn_dataset *ds,
                        const uint8_t *use, const syn_model *model, syn_eval_report *report)
{
    syn_status st;
    syn_evaluation ev = {.ctx = ctx, .cfg = cfg, .ds = ds, .model = model, .report = report};
    report_clear(report);
    SYN_REQUIRE(model->has_perception, "the checkpoint holds no trained networks");
    SYN_REQUIRE(!cfg->validation || model->has_policy,
                "the checkpoint holds no trained policy whose stopping could be swept");
    SYN_TRY(syn_eval_side_init(ctx, &ev.side, ds, use, NULL, model, cfg->pieces));
    ev.side.episodes = cfg->episodes;
    ev.side.seed = cfg->seed;
    report->records = ev.side.corpus.records;
    report->episodes = cfg->episodes;
    SYN_TRY(syn_eval_openings(&ev));
    SYN_TRY(syn_eval_policies(&ev));
    if (model->has_policy) SYN_TRY(syn_eval_mixed(&ev));
    if (cfg->validation) SYN_TRY(syn_eval_sweep(&ev));
    syn_eval_finish(report);
done:
    for (int k = 0; k < SYN_EVAL_ROWS_MAX; k++) free(ev.result[k]);
    syn_paths_free(&ev.learned);
    syn_paths_free(&ev.round_robin);
    syn_eval_side_free(ctx, &ev.side);
    return st;
}
