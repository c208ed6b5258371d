/*
 * VSTORE.LEAD <lease>: the first thing that a sidecar says on its writing connection once it holds the lease.
 *
 * It closes the connection of whoever led before. A sidecar that was paused, or cut off, and does not know yet that its
 * lease has gone to somebody else then cannot trim a log, delete an entry or answer a client any more: its commands
 * have no connection to arrive on. No clock but Redis' own is trusted for that, and no key that may be evicted or flushed.
 */
#ifndef VSTORE_LEADERSHIP_H
#define VSTORE_LEADERSHIP_H

#include "module_api.h"

int lead_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
