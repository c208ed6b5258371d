/* The sidecar that is attached now, and VSTORE.ATTACH, which says so every second. */
#ifndef VSTORE_ATTACHMENT_H
#define VSTORE_ATTACHMENT_H

#include "module_api.h"
#include <stdbool.h>

/*
 * VSTORE.ATTACH <lease> <ttl ms> [<followers>]; 0 detaches. So many followers have to apply a write before it is
 * answered.
 */
int attach_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* NULL when requests can be served on this connection (of these context flags), else the error that says why not. */
const char *attachment_missing(RedisModuleCtx *ctx, int flags);

bool attachment_is_live(void);

/* The database whose streams the sidecar reads. */
int attachment_database(void);

/* Milliseconds since the last VSTORE.ATTACH, -1 before the first. */
long long attachment_age_ms(void);

#endif
