/*
 * The reads that wait for the sidecar in the memory of this process and in no key. They are entries as those of
 * vstore:queries, and are named as if they were in it.
 *
 * On a replica they are here because its keys are the primary's. VSTORE.FETCH <sidecar id> <count> <bytes> <wait ms>
 * comes from the sidecar that is attached as the reader. It answers what XREAD would answer of vstore:queries, or nil
 * when nothing has come for so long. An entry that was fetched is gone; its client waits on, in pending.h, for
 * VSTORE.REPLY.
 *
 * On a primary they are here where a command must not touch the slot of vstore:queries: see slots/slots.h. The leading
 * sidecar reads them by VSTORE.XREAD as it reads the stream elsewhere, and an entry stays until its wait has ended.
 *
 * VSTORE.FETCH <sidecar id> WANTED <entry> answers 1 while a client waits for a read of vstore:queries, and else 0.
 */
#ifndef VSTORE_READ_QUEUE_H
#define VSTORE_READ_QUEUE_H

#include "module_api.h"
#include "streams/streams.h"
#include "waits/pending.h"

int fetch_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/*
 * Adds a request, and sets `entry` to its identity, whose stream the caller frees. Returns NULL, or the error that
 * refuses it.
 */
const char *read_queue_add(RedisModuleCtx *ctx, RequestId *entry, const Request *request);

/* The request that was added last is the one that this client waits for. */
void read_queue_awaits(RedisModuleCtx *ctx, Pending *pending);

/* The wait has ended: nobody has to fetch the request any more. */
void read_queue_forget(Pending *pending);

/* How many there are behind this id, `count_max` at most, and the answer of XREAD for as many of them. */
long long read_queue_count_after(RedisModuleStreamID id, long long count_max);
void read_queue_reply_after(RedisModuleCtx *ctx, RedisModuleStreamID id, long long count);

/* The sidecar is gone: ends every wait that began here, with what is known. */
void read_queue_end(RedisModuleCtx *ctx);

/* For INFO: requests that were not fetched yet, and their bytes. */
long long read_queue_count(void);
long long read_queue_bytes(void);

#endif
