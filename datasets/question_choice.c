/* CommonsenseQA, one object a line: the authors' {"answerKey", "id", "question":
 * {"question_concept", "choices": [{"label", "text"}], "stem"}}, and the flat copy {"id",
 * "question", "question_concept", "choices": {"label": [...], "text": [...]}, "answerKey"}. */
#include "datasets/question_private.h"

typedef struct line {
    syn_slice id, stem, concept, key;
    syn_slice labels[SYN_QUESTION_CHOICES_MAX], texts[SYN_QUESTION_CHOICES_MAX];
    int label_count, text_count;
} line;

static bool texts_read(syn_json *j, const char *what, syn_slice *texts, int *count)
{
    int index;
    *count = 0;
    if (!syn_json_enter_list(j, what, &index)) return false;
    while (syn_json_next_item(j, &index)) {
        if (*count == SYN_QUESTION_CHOICES_MAX)
            return syn_json_fault(j, j->at, "more than %d choices", SYN_QUESTION_CHOICES_MAX);
        if (!syn_json_string(j, what, &texts[(*count)++])) return false;
    }
    return !j->fault_at;
}

static bool choice_read(syn_json *j, line *l)
{
    int index;
    syn_slice key, label = {NULL, 0}, text = {NULL, 0};
    bool good;
    syn_json_peek(j);
    const char *start = j->at;
    if (l->label_count == SYN_QUESTION_CHOICES_MAX)
        return syn_json_fault(j, start, "more than %d choices", SYN_QUESTION_CHOICES_MAX);
    if (!syn_json_enter_object(j, "a choice", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "label"))
            good = syn_json_string(j, "\"label\"", &label);
        else if (syn_slice_equal(key, "text"))
            good = syn_json_string(j, "\"text\"", &text);
        else
            good = syn_json_skip(j);
        if (!good) return false;
    }
    if (j->fault_at) return false;
    if (!label.bytes || !text.bytes)
        return syn_json_fault(j, start, "the choice has no \"label\" or no \"text\"");
    l->labels[l->label_count++] = label;
    l->texts[l->text_count++] = text;
    return true;
}

static bool choices_read(syn_json *j, line *l)
{
    int index;
    syn_slice key;
    bool good;
    l->label_count = l->text_count = 0;
    if (syn_json_peek(j) != '{') {
        if (!syn_json_enter_list(j, "\"choices\"", &index)) return false;
        while (syn_json_next_item(j, &index))
            if (!choice_read(j, l)) return false;
        return !j->fault_at;
    }
    if (!syn_json_enter_object(j, "\"choices\"", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "label"))
            good = texts_read(j, "a label", l->labels, &l->label_count);
        else if (syn_slice_equal(key, "text"))
            good = texts_read(j, "the text of a choice", l->texts, &l->text_count);
        else
            good = syn_json_skip(j);
        if (!good) return false;
    }
    return !j->fault_at;
}

/* Reads a member of the line, or of its "question" where that is an object. */
static bool field_read(syn_json *j, line *l, syn_slice key)
{
    if (syn_slice_equal(key, "stem")) return syn_json_string(j, "\"stem\"", &l->stem);
    if (syn_slice_equal(key, "question_concept"))
        return syn_json_string(j, "\"question_concept\"", &l->concept);
    if (syn_slice_equal(key, "choices")) return choices_read(j, l);
    return syn_json_skip(j);
}

static bool question_read(syn_json *j, line *l)
{
    int index;
    syn_slice key;
    if (syn_json_peek(j) == '"') return syn_json_string(j, "\"question\"", &l->stem);
    if (!syn_json_enter_object(j, "\"question\"", &index)) return false;
    while (syn_json_next_key(j, &index, &key))
        if (!field_read(j, l, key)) return false;
    return !j->fault_at;
}

static bool line_read(syn_json *j, line *l)
{
    int index;
    syn_slice key;
    const char *start = j->at;
    bool good;
    if (!syn_json_enter_object(j, "the record", &index)) return false;
    while (syn_json_next_key(j, &index, &key)) {
        if (syn_slice_equal(key, "id"))
            good = syn_json_string(j, "\"id\"", &l->id);
        else if (syn_slice_equal(key, "answerKey"))
            good = syn_raw_optional_text(j, "\"answerKey\"", &l->key);
        else if (syn_slice_equal(key, "question"))
            good = question_read(j, l);
        else
            good = field_read(j, l, key);
        if (!good) return false;
    }
    if (j->fault_at || !syn_json_finish(j)) return false;
    if (!l->id.bytes || !l->id.count) return syn_json_fault(j, start, "the record has no \"id\"");
    if (!l->stem.bytes) return syn_json_fault(j, start, "the record has no \"question\"");
    if (l->label_count != l->text_count)
        return syn_json_fault(j, start, "\"choices\" has %d labels and %d texts", l->label_count,
                              l->text_count);
    return true;
}

/* The label that is the answer; a key that names no choice is a fault. */
static bool key_find(syn_json *j, const line *l, const syn_choice *choices, const char **answer)
{
    for (int i = 0; i < l->label_count; i++)
        if (l->labels[i].count == l->key.count && syn_slice_equal(l->key, choices[i].label)) {
            *answer = choices[i].label;
            return true;
        }
    return syn_json_fault(j, j->begin, "\"answerKey\" \"%.*s\" is the label of no choice",
                          l->key.count > 20 ? 20 : (int)l->key.count, l->key.bytes);
}

static bool commonsenseqa_read(syn_questions *q, syn_slice name)
{
    (void)name;
    line l = {0};
    if (!line_read(&q->json, &l)) return false;
    syn_question *n = syn_question_add(q);
    const char **answer = syn_arena_alloc(&q->arena, sizeof *answer);
    syn_choice *choices = syn_arena_array(&q->arena, (size_t)l.label_count + 1, sizeof *choices);
    if (!n || !answer || !choices) return false;
    for (int i = 0; i < l.label_count; i++)
        choices[i] = (syn_choice){syn_slice_text(&q->arena, l.labels[i]),
                                  syn_slice_text(&q->arena, l.texts[i])};
    if (l.key.count) {
        if (!key_find(&q->json, &l, choices, answer)) return false;
        n->answers = answer;
        n->answer_count = 1;
    }
    n->id = syn_slice_text(&q->arena, l.id);
    n->question = syn_slice_text(&q->arena, l.stem);
    n->domain = syn_slice_text(&q->arena, l.concept);
    n->choices = choices;
    n->choice_count = l.label_count;
    return true;
}

static syn_status commonsenseqa_open(syn_questions *q)
{
    static const char *const patterns[] = {"dev",   "dev*.json*",   "dev",  "validation*.json*",
                                           "train", "train*.json*", "test", "test*.json*",
                                           NULL};
    return syn_question_choose(q, patterns);
}

const syn_question_format syn_question_commonsenseqa = {
    .benchmark = "commonsenseqa",
    .layout = SYN_JSON_RECORDS,
    .read = commonsenseqa_read,
    .open = commonsenseqa_open,
};
