/*
 * Who sends a command, and what the ACL lets that user do beyond the command's own key.
 *
 * Redis checks a command's name and its keys before the module sees it. Before the module does anything beyond that for
 * a caller (taking the lead, reading the values of other keys, following a prefix), it checks the caller's rights here.
 */
#ifndef VSTORE_CALLERS_H
#define VSTORE_CALLERS_H

#include "module_api.h"
#include <stdbool.h>

/* Name of the user that sends the command; NULL when it comes from no client. The caller frees it. */
RedisModuleString *caller_name(RedisModuleCtx *ctx);

/* Whether the user may send the command, whose second argument is the key. */
bool caller_may_send(RedisModuleUser *user, const char *command, RedisModuleString *key, RedisModuleString *field);

/* Whether the user may read the key, whatever the command. */
bool caller_may_read(RedisModuleUser *user, RedisModuleString *key);

/*
 * Whether the user may read every key that begins with the prefix, and with `hashes` send HMGET of them. It needs a
 * rule for that: `~` or `%R~` with a beginning of the prefix and one `*` behind it.
 */
bool caller_may_read_prefix(RedisModuleCtx *ctx, RedisModuleString *user, RedisModuleString *prefix, bool hashes);

/* Whether the user may read and change the key. */
bool caller_may_change(RedisModuleString *user, RedisModuleString *key);

#endif
