/* Opens a checkpoint for the public API: only this folder knows checkpoint files. */
#include "checkpoints/model_file.h"
#include "engine/syncog_private.h"

syn_status syn_engine_open(const char *dir, const syn_engine_config *config, syn_engine **out)
{
    syn_engine *engine = NULL;
    syn_status st;
    SYN_REQUIRE(out, "syn_engine_open: out is NULL");
    *out = NULL;
    SYN_REQUIRE(dir, "syn_engine_open: the folder is NULL");
    SYN_TRY(syn_engine_create(config, &engine));
    SYN_TRY(syn_model_load(&engine->ctx, dir, &engine->model, NULL, NULL));
    SYN_TRY(syn_engine_check(engine, dir));
    SYN_TRY(syn_model_pack(&engine->ctx, &engine->model));
    *out = engine;
    return SYN_OK;
done:
    syn_engine_close(engine);
    return st;
}
