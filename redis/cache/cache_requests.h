/*
 * Requests about caches. A cache is a collection whose vectors follow Redis strings, the values, under its own prefix.
 * CACHE.SET stores a value and logs its vector in one step, so both reach the AOF and the replicas together or not at
 * all. An older value of the same name ends first, and its vector with it: a refused SET leaves nothing behind.
 *
 * The log does not hold the value. The entry names the value's key and digest instead, in words that the module puts
 * behind those of the client; see src/bridge/PROTOCOL.md, Caches.
 */
#ifndef VSTORE_CACHE_REQUESTS_H
#define VSTORE_CACHE_REQUESTS_H

#include "module_api.h"
#include "streams/streams.h"

/* What a request is as an entry, and what has to be stored with it. */
typedef struct {
    RedisModuleString **arguments; /* with the module's words; NULL where those of the client do */
    int count, kept;               /* the last ones, from `kept` on, have to be freed */
    RedisModuleString *key;        /* of the value; NULL where nothing is stored */
    RedisModuleString *former_key; /* that an earlier version gave the same question; NULL for none */
    RedisModuleString *value;
    long long deadline_ms; /* 0: none */
} CacheRequest;

/* Whether the request stores a value. */
bool cache_stores(const Request *request);

/*
 * Checks the caller's rights and gives the request the arguments of its entry. Returns NULL, or the error that refuses
 * it. cache_free() has to follow in either case.
 */
const char *cache_prepare(RedisModuleCtx *ctx, Request *request, CacheRequest *cached);
/* Ends the values that have the keys until now; what that means for their vectors is in the log afterwards. */
void cache_make_room(RedisModuleCtx *ctx, const CacheRequest *cached);
/* Stores the value, once its entry is in the log. */
void cache_store(RedisModuleCtx *ctx, const CacheRequest *cached);
void cache_free(CacheRequest *cached);

/* What the keys of a cache's values begin with. The caller frees it. */
RedisModuleString *cache_prefix(RedisModuleString *cache);

#endif
