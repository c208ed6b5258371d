/*
 * Writes that are answered only when enough followers have applied them (--sync-followers of the leader).
 *
 * Such a write waits twice: for the leader's answer, which is held then, and for the followers. They come in either
 * order, as the leader answers and tells its followers over two connections. A refusal is passed on at once: there is
 * nothing to apply.
 */
#ifndef VSTORE_ACKNOWLEDGEMENT_H
#define VSTORE_ACKNOWLEDGEMENT_H

#include "waits/pending.h"

void acknowledgement_open(void);
void acknowledgement_close(void);

/* A write that followers have to apply. It is forgotten when its wait ends. */
void acknowledgement_expect(Pending *pending);
void acknowledgement_forget(Pending *pending);

/* Whether followers are missing still. */
bool acknowledgement_is_awaited(const Pending *pending);

/* How many followers have applied it. */
int acknowledgement_count(const Pending *pending);

/* A follower has applied the stream up to there. Gives the answers that waited for it. */
void acknowledgement_note(RedisModuleCtx *ctx, int follower, const RequestId *position);

/* Another process has the follower's place. */
void acknowledgement_forget_follower(int follower);

/* Gives the answers that wait for no follower any more: fewer are needed now. */
void acknowledgement_review(RedisModuleCtx *ctx);

#endif
