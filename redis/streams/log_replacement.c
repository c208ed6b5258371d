/* The mark of log_replacement.h. */
#include "streams/log_replacement.h"
#include "slots/later.h"
#include "slots/slots.h"
#include "streams/own_keys.h"
#include <string.h>

#define PREFIX "vstore:"
#define SUFFIX ":log"

bool is_log_name(const RedisModuleString *key) {
    size_t length, prefix = strlen(PREFIX), suffix = strlen(SUFFIX);
    const char *name = RedisModule_StringPtrLen(key, &length);
    if (length <= prefix + suffix || memcmp(name, PREFIX, prefix) != 0) return false;
    return memcmp(name + length - suffix, SUFFIX, suffix) == 0;
}

/* A log that the sidecar has dropped is no longer noted. */
static bool is_noted(RedisModuleCtx *ctx, RedisModuleString *log) {
    RedisModuleString *name = own_key_string(ctx, OWN_LOGS);
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ | REDISMODULE_OPEN_KEY_NOTOUCH);
    int exists = 0;
    if (key != NULL && RedisModule_HashGet(key, REDISMODULE_HASH_EXISTS, log, &exists, NULL) != REDISMODULE_OK)
        exists = 0; /* something else than a hash is in its place */
    RedisModule_CloseKey(key);
    RedisModule_FreeString(ctx, name);
    return exists;
}

static void mark(RedisModuleCtx *ctx, RedisModuleString *log) {
    if (!is_noted(ctx, log)) return;
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "HSET", "!csc", own_key(OWN_LOGS), log, "replaced");
    if (reply != NULL) RedisModule_FreeCallReply(reply);
}

static void mark_later(RedisModuleCtx *ctx, void *log) {
    if (!(RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE)) mark(ctx, log);
    RedisModule_FreeString(NULL, log);
}

void log_was_replaced(RedisModuleCtx *ctx, RedisModuleString *log) {
    if (!slots_are_apart(ctx)) {
        mark(ctx, log);
        return;
    }
    RedisModule_RetainString(NULL, log);
    later(ctx, mark_later, log);
}
