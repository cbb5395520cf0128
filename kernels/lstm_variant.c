/* Which way CUDA computes the recurrence, as far as somebody has asked for one. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/log.h"
#include "kernels/lstm.h"

enum { SAID_MAX = 16 };

static const char *const NAMES[] = {
#define SYN_LSTM_VARIANT_TEXT(name, text) text,
    SYN_LSTM_VARIANT_MAP(SYN_LSTM_VARIANT_TEXT)
#undef SYN_LSTM_VARIANT_TEXT
};

static syn_lstm_variant chosen = SYN_LSTM_VARIANTS; /* = nobody has chosen */
static bool chosen_for_all;

const char *syn_lstm_variant_name(syn_lstm_variant variant)
{
    return variant < SYN_LSTM_VARIANTS ? NAMES[variant] : "?";
}

static syn_status parse(const char *where, const char *name, syn_lstm_variant *variant)
{
    for (int i = 0; i < SYN_LSTM_VARIANTS; i++) {
        if (strcmp(name, NAMES[i]) != 0) continue;
        *variant = (syn_lstm_variant)i;
        return SYN_OK;
    }
    return syn_fail(SYN_ERR_USAGE,
                    "%s: \"%.40s\" is no way to compute an LSTM; there are auto, step, block, "
                    "cluster, wide, grid and cudnn",
                    where, name);
}

static syn_status choose(const char *name, bool for_all)
{
    SYN_REQUIRE(name, "LSTM: no variant is named");
    SYN_RETURN_IF(parse("LSTM", name, &chosen));
    chosen_for_all = for_all;
    return SYN_OK;
}

syn_status syn_lstm_variant_set(const char *name)
{
    return choose(name, true);
}

syn_status syn_lstm_variant_prefer(const char *name)
{
    return choose(name, false);
}

syn_status syn_lstm_variant_get(syn_lstm_variant *variant, bool *forced)
{
    *variant = chosen;
    *forced = chosen_for_all;
    if (chosen != SYN_LSTM_VARIANTS) return SYN_OK;
    const char *name = getenv("SYNCOG_LSTM");
    *variant = SYN_LSTM_AUTO;
    *forced = false;
    return name && *name ? parse("SYNCOG_LSTM", name, variant) : SYN_OK;
}

void syn_lstm_variant_passed_over(syn_lstm_variant variant, int64_t H, int directions,
                                  const char *why)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static struct {
        int64_t H;
        int directions;
        const char *why;
    } said[SAID_MAX];
    static int count;
    (void)pthread_mutex_lock(&mutex);
    bool known = count == SAID_MAX;
    for (int i = 0; i < count; i++)
        known = known || (said[i].H == H && said[i].directions == directions && said[i].why == why);
    if (!known) {
        said[count].H = H;
        said[count].directions = directions;
        said[count++].why = why;
    }
    (void)pthread_mutex_unlock(&mutex);
    if (!known)
        syn_log(SYN_LOG_INFO, "the %s of width %lld goes by \"auto\", not by \"%s\": %s",
                directions == 2 ? "BiLSTM" : "LSTM", (long long)H, syn_lstm_variant_name(variant),
                why);
}

syn_status syn_lstm_variant_taken_cpu(syn_ctx *ctx, const syn_lstm_layer *layer,
                                      syn_lstm_variant *variant)
{
    (void)ctx;
    (void)layer;
    *variant = SYN_LSTM_AUTO;
    return SYN_OK;
}

syn_status syn_lstm_variant_check_cpu(syn_ctx *ctx, const syn_lstm_layer *layers, int count)
{
    (void)ctx;
    (void)layers;
    (void)count;
    return SYN_OK;
}

syn_status syn_lstm_variant_taken(syn_ctx *ctx, const syn_lstm_layer *layer,
                                  syn_lstm_variant *variant)
{
    return SYN_DISPATCH(ctx, syn_lstm_variant_taken, layer, variant);
}

syn_status syn_lstm_variant_check(syn_ctx *ctx, const syn_lstm_layer *layers, int count)
{
    return SYN_DISPATCH(ctx, syn_lstm_variant_check, layers, count);
}
