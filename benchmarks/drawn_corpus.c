#include "benchmarks/drawn_corpus.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/base/rng.h"

enum { PIECES = 10, ROWS = PIECES + SYN_FOREIGN_ROWS, GOLD_MAX = 4, R = SYN_ROWS_MAX };

static real between(syn_rng *rng, double low, double high)
{
    return (real)(low + (high - low) * syn_rng_uniform(rng));
}

static void draw_info(syn_rng *rng, syn_task_info *info)
{
    *info = (syn_task_info){.pieces = PIECES};
    for (uint32_t left = 1 + syn_rng_below(rng, GOLD_MAX); left;) {
        const uint32_t bit = 1u << syn_rng_below(rng, PIECES);
        left -= !(info->gold & bit);
        info->gold |= bit;
    }
}

static void draw_quest(syn_rng *rng, const syn_task_info *info, bool titled, real *quest)
{
    for (int p = 0; p < ROWS; p++) {
        real *x = quest + p * SYN_DQ;
        const bool gold = info->gold >> p & 1;
        x[SYN_Q_COSINE] = between(rng, gold ? 0.3 : 0, gold ? 1.2 : 0.6);
        for (int k = SYN_Q_COVERAGE; k <= SYN_Q_CAPITAL; k++)
            x[k] = between(rng, gold ? 0.2 : 0, gold ? 0.9 : 0.5);
        if (titled) {
            x[SYN_Q_TITLE_IN] = syn_rng_uniform(rng) < (gold ? 0.5f : 0.05f);
            x[SYN_Q_TITLE_SHARE] = between(rng, 0, gold ? 1 : 0.4);
            x[SYN_Q_TITLE_COVER] = between(rng, 0, gold ? 0.7 : 0.3);
            x[SYN_Q_TITLED] = 1;
        }
        x[SYN_Q_SPAN] = syn_rng_uniform(rng) < (gold ? 0.4f : 0.1f);
        x[SYN_Q_NUMBER] = syn_rng_uniform(rng) < 0.1f;
        x[SYN_Q_LENGTH] = between(rng, 0.5, 0.9);
    }
}

static void draw_pair(syn_rng *rng, const syn_task_info *info, bool titled, real *pair)
{
#define PAIR(c, a, b) pair[((c)*R + (a)) * R + (b)]
    for (int a = 0; a < ROWS; a++) {
        for (int b = 0; b < ROWS; b++) {
            if (a == b) continue;
            const bool linked = (info->gold >> a & 1) && (info->gold >> b & 1);
            const bool named = titled && syn_rng_uniform(rng) < (linked ? 0.5f : 0.03f);
            PAIR(SYN_PAIR_MENTION, a, b) = PAIR(SYN_PAIR_MENTION_T, b, a) = named;
            PAIR(SYN_PAIR_PARTIAL, a, b) = PAIR(SYN_PAIR_PARTIAL_T, b, a) =
                titled ? between(rng, 0, linked ? 1 : 0.3) : 0;
            PAIR(SYN_PAIR_COVER, a, b) = between(rng, 0, info->gold >> a & 1 ? 0.6 : 0.3);
            if (b < a) continue; /* the other channels are symmetric */
            const bool span = syn_rng_uniform(rng) < (linked ? 0.5f : 0.05f);
            PAIR(SYN_PAIR_CAPITAL, a, b) = PAIR(SYN_PAIR_CAPITAL, b, a) =
                between(rng, 0, linked ? 0.8 : 0.4);
            PAIR(SYN_PAIR_SPAN, a, b) = PAIR(SYN_PAIR_SPAN, b, a) = span;
            PAIR(SYN_PAIR_COSINE, a, b) = PAIR(SYN_PAIR_COSINE, b, a) =
                between(rng, 0, linked ? 0.5 : 0.3);
        }
    }
#undef PAIR
}

/* Both tasks of a record: with titles and without. */
static syn_status draw_record(syn_ctx *ctx, const syn_tasks *t, int64_t record, uint64_t seed,
                              real *quest, real *pair)
{
    syn_task_info info;
    syn_rng rng = syn_rng_make(seed, ((uint64_t)SYN_STREAM_SYNTH << 32) + (uint64_t)record);
    draw_info(&rng, &info);
    for (int64_t k = 2 * record; k < 2 * record + 2; k++) {
        const bool titled = k == 2 * record;
        memset(quest, 0, sizeof *quest * SYN_TASK_QUEST);
        memset(pair, 0, sizeof *pair * SYN_TASK_PAIR);
        draw_quest(&rng, &info, titled, quest);
        draw_pair(&rng, &info, titled, pair);
        SYN_RETURN_IF(syn_copy_in(ctx, t->info + k, &info, sizeof info));
        SYN_RETURN_IF(
            syn_copy_in(ctx, t->quest + k * SYN_TASK_QUEST, quest, sizeof *quest * SYN_TASK_QUEST));
        SYN_RETURN_IF(
            syn_copy_in(ctx, t->pair + k * SYN_TASK_PAIR, pair, sizeof *pair * SYN_TASK_PAIR));
    }
    return SYN_OK;
}

syn_status syn_drawn_corpus(syn_ctx *ctx, syn_corpus *c, int64_t records, uint64_t seed)
{
    syn_status st;
    real *quest = malloc(sizeof *quest * SYN_TASK_QUEST);
    real *pair = malloc(sizeof *pair * SYN_TASK_PAIR);
    memset(c, 0, sizeof *c);
    if (!quest || !pair) {
        st = syn_fail(SYN_ERR_MEMORY, "out of memory for a task");
        goto done;
    }
    SYN_TRY(syn_tasks_alloc(ctx, &c->tasks, 2 * records));
    c->records = records;
    for (int64_t r = 0; r < records; r++)
        SYN_TRY(draw_record(ctx, &c->tasks, r, seed, quest, pair));
done:
    if (st != SYN_OK) syn_corpus_free(ctx, c);
    free(quest);
    free(pair);
    return st;
}
