/* The attached sidecar of attachment.h. Only attach_command() writes this file's state. */
#include "sidecar/attachment.h"
#include "sidecar/followers.h"
#include "sidecar/leadership.h"
#include "sidecar/reader.h"
#include "waits/acknowledgement.h"
#include <strings.h>

#define US_PER_MS 1000
#define HANDOVER_MS_MAX 5000

/* Monotonic microseconds, so that a clock set back does not detach a sidecar. */
static struct {
    uint64_t attached_at;
    uint64_t live_until;
    uint64_t handover_until;
    int database; /* the one whose streams the sidecar reads */
} attachment;

bool attachment_is_live(void) {
    return RedisModule_MonotonicMicroseconds() < attachment.live_until;
}

int attachment_database(void) {
    return attachment.database;
}

long long attachment_age_ms(void) {
    if (attachment.attached_at == 0) return -1;
    return (long long)(RedisModule_MonotonicMicroseconds() - attachment.attached_at) / US_PER_MS;
}

const char *attachment_missing(RedisModuleCtx *ctx, int flags) {
    bool is_replica = flags & REDISMODULE_CTX_FLAGS_SLAVE;
    if (is_replica ? !reader_is_live() : !attachment_is_live()) return "VSTOREDOWN no vstore sidecar is attached";
    if (RedisModule_GetSelectedDb(ctx) != (is_replica ? reader_database() : attachment.database))
        return "ERR this connection has selected another database than the one that the vstore sidecar serves";
    return NULL;
}

static bool parse_needed(const RedisModuleString *text, long long *needed) {
    return RedisModule_StringToLongLong(text, needed) == REDISMODULE_OK && *needed >= 0 && *needed <= FOLLOWERS_MAX;
}

static void attach(RedisModuleCtx *ctx, long long ttl_ms, long long needed) {
    if (!attachment_is_live()) RedisModule_Log(ctx, "notice", "sidecar %s is attached", leadership_sidecar());
    attachment.database = RedisModule_GetSelectedDb(ctx);
    attachment.attached_at = RedisModule_MonotonicMicroseconds();
    attachment.live_until = attachment.attached_at + (uint64_t)ttl_ms * US_PER_MS;
    if (needed == followers_needed()) return;
    followers_set_needed(needed);
    acknowledgement_review(ctx);
}

bool attachment_is_handing_over(void) {
    return RedisModule_MonotonicMicroseconds() < attachment.handover_until;
}

static void hold_requests(long long ms) {
    attachment.handover_until = RedisModule_MonotonicMicroseconds() + (uint64_t)ms * US_PER_MS;
    attachment.live_until = attachment.handover_until;
}

static int go_on_with_handover(RedisModuleCtx *ctx, long long ms) {
    bool goes_on = attachment_is_handing_over();
    if (goes_on) hold_requests(ms);
    return RedisModule_ReplyWithLongLong(ctx, goes_on);
}

int handover_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc != 3 && argc != 4) return RedisModule_WrongArity(ctx);
    long long ms;
    if (RedisModule_StringToLongLong(argv[2], &ms) != REDISMODULE_OK || ms < 0 || ms > HANDOVER_MS_MAX)
        return RedisModule_ReplyWithError(ctx, "ERR 'ms' must be 0 to 5000 milliseconds");
    if (argc == 4 && strcasecmp(RedisModule_StringPtrLen(argv[3], NULL), "XX") != 0)
        return RedisModule_ReplyWithError(ctx, "ERR the option after 'ms' must be XX");
    if (!leadership_is_lease(argv[1], true)) return reply_not_leader(ctx);
    if (argc == 4) return go_on_with_handover(ctx, ms);
    int ready = followers_ready();
    if (ready > 0 && ms > 0 && attachment_is_live()) {
        hold_requests(ms);
        RedisModule_Log(ctx, "notice", "sidecar %s hands over", leadership_sidecar());
    }
    return RedisModule_ReplyWithLongLong(ctx, ready);
}

/* Also when the lease has run out, so that clients do not wait for a sidecar that is leaving. */
static void detach(RedisModuleCtx *ctx) {
    if (!attachment_is_live()) return;
    attachment.live_until = attachment.handover_until = 0;
    RedisModule_Log(ctx, "notice", "sidecar %s has detached", leadership_sidecar());
}

int attach_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (reader_is_asked_for(argv, argc)) return reader_attach_command(ctx, argv);
    if (argc != 3 && argc != 4) return RedisModule_WrongArity(ctx);
    long long ttl_ms, needed = 0;
    if (!leadership_parse_ttl(argv[2], &ttl_ms)) return RedisModule_ReplyWithError(ctx, TTL_FAULT);
    if (argc == 4 && !parse_needed(argv[3], &needed))
        return RedisModule_ReplyWithError(ctx, "ERR 'followers' must be 0 to 16");
    if (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE)
        return RedisModule_ReplyWithError(ctx, "READONLY a sidecar attaches to a primary and this Redis is a replica");
    /* A sidecar that leaves after another one took over must not detach that one: it knows an earlier lease. */
    if (!leadership_is_lease(argv[1], ttl_ms > 0)) return reply_not_leader(ctx);
    if (ttl_ms > 0)
        attach(ctx, ttl_ms, needed);
    else
        detach(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}
