/* VSTORE.LEAD of leadership.h. Only lead_command() writes this file's state. */
#include "leadership.h"
#include <stdbool.h>
#include <string.h>

#define LEADER_KEY "vstore:leader"

/* Id of the connection that led last, 0 before the first. Redis never gives an id twice. */
static unsigned long long leader;

static bool is_lease(RedisModuleCtx *ctx, RedisModuleString *lease) {
    RedisModuleString *name = RedisModule_CreateString(ctx, LEADER_KEY, strlen(LEADER_KEY));
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ);
    size_t expected_length, length = 0;
    const char *expected = RedisModule_StringPtrLen(lease, &expected_length);
    const char *value = key == NULL ? NULL : RedisModule_StringDMA(key, &length, REDISMODULE_READ);
    bool same = value != NULL && length == expected_length && memcmp(value, expected, length) == 0;
    RedisModule_CloseKey(key);
    RedisModule_FreeString(ctx, name);
    return same;
}

static void close_connection(RedisModuleCtx *ctx, unsigned long long client) {
    RedisModuleCallReply *killed = RedisModule_Call(ctx, "CLIENT", "ccl", "KILL", "ID", (long long)client);
    if (killed == NULL) return;
    if (RedisModule_CallReplyInteger(killed) > 0)
        RedisModule_Log(ctx, "notice", "closed the connection of the sidecar that led before");
    RedisModule_FreeCallReply(killed);
}

int lead_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc != 2) return RedisModule_WrongArity(ctx);
    if (!is_lease(ctx, argv[1]))
        return RedisModule_ReplyWithError(ctx, "ERR this is not the lease that " LEADER_KEY " holds");
    unsigned long long client = RedisModule_GetClientId(ctx);
    if (leader != 0 && leader != client) close_connection(ctx, leader);
    leader = client;
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}
