/* The sidecar that is attached now, and VSTORE.ATTACH, which says so every second. */
#ifndef VSTORE_ATTACHMENT_H
#define VSTORE_ATTACHMENT_H

#include "module_api.h"
#include <stdbool.h>

#define PROTOCOL_VERSION 1

/* VSTORE.ATTACH <protocol> <sidecar id> <ttl ms> */
int attach_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* NULL when requests can be served on this connection (of these context flags), else the error that says why not. */
const char *attachment_missing(RedisModuleCtx *ctx, int flags);

bool attachment_is_live(void);

/* Id of the sidecar that attached last, "" before the first. */
const char *attachment_sidecar(void);

/* Milliseconds since the last VSTORE.ATTACH, -1 before the first. */
long long attachment_age_ms(void);

#endif
