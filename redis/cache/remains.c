/* The end of remains.h. */
#include "cache/remains.h"
#include "cache/cache_requests.h"
#include "cache/digest.h"
#include "cache/releases.h"
#include "streams/streams.h"
#include <stdbool.h>
#include <string.h>

/* What is looked at in one turn of Redis: some milliseconds. */
#define ENTRIES_MAX 512
#define FIELDS_MAX 16384
/* The words of the module that end the entry of a SET: the first of them is the key of the value. */
#define WORDS_OF_SET 5
#define SET_NAME "CACHE.SET"

static bool is_text(const RedisModuleString *string, const char *text) {
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(string, &length);
    return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

/* Notes the key of the value, if the entry of so many fields is that of a SET. Each field has to be taken. */
static void note_set(RedisModuleCtx *ctx, RedisModuleKey *log, long fields, RedisModuleDict *set) {
    RedisModuleString *name, *value;
    bool is_set = false;
    for (long i = 0; i < fields; i++) {
        if (RedisModule_StreamIteratorNextField(log, &name, &value) != REDISMODULE_OK) return;
        if (i == 0) is_set = is_text(value, SET_NAME);
        if (is_set && i == fields - WORDS_OF_SET) RedisModule_DictSet(set, value, set);
        RedisModule_FreeString(ctx, name);
        RedisModule_FreeString(ctx, value);
    }
}

/* Notes what is set behind the id. Returns false where that is too much to look at. */
static bool note_sets(RedisModuleCtx *ctx, RedisModuleKey *log, RedisModuleStreamID after, RedisModuleDict *set) {
    RedisModuleStreamID id;
    long fields, entries = 0, all = 0;
    if (RedisModule_StreamIteratorStart(log, REDISMODULE_STREAM_ITERATOR_EXCLUSIVE, &after, NULL) != REDISMODULE_OK)
        return true;
    while (RedisModule_StreamIteratorNextID(log, &id, &fields) == REDISMODULE_OK) {
        all += fields;
        if (++entries > ENTRIES_MAX || all > FIELDS_MAX) return false;
        note_set(ctx, log, fields, set);
    }
    return true;
}

static bool begins_with(const RedisModuleString *key, const RedisModuleString *prefix) {
    size_t length, prefix_length;
    const char *bytes = RedisModule_StringPtrLen(key, &length);
    const char *prefix_bytes = RedisModule_StringPtrLen(prefix, &prefix_length);
    return length > prefix_length && memcmp(bytes, prefix_bytes, prefix_length) == 0;
}

static bool is_digest(const RedisModuleString *word) {
    size_t length;
    RedisModule_StringPtrLen(word, &length);
    return length == VALUE_DIGEST_CHARS;
}

static long long release_all(RedisModuleCtx *ctx, RedisModuleString *cache, RedisModuleString **pairs, int count,
                             RedisModuleDict *set) {
    RedisModuleString *prefix = cache_prefix(cache);
    long long released = 0;
    for (int i = 0; i + 1 < count; i += 2) {
        int is_unset = 0;
        if (!begins_with(pairs[i], prefix) || !is_digest(pairs[i + 1])) continue;
        RedisModule_DictGet(set, pairs[i], &is_unset);
        released += is_unset && release_value(ctx, pairs[i], pairs[i + 1]);
    }
    RedisModule_FreeString(NULL, prefix);
    return released;
}

int remains_release(RedisModuleCtx *ctx, RedisModuleString *cache, RedisModuleString *id, RedisModuleString **pairs, int count) {
    RedisModuleStreamID after;
    if (RedisModule_StringToStreamID(id, &after) != REDISMODULE_OK)
        return RedisModule_ReplyWithError(ctx, "ERR the id must be one of a stream");
    RedisModuleString *name = stream_of_log(ctx, cache);
    RedisModuleKey *log = RedisModule_OpenKey(ctx, name, REDISMODULE_READ | REDISMODULE_OPEN_KEY_NOTOUCH);
    RedisModuleDict *set = RedisModule_CreateDict(NULL);
    bool is_known = note_sets(ctx, log, after, set);
    RedisModule_CloseKey(log); /* stops the iterator too */
    long long released = is_known ? release_all(ctx, cache, pairs, count, set) : -1;
    RedisModule_FreeDict(NULL, set);
    RedisModule_FreeString(ctx, name);
    return RedisModule_ReplyWithLongLong(ctx, released);
}
