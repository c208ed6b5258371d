/*
 * The end of values of a cache that the sidecar names: of entries that the log has ended, and of those that MAXBYTES has
 * no room for. The sidecar knows entries and bytes, Redis how long a value was not used.
 */
#ifndef VSTORE_CACHE_RELEASES_H
#define VSTORE_CACHE_RELEASES_H

#include "module_api.h"
#include <stdbool.h>

/*
 * VSTORE.RELEASE <cache> <key> <digest> [<key> <digest> …]: deletes the values that still have their digest.
 *
 * VSTORE.RELEASE <cache> IDLEST <bytes> <key> <digest> [<key> <digest> …]: of these the ones that were not used for the
 * longest time, until so many bytes are gone. Their vectors follow, by the log.
 *
 * VSTORE.RELEASE <cache> AT <ms since 1970> <key> <digest> [<key> <digest> …]: these live until then, if that is later.
 *
 * VSTORE.RELEASE <cache> DROPPED <id> <key> <digest> [<key> <digest> …]: the values of a cache that was dropped. Another
 * one may have its name by now, and the sidecar has looked at its entries up to the id: see remains.h.
 */
int release_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/* Deletes the value, if it is still the one with the digest. Returns whether it was. */
bool release_value(RedisModuleCtx *ctx, RedisModuleString *key, RedisModuleString *digest);

#endif
