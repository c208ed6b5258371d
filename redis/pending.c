/* The table of pending.h: two dictionaries, as a client that goes away knows its handle and not its request. */
#include "pending.h"

static RedisModuleDict *by_id;     /* ids are unique across streams; the stream's name is compared on top */
static RedisModuleDict *by_client; /* keyed by the handle's address */

void pending_open(void) {
    by_id = RedisModule_CreateDict(NULL);
    by_client = RedisModule_CreateDict(NULL);
}

void pending_close(void) {
    RedisModule_FreeDict(NULL, by_id);
    RedisModule_FreeDict(NULL, by_client);
}

long long pending_count(void) {
    return (long long)RedisModule_DictSize(by_id);
}

static void on_deadline(RedisModuleCtx *ctx, void *data) {
    Pending *pending = data;
    pending->deadline = 0; /* Redis frees a timer that fires: stopping it would free it twice */
    pending->expired(ctx, pending);
}

void pending_add(RedisModuleCtx *ctx, Pending *pending) {
    pending->deadline = RedisModule_CreateTimer(ctx, pending->timeout_ms, on_deadline, pending);
    RedisModule_DictSetC(by_id, &pending->request.id, sizeof(pending->request.id), pending);
    RedisModule_DictSetC(by_client, &pending->client, sizeof(pending->client), pending);
}

Pending *pending_of_request(const RequestId *request) {
    RedisModuleStreamID id = request->id;
    Pending *pending = RedisModule_DictGetC(by_id, &id, sizeof(id), NULL);
    if (pending == NULL || RedisModule_StringCompare(pending->request.stream, request->stream) != 0) return NULL;
    return pending;
}

Pending *pending_of_client(RedisModuleBlockedClient *client) {
    return RedisModule_DictGetC(by_client, &client, sizeof(client), NULL);
}

void pending_take(RedisModuleCtx *ctx, Pending *pending) {
    if (pending->deadline != 0) RedisModule_StopTimer(ctx, pending->deadline, NULL);
    RedisModule_DictDelC(by_id, &pending->request.id, sizeof(pending->request.id), NULL);
    RedisModule_DictDelC(by_client, &pending->client, sizeof(pending->client), NULL);
}

void pending_free(RedisModuleCtx *ctx, void *data) {
    Pending *pending = data;
    RedisModule_FreeString(ctx, pending->request.stream);
    if (pending->answer != NULL) RedisModule_FreeString(ctx, pending->answer);
    RedisModule_Free(pending);
}
