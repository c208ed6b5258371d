/* The sidecar that is attached now, and VSTORE.ATTACH, which says so every second. */
#ifndef VSTORE_ATTACHMENT_H
#define VSTORE_ATTACHMENT_H

#include "module_api.h"
#include <stdbool.h>

/*
 * VSTORE.ATTACH <lease> <ttl ms> [<followers>], or READER …, see reader.h; 0 detaches. So many followers have to apply a write before it is
 * answered.
 */
int attach_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/*
 * VSTORE.HANDOVER <lease> <ms> [XX]: answers how many followers may take over. When there are any, requests are taken for
 * so long although no sidecar serves them: they wait in their streams for the next leader. With XX that one says, until
 * it attaches, that it is at work: it answers 1 while the lead is being handed over, else 0.
 */
int handover_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Whether the lead is being handed over: the follower that takes it cannot follow, and is missed for that moment. */
bool attachment_is_handing_over(void);

/* NULL when requests can be served on this connection (of these context flags), else the error that says why not. */
const char *attachment_missing(RedisModuleCtx *ctx, int flags);

bool attachment_is_live(void);

/* The database whose streams the sidecar reads. */
int attachment_database(void);

/* Milliseconds since the last VSTORE.ATTACH, -1 before the first. */
long long attachment_age_ms(void);

#endif
