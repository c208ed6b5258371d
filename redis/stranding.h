/*
 * Requests whose entry is not in its stream any more, as the stream was dropped, deleted, flushed, renamed, evicted or
 * overwritten while they waited. The sidecar may not have read them, so no answer need come: their clients are told
 * what is known.
 *
 * An entry of a collection that was dropped is answered NOCOLLECTION at once. In all other cases the sidecar may have
 * read the entry just before; its own answer says more, and has a moment to come.
 */
#ifndef VSTORE_STRANDING_H
#define VSTORE_STRANDING_H

#include "module_api.h"

/* Returns REDISMODULE_OK when flushed and swapped databases will be heard of. */
int stranding_open(RedisModuleCtx *ctx);

/* To be told of every key that has ended or was overwritten. */
void stranding_hear(RedisModuleCtx *ctx, const RedisModuleString *key);

#endif
