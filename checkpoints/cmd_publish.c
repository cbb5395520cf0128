/* syncog checkpoint deploy | export | prune: what leaves a store. */
#include <stdio.h>
#include <stdlib.h>

#include "checkpoints/cmd_checkpoint.h"
#include "checkpoints/publish.h"
#include "checkpoints/sample.h"
#include "checkpoints/store.h"

/* ---- deploy ---- */

typedef struct deploy_config {
    const char *target;
} deploy_config;

static const syn_option deploy_options[] = {
    {.name = "target",
     .type = SYN_OPTION_TEXT,
     .offset = offsetof(deploy_config, target),
     .metavar = "PATH",
     .help = "The folder to make, or to replace when it is an earlier deployment."},
};

static const syn_command deploy_command = {
    .name = "checkpoint deploy",
    .summary = "copy one version for use, without its training state",
    .positional = "DIR [VERSION]",
    .details = "VERSION is a number, 'best' or 'latest'; without it, the best one, or the latest "
               "where none is marked. The copy is verified, then put in place by one rename: "
               "whoever loads PATH meanwhile gets the old one or the new one. A folder that is no "
               "deployment is never overwritten.\n\n"
               "Examples:\n"
               "  syncog checkpoint deploy runs/first --target /srv/policy\n"
               "  syncog checkpoint deploy runs/first 12 --target /srv/policy\n",
    .options = deploy_options,
    .option_count = 1,
};

syn_status syn_cmd_checkpoint_deploy(int argc, char **argv)
{
    deploy_config config;
    const char *dir, *which;
    int64_t version = 0;
    bool done = false;
    SYN_RETURN_IF(
        syn_cmd_checkpoint_parse(&deploy_command, &config, argc, argv, &dir, &which, &done));
    if (done) return SYN_OK;
    if (!config.target) return syn_fail(SYN_ERR_USAGE, "checkpoint deploy needs --target PATH");
    SYN_RETURN_IF(syn_publish_deploy(dir, which, config.target, &version));
    printf("deployed version %lld of %s as %s\n", (long long)version, dir, config.target);
    return SYN_OK;
}

/* ---- export ---- */

typedef struct export_config {
    const char *format, *out, *sample;
} export_config;

static const syn_option export_options[] = {
    {.name = "format",
     .type = SYN_OPTION_CHOICE,
     .offset = offsetof(export_config, format),
     .fallback = "safetensors",
     .metavar = "safetensors",
     .help = "The file's format."},
    {.name = "out",
     .type = SYN_OPTION_TEXT,
     .offset = offsetof(export_config, out),
     .metavar = "FILE",
     .help = "The file to write."},
    {.name = "sample",
     .type = SYN_OPTION_TEXT,
     .offset = offsetof(export_config, sample),
     .metavar = "FILE",
     .help = "Also write inputs drawn at random and what each network answers to them, so that a "
             "translation into another framework can be checked."},
};

static const syn_command export_command = {
    .name = "checkpoint export",
    .summary = "write one version's tensors for other programs",
    .positional = "DIR [VERSION]",
    .details = "Names, shapes and types are the checkpoint's; optimiser and resume state stay "
               "behind. __metadata__ has config, metrics and provenance as JSON texts. "
               "benchmarks/peers/export_check.py shows the networks in PyTorch.\n\n"
               "Examples:\n"
               "  syncog checkpoint export runs/first --out policy.safetensors\n"
               "  syncog checkpoint export runs/first 12 --out policy.safetensors --sample "
               "sample.safetensors\n",
    .options = export_options,
    .option_count = 3,
};

syn_status syn_cmd_checkpoint_export(int argc, char **argv)
{
    export_config config;
    const char *dir, *which;
    int64_t version = 0;
    bool done = false;
    SYN_RETURN_IF(
        syn_cmd_checkpoint_parse(&export_command, &config, argc, argv, &dir, &which, &done));
    if (done) return SYN_OK;
    if (!config.out) return syn_fail(SYN_ERR_USAGE, "checkpoint export needs --out FILE");
    SYN_RETURN_IF(syn_publish_safetensors(dir, which, config.out, &version));
    char number[24]; /* `latest` may move meanwhile */
    snprintf(number, sizeof number, "%lld", (long long)version);
    if (config.sample) SYN_RETURN_IF(syn_sample_write(dir, number, config.sample));
    printf("exported version %lld of %s to %s\n", (long long)version, dir, config.out);
    return SYN_OK;
}

/* ---- prune ---- */

typedef struct prune_config {
    int64_t keep;
    bool dry_run;
} prune_config;

static const syn_option prune_options[] = {
    {.name = "keep",
     .type = SYN_OPTION_INT,
     .offset = offsetof(prune_config, keep),
     .fallback = "0",
     .min = 0,
     .max = SYN_STORE_VERSIONS_MAX,
     .metavar = "N",
     .help = "How many versions stay, 1 or more."},
    {.name = "dry-run",
     .type = SYN_OPTION_BOOL,
     .offset = offsetof(prune_config, dry_run),
     .help = "Only say what would be removed."},
};

static const syn_command prune_command = {
    .name = "checkpoint prune",
    .summary = "remove the oldest versions",
    .positional = "DIR",
    .details = "The versions that 'best' and 'latest' lead to stay, and so does the newest one "
               "that verifies, even when that makes more than N.\n\n"
               "Examples:\n"
               "  syncog checkpoint prune runs/first --keep 10 --dry-run\n"
               "  syncog checkpoint prune runs/first --keep 10\n",
    .options = prune_options,
    .option_count = 2,
};

static syn_status prune_locked(const syn_folder *folder, int keep, bool dry_run)
{
    syn_store store;
    SYN_RETURN_IF(syn_store_open(folder->path, &store, NULL));
    syn_status st = SYN_OK;
    bool *gone = calloc((size_t)store.count, sizeof *gone);
    if (!gone) {
        st = syn_fail(SYN_ERR_MEMORY, "%s: out of memory", folder->path);
        goto done;
    }
    const int going = syn_store_choose(&store, keep, 0, gone);
    for (int i = 0; i < store.count; i++) {
        if (!gone[i]) continue;
        const int64_t number = store.versions[i].number;
        if (!dry_run) SYN_TRY(syn_version_remove(folder, number));
        printf("%s version %lld\n", dry_run ? "would remove" : "removed", (long long)number);
    }
    printf("%d of %d versions %s\n", store.count - going, store.count,
           dry_run ? "would stay" : "stay");
done:
    free(gone);
    syn_store_free(&store);
    return st;
}

syn_status syn_cmd_checkpoint_prune(int argc, char **argv)
{
    prune_config config;
    syn_folder folder = {.fd = -1};
    const char *dir;
    bool done = false;
    syn_status st;
    SYN_RETURN_IF(syn_cmd_checkpoint_parse(&prune_command, &config, argc, argv, &dir, NULL, &done));
    if (done) return SYN_OK;
    if (config.keep < 1) return syn_fail(SYN_ERR_USAGE, "checkpoint prune needs --keep N");
    SYN_TRY(syn_folder_open(&folder, dir, false));
    SYN_TRY(syn_folder_lock(&folder));
    SYN_TRY(prune_locked(&folder, (int)config.keep, config.dry_run));
done:
    syn_folder_close(&folder);
    return st;
}
