/* The reader of reader.h. Only attach(), reader_end() and what they call write this file's state. */
#include "sidecar/reader.h"
#include "requests/read_queue.h"
#include "sidecar/leadership.h"
#include <string.h>
#include <strings.h>

#define ID_BYTES_MAX 64
#define US_PER_MS 1000

static struct {
    unsigned long long connection; /* 0: none */
    char sidecar[ID_BYTES_MAX + 1];
    uint64_t live_until; /* monotonic microseconds */
    int database;
} reader;

bool reader_is_live(void) {
    return reader.connection != 0 && RedisModule_MonotonicMicroseconds() < reader.live_until;
}

bool reader_is_callers(RedisModuleCtx *ctx) {
    return reader.connection != 0 && RedisModule_GetClientId(ctx) == reader.connection;
}

bool reader_has_id(const RedisModuleString *id) {
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(id, &length);
    return reader.connection != 0 && length == strlen(reader.sidecar) && memcmp(bytes, reader.sidecar, length) == 0;
}

const char *reader_sidecar(void) {
    return reader.sidecar;
}

int reader_database(void) {
    return reader.database;
}

void reader_end(RedisModuleCtx *ctx) {
    if (reader.connection == 0) return;
    reader.connection = 0;
    reader.live_until = 0;
    RedisModule_Log(ctx, "notice", "sidecar %s reads no more", reader.sidecar);
    read_queue_end(ctx);
}

bool reader_is_asked_for(RedisModuleString **argv, int argc) {
    return argc == 4 && strcasecmp(RedisModule_StringPtrLen(argv[1], NULL), "READER") == 0;
}

/* NULL, or the error that refuses the call. */
static const char *attach_fault(RedisModuleCtx *ctx, RedisModuleString **argv, long long *ttl_ms) {
    if (!(RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE))
        return "ERR a reader attaches to a replica and this Redis is a primary";
    if (!leadership_is_for(ctx)) return "NOPERM only a user that may lead may answer reads";
    if (!leadership_is_sidecar_id(argv[2])) return SIDECAR_ID_FAULT;
    if (!leadership_parse_ttl(argv[3], ttl_ms)) return TTL_FAULT;
    if (reader_is_live() && !reader_is_callers(ctx) && !reader_has_id(argv[2]))
        return "TRYAGAIN another sidecar answers the reads of this replica";
    return NULL;
}

static void attach(RedisModuleCtx *ctx, const char *id, long long ttl_ms) {
    /* What another connection has fetched it will not answer. */
    if (!reader_is_callers(ctx) || strcmp(reader.sidecar, id) != 0) reader_end(ctx);
    if (reader.connection == 0) RedisModule_Log(ctx, "notice", "sidecar %s reads", id);
    reader.connection = RedisModule_GetClientId(ctx);
    reader.database = RedisModule_GetSelectedDb(ctx);
    reader.live_until = RedisModule_MonotonicMicroseconds() + (uint64_t)ttl_ms * US_PER_MS;
    strcpy(reader.sidecar, id);
}

int reader_attach_command(RedisModuleCtx *ctx, RedisModuleString **argv) {
    long long ttl_ms;
    const char *fault = attach_fault(ctx, argv, &ttl_ms);
    if (fault != NULL) return RedisModule_ReplyWithError(ctx, fault);
    if (ttl_ms > 0)
        attach(ctx, RedisModule_StringPtrLen(argv[2], NULL), ttl_ms);
    else
        reader_end(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static void on_client(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t phase, void *data) {
    (void)event;
    const RedisModuleClientInfo *client = data;
    if (phase == REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED && client->id == reader.connection) reader_end(ctx);
}

int reader_open(RedisModuleCtx *ctx) {
    const RedisModuleEvent client_changed = {REDISMODULE_EVENT_CLIENT_CHANGE, 1};
    return RedisModule_SubscribeToServerEvent(ctx, client_changed, on_client);
}
