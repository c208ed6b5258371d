/*
 * Slots of a cluster, on servers that keep the keys of each slot in a dictionary of its own (Redis 7.4, Valkey 8, and
 * later ones). While such a server runs a command with keys, it looks up every key in the dictionary of the command's
 * slot, also one that a module opens: a key of another slot seems to be missing, and a new one is misplaced. The same
 * holds in a job after the command, when its client waits. It does not hold in a command without keys, nor in a timer.
 *
 * So within a command the module uses keys of that command's slot only. It reads what it has kept in memory
 * (requests/existence.h, requests/read_queue.h), and writes to other slots later (slots/later.h).
 */
#ifndef VSTORE_SLOTS_H
#define VSTORE_SLOTS_H

#include "module_api.h"
#include <stdbool.h>

/* Whether this is a node of a cluster whose server keeps slots apart. */
bool slots_are_apart(RedisModuleCtx *ctx);

/* Whether both keys lie in one slot; only where slots are apart. */
bool slots_are_equal(RedisModuleString *key, RedisModuleString *other);

#endif
