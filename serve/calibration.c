#include "serve/calibration.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "serve/text_file.h"

enum { FILE_MIB_MAX = 1 };

struct syn_calibrations {
    json_t *models; /* NULL: none */
};

/* A model's name comes from outside: it is shown as far as it is plain. */
static void show(char *to, size_t room, const char *name)
{
    size_t n = 0;
    for (; name[n] && n + 1 < room; n++) to[n] = name[n] >= ' ' && name[n] <= '~' ? name[n] : '?';
    to[n] = 0;
}

static syn_status check(const char *path, json_t *models)
{
    const char *name;
    json_t *model;
    if (!json_is_object(models))
        return syn_fail(SYN_ERR_FORMAT, "%s: this is not an object of models", path);
    json_object_foreach(models, name, model)
    {
        const json_t *value = json_object_get(model, "temperature");
        const double t = json_number_value(value);
        char shown[80];
        show(shown, sizeof shown, name);
        if (!json_is_number(value))
            return syn_fail(SYN_ERR_FORMAT, "%s: %s: there is no temperature", path, shown);
        if (!(t >= SYN_CALIBRATION_MIN && t <= SYN_CALIBRATION_MAX))
            return syn_fail(SYN_ERR_FORMAT, "%s: %s: the temperature is not in [%g, %g]", path,
                            shown, SYN_CALIBRATION_MIN, SYN_CALIBRATION_MAX);
    }
    return SYN_OK;
}

syn_status syn_calibrations_open(const char *path, syn_calibrations **out)
{
    char *text = NULL;
    size_t bytes = 0;
    json_error_t error;
    syn_status st = SYN_OK;
    *out = NULL;
    syn_calibrations *c = calloc(1, sizeof *c);
    if (!c) return syn_fail(SYN_ERR_MEMORY, "out of memory for the calibration");
    if (path && *path) {
        SYN_TRY(syn_text_file_read(path, FILE_MIB_MAX, &text, &bytes));
        c->models = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
        st = c->models ? check(path, c->models)
                       : syn_fail(SYN_ERR_FORMAT, "%s:%d: this is not JSON", path, error.line);
    }
done:
    free(text);
    if (st == SYN_OK)
        *out = c;
    else
        syn_calibrations_close(c);
    return st;
}

void syn_calibrations_close(syn_calibrations *c)
{
    if (!c) return;
    json_decref(c->models);
    free(c);
}

const char *syn_calibrated_name(const syn_provider *provider, const char *model)
{
    if (provider->dialect == SYN_DIALECT_EXTRACTIVE) return "extractive";
    return model && *model ? model : provider->model;
}

double syn_calibration_of(const syn_calibrations *c, const char *name)
{
    const json_t *model = c ? json_object_get(c->models, name) : NULL;
    return model ? json_number_value(json_object_get(model, "temperature")) : 1;
}

const json_t *syn_calibrations_json(const syn_calibrations *c)
{
    return c->models;
}
