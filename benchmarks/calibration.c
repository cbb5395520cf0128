#include "benchmarks/calibration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "benchmarks/stats.h"
#include "datasets/new_file.h"
#include "serve/aggregate.h"
#include "serve/hash.h"

#define CONFIDENCE_MIN .01 /* as serve/aggregate.h keeps them */
enum { MODELS_MAX = 256, NAME_BYTES_MAX = 256, BISECTIONS = 60 };

typedef struct model {
    char name[NAME_BYTES_MAX];
    double *confidence, *correct; /* as stated */
    uint8_t *half;
    int64_t n, room;
} model;

struct syn_calibrator {
    model model[MODELS_MAX];
    int count;
};

/* ---- the fit ---- */

static double kept(double p)
{
    return fmin(fmax(p, CONFIDENCE_MIN), 1 - CONFIDENCE_MIN);
}

/* Of the log-likelihood by b = 1 / T; falls with b. */
static double slope(const double *confidence, const double *correct, int64_t n, double b)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        const double z = syn_logit(kept(confidence[k]));
        sum += z * (correct[k] - 1 / (1 + exp(-b * z)));
    }
    return sum;
}

static double fit(const double *confidence, const double *correct, int64_t n)
{
    double low = 1 / SYN_CALIBRATION_MAX, high = 1 / SYN_CALIBRATION_MIN;
    if (slope(confidence, correct, n, low) <= 0) return SYN_CALIBRATION_MAX;
    if (slope(confidence, correct, n, high) >= 0) return SYN_CALIBRATION_MIN;
    for (int k = 0; k < BISECTIONS; k++) {
        const double middle = (low + high) / 2;
        if (slope(confidence, correct, n, middle) > 0)
            low = middle;
        else
            high = middle;
    }
    return 1 / ((low + high) / 2);
}

static double log_loss(const double *confidence, const double *correct, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        const double p = kept(confidence[k]);
        sum -= correct[k] * log(p) + (1 - correct[k]) * log(1 - p);
    }
    return sum / (double)n;
}

/* The answers of one half, one after the other; how many there are. */
static int64_t gather(const double *x, const uint8_t *half, int64_t n, int which, double *out)
{
    int64_t count = 0;
    for (int64_t k = 0; k < n; k++)
        if (half[k] == which) out[count++] = x[k];
    return count;
}

/* Each half with the temperature of the other. scratch (2n). False: one of them is empty. */
static bool judge_by_halves(const double *confidence, const double *correct, const uint8_t *half,
                            int64_t n, double *scratch, double *after)
{
    for (int other = 0; other < 2; other++) {
        const int64_t count = gather(confidence, half, n, other, scratch);
        if (count == 0) return false;
        gather(correct, half, n, other, scratch + n);
        const double t = fit(scratch, scratch + n, count);
        for (int64_t k = 0; k < n; k++)
            if (half[k] != other) after[k] = syn_calibrate_confidence(confidence[k], t);
    }
    return true;
}

syn_status syn_confidence_fit_to(const double *confidence, const double *correct,
                                 const uint8_t *half, int64_t n, syn_confidence_fit *out)
{
    double *after = malloc(3 * (size_t)n * sizeof *after);
    if (!after) return syn_fail(SYN_ERR_MEMORY, "out of memory for a calibration");
    out->temperature = 1;
    out->log_loss_before = out->log_loss_after = log_loss(confidence, correct, n);
    out->ece_before = out->ece_after = syn_confidence_ece(confidence, correct, n, NULL);
    if (judge_by_halves(confidence, correct, half, n, after + n, after)) {
        const double loss = log_loss(after, correct, n);
        if (loss < out->log_loss_before) {
            out->temperature = fit(confidence, correct, n);
            out->log_loss_after = loss;
            out->ece_after = syn_confidence_ece(after, correct, n, NULL);
        }
    }
    free(after);
    return SYN_OK;
}

/* ---- answers by model ---- */

syn_status syn_calibrator_open(syn_calibrator **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for a calibration");
}

void syn_calibrator_close(syn_calibrator *c)
{
    for (int k = 0; c && k < c->count; k++) {
        free(c->model[k].confidence);
        free(c->model[k].correct);
        free(c->model[k].half);
    }
    free(c);
}

static syn_status find(syn_calibrator *c, const char *name, model **out)
{
    for (int k = 0; k < c->count; k++)
        if (strcmp(c->model[k].name, name) == 0) {
            *out = &c->model[k];
            return SYN_OK;
        }
    if (c->count == MODELS_MAX || strlen(name) >= NAME_BYTES_MAX)
        return syn_fail(SYN_ERR_LIMIT, "more than %d models are calibrated, or a name is too long",
                        MODELS_MAX);
    *out = &c->model[c->count++];
    strcpy((*out)->name, name);
    return SYN_OK;
}

static bool grow(model *m, int64_t room)
{
    double *confidence = realloc(m->confidence, (size_t)room * sizeof *confidence);
    if (confidence) m->confidence = confidence;
    double *correct = realloc(m->correct, (size_t)room * sizeof *correct);
    if (correct) m->correct = correct;
    uint8_t *half = realloc(m->half, (size_t)room * sizeof *half);
    if (half) m->half = half;
    if (!confidence || !correct || !half) return false;
    m->room = room;
    return true;
}

static uint8_t half_of(const char *benchmark, const char *group)
{
    const uint64_t h =
        syn_hash64(syn_hash64(0, benchmark, strlen(benchmark)), group, strlen(group));
    return (uint8_t)(h >> 32 & 1);
}

syn_status syn_calibrator_add(syn_calibrator *c, const char *name, const char *benchmark,
                              const char *group, double confidence, double applied, double correct)
{
    model *m = NULL;
    if (!(confidence >= 0 && confidence <= 1) || !(correct >= 0 && correct <= 1)) return SYN_OK;
    SYN_RETURN_IF(find(c, name, &m));
    if (m->n == m->room && !grow(m, m->room ? 2 * m->room : 256))
        return syn_fail(SYN_ERR_MEMORY, "out of memory for a calibration");
    /* 1 / T takes back what T has done. */
    const bool was = applied > 0 && applied != 1;
    m->confidence[m->n] = was ? syn_calibrate_confidence(confidence, 1 / applied) : confidence;
    m->half[m->n] = half_of(benchmark, group);
    m->correct[m->n++] = correct;
    return SYN_OK;
}

/* ---- the file ---- */

static double rounded(double x)
{
    return round(x * 1e6) / 1e6;
}

static const char judged_note[] =
    "before: the confidence as it was stated; after: with the temperature that the other half of "
    "the questions gives. A temperature draws confidences together around one half, or apart: what "
    "is always too high or too low it cannot shift.";
static const char unfitted_note[] =
    "no temperature helps with questions that it was not fitted to: confidences are taken as they "
    "are stated.";

static syn_status add_fits(const syn_calibrator *c, json_t *models, int *fitted)
{
    for (int k = 0; k < c->count; k++) {
        const model *m = &c->model[k];
        syn_confidence_fit f;
        if (m->n < SYN_CALIBRATION_ANSWERS_MIN) continue;
        SYN_RETURN_IF(syn_confidence_fit_to(m->confidence, m->correct, m->half, m->n, &f));
        json_t *entry = json_pack(
            "{s:f, s:I, s:f, s:f, s:f, s:f, s:s}", "temperature", rounded(f.temperature), "answers",
            (json_int_t)m->n, "log_loss_before", rounded(f.log_loss_before), "log_loss_after",
            rounded(f.log_loss_after), "ece_before", rounded(f.ece_before), "ece_after",
            rounded(f.ece_after), "note", f.temperature != 1 ? judged_note : unfitted_note);
        if (!entry || json_object_set_new(models, m->name, entry) != 0)
            return syn_fail(SYN_ERR_MEMORY, "out of memory for a calibration");
        ++*fitted;
    }
    return SYN_OK;
}

/* What stands at `path` already; new reference. */
static syn_status read_models(const char *path, json_t **out)
{
    syn_calibrations *there = NULL;
    if (access(path, F_OK) == 0) SYN_RETURN_IF(syn_calibrations_open(path, &there));
    const json_t *models = there ? syn_calibrations_json(there) : NULL;
    *out = models ? json_copy((json_t *)models) : json_object();
    syn_calibrations_close(there);
    return *out ? SYN_OK : syn_fail(SYN_ERR_MEMORY, "out of memory for a calibration");
}

static syn_status write_file(const char *path, const json_t *models)
{
    syn_new_file file;
    SYN_RETURN_IF(syn_new_file_open(&file, path));
    if (json_dumpfd(models, file.fd, JSON_INDENT(2) | JSON_SORT_KEYS) != 0 ||
        write(file.fd, "\n", 1) != 1) {
        syn_new_file_discard(&file);
        return syn_fail(SYN_ERR_IO, "%s: it cannot be written", path);
    }
    return syn_new_file_commit(&file);
}

syn_status syn_calibrator_write(const syn_calibrator *c, const char *path, int *fitted)
{
    json_t *models = NULL;
    *fitted = 0;
    syn_status st = read_models(path, &models);
    if (st == SYN_OK) st = add_fits(c, models, fitted);
    if (st == SYN_OK && *fitted > 0) st = write_file(path, models);
    json_decref(models);
    return st;
}
