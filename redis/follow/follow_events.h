/*
 * Hears of everything that happens to keys, and passes on what concerns the followed ones.
 *
 * Redis also raises these events while it loads the AOF and on replicas. The module ignores them there: the entries
 * already arrive through the AOF or the primary.
 *
 * Redis 7.0 has no hook after an event, so the module appends within the event. That is safe: the log exists already
 * and no client's command works on it, so Redis is not busy with it. Redis 7.2 and Valkey run a job once the command or
 * the whole transaction is over. Changes wait for the job in a list. A request that is appended before the job puts
 * them into the log first, so that the log has the order in which things happened.
 */
#ifndef VSTORE_FOLLOW_EVENTS_H
#define VSTORE_FOLLOW_EVENTS_H

#include "module_api.h"

/* Hears of every event that may have ended or overwritten a key, followed or not. */
typedef void (*KeyListener)(RedisModuleCtx *ctx, const RedisModuleString *key);

/*
 * On a node of a cluster, when a sidecar leads: reads again which keys are followed, and notes a loss for each
 * collection that follows some.
 */
void follow_events_review(RedisModuleCtx *ctx);

/* Returns REDISMODULE_OK once the events come. */
int follow_events_open(RedisModuleCtx *ctx, KeyListener hears);
void follow_events_close(void);
/* Puts what has happened until now into the logs. */
void follow_events_flush(RedisModuleCtx *ctx);

#endif
