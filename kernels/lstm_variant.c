/* Which way CUDA computes the recurrence. */
#include <stdlib.h>
#include <string.h>

#include "kernels/lstm.h"

static const char *const NAMES[] = {
#define SYN_LSTM_VARIANT_TEXT(name, text) text,
    SYN_LSTM_VARIANT_MAP(SYN_LSTM_VARIANT_TEXT)
#undef SYN_LSTM_VARIANT_TEXT
};

static syn_lstm_variant chosen = SYN_LSTM_VARIANTS; /* = nobody has chosen */

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
                    "cluster, grid and cudnn",
                    where, name);
}

syn_status syn_lstm_variant_set(const char *name)
{
    SYN_REQUIRE(name, "LSTM: no variant is named");
    return parse("LSTM", name, &chosen);
}

syn_status syn_lstm_variant_get(syn_lstm_variant *variant)
{
    *variant = chosen;
    if (chosen != SYN_LSTM_VARIANTS) return SYN_OK;
    const char *name = getenv("SYNCOG_LSTM");
    *variant = SYN_LSTM_AUTO;
    return name && *name ? parse("SYNCOG_LSTM", name, variant) : SYN_OK;
}
