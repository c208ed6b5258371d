/*
 * The vstore module: turns every VSTORE.* command into an entry of a Redis stream, blocks the client, and answers it
 * with what the sidecar sends back. It holds no vectors and no state that must survive; what travels is described in
 * src/bridge/PROTOCOL.md.
 *
 * This file registers everything with Redis. A request itself passes through requests.c (its way in), streams.c (where
 * it is appended; stream_memory.c whether there is room), waits.c (its wait; pending.c the clients that wait), resp3.c
 * and reply.c (its answer).
 * Keys that are followed: follow_events.h (what happens to them), follow_table.c (which they are), follow_log.c (what
 * the log is told). log_replacement.c marks logs that a client has replaced.
 */
#include "cache/cache_answers.h"
#include "cache/releases.h"
#include "commands/command_table.h"
#include "commands/help.h"
#include "follow/follow_events.h"
#include "follow/follow_log.h"
#include "module_api.h"
#include "requests/existence.h"
#include "requests/read_queue.h"
#include "requests/requests.h"
#include "sidecar/attachment.h"
#include "sidecar/followers.h"
#include "sidecar/leadership.h"
#include "sidecar/reader.h"
#include "slots/stream_waits.h"
#include "streams/own_keys.h"
#include "streams/proofs.h"
#include "streams/stream_memory.h"
#include "streams/stream_reads.h"
#include "streams/streams.h"
#include "waits/acknowledgement.h"
#include "waits/pending.h"
#include "waits/stranding.h"
#include "waits/waits.h"
#include <stdio.h>
#include <string.h>

#define MODULE_NAME "vstore"
#define MODULE_VERSION 1
#define COMMAND_NAME_BYTES_MAX 64
#define ACL_CATEGORIES_BYTES_MAX 64

#define TIMEOUT_MS_DEFAULT 5000
#define WAIT_TIMEOUT_MS_DEFAULT 600000
#define TIMEOUT_MS_MIN 1
#define TIMEOUT_MS_MAX 3600000

#define MIB (1024LL * 1024)
#define LOG_BYTES_DEFAULT (1024 * MIB)
#define LOG_BYTES_MIN (1 * MIB)
#define LOG_BYTES_MAX (1024 * 1024 * MIB)

/*
 * How Redis treats a command, from what the table says of it.
 *
 * A read is "readonly" though it appends to a stream: that entry is never propagated, and the module's stream functions
 * neither mark the dataset as changed nor ask for the write flag. So a read belongs to @read, works with a full memory
 * (where a write is refused) and while CLIENT PAUSE WRITE holds the writes back.
 */
static const char *command_flags(const VstoreCommand *command) {
    bool key_is_optional = !command->has_collection || command->arity == -1;
    if (command->writes) return "write deny-oom blocking";
    return key_is_optional ? "readonly blocking no-mandatory-keys" : "readonly blocking";
}

/* The collection's name is the key that ACL rules and cluster slots see; the streams behind it are ours alone. */
static RedisModuleCommandKeySpec collection_key(const VstoreCommand *command) {
    return (RedisModuleCommandKeySpec){
        .flags = command->writes ? REDISMODULE_CMD_KEY_RW | REDISMODULE_CMD_KEY_UPDATE
                                 : REDISMODULE_CMD_KEY_RO | REDISMODULE_CMD_KEY_ACCESS,
        .begin_search_type = REDISMODULE_KSPEC_BS_INDEX,
        .bs.index = {.pos = 1},
        .find_keys_type = REDISMODULE_KSPEC_FK_RANGE,
        .fk.range = {.lastkey = 0, .keystep = 1, .limit = 0},
    };
}

static int describe(RedisModuleCommand *registered, const VstoreCommand *command) {
    static const RedisModuleCommandInfoVersion version = {
        .version = 1,
        .sizeof_historyentry = sizeof(RedisModuleCommandHistoryEntry),
        .sizeof_keyspec = sizeof(RedisModuleCommandKeySpec),
        .sizeof_arg = sizeof(RedisModuleCommandArg),
    };
    RedisModuleCommandKeySpec keys[] = {collection_key(command), {0}};
    RedisModuleCommandInfo info = {
        .version = &version,
        .summary = command->summary,
        .complexity = command->complexity,
        .since = command->since,
        .arity = command->arity,
        .key_specs = command->has_collection ? keys : NULL,
        .args = command->arguments,
    };
    return RedisModule_SetCommandInfo(registered, &info);
}

/* Redis 7.0 keeps modules out of the ACL categories; 7.2 has them, 7.4 and Valkey 8 also let us add @vstore. */
static void categorize(RedisModuleCommand *registered, const char *categories) {
    if (RedisModule_SetCommandACLCategories == NULL) return;
    char all[ACL_CATEGORIES_BYTES_MAX];
    snprintf(all, sizeof(all), "%s%s", RedisModule_AddACLCategory != NULL ? MODULE_NAME " " : "", categories);
    RedisModule_SetCommandACLCategories(registered, all);
}

static int register_command(RedisModuleCtx *ctx, const VstoreCommand *command) {
    char name[COMMAND_NAME_BYTES_MAX];
    snprintf(name, sizeof(name), "VSTORE.%s", command->name);
    int key = command->has_collection ? 1 : 0;
    if (RedisModule_CreateCommand(ctx, name, request_command, command_flags(command), key, key, key) != REDISMODULE_OK)
        return REDISMODULE_ERR;
    RedisModuleCommand *registered = RedisModule_GetCommand(ctx, name);
    categorize(registered, command->writes ? "write slow blocking" : "read slow blocking");
    return describe(registered, command);
}

/*
 * The sidecar's own commands name no keys, so that one VSTORE.REPLY can serve many collections; "admin" lets the ACLs
 * keep every other client from them. They work in a full memory. VSTORE.LEAD and VSTORE.RESYNC propagate what they
 * write, so they are "write": a replica refuses them, and they wait while writes are paused. The commands that keep a
 * lease, attach and answer do not wait.
 */
static int register_admin_command(RedisModuleCtx *ctx, const char *name, const char *flags, RedisModuleCmdFunc run) {
    if (RedisModule_CreateCommand(ctx, name, run, flags, 0, 0, 0) != REDISMODULE_OK)
        return REDISMODULE_ERR;
    categorize(RedisModule_GetCommand(ctx, name), "admin dangerous");
    return REDISMODULE_OK;
}

/* It reads nothing but the module's own table. */
static int register_help(RedisModuleCtx *ctx) {
    if (RedisModule_CreateCommand(ctx, "VSTORE.HELP", help_command, "readonly fast", 0, 0, 0) != REDISMODULE_OK)
        return REDISMODULE_ERR;
    RedisModuleCommand *registered = RedisModule_GetCommand(ctx, "VSTORE.HELP");
    categorize(registered, "read fast");
    return describe(registered, &help_declaration);
}

static int register_commands(RedisModuleCtx *ctx) {
    if (RedisModule_AddACLCategory != NULL) RedisModule_AddACLCategory(ctx, MODULE_NAME);
    for (const VstoreCommand *command = command_table; command->name != NULL; command++)
        if (register_command(ctx, command) != REDISMODULE_OK) return REDISMODULE_ERR;
    if (register_help(ctx) != REDISMODULE_OK) return REDISMODULE_ERR;
    if (register_admin_command(ctx, "VSTORE.LEAD", "write admin deny-script", lead_command) != REDISMODULE_OK ||
        register_admin_command(ctx, "VSTORE.RENEW", "admin deny-script", renew_command) != REDISMODULE_OK ||
        register_admin_command(ctx, "VSTORE.JOIN", "admin deny-script", join_command) != REDISMODULE_OK ||
        register_admin_command(ctx, "VSTORE.ATTACH", "admin deny-script", attach_command) != REDISMODULE_OK ||
        register_admin_command(ctx, "VSTORE.HANDOVER", "admin deny-script", handover_command) != REDISMODULE_OK ||
        register_admin_command(ctx, "VSTORE.TELL", "admin deny-script", tell_command) != REDISMODULE_OK ||
        register_admin_command(ctx, "VSTORE.FOLLOW", "admin deny-script blocking", follow_command) != REDISMODULE_OK ||
        register_admin_command(ctx, "VSTORE.NODE", "admin deny-script", node_command) != REDISMODULE_OK ||
        register_admin_command(ctx, "VSTORE.XREAD", "admin deny-script blocking", xread_command) != REDISMODULE_OK ||
        register_admin_command(ctx, "VSTORE.FETCH", "admin deny-script blocking", fetch_command) != REDISMODULE_OK ||
        register_admin_command(ctx, "VSTORE.RELEASE", "write admin deny-script", release_command) != REDISMODULE_OK ||
        register_admin_command(ctx, "VSTORE.RESYNC", "write admin deny-script", resync_command) != REDISMODULE_OK)
        return REDISMODULE_ERR;
    return register_admin_command(ctx, "VSTORE.REPLY", "admin deny-script", reply_command);
}

static long long get_setting(const char *name, void *data) {
    (void)name;
    return *(long long *)data;
}

static int set_setting(const char *name, long long value, void *data, RedisModuleString **error) {
    (void)name, (void)error;
    *(long long *)data = value;
    return REDISMODULE_OK;
}

static int register_timeout(RedisModuleCtx *ctx, const char *name, long long standard, long long *setting) {
    return RedisModule_RegisterNumericConfig(ctx, name, standard, REDISMODULE_CONFIG_DEFAULT, TIMEOUT_MS_MIN,
                                             TIMEOUT_MS_MAX, get_setting, set_setting, NULL, setting);
}

static int register_log_limit(RedisModuleCtx *ctx) {
    return RedisModule_RegisterNumericConfig(ctx, "log-max-bytes", LOG_BYTES_DEFAULT, REDISMODULE_CONFIG_MEMORY,
                                             LOG_BYTES_MIN, LOG_BYTES_MAX, get_setting, set_setting, NULL,
                                             &stream_bytes_max);
}

static int register_settings(RedisModuleCtx *ctx) {
    if (register_timeout(ctx, "timeout", TIMEOUT_MS_DEFAULT, &request_timeout_ms) != REDISMODULE_OK ||
        register_timeout(ctx, "wait-timeout", WAIT_TIMEOUT_MS_DEFAULT, &request_wait_timeout_ms) != REDISMODULE_OK ||
        register_log_limit(ctx) != REDISMODULE_OK || leadership_register_settings(ctx) != REDISMODULE_OK)
        return REDISMODULE_ERR;
    return RedisModule_LoadConfigs(ctx);
}

/* INFO vstore */
static void add_info(RedisModuleInfoCtx *info, int for_crash_report) {
    (void)for_crash_report;
    const RequestCounters *counters = &request_counters;
    RedisModule_InfoAddSection(info, "");
    RedisModule_InfoAddFieldLongLong(info, "attached", attachment_is_live());
    RedisModule_InfoAddFieldCString(info, "sidecar", leadership_sidecar());
    RedisModule_InfoAddFieldLongLong(info, "reader_attached", reader_is_live());
    RedisModule_InfoAddFieldCString(info, "reader", reader_sidecar());
    RedisModule_InfoAddFieldLongLong(info, "queued_reads", read_queue_count());
    RedisModule_InfoAddFieldLongLong(info, "queued_read_bytes", read_queue_bytes());
    RedisModule_InfoAddFieldLongLong(info, "protocol", PROTOCOL_VERSION);
    if (own_keys_tag()[0] != '\0') RedisModule_InfoAddFieldCString(info, "tag", own_keys_tag());
    RedisModule_InfoAddFieldLongLong(info, "last_attach_ms_ago", attachment_age_ms());
    RedisModule_InfoAddFieldLongLong(info, "pending", pending_count());
    RedisModule_InfoAddFieldLongLong(info, "requests_log", counters->requests[ROUTE_LOG]);
    RedisModule_InfoAddFieldLongLong(info, "requests_queries", counters->requests[ROUTE_QUERIES]);
    RedisModule_InfoAddFieldLongLong(info, "requests_control", counters->requests[ROUTE_CONTROL]);
    RedisModule_InfoAddFieldLongLong(info, "replies", counters->replies);
    RedisModule_InfoAddFieldLongLong(info, "replies_unknown", counters->replies_unknown);
    RedisModule_InfoAddFieldLongLong(info, "replies_malformed", counters->replies_malformed);
    RedisModule_InfoAddFieldLongLong(info, "timeouts", counters->timeouts);
    RedisModule_InfoAddFieldLongLong(info, "stranded", counters->stranded);
    RedisModule_InfoAddFieldLongLong(info, "disconnects", counters->disconnects);
    RedisModule_InfoAddFieldLongLong(info, "refused_down", counters->refused_down);
    RedisModule_InfoAddFieldLongLong(info, "refused_busy", counters->refused_busy);
    RedisModule_InfoAddFieldLongLong(info, "refused_replicas", counters->refused_replicas);
    RedisModule_InfoAddFieldLongLong(info, "followers_in_step", __builtin_popcount(followers_in_step()));
    RedisModule_InfoAddFieldLongLong(info, "followers_ready", followers_ready());
    RedisModule_InfoAddFieldLongLong(info, "followers_needed", followers_needed());
    RedisModule_InfoAddFieldLongLong(info, "follows", (long long)follow_table_count());
    RedisModule_InfoAddFieldLongLong(info, "followed", follow_log_counters.entries);
    RedisModule_InfoAddFieldLongLong(info, "followed_lost", follow_log_counters.losses);
    RedisModule_InfoAddFieldLongLong(info, "followed_untold", follow_log_untold());
    RedisModule_InfoAddFieldLongLong(info, "cache_values_gone", cache_values_gone);
}

static bool is_valkey(RedisModuleCtx *ctx) {
    RedisModuleServerInfoData *info = RedisModule_GetServerInfo(ctx, "server");
    bool is_so = RedisModule_ServerInfoGetFieldC(info, "valkey_version") != NULL;
    RedisModule_FreeServerInfo(ctx, info);
    return is_so;
}

/*
 * Valkey 9 moves no slot at all with CLUSTER MIGRATESLOTS while a module has not said that it can bear it. Keys arrive
 * before the slot does, which is so with MIGRATE too, and a collection that arrives is not served: see existence.h.
 */
static void allow_slots_to_move(RedisModuleCtx *ctx) {
    const int handled = REDISMODULE_OPTIONS_HANDLE_ATOMIC_SLOT_MIGRATION;
    if (RedisModule_GetModuleOptionsAll == NULL || (RedisModule_GetModuleOptionsAll() & handled) == 0) return;
    if (is_valkey(ctx)) RedisModule_SetModuleOptions(ctx, handled);
}

__attribute__((visibility("default"))) int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    const char *lacking = module_api_load(ctx);
    if (lacking != NULL) {
        /* Redis' own log function may be the missing one. */
        fprintf(stderr, "vstore needs Redis 7.0 or Valkey 7.2: this server has no RedisModule_%s\n", lacking);
        return REDISMODULE_ERR;
    }
    if (RedisModule_IsModuleNameBusy(MODULE_NAME)) return REDISMODULE_ERR;
    RedisModule_SetModuleAttribs(ctx, MODULE_NAME, MODULE_VERSION, REDISMODULE_APIVER_1);
    if (register_commands(ctx) != REDISMODULE_OK || register_settings(ctx) != REDISMODULE_OK ||
        RedisModule_RegisterInfoFunc(ctx, add_info) != REDISMODULE_OK)
        return REDISMODULE_ERR;
    allow_slots_to_move(ctx);
    pending_open();
    proofs_open();
    acknowledgement_open();
    followers_open();
    stream_memory_open();
    if (leadership_open(ctx) != REDISMODULE_OK || reader_open(ctx) != REDISMODULE_OK || stranding_open(ctx) != REDISMODULE_OK ||
        stream_waits_open(ctx) != REDISMODULE_OK)
        return REDISMODULE_ERR;
    return follow_events_open(ctx, stranding_hear);
}

/*
 * From Redis 8.0 on a connection remembers its last command, also one of a module that is gone: the next command on that
 * connection would end the Redis process.
 */
static bool unloading_ends_server(RedisModuleCtx *ctx) {
    return RedisModule_GetServerVersion() >= 0x080000 && !is_valkey(ctx);
}

/* Redis has made sure that no client waits any more: it refuses to unload a module with blocked clients. */
__attribute__((visibility("default"))) int RedisModule_OnUnload(RedisModuleCtx *ctx) {
    if (unloading_ends_server(ctx)) {
        RedisModule_Log(ctx, "warning", "not unloaded: connections that have used it would crash Redis 8; restart Redis without it");
        return REDISMODULE_ERR;
    }
    pending_close();
    acknowledgement_close();
    followers_close();
    stream_memory_close();
    follow_events_close();
    existence_close();
    leadership_close();
    streams_close();
    return REDISMODULE_OK;
}
