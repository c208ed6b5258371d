/*
 * Answers that take Redis longer than a moment: those with values of keys, and those of very many tokens. They are
 * given in pieces, while the client stays blocked, so that all other clients are served in between.
 *
 * First all values are read: until then the answer may still become an error. Then the tokens are written, into a
 * buffer of the blocked client that Redis passes on when it is unblocked. A few answers are under way at a time, a
 * piece of each in turn; the others wait for their place, so that what they hold in memory is bounded.
 */
#ifndef VSTORE_ANSWERING_H
#define VSTORE_ANSWERING_H

#include "answers/resp3.h"
#include "waits/pending.h"

/* Whether an answer of this shape has to be given in pieces. */
bool answering_is_long(const Resp3Shape *shape);

/*
 * Takes over a request whose answer has come: pending_answered() was called. It is ended by pending_take() and
 * unblocked when the whole answer has been written.
 */
void answering_add(Pending *pending, const Resp3Shape *shape);

/* The client is gone, or has been told something else. */
void answering_cancel(Pending *pending);

/* Gives the first pieces of what was added; a timer gives the others. */
void answering_run(RedisModuleCtx *ctx);

#endif
