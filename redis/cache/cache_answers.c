/* The answers of cache_answers.h. */
#include "cache/cache_answers.h"
#include "answers/reply.h"
#include "answers/resp3.h"
#include "cache/digest.h"
#include "callers.h"
#include <stdbool.h>
#include <string.h>

long long cache_values_gone;

/* One entry of the sidecar's answer. */
enum { STATUS, KEY, DIGEST, ID, DISTANCE, AGE, MEMBERS };
static const char member_types[MEMBERS] = {'$', '$', '$', '$', ',', ':'};

static bool read_entry(Resp3Cursor *cursor, Resp3Token members[MEMBERS]) {
    Resp3Token header;
    if (!resp3_next(cursor, &header) || header.type != '*' || header.integer != MEMBERS) return false;
    for (int i = 0; i < MEMBERS; i++)
        if (!resp3_next(cursor, &members[i]) || members[i].type != member_types[i]) return false;
    return members[DIGEST].length == VALUE_DIGEST_CHARS;
}

RedisModuleCallReply *cache_read_value(RedisModuleCtx *ctx, RedisModuleString *key, const char *digest) {
    char text[VALUE_DIGEST_CHARS + 1];
    size_t length;
    RedisModuleCallReply *value = RedisModule_Call(ctx, "GET", "s", key);
    if (value == NULL) return NULL;
    if (RedisModule_CallReplyType(value) == REDISMODULE_REPLY_STRING) {
        const char *bytes = RedisModule_CallReplyStringPtr(value, &length);
        value_digest(bytes, length, text);
        if (memcmp(text, digest, VALUE_DIGEST_CHARS) == 0) return value;
    }
    RedisModule_FreeCallReply(value);
    return NULL;
}

static void reply_with_token(RedisModuleCtx *ctx, const char *name, const Resp3Token *token) {
    RedisModule_ReplyWithStringBuffer(ctx, name, strlen(name));
    RedisModule_ReplyWithStringBuffer(ctx, token->text, token->length);
}

static void reply_with_entry(RedisModuleCtx *ctx, const Resp3Token members[MEMBERS], RedisModuleCallReply *value) {
    size_t length;
    const char *bytes = RedisModule_CallReplyStringPtr(value, &length);
    RedisModule_ReplyWithMap(ctx, 5);
    reply_with_token(ctx, "status", &members[STATUS]);
    reply_with_token(ctx, "id", &members[ID]);
    RedisModule_ReplyWithStringBuffer(ctx, "distance", strlen("distance"));
    if (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_RESP3)
        RedisModule_ReplyWithDouble(ctx, members[DISTANCE].real);
    else
        RedisModule_ReplyWithStringBuffer(ctx, members[DISTANCE].text, members[DISTANCE].length);
    RedisModule_ReplyWithStringBuffer(ctx, "age", strlen("age"));
    RedisModule_ReplyWithLongLong(ctx, members[AGE].integer);
    RedisModule_ReplyWithStringBuffer(ctx, "value", strlen("value"));
    RedisModule_ReplyWithStringBuffer(ctx, bytes, length);
}

/* Returns whether it has answered. */
static bool try_entry(RedisModuleCtx *ctx, const Resp3Token members[MEMBERS], RedisModuleUser *user) {
    RedisModuleString *key = RedisModule_CreateString(NULL, members[KEY].text, members[KEY].length);
    bool may = caller_may_send(user, "GET", key, NULL);
    RedisModuleCallReply *value = may ? cache_read_value(ctx, key, members[DIGEST].text) : NULL;
    RedisModule_FreeString(NULL, key);
    if (!may)
        RedisModule_ReplyWithError(ctx, "NOPERM CACHE.GET shows a string that the user may GET, and this user may not GET the key of the value");
    if (value != NULL) {
        reply_with_entry(ctx, members, value);
        RedisModule_FreeCallReply(value);
    }
    cache_values_gone += may && value == NULL;
    return !may || value != NULL;
}

static int try_entries(RedisModuleCtx *ctx, Resp3Cursor *cursor, long long count, RedisModuleUser *user) {
    Resp3Token members[MEMBERS];
    for (long long i = 0; i < count; i++) {
        if (!read_entry(cursor, members)) return RedisModule_ReplyWithError(ctx, "ERR the sidecar sent a malformed reply");
        if (try_entry(ctx, members, user)) return REDISMODULE_OK;
    }
    return RedisModule_ReplyWithNull(ctx);
}

int cache_answer(RedisModuleCtx *ctx, RedisModuleString *bytes, RedisModuleString *name) {
    size_t length;
    const char *start = RedisModule_StringPtrLen(bytes, &length);
    Resp3Cursor cursor = {start, start + length};
    Resp3Token header;
    if (!resp3_next(&cursor, &header) || header.type != '*') {
        reply_with_resp3(ctx, bytes, 0); /* an error */
        return REDISMODULE_OK;
    }
    RedisModuleUser *user = name == NULL ? NULL : RedisModule_GetModuleUserFromUserName(name);
    if (user == NULL) return RedisModule_ReplyWithError(ctx, "NOPERM the user of this connection is not there any more");
    try_entries(ctx, &cursor, header.integer, user);
    RedisModule_FreeModuleUser(user);
    return REDISMODULE_OK;
}
