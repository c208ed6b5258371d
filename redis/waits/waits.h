/* The wait of a client for the answer to its request, and VSTORE.REPLY, which brings the answer. */
#ifndef VSTORE_WAITS_H
#define VSTORE_WAITS_H

#include "module_api.h"
#include "streams/streams.h"
#include "waits/pending.h"
#include <stdbool.h>

/* Milliseconds; vstore.timeout and vstore.wait-timeout. CONFIG SET writes them. */
extern long long request_timeout_ms;
extern long long request_wait_timeout_ms;

/* Blocks the client. Its request has that entry, or with `is_deferred` will have one once writes go on. */
void wait_for_answer(RedisModuleCtx *ctx, const RequestId *entry, const Request *request, bool is_deferred);

/* Ends a wait whose entry is in no stream any more. */
void request_strand(RedisModuleCtx *ctx, Pending *pending, PendingEnd end);

/* Ends a wait with this error, whose text stays: nothing was appended. */
void request_refuse(RedisModuleCtx *ctx, Pending *pending, const char *error);

/* Gives an answer that was held: enough followers have applied the write. */
void request_release(RedisModuleCtx *ctx, Pending *pending);

/* VSTORE.REPLY <stream> <id> <bytes> [<stream> <id> <bytes> …] */
int reply_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
