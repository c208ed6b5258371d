/* The slots of slots.h. A server can tell modules the slot of a key since it keeps slots apart. */
#include "slots/slots.h"
#include "streams/own_keys.h"

bool slots_are_apart(RedisModuleCtx *ctx) {
    static bool is_known, are_apart; /* for as long as the process lives */
    if (!is_known) are_apart = RedisModule_ClusterKeySlot != NULL && is_cluster_node(ctx);
    is_known = true;
    return are_apart;
}

bool slots_are_equal(RedisModuleString *key, RedisModuleString *other) {
    return RedisModule_ClusterKeySlot(key) == RedisModule_ClusterKeySlot(other);
}
