/* What `syncog serve --init` writes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "serve/settings.h"

static const char before_secret[] =
    "# Settings of syncog serve, read below the real environment. 'syncog serve --help' explains\n"
    "# them all; each secret NAME may also be given as NAME_FILE, a file only its owner reads.\n"
    "\n"
    "# ---- Where ----\n"
    "# development: on this machine alone, no key is needed. production: keys always.\n"
    "ENVIRONMENT=development\n"
    "API_HOST=127.0.0.1\n"
    "API_PORT=8000\n"
    "# Event loops; 0: one per core but one.\n"
    "API_WORKERS=0\n"
    "# Beyond this machine: the networks of the proxy that speaks TLS in front.\n"
    "#TRUSTED_PROXY=10.0.0.0/8\n"
    "# Origins whose pages may read replies.\n"
    "#ALLOWED_ORIGINS=https://app.example.org\n"
    "\n"
    "# ---- Who ----\n"
    "# Signs tokens. Drawn for this file; whoever has it can make tokens.\n"
    "JWT_SECRET_KEY=";

static const char after_secret[] =
    "JWT_ALGORITHM=HS256\n"
    "JWT_EXPIRATION_HOURS=24\n"
    "# A key of tier admin to make the first ones with; or use 'syncog key create --tier admin'.\n"
    "#SYNCOG_BOOTSTRAP_KEY=\n"
    "# Of keys of tier basic: requests a minute, and at once.\n"
    "RATE_LIMIT_PER_MINUTE=60\n"
    "RATE_LIMIT_BURST=10\n"
    "\n"
    "# ---- Models: the first key found is used, else an Ollama on this machine ----\n"
    "#OPENROUTER_API_KEY=\n"
    "#OPENAI_API_KEY=\n"
    "#ANTHROPIC_API_KEY=\n"
    "#DEEPSEEK_API_KEY=\n"
    "#GOOGLE_API_KEY=\n"
    "#KIMI_API_KEY=\n"
    "# For embeddings.\n"
    "#COHERE_API_KEY=\n"
    "# Passed by: Perplexity has no chat completions of this protocol.\n"
    "#PERPLEXITY_API_KEY=\n"
    "# PROVIDER:MODEL, or a model of the provider that is found.\n"
    "#PRIMARY_MODEL=\n"
    "#AGGREGATOR_MODEL=\n"
    "#EMBEDDING_MODEL=\n"
    "# How far models' confidences are to be trusted: written by 'syncog eval --benchmarks'.\n"
    "#CALIBRATION_FILE=\n"
    "\n"
    "# ---- Collaboration ----\n"
    "MAX_AGENTS=10\n"
    "MAX_COMMUNICATION_ROUNDS=20\n"
    "# Seconds after which the answers so far are aggregated.\n"
    "DEFAULT_TIMEOUT=300\n"
    "# The trained networks; without them a simple rule decides.\n"
    "#CHECKPOINT_DIR=checkpoints\n"
    "# auto, cpu, cuda or cuda:1\n"
    "DEVICE=auto\n"
    "\n"
    "# ---- Store: SQLite in ./state unless one of these is given ----\n"
    "#DATABASE_URL=postgresql://syncog@db.example.org/syncog\n"
    "#POSTGRES_HOST=localhost\n"
    "#POSTGRES_PORT=5432\n"
    "#POSTGRES_DB=syncog\n"
    "#POSTGRES_USER=syncog\n"
    "#POSTGRES_PASSWORD=\n"
    "\n"
    "# ---- Limits over several replicas ----\n"
    "#REDIS_ENABLED=true\n"
    "#REDIS_HOST=localhost\n"
    "#REDIS_PORT=6379\n"
    "#REDIS_DB=0\n"
    "#REDIS_PASSWORD=\n"
    "\n"
    "# ---- Told to others ----\n"
    "# debug, info, warn or error; SIGHUP reads it anew.\n"
    "LOG_LEVEL=info\n"
    "# text or json\n"
    "LOG_FORMAT=text\n"
    "#LOG_FILE=syncog.log\n"
    "#OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318\n"
    "\n"
    "# ---- Of 'syncog train'; the service passes them by ----\n"
    "#BATCH_SIZE=\n"
    "#LEARNING_RATE=\n"
    "#NUM_EPOCHS=\n"
    "# Not used by us: W&B reads our files with 'wandb sync'.\n"
    "#WANDB_API_KEY=\n";

static bool write_all(int fd, const char *text)
{
    size_t n = strlen(text);
    return write(fd, text, n) == (ssize_t)n;
}

syn_status syn_settings_init(bool overwrite)
{
    unsigned char random[32];
    char secret[66];
    const char *own = ".env.new";
    if (!overwrite && access(".env", F_OK) == 0)
        return syn_fail(SYN_ERR_IO, ".env is there already; --overwrite replaces it");
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return syn_fail(SYN_ERR_IO, "the system gives no random bytes");
    for (int k = 0; k < 32; k++) sprintf(secret + 2 * k, "%02x", random[k]);
    strcat(secret, "\n");
    unlink(own);
    int fd = open(own, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write_all(fd, before_secret) && write_all(fd, secret) &&
                write_all(fd, after_secret) && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0) close(fd);
    if (good && (overwrite ? rename(own, ".env") : link(own, ".env")) != 0) {
        good = false;
        error = errno;
    }
    if (fd >= 0) unlink(own);
    explicit_bzero(secret, sizeof secret);
    if (!good) return syn_fail(SYN_ERR_IO, ".env: %s", strerror(error));
    printf("Wrote .env. 'syncog serve' reads it from this folder.\n");
    return SYN_OK;
}
