/*
 * The sidecar that answers the reads of a replica: a follower, whose files are in step with the leader's.
 *
 * A replica must change no key, so no lease and no stream is of use here. VSTORE.ATTACH READER <sidecar id> <ttl ms>
 * makes the connection that sends it the one that answers, and says for how long; it comes every second, and with ttl 0
 * ends it. Reads wait in the memory of this process (read_queue.h) until the sidecar fetches them. All of it ends, and
 * those that wait hear so, when that connection is closed, when another one takes its place, and when this Redis is a
 * primary.
 */
#ifndef VSTORE_READER_H
#define VSTORE_READER_H

#include "module_api.h"
#include <stdbool.h>

/* VSTORE.ATTACH READER <sidecar id> <ttl ms> */
bool reader_is_asked_for(RedisModuleString **argv, int argc);
int reader_attach_command(RedisModuleCtx *ctx, RedisModuleString **argv);

bool reader_is_live(void);

/* Whether the command comes over the connection that answers. */
bool reader_is_callers(RedisModuleCtx *ctx);

/* Whether this is the id of the sidecar that reads now. */
bool reader_has_id(const RedisModuleString *id);

/* The id of the sidecar that read last, "" before the first. */
const char *reader_sidecar(void);

/* The database whose clients it answers. */
int reader_database(void);

/* This Redis is a primary now, or a replica of another one. */
void reader_end(RedisModuleCtx *ctx);

/* Returns REDISMODULE_OK once it hears of connections that are closed. */
int reader_open(RedisModuleCtx *ctx);

#endif
