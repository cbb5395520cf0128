/* Turns of CoQA: each is a question about the story, with the turns before it as the dialogue. */
#include <inttypes.h>
#include <stdlib.h>

#include "datasets/coqa.h"
#include "datasets/question_private.h"

typedef struct stories {
    syn_story *conversation;
} stories;

/* The story as the one document, without what is gold in it. */
static syn_question_document *story_add(syn_arena *arena, const syn_story *c)
{
    syn_question_document *d = syn_arena_alloc(arena, sizeof *d);
    const char **sentences =
        syn_arena_array(arena, (size_t)c->sentence_count + 1, sizeof *sentences);
    if (!d || !sentences) return NULL;
    for (int k = 0; k < c->sentence_count; k++)
        sentences[k] = syn_slice_text(arena, c->sentences[k].text);
    *d = (syn_question_document){.title = "",
                                 .text = syn_slice_text(arena, c->story),
                                 .sentences = sentences,
                                 .sentence_count = c->sentence_count,
                                 .gold = true};
    return d;
}

/* All turns as they were spoken; each question has the first part of them before it. */
static syn_spoken *dialogue_add(syn_arena *arena, const syn_story *c)
{
    syn_spoken *spoken = syn_arena_array(arena, 2 * (size_t)c->question_count + 1, sizeof *spoken);
    for (int t = 0; spoken && t < c->question_count; t++) {
        spoken[2 * t] = (syn_spoken){"user", syn_slice_text(arena, c->turns[t].question)};
        spoken[2 * t + 1] = (syn_spoken){"system", syn_slice_text(arena, c->turns[t].answer)};
    }
    return spoken;
}

static bool facts_add(syn_arena *arena, const syn_story *c, int t, syn_question *n)
{
    int count = 0;
    for (int k = 0; k < c->sentence_count; k++)
        count += syn_story_touches(&c->turns[t], &c->sentences[k]);
    syn_gold_fact *facts = syn_arena_array(arena, (size_t)count + 1, sizeof *facts);
    if (!facts) return false;
    for (int k = 0; k < c->sentence_count; k++)
        if (syn_story_touches(&c->turns[t], &c->sentences[k]))
            facts[n->fact_count++] = (syn_gold_fact){.title = "", .sentence = k, .document = 0};
    n->facts = facts;
    return true;
}

static bool answers_add(syn_arena *arena, const syn_story *c, int t, const char *answer,
                        syn_question *n)
{
    const char **answers = syn_arena_array(arena, (size_t)c->reference_count + 1, sizeof *answers);
    if (!answers) return false;
    answers[0] = answer;
    for (int i = 0; i < c->reference_count; i++)
        answers[i + 1] = syn_slice_text(arena, c->references[i].answers[t]);
    n->answers = answers;
    n->answer_count = c->reference_count + 1;
    return true;
}

static bool coqa_read(syn_questions *q, syn_slice name)
{
    (void)name;
    syn_arena *arena = &q->arena;
    syn_story *c = ((stories *)q->state)->conversation;
    if (!syn_story_read(&q->json, c)) return false;
    syn_question_document *story = story_add(arena, c);
    syn_spoken *spoken = dialogue_add(arena, c);
    const char *id = syn_slice_text(arena, c->id), *source = syn_slice_text(arena, c->source);
    if (!story || !spoken) return false;
    for (int t = 0; t < c->question_count; t++) {
        if (c->turns[t].bad) {
            q->counted.skipped[SYN_QUESTION_BAD_TURN]++;
            continue;
        }
        syn_question *n = syn_question_add(q);
        if (!n || !facts_add(arena, c, t, n) ||
            !answers_add(arena, c, t, spoken[2 * t + 1].text, n))
            return false;
        n->id = syn_arena_format(arena, "%s#%" PRId64, id, c->turns[t].number);
        n->context = id;
        n->turn = (int)c->turns[t].number;
        n->question = spoken[2 * t].text;
        n->domain = source;
        n->documents = story;
        n->document_count = 1;
        n->answerable = !syn_story_unknown(&c->turns[t]);
        n->dialogue = spoken;
        n->dialogue_count = 2 * t;
    }
    return true;
}

static syn_status coqa_open(syn_questions *q)
{
    static const char *const patterns[] = {"dev",  "coqa-dev*.json",  "train", "coqa-train*.json",
                                           "test", "coqa-test*.json", NULL};
    stories *state = q->state;
    state->conversation = malloc(sizeof *state->conversation);
    if (!state->conversation)
        return syn_fail(SYN_ERR_MEMORY, "%s: no memory for a conversation", q->path);
    return syn_question_choose(q, patterns);
}

static void coqa_close(syn_questions *q)
{
    free(((stories *)q->state)->conversation);
}

const syn_question_format syn_question_coqa = {
    .benchmark = "coqa",
    .layout = SYN_JSON_DATA,
    .state_bytes = sizeof(stories),
    .read = coqa_read,
    .open = coqa_open,
    .close = coqa_close,
};
