/* A benchmark's questions for live teams: opening, reading, asking. */
#include <stdlib.h>
#include <string.h>

#include "benchmarks/live_task_private.h"
#include "benchmarks/metric_choice.h"
#include "benchmarks/metric_coqa.h"

static const struct {
    const char *benchmark;
    syn_live_kind kind;
} kinds[] = {{"hotpotqa", SYN_LIVE_PASSAGES},   {"2wiki", SYN_LIVE_PASSAGES},
             {"musique", SYN_LIVE_MUSIQUE},     {"coqa", SYN_LIVE_STORY},
             {"mmlu", SYN_LIVE_CHOICE},         {"multiwoz", SYN_LIVE_TURN},
             {"commonsenseqa", SYN_LIVE_CHOICE}};

static int find(const char *benchmark)
{
    for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++)
        if (!strcmp(kinds[i].benchmark, benchmark)) return i;
    return -1;
}

syn_live_kind syn_live_kind_of(const char *benchmark)
{
    const int i = find(benchmark);
    return i < 0 ? SYN_LIVE_CHOICE : kinds[i].kind;
}

/* ---- Opening ---- */

syn_status syn_live_bench_open(const syn_live_bench_options *o, syn_live_bench **out)
{
    *out = NULL;
    const int i = o->benchmark ? find(o->benchmark) : -1;
    if (i < 0)
        return syn_fail(SYN_ERR_INVALID, "'%.40s' is none of " SYN_QUESTION_BENCHMARKS,
                        o->benchmark ? o->benchmark : "");
    syn_live_bench *b = calloc(1, sizeof *b);
    syn_status st;
    if (!b) return syn_fail(SYN_ERR_MEMORY, "out of memory for a benchmark");
    b->benchmark = kinds[i].benchmark;
    b->kind = kinds[i].kind;
    b->seed = o->seed;
    const syn_questions_options asked = {.benchmark = b->benchmark,
                                         .path = o->path,
                                         .split = o->split,
                                         .shots = strcmp(b->benchmark, "mmlu") ? 0 : o->shots};
    SYN_TRY(syn_questions_open(&asked, &b->questions));
    if (b->kind == SYN_LIVE_TURN) {
        SYN_TRY(syn_entities_read(o->path, &b->entities));
        if (o->reference) SYN_TRY(syn_multiwoz_open(o->reference, &b->reference));
    }
    *out = b;
    b = NULL;
done:
    syn_live_bench_close(b);
    return st;
}

void syn_live_bench_close(syn_live_bench *b)
{
    if (!b) return;
    syn_questions_close(b->questions);
    syn_entities_free(&b->entities);
    syn_multiwoz_close(b->reference);
    free(b);
}

const syn_questions_count *syn_live_bench_counted(const syn_live_bench *b)
{
    return syn_questions_counted(b->questions);
}

const char *syn_live_benchmark(const syn_live_bench *b)
{
    return b->benchmark;
}

bool syn_live_has_evidence(const syn_live_bench *b)
{
    return b->kind != SYN_LIVE_CHOICE;
}

bool syn_live_proves_path_only(const char *benchmark, bool extractive)
{
    const syn_live_kind kind = syn_live_kind_of(benchmark);
    return extractive && (kind == SYN_LIVE_CHOICE || kind == SYN_LIVE_TURN);
}

const char *syn_live_unscored(const syn_live_bench *b)
{
    if (b->kind != SYN_LIVE_TURN) return NULL;
    if (!b->reference)
        return "Inform, Success and the official BLEU are not computed: no folder of mwzeval's "
               "reference data was given";
    if (!syn_multiwoz_has_bleu(b->reference))
        return "the official BLEU and the combined score are not computed: the reference folder "
               "has no references/mwz22.json";
    return NULL;
}

const char *syn_live_stratum(const syn_question *q)
{
    return strcmp(q->benchmark, "commonsenseqa") ? q->domain : "";
}

/* ---- Reading ---- */

static bool says_something(const syn_question *q)
{
    for (int k = 0; k < q->document_count; k++) {
        const char *text = q->documents[k].text;
        if (text[strspn(text, " \t\r\n")]) return true;
    }
    return false;
}

static bool can_be_judged(const syn_live_bench *b, const syn_question *q)
{
    switch (b->kind) {
    case SYN_LIVE_TURN:
        return q->task != NULL;
    case SYN_LIVE_CHOICE:
        return q->answer_count > 0 && q->choice_count >= 2 && q->choice_count <= SYN_CHOICES_MAX;
    case SYN_LIVE_STORY:
        return q->answer_count > 0 && says_something(q) && syn_coqa_domain(q->domain) >= 0;
    case SYN_LIVE_MUSIQUE:
        return q->answer_count > 0 || !q->answerable;
    default: /* without paragraphs too: the official script counts it */
        return q->answer_count > 0;
    }
}

syn_status syn_live_bench_next(syn_live_bench *b, const syn_question **out, int64_t *number)
{
    *out = NULL;
    for (;;) {
        const syn_question *q;
        SYN_RETURN_IF(syn_questions_next(b->questions, &q));
        if (!q) return SYN_OK;
        if (!can_be_judged(b, q)) continue;
        *out = q;
        *number = b->number++;
        return SYN_OK;
    }
}

/* ---- Asking ---- */

static void build_choices(syn_text_builder *t, const syn_choice *choices, int count)
{
    for (int k = 0; k < count; k++) syn_build(t, "%c. %s\n", 'A' + k, choices[k].text);
}

/* As the authors of MMLU ask: the subject with two blanks before it, then the examples. */
static const char *examples(syn_arena *arena, const syn_question *q)
{
    syn_text_builder t = {.arena = arena};
    char *subject = (char *)syn_arena_text(arena, q->domain);
    if (q->shot_count == 0 || arena->failed) return NULL;
    for (char *c = subject; *c; c++)
        if (*c == '_') *c = ' ';
    syn_build(&t, "The following are multiple choice questions (with answers) about  %s.\n",
              subject);
    for (int s = 0; s < q->shot_count; s++) {
        syn_build(&t, "\n%s\n", q->shots[s].question);
        build_choices(&t, q->shots[s].choices, q->shots[s].choice_count);
        syn_build(&t, "Answer: %s\n", q->shots[s].answer);
    }
    return syn_built(&t);
}

static const char *question_of(syn_arena *arena, const syn_question *q)
{
    syn_text_builder t = {.arena = arena};
    if (q->choice_count == 0) return q->question;
    syn_build(&t, "%s\n", q->question);
    build_choices(&t, q->choices, q->choice_count);
    syn_build(&t, "\nThe short answer is the letter of the right choice, alone.");
    return syn_built(&t);
}

static const char *context_of(const syn_live_bench *b, syn_arena *arena, const syn_question *q)
{
    switch (b->kind) {
    case SYN_LIVE_TURN:
        return syn_live_turn_rules;
    case SYN_LIVE_CHOICE:
        return examples(arena, q);
    case SYN_LIVE_STORY:
        return "The items are parts of one story, in their order. The short answer is as short as "
               "it can be, in the words of the story where they answer: a name, a number, yes or "
               "no; \"unknown\" if the story does not tell.";
    default:
        return "The short answer is as short as it can be, in the words of the items: a name, a "
               "date, a number, yes or no; \"unknown\" if they do not tell.";
    }
}

static const char *dialogue_of(syn_arena *arena, const syn_question *q)
{
    syn_text_builder t = {.arena = arena};
    if (q->dialogue_count == 0) return NULL;
    for (int k = 0; k < q->dialogue_count; k++)
        syn_build(&t, "%s: %s\n", q->dialogue[k].speaker, q->dialogue[k].text);
    return syn_built(&t);
}

static syn_status deal(const syn_live_bench *b, const syn_question *q, int agents, syn_arena *arena,
                       syn_round_config *config)
{
    config->documents = NULL;
    config->document_count = 0;
    switch (b->kind) {
    case SYN_LIVE_TURN:
        return syn_live_deal_turn(b, q, agents, arena, config);
    case SYN_LIVE_CHOICE:
        return SYN_OK;
    case SYN_LIVE_STORY:
        return syn_live_deal_story(b, q, agents, arena, config);
    default:
        return syn_live_deal_passages(b, q, agents, arena, config);
    }
}

syn_status syn_live_task_make(const syn_live_bench *b, const syn_question *q, int agents,
                              syn_arena *arena, syn_round_config *config)
{
    if (agents < 1 || agents > SYN_AGENTS_MAX)
        return syn_fail(SYN_ERR_INVALID, "a team has 1 to %d agents, not %d", SYN_AGENTS_MAX,
                        agents);
    for (int i = 0; i < SYN_AGENTS_MAX; i++)
        config->agent[i].role = config->agent[i].context = NULL;
    config->agents = agents;
    config->task = SYN_TASK_QA;
    config->final_verbatim = b->kind == SYN_LIVE_TURN;
    config->question = question_of(arena, q);
    config->context = context_of(b, arena, q);
    config->dialogue = dialogue_of(arena, q);
    SYN_RETURN_IF(deal(b, q, agents, arena, config));
    if (arena->failed)
        return syn_fail(SYN_ERR_MEMORY, "question '%.60s': out of memory for its texts", q->id);
    const char *const texts[] = {config->context, config->dialogue};
    for (int i = 0; i < 2; i++) {
        const int64_t bytes = texts[i] ? (int64_t)strlen(texts[i]) : 0;
        if (bytes > config->context_bytes_max)
            config->context_bytes_max = bytes < 1 << 20 ? bytes : 1 << 20;
    }
    if (strlen(config->question) > SYN_ROUND_QUESTION_BYTES_MAX)
        return syn_fail(SYN_ERR_LIMIT, "question '%.60s' is longer than %d bytes", q->id,
                        SYN_ROUND_QUESTION_BYTES_MAX);
    return SYN_OK;
}
