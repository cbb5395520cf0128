/* syncog report */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/report.h"
#include "datasets/new_file.h"
#include "kernels/base/options.h"

int syn_cmd_report(int argc, char **argv);

typedef struct report_options {
    const char *out, *eval, *format;
} report_options;

#define FIELD(name) offsetof(report_options, name)
static const syn_option options[] = {
    {"out", SYN_OPTION_TEXT, FIELD(out), NULL, 0, 0, "FILE",
     "Where the report is written; without it, Markdown and CSV are printed.", NULL},
    {"eval", SYN_OPTION_TEXT, FIELD(eval), NULL, 0, 0, "FILE.json",
     "Also show these figures, printed by 'syncog eval --json'.", NULL},
    {"format", SYN_OPTION_CHOICE, FIELD(format), "html", 0, 0, "html|markdown|csv",
     "A page, tables as text, or one row per update.", NULL},
};

static const syn_command command = {
    "report",
    "shows a training run and its evaluation on one page",
    "RUN",
    "RUN is the folder that 'syncog train' wrote with --out, a metrics.jsonl, or a file of 'syncog "
    "eval --json'. The page holds everything it needs: it opens from disk in any browser, light or "
    "dark, and prints. Point at a curve, or touch it, to read its values; all curves follow.\n\n"
    "Worth a look, in this order:\n"
    "  Return        held-out should follow training; a gap that widens is over-fitting.\n"
    "  KL            mostly below the stop line; above it all the time: lower --lr-actor.\n"
    "  Entropy       falls slowly; a drop to 0 early: raise --entropy-coef.\n"
    "  Explained     rises towards 1; around 0: the critic learns nothing, see its loss.\n"
    "  Gradient norm steady; spikes without end: lower the learning rates.\n\n"
    "A run that goes on can be shown at any time; the page says so. Damaged lines are passed over "
    "and counted.\n\n"
    "Examples:\n"
    "  syncog report runs/first --out first.html\n"
    "  syncog eval --data test.h5 --checkpoint runs/first --json > eval.json\n"
    "  syncog report runs/first --eval eval.json --out first.html\n"
    "  syncog report eval.json --format markdown\n"
    "  syncog report runs/first --format csv --out curves.csv",
    options,
    sizeof options / sizeof *options,
};

static syn_status write_file(const char *path, const char *text, size_t bytes)
{
    syn_new_file file;
    SYN_RETURN_IF(syn_new_file_open(&file, path));
    for (size_t done = 0; done < bytes;) {
        const ssize_t n = write(file.fd, text + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            syn_status st =
                syn_fail(SYN_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
            syn_new_file_discard(&file);
            return st;
        }
        done += (size_t)n;
    }
    return syn_new_file_commit(&file);
}

static syn_status print(const char *text, size_t bytes)
{
    if (fwrite(text, 1, bytes, stdout) == bytes && fflush(stdout) == 0) return SYN_OK;
    return syn_fail(SYN_ERR_IO, "the report cannot be printed: %s", strerror(errno));
}

static syn_status write_report(const syn_report *r, const report_options *o)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    if (f && !strcmp(o->format, "html")) syn_report_html(f, r);
    if (f && !strcmp(o->format, "markdown")) syn_report_markdown(f, r);
    if (f && !strcmp(o->format, "csv")) syn_report_csv(f, r);
    bool whole = f && !ferror(f);
    if (f) whole &= fclose(f) == 0;
    syn_status st = !whole   ? syn_fail(SYN_ERR_MEMORY, "out of memory for the report")
                    : o->out ? write_file(o->out, text, bytes)
                             : print(text, bytes);
    free(text);
    return st;
}

static syn_status run(int argc, char **argv)
{
    report_options o;
    syn_text_list what;
    syn_report r = {0};
    bool done = false;
    syn_status st = syn_options_parse(&command, &o, argc, argv, &what, &done);
    if (st != SYN_OK || done) return st;
    if (what.count != 1)
        return syn_fail(SYN_ERR_USAGE, "report: give one RUN: the folder that 'syncog train' "
                                       "wrote, or a file of 'syncog eval --json'");
    if (!o.out && !strcmp(o.format, "html"))
        return syn_fail(SYN_ERR_USAGE, "report: --out is missing: give the page's file name");
    SYN_TRY(syn_report_read(&r, what.items[0], o.eval));
    SYN_TRY(write_report(&r, &o));
    if (o.out) printf("wrote %s\n", o.out);
done:
    syn_report_free(&r);
    return st;
}

int syn_cmd_report(int argc, char **argv)
{
    return syn_exit_code(run(argc, argv));
}
