/*
 * Which sidecar leads: only one may answer, trim and attach.
 *
 * VSTORE.LEAD <protocol> <sidecar id> <ttl ms> gives the lease to the connection that sends it, unless another sidecar
 * holds it, and closes the connection of the holder before. So a sidecar that was paused or cut off, and does not know
 * that it has been succeeded, has no connection to do harm on; with ttl 0 it gives the lease up. VSTORE.RENEW <lease>
 * <ttl ms> extends it, from any connection that knows it. VSTORE.JOIN <lease> lets the connection that sends it answer
 * too, for writes may be held back on the first one; all are closed together. It answers the key of proofs.h.
 *
 * The lease lives in this process, by its monotonic clock: no key expires, can be evicted, or is written at every beat.
 * The key vstore:leader only records whose it is, so that after a restart that sidecar has one lease's time to come back
 * first, and on a replica that was promoted a second.
 */
#ifndef VSTORE_LEADERSHIP_H
#define VSTORE_LEADERSHIP_H

#include "module_api.h"
#include <stdbool.h>

#define PROTOCOL_VERSION 2

int lead_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);
int renew_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);
int join_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

/*
 * Whether the command comes over one of the connections that lead. A command that only a sidecar may send checks this
 * first.
 */
bool leadership_is_callers(RedisModuleCtx *ctx);
int reply_not_leader(RedisModuleCtx *ctx);

/* Whether the caller's user may lead: what a sidecar may do, and no other client. */
bool leadership_is_for(RedisModuleCtx *ctx);

/* Whether the last leader has given its lease up, and no other one has come yet. */
bool leadership_was_given_up(void);

/* Whether these bytes are the last lease that was given; `is_live` whether it must hold still. */
bool leadership_is_lease(const RedisModuleString *lease, bool is_live);

/* Id of the sidecar that took the lease last, "" before the first. */
const char *leadership_sidecar(void);

/* Returns REDISMODULE_OK once it hears of changes of the role. */
int leadership_open(RedisModuleCtx *ctx);
int leadership_register_settings(RedisModuleCtx *ctx);
void leadership_close(void);

/* Whether the text can name a sidecar. */
bool leadership_is_sidecar_id(const RedisModuleString *text);
#define SIDECAR_ID_FAULT "ERR 'sidecar id' must be 1 to 64 printable characters without spaces"

/* Parses milliseconds from 0 to an hour. */
bool leadership_parse_ttl(const RedisModuleString *text, long long *ttl_ms);
#define TTL_FAULT "ERR 'ttl' must be 0 to 3600000 milliseconds"

#endif
