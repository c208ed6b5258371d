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

/* Whether the pattern, a glob, matches every key that begins with the prefix. False when in doubt. */
static bool pattern_covers(const char *at, const char *end, const char *prefix, const char *prefix_end) {
    for (; at < end && *at != '*'; at++, prefix++) {
        if (*at == '[' || prefix == prefix_end) return false;
        if (*at == '\\' && at + 1 < end) at++;
        if (*at != *prefix) return false;
    }
    bool ends_open = at < end;
    for (; at < end; at++)
        if (*at != '*') return false;
    return ends_open;
}

/* One of the rules that ACL GETUSER shows, separated by spaces: ~pattern, %R~pattern, %W~pattern, %RW~pattern. */
static bool rule_covers(const char *rule, const char *end, const char *prefix, const char *prefix_end) {
    const char *pattern = memchr(rule, '~', (size_t)(end - rule));
    if (pattern == NULL) return false;
    bool reads = pattern == rule || memchr(rule, 'R', (size_t)(pattern - rule)) != NULL;
    return reads && pattern_covers(pattern + 1, end, prefix, prefix_end);
}

static bool rules_cover(RedisModuleCallReply *rules, RedisModuleString *prefix) {
    size_t length, prefix_length;
    const char *at = RedisModule_CallReplyStringPtr(rules, &length);
    const char *start = RedisModule_StringPtrLen(prefix, &prefix_length);
    if (at == NULL) return false;
    for (const char *end = at + length; at < end;) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        const char *rule_end = space == NULL ? end : space;
        if (rule_covers(at, rule_end, start, start + prefix_length)) return true;
        at = rule_end + 1;
    }
    return false;
}

static bool is_named(RedisModuleCallReply *field, const char *name) {
    size_t length;
    const char *bytes = RedisModule_CallReplyStringPtr(field, &length);
    return bytes != NULL && length == strlen(name) && memcmp(bytes, name, length) == 0;
}

/* Of names and values in turn, as ACL GETUSER answers them for a user and for each of its selectors. */
static bool description_covers(RedisModuleCallReply *description, RedisModuleString *prefix) {
    size_t count = RedisModule_CallReplyLength(description);
    for (size_t i = 0; i + 1 < count; i += 2) {
        RedisModuleCallReply *name = RedisModule_CallReplyArrayElement(description, i);
        RedisModuleCallReply *value = RedisModule_CallReplyArrayElement(description, i + 1);
        if (is_named(name, "keys") && rules_cover(value, prefix)) return true;
        if (!is_named(name, "selectors")) continue;
        for (size_t k = 0; k < RedisModule_CallReplyLength(value); k++)
            if (description_covers(RedisModule_CallReplyArrayElement(value, k), prefix)) return true;
    }
    return false;
}

/* Tries HMGET with a key of the prefix that no rule was made for. */
static bool may_send_some(RedisModuleString *name, RedisModuleString *prefix) {
    RedisModuleUser *user = RedisModule_GetModuleUserFromUserName(name);
    if (user == NULL) return false;
    RedisModuleString *key = RedisModule_CreateStringPrintf(NULL, "%s\1vstore\1", RedisModule_StringPtrLen(prefix, NULL));
    bool may = caller_may_send(user, "HMGET", key, key);
    RedisModule_FreeString(NULL, key);
    RedisModule_FreeModuleUser(user);
    return may;
}

bool caller_may_read_prefix(RedisModuleCtx *ctx, RedisModuleString *user, RedisModuleString *prefix, bool hashes) {
    if (user == NULL) return false;
    RedisModuleCallReply *description = RedisModule_Call(ctx, "ACL", "cs", "GETUSER", user);
    if (description == NULL) return false;
    bool covered = RedisModule_CallReplyType(description) == REDISMODULE_REPLY_ARRAY && description_covers(description, prefix);
    RedisModule_FreeCallReply(description);
    return covered && (!hashes || may_send_some(user, prefix));
}

bool caller_may_change(RedisModuleString *name, RedisModuleString *key) {
    RedisModuleUser *user = name == NULL ? NULL : RedisModule_GetModuleUserFromUserName(name);
    if (user == NULL) return false;
    int flags = REDISMODULE_CMD_KEY_ACCESS | REDISMODULE_CMD_KEY_UPDATE;
    bool may = RedisModule_ACLCheckKeyPermissions(user, key, flags) == REDISMODULE_OK;
    RedisModule_FreeModuleUser(user);
    return may;
}
