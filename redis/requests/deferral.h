/*
 * Writes of vstore:control that a command with a key asks for (CREATE, DROP, and those of a collection whose log was
 * lost), where the command must not touch the slot of that stream: see slots/slots.h.
 *
 * The write of a client that waits is appended later (slots/later.h), under an id that may be another one than first
 * given. In MULTI and scripts no client waits, and it is appended by a job that belongs to the transaction.
 */
#ifndef VSTORE_DEFERRAL_H
#define VSTORE_DEFERRAL_H

#include "module_api.h"
#include "streams/streams.h"
#include "waits/pending.h"
#include <stdbool.h>

/* Whether the request has to be deferred that belongs into this stream. */
bool deferral_is_due(RedisModuleCtx *ctx, const Request *request, RedisModuleString *stream);

/* Takes the request, whose identity is `entry` with the id that this sets. */
void deferral_add(RedisModuleCtx *ctx, RequestId *entry, const Request *request);

/* The request that was added last is the one that this client waits for. */
void deferral_awaits(Pending *pending);

/* The wait has ended: nothing is appended any more. */
void deferral_forget(Pending *pending);

#endif
