/* Rules for the fastest variant: those derived for one H200 (132 SMs, 8 clusters of 16 blocks), and
 * the file of those measured.
 *
 * How they are derived, per step, H = 512 unless stated, D outside (all variants but cuDNN make the
 * same products before and after the recurrence):
 *     step     two launches that wait for each other, 2 us in a graph; the product at least 3 us,
 *              TF32 at B = 1024 about 6 (one tile of 128 x 128 an SM) and 5 of pointwise traffic.
 *              So 6 us up to B = 128 and 12 at 1024, 15 backward; fp32 7 at B = 64
 *     grid     a barrier and a trip to L2, 2 us. bf16: 0.026 us more a sequence, so level with step
 *              near B = 128. fp32: 0.06 us a sequence forward, 0.2 backward: level at 64 and 32
 *     cluster  0.7 us forward at 8 sequences a cluster, 1.3 at 32 (what the network between SMs
 *              brings, 32 KB at 14 bytes a cycle); 8 clusters at once at H = 512, 16 at 256, so
 *              that 256 and 512 sequences of both directions together are one wave. Backward 1.2
 *              and 2.6. B = 1024: four waves, 5 us forward and 10 backward, still below step
 *     wide     1.6 us at 64 sequences a cluster, so 512 (at H = 256, 1024) a wave: ahead of cluster
 *              where that needs a second wave
 *     block    H = 128: 0.5 us at 8 sequences a block, 1.2 at 32, on 132 SMs; nothing is near it
 * One step alone (a roll-out) does not pay for packing R and loading it into 128 SMs, 4 us and 1 us
 * a wave: step. Where a device has no clusters, the next in a rule is taken. */
#include "kernels/lstm_choose.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"

enum { LINE_MAX_BYTES = 512, FORMAT = 1 };

#define BLOCK   SYN_LSTM_BLOCK
#define CLUSTER SYN_LSTM_CLUSTER
#define GRID    SYN_LSTM_GRID
#define STEP    SYN_LSTM_STEP
#define WIDE    SYN_LSTM_WIDE

static const syn_lstm_rule DERIVED[] = {
    {.H = 128, .mixed = true, .order = {BLOCK, STEP, GRID}},
    {.steps_max = 1, .order = {STEP, CLUSTER, GRID}},
    {.mixed = true, .batch_max = 128, .order = {CLUSTER, GRID, STEP}},
    {.mixed = true, .backward = true, .order = {CLUSTER, STEP, GRID}},
    {.mixed = true, .H = 512, .directions = 1, .batch_max = 256, .order = {CLUSTER, STEP, GRID}},
    {.mixed = true, .H = 256, .directions = 1, .batch_max = 512, .order = {CLUSTER, STEP, GRID}},
    {.mixed = true, .H = 256, .directions = 2, .batch_max = 256, .order = {CLUSTER, STEP, GRID}},
    {.mixed = true, .order = {WIDE, CLUSTER, STEP, GRID}},
    {.fp32 = true, .backward = true, .batch_max = 32, .order = {GRID, STEP}},
    {.fp32 = true, .forward = true, .batch_max = 64, .order = {GRID, STEP}},
    {.order = {STEP, GRID}},
};
enum { DERIVED_COUNT = sizeof DERIVED / sizeof *DERIVED };

static syn_lstm_rule *measured;
static int measured_count;

/* ---- Looking up ---- */

static bool matches(const syn_lstm_rule *r, const syn_lstm_layer *l, syn_math math)
{
    if (r->H && r->H != l->H) return false;
    if (r->directions && r->directions != l->directions) return false;
    if (r->steps_max && l->steps > r->steps_max) return false;
    if (r->batch_max && l->batch > r->batch_max) return false;
    if ((r->forward || r->backward) && !(l->backward ? r->backward : r->forward)) return false;
    return !(r->fp32 || r->mixed) || (math == SYN_MATH_MIXED ? r->mixed : r->fp32);
}

const syn_lstm_rule *syn_lstm_rule_for(const syn_lstm_layer *layer, syn_math math)
{
    for (int i = 0; i < measured_count; i++)
        if (matches(&measured[i], layer, math)) return &measured[i];
    int i = 0;
    while (i < DERIVED_COUNT - 1 && !matches(&DERIVED[i], layer, math)) i++;
    return &DERIVED[i];
}

/* ---- The file ---- */

#define RULE_FORMAT                                                                                \
    "{\"width\": %lld, \"directions\": %d, \"steps_max\": %lld, \"batch_max\": %lld, "             \
    "\"pass\": \"%8[a-z]\", \"math\": \"%8[a-z0-9]\", \"order\": \"%60[a-z ]\"} %n"

/* Both words may be "any". */
static const char *const PASSES[] = {"any", "forward", "backward"};
static const char *const MATHS[] = {"any", "fp32", "mixed"};

static int word_of(const char *word, const char *const words[3])
{
    for (int i = 0; i < 3; i++)
        if (strcmp(word, words[i]) == 0) return i;
    return -1;
}

static bool parse_order(char *text, syn_lstm_rule *rule)
{
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        int v = SYN_LSTM_AUTO + 1;
        while (v < SYN_LSTM_VARIANTS && strcmp(word, syn_lstm_variant_name(v)) != 0) v++;
        if (v == SYN_LSTM_VARIANTS || v == SYN_LSTM_CUDNN || count == SYN_LSTM_ORDER_MAX)
            return false;
        rule->order[count++] = (syn_lstm_variant)v;
    }
    return count > 0;
}

static bool parse_rule(const char *line, syn_lstm_rule *rule)
{
    long long H, steps, batch;
    char pass[9], math[9], order[61];
    int end = 0;
    *rule = (syn_lstm_rule){0};
    if (sscanf(line, RULE_FORMAT, &H, &rule->directions, &steps, &batch, pass, math, order, &end) !=
            7 ||
        !end || line[end])
        return false;
    const int which = word_of(pass, PASSES), how = word_of(math, MATHS);
    rule->H = H;
    rule->steps_max = steps;
    rule->batch_max = batch;
    rule->forward = which == 1;
    rule->backward = which == 2;
    rule->fp32 = how == 1;
    rule->mixed = how == 2;
    return H >= 0 && steps >= 0 && batch >= 0 && rule->directions >= 0 && rule->directions <= 2 &&
           which >= 0 && how >= 0 && parse_order(order, rule);
}

static syn_status read_rules(FILE *f, const char *path, const char *device, syn_lstm_rule *rules,
                             int *count, bool *used)
{
    char line[LINE_MAX_BYTES], name[257];
    int format = 0, end = 0;
    if (!fgets(line, sizeof line, f) ||
        sscanf(line, "{\"format\": %d, \"device\": \"%256[^\"]\"} %n", &format, name, &end) != 2 ||
        !end || line[end] || format != FORMAT)
        return syn_fail(SYN_ERR_FORMAT,
                        "%s: the first line is not that of a table of LSTM variants, format %d",
                        path, FORMAT);
    *used = !device || strcmp(name, device) == 0;
    for (int number = 2; *used && fgets(line, sizeof line, f); number++) {
        if (*count == SYN_LSTM_RULES_MAX)
            return syn_fail(SYN_ERR_LIMIT, "%s: more than %d rules", path, SYN_LSTM_RULES_MAX);
        if (!parse_rule(line, &rules[(*count)++]))
            return syn_fail(SYN_ERR_FORMAT,
                            "%s: line %d is no rule as 'syncog bench kernels --tune' writes it",
                            path, number);
    }
    return ferror(f) ? syn_fail(SYN_ERR_IO, "%s: %s", path, strerror(errno)) : SYN_OK;
}

syn_status syn_lstm_table_read(const char *path, const char *device, bool *used)
{
    *used = false;
    syn_lstm_rule *rules = NULL;
    int count = 0;
    syn_status st = SYN_OK;
    if (path) {
        FILE *f = fopen(path, "r");
        if (!f) return syn_fail(SYN_ERR_IO, "%s: %s", path, strerror(errno));
        rules = calloc(SYN_LSTM_RULES_MAX, sizeof *rules);
        st = rules ? read_rules(f, path, device, rules, &count, used)
                   : syn_fail(SYN_ERR_MEMORY, "%s: out of memory", path);
        (void)fclose(f);
    }
    if (st != SYN_OK) {
        free(rules);
        return st;
    }
    free(measured);
    measured = rules;
    measured_count = count;
    return SYN_OK;
}

void syn_lstm_table_write_head(FILE *to, const char *device)
{
    fprintf(to, "{\"format\": %d, \"device\": \"", FORMAT);
    for (; *device; device++)
        if (*device != '"' && *device != '\\' && (unsigned char)*device >= ' ') putc(*device, to);
    fprintf(to, "\"}\n");
}

void syn_lstm_table_write(FILE *to, const syn_lstm_rule *rule)
{
    fprintf(to,
            "{\"width\": %lld, \"directions\": %d, \"steps_max\": %lld, \"batch_max\": %lld, "
            "\"pass\": \"%s\", \"math\": \"%s\", \"order\": \"",
            (long long)rule->H, rule->directions, (long long)rule->steps_max,
            (long long)rule->batch_max,
            PASSES[rule->forward    ? 1
                   : rule->backward ? 2
                                    : 0],
            MATHS[rule->fp32    ? 1
                  : rule->mixed ? 2
                                : 0]);
    for (int i = 0; i < SYN_LSTM_ORDER_MAX && rule->order[i]; i++)
        fprintf(to, "%s%s", i ? " " : "", syn_lstm_variant_name(rule->order[i]));
    fprintf(to, "\"}\n");
}

/* ---- Once in a process ---- */

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static bool opened;
static syn_status opened_with;
static char opened_sentence[512];

static syn_status open_table(const char *device)
{
    const char *named = getenv("SYNCOG_LSTM_TABLE"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    char path[4096];
    bool used = false;
    if (named && *named) {
        SYN_RETURN_IF(syn_lstm_table_read(named, device, &used));
        if (!used) syn_log(SYN_LOG_WARN, "SYNCOG_LSTM_TABLE is of another device than %s", device);
        return SYN_OK;
    }
    if (!(cache && *cache) && !(home && *home)) return SYN_OK;
    const bool own = cache && *cache;
    const int length = snprintf(path, sizeof path, "%s%s/syncog/lstm_table.json",
                                own ? cache : home, own ? "" : "/.cache");
    if (length >= (int)sizeof path) return SYN_OK;
    FILE *f = fopen(path, "r");
    if (!f) return SYN_OK;
    (void)fclose(f);
    if (syn_lstm_table_read(path, device, &used) != SYN_OK)
        syn_log(SYN_LOG_WARN, "the table of LSTM variants is not used: %s", syn_error_text());
    return SYN_OK;
}

syn_status syn_lstm_table_open(const char *(*device)(void))
{
    (void)pthread_mutex_lock(&opening);
    if (!opened) {
        opened_with = open_table(device());
        if (opened_with != SYN_OK)
            snprintf(opened_sentence, sizeof opened_sentence, "%s", syn_error_text());
        opened = true;
    }
    (void)pthread_mutex_unlock(&opening);
    return opened_with == SYN_OK ? SYN_OK : syn_fail(opened_with, "%s", opened_sentence);
}
