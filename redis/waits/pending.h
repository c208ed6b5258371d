/*
 * The requests that wait for the sidecar's answer, each with the client that is blocked on it.
 *
 * A request waits from pending_add() to pending_take(), and is taken exactly once: by VSTORE.REPLY, by its deadline,
 * by CLIENT UNBLOCK or by the loss of its client. The taker unblocks the client, and Redis frees it then through
 * pending_free().
 *
 * The deadline is a timer of our own and not BlockClient()'s. Redis does not ask the module about a client whose
 * deadline passes between UnblockClient() and the next turn of the event loop: it would unblock that client without
 * any reply, and the connection would be out of step from then on.
 */
#ifndef VSTORE_PENDING_H
#define VSTORE_PENDING_H

#include "commands/command_table.h"
#include "module_api.h"
#include "streams/streams.h"

typedef struct Pending Pending;
typedef struct QueuedRead QueuedRead;
typedef struct DeferredWrite DeferredWrite;

/* How the wait has ended. */
typedef enum { PENDING_ANSWERED, PENDING_TIMED_OUT, PENDING_DROPPED, PENDING_STRANDED, PENDING_DOWN, PENDING_REFUSED } PendingEnd;

typedef void (*PendingExpired)(RedisModuleCtx *ctx, Pending *pending);

struct Pending {
    RequestId request; /* holds a reference to the stream's name */
    const VstoreCommand *command;
    RedisModuleBlockedClient *client;
    long long timeout_ms;
    RedisModuleTimerID deadline; /* 0 once it has fired */
    PendingExpired expired;
    RedisModuleString *user; /* the user that asks; NULL where the answer shows nothing beyond the collection */
    bool to_resp3;
    PendingEnd end;
    RedisModuleString *collection; /* NULL where the request is about none */
    bool is_local;      /* a read whose entry is in no key, see read_queue.h */
    QueuedRead *queued; /* of such a read, while the queue has it; read_queue.h alone writes it */
    DeferredWrite *deferred; /* a write that is not appended yet; deferral.h alone writes it */
    const char *refusal; /* with PENDING_REFUSED */
    bool is_stranded; /* see stranding.h */
    bool is_answering; /* the answer is given in pieces: see answering.h */
    bool awaits_followers; /* see acknowledgement.h, which alone writes this and the next */
    uint32_t acknowledged; /* the followers that have applied it, a bit for each */
    bool is_held; /* the answer has come, and waits for followers */
    RedisModuleString *answer; /* RESP3, checked; NULL: the bytes were malformed, or no client is left to read them */
};

void pending_open(void);
void pending_close(void);

long long pending_count(void);

/* Takes over `pending`, of which all fields but the deadline are set, and starts its deadline. */
void pending_add(RedisModuleCtx *ctx, Pending *pending);

/* The wait for this request, or of this client; NULL when there is none. */
Pending *pending_of_request(const RequestId *request);
Pending *pending_of_client(RedisModuleBlockedClient *client);

/* All of them, in an array that the caller frees. */
Pending **pending_all(size_t *count);

/* The answer has come, and will be given in pieces: no deadline any more, and no other answer. */
void pending_answered(RedisModuleCtx *ctx, Pending *pending);

/* The request has got another id within its stream. */
void pending_rename(Pending *pending, RedisModuleStreamID id);

/* Ends the waiting; the caller unblocks the client. */
void pending_take(RedisModuleCtx *ctx, Pending *pending);

/* The free_data callback of BlockClient(). */
void pending_free(RedisModuleCtx *ctx, void *pending);

#endif
