/* Loads the functions of module_api.h from the server that is loading the module. */
#include "module_api.h"

#define MODULE_API_DEFINE(result, name, parameters) result(*RedisModule_##name) parameters;
MODULE_API_REQUIRED(MODULE_API_DEFINE)
MODULE_API_OPTIONAL(MODULE_API_DEFINE)

typedef int (*GetApi)(const char *name, void *function);

const char *module_api_load(RedisModuleCtx *ctx) {
    GetApi get_api = *(GetApi *)(void *)ctx;

#define MODULE_API_LOAD_REQUIRED(result, name, parameters)                                                             \
    if (get_api("RedisModule_" #name, (void *)&RedisModule_##name) != REDISMODULE_OK) return #name;
    MODULE_API_REQUIRED(MODULE_API_LOAD_REQUIRED)

#define MODULE_API_LOAD_OPTIONAL(result, name, parameters)                                                             \
    if (get_api("RedisModule_" #name, (void *)&RedisModule_##name) != REDISMODULE_OK) RedisModule_##name = NULL;
    MODULE_API_OPTIONAL(MODULE_API_LOAD_OPTIONAL)
    return NULL;
}
