/*
 * The values of a cache that was dropped. The module does not know the cache any more, and another one may have its name,
 * and values under the same keys.
 */
#ifndef VSTORE_REMAINS_H
#define VSTORE_REMAINS_H

#include "module_api.h"

/*
 * Deletes the values that still have their digest: keys and digests in turn. The sidecar has looked at the collection
 * that has the name now, if there is one, up to the entry of this id, and names no key that it has. What the log has
 * behind that the module looks at itself: a key that is set there belongs to the new cache.
 *
 * Answers how many have gone, or -1 and has deleted none where there is too much in the log.
 */
int remains_release(RedisModuleCtx *ctx, RedisModuleString *cache, RedisModuleString *id, RedisModuleString **pairs, int count);

#endif
