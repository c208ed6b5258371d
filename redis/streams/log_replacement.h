/*
 * Whether a log is still the stream that vstore began. The sidecar can count removed entries of a stream, but cannot
 * tell that it is another stream: a copy may have the same counts. So the module writes down, in the hash vstore:logs,
 * that a log's key was deleted, renamed or overwritten, whether a sidecar is there or not.
 */
#ifndef VSTORE_LOG_REPLACEMENT_H
#define VSTORE_LOG_REPLACEMENT_H

#include "module_api.h"
#include <stdbool.h>

/* Whether the key has the name of a log. */
bool is_log_name(const RedisModuleString *key);

/*
 * Marks a log that the sidecar has noted, in the selected database: the stream of this name is gone, though another
 * value may be there. Only where the module may write.
 */
void log_was_replaced(RedisModuleCtx *ctx, RedisModuleString *log);

#endif
