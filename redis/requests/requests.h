/* The two ends of a request: any VSTORE.* command of the table, and VSTORE.REPLY, which answers it. */
#ifndef VSTORE_REQUESTS_H
#define VSTORE_REQUESTS_H

#include "module_api.h"
#include "requests/pending.h"

#define STREAM_IS_FULL "BUSY the vstore sidecar is behind: the stream of these requests has reached vstore.log-max-bytes"

/* Counted since the module was loaded; for INFO. Only requests.c writes them. */
typedef struct {
    long long requests[3]; /* by the VstoreRoute of the command */
    long long replies;
    long long replies_unknown;
    long long replies_malformed;
    long long timeouts;
    long long stranded;
    long long disconnects;
    long long refused_down;
    long long refused_busy;
    long long refused_replicas;
} RequestCounters;

extern RequestCounters request_counters;

/* Milliseconds; vstore.timeout and vstore.wait-timeout. CONFIG SET writes them. */
extern long long request_timeout_ms;
extern long long request_wait_timeout_ms;

/* Ends a wait whose entry is in no stream any more. */
void request_strand(RedisModuleCtx *ctx, Pending *pending, PendingEnd end);

/* Ends a wait with this error, whose text stays: nothing was appended. */
void request_refuse(RedisModuleCtx *ctx, Pending *pending, const char *error);

/* Gives an answer that was held: enough followers have applied the write. */
void request_release(RedisModuleCtx *ctx, Pending *pending);

/* Every command of the table. */
int request_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* VSTORE.REPLY <stream> <id> <bytes> [<stream> <id> <bytes> …] */
int reply_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
