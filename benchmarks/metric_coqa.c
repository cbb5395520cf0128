/* CoQA: leave-one-out references, seven domains. */
#include <stdlib.h>
#include <string.h>

#include "benchmarks/metric_coqa.h"

/* In the script's order; the last two are held out of training. */
static const struct {
    const char *source, *name;
} domains[SYN_COQA_DOMAINS] = {
    {"mctest", "children_stories"}, {"gutenberg", "literature"},
    {"race", "mid-high_school"},    {"cnn", "news"},
    {"wikipedia", "wikipedia"},     {"reddit", "reddit"},
    {"science", "science"},
};
enum { IN_DOMAINS = 5 };

static double turn_f1(const syn_normal_answer *reference, const syn_normal_answer *prediction)
{
    if (reference->token_count == 0 || prediction->token_count == 0)
        return reference->token_count == prediction->token_count;
    return syn_normal_answer_overlap(prediction, reference).f1;
}

syn_coqa_turn syn_coqa_score(const syn_normal_answer *prediction,
                             const syn_normal_answer *references, int count)
{
    double em[SYN_COQA_REFERENCES_MAX], f1[SYN_COQA_REFERENCES_MAX];
    syn_coqa_turn sum = {0};
    if (count > SYN_COQA_REFERENCES_MAX) count = SYN_COQA_REFERENCES_MAX;
    for (int i = 0; i < count; i++) {
        em[i] = syn_normal_answer_equal(&references[i], prediction);
        f1[i] = turn_f1(&references[i], prediction);
    }
    if (count == 1) return (syn_coqa_turn){em[0], f1[0]};
    for (int left_out = 0; left_out < count; left_out++) {
        double best_em = 0, best_f1 = 0;
        for (int i = 0; i < count; i++) {
            if (i == left_out) continue;
            if (em[i] > best_em) best_em = em[i];
            if (f1[i] > best_f1) best_f1 = f1[i];
        }
        sum.em += best_em;
        sum.f1 += best_f1;
    }
    return count ? (syn_coqa_turn){sum.em / count, sum.f1 / count} : sum;
}

int syn_coqa_domain(const char *source)
{
    for (int d = 0; d < SYN_COQA_DOMAINS; d++) {
        if (!strcmp(source, domains[d].source)) return d;
    }
    return -1;
}

void syn_coqa_add(syn_coqa *sum, int domain, syn_coqa_turn turn)
{
    sum->domain[domain].em += turn.em;
    sum->domain[domain].f1 += turn.f1;
    sum->domain[domain].turns++;
}

/* Rounded to one decimal, ties by the exact binary value: what printf does is what round() does. */
static double one_decimal(double x)
{
    char text[SYN_REAL_TEXT_MAX];
    snprintf(text, sizeof text, "%.1f", x);
    return strtod(text, NULL);
}

typedef struct part {
    double em, f1;
    int64_t turns;
} part;

static int set_part(json_t *j, const char *name, part p)
{
    const double n = p.turns > 1 ? (double)p.turns : 1;
    return json_object_set_new(j, name,
                               json_pack("{s:f, s:f, s:I}", "em", one_decimal(p.em / n * 100), "f1",
                                         one_decimal(p.f1 / n * 100), "turns",
                                         (json_int_t)p.turns));
}

json_t *syn_coqa_json(const syn_coqa *sum)
{
    part group[2] = {{0}}; /* in and out of the training domains */
    json_t *j = json_object();
    int failed = 0;
    for (int d = 0; d < SYN_COQA_DOMAINS; d++) {
        const part p = {sum->domain[d].em, sum->domain[d].f1, sum->domain[d].turns};
        part *g = &group[d >= IN_DOMAINS];
        g->em += p.em;
        g->f1 += p.f1;
        g->turns += p.turns;
        failed |= set_part(j, domains[d].name, p);
    }
    failed |= set_part(j, "in_domain", group[0]);
    failed |= set_part(j, "out_domain", group[1]);
    failed |= set_part(j, "overall",
                       (part){group[0].em + group[1].em, group[0].f1 + group[1].f1,
                              group[0].turns + group[1].turns});
    if (failed) json_decref(j);
    return failed ? NULL : j;
}
