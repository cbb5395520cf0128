/* All that `syncog serve` can be told: flags, environment, .env, config file, one table
 * (kernels/base/options.h). */
#ifndef SYN_SERVE_SETTINGS_H
#define SYN_SERVE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/base/options.h"

/* Texts are NULL where nothing was given, and live as long as the program. Secrets are never
 * printed. */
typedef struct syn_settings {
    /* Where */
    const char *host;         /* API_HOST, 127.0.0.1 */
    int64_t port, workers;    /* API_PORT 8000, 0: any; API_WORKERS, 0: one per core */
    const char *state_folder; /* SQLite file and generated secrets; "state" */
    const char *environment;  /* ENVIRONMENT: development, production, testing */
    bool insecure_public;
    const char *trusted_proxy;   /* TRUSTED_PROXY: CIDRs, separated by commas */
    const char *allowed_origins; /* ALLOWED_ORIGINS, exact, separated by commas; NULL: none */
    /* Who */
    const char *jwt_secret, *jwt_algorithm, *bootstrap_key;
    int64_t jwt_hours; /* JWT_EXPIRATION_HOURS, 24 at most */
    int64_t rate_per_minute,
        rate_burst;          /* of tiers basic and test: RATE_LIMIT_PER_MINUTE, _BURST */
    int64_t scoring_at_once; /* /v2 requests of one key under way, 256 */
    int64_t replicas;
    /* With what */
    const char *database_url, *redis_url;
    /* Parts of the two URLs, where the whole is not given. */
    const char *postgres_host, *postgres_db, *postgres_user, *postgres_password;
    const char *redis_host, *redis_password, *redis_enabled;
    int64_t postgres_port, redis_port, redis_db;
    double retention_days;
    const char *provider, *base_url, *model, *api_key_env; /* as `ask` has them */
    bool insecure;
    const char *providers_file;
    const char *primary_model, *aggregator_model, *embedding_model;
    const char *calibration; /* CALIBRATION_FILE, of serve/calibration.h; NULL: none */
    const char *checkpoint, *device;
    int64_t scorer_threads;
    /* How much */
    int64_t agents_max, rounds_max; /* MAX_AGENTS 10, MAX_COMMUNICATION_ROUNDS 20 */
    double timeout_s;               /* DEFAULT_TIMEOUT 300 */
    int64_t collaborations_max;     /* under way in this process, beyond: 503; 4096 */
    int64_t reply_tokens_max;       /* of one call, 1024 */
    int64_t connections_max;        /* of one worker, 10000 */
    const char *guard;              /* off|flag|block */
    /* Told to others */
    const char *log_level, *log_format, *log_file;
    bool access_log;
    const char *otlp_endpoint, *otlp_headers, *otlp_service;
    double drain_s, drain_delay_s;
    /* Of the command alone */
    bool init, overwrite;
} syn_settings;

/* Reads KEY=VALUE lines of `path` into the environment, below what is there: comments, `export`,
 * single quotes (as it stands) and double quotes (with \n, \t, \", \\ and \$). A file that is not
 * there is no error. Errors: SYN_ERR_FORMAT with the line, SYN_ERR_LIMIT above 64 KiB, SYN_ERR_IO.
 * Before threads are started. */
SYN_WARN_UNUSED syn_status syn_env_file_read(const char *path);
/* What the file that was read says today of `name`; false: nothing, or the environment had a value
 * of its own. */
bool syn_env_file_again(const char *name, char *out, size_t bytes);
/* For each of the names of secrets that has no value: reads the file that NAME_FILE names. Errors:
 * SYN_ERR_INVALID (others may read the file), SYN_ERR_IO, each with the variable's name. Before
 * threads are started. */
SYN_WARN_UNUSED syn_status syn_secret_files_read(void);

/* The settings of the command line, the environment (with ./.env and NAME_FILE secrets below it)
 * and the file of --config. *done: --help, --print-config or --init has been answered. */
SYN_WARN_UNUSED syn_status syn_settings_parse(int argc, char **argv, syn_settings *out, bool *done);
/* The table's row of that name, for commands that share some of them: their struct begins with a
 * syn_settings. */
const syn_option *syn_settings_option(const char *name);
/* The defaults alone, for tests and for programs that embed the service. */
SYN_WARN_UNUSED syn_status syn_settings_defaults(syn_settings *out);

/* Makes the state folder and composes database_url and redis_url where they are not given. Errors:
 * SYN_ERR_INVALID names the setting, SYN_ERR_IO. */
SYN_WARN_UNUSED syn_status syn_settings_urls(syn_settings *s);
/* syn_settings_urls, then refuses what is unsafe: an address beyond this machine without
 * JWT_SECRET_KEY, and without TRUSTED_PROXY or --insecure-public; a secret below 32 bytes. In
 * development a secret that is missing is made and kept in the state folder (0600). */
SYN_WARN_UNUSED syn_status syn_settings_complete(syn_settings *s);

/* Writes a commented ./.env with a fresh JWT_SECRET_KEY, mode 0600. Errors: SYN_ERR_IO (it is there
 * and `overwrite` is false). */
SYN_WARN_UNUSED syn_status syn_settings_init(bool overwrite);

/* Copies take the place of the settings' secrets, which are overwritten where others of this
 * machine could read them: the command line and the initial environment. Errors: SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_settings_hide(syn_settings *s);
/* The same for all variables that hold secrets, providers' keys among them. After all who read them
 * have done so. */
void syn_environment_hide(const syn_settings *s);

/* Whether `host` is a name or an address of this machine alone. */
bool syn_host_is_loopback(const char *host);
/* ENVIRONMENT=development and a loopback address: no credentials are needed. */
bool syn_settings_development(const syn_settings *s);

#endif
