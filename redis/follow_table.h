/*
 * Which keys are followed by which collection: what the sidecar has written into the hash vstore:follows, parsed once
 * and kept. The hash is in Redis, and not only in the sidecar, because keys go away while no sidecar is there.
 */
#ifndef VSTORE_FOLLOW_TABLE_H
#define VSTORE_FOLLOW_TABLE_H

#include "module_api.h"
#include <stdbool.h>

#define FOLLOWS_KEY "vstore:follows"

typedef struct {
    RedisModuleString *collection;
    RedisModuleString *log;
    RedisModuleString *prefix;
    RedisModuleString **fields; /* of a hash: that of the vector, then those of the attributes */
    int field_count;            /* 0: only the life of the keys is followed */
} Follow;

/* Reads the hash again. */
void follow_table_load(RedisModuleCtx *ctx);
void follow_table_clear(void);
size_t follow_table_count(void);
const Follow *follow_table_at(size_t position);
/* NULL when the collection follows nothing. */
const Follow *follow_table_find(const RedisModuleString *collection);
bool follow_covers(const Follow *follow, const RedisModuleString *key);

#endif
