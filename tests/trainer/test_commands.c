/* What users get wrong with pretrain, train and eval: one sentence, an exit code, and nothing left
 * behind. */
#include "tests/trainer/commands.h"

#include <sys/mount.h>

#define PRETRAIN                                                                                   \
    "--ranker-steps 1 --gap-steps 1 --state-steps 1 --batch 8 --cross-fit 0 --no-leak-test "       \
    "--threads 1"
#define TRAIN                                                                                      \
    "--env-steps 64 --batch-size 64 --mini-batch-size 32 --horizon 8 --epochs 1 --eval-episodes "  \
    "20 --threads 1"
#define EVAL "--episodes 20 --threads 1"

static void damaged_write(const char *name, const char *from, size_t keep)
{
    size_t bytes;
    char *data = file_read(path_of(from), &bytes);
    assert_true(bytes > keep);
    file_write(name, data, keep);
    free(data);
}

static int set_up(void **state)
{
    if (folder_setup(state)) return -1;
    cache_write("good.h5", 60, 1);
    cache_write("one.h5", 1, 1);
    cache_write("two.h5", 2, 1);
    text_write("file", "");
    text_write("empty.json", "[]");
    mkdir(path_of("empty"), 0700);
    damaged_write("cut.h5", "good.h5", 3000);
    untrained_write("init", "good.h5", true, false);
    untrained_write("trained", "good.h5", true, true);
    untrained_write("bare", "good.h5", false, false);
    untrained_write("damaged", "two.h5", true, false);
    return truncate(path_of("damaged/versions/000001/weights.h5"), 1000);
}

/* Nothing called `out` stands in the folder, and no temporary file. */
static void assert_nothing_left(const char *what)
{
    struct dirent *e;
    DIR *d = opendir(test_folder);
    assert_non_null(d);
    while ((e = readdir(d))) {
        if (strcmp(e->d_name, "out") == 0 || strstr(e->d_name, ".tmp"))
            fail_msg("%s left %s", what, e->d_name);
    }
    closedir(d);
}

typedef struct wrong {
    const char *arguments;
    int code;
    const char *words;
} wrong;

static void assert_all_refused(const wrong *w, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_one_sentence(w[i].arguments, syncog("%s", w[i].arguments), w[i].code, w[i].words);
        assert_nothing_left(w[i].arguments);
    }
}

#define ASSERT_ALL_REFUSED(list) assert_all_refused(list, sizeof list / sizeof *list)

/* For the three commands alike: `words` follow the arguments that are right. */
static void assert_refused_by_all(const char *arguments, int code, const char *words)
{
    static const char *const commands[] = {"pretrain --out out " PRETRAIN,
                                           "train --out out --init init " TRAIN,
                                           "eval --checkpoint init " EVAL};
    char line[512];
    for (int k = 0; k < 3; k++) {
        snprintf(line, sizeof line, "%s %s", commands[k], arguments);
        assert_one_sentence(line, syncog("%s", line), code, words);
        assert_nothing_left(line);
    }
}

static void wrong_data_is_one_sentence(void **state)
{
    assert_refused_by_all("", 2, "--data is missing");
    assert_refused_by_all("--data nowhere.h5", 1, "nowhere.h5: cannot be opened: No such file");
    assert_refused_by_all("--data good.h5.json", 1,
                          "good.h5.json: is not a data set made by `syncog data prepare`");
    assert_refused_by_all("--data empty.json", 1, "empty.json: is not a data set");
    assert_refused_by_all("--data file", 1, "file: is not a data set");
    assert_refused_by_all("--data init/versions/000001/weights.h5", 1,
                          "init/versions/000001/weights.h5: is not a data set");
    assert_refused_by_all("--data cut.h5", 1, "cut.h5: is damaged or cut off");
    assert_refused_by_all("--data .", 1, "is a folder, not a file");
    assert_refused_by_all("--data good.h5 --data nowhere.h5", 1, "nowhere.h5: cannot be opened");
    assert_refused_by_all("--data one.h5", 1, "one.h5: 1 usable records are too few");
}

static void wrong_options_are_one_sentence(void **state)
{
    assert_refused_by_all("--data good.h5 --folds 3 --fold 3", 2,
                          "--fold 3 of --folds 3 does not exist");
    assert_refused_by_all("--data good.h5 --folds 1", 2, "--fold 0 of --folds 1 does not exist");
    assert_refused_by_all("--data good.h5 --fold 1", 2, "--fold 1 says nothing without --folds");
    assert_refused_by_all("--data good.h5 --pieces 29", 2, "--pieces: 29 is out of range");
    assert_refused_by_all("--data good.h5 --seed -1", 2, "--seed");
    assert_refused_by_all("--data good.h5 --seed x", 2, "--seed: 'x' is not a number");
    assert_refused_by_all("--data good.h5 --epsiodes 3", 2, "unknown option --epsiodes");
    assert_refused_by_all("--data good.h5 more", 2, "unexpected argument 'more'");
}

static void wrong_use_of_pretrain_is_one_sentence(void **state)
{
    static const wrong list[] = {
        {"pretrain --data good.h5", 2, "--out is missing"},
        {"pretrain --data good.h5 --out ''", 2, "--out is empty"},
        {"pretrain --data two.h5 --out out " PRETRAIN, 1,
         "two.h5: 2 records are too few to keep some out"},
        {"pretrain --data good.h5 --out out --component state_encoder", 2, "needs --init DIR"},
        {"pretrain --data good.h5 --out out --component gap", 2, "'gap' is not one of"},
        {"pretrain --data good.h5 --out out --component state_encoder --init bare", 1,
         "bare: holds no ckm"},
        {"pretrain --data good.h5 --out out --init nowhere " PRETRAIN, 1,
         "--init: nowhere: there is no such folder; --init takes what"},
        {"pretrain --data good.h5 --out out --init damaged " PRETRAIN, 1,
         "damaged/versions/000001/weights.h5: damaged: 1000 bytes"},
        {"pretrain --data good.h5 --out out " PRETRAIN " --cross-fit 1", 2, "--cross-fit is 1"},
        {"pretrain --data good.h5 --out out --cross-fit 9", 2, "--cross-fit: 9 is out of range"},
        {"pretrain --data good.h5 --out out --ranker-steps 0", 2,
         "--ranker-steps: 0 is out of range"},
    };
    ASSERT_ALL_REFUSED(list);
}

static void wrong_use_of_train_is_one_sentence(void **state)
{
    static const wrong list[] = {
        {"train --data good.h5 --init init", 2, "--out is missing"},
        {"train --data good.h5 --out out", 2,
         "--init is missing: give the folder that 'syncog pretrain' wrote"},
        {"train --data two.h5 --init init --out out " TRAIN, 1,
         "two.h5: 2 records are too few to train on"},
        {"train --data good.h5 --init nowhere --out out " TRAIN, 1,
         "--init: nowhere: there is no such folder; --init takes what"},
        {"train --data good.h5 --init . --out out " TRAIN, 1,
         "--init: .: no checkpoint in this folder; --init takes what"},
        {"train --data good.h5 --init file --out out " TRAIN, 1,
         "--init: file: is a file, not a checkpoint's folder"},
        {"train --data good.h5 --init damaged --out out " TRAIN, 1,
         "damaged/versions/000001/weights.h5: damaged: 1000 bytes"},
        {"train --data good.h5 --init bare --out out " TRAIN, 1,
         "bare: holds no ckm and gap detector"},
        {"train --data good.h5 --out out --resume " TRAIN, 1,
         "--resume: out: there is no such folder; begin the run with --init DIR, without --resume"},
        {"train --data good.h5 --out empty --resume " TRAIN, 1,
         "--resume: empty: no checkpoint in this folder to go on from; begin the run with --init"},
        {"train --data good.h5 --out init --resume " TRAIN, 1,
         "--resume: init: holds no run to go on with, but a checkpoint without a policy"},
        {"train --data good.h5 --out init/versions/000001 --resume " TRAIN, 1,
         "init/versions/000001: this folder is one version of a checkpoint, not a store"},
        {"train --data good.h5 --init init --out init/latest " TRAIN, 1,
         "init/latest: this folder is one version of a checkpoint, not a store"},
        {"train --data good.h5 --out init --resume --overwrite " TRAIN, 2,
         "--resume goes on with the run in OUT, --overwrite replaces it"},
        {"train --data good.h5 --init init --out out --num-agents-range 5", 2,
         "it is A-B with 2 <= A <= B <= 10"},
        {"train --data good.h5 --init init --out out --num-agents-range 4-3", 2,
         "it is A-B with 2 <= A <= B <= 10"},
        {"train --data good.h5 --init init --out out --num-agents-range 2-11", 2, "it is A-B with"},
        {"train --data good.h5 --init init --out out --batch-size 64 --mini-batch-size 128", 2,
         "1 to 256 minibatches"},
        {"train --data good.h5 --init init --out out --gamma 2", 2, "--gamma: 2 is out of range"},
    };
    ASSERT_ALL_REFUSED(list);
}

static void wrong_use_of_eval_is_one_sentence(void **state)
{
    static const wrong list[] = {
        {"eval --data good.h5", 2, "--checkpoint is missing: give a folder"},
        {"eval --data good.h5 --checkpoint init --goal win", 2,
         "'win' is not one of asker|consensus"},
        {"eval --data good.h5 --checkpoint nowhere", 1, "nowhere: No such file"},
        {"eval --data good.h5 --checkpoint damaged", 1,
         "damaged/versions/000001/weights.h5: damaged: 1000 bytes"},
        {"eval --data good.h5 --checkpoint bare", 1, "bare: holds no trained networks"},
        {"eval --data good.h5 --checkpoint init --episodes 0", 2, "--episodes: 0 is out of range"},
        {"eval --data good.h5 --folds 1000 --fold 3 --checkpoint init", 1,
         "good.h5: 0 usable records"},
        {"eval --data good.h5 --checkpoint init --raw file/out " EVAL, 1,
         "file/out: cannot be written: Not a directory"},
        {"eval --data good.h5 --checkpoint init --raw . " EVAL, 1, "is a folder, not a file"},
        {"eval --data good.h5 --checkpoint damaged --raw out " EVAL, 1,
         "damaged/versions/000001/weights.h5"},
    };
    ASSERT_ALL_REFUSED(list);
}

/* Told before the work: pretrain prints its figures when it has fitted something, here it prints
 * nothing. */
static void an_unwritable_folder_is_told_before_the_work(void **state)
{
    static const wrong list[] = {
        {"pretrain --data good.h5 --out file " PRETRAIN, 1, "file: is not a folder"},
        {"pretrain --data good.h5 --out file/x " PRETRAIN, 1,
         "file/x: cannot be made: Not a directory"},
        {"pretrain --data good.h5 --out /proc/syncog/x " PRETRAIN, 1,
         "/proc/syncog/x: cannot be made"},
        {"train --data good.h5 --init init --out file " TRAIN, 1, "file: is not a folder"},
        {"train --data good.h5 --init init --out file/x " TRAIN, 1,
         "file/x: cannot be made: Not a directory"},
        {"train --data good.h5 --init init --out /proc/syncog/x " TRAIN, 1,
         "/proc/syncog/x: cannot be made"},
    };
    ASSERT_ALL_REFUSED(list);
    if (geteuid() == 0) return; /* root may write everywhere */
    assert_int_equal(mkdir(path_of("locked"), 0500), 0);
    assert_one_sentence("locked", syncog("pretrain --data good.h5 --out locked/x " PRETRAIN), 1,
                        "Permission denied");
    assert_one_sentence("locked", syncog("train --data good.h5 --init init --out locked " TRAIN), 1,
                        "locked: cannot");
}

static void missing_parents_of_out_are_made(void **state)
{
    assert_works("train --data good.h5 --init init --out deep/er --save-best-only " TRAIN);
    assert_works("checkpoint verify deep/er");
}

/* ---- No space ---- */

/* Up to the save, the commands print what they have reached; then they say what failed. */
static void assert_failed(const char *words)
{
    if (line_count(complained) != 1 || strncmp(complained, "syncog: ", 8) ||
        !strstr(complained, words) || strstr(said, "saved")) {
        fail_msg("expected one sentence with \"%s\"; stdout \"%s\", stderr \"%s\"", words, said,
                 complained);
    }
}

static void a_file_size_limit_leaves_nothing(void **state)
{
    char line[1024], content[2][HASH_TEXT];
    snprintf(line, sizeof line, "--version; ulimit -f 2000; '%s' ",
             SYN_PROGRAM); /* 512-byte blocks or KiB */
    assert_int_equal(syncog("%spretrain --data good.h5 --out out --component ckm " PRETRAIN, line),
                     1);
    assert_nothing_left("pretrain");
    assert_failed("not saved: File too large");
    assert_int_equal(syncog("%strain --data good.h5 --init init --out out " TRAIN, line), 1);
    assert_nothing_left("train");
    assert_failed("not saved: File too large");
    content_of("trained", content[0]); /* what stood there stays */
    assert_int_equal(
        syncog("%spretrain --data good.h5 --out trained --overwrite --component ckm " PRETRAIN,
               line),
        1);
    assert_failed("not saved: File too large");
    assert_string_equal(content[0], content_of("trained", content[1]));
    assert_int_equal(folder_count(path_of("trained")), 2);
    snprintf(line, sizeof line, "--version; ulimit -f 8; '%s' ", SYN_PROGRAM);
    assert_int_equal(
        syncog("%seval --data good.h5 --checkpoint init --raw out --episodes 400 --threads 1",
               line),
        1);
    assert_nothing_left("eval");
    assert_failed("out: cannot be written: File too large");
}

static void a_full_disk_leaves_the_version_before(void **state)
{
    char content[2][HASH_TEXT];
    assert_int_equal(mkdir(path_of("small"), 0700), 0);
    if (mount("none", path_of("small"), "tmpfs", 0, "size=9m") != 0)
        skip(); /* needs the right to mount */
    int first = syncog(
        "pretrain --data good.h5 --out small/run --component ckm " PRETRAIN); /* takes 7 MiB */
    if (first == 0) content_of("small/run", content[0]);
    int second = syncog(
        "pretrain --data good.h5 --out small/run --overwrite --component ckm --seed 2 " PRETRAIN);
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%.500s", complained);
    if (first == 0) content_of("small/run", content[1]);
    int files = folder_count(path_of("small/run"));
    int printed = syncog("eval --data good.h5 --checkpoint init --json " EVAL " >/dev/full");
    umount(path_of("small"));
    assert_int_equal(first, 0);
    assert_int_equal(second, 1);
    assert_non_null(strstr(sentence, "No space left on device"));
    assert_int_equal(line_count(sentence), 1);
    assert_string_equal(content[0], content[1]);
    assert_int_equal(files, 2);
    assert_int_equal(printed, 1);
    assert_failed("the result cannot be printed: No space left on device");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_data_is_one_sentence),
        cmocka_unit_test(wrong_options_are_one_sentence),
        cmocka_unit_test(wrong_use_of_pretrain_is_one_sentence),
        cmocka_unit_test(wrong_use_of_train_is_one_sentence),
        cmocka_unit_test(wrong_use_of_eval_is_one_sentence),
        cmocka_unit_test(an_unwritable_folder_is_told_before_the_work),
        cmocka_unit_test(missing_parents_of_out_are_made),
        cmocka_unit_test(a_file_size_limit_leaves_nothing),
        cmocka_unit_test(a_full_disk_leaves_the_version_before),
    };
    return cmocka_run_group_tests(tests, set_up, folder_teardown);
}
