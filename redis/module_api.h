/*
 * The part of Redis' module API that vstore uses, declared by ourselves from its public documentation: the
 * signatures and constants below are ABI, fixed since the Redis version that introduced each of them (7.0 at the
 * latest). Valkey exports the same names.
 *
 * There is no library to link with. Redis hands the module a context whose first word is a look-up function;
 * module_api_load() asks it for every function of the list by name.
 */
#ifndef VSTORE_MODULE_API_H
#define VSTORE_MODULE_API_H

#include <stddef.h>
#include <stdint.h>

#define REDISMODULE_OK 0
#define REDISMODULE_ERR 1
#define REDISMODULE_APIVER_1 1

typedef struct RedisModuleCtx RedisModuleCtx;
typedef struct RedisModuleKey RedisModuleKey;
typedef struct RedisModuleString RedisModuleString;
typedef struct RedisModuleBlockedClient RedisModuleBlockedClient;
typedef struct RedisModuleCommand RedisModuleCommand;
typedef struct RedisModuleDict RedisModuleDict;
typedef struct RedisModuleDictIter RedisModuleDictIter;
typedef struct RedisModuleCallReply RedisModuleCallReply;
typedef struct RedisModuleInfoCtx RedisModuleInfoCtx;
typedef struct RedisModuleUser RedisModuleUser;
typedef struct RedisModuleScanCursor RedisModuleScanCursor;
typedef struct RedisModuleServerInfoData RedisModuleServerInfoData;
typedef uint64_t RedisModuleTimerID;

typedef struct {
    uint64_t ms;
    uint64_t seq;
} RedisModuleStreamID;

typedef struct {
    uint64_t id;
    uint64_t version;
} RedisModuleEvent;

/* What an event of a client says, in its first version. */
typedef struct {
    uint64_t version;
    uint64_t flags;
    uint64_t id;
    char addr[46];
    uint16_t port;
    uint16_t db;
} RedisModuleClientInfo;

typedef void (*RedisModuleEventCallback)(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t phase, void *data);
typedef int (*RedisModuleCmdFunc)(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);
typedef void (*RedisModuleDisconnectFunc)(RedisModuleCtx *ctx, RedisModuleBlockedClient *handle);
typedef int (*RedisModuleNotificationFunc)(RedisModuleCtx *ctx, int type, const char *event, RedisModuleString *key);
typedef void (*RedisModulePostNotificationJobFunc)(RedisModuleCtx *ctx, void *data);
typedef void (*RedisModuleTimerProc)(RedisModuleCtx *ctx, void *data);
typedef void (*RedisModuleScanKeyFunc)(RedisModuleKey *, RedisModuleString *field, RedisModuleString *value, void *data);
typedef void (*RedisModuleInfoFunc)(RedisModuleInfoCtx *ctx, int for_crash_report);
typedef long long (*RedisModuleConfigGetNumericFunc)(const char *name, void *data);
typedef int (*RedisModuleConfigSetNumericFunc)(const char *name, long long value, void *data,
                                               RedisModuleString **error);
typedef RedisModuleString *(*RedisModuleConfigGetStringFunc)(const char *name, void *data);
typedef int (*RedisModuleConfigSetStringFunc)(const char *name, RedisModuleString *value, void *data,
                                              RedisModuleString **error);
typedef int (*RedisModuleConfigApplyFunc)(RedisModuleCtx *ctx, void *data, RedisModuleString **error);

/* OpenKey() modes */
#define REDISMODULE_READ (1 << 0)
#define REDISMODULE_WRITE (1 << 1)
#define REDISMODULE_STREAM_ITERATOR_EXCLUSIVE (1 << 0)
#define REDISMODULE_STREAM_ITERATOR_REVERSE (1 << 1)
#define REDISMODULE_OPEN_KEY_NOTOUCH (1 << 16) /* leaves the key's age for eviction as it is */

#define REDISMODULE_KEYTYPE_EMPTY 0
#define REDISMODULE_KEYTYPE_STRING 1
#define REDISMODULE_KEYTYPE_HASH 3
#define REDISMODULE_HASH_NONE 0
#define REDISMODULE_HASH_EXISTS (1 << 3)
#define REDISMODULE_REPLY_STRING 0
#define REDISMODULE_REPLY_ERROR 1
#define REDISMODULE_REPLY_INTEGER 2
#define REDISMODULE_REPLY_ARRAY 3

#define REDISMODULE_STREAM_ADD_AUTOID (1 << 0)

/* SetModuleOptions(), of Valkey 9 alone */
#define REDISMODULE_OPTIONS_HANDLE_ATOMIC_SLOT_MIGRATION (1 << 5)

/* GetContextFlags() */
#define REDISMODULE_CTX_FLAGS_LUA (1 << 0)
#define REDISMODULE_CTX_FLAGS_MULTI (1 << 1)
#define REDISMODULE_CTX_FLAGS_SLAVE (1 << 3)
#define REDISMODULE_CTX_FLAGS_CLUSTER (1 << 5)
#define REDISMODULE_CTX_FLAGS_LOADING (1 << 13)
#define REDISMODULE_CTX_FLAGS_DENY_BLOCKING (1 << 21)
#define REDISMODULE_CTX_FLAGS_RESP3 (1 << 22)

/* SubscribeToKeyspaceEvents() */
#define REDISMODULE_NOTIFY_GENERIC (1 << 2)
#define REDISMODULE_NOTIFY_STRING (1 << 3)
#define REDISMODULE_NOTIFY_LIST (1 << 4)
#define REDISMODULE_NOTIFY_SET (1 << 5)
#define REDISMODULE_NOTIFY_HASH (1 << 6)
#define REDISMODULE_NOTIFY_ZSET (1 << 7)
#define REDISMODULE_NOTIFY_EXPIRED (1 << 8)
#define REDISMODULE_NOTIFY_EVICTED (1 << 9)
#define REDISMODULE_NOTIFY_STREAM (1 << 10)

/* SubscribeToServerEvent() */
#define REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED 0
#define REDISMODULE_EVENT_REPLROLECHANGED_NOW_REPLICA 1
#define REDISMODULE_EVENT_FLUSHDB 2
#define REDISMODULE_SUBEVENT_FLUSHDB_END 1
#define REDISMODULE_EVENT_SWAPDB 11
#define REDISMODULE_EVENT_LOADING 3
#define REDISMODULE_SUBEVENT_LOADING_RDB_START 0
#define REDISMODULE_SUBEVENT_LOADING_ENDED 3
#define REDISMODULE_SUBEVENT_LOADING_FAILED 4
#define REDISMODULE_EVENT_REPL_ASYNC_LOAD 14
#define REDISMODULE_EVENT_CLIENT_CHANGE 4
#define REDISMODULE_SUBEVENT_CLIENT_CHANGE_DISCONNECTED 1
#define REDISMODULE_SUBEVENT_REPL_ASYNC_LOAD_COMPLETED 2

#define REDISMODULE_CONFIG_DEFAULT 0
#define REDISMODULE_CONFIG_MEMORY (1 << 7) /* CONFIG SET takes 256mb and the like */

/* SetCommandInfo(): what COMMAND DOCS, COMMAND INFO and the ACLs know about a command. */
typedef enum {
    REDISMODULE_ARG_TYPE_STRING,
    REDISMODULE_ARG_TYPE_INTEGER,
    REDISMODULE_ARG_TYPE_DOUBLE,
    REDISMODULE_ARG_TYPE_KEY,
    REDISMODULE_ARG_TYPE_PATTERN,
    REDISMODULE_ARG_TYPE_UNIX_TIME,
    REDISMODULE_ARG_TYPE_PURE_TOKEN,
    REDISMODULE_ARG_TYPE_ONEOF,
    REDISMODULE_ARG_TYPE_BLOCK
} RedisModuleCommandArgType;

#define REDISMODULE_CMD_ARG_OPTIONAL (1 << 0)
#define REDISMODULE_CMD_ARG_MULTIPLE (1 << 1)
#define REDISMODULE_CMD_ARG_MULTIPLE_TOKEN (1 << 2)

typedef struct RedisModuleCommandArg {
    const char *name;
    RedisModuleCommandArgType type;
    int key_spec_index;
    const char *token;
    const char *summary;
    const char *since;
    int flags;
    const char *deprecated_since;
    struct RedisModuleCommandArg *subargs;
    const char *display_text;
} RedisModuleCommandArg;

#define REDISMODULE_KSPEC_BS_INDEX 2
#define REDISMODULE_KSPEC_FK_RANGE 2

#define REDISMODULE_CMD_KEY_RO (1ULL << 0)
#define REDISMODULE_CMD_KEY_RW (1ULL << 1)
#define REDISMODULE_CMD_KEY_ACCESS (1ULL << 4)
#define REDISMODULE_CMD_KEY_UPDATE (1ULL << 5)

typedef struct {
    const char *notes;
    uint64_t flags;
    int begin_search_type;
    union {
        struct {
            int pos;
        } index;
        struct {
            const char *keyword;
            int startfrom;
        } keyword;
    } bs;
    int find_keys_type;
    union {
        struct {
            int lastkey;
            int keystep;
            int limit;
        } range;
        struct {
            int keynumidx;
            int firstkey;
            int keystep;
        } keynum;
    } fk;
} RedisModuleCommandKeySpec;

typedef struct {
    const char *since;
    const char *changes;
} RedisModuleCommandHistoryEntry;

/* Lets a newer Redis with longer structures walk ours. */
typedef struct {
    int version;
    size_t sizeof_historyentry;
    size_t sizeof_keyspec;
    size_t sizeof_arg;
} RedisModuleCommandInfoVersion;

typedef struct {
    const RedisModuleCommandInfoVersion *version;
    const char *summary;
    const char *complexity;
    const char *since;
    RedisModuleCommandHistoryEntry *history;
    const char *tips;
    int arity;
    RedisModuleCommandKeySpec *key_specs;
    RedisModuleCommandArg *args;
} RedisModuleCommandInfo;

/* Functions that every supported server has: X(result, name, parameters). */
#define MODULE_API_REQUIRED(X)                                                                                         \
    X(void, SetModuleAttribs, (RedisModuleCtx *, const char *name, int version, int api_version))                      \
    X(int, IsModuleNameBusy, (const char *name))                                                                       \
    X(int, CreateCommand, (RedisModuleCtx *, const char *name, RedisModuleCmdFunc, const char *flags, int first_key,   \
                           int last_key, int key_step))                                                                \
    X(RedisModuleCommand *, GetCommand, (RedisModuleCtx *, const char *name))                                          \
    X(int, SetCommandInfo, (RedisModuleCommand *, const RedisModuleCommandInfo *))                                     \
    X(int, RegisterNumericConfig, (RedisModuleCtx *, const char *name, long long standard, unsigned flags,             \
                                   long long min, long long max, RedisModuleConfigGetNumericFunc,                      \
                                   RedisModuleConfigSetNumericFunc, RedisModuleConfigApplyFunc, void *data))           \
    X(int, RegisterStringConfig, (RedisModuleCtx *, const char *name, const char *standard, unsigned flags,            \
                                  RedisModuleConfigGetStringFunc, RedisModuleConfigSetStringFunc,                      \
                                  RedisModuleConfigApplyFunc, void *data))                                             \
    X(int, LoadConfigs, (RedisModuleCtx *))                                                                            \
    X(int, RegisterInfoFunc, (RedisModuleCtx *, RedisModuleInfoFunc))                                                  \
    X(int, InfoAddSection, (RedisModuleInfoCtx *, const char *name))                                                   \
    X(int, InfoAddFieldCString, (RedisModuleInfoCtx *, const char *field, const char *value))                          \
    X(int, InfoAddFieldLongLong, (RedisModuleInfoCtx *, const char *field, long long value))                           \
    X(void, Log, (RedisModuleCtx *, const char *level, const char *format, ...))                                       \
    X(void *, Alloc, (size_t))                                                                                         \
    X(void *, Calloc, (size_t count, size_t size))                                                                     \
    X(void *, Realloc, (void *, size_t))                                                                               \
    X(void, Free, (void *))                                                                                            \
    X(RedisModuleString *, CreateString, (RedisModuleCtx *, const char *, size_t))                                     \
    X(RedisModuleString *, CreateStringFromLongLong, (RedisModuleCtx *, long long))                                    \
    X(RedisModuleString *, CreateStringPrintf, (RedisModuleCtx *, const char *format, ...))                            \
    X(void, RetainString, (RedisModuleCtx *, RedisModuleString *))                                                     \
    X(void, FreeString, (RedisModuleCtx *, RedisModuleString *))                                                       \
    X(const char *, StringPtrLen, (const RedisModuleString *, size_t *length))                                         \
    X(int, StringCompare, (const RedisModuleString *, const RedisModuleString *))                                      \
    X(int, StringToLongLong, (const RedisModuleString *, long long *))                                                 \
    X(int, StringToStreamID, (const RedisModuleString *, RedisModuleStreamID *))                                       \
    X(int, WrongArity, (RedisModuleCtx *))                                                                             \
    X(int, ReplyWithError, (RedisModuleCtx *, const char *))                                                           \
    X(int, ReplyWithSimpleString, (RedisModuleCtx *, const char *))                                                    \
    X(int, ReplyWithStringBuffer, (RedisModuleCtx *, const char *, size_t))                                            \
    X(int, ReplyWithVerbatimStringType, (RedisModuleCtx *, const char *, size_t, const char *format))                  \
    X(int, ReplyWithLongLong, (RedisModuleCtx *, long long))                                                           \
    X(int, ReplyWithDouble, (RedisModuleCtx *, double))                                                                \
    X(int, ReplyWithBigNumber, (RedisModuleCtx *, const char *, size_t))                                               \
    X(int, ReplyWithBool, (RedisModuleCtx *, int))                                                                     \
    X(int, ReplyWithNull, (RedisModuleCtx *))                                                                          \
    X(int, ReplyWithNullArray, (RedisModuleCtx *))                                                                     \
    X(int, ReplyWithArray, (RedisModuleCtx *, long))                                                                   \
    X(int, ReplyWithMap, (RedisModuleCtx *, long))                                                                     \
    X(int, ReplyWithSet, (RedisModuleCtx *, long))                                                                     \
    X(int, AvoidReplicaTraffic, (void))                                                                                \
    X(int, GetContextFlags, (RedisModuleCtx *))                                                                        \
    X(int, GetSelectedDb, (RedisModuleCtx *))                                                                          \
    X(int, SelectDb, (RedisModuleCtx *, int database))                                                                 \
    X(unsigned long long, GetClientId, (RedisModuleCtx *))                                                             \
    X(int, GetClientInfoById, (void *info, uint64_t client))                                                           \
    X(RedisModuleString *, GetCurrentUserName, (RedisModuleCtx *))                                                     \
    X(RedisModuleUser *, GetModuleUserFromUserName, (RedisModuleString *))                                             \
    X(void, FreeModuleUser, (RedisModuleUser *))                                                                       \
    X(int, ACLCheckKeyPermissions, (RedisModuleUser *, RedisModuleString *key, int flags))                             \
    X(int, ACLCheckCommandPermissions, (RedisModuleUser *, RedisModuleString **argv, int argc))                        \
    X(void, GetRandomHexChars, (char *digits, size_t count))                                                           \
    X(long long, Milliseconds, (void))                                                                                 \
    X(uint64_t, MonotonicMicroseconds, (void))                                                                         \
    X(int, KeyExists, (RedisModuleCtx *, RedisModuleString *))                                                         \
    X(RedisModuleKey *, OpenKey, (RedisModuleCtx *, RedisModuleString *, int mode))                                    \
    X(void, CloseKey, (RedisModuleKey *))                                                                              \
    X(int, GetDbIdFromModuleKey, (RedisModuleKey *))                                                                   \
    X(int, KeyType, (RedisModuleKey *))                                                                                \
    X(size_t, ValueLength, (RedisModuleKey *))                                                                         \
    X(int, GetLRU, (RedisModuleKey *, long long *idle_ms))                                                             \
    X(int, GetLFU, (RedisModuleKey *, long long *frequency))                                                           \
    X(RedisModuleScanCursor *, ScanCursorCreate, (void))                                                               \
    X(void, ScanCursorDestroy, (RedisModuleScanCursor *))                                                              \
    X(int, ScanKey, (RedisModuleKey *, RedisModuleScanCursor *, RedisModuleScanKeyFunc, void *data))                   \
    X(RedisModuleCtx *, GetThreadSafeContext, (RedisModuleBlockedClient *))                                            \
    X(void, FreeThreadSafeContext, (RedisModuleCtx *))                                                                 \
    X(int, ReplyWithCallReply, (RedisModuleCtx *, RedisModuleCallReply *))                                             \
    X(const char *, CallReplyProto, (RedisModuleCallReply *, size_t *length))                                          \
    X(int, HashGet, (RedisModuleKey *, int flags, ...))                                                                \
    X(int, StreamAdd, (RedisModuleKey *, int flags, RedisModuleStreamID *, RedisModuleString **, int64_t fields))      \
    X(int, StreamDelete, (RedisModuleKey *, RedisModuleStreamID *))                                                    \
    X(int, StreamIteratorStart, (RedisModuleKey *, int flags, RedisModuleStreamID *first, RedisModuleStreamID *last))  \
    X(int, StreamIteratorNextID, (RedisModuleKey *, RedisModuleStreamID *, long *fields))                              \
    X(int, StreamIteratorNextField, (RedisModuleKey *, RedisModuleString **field, RedisModuleString **value))          \
    X(char *, StringDMA, (RedisModuleKey *, size_t *length, int mode))                                                 \
    X(RedisModuleCallReply *, Call, (RedisModuleCtx *, const char *command, const char *format, ...))                  \
    X(long long, CallReplyInteger, (RedisModuleCallReply *))                                                           \
    X(int, CallReplyType, (RedisModuleCallReply *))                                                                    \
    X(size_t, CallReplyLength, (RedisModuleCallReply *))                                                               \
    X(RedisModuleCallReply *, CallReplyArrayElement, (RedisModuleCallReply *, size_t position))                        \
    X(const char *, CallReplyStringPtr, (RedisModuleCallReply *, size_t *length))                                      \
    X(void, FreeCallReply, (RedisModuleCallReply *))                                                                   \
    X(int, Replicate, (RedisModuleCtx *, const char *command, const char *format, ...))                                \
    X(void, SetModuleOptions, (RedisModuleCtx *, int options))                                                         \
    X(int, GetServerVersion, (void))                                                                                   \
    X(RedisModuleServerInfoData *, GetServerInfo, (RedisModuleCtx *, const char *section))                             \
    X(const char *, ServerInfoGetFieldC, (RedisModuleServerInfoData *, const char *field))                             \
    X(void, FreeServerInfo, (RedisModuleCtx *, RedisModuleServerInfoData *))                                           \
    X(int, SubscribeToKeyspaceEvents, (RedisModuleCtx *, int types, RedisModuleNotificationFunc))                      \
    X(int, SubscribeToServerEvent, (RedisModuleCtx *, RedisModuleEvent, RedisModuleEventCallback))                     \
    X(RedisModuleBlockedClient *, BlockClient, (RedisModuleCtx *, RedisModuleCmdFunc reply, RedisModuleCmdFunc timeout,\
                                                void (*free_data)(RedisModuleCtx *, void *), long long timeout_ms))    \
    X(RedisModuleBlockedClient *, BlockClientOnKeys,                                                                   \
      (RedisModuleCtx *, RedisModuleCmdFunc reply, RedisModuleCmdFunc timeout,                                         \
       void (*free_data)(RedisModuleCtx *, void *), long long timeout_ms, RedisModuleString **keys, int n, void *data)) \
    X(int, UnblockClient, (RedisModuleBlockedClient *, void *data))                                                    \
    X(void, SetDisconnectCallback, (RedisModuleBlockedClient *, RedisModuleDisconnectFunc))                            \
    X(void *, GetBlockedClientPrivateData, (RedisModuleCtx *))                                                         \
    X(RedisModuleBlockedClient *, GetBlockedClientHandle, (RedisModuleCtx *))                                          \
    X(RedisModuleTimerID, CreateTimer, (RedisModuleCtx *, long long period_ms, RedisModuleTimerProc, void *data))      \
    X(int, StopTimer, (RedisModuleCtx *, RedisModuleTimerID, void **data))                                             \
    X(RedisModuleDict *, CreateDict, (RedisModuleCtx *))                                                               \
    X(void, FreeDict, (RedisModuleCtx *, RedisModuleDict *))                                                           \
    X(uint64_t, DictSize, (RedisModuleDict *))                                                                         \
    X(int, DictSetC, (RedisModuleDict *, void *key, size_t length, void *value))                                       \
    X(int, DictDelC, (RedisModuleDict *, void *key, size_t length, void *old_value))                                   \
    X(void *, DictGetC, (RedisModuleDict *, void *key, size_t length, int *missing))                                   \
    X(void *, DictGet, (RedisModuleDict *, RedisModuleString *key, int *missing))                                      \
    X(int, DictSet, (RedisModuleDict *, RedisModuleString *key, void *value))                                          \
    X(RedisModuleString *, DictNext, (RedisModuleCtx *, RedisModuleDictIter *, void **value))                          \
    X(RedisModuleDictIter *, DictIteratorStartC, (RedisModuleDict *, const char *op, void *key, size_t length))        \
    X(void *, DictNextC, (RedisModuleDictIter *, size_t *length, void **value))                                        \
    X(void, DictIteratorStop, (RedisModuleDictIter *))

/* Functions that came after Redis 7.0: NULL on a server that does not have them. */
#define MODULE_API_OPTIONAL(X)                                                                                         \
    X(int, AddPostNotificationJob, (RedisModuleCtx *, RedisModulePostNotificationJobFunc, void *data,                  \
                                    void (*free_data)(void *)))                                                        \
    X(int, AddACLCategory, (RedisModuleCtx *, const char *category))                                                   \
    X(int, GetModuleOptionsAll, (void))                                                                                \
    X(unsigned int, ClusterKeySlot, (RedisModuleString *key))                                                          \
    X(int, SetCommandACLCategories, (RedisModuleCommand *, const char *categories))

#define MODULE_API_DECLARE(result, name, parameters) extern result(*RedisModule_##name) parameters;
MODULE_API_REQUIRED(MODULE_API_DECLARE)
MODULE_API_OPTIONAL(MODULE_API_DECLARE)
#undef MODULE_API_DECLARE

/* Fills in the functions above. Returns the name of a required one that the server lacks, or NULL. */
const char *module_api_load(RedisModuleCtx *ctx);

#endif
