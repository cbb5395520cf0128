/* How far a model's stated confidence is to be trusted: the temperature T of sigma(logit(c) / T),
 * by model, as `syncog eval --benchmarks` fits it (benchmarks/calibration.h) and writes it:
 *
 *     {"gpt-4o-mini": {"temperature": 1.8, "answers": 640, "log_loss_before": 0.61,
 *                      "log_loss_after": 0.55, "ece_before": 0.14, "ece_after": 0.03},
 *      "extractive": {...}}
 *
 * A model that no temperature helps has the temperature 1.
 * Members that are not named here are passed over. Read-only once opened; any thread. */
#ifndef SYN_SERVE_CALIBRATION_H
#define SYN_SERVE_CALIBRATION_H

#include <jansson.h>

#include "serve/provider.h"

#define SYN_CALIBRATION_MIN 0.2 /* of a temperature */
#define SYN_CALIBRATION_MAX 5.0

typedef struct syn_calibrations syn_calibrations;

/* path NULL or "": nobody is calibrated. Errors: SYN_ERR_IO (cannot be read), SYN_ERR_FORMAT (not
 * such an object, a temperature that is missing or out of range), SYN_ERR_LIMIT (above 1 MiB),
 * SYN_ERR_MEMORY; the sentence names the file and the model. */
SYN_WARN_UNUSED syn_status syn_calibrations_open(const char *path, syn_calibrations **out);
void syn_calibrations_close(syn_calibrations *c); /* NULL is allowed */

/* The name by which a model stands in the file: `model`, where that is NULL or "" the provider's
 * own, and "extractive" for extractive agents. */
const char *syn_calibrated_name(const syn_provider *provider, const char *model);
/* The temperature of that name; 1 where there is none, and for c NULL. */
double syn_calibration_of(const syn_calibrations *c, const char *name);
/* The whole object, for who writes a file anew; NULL where there is none. */
const json_t *syn_calibrations_json(const syn_calibrations *c);

#endif
