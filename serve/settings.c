/* The table of `syncog serve`. */
#include "serve/settings.h"

#include <string.h>

#include "kernels/base/options_private.h"

#define FIELD(name) offsetof(syn_settings, name)
#define TEXT(name, field, metavar, help, env)                                                      \
    {                                                                                              \
        name, SYN_OPTION_TEXT, FIELD(field), NULL, 0, 0, metavar, help, env                        \
    }
#define BOOL(name, field, fallback, help)                                                          \
    {                                                                                              \
        name, SYN_OPTION_BOOL, FIELD(field), fallback, 0, 0, NULL, help, NULL                      \
    }
#define INT(name, field, fallback, min, max, metavar, help, env)                                   \
    {                                                                                              \
        name, SYN_OPTION_INT, FIELD(field), fallback, min, max, metavar, help, env                 \
    }
#define SECONDS(name, field, fallback, min, max, help, env)                                        \
    {                                                                                              \
        name, SYN_OPTION_REAL, FIELD(field), fallback, min, max, "SECONDS", help, env              \
    }
#define CHOICE(name, field, fallback, words, help, env)                                            \
    {                                                                                              \
        name, SYN_OPTION_CHOICE, FIELD(field), fallback, 0, 0, words, help, env                    \
    }
#define TEXT_OR(name, field, fallback, metavar, help, env)                                         \
    {                                                                                              \
        name, SYN_OPTION_TEXT, FIELD(field), fallback, 0, 0, metavar, help, env                    \
    }

static const syn_option options[] = {
    /* Where */
    TEXT_OR("host", host, "127.0.0.1", "ADDRESS", "The address to listen on.", "API_HOST"),
    INT("port", port, "8000", 0, 65535, "PORT", "The port; 0: any that is free.", "API_PORT"),
    INT("workers", workers, "0", 0, 256, "N", "Event loops; 0: one per core.",
        "API_WORKERS"),
    TEXT_OR("state", state_folder, "state", "DIR",
            "Where the SQLite file and generated secrets are kept.", NULL),
    CHOICE("environment", environment, "development", "development|production|testing",
           "In development on this machine alone, requests need no key.", "ENVIRONMENT"),
    BOOL("insecure-public", insecure_public, NULL,
         "Listen beyond this machine without a proxy that speaks TLS."),
    TEXT("trusted-proxy", trusted_proxy, "CIDR,...",
         "Networks of the proxies in front, of a /8 at most (IPv6: /32): X-Forwarded-For is "
         "believed "
         "from there.",
         "TRUSTED_PROXY"),
    TEXT("allowed-origins", allowed_origins, "URL,...",
         "Origins whose pages may read replies, exactly; default none.", "ALLOWED_ORIGINS"),
    /* Who */
    TEXT("jwt-secret", jwt_secret, "TEXT", "Signs tokens, 32 bytes at least; made in development.",
         "JWT_SECRET_KEY"),
    CHOICE("jwt-algorithm", jwt_algorithm, "HS256", "HS256", "How tokens are signed.",
           "JWT_ALGORITHM"),
    INT("jwt-hours", jwt_hours, "24", 1, 24, "HOURS", "How long a token is good.",
        "JWT_EXPIRATION_HOURS"),
    TEXT("bootstrap-key", bootstrap_key, "TEXT",
         "An API key of tier admin beside those of the store, to make the first ones with.", NULL),
    INT("rate-per-minute", rate_per_minute, "0", 0, 1000000, "N",
        "Requests a minute of a key of tier basic or test; 0: 60.", "RATE_LIMIT_PER_MINUTE"),
    INT("rate-burst", rate_burst, "10", 1, 1000000, "N", "Requests at once of a key that waited.",
        "RATE_LIMIT_BURST"),
    INT("scoring-at-once", scoring_at_once, "256", 1, 1000000, "N",
        "Requests of one key under /v2 that may be under way together.", NULL),
    INT("replicas", replicas, "1", 1, 1000, "N",
        "Processes that share the limits: without Redis each grants its share.", NULL),
    /* With what */
    TEXT("database-url", database_url, "URL",
         "sqlite:///FILE or postgresql://...; default: a file in --state.", "DATABASE_URL"),
    TEXT("redis-url", redis_url, "URL", "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]; default none.",
         "REDIS_URL"),
    TEXT("postgres-host", postgres_host, "HOST", "With the four below, instead of --database-url.",
         "POSTGRES_HOST"),
    INT("postgres-port", postgres_port, "5432", 1, 65535, "PORT", NULL, "POSTGRES_PORT"),
    TEXT_OR("postgres-db", postgres_db, "syncog", "NAME", NULL, "POSTGRES_DB"),
    TEXT_OR("postgres-user", postgres_user, "syncog", "NAME", NULL, "POSTGRES_USER"),
    TEXT("postgres-password", postgres_password, "TEXT", NULL, "POSTGRES_PASSWORD"),
    TEXT("redis-host", redis_host, "HOST", "With the four below, instead of --redis-url.",
         "REDIS_HOST"),
    INT("redis-port", redis_port, "6379", 1, 65535, "PORT", NULL, "REDIS_PORT"),
    INT("redis-db", redis_db, "0", 0, 65535, "N", NULL, "REDIS_DB"),
    TEXT("redis-password", redis_password, "TEXT", NULL, "REDIS_PASSWORD"),
    CHOICE("redis-enabled", redis_enabled, "auto", "auto|true|false|1|0",
           "auto: where a host is given.", "REDIS_ENABLED"),
    {"retention-days", SYN_OPTION_REAL, FIELD(retention_days), "0", 0, 36500, "DAYS",
     "Older history and audit events are removed; 0: never.", NULL},
    TEXT_OR("provider", provider, "auto", "NAME",
            "Whose models teams are made of: openrouter, openai, anthropic, deepseek, google, "
            "kimi, ollama, custom, one of --providers-file, or extractive.",
            NULL),
    TEXT("base-url", base_url, "URL", "An OpenAI-compatible endpoint, as provider custom.", NULL),
    TEXT("model", model, "NAME", "Its model.", NULL),
    TEXT_OR("api-key-env", api_key_env, "OPENAI_API_KEY", "NAME",
            "The environment variable that holds its key.", NULL),
    BOOL("insecure", insecure, NULL,
         "Allow it to be plain http on another machine, without a key."),
    TEXT("providers-file", providers_file, "FILE", "JSON of further providers, prices and teams.",
         NULL),
    TEXT("primary-model", primary_model, "NAME", "Of agents: PROVIDER:MODEL, or a model.",
         "PRIMARY_MODEL"),
    TEXT("aggregator-model", aggregator_model, "NAME", "Of final answers; default: the asker's.",
         "AGGREGATOR_MODEL"),
    TEXT("embedding-model", embedding_model, "NAME", "Offered under /v1/embeddings.",
         "EMBEDDING_MODEL"),
    TEXT(
        "calibration", calibration, "FILE",
        "How far each model's stated confidence is to be trusted: calibration.json of 'syncog eval "
        "--benchmarks'.",
        "CALIBRATION_FILE"),
    TEXT("checkpoint", checkpoint, "DIR",
         "The trained networks that decide; default: CHECKPOINT_DIR (or best/ in it), else "
         "runs/demo/trained, else a cosine-threshold rule.",
         NULL),
    TEXT_OR("device", device, "auto", "auto|cpu|cuda|cuda:N", "Where the networks run.", "DEVICE"),
    INT("scorer-threads", scorer_threads, "1", 0, 256, "N", "Of the processor; 0: one per core.",
        NULL),
    /* How much */
    INT("agents-max", agents_max, "10", 2, 10, "N", "Agents of a team at most.", "MAX_AGENTS"),
    INT("rounds-max", rounds_max, "20", 1, 20, "N", "Rounds of a collaboration at most.",
        "MAX_COMMUNICATION_ROUNDS"),
    SECONDS("timeout", timeout_s, "300", .001, 86400,
            "When the answers so far of a collaboration are aggregated.", "DEFAULT_TIMEOUT"),
    INT("collaborations-max", collaborations_max, "4096", 1, 1000000, "N",
        "Under way in this process; beyond: 503.", NULL),
    INT("reply-tokens", reply_tokens_max, "1024", 1, 1000000, "N", "Of one call to a model.", NULL),
    INT("connections-max", connections_max, "10000", 1, 1000000, "N", "Open ones of a worker.",
        NULL),
    CHOICE("guard", guard, "flag", "off|flag|block",
           "What is done about signs of a prompt injection: nothing, a note in reply and audit "
           "log, or a refusal.",
           NULL),
    /* Told to others */
    TEXT_OR("log-level", log_level, "info", "debug|info|warn|error", NULL, "LOG_LEVEL"),
    TEXT_OR("log-format", log_format, "text", "text|json", NULL, "LOG_FORMAT"),
    TEXT("log-file", log_file, "FILE", "Appended to instead of standard error.", "LOG_FILE"),
    BOOL("access-log", access_log, "true", "Log each request, without path, prompt or key."),
    TEXT("otlp-endpoint", otlp_endpoint, "URL", "An OpenTelemetry collector to send spans to.",
         "OTEL_EXPORTER_OTLP_ENDPOINT"),
    TEXT("otlp-headers", otlp_headers, "NAME=VALUE,...", "Headers to send with them.",
         "OTEL_EXPORTER_OTLP_HEADERS"),
    TEXT_OR("otlp-service", otlp_service, "syncog", "NAME", "The service's name in them.",
            "OTEL_SERVICE_NAME"),
    SECONDS("drain", drain_s, "30", 0, 86400, "What requests under way get when the service stops.",
            NULL),
    SECONDS("drain-delay", drain_delay_s, "-1", -1, 3600,
            "How long it goes on accepting after SIGTERM while /readyz already fails; -1: 5, and "
            "not at all in development.",
            NULL),
    BOOL("init", init, NULL, "Write a commented .env into this folder and stop."),
    BOOL("overwrite", overwrite, NULL, "Let --init replace a .env that is there."),
};
enum { OPTION_COUNT = sizeof options / sizeof *options };

static const syn_command command = {
    .name = "serve",
    .summary = "collaboration and scoring over HTTP",
    .details =
        "SYNC's own API under /api/v1, teams as models of the OpenAI protocol under /v1, the "
        "networks by themselves under /v2 (Open Inference Protocol), and a page to try it on at "
        "/. On this machine it runs as it is and needs no key:\n\n"
        "  syncog serve\n"
        "  curl http://127.0.0.1:8000/health\n"
        "  curl http://127.0.0.1:8000/api/v1/collaborate -H 'Content-Type: application/json' \\\n"
        "      -d '{\"query\": \"In which town was the director of The Amber Coast born?\", "
        "\"documents\": [\n"
        "        {\"text\": \"The Amber Coast is a film. It was directed by Ilse Marten.\"},\n"
        "        {\"text\": \"Ilse Marten was born in the harbour town of Tallvik.\"}]}'\n\n"
        "Agents are language models where a key is found (OPENROUTER_API_KEY, OPENAI_API_KEY, "
        "ANTHROPIC_API_KEY, DEEPSEEK_API_KEY, GOOGLE_API_KEY, KIMI_API_KEY) or an Ollama answers "
        "on this machine, and otherwise extractive: they answer with words of the documents. "
        "--providers-file adds others, prices and teams (a new one needs name and base_url; "
        "one of a known name changes that; \"*\" prices all other models):\n\n"
        "  {\"providers\": [{\"name\": \"local\", \"base_url\": \"http://127.0.0.1:8080/v1\",\n"
        "                  \"dialect\": \"openai\", \"api_key_env\": \"LOCAL_KEY\", \"model\": "
        "\"qwen3\",\n"
        "                  \"options\": {\"reasoning_effort\": \"none\"},\n"
        "                  \"prices\": {\"*\": {\"prompt_usd_per_million\": 0.1,\n"
        "                                   \"completion_usd_per_million\": 0.4}}}],\n"
        "   \"teams\": {\"careful\": {\"num_agents\": 5, \"task_type\": \"analysis\"}}}\n\n"
        "For others to use, put a proxy that speaks TLS in front, say so, and make keys:\n\n"
        "  syncog serve --init                  # writes .env with a secret; then edit it\n"
        "  syncog key create --tier admin --name operator\n"
        "  ENVIRONMENT=production API_HOST=0.0.0.0 TRUSTED_PROXY=10.0.0.0/8 syncog serve\n\n"
        "A .env in this folder is read below the real environment. Each secret NAME may also be "
        "given as NAME_FILE, a file that only its owner reads. SIGTERM drains, SIGHUP reads keys "
        "and LOG_LEVEL anew. BATCH_SIZE, LEARNING_RATE and NUM_EPOCHS concern 'syncog train'.",
    .options = options,
    .option_count = OPTION_COUNT};

const syn_option *syn_settings_option(const char *name)
{
    for (int k = 0; k < OPTION_COUNT; k++) {
        if (strcmp(options[k].name, name) == 0) return &options[k];
    }
    return NULL;
}

syn_status syn_settings_defaults(syn_settings *out)
{
    memset(out, 0, sizeof *out);
    for (int k = 0; k < OPTION_COUNT; k++) {
        const syn_option *o = &options[k];
        if (o->fallback) SYN_RETURN_IF(syn_option_set(o, out, o->fallback, o->name));
    }
    return SYN_OK;
}

syn_status syn_settings_parse(int argc, char **argv, syn_settings *out, bool *done)
{
    bool help = false;
    for (int k = 1; k < argc; k++)
        help = help || strcmp(argv[k], "--help") == 0 || strcmp(argv[k], "-h") == 0;
    if (!help) { /* a malformed file does not stand before its explanation */
        SYN_RETURN_IF(syn_env_file_read(".env"));
        SYN_RETURN_IF(syn_secret_files_read());
    }
    SYN_RETURN_IF(syn_options_parse(&command, out, argc, argv, NULL, done));
    if (*done || !out->init) return SYN_OK;
    *done = true;
    return syn_settings_init(out->overwrite);
}
