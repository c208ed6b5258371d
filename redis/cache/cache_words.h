/*
 * What the module has to know of the words of CACHE.SET and CACHE.GET: where the value is, and by what the entry is
 * named. Everything else, and every error, is the sidecar's.
 */
#ifndef VSTORE_CACHE_WORDS_H
#define VSTORE_CACHE_WORDS_H

#include "module_api.h"
#include <stdbool.h>

/* Positions among the arguments, the cache being 0; 0 where the word is not there. */
typedef struct {
    int vector, vector_count; /* the blob, or the numbers after VALUES and their count */
    int value;
    int prompt;
    int id;
    int scope, scope_fields; /* the first field; field and value alternate */
    long long ttl_ms;        /* 0: none is given */
} CacheWords;

/* False where the words are not those of the command: the sidecar finds the words of the refusal. */
bool cache_words_read(RedisModuleString **arguments, int count, CacheWords *words);

/*
 * What an entry is called that has no ID: the digest of its scope, and of what counts of its prompt (prompts.h) or else
 * of its vector. `former` is what an earlier version would have called it, or NULL where that is the same. The caller
 * frees both.
 */
RedisModuleString *cache_words_digest(RedisModuleString **arguments, const CacheWords *words, RedisModuleString **former);

#endif
