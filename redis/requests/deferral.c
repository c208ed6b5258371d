/* The writes of deferral.h. */
#include "requests/deferral.h"
#include "requests/requests.h"
#include "sidecar/followers.h"
#include "slots/later.h"
#include "slots/slots.h"
#include "streams/own_keys.h"
#include "streams/stream_memory.h"
#include "waits/acknowledgement.h"
#include "waits/waits.h"
#include <string.h>

struct DeferredWrite {
    Request request;
    RequestId entry;
    Pending *pending; /* NULL: no client waits, or none waits any more */
};

static DeferredWrite *newest; /* until it is known which client waits for it */

bool deferral_is_due(RedisModuleCtx *ctx, const Request *request, RedisModuleString *stream) {
    if (!slots_are_apart(ctx) || request->count == 0 || !request->command->has_collection) return false;
    return is_own_key(stream, OWN_CONTROL) && !slots_are_equal(request->arguments[0], stream);
}

static void free_write(DeferredWrite *write) {
    for (int i = 0; i < write->request.count; i++) RedisModule_FreeString(NULL, write->request.arguments[i]);
    RedisModule_Free(write->request.arguments);
    RedisModule_FreeString(NULL, write->entry.stream);
    RedisModule_Free(write);
}

/* NULL, or the error that says why nothing was appended. */
static const char *append(RedisModuleCtx *ctx, DeferredWrite *write) {
    const Request *request = &write->request;
    if (stream_is_full(ctx, write->entry.stream)) {
        request_counters.refused_busy++;
        return STREAM_IS_FULL;
    }
    const char *error = stream_append_as(ctx, &write->entry, request);
    if (error == NULL) stream_has_grown(write->entry.stream, request->arguments, request->count);
    return error;
}

static void run(RedisModuleCtx *ctx, void *data) {
    DeferredWrite *write = data;
    Pending *pending = write->pending;
    bool is_given_up = pending == NULL && write->request.client != 0;
    if (is_given_up || RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE) {
        if (pending != NULL) pending->deferred = NULL;
        free_write(write);
        return;
    }
    const char *error = append(ctx, write);
    if (pending != NULL) {
        pending->deferred = NULL;
        pending_rename(pending, write->entry.id);
        if (error != NULL)
            request_refuse(ctx, pending, error);
        else if (followers_needed() > 0)
            acknowledgement_expect(pending);
    } else if (error != NULL) {
        RedisModule_Log(ctx, "warning", "VSTORE.%s of a transaction is lost: %s", write->request.command->name, error);
    }
    free_write(write);
}

/* A transaction that has paused writes itself is over by now. */
static void on_job(RedisModuleCtx *ctx, void *data) {
    if (RedisModule_AvoidReplicaTraffic())
        later(ctx, run, data);
    else
        run(ctx, data);
}

void deferral_add(RedisModuleCtx *ctx, RequestId *entry, const Request *request) {
    DeferredWrite *write = RedisModule_Calloc(1, sizeof(*write));
    size_t size = sizeof(*request->arguments) * (size_t)request->count;
    entry->id = stream_next_id();
    write->entry = *entry;
    write->request = *request;
    write->request.log = NULL; /* the caller's */
    write->request.arguments = RedisModule_Alloc(size);
    memcpy(write->request.arguments, request->arguments, size);
    for (int i = 0; i < request->count; i++) RedisModule_RetainString(NULL, request->arguments[i]);
    RedisModule_RetainString(NULL, entry->stream);
    newest = write;
    if (request->client != 0 || RedisModule_AddPostNotificationJob(ctx, on_job, write, NULL) != REDISMODULE_OK)
        later(ctx, run, write);
}

void deferral_awaits(Pending *pending) {
    newest->pending = pending;
    pending->deferred = newest;
}

void deferral_forget(Pending *pending) {
    pending->deferred->pending = NULL;
    pending->deferred = NULL;
}
