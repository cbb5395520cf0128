/* Evidence dealt to the agents of a live team, as episodes of training are dealt. */
#include <string.h>

#include <xxhash.h>

#include "benchmarks/live_task_private.h"

/* As many parts as a HotpotQA record has paragraphs: what one agent may miss is a tenth. */
enum { STORY_PARTS = 10 };

syn_rng syn_live_lots(const syn_live_bench *b, const syn_question *q, int agents)
{
    return syn_rng_make(b->seed, XXH3_64bits_withSeed(q->id, strlen(q->id), (XXH64_hash_t)agents));
}

void syn_live_deal(syn_rng *lots, int rows, uint32_t gold, int agents, uint8_t *owner)
{
    int size[SYN_AGENTS_MAX];
    uint8_t deal[SYN_ROWS_MAX];
    if (agents == 1 || rows == 0 || rows > SYN_ROWS_MAX) {
        for (int k = 0; k < rows; k++)
            owner[k] = agents == 1 ? 0 : (uint8_t)syn_rng_below(lots, (uint32_t)agents);
        return;
    }
    const uint32_t present = rows == 32 ? ~0u : (1u << rows) - 1;
    const int closable = 1, by_lot = 2; /* strata: the asker lacks gold; no rule */
    /* The asker has something, and somebody else too. */
    syn_env_draw_sizes(lots, rows, agents, rows > 1, rows - 1, size);
    syn_env_deal(lots, present, gold, gold ? closable : by_lot, SYN_GOAL_ASKER, size[0], deal);
    for (int i = 0, at = 0; i < agents; i++)
        for (int k = 0; k < size[i]; k++) owner[deal[at++]] = (uint8_t)i;
}

static bool is_blank(const char *text)
{
    return !text[strspn(text, " \t\r\n")];
}

static const char *numbered(syn_arena *arena, int k)
{
    syn_text_builder t = {.arena = arena};
    syn_build(&t, "d%d", k);
    return syn_built(&t);
}

syn_status syn_live_deal_passages(const syn_live_bench *b, const syn_question *q, int agents,
                                  syn_arena *arena, syn_round_config *config)
{
    const int max =
        q->document_count < SYN_ROUND_DOCUMENTS_MAX ? q->document_count : SYN_ROUND_DOCUMENTS_MAX;
    syn_round_document *documents = syn_arena_alloc(arena, (size_t)(max + 1) * sizeof *documents);
    uint8_t *owner = syn_arena_alloc(arena, (size_t)max + 1);
    const syn_question_document **shown =
        syn_arena_alloc(arena, (size_t)(max + 1) * sizeof(void *));
    syn_rng lots = syn_live_lots(b, q, agents);
    uint32_t gold = 0;
    int count = 0;
    if (arena->failed) return syn_fail(SYN_ERR_MEMORY, "out of memory for the documents");
    for (int k = 0; k < max; k++)
        if (!is_blank(q->documents[k].text)) shown[count++] = &q->documents[k];
    /* Where a document stands says nothing either. */
    for (int k = count - 1; k > 0; k--) {
        const int other = (int)syn_rng_below(&lots, (uint32_t)k + 1);
        const syn_question_document *d = shown[k];
        shown[k] = shown[other];
        shown[other] = d;
    }
    for (int k = 0; k < count && count <= SYN_ROWS_MAX; k++) gold |= shown[k]->gold ? 1u << k : 0;
    syn_live_deal(&lots, count, gold, agents, owner);
    for (int k = 0; k < count; k++)
        documents[k] = (syn_round_document){.id = numbered(arena, k),
                                            .title = shown[k]->title,
                                            .text = shown[k]->text,
                                            .agents = 1u << owner[k]};
    config->documents = documents;
    config->document_count = count;
    return SYN_OK;
}

/* The sentences [from, to) of the story. */
static const char *part_of(syn_arena *arena, const syn_question_document *story, int from, int to)
{
    syn_text_builder t = {.arena = arena};
    for (int s = from; s < to; s++) syn_build(&t, "%s%s", s > from ? " " : "", story->sentences[s]);
    return syn_built(&t);
}

syn_status syn_live_deal_story(const syn_live_bench *b, const syn_question *q, int agents,
                               syn_arena *arena, syn_round_config *config)
{
    const syn_question_document *story = &q->documents[0];
    const int n = story->sentence_count, parts = n < STORY_PARTS ? n : STORY_PARTS;
    syn_round_document *documents = syn_arena_alloc(arena, (STORY_PARTS + 1) * sizeof *documents);
    uint8_t owner[STORY_PARTS];
    syn_rng lots = syn_live_lots(b, q, agents);
    uint32_t gold = 0;
    if (!documents) return syn_fail(SYN_ERR_MEMORY, "out of memory for the story");
    for (int f = 0; f < q->fact_count; f++) {
        const int64_t s = q->facts[f].sentence;
        for (int p = 0; p < parts; p++)
            if (s >= (int64_t)p * n / parts && s < (int64_t)(p + 1) * n / parts) gold |= 1u << p;
    }
    syn_live_deal(&lots, parts, gold, agents, owner);
    for (int p = 0; p < parts; p++) {
        const int from = (int)((int64_t)p * n / parts), to = (int)((int64_t)(p + 1) * n / parts);
        const char *text = part_of(arena, story, from, to);
        if (is_blank(text)) continue;
        documents[config->document_count++] =
            (syn_round_document){.id = numbered(arena, config->document_count),
                                 .title = "",
                                 .text = text,
                                 .agents = 1u << owner[p]};
    }
    config->documents = documents;
    return SYN_OK;
}
