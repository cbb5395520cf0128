/* The cache: what is written comes back; damage and lies are refused; a kill or a full disk leaves
 * nothing behind. */
#include "tests/datasets/helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "datasets/cache_private.h"
#include "kernels/base/rng.h"

/* A cache of `count` records made from JSON, at this name. */
static const char *cache_make(const char *name, const char *prefix, int count)
{
    syn_prepare_report report;
    const char *input = records_write("cache-input.json", prefix, count), *out = path_of(name);
    assert_ok(prepare_one("hotpotqa", input, out, &report));
    return out;
}

static void assert_same(const syn_dataset *a, const syn_dataset *b)
{
    assert_int_equal(a->record_count, b->record_count);
    assert_int_equal(a->piece_count, b->piece_count);
    assert_int_equal(a->token_count, b->token_count);
    assert_int_equal(a->string_bytes, b->string_bytes);
    assert_int_equal(a->source_count, b->source_count);
    assert_memory_equal(a->tokens, b->tokens, (size_t)a->token_count * sizeof *a->tokens);
    assert_memory_equal(a->strings, b->strings, (size_t)a->string_bytes);
    for (int64_t i = 0; i < a->record_count; i++) {
        const syn_record *r = &a->records[i], *s = &b->records[i];
        assert_true(r->id_at == s->id_at && r->id_key == s->id_key &&
                    r->question_at == s->question_at);
        assert_true(r->question_count == s->question_count && r->question_key == s->question_key);
        assert_true(r->piece_first == s->piece_first && r->piece_count == s->piece_count);
        assert_true(r->gold_count == s->gold_count && r->answerable == s->answerable);
        assert_true(r->type == s->type && r->hops == s->hops && r->source == s->source);
        assert_int_equal(r->context_key, s->context_key);
    }
    for (int64_t i = 0; i < a->piece_count; i++) {
        const syn_piece *p = &a->pieces[i], *q = &b->pieces[i];
        assert_true(p->title_at == q->title_at && p->body_at == q->body_at);
        assert_true(p->title_count == q->title_count && p->body_count == q->body_count);
        assert_true(p->title_key == q->title_key && p->gold == q->gold);
        assert_true(p->claim == q->claim && p->claim_correct == q->claim_correct);
        assert_int_equal(p->group, q->group);
    }
    for (int i = 0; i < a->source_count; i++)
        assert_memory_equal(&a->sources[i], &b->sources[i], sizeof a->sources[i]);
}

static void what_is_written_comes_back(void **state)
{
    syn_dataset direct = {0}, cached = {0};
    const char *path = cache_make("trip.h5", "r", 300);
    assert_ok(syn_dataset_read_json(&direct, "hotpotqa", path_of("cache-input.json")));
    assert_ok(syn_dataset_load(&cached, path));
    assert_int_equal(cached.record_count, 300);
    assert_same(&direct, &cached);
    syn_dataset_free(&direct);
    syn_dataset_free(&cached);
}

static void the_report_counts_what_was_written(void **state)
{
    syn_prepare_report report;
    assert_ok(
        prepare_one("hotpotqa", records_write("in.json", "r", 7), path_of("report.h5"), &report));
    assert_int_equal(report.records, 7);
    assert_int_equal(report.pieces, 70);
    assert_int_equal(report.gold, 14);
    assert_int_equal(report.sources[0].records_read, 7);
    size_t bytes;
    free(file_read(path_of("in.json"), &bytes));
    assert_int_equal(report.sources[0].bytes, bytes);
}

static void several_inputs_become_one_cache_with_their_sources(void **state)
{
    char a[160], b[160];
    syn_prepare_report report;
    syn_dataset ds = {0};
    snprintf(a, sizeof a, "%s", records_write("a.json", "a", 5));
    snprintf(b, sizeof b, "%s", records_write("b.json", "b", 3));
    const char *inputs[] = {a, b, a};
    syn_prepare_options o = {.format = "2wiki",
                             .inputs = inputs,
                             .input_count = 3,
                             .out = path_of("several.h5"),
                             .name = "mine",
                             .licence = "CC0"};
    assert_ok(syn_prepare(&o, &report));
    assert_ok(syn_dataset_load(&ds, o.out));
    assert_int_equal(ds.record_count, 8);
    assert_int_equal(ds.source_count, 3);
    assert_int_equal(ds.records[5].source, 1);
    assert_string_equal(ds.sources[1].name, "mine");
    assert_string_equal(ds.sources[1].licence, "CC0");
    assert_int_equal(ds.sources[2].records, 0);
    assert_int_equal(ds.sources[2].skipped[SYN_SKIP_DUPLICATE], 5);
    assert_string_equal(ds.sources[0].sha256, ds.sources[2].sha256);
    syn_dataset_free(&ds);
}

static void a_batch_with_gaps_is_refused(void **state)
{
    syn_cache_writer *w;
    syn_dataset ds = {0};
    assert_ok(syn_dataset_load(&ds, cache_make("gaps.h5", "r", 3)));
    assert_ok(syn_cache_create(&w, path_of("gaps-out.h5")));
    ds.records[1].question_at++;
    assert_fails(syn_cache_append(w, &ds), SYN_ERR_INVALID, "gaps");
    syn_cache_discard(w);
    assert_int_not_equal(access(path_of("gaps-out.h5"), F_OK), 0);
    syn_dataset_free(&ds);
}

/* ---- damage ---- */

static void other_files_are_not_taken_for_a_cache(void **state)
{
    syn_dataset ds = {0};
    char zeros[2048] = {0};
    assert_fails(syn_dataset_load(&ds, path_of("absent.h5")), SYN_ERR_IO, "cannot be opened");
    assert_fails(syn_dataset_load(&ds, test_folder), SYN_ERR_FORMAT, "is a folder");
    assert_fails(syn_dataset_load(&ds, text_write("empty.h5", "")), SYN_ERR_FORMAT,
                 "is not a data set");
    assert_fails(syn_dataset_load(&ds, file_write("zeros.h5", zeros, sizeof zeros)), SYN_ERR_FORMAT,
                 "is not a data set made by `syncog data prepare`");
    snprintf(zeros, sizeof zeros, "%s 99\n", SYN_CACHE_FORMAT);
    assert_fails(syn_dataset_load(&ds, file_write("future.h5", zeros, sizeof zeros)),
                 SYN_ERR_FORMAT, "version 99");
    snprintf(zeros, sizeof zeros, "%s 1\n", SYN_CACHE_FORMAT);
    assert_fails(syn_dataset_load(&ds, file_write("past.h5", zeros, sizeof zeros)), SYN_ERR_FORMAT,
                 "version 1, this program reads version 2: prepare it again");
}

static void contexts_and_groups_come_back(void **state)
{
    syn_dataset ds = {0}, cached = {0};
    syn_cache_writer *w;
    assert_ok(syn_dataset_load(&ds, cache_make("groups.h5", "r", 5)));
    for (int64_t i = 0; i < ds.record_count; i++)
        ds.records[i].context_key = 1ull << 63 | (uint64_t)i / 2;
    for (int64_t i = 0; i < ds.piece_count; i++) ds.pieces[i].group = (uint8_t)(i % 9);
    assert_ok(syn_cache_create(&w, path_of("groups-out.h5")));
    assert_ok(syn_cache_append(w, &ds));
    assert_ok(syn_cache_commit(w, ds.sources, ds.source_count));
    assert_ok(syn_dataset_load(&cached, path_of("groups-out.h5")));
    assert_same(&ds, &cached);
    syn_dataset_free(&ds);
    syn_dataset_free(&cached);
}

static void every_flipped_bit_and_every_cut_is_refused(void **state)
{
    syn_rng rng = syn_rng_make(5, SYN_STREAM_TEST);
    size_t count;
    char *bytes = file_read(cache_make("damage.h5", "r", 20), &count);
    syn_dataset ds = {0};
    for (int i = 0; i < 200; i++) {
        size_t at = syn_rng_u32(&rng) % count, bit = syn_rng_below(&rng, 8);
        bytes[at] ^= (char)(1 << bit);
        assert_int_equal(syn_dataset_load(&ds, file_write("flip.h5", bytes, count)),
                         SYN_ERR_FORMAT);
        bytes[at] ^= (char)(1 << bit);
    }
    for (int i = 0; i < 50; i++)
        assert_int_equal(
            syn_dataset_load(&ds, file_write("cut.h5", bytes, syn_rng_u32(&rng) % count)),
            SYN_ERR_FORMAT);
    assert_ok(syn_dataset_load(&ds, file_write("whole.h5", bytes, count)));
    syn_dataset_free(&ds);
    free(bytes);
}

/* ---- lies: the checksum is right, the content is not ---- */

static char lie_path[160];

static hid_t lie_begin(void)
{
    snprintf(lie_path, sizeof lie_path, "%s", cache_make("lie.h5", "r", 6));
    hid_t file = H5Fopen(lie_path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

static void lie_value(const char *set_path, hsize_t row, int64_t value)
{
    hid_t file = lie_begin(), set = H5Dopen2(file, set_path, H5P_DEFAULT),
          space = H5Dget_space(set);
    hsize_t one = 1;
    hid_t memory = H5Screate_simple(1, &one, NULL);
    assert_true(H5Sselect_hyperslab(space, H5S_SELECT_SET, &row, NULL, &one, NULL) >= 0);
    assert_true(H5Dwrite(set, H5T_NATIVE_INT64, memory, space, H5P_DEFAULT, &value) >= 0);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(file);
    assert_ok(syn_cache_seal(lie_path));
}

static void assert_lie(const char *words)
{
    syn_dataset ds = {0};
    assert_fails(syn_dataset_load(&ds, lie_path), SYN_ERR_FORMAT, words);
    assert_non_null(strstr(syn_error_text(), "lie.h5"));
    assert_null(ds.records);
}

static void counts_that_lie_are_refused(void **state)
{
    static const struct {
        const char *set;
        int row;
        int64_t value;
        const char *words;
    } lies[] = {
        {"/record/piece_count", 0, 0, "record 0 has 0 pieces"},
        {"/record/piece_count", 0, -1, "pieces"},
        {"/record/piece_count", 0, 29, "record 0 has 29 pieces"},
        {"/record/piece_count", 5, 11, "record 5 has 11 pieces"},
        {"/record/piece_count", 5, 9, "do not add up"},
        {"/record/question_count", 0, 0, "question of 0 tokens"},
        {"/record/question_count", 0, -7, "question of -7 tokens"},
        {"/record/question_count", 0, INT32_MAX, "question of"},
        {"/record/question_count", 5, 4, "do not add up"},
        {"/record/answerable", 1, 2, "unknown type or source"},
        {"/record/type", 1, 200, "unknown type or source"},
        {"/record/source", 1, 1, "unknown type or source"},
        {"/piece/title_count", 3, -1, "more tokens than there are"},
        {"/piece/title_count", 3, INT32_MAX, "more tokens than there are"},
        {"/piece/body_count", 59, INT32_MAX, "more tokens than there are"},
        {"/piece/body_count", 59, INT32_MIN, "more tokens than there are"},
        {"/piece/body_count", 59, 1, "do not add up"},
        {"/piece/gold", 4, 2, "contradict"},
        {"/piece/claim", 0, 1, "contradict"},
        {"/piece/group", 4, 9, "piece 4 is of group 9"},
        {"/piece/claim_correct", 5, 1, "contradict"},
        {"/id", 2, 'x', "record 5 has no id"}, /* one NUL less */
        {"/id", 0, 0, "has no id"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        lie_value(lies[i].set, (hsize_t)lies[i].row, lies[i].value);
        assert_lie(lies[i].words);
    }
}

static void a_record_without_gold_or_distractor_is_refused(void **state)
{
    for (int all = 0; all <= 1; all++) {
        hid_t file = lie_begin(), set = H5Dopen2(file, "/piece/gold", H5P_DEFAULT);
        uint8_t gold[60];
        memset(gold, all, sizeof gold);
        assert_true(H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, gold) >= 0);
        H5Dclose(set);
        H5Fclose(file);
        assert_ok(syn_cache_seal(lie_path));
        assert_lie(all ? "10 pieces, 10 of them supporting" : "10 pieces, 0 of them supporting");
    }
}

static void columns_of_the_wrong_size_are_refused(void **state)
{
    static const char *const sets[] = {"/record/type", "/piece/gold", "/token", "/id"};
    for (int i = 0; i < 4; i++) {
        hsize_t extents[] = {0, 1, (hsize_t)1 << 40, (hsize_t)1 << 62};
        for (int k = 0; k < 4; k++) {
            hid_t file = lie_begin(), set = H5Dopen2(file, sets[i], H5P_DEFAULT);
            assert_true(H5Dset_extent(set, &extents[k]) >= 0);
            H5Dclose(set);
            H5Fclose(file);
            assert_ok(syn_cache_seal(lie_path));
            assert_lie("");
        }
    }
}

static void missing_and_foreign_columns_are_refused(void **state)
{
    hsize_t rows = 6;
    float values[6] = {0};
    hid_t file = lie_begin();
    assert_true(H5Ldelete(file, "/record/type", H5P_DEFAULT) >= 0);
    H5Fclose(file);
    assert_ok(syn_cache_seal(lie_path));
    assert_lie("/record/type is missing");

    file = H5Fopen(lie_path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, &rows, NULL);
    hid_t set = H5Dcreate2(file, "/record/type", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT,
                           H5P_DEFAULT);
    assert_true(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
    assert_ok(syn_cache_seal(lie_path));
    assert_lie("/record/type is not a plain column");
}

static void lie_config(const char *json)
{
    hid_t file = lie_begin(), attribute = H5Aopen(file, "config_json", H5P_DEFAULT);
    hid_t type = H5Aget_type(attribute);
    assert_true(H5Awrite(attribute, type, &json) >= 0);
    H5Tclose(type);
    H5Aclose(attribute);
    H5Fclose(file);
    assert_ok(syn_cache_seal(lie_path));
}

static void a_description_that_lies_is_refused(void **state)
{
    char many[1024] = "{\"sources\":[0", long_name[256];
    for (int i = 0; i < 16; i++) strcat(many, ",0");
    strcat(many, "]}");
    snprintf(long_name, sizeof long_name, "{\"sources\":[{\"name\":\"%0100d\"}]}", 1);
    lie_config("");
    assert_lie("config_json");
    lie_config("[]");
    assert_lie("0 sources");
    lie_config("{\"sources\":[]}");
    assert_lie("0 sources");
    lie_config(many);
    assert_lie("17 sources");
    lie_config(long_name);
    assert_lie("the name of a source is missing or too long");
    lie_config("{\"sources\":[{\"name\":\"a\",\"licence\":\"b\",\"sha256\":\"../../x\"}]}");
    assert_lie("sha256");
    lie_config("{\"sources\":[{\"name\":\"a\\nb\",\"licence\":\"b\"}]}");
    assert_lie("not plain text");
}

/* ---- failures while writing ---- */

static void nothing_is_written_when_the_input_is_bad_or_useless(void **state)
{
    syn_prepare_report report;
    const char *out = path_of("never.h5");
    assert_fails(prepare_one("hotpotqa", text_write("bad.json", "[{}"), out, &report),
                 SYN_ERR_FORMAT, "bad.json");
    assert_fails(prepare_one("hotpotqa", text_write("bad.json", "[]"), out, &report),
                 SYN_ERR_FORMAT, "no record");
    assert_fails(prepare_one("hotpotqa", path_of("absent"), out, &report), SYN_ERR_IO, "absent");
    assert_int_not_equal(access(out, F_OK), 0);
}

static void a_failure_leaves_the_cache_that_was_there(void **state)
{
    syn_prepare_report report;
    size_t before_count, after_count;
    const char *out = cache_make("kept.h5", "r", 4);
    char *before = file_read(out, &before_count);
    assert_fails(prepare_one("hotpotqa", text_write("bad.json", "[{}"), out, &report),
                 SYN_ERR_FORMAT, "");
    char *after = file_read(out, &after_count);
    assert_int_equal(before_count, after_count);
    assert_memory_equal(before, after, before_count);
    free(before);
    free(after);
}

static void an_existing_cache_is_replaced(void **state)
{
    syn_dataset ds = {0};
    cache_make("replaced.h5", "r", 4);
    assert_ok(syn_dataset_load(&ds, cache_make("replaced.h5", "r", 9)));
    assert_int_equal(ds.record_count, 9);
    syn_dataset_free(&ds);
}

static void unwritable_targets_are_named(void **state)
{
    syn_prepare_report report;
    const char *input = records_write("in.json", "r", 2);
    assert_fails(prepare_one("hotpotqa", input, path_of("no/such/folder.h5"), &report), SYN_ERR_IO,
                 "no/such/folder.h5: cannot be written: No such file");
    assert_fails(prepare_one("hotpotqa", input, test_folder, &report), SYN_ERR_IO, "is a folder");
    assert_fails(prepare_one("hotpotqa", input, "/dev/null", &report), SYN_ERR_IO,
                 "not a regular file");
    assert_fails(prepare_one("hotpotqa", input, input, &report), SYN_ERR_INVALID,
                 "both an input and the output");
    if (geteuid() == 0) return; /* root may write everywhere */
    const char *folder = path_of("locked");
    assert_int_equal(mkdir(folder, 0500), 0);
    assert_fails(prepare_one("hotpotqa", input, path_of("locked/x.h5"), &report), SYN_ERR_IO,
                 "Permission denied");
}

/* A limit on the size of files stands for a full disk. */
static void a_full_disk_is_one_sentence_and_leaves_nothing(void **state)
{
    char folder[160], input[160], out[160];
    snprintf(folder, sizeof folder, "%s", path_of("full"));
    snprintf(out, sizeof out, "%s", path_of("full/out.h5"));
    snprintf(input, sizeof input, "%s", records_write("in.json", "r", 4000));
    assert_int_equal(mkdir(folder, 0700), 0);
    pid_t child = fork();
    if (child == 0) {
        static const rlim_t sizes[] = {100, 600, 5000, 100000, 700000, 1500000};
        int good = 0;
        signal(SIGXFSZ, SIG_IGN);
        for (int i = 0; i < 6; i++) {
            syn_prepare_report report;
            struct rlimit limit = {sizes[i], RLIM_INFINITY};
            setrlimit(RLIMIT_FSIZE, &limit);
            syn_status st = prepare_one("hotpotqa", input, out, &report);
            if (st == SYN_ERR_IO &&
                strstr(syn_error_text(), "out.h5: cannot be written: File too large"))
                good++;
            else
                fprintf(stderr, "limit %d: %d %s\n", (int)sizes[i], st, syn_error_text());
        }
        _exit(good);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 6);
    assert_int_equal(folder_count(folder), 0);
}

static bool nameless_files_work(void)
{
    int fd = open(test_folder, O_TMPFILE | O_RDWR, 0600);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

/* The child writes the cache again and again; after the kill the folder holds a whole one or none.
 */
static void a_kill_leaves_a_whole_cache_or_nothing(void **state)
{
    syn_rng rng = syn_rng_make(3, SYN_STREAM_TEST);
    char folder[160], input[160], out[160];
    snprintf(folder, sizeof folder, "%s", path_of("killed"));
    snprintf(out, sizeof out, "%s", path_of("killed/out.h5"));
    snprintf(input, sizeof input, "%s", records_write("in.json", "r", 2000));
    int whole = 0;
    if (!nameless_files_work()) skip();
    assert_int_equal(mkdir(folder, 0700), 0);
    for (int i = 0; i < 25; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (;;) {
                syn_prepare_report report;
                unlink(out);
                if (prepare_one("hotpotqa", input, out, &report) != SYN_OK) _exit(1);
            }
        }
        usleep(2000 + syn_rng_below(&rng, 60000));
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        bool stands = access(out, F_OK) == 0;
        assert_int_equal(folder_count(folder), stands);
        if (stands) {
            syn_dataset ds = {0};
            assert_ok(syn_dataset_load(&ds, out));
            assert_int_equal(ds.record_count, 2000);
            syn_dataset_free(&ds);
            unlink(out);
            whole++;
        }
    }
    assert_true(whole < 25); /* some kills came while it was being written */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(the_report_counts_what_was_written),
        cmocka_unit_test(several_inputs_become_one_cache_with_their_sources),
        cmocka_unit_test(a_batch_with_gaps_is_refused),
        cmocka_unit_test(other_files_are_not_taken_for_a_cache),
        cmocka_unit_test(contexts_and_groups_come_back),
        cmocka_unit_test(every_flipped_bit_and_every_cut_is_refused),
        cmocka_unit_test(counts_that_lie_are_refused),
        cmocka_unit_test(a_record_without_gold_or_distractor_is_refused),
        cmocka_unit_test(columns_of_the_wrong_size_are_refused),
        cmocka_unit_test(missing_and_foreign_columns_are_refused),
        cmocka_unit_test(a_description_that_lies_is_refused),
        cmocka_unit_test(nothing_is_written_when_the_input_is_bad_or_useless),
        cmocka_unit_test(a_failure_leaves_the_cache_that_was_there),
        cmocka_unit_test(an_existing_cache_is_replaced),
        cmocka_unit_test(unwritable_targets_are_named),
        cmocka_unit_test(a_full_disk_is_one_sentence_and_leaves_nothing),
        cmocka_unit_test(a_kill_leaves_a_whole_cache_or_nothing),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
