/* A deep copy of a question in one block: counted first, then laid down. */
#include <stdlib.h>
#include <string.h>

#include "datasets/question.h"

enum { ALIGNMENT = 16 };

/* Where the copy stands; without a block it only counts. */
typedef struct copier {
    char *block;
    size_t used;
} copier;

static void *lay(copier *c, const void *from, size_t bytes)
{
    if (!from || !bytes) return NULL;
    char *to = c->block ? memcpy(c->block + c->used, from, bytes) : NULL;
    c->used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return to;
}

static const char *text(copier *c, const char *from)
{
    return from ? lay(c, from, strlen(from) + 1) : NULL;
}

static const char *const *texts(copier *c, const char *const *from, int count)
{
    const char **to = lay(c, from, (size_t)count * sizeof *from);
    for (int i = 0; i < count; i++) {
        const char *copy = text(c, from[i]);
        if (to) to[i] = copy;
    }
    return to;
}

/* Copies an array of structs and the texts in them: member by member, through `each`. */
#define COPY_ARRAY(name, type, each)                                                               \
    static const type *name(copier *c, const type *from, int count)                                \
    {                                                                                              \
        type *to = lay(c, from, (size_t)count * sizeof *from);                                     \
        for (int i = 0; i < count; i++) {                                                          \
            type copy = from[i];                                                                   \
            each;                                                                                  \
            if (to) to[i] = copy;                                                                  \
        }                                                                                          \
        return to;                                                                                 \
    }

COPY_ARRAY(choices, syn_choice, (copy.label = text(c, copy.label), copy.text = text(c, copy.text)))
COPY_ARRAY(documents, syn_question_document,
           (copy.title = text(c, copy.title), copy.text = text(c, copy.text),
            copy.sentences = texts(c, copy.sentences, copy.sentence_count)))
COPY_ARRAY(facts, syn_gold_fact, (copy.title = text(c, copy.title)))
COPY_ARRAY(spoken, syn_spoken,
           (copy.speaker = text(c, copy.speaker), copy.text = text(c, copy.text)))
COPY_ARRAY(shots, syn_shot,
           (copy.question = text(c, copy.question), copy.answer = text(c, copy.answer),
            copy.choices = choices(c, copy.choices, copy.choice_count)))
COPY_ARRAY(slots, syn_slot,
           (copy.domain = text(c, copy.domain), copy.slot = text(c, copy.slot),
            copy.value = text(c, copy.value)))
COPY_ARRAY(goals, syn_user_goal,
           (copy.domain = text(c, copy.domain), copy.info = slots(c, copy.info, copy.info_count),
            copy.book = slots(c, copy.book, copy.book_count),
            copy.requests = texts(c, copy.requests, copy.request_count)))
COPY_ARRAY(tasks, syn_task_turn,
           (copy.dialogue = text(c, copy.dialogue),
            copy.goals = goals(c, copy.goals, copy.goal_count),
            copy.messages = texts(c, copy.messages, copy.message_count),
            copy.active = texts(c, copy.active, copy.active_count),
            copy.state = slots(c, copy.state, copy.state_count),
            copy.before = slots(c, copy.before, copy.before_count),
            copy.booked = texts(c, copy.booked, copy.booked_count),
            copy.reference = text(c, copy.reference),
            copy.delexicalised = text(c, copy.delexicalised)))
COPY_ARRAY(questions, syn_question,
           (copy.benchmark = text(c, copy.benchmark), copy.id = text(c, copy.id),
            copy.context = text(c, copy.context), copy.question = text(c, copy.question),
            copy.domain = text(c, copy.domain), copy.level = text(c, copy.level),
            copy.choices = choices(c, copy.choices, copy.choice_count),
            copy.documents = documents(c, copy.documents, copy.document_count),
            copy.answers = texts(c, copy.answers, copy.answer_count),
            copy.facts = facts(c, copy.facts, copy.fact_count),
            copy.dialogue = spoken(c, copy.dialogue, copy.dialogue_count),
            copy.shots = shots(c, copy.shots, copy.shot_count),
            copy.task = tasks(c, copy.task, copy.task ? 1 : 0)))

syn_status syn_question_copy(const syn_question *q, syn_question **out)
{
    copier c = {NULL, 0};
    *out = NULL;
    questions(&c, q, 1);
    c.block = calloc(1, c.used); /* nothing in it is unset, whatever lies between the parts */
    if (!c.block) return syn_fail(SYN_ERR_MEMORY, "no memory for a question of %zu bytes", c.used);
    c.used = 0;
    questions(&c, q, 1);
    *out = (syn_question *)(void *)c.block; /* it was laid down first */
    return SYN_OK;
}
