/*
 * What Redis has been told of collections. Only the sidecar writes the two keys: a hash with a field for each
 * collection, and one that is there while the hash is complete.
 *
 * Where slots are apart a command cannot look at them, so what they say is kept here. It is read anew when one of them
 * has changed, before Redis reads the next commands. Only learn() writes it.
 */
#include "requests/existence.h"
#include "sidecar/attachment.h"
#include "slots/slots.h"
#include "streams/own_keys.h"
#include "streams/streams.h"
#include <string.h>

#define NAME_BYTES_SHOWN 80

static RedisModuleDict *names; /* NULL: nothing was told */
static bool is_outdated;

static bool is_told(RedisModuleCtx *ctx) {
    RedisModuleString *name = own_key_string(ctx, OWN_STORE);
    bool told = RedisModule_KeyExists(ctx, name);
    RedisModule_FreeString(ctx, name);
    return told;
}

/* Something else than a hash in its place says nothing. */
static void learn_names(RedisModuleCtx *ctx) {
    RedisModuleCallReply *all = RedisModule_Call(ctx, "HKEYS", "c", own_key(OWN_COLLECTIONS));
    if (all == NULL) return;
    bool is_list = RedisModule_CallReplyType(all) == REDISMODULE_REPLY_ARRAY;
    if (is_list) names = RedisModule_CreateDict(NULL);
    for (size_t i = 0; is_list && i < RedisModule_CallReplyLength(all); i++) {
        size_t length;
        const char *name = RedisModule_CallReplyStringPtr(RedisModule_CallReplyArrayElement(all, i), &length);
        RedisModule_DictSetC(names, (void *)name, length, names);
    }
    RedisModule_FreeCallReply(all);
}

void existence_learn(RedisModuleCtx *ctx) {
    if (!slots_are_apart(ctx)) return;
    is_outdated = false;
    if (names != NULL) RedisModule_FreeDict(NULL, names);
    names = NULL;
    if (is_told(ctx)) learn_names(ctx);
}

static void on_timer(RedisModuleCtx *ctx, void *data) {
    (void)data;
    if (!is_outdated) return;
    int database = RedisModule_GetSelectedDb(ctx);
    RedisModule_SelectDb(ctx, attachment_database());
    existence_learn(ctx);
    RedisModule_SelectDb(ctx, database);
}

void existence_learn_soon(RedisModuleCtx *ctx) {
    if (is_outdated || !slots_are_apart(ctx)) return;
    is_outdated = true;
    RedisModule_CreateTimer(ctx, 0, on_timer, NULL);
}

void existence_hear(RedisModuleCtx *ctx, const RedisModuleString *key) {
    if (slots_are_apart(ctx) && (is_own_key(key, OWN_COLLECTIONS) || is_own_key(key, OWN_STORE))) existence_learn_soon(ctx);
}

static bool is_kept(RedisModuleString *collection) {
    int is_missing = 0;
    if (names == NULL) return true;
    RedisModule_DictGet(names, collection, &is_missing);
    return !is_missing;
}

static bool is_named(RedisModuleCtx *ctx, RedisModuleString *collection) {
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

bool collection_may_exist(RedisModuleCtx *ctx, RedisModuleString *collection) {
    if (slots_are_apart(ctx)) return is_kept(collection);
    return !is_told(ctx) || is_named(ctx, collection);
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

void existence_close(void) {
    if (names != NULL) RedisModule_FreeDict(NULL, names);
    names = NULL;
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
