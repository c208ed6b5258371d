/* The commands of releases.h. */
#include "cache/releases.h"
#include "cache/cache_answers.h"
#include "cache/digest.h"
#include "cache/remains.h"
#include "follow/follow_events.h"
#include "follow/follow_log.h"
#include "follow/follow_table.h"
#include "sidecar/leadership.h"
#include "streams/streams.h"
#include <stdlib.h>
#include <string.h>

#define IDLEST "IDLEST"
#define AT "AT"
#define DROPPED "DROPPED"

/* A value that may go. */
typedef struct {
    RedisModuleString *key, *digest;
    long long idle; /* ms, or under an LFU policy the negative frequency: the greatest goes first */
    size_t bytes;
    int position;
} Candidate;

static bool is_named(const Follow *cache, RedisModuleString *key, RedisModuleString *digest) {
    size_t length;
    RedisModule_StringPtrLen(digest, &length);
    return length == VALUE_DIGEST_CHARS && follow_covers(cache, key);
}

bool release_value(RedisModuleCtx *ctx, RedisModuleString *key, RedisModuleString *digest) {
    RedisModuleCallReply *value = cache_read_value(ctx, key, RedisModule_StringPtrLen(digest, NULL));
    if (value == NULL) return false;
    RedisModule_FreeCallReply(value);
    RedisModuleCallReply *ended = RedisModule_Call(ctx, "UNLINK", "!s", key);
    if (ended != NULL) RedisModule_FreeCallReply(ended);
    return true;
}

static long long idle_of(RedisModuleKey *key) {
    long long idle = 0, frequency = 0;
    RedisModule_GetLRU(key, &idle);
    if (idle >= 0) return idle;
    RedisModule_GetLFU(key, &frequency);
    return -frequency;
}

/* Those that are strings. Of a key that is missing, the log is told so: its entry must not count for ever. */
static int read_candidates(RedisModuleCtx *ctx, const Follow *cache, RedisModuleString **pairs, int count,
                           Candidate *candidates) {
    int n = 0;
    for (int i = 0; i + 1 < count; i += 2) {
        if (!is_named(cache, pairs[i], pairs[i + 1])) continue;
        RedisModuleKey *key = RedisModule_OpenKey(ctx, pairs[i], REDISMODULE_READ | REDISMODULE_OPEN_KEY_NOTOUCH);
        if (RedisModule_KeyType(key) == REDISMODULE_KEYTYPE_STRING)
            candidates[n++] = (Candidate){pairs[i], pairs[i + 1], idle_of(key), RedisModule_ValueLength(key), i};
        bool is_missing = key == NULL;
        RedisModule_CloseKey(key);
        if (is_missing) follow_log_gone(ctx, cache, pairs[i]);
    }
    return n;
}

static int idlest_first(const void *a, const void *b) {
    const Candidate *first = a, *second = b;
    if (first->idle != second->idle) return first->idle < second->idle ? 1 : -1;
    return first->position < second->position ? -1 : 1;
}

/* Answers how many values have gone, and the last entry of the log, after which their vectors have gone too. */
static int release_idlest(RedisModuleCtx *ctx, const Follow *cache, RedisModuleString **pairs, int count, long long bytes) {
    Candidate *candidates = RedisModule_Alloc(sizeof(*candidates) * (size_t)(count / 2 + 1));
    int n = read_candidates(ctx, cache, pairs, count, candidates);
    qsort(candidates, (size_t)n, sizeof(*candidates), idlest_first);
    long long released = 0;
    for (int i = 0; i < n && bytes > 0; i++) {
        if (!release_value(ctx, candidates[i].key, candidates[i].digest)) continue;
        bytes -= (long long)candidates[i].bytes;
        released++;
    }
    RedisModule_Free(candidates);
    follow_events_flush(ctx);
    RedisModuleString *end = stream_end_of_log(ctx, cache->log);
    RedisModule_ReplyWithArray(ctx, 2);
    RedisModule_ReplyWithLongLong(ctx, released);
    const char *text = end == NULL ? "0-0" : RedisModule_StringPtrLen(end, NULL);
    RedisModule_ReplyWithStringBuffer(ctx, text, strlen(text));
    if (end != NULL) RedisModule_FreeString(NULL, end);
    return REDISMODULE_OK;
}

/* Returns whether the value lives until then now. One that does not expire stays so. */
static bool renew_value(RedisModuleCtx *ctx, const Follow *cache, RedisModuleString *key, RedisModuleString *digest,
                        RedisModuleString *deadline) {
    RedisModuleCallReply *value = cache_read_value(ctx, key, RedisModule_StringPtrLen(digest, NULL));
    if (value == NULL) return false;
    RedisModule_FreeCallReply(value);
    RedisModuleCallReply *set = RedisModule_Call(ctx, "PEXPIREAT", "!ssc", key, deadline, "GT");
    bool is_later = set != NULL && RedisModule_CallReplyType(set) == REDISMODULE_REPLY_INTEGER &&
                    RedisModule_CallReplyInteger(set) == 1;
    if (set != NULL) RedisModule_FreeCallReply(set);
    if (is_later && !follow_log_renewed(ctx, cache, key, deadline)) follow_log_lost(ctx, cache);
    return is_later;
}

static int renew_values(RedisModuleCtx *ctx, const Follow *cache, RedisModuleString **pairs, int count,
                        RedisModuleString *deadline) {
    long long renewed = 0;
    follow_events_flush(ctx);
    for (int i = 0; i + 1 < count; i += 2)
        renewed += is_named(cache, pairs[i], pairs[i + 1]) && renew_value(ctx, cache, pairs[i], pairs[i + 1], deadline);
    return RedisModule_ReplyWithLongLong(ctx, renewed);
}

static bool is_word(RedisModuleString *argument, const char *word) {
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(argument, &length);
    return length == strlen(word) && memcmp(bytes, word, length) == 0;
}

int release_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < 4 || argc % 2 != 0) return RedisModule_WrongArity(ctx);
    if (!leadership_is_callers(ctx)) return reply_not_leader(ctx);
    if (is_word(argv[2], DROPPED)) return remains_release(ctx, argv[1], argv[3], argv + 4, argc - 4);
    const Follow *cache = follow_table_find(argv[1]);
    if (cache == NULL || !cache->is_cache) return RedisModule_ReplyWithError(ctx, "ERR the collection is no cache");
    long long bytes, released = 0;
    bool is_at = is_word(argv[2], AT); /* no key of a value is called so */
    if ((is_at || is_word(argv[2], IDLEST)) && RedisModule_StringToLongLong(argv[3], &bytes) != REDISMODULE_OK)
        return RedisModule_ReplyWithError(ctx, "ERR bytes and times must be integers");
    if (is_at) return renew_values(ctx, cache, argv + 4, argc - 4, argv[3]);
    if (is_word(argv[2], IDLEST)) return release_idlest(ctx, cache, argv + 4, argc - 4, bytes);
    for (int i = 2; i < argc; i += 2) released += is_named(cache, argv[i], argv[i + 1]) && release_value(ctx, argv[i], argv[i + 1]);
    return RedisModule_ReplyWithLongLong(ctx, released);
}
