/* The waits of stream_waits.h: a list, as there are no more of them than connections of sidecars that read. */
#include "slots/stream_waits.h"
#include "slots/slots.h"

typedef struct Wait Wait;

struct Wait {
    RedisModuleBlockedClient *client;
    RedisModuleDict *streams; /* a set of names */
    Wait *next;
};

static Wait *waits;

static void free_wait(RedisModuleCtx *ctx, void *data) {
    (void)ctx;
    Wait *wait = data;
    RedisModule_FreeDict(NULL, wait->streams);
    RedisModule_Free(wait);
}

/* Takes the wait out of the list. Redis calls its reply, if its client is still there, and frees it. */
static void end(Wait **at) {
    Wait *wait = *at;
    *at = wait->next;
    RedisModule_UnblockClient(wait->client, wait);
}

static void end_of(const RedisModuleBlockedClient *client) {
    for (Wait **at = &waits; *at != NULL; at = &(*at)->next) {
        if ((*at)->client != client) continue;
        end(at);
        return;
    }
}

static void on_disconnected(RedisModuleCtx *ctx, RedisModuleBlockedClient *client) {
    (void)ctx;
    end_of(client);
}

void stream_waits_begin(RedisModuleCtx *ctx, RedisModuleCmdFunc reply, RedisModuleCmdFunc time_over, long long ms,
                        RedisModuleString **streams, int n) {
    Wait *wait = RedisModule_Calloc(1, sizeof(*wait));
    wait->streams = RedisModule_CreateDict(NULL);
    for (int i = 0; i < n; i++) RedisModule_DictSet(wait->streams, streams[i], wait);
    wait->client = RedisModule_BlockClient(ctx, reply, time_over, free_wait, ms);
    RedisModule_SetDisconnectCallback(wait->client, on_disconnected);
    wait->next = waits;
    waits = wait;
}

void stream_waits_end(RedisModuleCtx *ctx) {
    end_of(RedisModule_GetBlockedClientHandle(ctx));
}

void stream_waits_hear(RedisModuleString *stream) {
    for (Wait **at = &waits; *at != NULL;) {
        int is_other;
        RedisModule_DictGet((*at)->streams, stream, &is_other);
        if (is_other)
            at = &(*at)->next;
        else
            end(at);
    }
}

static int on_event(RedisModuleCtx *ctx, int type, const char *event, RedisModuleString *key) {
    (void)ctx, (void)type, (void)event;
    stream_waits_hear(key);
    return REDISMODULE_OK;
}

/* An entry comes with XADD, and with a whole stream by RENAME, RESTORE or COPY. */
int stream_waits_open(RedisModuleCtx *ctx) {
    if (!slots_are_apart(ctx)) return REDISMODULE_OK;
    return RedisModule_SubscribeToKeyspaceEvents(ctx, REDISMODULE_NOTIFY_STREAM | REDISMODULE_NOTIFY_GENERIC, on_event);
}
