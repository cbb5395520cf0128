/* The file of a tape: whose it is, what damage does to it, and a full disk. */
#include "tests/serve/tape_world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void record_three(void)
{
    static const char *const tag[] = {"1", "2", "3"};
    static const fake_step step[] = {{.body = SAYS("x")}, {.body = SAYS("x")}, {.body = SAYS("x")}};
    said *s[3];
    record_at_once(step, tag, 3, s);
    free_all(s, 3);
}

static void only_its_owner_reads_it(void **state)
{
    struct stat s;
    record_three();
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
}

static void a_record_that_was_cut_off_is_dropped(void **state)
{
    size_t bytes;
    setenv("LOG_LEVEL", "error", 1);
    record_three();
    char *text = read_file(&bytes);
    size_t last = bytes - 1;
    while (text[last - 1] != '\n') last--;
    for (size_t cut = last; cut < bytes; cut += cut < last + 100 || cut + 100 > bytes ? 1 : 37) {
        write_file(text, cut);
        syn_tape *tape = open_tape(SYN_TAPE_REPLAY);
        assert_int_equal(syn_tape_count(tape), 2);
        assert_ok(syn_tape_close(tape));
    }
    write_file(text, bytes - 5);
    record_three(); /* goes on behind the whole ones */
    syn_tape *tape = open_tape(SYN_TAPE_REPLAY);
    assert_int_equal(syn_tape_count(tape), 5);
    assert_ok(syn_tape_close(tape));
    free(text);
}

static void expect_refused(const char *text, size_t bytes, syn_status st, const char *sentence)
{
    syn_tape *tape;
    write_file(text, bytes);
    for (int mode = SYN_TAPE_RECORD; mode <= SYN_TAPE_REPLAY; mode++) {
        size_t after;
        assert_int_equal(syn_tape_open(path, (syn_tape_mode)mode, &tape), st);
        assert_null(tape);
        if (!strstr(syn_error_text(), sentence)) fail_msg("%s", syn_error_text());
        char *now = read_file(&after);
        assert_int_equal(after, bytes);
        assert_memory_equal(now, text, bytes);
        free(now);
    }
}

static void damage_is_told_with_its_line(void **state)
{
    size_t bytes, line = 0;
    record_three();
    char *text = read_file(&bytes);
    while (text[line++] != '\n') continue;
    const size_t end = line + strcspn(text + line, "\n");
    for (size_t k = line; k < end; k += 13) {
        text[k] ^= 1;
        if (text[k] != '\n') expect_refused(text, bytes, SYN_ERR_FORMAT, "line 2 is damaged");
        text[k] ^= 1;
    }
    free(text);
}

static void other_files_are_refused_and_stay_as_they_are(void **state)
{
    syn_tape *tape;
    expect_refused("{\"a\": 1}\n", 9, SYN_ERR_FORMAT, "not a recording");
    expect_refused("no line", 7, SYN_ERR_FORMAT, "not a recording");
    expect_refused("{\"format\":\"syncog-tape/2\"}\n", 27, SYN_ERR_FORMAT, "not a recording");
    expect_refused("{\"format\":\"syncog-tape/1\"}\n{}\n", 30, SYN_ERR_FORMAT, "line 2 is damaged");
    assert_int_equal(syn_tape_open(folder, SYN_TAPE_RECORD, &tape), SYN_ERR_IO);
    assert_int_equal(syn_tape_open(folder, SYN_TAPE_REPLAY, &tape), SYN_ERR_IO);
    unlink(path);
    assert_int_equal(syn_tape_open(path, SYN_TAPE_REPLAY, &tape), SYN_ERR_IO);
    write_file("", 0);
    assert_int_equal(syn_tape_open(path, SYN_TAPE_REPLAY, &tape), SYN_ERR_FORMAT);
}

static void one_records_at_a_time(void **state)
{
    syn_tape *tape = open_tape(SYN_TAPE_RECORD), *other;
    assert_int_equal(syn_tape_open(path, SYN_TAPE_RECORD, &other), SYN_ERR_IO);
    assert_non_null(strstr(syn_error_text(), "another process is recording"));
    assert_ok(syn_tape_close(tape));
}

static void a_full_disk_leaves_whole_records_and_is_told(void **state)
{
    static const char *const tag[] = {"4"};
    struct rlimit was, small;
    size_t before, after;
    record_three();
    char *text = read_file(&before);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    small = was;
    small.rlim_cur = before + 100;
    fake_llm *f = fake_start(&(fake_step){.body = SAYS("x")}, 1);
    syn_tape *tape = open_tape(SYN_TAPE_RECORD);
    world *w = world_on_tape(f->url, NULL, NULL, tape);
    setrlimit(RLIMIT_FSIZE, &small);
    said *s = submit_call(w, (syn_llm_call){.tag = tag[0]});
    wait_for(s);
    setrlimit(RLIMIT_FSIZE, &was);
    assert_true(s->ok); /* the call itself is none the worse */
    said_free(s);
    world_end(w);
    fake_stop(f);
    assert_int_equal(syn_tape_check(tape), SYN_ERR_IO);
    assert_int_equal(syn_tape_close(tape), SYN_ERR_IO);
    char *now = read_file(&after);
    assert_int_equal(after, before);
    assert_memory_equal(now, text, before);
    free(now);
    free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(only_its_owner_reads_it),      TEST(a_record_that_was_cut_off_is_dropped),
        TEST(damage_is_told_with_its_line), TEST(other_files_are_refused_and_stay_as_they_are),
        TEST(one_records_at_a_time),        TEST(a_full_disk_leaves_whole_records_and_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
