/* Whether a collection may exist, for those whose log is not there. See src/bridge/PROTOCOL.md, Request. */
#ifndef VSTORE_EXISTENCE_H
#define VSTORE_EXISTENCE_H

#include "module_api.h"
#include <stdbool.h>

/*
 * Whether a collection without a log may exist, which only the sidecar knows then. Either the sidecar has told Redis of
 * it, and its log was lost; or Redis has forgotten everything that it was told.
 */
bool collection_may_exist(RedisModuleCtx *ctx, RedisModuleString *collection);

/*
 * Whether the log came with its slot from another node of the cluster: there is one of a collection that the sidecar
 * here does not have.
 */
bool collection_came_without_files(RedisModuleCtx *ctx, RedisModuleString *collection);

/* Whether its vectors are in parts on several nodes of the cluster. */
bool collection_has_parts(RedisModuleCtx *ctx, RedisModuleString *collection);

/* A key has changed, perhaps one that tells of collections. */
void existence_hear(RedisModuleCtx *ctx, const RedisModuleString *key);

/* Where slots are apart: reads what Redis was told, now or before the next commands. Now: not in a command with keys. */
void existence_learn(RedisModuleCtx *ctx);
void existence_learn_soon(RedisModuleCtx *ctx);

void existence_close(void);

/* NOCOLLECTION, in the sidecar's words. */
int reply_no_collection(RedisModuleCtx *ctx, RedisModuleString *collection);

#endif
