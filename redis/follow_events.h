/*
 * Hears of everything that happens to keys, and passes on what concerns the followed ones.
 *
 * The events of a key that is loaded, or of a replica, have had their effect already: the entry that they led to is in
 * the AOF, and comes from the master, by itself. While the AOF is loaded, and on replicas, nothing may be appended.
 *
 * Redis 7.0 knows no moment after an event, so the log is appended to within it: the log is there already and nobody
 * else's, so nothing that Redis is busy with changes under its hands. Redis 7.2 and Valkey run a job once the command
 * or the whole transaction is over. Changes wait for it in a list, and a request that is appended before puts them into
 * the log first, so the log has the order in which things happened.
 */
#ifndef VSTORE_FOLLOW_EVENTS_H
#define VSTORE_FOLLOW_EVENTS_H

#include "module_api.h"

/* Returns REDISMODULE_OK when the events will come. */
int follow_events_open(RedisModuleCtx *ctx);
void follow_events_close(void);
/* Puts what has happened until now into the logs. */
void follow_events_flush(RedisModuleCtx *ctx);

#endif
