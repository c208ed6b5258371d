/* What a client is told whose wait has ended without an answer. */
#ifndef VSTORE_ENDINGS_H
#define VSTORE_ENDINGS_H

#include "waits/pending.h"

int reply_with_timeout(RedisModuleCtx *ctx, const Pending *pending);

/* What is known of a request that no sidecar will answer any more. */
int reply_with_loss(RedisModuleCtx *ctx, const Pending *pending);

#endif
