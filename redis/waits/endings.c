/* The words of endings.h. */
#include "waits/endings.h"
#include "requests/existence.h"
#include "sidecar/followers.h"
#include "waits/acknowledgement.h"
#include <stdio.h>

/* The leader has applied it, and followers have not said so in time. */
static int reply_with_few_followers(RedisModuleCtx *ctx, const Pending *pending) {
    char error[128];
    snprintf(error, sizeof(error), "TIMEOUT no acknowledgement within %lld ms; the write is applied, by %d of %d followers too",
             pending->timeout_ms, acknowledgement_count(pending), followers_needed());
    return RedisModule_ReplyWithError(ctx, error);
}

int reply_with_timeout(RedisModuleCtx *ctx, const Pending *pending) {
    if (pending->is_held) return reply_with_few_followers(ctx, pending);
    char error[128];
    bool is_logged = pending->command->writes && pending->deferred == NULL;
    const char *fate = pending->command->is_passed_on ? "the write may have been applied or not"
                       : is_logged                    ? "the write is in the log and will be applied"
                                                      : "nothing was changed";
    snprintf(error, sizeof(error), "TIMEOUT no answer within %lld ms; %s", pending->timeout_ms, fate);
    return RedisModule_ReplyWithError(ctx, error);
}

int reply_with_loss(RedisModuleCtx *ctx, const Pending *pending) {
    if (pending->end == PENDING_DOWN)
        return RedisModule_ReplyWithError(ctx, "VSTOREDOWN the vstore sidecar left before it answered; nothing was changed");
    if (pending->end == PENDING_DROPPED) return reply_no_collection(ctx, pending->collection);
    if (pending->command->is_passed_on)
        return RedisModule_ReplyWithError(
            ctx, "LOST the stream of the request was deleted, renamed or evicted while the write waited: it may have been applied "
                 "or not");
    return RedisModule_ReplyWithError(
        ctx, pending->command->writes
                 ? "LOST the log was deleted, renamed or evicted while the write waited: it is applied if the sidecar had read "
                   "it, and lost otherwise"
                 : "TRYAGAIN the stream of the request was deleted, renamed or evicted while it waited; nothing was changed");
}
