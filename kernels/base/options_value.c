#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kernels/base/options_private.h"

typedef struct kept_text {
    struct kept_text *next;
    char text[];
} kept_text;

static kept_text *kept;

const char *syn_option_keep_text(const char *text, size_t length)
{
    kept_text *k = malloc(sizeof *k + length + 1);
    if (!k) return NULL;
    memcpy(k->text, text, length);
    k->text[length] = 0;
    k->next = kept;
    kept = k;
    return k->text;
}

static syn_status parse_bool(const char *text, const char *where, bool *out)
{
    static const char *const words[] = {"1", "0", "true", "false", "yes", "no", "on", "off"};
    for (int i = 0; i < 8; i++) {
        if (strcasecmp(text, words[i])) continue;
        *out = i % 2 == 0;
        return SYN_OK;
    }
    return syn_fail(SYN_ERR_USAGE, "%s: '%s' is neither true nor false", where, text);
}

static syn_status range_check(const syn_option *o, double value, const char *text,
                              const char *where)
{
    if ((o->min == 0 && o->max == 0) || (value >= o->min && value <= o->max)) return SYN_OK;
    return syn_fail(SYN_ERR_USAGE, "%s: %s is out of range, allowed are %.15g to %.15g", where,
                    text, o->min, o->max);
}

static syn_status parse_number(const syn_option *o, const char *text, const char *where,
                               double *out)
{
    char *end = NULL;
    *out = strtod(text, &end);
    if (end == text || *end || isspace((unsigned char)*text)) {
        return syn_fail(SYN_ERR_USAGE, "%s: '%s' is not a number", where, text);
    }
    if (!isfinite(*out)) return syn_fail(SYN_ERR_USAGE, "%s: %s is not finite", where, text);
    return range_check(o, *out, text, where);
}

/* Whole numbers in decimal, or in a form like 4e6 as long as it is whole and exact. */
static syn_status parse_int(const syn_option *o, const char *text, const char *where, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    bool digits = end != text && !*end && !isspace((unsigned char)*text);
    if (digits && errno == ERANGE) {
        return syn_fail(SYN_ERR_USAGE, "%s: %s does not fit in 64 bits", where, text);
    }
    if (!digits) {
        double value = 0;
        SYN_RETURN_IF(parse_number(o, text, where, &value));
        if (value != floor(value) || fabs(value) > 9007199254740992.0) {
            return syn_fail(SYN_ERR_USAGE, "%s: '%s' is not a whole number", where, text);
        }
        whole = (long long)value;
    }
    *out = whole;
    return range_check(o, (double)whole, text, where);
}

/* Whether `text` is one of the words between the bars. */
static bool choice_known(const char *words, const char *text)
{
    size_t length = strlen(text);
    for (const char *w = words; w && *w;) {
        size_t n = strcspn(w, "|");
        if (n == length && !memcmp(w, text, n)) return true;
        w += n + (w[n] == '|');
    }
    return false;
}

static syn_status parse_choice(const syn_option *o, const char *text, const char *where,
                               const char **out)
{
    if (choice_known(o->metavar, text)) {
        *out = text;
        return SYN_OK;
    }
    const char *words[OPTION_WORDS_MAX], *near = NULL;
    int count = 0;
    char *copy = strdup(o->metavar ? o->metavar : ""), *rest = copy;
    for (char *w; rest && (w = strsep(&rest, "|")) && count < OPTION_WORDS_MAX;) words[count++] = w;
    near = syn_suggest(text, words, count);
    syn_status st =
        syn_fail(SYN_ERR_USAGE, "%s: '%s' is not one of %s%s%s%s", where, text, o->metavar,
                 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    free(copy);
    return st;
}

syn_status syn_option_list_add(syn_text_list *list, const char *text, const char *where)
{
    if (!text) return syn_fail(SYN_ERR_MEMORY, "%s: out of memory", where);
    if (list->count == SYN_TEXT_LIST_MAX) {
        return syn_fail(SYN_ERR_USAGE, "%s: more than %d values", where, SYN_TEXT_LIST_MAX);
    }
    list->items[list->count++] = text;
    return SYN_OK;
}

syn_status syn_option_list_split(syn_text_list *list, const char *text, const char *where)
{
    list->count = 0;
    while (*text) {
        size_t n = strcspn(text, ",");
        if (n > 0) SYN_RETURN_IF(syn_option_list_add(list, syn_option_keep_text(text, n), where));
        text += n + (text[n] == ',');
    }
    return SYN_OK;
}

void *syn_option_field(const syn_option *o, void *config)
{
    return (char *)config + o->offset;
}

syn_status syn_option_set(const syn_option *o, void *config, const char *text, const char *where)
{
    void *field = syn_option_field(o, config);
    switch (o->type) {
    case SYN_OPTION_BOOL:
        return parse_bool(text, where, field);
    case SYN_OPTION_INT:
        return parse_int(o, text, where, field);
    case SYN_OPTION_REAL:
        return parse_number(o, text, where, field);
    case SYN_OPTION_CHOICE:
        return parse_choice(o, text, where, field);
    case SYN_OPTION_TEXT:
        *(const char **)field = text;
        return SYN_OK;
    case SYN_OPTION_LIST:
        return syn_option_list_add(field, text, where);
    }
    return syn_fail(SYN_ERR_INVALID, "%s: unknown option type", where);
}
