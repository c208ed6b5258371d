/* The requests of cache_requests.h. */
#include "cache/cache_requests.h"
#include "cache/cache_words.h"
#include "cache/digest.h"
#include "callers.h"
#include "follow/follow_events.h"
#include "follow/follow_table.h"
#include <stdio.h>
#include <string.h>

/* The words behind those of the client begin with this one. */
#define MARK "ENTRY"
/* Words that the module puts there at most. */
#define ADDED_MAX 6
/* What a user may do with such a key it may do with every value. */
#define SAMPLE_ID "\1vstore\1"

static bool is_named(const Request *request, const char *name) {
    return strcmp(request->command->name, name) == 0;
}

bool cache_stores(const Request *request) {
    return is_named(request, "CACHE.SET");
}

static RedisModuleString *string_of(const char *text) {
    return RedisModule_CreateString(NULL, text, strlen(text));
}

RedisModuleString *cache_prefix(RedisModuleString *cache) {
    return stream_tag_with(cache, ":");
}

static RedisModuleString *joined(RedisModuleString *first, RedisModuleString *second) {
    size_t first_length, second_length;
    const char *first_bytes = RedisModule_StringPtrLen(first, &first_length);
    const char *second_bytes = RedisModule_StringPtrLen(second, &second_length);
    char *bytes = RedisModule_Alloc(first_length + second_length);
    memcpy(bytes, first_bytes, first_length);
    memcpy(bytes + first_length, second_bytes, second_length);
    RedisModuleString *whole = RedisModule_CreateString(NULL, bytes, first_length + second_length);
    RedisModule_Free(bytes);
    return whole;
}

/* NULL where the collection is no cache, or the module has not heard of it yet. */
static const Follow *find_cache(RedisModuleString *name) {
    RedisModuleString *log = stream_of_log(NULL, name);
    const Follow *follow = follow_table_of_log(log);
    RedisModule_FreeString(NULL, log);
    return follow != NULL && follow->is_cache ? follow : NULL;
}

/* The text holds until the next error. */
static const char *limit_error(const char *format, size_t limit) {
    static char error[96];
    int length = snprintf(error, sizeof(error), "LIMIT ");
    snprintf(error + length, sizeof(error) - (size_t)length, format, limit);
    return error;
}

static bool may_send(RedisModuleCtx *ctx, const char *command, RedisModuleString *key, RedisModuleString *value) {
    RedisModuleString *name = caller_name(ctx);
    if (name == NULL) return false;
    RedisModuleUser *user = RedisModule_GetModuleUserFromUserName(name);
    bool may = user != NULL && caller_may_send(user, command, key, value);
    if (user != NULL) RedisModule_FreeModuleUser(user);
    RedisModule_FreeString(ctx, name);
    return may;
}

/* Whether the argument is the value at this position, or the word before it. */
static bool is_of(int argument, int position) {
    return position != 0 && (argument == position || argument == position - 1);
}

/* The client's arguments without value and prompt, which the sidecar knows by their digests; and room behind them. */
static void copy_arguments(const Request *request, const CacheWords *words, CacheRequest *cached) {
    cached->arguments = RedisModule_Alloc(sizeof(*cached->arguments) * (size_t)(request->count + ADDED_MAX));
    for (int i = 0; i < request->count; i++)
        if (!is_of(i, words->value) && !is_of(i, words->prompt)) cached->arguments[cached->count++] = request->arguments[i];
    cached->kept = cached->count;
    cached->arguments[cached->count++] = string_of(MARK);
}

static void add(CacheRequest *cached, RedisModuleString *word) {
    cached->arguments[cached->count++] = word;
}

static size_t length_of(const RedisModuleString *string) {
    size_t length;
    RedisModule_StringPtrLen(string, &length);
    return length;
}

static RedisModuleString *digest_of_value(const RedisModuleString *value) {
    char text[VALUE_DIGEST_CHARS + 1];
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(value, &length);
    value_digest(bytes, length, text);
    return RedisModule_CreateString(NULL, text, VALUE_DIGEST_CHARS);
}

/* The words of a SET that the sidecar will refuse: nothing is stored. */
static const char *pass_on(const Request *request, CacheRequest *cached) {
    copy_arguments(request, &(CacheWords){0}, cached);
    for (int i = 1; i < ADDED_MAX; i++) add(cached, string_of(""));
    return NULL;
}

static const char *prepare_set(RedisModuleCtx *ctx, const Request *request, CacheRequest *cached) {
    CacheWords words;
    const Follow *cache = find_cache(request->arguments[0]);
    if (cache == NULL || !cache_words_read(request->arguments, request->count, &words) || words.value == 0)
        return pass_on(request, cached);
    RedisModuleString *value = request->arguments[words.value];
    if (length_of(value) > cache_value_bytes_max) return limit_error("'VALUE' must be at most %zu bytes", cache_value_bytes_max);
    RedisModuleString *former, *question = cache_words_digest(request->arguments, &words, &former);
    RedisModuleString *id = words.id != 0 ? request->arguments[words.id] : question;
    long long ttl_ms = words.ttl_ms != 0 ? words.ttl_ms : cache->ttl_ms;
    cached->key = joined(cache->prefix, id);
    if (former != NULL && words.id == 0) cached->former_key = joined(cache->prefix, former);
    if (former != NULL) RedisModule_FreeString(NULL, former);
    cached->value = value;
    cached->deadline_ms = ttl_ms == 0 ? 0 : RedisModule_Milliseconds() + ttl_ms;
    copy_arguments(request, &words, cached);
    RedisModule_RetainString(NULL, cached->key);
    add(cached, cached->key);
    add(cached, digest_of_value(value));
    add(cached, RedisModule_CreateStringFromLongLong(NULL, (long long)length_of(value)));
    add(cached, RedisModule_CreateStringFromLongLong(NULL, cached->deadline_ms));
    add(cached, words.prompt != 0 ? question : string_of(""));
    if (words.prompt == 0) RedisModule_FreeString(NULL, question);
    bool may = may_send(ctx, "SET", cached->key, value);
    may = may && (cached->former_key == NULL || may_send(ctx, "SET", cached->former_key, value));
    return may ? NULL
               : "NOPERM CACHE.SET stores a string, and this user may not SET the key of the value";
}

static bool may_for_all(RedisModuleCtx *ctx, const char *command, RedisModuleString *cache) {
    RedisModuleString *prefix = cache_prefix(cache), *sample = string_of(SAMPLE_ID), *key = joined(prefix, sample);
    bool may = may_send(ctx, command, key, NULL);
    RedisModule_FreeString(NULL, prefix);
    RedisModule_FreeString(NULL, sample);
    RedisModule_FreeString(NULL, key);
    return may;
}

/* Whether a hit of this caller renews the life of its value, which is what GETEX does. */
static bool may_renew(RedisModuleCtx *ctx, RedisModuleString *name) {
    const Follow *cache = find_cache(name);
    return cache != NULL && cache->is_sliding && may_for_all(ctx, "GETEX", name);
}

/* The digest of the question, and behind it that of an earlier version, where it had another one. */
static RedisModuleString *digests_of_question(const Request *request, const CacheWords *words) {
    RedisModuleString *former, *question = cache_words_digest(request->arguments, words, &former);
    if (former == NULL) return question;
    RedisModuleString *both = joined(question, former);
    RedisModule_FreeString(NULL, question);
    RedisModule_FreeString(NULL, former);
    return both;
}

static const char *prepare_get(RedisModuleCtx *ctx, const Request *request, CacheRequest *cached) {
    CacheWords words;
    if (!cache_words_read(request->arguments, request->count, &words)) words = (CacheWords){0};
    copy_arguments(request, &words, cached);
    add(cached, words.prompt != 0 ? digests_of_question(request, &words) : string_of(""));
    add(cached, string_of(may_renew(ctx, request->arguments[0]) ? "1" : ""));
    return NULL;
}

static const char *prepare_del(RedisModuleCtx *ctx, const Request *request) {
    return may_for_all(ctx, "DEL", request->arguments[0]) ? NULL : "NOPERM CACHE.DEL deletes strings, and this user may not DEL every key of the cache's values";
}

/*
 * Whether it is a cache the module may not know yet. So the entry tells the sidecar, by its proof, whether values may
 * end with it.
 */
static const char *prepare_drop(RedisModuleCtx *ctx, Request *request) {
    request->is_proven = may_for_all(ctx, "DEL", request->arguments[0]);
    return request->is_proven || find_cache(request->arguments[0]) == NULL
               ? NULL
               : "NOPERM VSTORE.DROP of a cache deletes strings, and this user may not DEL every key of the cache's values";
}

const char *cache_prepare(RedisModuleCtx *ctx, Request *request, CacheRequest *cached) {
    const char *error = NULL;
    *cached = (CacheRequest){0};
    if (request->count == 0) return NULL;
    if (is_named(request, "DROP")) return prepare_drop(ctx, request);
    if (strncmp(request->command->name, "CACHE.", strlen("CACHE.")) != 0) return NULL;
    request->is_proven = request->command->route == ROUTE_LOG;
    if (request->count + ADDED_MAX > command_arguments_max)
        return limit_error("one command must not have more than %zu arguments", (size_t)command_arguments_max - ADDED_MAX);
    if (cache_stores(request)) error = prepare_set(ctx, request, cached);
    if (is_named(request, "CACHE.GET")) error = prepare_get(ctx, request, cached);
    if (is_named(request, "CACHE.DEL")) error = prepare_del(ctx, request);
    if (cached->arguments == NULL) return error;
    request->arguments = cached->arguments;
    request->count = cached->count;
    return error;
}

static void end_call(RedisModuleCallReply *reply) {
    if (reply != NULL) RedisModule_FreeCallReply(reply);
}

void cache_make_room(RedisModuleCtx *ctx, const CacheRequest *cached) {
    if (cached->key == NULL) return;
    end_call(RedisModule_Call(ctx, "UNLINK", "!s", cached->key));
    if (cached->former_key != NULL) end_call(RedisModule_Call(ctx, "UNLINK", "!s", cached->former_key));
    follow_events_flush(ctx);
}

void cache_store(RedisModuleCtx *ctx, const CacheRequest *cached) {
    if (cached->key == NULL) return;
    if (cached->deadline_ms == 0)
        end_call(RedisModule_Call(ctx, "SET", "!ss", cached->key, cached->value));
    else
        end_call(RedisModule_Call(ctx, "SET", "!sscl", cached->key, cached->value, "PXAT", cached->deadline_ms));
}

void cache_free(CacheRequest *cached) {
    for (int i = cached->kept; cached->arguments != NULL && i < cached->count; i++)
        RedisModule_FreeString(NULL, cached->arguments[i]);
    RedisModule_Free(cached->arguments);
    if (cached->key != NULL) RedisModule_FreeString(NULL, cached->key);
    if (cached->former_key != NULL) RedisModule_FreeString(NULL, cached->former_key);
}
