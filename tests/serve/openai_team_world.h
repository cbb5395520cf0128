/* A team of agents as the model: what its agents say, and what it is asked. */
#ifndef SYN_TESTS_SERVE_OPENAI_TEAM_WORLD_H
#define SYN_TESTS_SERVE_OPENAI_TEAM_WORLD_H

#include "tests/serve/openai_world.h"

#define AGENT                                                                                      \
    SAYS("\"{\\\"answer\\\":\\\"It is Paris.\\\",\\\"short_answer\\\":\\\"Paris\\\","              \
         "\\\"confidence\\\":0.9,\\\"claims\\\":[],\\\"need\\\":null,\\\"support\\\":[]}\"")
#define DOCUMENTS                                                                                  \
    ",\"documents\":[{\"title\":\"France\",\"text\":\"The capital of France is Paris.\"},"         \
    "{\"title\":\"Spain\",\"text\":\"The capital of Spain is Madrid.\"},"                          \
    "{\"title\":\"Italy\",\"text\":\"The capital of Italy is Rome.\"}]"
#define ONE_ROUND ",\"config\":{\"min_rounds\":1,\"convergence_threshold\":0}"

/* Teams of extractive agents need no provider. */
static inline void extractive_world(chat_world *w)
{
    fake_step step = {.body = GOOD};
    chat_begin(w, "extractive", &step, 1);
    chat_run(w);
}

#endif
