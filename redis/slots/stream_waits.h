/*
 * Clients that wait until one of many streams has an entry, where slots are apart (slots.h). To such a server all keys
 * of one wait lie in the slot of the client's command: Valkey 9 ends itself where they do not. So it is told of none,
 * and the module wakes these clients itself: it hears of every command that changes a stream, and adds entries itself.
 */
#ifndef VSTORE_STREAM_WAITS_H
#define VSTORE_STREAM_WAITS_H

#include "module_api.h"

/* The client of `ctx` is answered by `reply` once one of the streams may have an entry, or by `time_over`. */
void stream_waits_begin(RedisModuleCtx *ctx, RedisModuleCmdFunc reply, RedisModuleCmdFunc time_over, long long ms,
                        RedisModuleString **streams, int n);

/* For `time_over`: the wait has ended by itself. It may have been a wait of another kind. */
void stream_waits_end(RedisModuleCtx *ctx);

/* The stream may have an entry that it did not have. */
void stream_waits_hear(RedisModuleString *stream);

/* Returns REDISMODULE_OK once the events come. */
int stream_waits_open(RedisModuleCtx *ctx);

#endif
