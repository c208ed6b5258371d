/*
 * What Redis has been told of collections. Only the sidecar writes the two keys: a hash with a field for each
 * collection, and one that is there while the hash is complete.
 */
#include "requests/existence.h"
#include "streams/own_keys.h"
#include "streams/streams.h"
#include <string.h>

#define NAME_BYTES_SHOWN 80

static bool is_told(RedisModuleCtx *ctx) {
    RedisModuleString *name = own_key_string(ctx, OWN_STORE);
    bool told = RedisModule_KeyExists(ctx, name);
    RedisModule_FreeString(ctx, name);
    return told;
}

bool collection_may_exist(RedisModuleCtx *ctx, RedisModuleString *collection) {
    if (!is_told(ctx)) return true;
    RedisModuleString *name = own_key_string(ctx, OWN_COLLECTIONS);
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ | REDISMODULE_OPEN_KEY_NOTOUCH);
    int exists = 0;
    /* Something else than a hash in its place says nothing. */
    if (key != NULL && RedisModule_HashGet(key, REDISMODULE_HASH_EXISTS, collection, &exists, NULL) != REDISMODULE_OK)
        exists = 1;
    RedisModule_CloseKey(key);
    RedisModule_FreeString(ctx, name);
    return exists;
}

bool collection_came_without_files(RedisModuleCtx *ctx, RedisModuleString *collection) {
    return is_cluster_node(ctx) && !collection_may_exist(ctx, collection);
}

bool collection_has_parts(RedisModuleCtx *ctx, RedisModuleString *collection) {
    if (!is_cluster_node(ctx)) return false;
    RedisModuleString *mark = stream_mark_of_parts(ctx, collection);
    bool has = RedisModule_KeyExists(ctx, mark);
    RedisModule_FreeString(ctx, mark);
    return has;
}

int reply_no_collection(RedisModuleCtx *ctx, RedisModuleString *collection) {
    size_t length;
    const char *name = RedisModule_StringPtrLen(collection, &length);
    char shown[NAME_BYTES_SHOWN + 1];
    size_t n = length < NAME_BYTES_SHOWN ? length : NAME_BYTES_SHOWN;
    for (size_t i = 0; i < n; i++) shown[i] = name[i] >= ' ' && name[i] <= '~' ? name[i] : '?';
    shown[n] = '\0';
    RedisModuleString *error = RedisModule_CreateStringPrintf(ctx, "NOCOLLECTION no collection '%s'", shown);
    RedisModule_ReplyWithError(ctx, RedisModule_StringPtrLen(error, NULL));
    RedisModule_FreeString(ctx, error);
    return REDISMODULE_OK;
}
