/*
 * Turns what has happened to a followed key into an entry of the log: DEL when its vector has to go, FOLLOWED with what
 * a hash holds now. The module copies bytes; the sidecar decides whether they are a vector.
 *
 * An entry that cannot be appended (no log, or a full one) must not be forgotten. The hash vstore:synced has a field
 * for every collection that is in step with its keys; the module takes the field away, and the sidecar looks at all
 * keys again. Deleting a field needs no memory, and an evicted or flushed hash errs on the safe side.
 *
 * The module writes only where a client could have written: in the course of a command, or of an expiry or eviction,
 * that Redis itself propagates. Redis ends its process when a module propagates anything while writes are paused. What
 * is lost at any other time (while Redis loads, say) the module remembers, and VSTORE.RESYNC without arguments writes
 * it down.
 */
#ifndef VSTORE_FOLLOW_LOG_H
#define VSTORE_FOLLOW_LOG_H

#include "follow/follow_table.h"

/* Counted since the module was loaded; for INFO. Only follow_log.c writes them. */
typedef struct {
    long long entries;
    long long losses;
} FollowLogCounters;

extern FollowLogCounters follow_log_counters;

void follow_log_open(void);
void follow_log_close(void);

/* The vector of the key goes. Returns whether that is in the log. */
bool follow_log_gone(RedisModuleCtx *ctx, const Follow *follow, RedisModuleString *key);
/*
 * Something has happened to the key. Its vector goes, or with FROM HASH becomes what the hash holds now. Returns whether
 * that is in the log, or will be: see follow_queue.h.
 */
bool follow_log_hear(RedisModuleCtx *ctx, const Follow *follow, RedisModuleString *key);
/* Appends what waits for this collection, or with NULL for any; not while writes are paused. */
void follow_log_flush(RedisModuleCtx *ctx, const RedisModuleString *collection);
/* The key lives until then, in ms since 1970. Returns whether that is in the log. */
bool follow_log_renewed(RedisModuleCtx *ctx, const Follow *follow, RedisModuleString *key, RedisModuleString *deadline);
/*
 * Notes a loss: the log will not tell all that has happened to the collection's keys. Only where the module may write.
 * On a cluster that keeps slots apart it is the same as the next one.
 */
void follow_log_lost(RedisModuleCtx *ctx, const Follow *follow);
/* The same, at any time. */
void follow_log_lost_unwritten(const Follow *follow);
/* How many collections have a loss that is not written down in Redis yet. */
long long follow_log_untold(void);
/* VSTORE.RESYNC [<collection> GONE|ALL <key> [<key> …]] */
int resync_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
