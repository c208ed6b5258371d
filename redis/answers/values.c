/* The values of values.h. */
#include "answers/values.h"
#include "callers.h"
#include "commands/command_table.h"
#include <stdio.h>

/* Bytes around each string of a reply, at least: "$1\r\n" and "\r\n". */
#define PROTOCOL_BYTES 6

static void refuse_size(ValueReader *reader) {
    snprintf(reader->refusal, sizeof(reader->refusal),
             "LIMIT the values of the results are more than %lld bytes; ask for fewer results, or for FIELDS of them",
             values_bytes_max);
}

static void refuse_fields(ValueReader *reader) {
    snprintf(reader->refusal, sizeof(reader->refusal),
             "LIMIT a hash among the results has more than %zu fields; name those that are wanted with FIELDS",
             value_hash_fields_max);
}

static void refuse_user(ValueReader *reader, const char *command) {
    snprintf(reader->refusal, sizeof(reader->refusal),
             "NOPERM WITHVALUES shows what the user may read by itself, and this user may not send %s", command);
}

void values_begin(ValueReader *reader) {
    reader->user = reader->user_name == NULL ? NULL : RedisModule_GetModuleUserFromUserName(reader->user_name);
}

void values_end(ValueReader *reader) {
    if (reader->user != NULL) RedisModule_FreeModuleUser(reader->user);
    reader->user = NULL;
}

static bool is_refused(const ValueReader *reader) {
    return reader->refusal[0] != '\0';
}

static size_t length_of(const RedisModuleString *string) {
    size_t length;
    RedisModule_StringPtrLen(string, &length);
    return length;
}

static void spend(ValueReader *reader, size_t bytes) {
    reader->bytes_left -= (long long)bytes;
    if (reader->bytes_left < 0) refuse_size(reader);
}

/* Whether the command's answer may be shown. Refuses the whole answer where only the command is forbidden. */
static bool is_allowed(ValueReader *reader, const char *command, RedisModuleString *key) {
    RedisModuleString *field = reader->field_count > 0 && command[1] == 'M' ? reader->fields[0] : NULL;
    if (reader->user == NULL) return false;
    if (caller_may_send(reader->user, command, key, field)) return true;
    if (caller_may_read(reader->user, key)) refuse_user(reader, command);
    return false;
}

/* Runs as the server itself: what the caller may see is decided above. */
static RedisModuleCallReply *call(RedisModuleCtx *ctx, ValueReader *reader, const char *command, RedisModuleString *key) {
    return RedisModule_Call(ctx, command, reader->to_resp3 ? "3s" : "s", key);
}

static void read_string(RedisModuleCtx *ctx, ValueReader *reader, RedisModuleString *key, size_t length, Value *value) {
    if (!is_allowed(reader, "GET", key)) return;
    spend(reader, length);
    if (!is_refused(reader)) value->whole = call(ctx, reader, "GET", key);
}

static void add_lengths(RedisModuleKey *key, RedisModuleString *field, RedisModuleString *value, void *sum) {
    (void)key;
    *(size_t *)sum += length_of(field) + (value == NULL ? 0 : length_of(value));
}

/* Counts no further than what is left. */
static size_t measure(RedisModuleCtx *ctx, RedisModuleString *name, long long left) {
    size_t sum = 0;
    RedisModuleKey *hash = RedisModule_OpenKey(ctx, name, REDISMODULE_READ);
    RedisModuleScanCursor *cursor = RedisModule_ScanCursorCreate();
    while (hash != NULL && RedisModule_ScanKey(hash, cursor, add_lengths, &sum) && (long long)sum <= left) continue;
    RedisModule_ScanCursorDestroy(cursor);
    RedisModule_CloseKey(hash);
    return sum;
}

/* Whether the hash is small enough to be copied: the memory that it takes says so at once, or its bytes are counted. */
static bool fits(RedisModuleCtx *ctx, const ValueReader *reader, RedisModuleString *name) {
    RedisModuleCallReply *usage = RedisModule_Call(ctx, "MEMORY", "cscl", "USAGE", name, "SAMPLES", 0LL);
    long long bytes = usage == NULL ? -1 : RedisModule_CallReplyInteger(usage);
    if (usage != NULL) RedisModule_FreeCallReply(usage);
    if (bytes >= 0 && bytes <= reader->bytes_left) return true;
    return (long long)measure(ctx, name, reader->bytes_left) <= reader->bytes_left;
}

static void read_hash(RedisModuleCtx *ctx, ValueReader *reader, RedisModuleString *name, size_t fields, Value *value) {
    size_t length = 0, protocol = 2 * fields * PROTOCOL_BYTES;
    if (!is_allowed(reader, "HGETALL", name)) return;
    if (fields > value_hash_fields_max)
        refuse_fields(reader);
    else if (!fits(ctx, reader, name))
        refuse_size(reader);
    if (is_refused(reader)) return;
    value->whole = call(ctx, reader, "HGETALL", name);
    if (value->whole != NULL) RedisModule_CallReplyProto(value->whole, &length);
    spend(reader, length > protocol ? length - protocol : 0);
    if (value->whole != NULL && RedisModule_CallReplyLength(value->whole) == 0) value_free(reader, value);
}

static void read_fields(ValueReader *reader, RedisModuleString *name, RedisModuleKey *hash, Value *value) {
    if (!is_allowed(reader, "HMGET", name)) return;
    value->fields = RedisModule_Calloc(reader->field_count, sizeof(*value->fields));
    for (size_t i = 0; i < reader->field_count && !is_refused(reader); i++) {
        RedisModule_HashGet(hash, REDISMODULE_HASH_NONE, reader->fields[i], &value->fields[i], NULL);
        size_t length = value->fields[i] == NULL ? 0 : length_of(value->fields[i]);
        spend(reader, length_of(reader->fields[i]) + length);
    }
}

/* Nothing else may be called while the key is open: it may expire, and Redis would free it. */
void value_read(RedisModuleCtx *ctx, ValueReader *reader, RedisModuleString *name, Value *value) {
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ);
    int type = RedisModule_KeyType(key);
    size_t length = RedisModule_ValueLength(key);
    if (type == REDISMODULE_KEYTYPE_HASH && reader->field_count > 0) read_fields(reader, name, key, value);
    RedisModule_CloseKey(key);
    if (type == REDISMODULE_KEYTYPE_STRING) read_string(ctx, reader, name, length, value);
    if (type == REDISMODULE_KEYTYPE_HASH && reader->field_count == 0) read_hash(ctx, reader, name, length, value);
}

static void reply_with_string(RedisModuleCtx *reply, const RedisModuleString *string) {
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(string, &length);
    RedisModule_ReplyWithStringBuffer(reply, bytes, length);
}

void value_reply(RedisModuleCtx *reply, const ValueReader *reader, const Value *value) {
    if (value->whole != NULL) {
        RedisModule_ReplyWithCallReply(reply, value->whole);
    } else if (value->fields != NULL) {
        RedisModule_ReplyWithMap(reply, (long)reader->field_count);
        for (size_t i = 0; i < reader->field_count; i++) {
            reply_with_string(reply, reader->fields[i]);
            if (value->fields[i] == NULL)
                RedisModule_ReplyWithNull(reply);
            else
                reply_with_string(reply, value->fields[i]);
        }
    } else {
        RedisModule_ReplyWithNull(reply);
    }
}

void value_free(const ValueReader *reader, Value *value) {
    if (value->whole != NULL) RedisModule_FreeCallReply(value->whole);
    for (size_t i = 0; value->fields != NULL && i < reader->field_count; i++)
        if (value->fields[i] != NULL) RedisModule_FreeString(NULL, value->fields[i]);
    RedisModule_Free(value->fields);
    *value = (Value){0};
}
