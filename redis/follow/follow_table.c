/* The table of follow_table.h. Only follow_table_load() and follow_table_clear() write it. */
#include "follow/follow_table.h"
#include "streams/own_keys.h"
#include "streams/streams.h"
#include <stdlib.h>
#include <string.h>

#define LENGTH_DIGITS_MAX 6
#define TTL_DIGITS_MAX 16
#define CACHE_MARK "cache "

static Follow *follows; /* sorted by prefix, as memcmp() does */
static size_t count;
static RedisModuleDict *by_log; /* a log's name → its Follow */

static void release(Follow *follow) {
    if (follow->collection != NULL) RedisModule_FreeString(NULL, follow->collection);
    if (follow->log != NULL) RedisModule_FreeString(NULL, follow->log);
    if (follow->prefix != NULL) RedisModule_FreeString(NULL, follow->prefix);
    for (int i = 0; i < follow->field_count; i++) RedisModule_FreeString(NULL, follow->fields[i]);
    RedisModule_Free(follow->fields);
}

void follow_table_clear(void) {
    for (size_t i = 0; i < count; i++) release(&follows[i]);
    RedisModule_Free(follows);
    if (by_log != NULL) RedisModule_FreeDict(NULL, by_log);
    follows = NULL;
    by_log = NULL;
    count = 0;
}

/* Moves `*at` behind the netstring `<length>:<bytes>,` that begins there. NULL when there is none. */
static RedisModuleString *next_netstring(const char **at, const char *end) {
    size_t length = 0;
    const char *digit = *at, *digits_end = end - digit > LENGTH_DIGITS_MAX ? digit + LENGTH_DIGITS_MAX : end;
    for (; digit < digits_end && *digit >= '0' && *digit <= '9'; digit++) length = length * 10 + (size_t)(*digit - '0');
    if (digit == *at || digit == end || *digit != ':') return NULL;
    const char *bytes = digit + 1;
    if ((size_t)(end - bytes) <= length || bytes[length] != ',') return NULL;
    *at = bytes + length + 1;
    return RedisModule_CreateString(NULL, bytes, length);
}

static void add_field(Follow *follow, RedisModuleString *field) {
    size_t size = sizeof(*follow->fields) * (size_t)(follow->field_count + 1);
    follow->fields = RedisModule_Realloc(follow->fields, size);
    follow->fields[follow->field_count++] = field;
}

/*
 * Moves `*at` behind `cache <ttl in ms>;`, or with an `s` before the semicolon where it is sliding, if that is what the
 * text begins with. Returns false where it is half of it.
 */
static bool read_cache(Follow *follow, const char **at, const char *end) {
    size_t mark = strlen(CACHE_MARK);
    if ((size_t)(end - *at) < mark || memcmp(*at, CACHE_MARK, mark) != 0) return true;
    const char *digit = *at + mark, *digits_end = end - digit > TTL_DIGITS_MAX ? digit + TTL_DIGITS_MAX : end;
    for (; digit < digits_end && *digit >= '0' && *digit <= '9'; digit++)
        follow->ttl_ms = follow->ttl_ms * 10 + (*digit - '0');
    follow->is_sliding = digit < end && *digit == 's';
    digit += follow->is_sliding;
    if (digit == end || *digit != ';') return false;
    follow->is_cache = true;
    *at = digit + 1;
    return true;
}

/* Returns whether the text is the prefix and then fields, each a netstring, and nothing else. */
static bool parse(Follow *follow, const char *at, const char *end) {
    if (!read_cache(follow, &at, end)) return false;
    follow->prefix = next_netstring(&at, end);
    if (follow->prefix == NULL) return false;
    while (at < end) {
        RedisModuleString *field = next_netstring(&at, end);
        if (field == NULL) return false;
        add_field(follow, field);
    }
    return true;
}

static void add_follow(RedisModuleCtx *ctx, RedisModuleCallReply *name, RedisModuleCallReply *text) {
    size_t length;
    const char *bytes = RedisModule_CallReplyStringPtr(text, &length);
    Follow *follow = &follows[count];
    if (!parse(follow, bytes, bytes + length)) {
        RedisModule_Log(ctx, "warning", "%s holds something that is not of this release; ignored", own_key(OWN_FOLLOWS));
        release(follow);
        memset(follow, 0, sizeof(*follow));
        return;
    }
    bytes = RedisModule_CallReplyStringPtr(name, &length);
    follow->collection = RedisModule_CreateString(NULL, bytes, length);
    follow->log = stream_of_log(NULL, follow->collection);
    count++;
}

static int by_prefix(const void *a, const void *b) {
    return RedisModule_StringCompare(((const Follow *)a)->prefix, ((const Follow *)b)->prefix);
}

/* Links each follow to the nearest one before it whose prefix its own begins with, or equals. */
static void link_wider(void) {
    for (size_t i = 1; i < count; i++) {
        const Follow *wider = &follows[i - 1];
        while (wider != NULL && !follow_covers(wider, follows[i].prefix)) wider = wider->wider;
        follows[i].wider = wider;
    }
}

static void index_follows(void) {
    qsort(follows, count, sizeof(*follows), by_prefix);
    link_wider();
    by_log = RedisModule_CreateDict(NULL);
    for (size_t i = 0; i < count; i++) RedisModule_DictSet(by_log, follows[i].log, &follows[i]);
}

void follow_table_load(RedisModuleCtx *ctx) {
    follow_table_clear();
    RedisModuleCallReply *all = RedisModule_Call(ctx, "HGETALL", "c", own_key(OWN_FOLLOWS));
    if (all == NULL) return;
    if (RedisModule_CallReplyType(all) == REDISMODULE_REPLY_ARRAY) {
        size_t size = RedisModule_CallReplyLength(all);
        follows = RedisModule_Calloc(size / 2 + 1, sizeof(*follows));
        for (size_t i = 0; i + 1 < size; i += 2)
            add_follow(ctx, RedisModule_CallReplyArrayElement(all, i), RedisModule_CallReplyArrayElement(all, i + 1));
        index_follows();
    }
    RedisModule_FreeCallReply(all);
}

size_t follow_table_count(void) {
    return count;
}

const Follow *follow_table_at(size_t position) {
    return &follows[position];
}

const Follow *follow_table_find(const RedisModuleString *collection) {
    for (size_t i = 0; i < count; i++)
        if (RedisModule_StringCompare(follows[i].collection, collection) == 0) return &follows[i];
    return NULL;
}

/* How many follows have a prefix that sorts up to the key. */
static size_t count_up_to(const RedisModuleString *key) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (RedisModule_StringCompare(follows[middle].prefix, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const Follow *follow_table_covering(const RedisModuleString *key) {
    size_t candidates = count_up_to(key);
    const Follow *follow = candidates == 0 ? NULL : &follows[candidates - 1];
    while (follow != NULL && !follow_covers(follow, key)) follow = follow->wider;
    return follow;
}

const Follow *follow_table_of_log(const RedisModuleString *key) {
    return by_log == NULL ? NULL : RedisModule_DictGet(by_log, (RedisModuleString *)key, NULL);
}

bool follow_covers(const Follow *follow, const RedisModuleString *key) {
    size_t length, prefix_length;
    const char *bytes = RedisModule_StringPtrLen(key, &length);
    const char *prefix = RedisModule_StringPtrLen(follow->prefix, &prefix_length);
    return length >= prefix_length && memcmp(bytes, prefix, prefix_length) == 0;
}
