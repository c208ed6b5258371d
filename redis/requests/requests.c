/*
 * The way in of a request: refused, answered at once, or appended to its stream by request_command(). Where a client has
 * to wait for the answer, waits.c goes on. All of it runs on Redis' one thread.
 */
#include "requests/requests.h"
#include "cache/cache_requests.h"
#include "callers.h"
#include "commands/command_table.h"
#include "follow/follow_events.h"
#include "follow/follow_log.h"
#include "requests/deferral.h"
#include "requests/existence.h"
#include "requests/read_queue.h"
#include "sidecar/attachment.h"
#include "sidecar/followers.h"
#include "slots/slots.h"
#include "streams/stream_memory.h"
#include "streams/streams.h"
#include "waits/endings.h"
#include "waits/pending.h"
#include "waits/waits.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifndef PENDING_MAX /* a test compiles the module with a smaller one */
#define PENDING_MAX 100000
#endif

#define TEXT(number) #number
#define NUMBER_AS_TEXT(number) TEXT(number)

#define NO_BLOCKING                                                                                                    \
    (REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_LUA | REDISMODULE_CTX_FLAGS_DENY_BLOCKING)

RequestCounters request_counters;

static int reply_logged(RedisModuleCtx *ctx, const RequestId *entry, const char *prefix) {
    char text[64];
    snprintf(text, sizeof(text), "%s%llu-%llu", prefix, (unsigned long long)entry->id.ms,
             (unsigned long long)entry->id.seq);
    return RedisModule_ReplyWithSimpleString(ctx, text);
}

static int reply_cannot_wait(RedisModuleCtx *ctx, const VstoreCommand *command) {
    char error[128];
    snprintf(error, sizeof(error),
             "ERR VSTORE.%s cannot be used inside MULTI or a script: it has to wait for the sidecar", command->name);
    return RedisModule_ReplyWithError(ctx, error);
}

static bool fits_payload(const Request *request) {
    size_t total = 0;
    for (int i = 0; i < request->count; i++) {
        size_t length;
        RedisModule_StringPtrLen(request->arguments[i], &length);
        total += length;
    }
    return total <= command_payload_bytes_max;
}

static bool waits(const Request *request) {
    return request->client != 0;
}

/*
 * Whether the log will do for now. In MULTI and scripts no client waits for the sidecar, and a refusal would leave half
 * of a transaction behind: Redis rolls nothing back.
 */
static bool can_be_deferred(int flags, const Request *request) {
    return request->command->route == ROUTE_LOG && request->has_log && !(flags & REDISMODULE_CTX_FLAGS_SLAVE);
}

static bool is_word(const RedisModuleString *argument, const char *word) {
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(argument, &length);
    return length == strlen(word) && strcasecmp(bytes, word) == 0;
}

/* NOWAIT ends a write that has all its arguments without it. */
static bool asks_not_to_wait(const VstoreCommand *command, RedisModuleString **argv, int argc) {
    return command->route == ROUTE_LOG && argc > abs(command->arity) && is_word(argv[argc - 1], "NOWAIT");
}

/* ASOF and its token end a read that has all its arguments without them. The sidecar reads them. */
static bool asks_as_of(const VstoreCommand *command, RedisModuleString **argv, int argc) {
    return command->takes_as_of && argc >= abs(command->arity) + 2 && is_word(argv[argc - 2], "ASOF");
}

/* Whether the caller may read every value that the cache will have. */
static bool may_have_cache(RedisModuleCtx *ctx, const Request *request) {
    RedisModuleString *user = caller_name(ctx), *prefix = cache_prefix(request->arguments[0]);
    bool may = caller_may_read_prefix(ctx, user, prefix, false);
    RedisModule_FreeString(NULL, prefix);
    if (user != NULL) RedisModule_FreeString(ctx, user);
    return may;
}

/*
 * Whether the caller may read what a CREATE would follow: the collection would give it away. Every FOLLOW PREFIX among
 * the arguments counts, wherever it stands; the sidecar checks the rest of the command.
 */
static bool may_follow(RedisModuleCtx *ctx, const Request *request) {
    if (strcmp(request->command->name, "CACHE.CREATE") == 0) return may_have_cache(ctx, request);
    if (strcmp(request->command->name, "CREATE") != 0) return true;
    bool may = true, hashes = false;
    RedisModuleString *user = caller_name(ctx);
    for (int i = 1; i < request->count; i++) hashes |= is_word(request->arguments[i], "HASH");
    for (int i = 1; may && i + 2 < request->count; i++)
        if (is_word(request->arguments[i], "FOLLOW") && is_word(request->arguments[i + 1], "PREFIX"))
            may = caller_may_read_prefix(ctx, user, request->arguments[i + 2], hashes);
    if (user != NULL) RedisModule_FreeString(ctx, user);
    return may;
}

/* NULL, or the error that says how many followers are missing. */
static const char *replicas_missing(void) {
    static char error[128];
    if (followers_needed() == 0 || attachment_is_handing_over()) return NULL;
    int in_step = __builtin_popcount(followers_in_step());
    if (in_step >= followers_needed()) return NULL;
    request_counters.refused_replicas++;
    snprintf(error, sizeof(error), "NOREPLICAS a write needs %d followers in step, and there are %d; nothing was changed",
             followers_needed(), in_step);
    return error;
}

/* NULL, or the error that refuses the request before anything is appended. */
static const char *refusal(RedisModuleCtx *ctx, int flags, const Request *request) {
    /* Redis says so itself, unless its replicas take writes: those of vstore would lead nowhere. */
    if (request->command->writes && flags & REDISMODULE_CTX_FLAGS_SLAVE)
        return "READONLY You can't write against a read only replica.";
    const char *missing = attachment_missing(ctx, flags);
    bool expects_service = waits(request) || request->no_wait;
    if (missing != NULL && (expects_service || !can_be_deferred(flags, request))) {
        request_counters.refused_down++;
        return missing;
    }
    if (!may_follow(ctx, request))
        return "NOPERM FOLLOW needs the right to read every key of the prefix (a rule like %R~user:*), and HMGET with FROM HASH; a "
               "cache follows {its name}:";
    if (request->count > command_arguments_max)
        return "LIMIT one command must not have more than 65536 arguments";
    if (!fits_payload(request)) return "LIMIT the arguments of one command must not exceed 64 MiB in total";
    if (waits(request) && pending_count() >= PENDING_MAX) {
        request_counters.refused_busy++;
        return "BUSY " NUMBER_AS_TEXT(PENDING_MAX) " requests are waiting for the vstore sidecar already";
    }
    return expects_service && request->command->writes ? replicas_missing() : NULL;
}

/* NULL, or the error that says why the request was not appended. */
static const char *append(RedisModuleCtx *ctx, RequestId *entry, const Request *request, const CacheRequest *cached,
                          bool *is_deferred) {
    if (request->is_local) return read_queue_add(ctx, entry, request);
    entry->stream = stream_of_request(ctx, request);
    *is_deferred = deferral_is_due(ctx, request, entry->stream);
    if (*is_deferred) {
        deferral_add(ctx, entry, request);
        return NULL;
    }
    if (stream_is_full(ctx, entry->stream)) {
        request_counters.refused_busy++;
        return STREAM_IS_FULL;
    }
    cache_make_room(ctx, cached);
    const char *error = stream_append(ctx, entry, request);
    if (error != NULL) return error;
    stream_has_grown(entry->stream, request->arguments, request->count);
    cache_store(ctx, cached);
    return NULL;
}

/* Appends first, then blocks: a request that cannot be appended is answered at once. */
static int submit(RedisModuleCtx *ctx, Request *request) {
    follow_events_flush(ctx);
    if (request->count > 0) follow_log_flush(ctx, request->arguments[0]);
    if (waits(request) && request->command->route == ROUTE_QUERIES) request->user = caller_name(ctx);
    CacheRequest cached;
    const char *error = cache_prepare(ctx, request, &cached);
    RequestId entry = {.stream = NULL};
    bool is_deferred = false;
    if (error == NULL) error = append(ctx, &entry, request, &cached, &is_deferred);
    if (error != NULL) {
        RedisModule_ReplyWithError(ctx, error);
    } else {
        request_counters.requests[request->command->route]++;
        if (waits(request))
            wait_for_answer(ctx, &entry, request, is_deferred);
        else
            reply_logged(ctx, &entry, request->no_wait ? "" : "QUEUED ");
    }
    if (request->user != NULL) RedisModule_FreeString(ctx, request->user);
    if (entry.stream != NULL) RedisModule_FreeString(NULL, entry.stream);
    cache_free(&cached);
    return REDISMODULE_OK;
}

/* Answers now, whether the client waits or not, what no sidecar has to be asked for. Returns whether it has. */
static bool is_answered_here(RedisModuleCtx *ctx, int flags, const Request *request) {
    bool may_be_moved = flags & REDISMODULE_CTX_FLAGS_CLUSTER && request->command->route == ROUTE_QUERIES;
    if ((request->command->route != ROUTE_LOG && !may_be_moved) || request->count == 0 || request->is_on_replica) return false;
    RedisModuleString *collection = request->arguments[0];
    bool exists = request->has_log;
    if (exists && collection_came_without_files(ctx, collection))
        RedisModule_ReplyWithError(ctx, "NOCOLLECTION the slot of this collection was moved to this node of the cluster, and its "
                                        "vectors were not: move the slot back");
    else if (!exists && request->command->route == ROUTE_LOG && !collection_may_exist(ctx, collection))
        reply_no_collection(ctx, collection);
    else
        return false;
    return true;
}

/*
 * Has a write of a collection with parts passed on to them. With NOWAIT its client waits until it is in the log of the
 * part, and the sidecar gets the word too. Returns NULL, or the error where no client can wait.
 */
static const char *pass_on_to_parts(RedisModuleCtx *ctx, Request *request) {
    if (request->command->route != ROUTE_LOG || request->count == 0) return NULL;
    if (!collection_has_parts(ctx, request->arguments[0])) return NULL;
    if (request->no_wait) {
        request->client = RedisModule_GetClientId(ctx);
        request->count++;
        request->no_wait = false;
    }
    if (!waits(request))
        return "ERR a write of a collection with SHARDS cannot be used inside MULTI or a script: it goes to another node, which "
               "is no part of the transaction; send it before or after, on its own";
    request->command = command_passed_on(request->command);
    return NULL;
}

static bool is_read_of_collection(const Request *request) {
    return !request->command->writes && request->command->has_collection && request->count > 0;
}

/* A request whose words are as many as they must be. */
static int answer_or_submit(RedisModuleCtx *ctx, int flags, Request *request) {
    const char *refused = request->is_on_replica ? NULL : pass_on_to_parts(ctx, request);
    request->is_local = request->is_on_replica || (slots_are_apart(ctx) && is_read_of_collection(request));
    if (refused == NULL) refused = refusal(ctx, flags, request);
    if (refused != NULL) return RedisModule_ReplyWithError(ctx, refused);
    if (!waits(request) && !request->command->writes) return reply_cannot_wait(ctx, request->command);
    if (is_answered_here(ctx, flags, request)) return REDISMODULE_OK;
    if ((request->no_wait || cache_stores(request)) && !request->has_log)
        return RedisModule_ReplyWithError(ctx, "TRYAGAIN the log of the collection was lost and is being restored");
    return submit(ctx, request);
}

int request_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    int flags = RedisModule_GetContextFlags(ctx);
    const VstoreCommand *command = command_find(RedisModule_StringPtrLen(argv[0], NULL) + strlen("VSTORE."));
    bool asked = asks_not_to_wait(command, argv, argc), can_wait = !(flags & NO_BLOCKING);
    Request request = {
        .command = command,
        .arguments = argv + 1,
        .count = argc - 1 - asked,
        .client = can_wait && !asked ? RedisModule_GetClientId(ctx) : 0,
        .no_wait = can_wait && asked,
        .is_on_replica = flags & REDISMODULE_CTX_FLAGS_SLAVE,
    };
    int words = argc - asked - (asks_as_of(command, argv, argc) ? 2 : 0);
    if (command->fixed_words && words != abs(command->arity)) return RedisModule_WrongArity(ctx);
    stream_find_log(ctx, &request);
    int result = answer_or_submit(ctx, flags, &request);
    if (request.log != NULL) RedisModule_FreeString(NULL, request.log);
    return result;
}
