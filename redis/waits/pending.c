/*
 * The table of pending.h: two dictionaries, because Redis reports a client that left by its handle and not its request.
 */
#include "waits/pending.h"
#include <string.h>

static RedisModuleDict *by_id;     /* keyed by stream and id: two streams may give the same id */
static RedisModuleDict *by_client; /* keyed by the handle's address */

/* The id's bytes, then the stream's name. The caller frees it. */
static void *key_of(const RequestId *request, size_t *length) {
    size_t name_length;
    const char *name = RedisModule_StringPtrLen(request->stream, &name_length);
    char *key = RedisModule_Alloc(sizeof(request->id) + name_length);
    memcpy(key, &request->id, sizeof(request->id));
    memcpy(key + sizeof(request->id), name, name_length);
    *length = sizeof(request->id) + name_length;
    return key;
}

void pending_open(void) {
    by_id = RedisModule_CreateDict(NULL);
    by_client = RedisModule_CreateDict(NULL);
}

void pending_close(void) {
    RedisModule_FreeDict(NULL, by_id);
    RedisModule_FreeDict(NULL, by_client);
}

long long pending_count(void) {
    return (long long)RedisModule_DictSize(by_client);
}

static void on_deadline(RedisModuleCtx *ctx, void *data) {
    Pending *pending = data;
    pending->deadline = 0; /* Redis frees a timer that fires: stopping it would free it twice */
    pending->expired(ctx, pending);
}

static void find_by_id(Pending *pending) {
    size_t length;
    void *key = key_of(&pending->request, &length);
    RedisModule_DictSetC(by_id, key, length, pending);
    RedisModule_Free(key);
}

static void lose_by_id(Pending *pending) {
    size_t length;
    void *key = key_of(&pending->request, &length);
    /* A stream that was deleted may have given the id again, to a client that waits still. */
    if (RedisModule_DictGetC(by_id, key, length, NULL) == pending) RedisModule_DictDelC(by_id, key, length, NULL);
    RedisModule_Free(key);
}

void pending_add(RedisModuleCtx *ctx, Pending *pending) {
    pending->deadline = RedisModule_CreateTimer(ctx, pending->timeout_ms, on_deadline, pending);
    find_by_id(pending);
    RedisModule_DictSetC(by_client, &pending->client, sizeof(pending->client), pending);
}

Pending *pending_of_request(const RequestId *request) {
    size_t length;
    void *key = key_of(request, &length);
    Pending *pending = RedisModule_DictGetC(by_id, key, length, NULL);
    RedisModule_Free(key);
    return pending;
}

Pending *pending_of_client(RedisModuleBlockedClient *client) {
    return RedisModule_DictGetC(by_client, &client, sizeof(client), NULL);
}

Pending **pending_all(size_t *count) {
    Pending **all = RedisModule_Calloc((size_t)RedisModule_DictSize(by_client) + 1, sizeof(*all));
    void *pending;
    *count = 0;
    RedisModuleDictIter *each = RedisModule_DictIteratorStartC(by_client, "^", NULL, 0);
    while (RedisModule_DictNextC(each, NULL, &pending) != NULL) all[(*count)++] = pending;
    RedisModule_DictIteratorStop(each);
    return all;
}

void pending_answered(RedisModuleCtx *ctx, Pending *pending) {
    if (pending->deadline != 0) RedisModule_StopTimer(ctx, pending->deadline, NULL);
    pending->deadline = 0;
    lose_by_id(pending);
}

void pending_rename(Pending *pending, RedisModuleStreamID id) {
    lose_by_id(pending);
    pending->request.id = id;
    find_by_id(pending);
}

void pending_take(RedisModuleCtx *ctx, Pending *pending) {
    pending_answered(ctx, pending);
    RedisModule_DictDelC(by_client, &pending->client, sizeof(pending->client), NULL);
}

void pending_free(RedisModuleCtx *ctx, void *data) {
    Pending *pending = data;
    RedisModule_FreeString(ctx, pending->request.stream);
    if (pending->answer != NULL) RedisModule_FreeString(ctx, pending->answer);
    if (pending->user != NULL) RedisModule_FreeString(ctx, pending->user);
    if (pending->collection != NULL) RedisModule_FreeString(ctx, pending->collection);
    RedisModule_Free(pending);
}
