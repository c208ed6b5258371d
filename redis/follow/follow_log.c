/* The entries of follow_log.h. */
#include "follow/follow_log.h"
#include "commands/command_table.h"
#include "follow/follow_queue.h"
#include "sidecar/leadership.h"
#include "slots/later.h"
#include "slots/slots.h"
#include "streams/own_keys.h"
#include "streams/stream_memory.h"
#include "streams/streams.h"
#include <string.h>
#include <strings.h>

#define FOLLOWED_DATABASE 0

FollowLogCounters follow_log_counters;

/* Collections with a loss that is not written down in OWN_SYNCED yet. */
static RedisModuleDict *untold;

/* No client can send them, so they are not in the generated table. */
static const VstoreCommand followed_command = {.name = "FOLLOWED", .route = ROUTE_LOG, .writes = true};

static const VstoreCommand renewed_command = {.name = "RENEWED", .route = ROUTE_LOG, .writes = true};

static size_t length_of(const RedisModuleString *string) {
    size_t length;
    RedisModule_StringPtrLen(string, &length);
    return length;
}

static bool append(RedisModuleCtx *ctx, const Follow *follow, const VstoreCommand *command,
                   RedisModuleString **arguments, int count) {
    /* An entry in a new log would hide that the old one is lost. */
    if (!RedisModule_KeyExists(ctx, follow->log) || stream_is_full(ctx, follow->log)) return false;
    const Request request = {.command = command, .arguments = arguments, .count = count};
    RequestId entry = {.stream = follow->log};
    if (stream_append(ctx, &entry, &request) != NULL) return false;
    stream_has_grown(follow->log, arguments, count);
    follow_log_counters.entries++;
    return true;
}

/* An entry of a collection that follows no keys any more is of no use. */
static void append_queued(RedisModuleCtx *ctx, const FollowEntry *entry) {
    const Follow *follow = follow_table_find(entry->arguments[0]);
    if (follow == NULL) return;
    if (!append(ctx, follow, entry->command, entry->arguments, entry->count)) follow_log_lost(ctx, follow);
}

void follow_log_flush(RedisModuleCtx *ctx, const RedisModuleString *collection) {
    if (follow_queue_is_empty() || RedisModule_AvoidReplicaTraffic()) return;
    if (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE) return;
    FollowEntry *entry = follow_queue_take(collection);
    int database = RedisModule_GetSelectedDb(ctx);
    RedisModule_SelectDb(ctx, FOLLOWED_DATABASE);
    for (; entry != NULL; entry = follow_queue_take(collection)) {
        append_queued(ctx, entry);
        follow_queue_free(entry);
    }
    RedisModule_SelectDb(ctx, database);
}

/* A replica hears of them from its primary, or will look at all keys once it leads. */
static void drop_queue(void) {
    for (FollowEntry *entry; (entry = follow_queue_take(NULL)) != NULL;) follow_queue_free(entry);
}

static void on_later(RedisModuleCtx *ctx, void *data) {
    (void)data;
    if (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE)
        drop_queue();
    else
        follow_log_flush(ctx, NULL);
}

/* Appends to the log, or has it done where the command that runs must not touch the log's slot. */
static bool put(RedisModuleCtx *ctx, const Follow *follow, const VstoreCommand *command, RedisModuleString **arguments,
                int count, bool is_later) {
    if (!is_later) return append(ctx, follow, command, arguments, count);
    if (!follow_queue_add(command, arguments, count)) return false;
    later(ctx, on_later, NULL);
    return true;
}

static bool put_gone(RedisModuleCtx *ctx, const Follow *follow, RedisModuleString *key, bool is_later) {
    if (length_of(key) > key_bytes_max) return true; /* no vector has such a name */
    RedisModuleString *arguments[] = {follow->collection, key};
    return put(ctx, follow, command_find("DEL"), arguments, 2, is_later);
}

bool follow_log_gone(RedisModuleCtx *ctx, const Follow *follow, RedisModuleString *key) {
    return put_gone(ctx, follow, key, false);
}

bool follow_log_renewed(RedisModuleCtx *ctx, const Follow *follow, RedisModuleString *key, RedisModuleString *deadline) {
    RedisModuleString *arguments[] = {follow->collection, key, deadline};
    return append(ctx, follow, &renewed_command, arguments, 3);
}

static RedisModuleString *hash_value(RedisModuleKey *hash, RedisModuleString *field) {
    RedisModuleString *value = NULL;
    RedisModule_HashGet(hash, REDISMODULE_HASH_NONE, field, &value, NULL);
    return value;
}

/*
 * Cuts an attribute that is larger than all attributes may be to one byte above that limit, so that the sidecar refuses
 * it. Takes `value`.
 */
static RedisModuleString *limit_attribute(RedisModuleString *value) {
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(value, &length);
    if (length <= attributes_bytes_max) return value;
    RedisModuleString *part = RedisModule_CreateString(NULL, bytes, attributes_bytes_max + 1);
    RedisModule_FreeString(NULL, value);
    return part;
}

/* The value of the vector's field, then name and value of each attribute that is there. Returns how many strings. */
static int read_hash(RedisModuleKey *hash, const Follow *follow, RedisModuleString **strings) {
    int n = 0;
    for (int i = 0; i < follow->field_count; i++) {
        RedisModuleString *value = hash_value(hash, follow->fields[i]);
        if (value == NULL && i == 0) return 0;
        if (value == NULL) continue;
        if (i > 0) {
            RedisModule_RetainString(NULL, follow->fields[i]);
            strings[n++] = follow->fields[i];
            value = limit_attribute(value);
        }
        strings[n++] = value;
    }
    return n;
}

/*
 * When a hash is too large for a command, its vector becomes one without components, which the sidecar refuses with a
 * reason.
 */
static void limit_payload(RedisModuleString **strings, int *count) {
    size_t total = 0;
    for (int i = 0; i < *count; i++) total += length_of(strings[i]);
    if (total <= command_payload_bytes_max) return;
    for (int i = 0; i < *count; i++) RedisModule_FreeString(NULL, strings[i]);
    strings[0] = RedisModule_CreateString(NULL, "", 0);
    *count = 1;
}

static bool put_changed(RedisModuleCtx *ctx, const Follow *follow, RedisModuleString *name, bool is_later) {
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ | REDISMODULE_OPEN_KEY_NOTOUCH);
    RedisModuleString **arguments = RedisModule_Alloc(sizeof(*arguments) * 2 * (size_t)(follow->field_count + 1));
    arguments[0] = follow->collection;
    arguments[1] = name;
    bool is_hash = RedisModule_KeyType(key) == REDISMODULE_KEYTYPE_HASH;
    int found = is_hash ? read_hash(key, follow, arguments + 2) : 0;
    RedisModule_CloseKey(key);
    bool done;
    if (found > 0) {
        limit_payload(arguments + 2, &found);
        done = put(ctx, follow, &followed_command, arguments, found + 2, is_later);
    } else {
        done = put_gone(ctx, follow, name, is_later);
    }
    for (int i = 0; i < found; i++) RedisModule_FreeString(NULL, arguments[i + 2]);
    RedisModule_Free(arguments);
    return done;
}

bool follow_log_hear(RedisModuleCtx *ctx, const Follow *follow, RedisModuleString *key) {
    bool is_later = slots_are_apart(ctx) && !slots_are_equal(key, follow->log);
    if (follow->field_count > 0) return put_changed(ctx, follow, key, is_later);
    return put_gone(ctx, follow, key, is_later);
}

void follow_log_open(void) {
    untold = RedisModule_CreateDict(NULL);
}

void follow_log_close(void) {
    RedisModule_FreeDict(NULL, untold);
}

static void forget_synced(RedisModuleCtx *ctx, RedisModuleString *collection) {
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "HDEL", "!cs", own_key(OWN_SYNCED), collection);
    if (reply != NULL) RedisModule_FreeCallReply(reply);
}

void follow_log_lost(RedisModuleCtx *ctx, const Follow *follow) {
    if (slots_are_apart(ctx)) {
        follow_log_lost_unwritten(follow);
        return;
    }
    forget_synced(ctx, follow->collection);
    follow_log_counters.losses++;
}

void follow_log_lost_unwritten(const Follow *follow) {
    RedisModule_DictSet(untold, follow->collection, untold);
    follow_log_counters.losses++;
}

long long follow_log_untold(void) {
    return (long long)RedisModule_DictSize(untold);
}

/* Returns how many losses it has written down. */
static long long tell_losses(RedisModuleCtx *ctx) {
    RedisModuleString *collection;
    RedisModuleDictIter *all = RedisModule_DictIteratorStartC(untold, "^", NULL, 0);
    while ((collection = RedisModule_DictNext(ctx, all, NULL)) != NULL) {
        forget_synced(ctx, collection);
        RedisModule_FreeString(ctx, collection);
    }
    RedisModule_DictIteratorStop(all);
    long long count = follow_log_untold();
    follow_log_close();
    follow_log_open();
    return count;
}

/* Returns whether the log says what it should about the key. */
static bool resync_key(RedisModuleCtx *ctx, const Follow *follow, RedisModuleString *key, bool all) {
    if (!follow_covers(follow, key)) return true;
    if (all && follow->field_count > 0) return put_changed(ctx, follow, key, false);
    return RedisModule_KeyExists(ctx, key) || follow_log_gone(ctx, follow, key);
}

int resync_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE)
        return RedisModule_ReplyWithError(ctx, "READONLY followed keys are looked at on a primary and this Redis is a replica");
    if (argc == 1) return RedisModule_ReplyWithLongLong(ctx, tell_losses(ctx));
    if (argc < 4) return RedisModule_WrongArity(ctx);
    if (!leadership_is_callers(ctx)) return reply_not_leader(ctx);
    const char *which = RedisModule_StringPtrLen(argv[2], NULL);
    bool all = strcasecmp(which, "ALL") == 0;
    if (!all && strcasecmp(which, "GONE") != 0)
        return RedisModule_ReplyWithError(ctx, "ERR the keys to look at must be GONE or ALL");
    const Follow *follow = follow_table_find(argv[1]);
    if (follow == NULL) return RedisModule_ReplyWithError(ctx, "ERR the collection follows no keys");
    follow_log_flush(ctx, argv[1]);
    for (int i = 3; i < argc; i++)
        if (!resync_key(ctx, follow, argv[i], all))
            return RedisModule_ReplyWithError(ctx, "BUSY the log is missing or has reached vstore.log-max-bytes");
    return RedisModule_ReplyWithLongLong(ctx, argc - 3);
}
