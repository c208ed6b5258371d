/* The attached sidecar of attachment.h. Only attach_command() writes this file's state. */
#include "attachment.h"
#include <string.h>

#define SIDECAR_ID_BYTES_MAX 64
#define TTL_MS_MAX 3600000

#define US_PER_MS 1000

/* Monotonic microseconds, so that a clock set back does not detach anybody. */
static struct {
    char sidecar[SIDECAR_ID_BYTES_MAX + 1];
    uint64_t attached_at;
    uint64_t live_until;
    int database; /* the one whose streams the sidecar reads */
} attachment;

bool attachment_is_live(void) {
    return RedisModule_MonotonicMicroseconds() < attachment.live_until;
}

const char *attachment_sidecar(void) {
    return attachment.sidecar;
}

long long attachment_age_ms(void) {
    if (attachment.attached_at == 0) return -1;
    return (long long)(RedisModule_MonotonicMicroseconds() - attachment.attached_at) / US_PER_MS;
}

const char *attachment_missing(RedisModuleCtx *ctx, int flags) {
    if (!attachment_is_live() || flags & REDISMODULE_CTX_FLAGS_SLAVE)
        return "VSTOREDOWN no vstore sidecar is attached";
    if (RedisModule_GetSelectedDb(ctx) != attachment.database)
        return "ERR this connection has selected another database than the one that the vstore sidecar serves";
    return NULL;
}

/* Printable, as INFO shows it. */
static bool is_sidecar_id(const char *id, size_t length) {
    if (length == 0 || length > SIDECAR_ID_BYTES_MAX) return false;
    for (size_t i = 0; i < length; i++)
        if (id[i] <= ' ' || id[i] > '~') return false;
    return true;
}

static void attach(RedisModuleCtx *ctx, const char *id, long long ttl_ms) {
    if (!attachment_is_live() || strcmp(attachment.sidecar, id) != 0)
        RedisModule_Log(ctx, "notice", "sidecar %s is attached", id);
    strcpy(attachment.sidecar, id);
    attachment.database = RedisModule_GetSelectedDb(ctx);
    attachment.attached_at = RedisModule_MonotonicMicroseconds();
    attachment.live_until = attachment.attached_at + (uint64_t)ttl_ms * US_PER_MS;
}

/* A sidecar that leaves after another one took over must not detach that one. */
static void detach(RedisModuleCtx *ctx, const char *id) {
    if (strcmp(attachment.sidecar, id) != 0) return;
    attachment.live_until = 0;
    RedisModule_Log(ctx, "notice", "sidecar %s has detached", id);
}

static int reply_with_protocol_error(RedisModuleCtx *ctx, long long protocol) {
    RedisModuleString *error = RedisModule_CreateStringPrintf(
        ctx, "ERR the sidecar speaks protocol %lld and this module protocol %d: they must be of one release", protocol,
        PROTOCOL_VERSION);
    RedisModule_ReplyWithError(ctx, RedisModule_StringPtrLen(error, NULL));
    RedisModule_FreeString(ctx, error);
    return REDISMODULE_OK;
}

int attach_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc != 4) return RedisModule_WrongArity(ctx);
    long long protocol, ttl_ms;
    size_t length;
    const char *id = RedisModule_StringPtrLen(argv[2], &length);
    if (RedisModule_StringToLongLong(argv[1], &protocol) != REDISMODULE_OK)
        return RedisModule_ReplyWithError(ctx, "ERR 'protocol' must be an integer");
    if (protocol != PROTOCOL_VERSION) return reply_with_protocol_error(ctx, protocol);
    if (!is_sidecar_id(id, length))
        return RedisModule_ReplyWithError(ctx, "ERR 'sidecar id' must be 1 to 64 printable characters without spaces");
    if (RedisModule_StringToLongLong(argv[3], &ttl_ms) != REDISMODULE_OK || ttl_ms < 0 || ttl_ms > TTL_MS_MAX)
        return RedisModule_ReplyWithError(ctx, "ERR 'ttl' must be 0 to 3600000 milliseconds");
    if (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE)
        return RedisModule_ReplyWithError(ctx, "READONLY a sidecar attaches to a master and this Redis is a replica");
    if (ttl_ms > 0)
        attach(ctx, id, ttl_ms);
    else
        detach(ctx, id);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}
