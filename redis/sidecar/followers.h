/*
 * Followers that are connected: which of them are in step, and what the leader has told them.
 *
 * VSTORE.FOLLOW <follower id> <state> <serial> <wait ms> [<stream> <id> …] comes from a follower. It says that the
 * follower is there, and up to where it has applied each of the streams. It is answered as soon as the leader has told
 * something since `serial`, or when the wait is over: with the serial of now, 1 when the lease was given up, else 0,
 * and for each stream that was told since then its name and the id up to which it is applied.
 *
 * VSTORE.TELL <stream> <id> [<stream> <id> …] comes from the leader, over its writing connection: an entry that it has
 * withdrawn before is gone then.
 *
 * All of it is in the memory of this process. No key changes, so neither the AOF nor a replica hears of it.
 */
#ifndef VSTORE_FOLLOWERS_H
#define VSTORE_FOLLOWERS_H

#include "module_api.h"
#include <stdbool.h>

/* A follower has a bit in a mask of 32. */
#define FOLLOWERS_MAX 16

int follow_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);
int tell_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

void followers_open(void);
void followers_close(void);

/* The followers that are connected, in step, and not silent: a bit for each. */
uint32_t followers_in_step(void);

/* How many of them may take the lead. */
int followers_ready(void);

/* How many have to apply a write before it is answered: --sync-followers of the leader. */
int followers_needed(void);
void followers_set_needed(long long needed);

/* Another leader begins. */
void followers_forget_told(void);

/* Has the followers look at once: the lease was given up, or this Redis leads no more. */
void followers_wake(RedisModuleCtx *ctx);

#endif
