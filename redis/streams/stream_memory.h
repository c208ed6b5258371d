/*
 * Bounds the memory of the request streams: a sidecar that stalls, or cannot make checkpoints, must not fill Redis.
 *
 * The module is not told what is trimmed, and it is not the only one that appends. So it asks Redis how much memory a
 * stream takes (MEMORY USAGE, all of its nodes), adds up what it appends itself from then on, and asks again once the
 * sum has reached the limit. The sum is right after a restart, a trim, DEL, RENAME or an XADD of a stream client alike,
 * and costs one addition as long as a stream stays well below the limit.
 */
#ifndef VSTORE_STREAM_MEMORY_H
#define VSTORE_STREAM_MEMORY_H

#include "module_api.h"
#include <stdbool.h>

/* vstore.log-max-bytes, for each request stream. CONFIG SET writes it. */
extern long long stream_bytes_max;

void stream_memory_open(void);
void stream_memory_close(void);

/* Bytes that the stream takes now, 0 when there is none. A stream that has expired counts until Redis deletes it. */
long long stream_memory(RedisModuleCtx *ctx, RedisModuleString *stream);

/* Whether the stream has reached the limit. Below it one more request is welcome, whatever its size. */
bool stream_is_full(RedisModuleCtx *ctx, RedisModuleString *stream);

/* Must be called for every request that was appended. */
void stream_has_grown(RedisModuleString *stream, RedisModuleString **arguments, int count);

#endif
