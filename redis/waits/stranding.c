/* The stranded requests of stranding.h. Only look_soon() and on_timer() write this file's state. */
#include "waits/stranding.h"
#include "requests/existence.h"
#include "sidecar/attachment.h"
#include "streams/own_keys.h"
#include "waits/pending.h"
#include "waits/waits.h"
#include <string.h>

#define PREFIX "vstore:"
/* How long to wait for the sidecar's own answer. */
#define GRACE_MS 100

static bool is_timer_set;

static bool ends_with(const char *name, size_t length, const char *suffix) {
    size_t suffix_length = strlen(suffix);
    return length >= suffix_length && memcmp(name + length - suffix_length, suffix, suffix_length) == 0;
}

static bool may_be_stream(const RedisModuleString *key) {
    size_t length;
    const char *name = RedisModule_StringPtrLen(key, &length);
    if (is_own_key(key, OWN_CONTROL) || is_own_key(key, OWN_QUERIES)) return true;
    if (length <= strlen(PREFIX) || memcmp(name, PREFIX, strlen(PREFIX)) != 0) return false;
    return ends_with(name, length, ":log") || ends_with(name, length, ":queries");
}

static bool was_dropped(RedisModuleCtx *ctx, const Pending *pending) {
    return pending->collection != NULL && !collection_may_exist(ctx, pending->collection);
}

/* Ends the waits that are stranded. Returns whether some have to be looked at once more. */
static bool look(RedisModuleCtx *ctx) {
    bool again = false;
    size_t count;
    Pending **all = pending_all(&count);
    for (size_t i = 0; i < count; i++) {
        Pending *pending = all[i];
        if (pending->is_answering || pending->is_local || pending->deferred != NULL || stream_has(ctx, &pending->request)) continue;
        if (was_dropped(ctx, pending))
            request_strand(ctx, pending, PENDING_DROPPED);
        else if (pending->is_held)
            continue; /* applied, and trimmed since */
        else if (pending->is_stranded)
            request_strand(ctx, pending, PENDING_STRANDED);
        else
            pending->is_stranded = again = true;
    }
    RedisModule_Free(all);
    return again;
}

static void on_timer(RedisModuleCtx *ctx, void *data) {
    (void)data;
    is_timer_set = false;
    int database = RedisModule_GetSelectedDb(ctx);
    RedisModule_SelectDb(ctx, attachment_database());
    if (look(ctx)) {
        is_timer_set = true;
        RedisModule_CreateTimer(ctx, GRACE_MS, on_timer, NULL);
    }
    RedisModule_SelectDb(ctx, database);
}

/* Not within the event: Redis is busy with the key. */
static void look_soon(RedisModuleCtx *ctx) {
    if (is_timer_set || pending_count() == 0) return;
    is_timer_set = true;
    RedisModule_CreateTimer(ctx, 0, on_timer, NULL);
}

void stranding_hear(RedisModuleCtx *ctx, const RedisModuleString *key) {
    if (pending_count() > 0 && may_be_stream(key)) look_soon(ctx);
}

static void on_databases(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t phase, void *data) {
    (void)data;
    if (event.id != REDISMODULE_EVENT_SWAPDB && phase != REDISMODULE_SUBEVENT_FLUSHDB_END) return;
    existence_learn_soon(ctx);
    look_soon(ctx);
}

int stranding_open(RedisModuleCtx *ctx) {
    const RedisModuleEvent flushed = {REDISMODULE_EVENT_FLUSHDB, 1}, swapped = {REDISMODULE_EVENT_SWAPDB, 1};
    if (RedisModule_SubscribeToServerEvent(ctx, flushed, on_databases) != REDISMODULE_OK) return REDISMODULE_ERR;
    return RedisModule_SubscribeToServerEvent(ctx, swapped, on_databases);
}
