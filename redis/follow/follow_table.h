/*
 * Which keys are followed by which collection: what the sidecar has written into the hash vstore:follows, parsed once
 * and kept. The hash is in Redis, and not only in the sidecar, because keys go away while no sidecar is there.
 *
 * Every change of any key is looked up here, so the follows are sorted by their prefixes. All prefixes of a key are
 * prefixes of the last one that is not behind it in that order, or that one itself; `wider` leads from each to the next
 * shorter one.
 */
#ifndef VSTORE_FOLLOW_TABLE_H
#define VSTORE_FOLLOW_TABLE_H

#include "module_api.h"
#include <stdbool.h>

typedef struct Follow Follow;

struct Follow {
    RedisModuleString *collection;
    RedisModuleString *log;
    RedisModuleString *prefix;
    RedisModuleString **fields; /* of a hash: that of the vector, then those of the attributes */
    int field_count;            /* 0: only the life of the keys is followed */
    bool is_cache;              /* the keys are the values of a cache: see cache/cache_requests.h */
    long long ttl_ms;           /* of its entries that name none; 0: they do not expire */
    bool is_sliding;            /* a hit renews the time that its entry has left */
    const Follow *wider;        /* the next one that covers all keys which this one covers; NULL when there is none */
};

/* Reads the hash again. */
void follow_table_load(RedisModuleCtx *ctx);
void follow_table_clear(void);
size_t follow_table_count(void);
const Follow *follow_table_at(size_t position);
/* NULL when the collection follows nothing. */
const Follow *follow_table_find(const RedisModuleString *collection);
/*
 * The one with the longest prefix among those that cover the key; the others are its `wider` ones. NULL when none does.
 */
const Follow *follow_table_covering(const RedisModuleString *key);
/* The one whose log has this name, or NULL. */
const Follow *follow_table_of_log(const RedisModuleString *key);
bool follow_covers(const Follow *follow, const RedisModuleString *key);

#endif
