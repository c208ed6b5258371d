/*
 * Requests whose entry is no longer in its stream: the stream was dropped, deleted, flushed, renamed, evicted or
 * overwritten while they waited. The sidecar may not have read them, so an answer may never come. The module tells
 * their clients what is known.
 *
 * An entry of a collection that was dropped is answered NOCOLLECTION at once. In all other cases the sidecar may have
 * read the entry just before. Its own answer says more, so it gets a moment to come.
 */
#ifndef VSTORE_STRANDING_H
#define VSTORE_STRANDING_H

#include "module_api.h"

/* Returns REDISMODULE_OK once it hears of flushed and swapped databases. */
int stranding_open(RedisModuleCtx *ctx);

/* Must be called for every key that has ended or was overwritten. */
void stranding_hear(RedisModuleCtx *ctx, const RedisModuleString *key);

#endif
