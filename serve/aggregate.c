#include "serve/aggregate.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "serve/similar.h"
#include "serve/words.h"

enum { NORMAL_BYTES = 1024, TOKENS_MAX = 256 };

double syn_logit(double p)
{
    return log(p / (1 - p));
}

static double clamp(double c)
{
    return !(c > .01) ? .01 : c > .99 ? .99 : c;
}

double syn_calibrate_confidence(double confidence, double temperature)
{
    double t = temperature > 0 ? temperature : 1;
    return clamp(1 / (1 + exp(-syn_logit(clamp(confidence)) / t)));
}

/* ---- same answer ---- */

static int split(char *normal, const char **token)
{
    int n = 0;
    for (char *save = NULL, *t = strtok_r(normal, " ", &save); t && n < TOKENS_MAX;
         t = strtok_r(NULL, " ", &save))
        token[n++] = t;
    return n;
}

static double token_f1(char *a, char *b)
{
    const char *x[TOKENS_MAX], *y[TOKENS_MAX];
    bool used[TOKENS_MAX] = {false};
    int n = split(a, x), m = split(b, y), common = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            if (!used[j] && strcmp(x[i], y[j]) == 0) {
                used[j] = true;
                common++;
                break;
            }
    return n + m > 0 ? 2.0 * common / (n + m) : 0;
}

/* The normal form; where it leaves nothing of a word, that word: "A" is an article, and a letter of
 * several choices. */
static size_t compared_form(const char *text, char normal[NORMAL_BYTES])
{
    size_t n = syn_normal_form(text, normal, NORMAL_BYTES);
    for (; n == 0 && *text; text++)
        if (isalpha((unsigned char)*text)) {
            normal[0] = (char)tolower((unsigned char)*text);
            normal[n = 1] = 0;
        }
    return n;
}

bool syn_same_answer(const char *a, const char *b)
{
    char x[NORMAL_BYTES], y[NORMAL_BYTES];
    if (compared_form(a, x) == 0 || compared_form(b, y) == 0) return false;
    if (strcmp(x, y) == 0) return true;
    return token_f1(x, y) >= .8 - 1e-12;
}

bool syn_no_answer(const char *short_answer)
{
    static const char *const forms[] = {"",
                                        "unknown",
                                        "i dont know",
                                        "dont know",
                                        "do not know",
                                        "i do not know",
                                        "not known",
                                        "none",
                                        "null",
                                        "na",
                                        "unclear",
                                        "unanswerable",
                                        "cannot answer",
                                        "cannot be determined",
                                        "cannot determine",
                                        "insufficient evidence",
                                        "insufficient information",
                                        "not enough evidence",
                                        "not enough information",
                                        "no answer"};
    char normal[NORMAL_BYTES];
    compared_form(short_answer, normal);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(normal, forms[i]) == 0) return true;
    return false;
}

/* ---- clusters ---- */

static int root(const int *parent, int i)
{
    while (parent[i] != i) i = parent[i];
    return i;
}

/* Joins i and j under the lower root, so that numbering follows first appearance. */
static void join(int *parent, int i, int j)
{
    int a = root(parent, i), b = root(parent, j);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

static int number_clusters(int n, const int *parent, int *cluster)
{
    int count = 0, number[SYN_POOL_MAX];
    for (int i = 0; i < n; i++) {
        if (cluster[i] < 0) continue;
        int r = root(parent, i);
        if (r == i) number[i] = count++;
        cluster[i] = number[r];
    }
    return count;
}

int syn_cluster_answers(int n, const char *const *short_answers, int *cluster)
{
    int parent[SYN_POOL_MAX];
    for (int i = 0; i < n; i++) parent[i] = i;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (cluster[i] >= 0 && cluster[j] >= 0 &&
                syn_same_answer(short_answers[i], short_answers[j]))
                join(parent, i, j);
    return number_clusters(n, parent, cluster);
}

syn_status syn_cluster_texts(int n, const char *const *texts, int *cluster, int *clusters)
{
    int parent[SYN_POOL_MAX];
    double cosine[SYN_POOL_MAX * SYN_POOL_MAX];
    SYN_RETURN_IF(syn_similar_pairs(texts, n, cosine));
    for (int i = 0; i < n; i++) parent[i] = i;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (cluster[i] >= 0 && cluster[j] >= 0 && cosine[i * n + j] >= .85) join(parent, i, j);
    *clusters = number_clusters(n, parent, cluster);
    return SYN_OK;
}

/* ---- pooling ---- */

static void share_weight(int n, const double *confidence, const int *cluster, double *share)
{
    double total = 0;
    int answered = 0;
    for (int i = 0; i < n; i++) {
        share[i] = cluster[i] >= 0 ? fmax(syn_logit(clamp(confidence[i])), 0) : 0;
        total += share[i];
        answered += cluster[i] >= 0;
    }
    for (int i = 0; i < n; i++) {
        if (total > 0)
            share[i] /= total;
        else
            share[i] = cluster[i] >= 0 ? 1.0 / answered : 0;
    }
}

void syn_pool_answers(int n, const double *confidence, const int *cluster, syn_pool *out)
{
    double score[SYN_POOL_MAX] = {0}, top = 0, sum = 0;
    memset(out, 0, sizeof *out);
    out->winner = out->speaker = -1;
    share_weight(n, confidence, cluster, out->share);
    for (int i = 0; i < n; i++) {
        if (cluster[i] < 0) continue;
        score[cluster[i]] += syn_logit(clamp(confidence[i]));
        if (cluster[i] >= out->clusters) out->clusters = cluster[i] + 1;
    }
    out->entropy = n > 1 ? log(n) : 0;
    if (out->clusters == 0) return;
    for (int k = 0; k < out->clusters; k++) top = fmax(top, score[k]);
    for (int k = 0; k < out->clusters; k++) sum += exp(score[k] - top);
    out->entropy = 0;
    for (int k = 0; k < out->clusters; k++) {
        double e = exp(score[k] - top), w = e / sum;
        out->weight[k] = w;
        out->probability[k] = e / (sum + exp(-top));
        if (w > 0) out->entropy -= w * log(w);
        if (out->winner < 0 || w > out->weight[out->winner]) out->winner = k;
    }
    out->consensus = out->weight[out->winner];
    for (int i = 0; i < n; i++)
        if (cluster[i] == out->winner &&
            (out->speaker < 0 || confidence[i] > confidence[out->speaker]))
            out->speaker = i;
}
