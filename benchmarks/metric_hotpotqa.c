/* HotpotQA: answers, supporting facts, both jointly. */
#include <stdlib.h>
#include <string.h>

#include "benchmarks/metric_hotpotqa.h"

static bool
is_closed(const syn_normal_answer *a) /* an answer that is right or wrong, never nearly */
{
    return !strcmp(a->text, "yes") || !strcmp(a->text, "no") || !strcmp(a->text, "noanswer");
}

syn_exactness syn_hotpotqa_answer(const syn_normal_answer *prediction,
                                  const syn_normal_answer *gold)
{
    const bool equal = syn_normal_answer_equal(prediction, gold);
    syn_exactness x = {.em = equal};
    if (!equal && (is_closed(prediction) || is_closed(gold))) return x;
    const syn_overlap o = syn_normal_answer_overlap(prediction, gold);
    x.f1 = o.f1;
    x.precision = o.precision;
    x.recall = o.recall;
    return x;
}

static int by_fact(const void *x, const void *y)
{
    const syn_fact *a = x, *b = y;
    const size_t na = a->title.count, nb = b->title.count, n = na < nb ? na : nb;
    int order = n ? memcmp(a->title.bytes, b->title.bytes, n) : 0;
    if (!order) order = (na > nb) - (na < nb);
    return order ? order : (a->sentence > b->sentence) - (a->sentence < b->sentence);
}

static int64_t sort_unique(syn_fact *fact, int64_t count)
{
    int64_t kept = 0;
    if (count > 1) qsort(fact, (size_t)count, sizeof *fact, by_fact);
    for (int64_t i = 0; i < count; i++) {
        if (kept == 0 || by_fact(&fact[kept - 1], &fact[i])) fact[kept++] = fact[i];
    }
    return kept;
}

syn_exactness syn_hotpotqa_facts(syn_fact *prediction, int64_t predictions, syn_fact *gold,
                                 int64_t golds)
{
    const int64_t np = sort_unique(prediction, predictions), ng = sort_unique(gold, golds);
    int64_t both = 0;
    for (int64_t i = 0, j = 0; i < np && j < ng;) {
        const int order = by_fact(&prediction[i], &gold[j]);
        both += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    syn_exactness x = {0};
    if (np > 0) x.precision = 1.0 * (double)both / (double)np;
    if (ng > 0) x.recall = 1.0 * (double)both / (double)ng;
    if (both > 0) x.f1 = 2 * x.precision * x.recall / (x.precision + x.recall);
    x.em = both == np && both == ng;
    return x;
}

syn_exactness syn_hotpotqa_joint(syn_exactness answer, syn_exactness facts)
{
    syn_exactness x = {.em = answer.em * facts.em,
                       .precision = answer.precision * facts.precision,
                       .recall = answer.recall * facts.recall};
    if (x.precision + x.recall > 0) x.f1 = 2 * x.precision * x.recall / (x.precision + x.recall);
    return x;
}

static void add(syn_exactness *sum, const syn_exactness *x)
{
    sum->em += x->em;
    sum->f1 += x->f1;
    sum->precision += x->precision;
    sum->recall += x->recall;
}

void syn_hotpotqa_add(syn_hotpotqa *sum, const syn_hotpotqa *question)
{
    add(&sum->answer, &question->answer);
    add(&sum->facts, &question->facts);
    add(&sum->joint, &question->joint);
}

static syn_exactness divided(syn_exactness x, int64_t n)
{
    return (syn_exactness){x.em / (double)n, x.f1 / (double)n, x.precision / (double)n,
                           x.recall / (double)n};
}

syn_hotpotqa syn_hotpotqa_mean(const syn_hotpotqa *sum, int64_t questions)
{
    if (questions <= 0) return (syn_hotpotqa){0};
    return (syn_hotpotqa){divided(sum->answer, questions), divided(sum->facts, questions),
                          divided(sum->joint, questions)};
}

json_t *syn_hotpotqa_json(const syn_hotpotqa *x)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", /**/
                     "em", x->answer.em, "f1", x->answer.f1, "prec", x->answer.precision, "recall",
                     x->answer.recall, "sp_em", x->facts.em, "sp_f1", x->facts.f1, "sp_prec",
                     x->facts.precision, "sp_recall", x->facts.recall, "joint_em", x->joint.em,
                     "joint_f1", x->joint.f1, "joint_prec", x->joint.precision, "joint_recall",
                     x->joint.recall);
}
