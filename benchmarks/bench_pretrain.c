#include "benchmarks/bench_pretrain.h"

#include <stdio.h>
#include <stdlib.h>

#include "benchmarks/drawn_corpus.h"
#include "trainer/pretrain.h"
#include "trainer/task_file.h"

enum { RECORDS = 200, RECORDS_TINY = 8 };

typedef struct fitted {
    syn_ctx host; /* where the tasks lie; ctx's device has a copy */
    syn_corpus corpus;
    syn_perception theirs, ours; /* of the file; fitted here */
    syn_pretrain_split split;
} fitted;

static syn_status prepare(syn_ctx *ctx, fitted *f, const syn_bench_pretrain_options *o)
{
    if (o->tasks)
        SYN_RETURN_IF(syn_task_file_read(&f->host, o->tasks, &f->corpus, &f->theirs));
    else
        SYN_RETURN_IF(syn_drawn_corpus(&f->host, &f->corpus, o->tiny ? RECORDS_TINY : RECORDS, 1));
    syn_pretrain_split *s = &f->split;
    s->train = malloc(sizeof *s->train * (size_t)f->corpus.records);
    s->held = malloc(sizeof *s->held * (size_t)f->corpus.records);
    if (!s->train || !s->held) return syn_fail(SYN_ERR_MEMORY, "out of memory for the tasks");
    for (int64_t k = 0; k < f->corpus.records; k++) {
        if (k % 7 == 6)
            s->held[s->held_count++] = (int32_t)k;
        else
            s->train[s->train_count++] = (int32_t)k;
    }
    if (!s->held_count)
        return syn_fail(SYN_ERR_FORMAT, "%lld tasks are too few to keep some out",
                        (long long)f->corpus.records);
    return syn_corpus_upload(ctx, &f->corpus);
}

syn_status syn_bench_pretrain(syn_ctx *ctx, const syn_bench_pretrain_options *options)
{
    syn_status st;
    fitted f = {0};
    syn_pretrain_result r;
    syn_pretrain_config c = SYN_PRETRAIN_DEFAULT;
    c.seed = options->seed;
    c.dropout = 0;
    c.gap_steps = options->steps;
    c.ranker_steps = (options->steps * 2 + 2) / 3;
    c.quiet = true;
    if (options->tiny) c.batch = c.check_episodes = 4;
    SYN_RETURN_IF(syn_ctx_init(&f.host, SYN_DEVICE_CPU, ctx->threads));
    SYN_TRY(prepare(ctx, &f, options));
    SYN_TRY(syn_pretrain_fit(ctx, &c, &f.corpus, &f.split, &f.ours, &r));
    const int64_t steps = 2 * c.ranker_steps + c.gap_steps;
    printf("{\"bench\": \"pretrain\", \"device\": \"%s\", \"math\": \"%s\", \"seed\": %llu, "
           "\"steps\": %lld, \"seconds\": %.3f, \"steps_per_s\": %.1f, \"ranker_auroc\": %.4f, "
           "\"gap_auroc\": %.4f, \"gap_ece\": %.4f, \"link_auroc\": %.4f, \"hash\": "
           "\"%016llx\"}\n",
           ctx->device == SYN_DEVICE_CUDA ? "cuda" : "cpu",
           ctx->math == SYN_MATH_MIXED ? "mixed" : "fp32", (unsigned long long)options->seed,
           (long long)steps, r.seconds, (double)steps / r.seconds, r.ranker_auroc, r.gap_auroc,
           r.gap_ece, r.link_auroc, (unsigned long long)syn_params_hash(&f.ours.params));
done:
    syn_corpus_unload(ctx, &f.corpus);
    free(f.split.train);
    free(f.split.held);
    syn_perception_free(&f.host, &f.ours);
    syn_perception_free(&f.host, &f.theirs);
    syn_corpus_free(&f.host, &f.corpus);
    syn_ctx_free(&f.host);
    return st;
}
