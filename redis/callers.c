/* The questions of callers.h. A user that is not there any more, or is disabled, may do nothing. */
#include "callers.h"
#include <string.h>

RedisModuleString *caller_name(RedisModuleCtx *ctx) {
    return RedisModule_GetCurrentUserName(ctx);
}

bool caller_may_send(RedisModuleUser *user, const char *command, RedisModuleString *key, RedisModuleString *field) {
    RedisModuleString *argv[] = {RedisModule_CreateString(NULL, command, strlen(command)), key, field};
    bool may = RedisModule_ACLCheckCommandPermissions(user, argv, field == NULL ? 2 : 3) == REDISMODULE_OK;
    RedisModule_FreeString(NULL, argv[0]);
    return may;
}

bool caller_may_read(RedisModuleUser *user, RedisModuleString *key) {
    return RedisModule_ACLCheckKeyPermissions(user, key, REDISMODULE_CMD_KEY_ACCESS) == REDISMODULE_OK;
}

bool caller_may_change(RedisModuleString *name, RedisModuleString *key) {
    RedisModuleUser *user = name == NULL ? NULL : RedisModule_GetModuleUserFromUserName(name);
    if (user == NULL) return false;
    int flags = REDISMODULE_CMD_KEY_ACCESS | REDISMODULE_CMD_KEY_UPDATE;
    bool may = RedisModule_ACLCheckKeyPermissions(user, key, flags) == REDISMODULE_OK;
    RedisModule_FreeModuleUser(user);
    return may;
}
