/*
 * The events of follow_events.h. The list of changes is written by note_change() and emptied by follow_events_flush().
 */
#include "follow/follow_events.h"
#include "follow/follow_log.h"
#include "follow/follow_table.h"
#include "requests/existence.h"
#include "streams/log_replacement.h"
#include "streams/own_keys.h"
#include <string.h>

#define FOLLOWED_DATABASE 0
#define CHANGES_CAPACITY_MIN 16

#define EVENT_TYPES                                                                                                    \
    (REDISMODULE_NOTIFY_GENERIC | REDISMODULE_NOTIFY_STRING | REDISMODULE_NOTIFY_LIST | REDISMODULE_NOTIFY_SET |         \
     REDISMODULE_NOTIFY_HASH | REDISMODULE_NOTIFY_ZSET | REDISMODULE_NOTIFY_EXPIRED | REDISMODULE_NOTIFY_EVICTED)

/* The key that was there is not there any more, though another one may be in its place. */
static const char *const endings[] = {"del",     "expired",   "evicted", "rename_from", "rename_to",
                                      "restore", "move_from", "copy_to", NULL};
/* A value of any type was put in the place of what was there. Those that end in "store" are recognised by that. */
static const char *const replacements[] = {"set", "move_to", NULL};

/* A key came from another database, or may have. */
static const char *const arrivals[] = {"move_to", "copy_to", NULL};

typedef struct {
    RedisModuleString *key;
    int database;
    bool ended;
} Change;

static Change *changes;
static size_t change_count, change_capacity;
static bool is_flushing;
static KeyListener listener;
/* A primary drops expired keys as it loads a snapshot of its own, without an event. */
static bool loads_snapshot;

static bool is_one_of(const char *event, const char *const *names) {
    for (; *names != NULL; names++)
        if (strcmp(event, *names) == 0) return true;
    return false;
}

static bool rewrites(int type, const char *event) {
    size_t length = strlen(event), suffix = strlen("store");
    if (type == REDISMODULE_NOTIFY_HASH || is_one_of(event, replacements)) return true;
    return length > suffix && strcmp(event + length - suffix, "store") == 0;
}

static bool concerns(const Follow *follow, bool ended) {
    return ended || follow->field_count > 0;
}

static bool concerns_any(const RedisModuleString *key, int database, bool ended) {
    if (ended && is_log_name(key)) return true;
    if (database != FOLLOWED_DATABASE) return false;
    for (const Follow *each = follow_table_covering(key); each != NULL; each = each->wider)
        if (concerns(each, ended)) return true;
    return false;
}

/* Notes repeated changes of one key by one script once: the module reads the key when the script has ended. */
static bool is_noted(const RedisModuleString *key, int database, bool ended) {
    if (is_flushing || change_count == 0) return false;
    Change *last = &changes[change_count - 1];
    if (last->database != database || RedisModule_StringCompare(last->key, key) != 0) return false;
    last->ended |= ended;
    return true;
}

/* A copy of the key's name: that of the event may lie on Redis' stack. */
static void note_change(const RedisModuleString *key, int database, bool ended) {
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(key, &length);
    if (change_count == change_capacity) {
        change_capacity = change_capacity == 0 ? CHANGES_CAPACITY_MIN : 2 * change_capacity;
        changes = RedisModule_Realloc(changes, change_capacity * sizeof(*changes));
    }
    changes[change_count++] = (Change){RedisModule_CreateString(NULL, bytes, length), database, ended};
}

static void flush_change(RedisModuleCtx *ctx, const Change *change) {
    RedisModule_SelectDb(ctx, change->database);
    if (change->ended && is_log_name(change->key)) log_was_replaced(ctx, change->key);
    if (change->database != FOLLOWED_DATABASE) return;
    for (const Follow *each = follow_table_covering(change->key); each != NULL; each = each->wider)
        if (concerns(each, change->ended) && !follow_log_hear(ctx, each, change->key)) follow_log_lost(ctx, each);
    const Follow *logs = change->ended ? follow_table_of_log(change->key) : NULL;
    if (logs != NULL) follow_log_lost(ctx, logs); /* it was the log itself that has gone */
}

void follow_events_flush(RedisModuleCtx *ctx) {
    if (change_count == 0) return;
    int database = RedisModule_GetSelectedDb(ctx);
    is_flushing = true;
    for (size_t at = 0; at < change_count; at++) {
        Change change = changes[at]; /* the list may move */
        flush_change(ctx, &change);
        RedisModule_FreeString(NULL, change.key);
    }
    change_count = 0;
    is_flushing = false;
    RedisModule_SelectDb(ctx, database);
}

static void on_job(RedisModuleCtx *ctx, void *data) {
    (void)data;
    follow_events_flush(ctx);
}

static void flush_soon(RedisModuleCtx *ctx) {
    bool is_waited_for = change_count > 1;
    if (RedisModule_AddPostNotificationJob == NULL) {
        follow_events_flush(ctx);
    } else if (!is_waited_for && RedisModule_AddPostNotificationJob(ctx, on_job, NULL, NULL) != REDISMODULE_OK) {
        follow_events_flush(ctx);
    }
}

/* Deleting or evicting the hash changes nothing about what is followed; the sidecar puts it back. */
static void on_follows(RedisModuleCtx *ctx, const char *event) {
    if (!is_one_of(event, endings) || strcmp(event, "rename_to") == 0 || strcmp(event, "restore") == 0)
        follow_table_load(ctx);
}

/*
 * Whether what the module writes about the event will reach replicas and the AOF. While writes are paused no client and
 * no expiry changes anything, except the transaction that sent CLIENT PAUSE and is not over yet.
 */
static bool may_write(int flags) {
    return !RedisModule_AvoidReplicaTraffic() || flags & REDISMODULE_CTX_FLAGS_MULTI;
}

static void lose(const RedisModuleString *key, bool ended) {
    for (const Follow *each = follow_table_covering(key); each != NULL; each = each->wider)
        if (concerns(each, ended)) follow_log_lost_unwritten(each);
    const Follow *logs = ended ? follow_table_of_log(key) : NULL;
    if (logs != NULL) follow_log_lost_unwritten(logs);
}

/*
 * The database of the event. It differs from the client's when MOVE or COPY puts a key into another one. In a
 * transaction Valkey 9 reports the client's even then, so the key itself is asked.
 */
static int database_of(RedisModuleCtx *ctx, const char *event, RedisModuleString *key) {
    RedisModuleKey *there = NULL;
    if (is_one_of(event, arrivals)) there = RedisModule_OpenKey(ctx, key, REDISMODULE_READ | REDISMODULE_OPEN_KEY_NOTOUCH);
    int database = there == NULL ? RedisModule_GetSelectedDb(ctx) : RedisModule_GetDbIdFromModuleKey(there);
    RedisModule_CloseKey(there);
    return database;
}

static void tell(RedisModuleCtx *ctx, int type, const char *event, RedisModuleString *key) {
    if (type != REDISMODULE_NOTIFY_HASH) listener(ctx, key);
    int database = database_of(ctx, event, key);
    bool is_follows = database == FOLLOWED_DATABASE && is_own_key(key, OWN_FOLLOWS);
    bool ended = is_one_of(event, endings);
    if (!is_follows && !((ended || rewrites(type, event)) && concerns_any(key, database, ended))) return;
    int flags = RedisModule_GetContextFlags(ctx);
    if (flags & REDISMODULE_CTX_FLAGS_LOADING) return;
    if (is_follows) on_follows(ctx, event);
    if (is_follows || flags & REDISMODULE_CTX_FLAGS_SLAVE) return;
    /*
     * A hash that has lost its last field is gone, and "del" comes right after. HSET removes no field, so it skips the
     * look-up.
     */
    if (type == REDISMODULE_NOTIFY_HASH && strcmp(event, "hset") != 0 && !RedisModule_KeyExists(ctx, key))
        return;
    if (is_noted(key, database, ended)) return;
    if (may_write(flags)) {
        note_change(key, database, ended);
        flush_soon(ctx);
    } else if (database == FOLLOWED_DATABASE) {
        lose(key, ended);
    }
}

/*
 * Valkey 8.1 selects the event's database for the client that runs the command, and leaves it there: a client would be
 * in the other database after MOVE. Elsewhere this context has no client that is used later.
 */
static int on_event(RedisModuleCtx *ctx, int type, const char *event, RedisModuleString *key) {
    static int moved_from;
    existence_hear(ctx, key);
    tell(ctx, type, event, key);
    if (strcmp(event, "move_from") == 0) moved_from = RedisModule_GetSelectedDb(ctx);
    if (strcmp(event, "move_to") == 0) RedisModule_SelectDb(ctx, moved_from);
    return REDISMODULE_OK;
}

/*
 * Notes a loss for every collection that follows keys: they may have changed without an event. Not on a replica, which
 * hears everything from its primary.
 */
static void lose_all(RedisModuleCtx *ctx) {
    if (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE) return;
    for (size_t i = 0; i < follow_table_count(); i++) follow_log_lost_unwritten(follow_table_at(i));
}

/* Reading the hash fails while the cluster is down, on a replica, and before the names of own keys are known. */
void follow_events_review(RedisModuleCtx *ctx) {
    if (!is_cluster_node(ctx)) return;
    follow_table_load(ctx);
    lose_all(ctx);
}

static void on_loading(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t phase, void *data) {
    (void)event, (void)data;
    if (phase == REDISMODULE_SUBEVENT_LOADING_RDB_START) loads_snapshot = true;
    if (phase != REDISMODULE_SUBEVENT_LOADING_ENDED && phase != REDISMODULE_SUBEVENT_LOADING_FAILED) return;
    follow_table_load(ctx);
    if (loads_snapshot) lose_all(ctx);
    loads_snapshot = false;
}

static void on_replica_loading(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t phase, void *data) {
    (void)event, (void)data;
    if (phase == REDISMODULE_SUBEVENT_REPL_ASYNC_LOAD_COMPLETED) follow_table_load(ctx);
}

int follow_events_open(RedisModuleCtx *ctx, KeyListener hears) {
    listener = hears;
    const RedisModuleEvent loading = {REDISMODULE_EVENT_LOADING, 1};
    const RedisModuleEvent replica_loading = {REDISMODULE_EVENT_REPL_ASYNC_LOAD, 1};
    if (RedisModule_SubscribeToKeyspaceEvents(ctx, EVENT_TYPES, on_event) != REDISMODULE_OK ||
        RedisModule_SubscribeToServerEvent(ctx, loading, on_loading) != REDISMODULE_OK ||
        RedisModule_SubscribeToServerEvent(ctx, replica_loading, on_replica_loading) != REDISMODULE_OK)
        return REDISMODULE_ERR;
    follow_log_open();
    follow_table_load(ctx);
    /* The module may be loaded into a Redis that has data already. */
    lose_all(ctx);
    return REDISMODULE_OK;
}

void follow_events_close(void) {
    follow_table_clear();
    follow_log_close();
    RedisModule_Free(changes);
    changes = NULL;
    change_count = change_capacity = 0;
}
