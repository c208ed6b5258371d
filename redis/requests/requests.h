/* The way in of a request: any VSTORE.* command of the table. */
#ifndef VSTORE_REQUESTS_H
#define VSTORE_REQUESTS_H

#include "module_api.h"

#define STREAM_IS_FULL "BUSY the vstore sidecar is behind: the stream of these requests has reached vstore.log-max-bytes"

/* Counted since the module was loaded; for INFO. Only the files of requests/ write them. */
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

/* Every command of the table. */
int request_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
