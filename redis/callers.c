/* The questions of callers.h. A user that is not there any more, or is disabled, may do nothing. */
#include "callers.h"

RedisModuleString *caller_name(RedisModuleCtx *ctx) {
    return RedisModule_GetCurrentUserName(ctx);
}

bool caller_may_change(RedisModuleString *name, RedisModuleString *key) {
    RedisModuleUser *user = name == NULL ? NULL : RedisModule_GetModuleUserFromUserName(name);
    if (user == NULL) return false;
    int flags = REDISMODULE_CMD_KEY_ACCESS | REDISMODULE_CMD_KEY_UPDATE;
    bool may = RedisModule_ACLCheckKeyPermissions(user, key, flags) == REDISMODULE_OK;
    RedisModule_FreeModuleUser(user);
    return may;
}
