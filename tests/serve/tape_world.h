/* A tape of the test's own, and calls that are recorded on it and replayed from it. */
#ifndef SYN_TESTS_SERVE_TAPE_WORLD_H
#define SYN_TESTS_SERVE_TAPE_WORLD_H

#include "tests/fake_llm.h"
#include "tests/serve/llm_world.h"

#define SAYS(text)                                                                                 \
    "{\"model\":\"m-1\",\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"" text     \
    "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,"     \
    "\"cost\":0.0125}}"

static char folder[64], path[128];

static inline int set_up(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/syncog-tape-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/run.tape", folder);
    return 0;
}

static inline int tear_down(void **state)
{
    unlink(path);
    rmdir(folder);
    return 0;
}

static inline syn_tape *open_tape(syn_tape_mode mode)
{
    syn_tape *tape;
    assert_ok(syn_tape_open(path, mode, &tape));
    return tape;
}

static inline char *read_file(size_t *bytes)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = malloc(1 << 20);
    *bytes = fread(text, 1, (1 << 20) - 1, f);
    text[*bytes] = 0;
    fclose(f);
    return text;
}

static inline void write_file(const char *text, size_t bytes)
{
    FILE *f = fopen(path, "w");
    assert_int_equal(fwrite(text, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

/* Submits `count` calls of these tags at once, in that order; what was said by tag. */
static inline void make_at_once(world *w, const char *const *tag, int count, said **out)
{
    for (int k = 0; k < count; k++) out[k] = submit_call(w, (syn_llm_call){.tag = tag[k]});
    for (int k = 0; k < count; k++) wait_for(out[k]);
}

static inline void record_at_once(const fake_step *step, const char *const *tag, int count,
                                  said **out)
{
    fake_llm *f = fake_start(step, count);
    syn_tape *tape = open_tape(SYN_TAPE_RECORD);
    world *w = world_on_tape(f->url, NULL, NULL, tape);
    make_at_once(w, tag, count, out);
    world_end(w);
    fake_stop(f);
    assert_ok(syn_tape_close(tape));
}

static inline void replay_at_once(const char *const *tag, int count, said **out)
{
    syn_tape *tape = open_tape(SYN_TAPE_REPLAY);
    world *w = world_on_tape("http://127.0.0.1:1/v1", NULL, NULL, tape);
    make_at_once(w, tag, count, out);
    world_end(w);
    assert_ok(syn_tape_close(tape));
}

static inline void free_all(said **all, int count)
{
    for (int k = 0; k < count; k++) said_free(all[k]);
}

#endif
