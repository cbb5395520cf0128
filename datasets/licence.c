#include "datasets/licence.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *word, *licence;
} licences[] = {
    {"hotpotqa", "CC BY-SA 4.0"},
    {"2wiki", "Apache 2.0"},
    {"musique", "CC BY 4.0"},
    {"multiwoz", "MIT"},
    {"multiwoz22", "MIT"},
    {"sgd", "CC BY-SA 4.0"},
    {"friendsqa", "Apache 2.0 (annotation)"},
    {"coqa", "mixed, by source"},
    {"commonsenseqa", "MIT"},
    {"mmlu", "MIT"},
};

const char *syn_licence_of(const char *word)
{
    for (size_t i = 0; i < sizeof licences / sizeof *licences; i++)
        if (strcmp(licences[i].word, word) == 0) return licences[i].licence;
    return NULL;
}
