/*
 * What a command has to change in another slot than its own: see slots.h. It is done in the same turn of Redis' event
 * loop, before the AOF is written, in the order in which it was asked for. While writes are paused it waits.
 */
#ifndef VSTORE_LATER_H
#define VSTORE_LATER_H

#include "module_api.h"

/* Is called once, in the database of the caller, and frees its data. On a replica, too, where it must not write. */
typedef void (*LaterFunc)(RedisModuleCtx *ctx, void *data);

void later(RedisModuleCtx *ctx, LaterFunc run, void *data);

#endif
