/* Answers a client with one RESP3 value. */
#ifndef VSTORE_REPLY_H
#define VSTORE_REPLY_H

#include "module_api.h"

/*
 * Replies with `value`, which resp3_is_one_value() has accepted. Redis translates it for a RESP2 client, as it does a map
 * into a flat array. `pairs_depth` says at which level an array of pairs becomes such a flat array too; 0: at none.
 */
void reply_with_resp3(RedisModuleCtx *ctx, RedisModuleString *value, int pairs_depth);

#endif
