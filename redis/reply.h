/* Answers a client with one RESP3 value. */
#ifndef VSTORE_REPLY_H
#define VSTORE_REPLY_H

#include "module_api.h"

/* Replies with `value`, which resp3_is_one_value() has accepted. Redis translates it for a RESP2 client. */
void reply_with_resp3(RedisModuleCtx *ctx, RedisModuleString *value);

#endif
