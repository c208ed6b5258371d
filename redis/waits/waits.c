/*
 * The wait of a request: begun once its entry is appended, and ended by VSTORE.REPLY, its deadline, its client, or
 * because its entry is lost. Only end_wait() ends one. All of it runs on Redis' one thread.
 */
#include "waits/waits.h"
#include "answers/answering.h"
#include "answers/reply.h"
#include "answers/resp3.h"
#include "cache/cache_answers.h"
#include "requests/deferral.h"
#include "requests/read_queue.h"
#include "requests/requests.h"
#include "sidecar/followers.h"
#include "sidecar/leadership.h"
#include "sidecar/reader.h"
#include "waits/acknowledgement.h"
#include "waits/endings.h"
#include <stdio.h>
#include <string.h>

long long request_timeout_ms;
long long request_wait_timeout_ms;

/* However a wait ends, the entry of a read has served its purpose. */
static void forget_entry(RedisModuleCtx *ctx, Pending *pending) {
    if (pending->is_local)
        read_queue_forget(pending);
    else if (pending->deferred != NULL)
        deferral_forget(pending);
    else if (!pending->command->writes)
        stream_delete(ctx, &pending->request);
}

static void end_wait(RedisModuleCtx *ctx, Pending *pending) {
    if (pending->is_answering) answering_cancel(pending);
    acknowledgement_forget(pending);
    pending_take(ctx, pending);
    forget_entry(ctx, pending);
    RedisModule_UnblockClient(pending->client, pending);
}

static void on_deadline(RedisModuleCtx *ctx, Pending *pending) {
    request_counters.timeouts++;
    pending->end = pending->deferred == NULL ? PENDING_TIMED_OUT : PENDING_REFUSED;
    pending->refusal = "TIMEOUT writes are paused; nothing was changed";
    end_wait(ctx, pending);
}

void request_release(RedisModuleCtx *ctx, Pending *pending) {
    pending->is_held = false;
    end_wait(ctx, pending);
}

void request_strand(RedisModuleCtx *ctx, Pending *pending, PendingEnd end) {
    request_counters.stranded++;
    pending->end = end;
    end_wait(ctx, pending);
}

void request_refuse(RedisModuleCtx *ctx, Pending *pending, const char *error) {
    pending->end = PENDING_REFUSED;
    pending->refusal = error;
    end_wait(ctx, pending);
}

/* CLIENT UNBLOCK … TIMEOUT. The client is told here, as Redis lets go of it right after. */
static int on_unblocked(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    Pending *pending = pending_of_client(RedisModule_GetBlockedClientHandle(ctx));
    if (pending == NULL) return REDISMODULE_OK;
    reply_with_timeout(ctx, pending);
    on_deadline(ctx, pending);
    return REDISMODULE_OK;
}

/* The client left, was killed, or got the error of CLIENT UNBLOCK … ERROR. */
static void on_disconnected(RedisModuleCtx *ctx, RedisModuleBlockedClient *client) {
    Pending *pending = pending_of_client(client);
    if (pending == NULL) return;
    request_counters.disconnects++;
    end_wait(ctx, pending);
}

static int on_answered(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    const Pending *pending = RedisModule_GetBlockedClientPrivateData(ctx);
    if (pending->end == PENDING_TIMED_OUT) return reply_with_timeout(ctx, pending);
    if (pending->end == PENDING_REFUSED) return RedisModule_ReplyWithError(ctx, pending->refusal);
    if (pending->end != PENDING_ANSWERED) return reply_with_loss(ctx, pending);
    if (pending->is_answering) return REDISMODULE_OK; /* it is written already */
    if (pending->answer == NULL) return RedisModule_ReplyWithError(ctx, "ERR the sidecar sent a malformed reply");
    if (strcmp(pending->command->name, "CACHE.GET") == 0) return cache_answer(ctx, pending->answer, pending->user);
    reply_with_resp3(ctx, pending->answer, pending->command->pairs_depth);
    return REDISMODULE_OK;
}

void wait_for_answer(RedisModuleCtx *ctx, const RequestId *entry, const Request *request, bool is_deferred) {
    const VstoreCommand *command = request->command;
    Pending *pending = RedisModule_Calloc(1, sizeof(*pending));
    if (command->has_collection && command->route != ROUTE_CONTROL && request->count > 0) {
        pending->collection = request->arguments[0];
        RedisModule_RetainString(ctx, pending->collection);
    }
    pending->request = *entry;
    pending->command = command;
    pending->timeout_ms = command->long_running ? request_wait_timeout_ms : request_timeout_ms;
    pending->expired = on_deadline;
    pending->user = request->user;
    if (request->user != NULL) RedisModule_RetainString(ctx, request->user);
    pending->to_resp3 = RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_RESP3;
    /* No timeout of Redis' own: see pending.h. */
    pending->client = RedisModule_BlockClient(ctx, on_answered, on_unblocked, pending_free, 0);
    RedisModule_SetDisconnectCallback(pending->client, on_disconnected);
    RedisModule_RetainString(ctx, entry->stream);
    pending->is_local = request->is_local;
    pending_add(ctx, pending);
    if (request->is_local) read_queue_awaits(ctx, pending);
    if (is_deferred)
        deferral_awaits(pending);
    else if (command->writes && followers_needed() > 0) acknowledgement_expect(pending);
}

static bool is_refusal(const RedisModuleString *bytes) {
    return RedisModule_StringPtrLen(bytes, NULL)[0] == '-';
}

/* Gives the client its whole answer: now, in pieces, or when enough followers have applied its write. */
static void give(RedisModuleCtx *ctx, Pending *pending, RedisModuleString *bytes, const Resp3Shape *shape) {
    RedisModule_RetainString(ctx, bytes);
    if (pending->answer != NULL) RedisModule_FreeString(ctx, pending->answer); /* held: another leader has answered again */
    pending->answer = bytes;
    request_counters.replies++;
    pending->is_held = !is_refusal(bytes) && acknowledgement_is_awaited(pending);
    if (pending->is_held) return;
    if (!answering_is_long(shape)) {
        end_wait(ctx, pending);
        return;
    }
    pending_answered(ctx, pending);
    forget_entry(ctx, pending);
    answering_add(pending, shape);
}

static bool is_replica(RedisModuleCtx *ctx) {
    return RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE;
}

/* Hands `bytes` to the client that waits for the request. Returns whether it gets its answer. */
static bool answer(RedisModuleCtx *ctx, const RequestId *request, RedisModuleString *bytes, const Resp3Shape *shape) {
    Pending *pending = pending_of_request(request);
    if (pending == NULL) {
        request_counters.replies_unknown++;
        if (!is_replica(ctx)) stream_delete_unknown(ctx, request);
        return false;
    }
    if (shape != NULL)
        give(ctx, pending, bytes, shape);
    else
        end_wait(ctx, pending);
    return shape != NULL;
}

static bool is_whole(RedisModuleString *bytes, Resp3Shape *shape) {
    size_t length;
    const char *start = RedisModule_StringPtrLen(bytes, &length);
    return resp3_is_answer(start, length, shape);
}

int reply_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < 4 || (argc - 1) % 3 != 0) return RedisModule_WrongArity(ctx);
    if (is_replica(ctx) ? !reader_is_callers(ctx) : !leadership_is_callers(ctx)) return reply_not_leader(ctx);
    long long answered = 0, malformed = 0;
    for (int i = 1; i < argc; i += 3) {
        RequestId request = {.stream = argv[i]};
        Resp3Shape shape;
        bool known = RedisModule_StringToStreamID(argv[i + 1], &request.id) == REDISMODULE_OK;
        bool whole = is_whole(argv[i + 2], &shape);
        malformed += !known || !whole;
        answered += known && answer(ctx, &request, argv[i + 2], whole ? &shape : NULL);
    }
    answering_run(ctx);
    request_counters.replies_malformed += malformed;
    if (malformed == 0) return RedisModule_ReplyWithLongLong(ctx, answered);
    char error[128];
    snprintf(error, sizeof(error), "ERR %lld of %d replies were malformed, %lld clients got their answer", malformed,
             (argc - 1) / 3, answered);
    return RedisModule_ReplyWithError(ctx, error);
}
