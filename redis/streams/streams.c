/* The request streams of streams.h. */
#include "streams/streams.h"
#include "slots/stream_waits.h"
#include "streams/own_keys.h"
#include "streams/proofs.h"
#include "streams/stream_memory.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "vstore:"
#define QUERIES_SUFFIX ":queries"
#define POSITION_NAMES 16
#define WORDS_MAX 96 /* more than there are commands and fields */
#define DEFAULT_USER "default"
#define USER_BYTES_MAX 64 /* of a user's name: the sidecar looks at no more */
#define HEAD_FIELDS 4 /* cmd, client, at or after, and proof */
#define WAITER_POSITION 3 /* of the value of client, where there is one */

/* Ids given so far: the sequence numbers of the next ones, so that no two are equal. Only stream_next_id() writes it. */
static uint64_t ids_given;

/* Whether Redis Cluster finds a hash tag in the name: `{`, then `}` with something in between. */
static bool has_hash_tag(const char *name, size_t length) {
    const char *open = memchr(name, '{', length);
    if (open == NULL) return false;
    const char *close = memchr(open, '}', (size_t)(name + length - open));
    return close != NULL && close > open + 1;
}

static RedisModuleString *tagged_key(RedisModuleCtx *ctx, const char *prefix, RedisModuleString *collection,
                                     const char *suffix) {
    size_t length;
    const char *name = RedisModule_StringPtrLen(collection, &length);
    bool tagged = has_hash_tag(name, length);
    size_t size = strlen(prefix) + sizeof("{}") + length + strlen(suffix);
    char *bytes = RedisModule_Alloc(size), *end = bytes;
    end += sprintf(end, "%s%s", prefix, tagged ? "" : "{");
    memcpy(end, name, length); /* binary-safe: a name may hold a NUL, even though the sidecar will refuse it */
    end += length;
    end += sprintf(end, tagged ? "%s" : "}%s", suffix);
    RedisModuleString *stream = RedisModule_CreateString(ctx, bytes, (size_t)(end - bytes));
    RedisModule_Free(bytes);
    return stream;
}

RedisModuleString *stream_of_log(RedisModuleCtx *ctx, RedisModuleString *collection) {
    return tagged_key(ctx, PREFIX, collection, ":log");
}

RedisModuleString *stream_mark_of_parts(RedisModuleCtx *ctx, RedisModuleString *collection) {
    return tagged_key(ctx, PREFIX, collection, ":shards");
}

RedisModuleString *stream_tag_with(RedisModuleString *collection, const char *ending) {
    return tagged_key(NULL, "", collection, ending);
}

RedisModuleString *stream_of_reads(RedisModuleCtx *ctx) {
    return own_key_string(ctx, OWN_QUERIES);
}

void stream_find_log(RedisModuleCtx *ctx, Request *request) {
    const VstoreCommand *command = request->command;
    if (!command->has_collection || command->route == ROUTE_CONTROL || request->count == 0) return;
    request->log = stream_of_log(NULL, request->arguments[0]);
    request->has_log = RedisModule_KeyExists(ctx, request->log);
}

RedisModuleString *stream_of_request(RedisModuleCtx *ctx, const Request *request) {
    if (!request->has_log) return own_key_string(ctx, OWN_CONTROL);
    /* One for all collections, so that the sidecar need not read one for each. */
    if (request->command->route == ROUTE_QUERIES) return stream_of_reads(ctx);
    RedisModule_RetainString(NULL, request->log);
    return request->log;
}

RedisModuleStreamID stream_next_id(void) {
    return (RedisModuleStreamID){.ms = (uint64_t)RedisModule_Milliseconds(), .seq = ++ids_given};
}

static RedisModuleString *id_as_string(RedisModuleStreamID id) {
    return RedisModule_CreateStringPrintf(NULL, "%llu-%llu", (unsigned long long)id.ms, (unsigned long long)id.seq);
}

/* Strings that every entry has, made once: names of fields and commands, known by where their texts are. */
typedef struct {
    const char *text;
    RedisModuleString *string;
} Word;

/* Only kept_word() and position_name() write these. */
static Word kept_words[WORDS_MAX];
static RedisModuleString *position_names[POSITION_NAMES];

/* @param text a constant of the program */
static RedisModuleString *kept_word(const char *text) {
    Word *word = kept_words;
    while (word < kept_words + WORDS_MAX && word->text != NULL && word->text != text) word++;
    if (word == kept_words + WORDS_MAX) return RedisModule_CreateString(NULL, text, strlen(text));
    if (word->text == NULL) *word = (Word){text, RedisModule_CreateString(NULL, text, strlen(text))};
    RedisModule_RetainString(NULL, word->string);
    return word->string;
}

static RedisModuleString *position_name(int position) {
    if (position >= POSITION_NAMES) return RedisModule_CreateStringFromLongLong(NULL, position);
    RedisModuleString **name = &position_names[position];
    if (*name == NULL) *name = RedisModule_CreateStringFromLongLong(NULL, position);
    RedisModule_RetainString(NULL, *name);
    return *name;
}

void streams_close(void) {
    for (Word *word = kept_words; word < kept_words + WORDS_MAX && word->text != NULL; word++) {
        RedisModule_FreeString(NULL, word->string);
        word->text = NULL;
    }
    for (int i = 0; i < POSITION_NAMES; i++) {
        if (position_names[i] != NULL) RedisModule_FreeString(NULL, position_names[i]);
        position_names[i] = NULL;
    }
}

RedisModuleString *stream_end_of_log(RedisModuleCtx *ctx, RedisModuleString *log) {
    RedisModuleString *end = NULL;
    RedisModuleKey *key = RedisModule_OpenKey(ctx, log, REDISMODULE_READ | REDISMODULE_OPEN_KEY_NOTOUCH);
    RedisModuleStreamID id;
    long fields;
    if (RedisModule_StreamIteratorStart(key, REDISMODULE_STREAM_ITERATOR_REVERSE, NULL, NULL) == REDISMODULE_OK &&
        RedisModule_StreamIteratorNextID(key, &id, &fields) == REDISMODULE_OK)
        end = id_as_string(id);
    RedisModule_CloseKey(key); /* stops the iterator too */
    return end;
}

static int add_field(RedisModuleString **fields, int n, const char *name, RedisModuleString *value) {
    fields[n] = kept_word(name);
    fields[n + 1] = value;
    return n + 2;
}

/* The client's id; of a read also the proof, and where the user has another name than "default", that name. */
static RedisModuleString *waiter_name(const Request *request, RedisModuleStreamID id) {
    char text[24 + PROOF_DIGITS + 1 + USER_BYTES_MAX];
    size_t user_length = 0;
    int length = snprintf(text, sizeof(text), "%llu ", request->client);
    if (request->command->route != ROUTE_QUERIES) return RedisModule_CreateString(NULL, text, (size_t)length - 1);
    proof_of(id, text + length);
    length += PROOF_DIGITS;
    const char *user = request->user == NULL ? "" : RedisModule_StringPtrLen(request->user, &user_length);
    if (user_length > USER_BYTES_MAX) user_length = USER_BYTES_MAX;
    bool is_default = user_length == strlen(DEFAULT_USER) && memcmp(user, DEFAULT_USER, user_length) == 0;
    if (user_length == 0 || is_default)
        return RedisModule_CreateString(NULL, text, (size_t)length);
    text[length++] = ' ';
    memcpy(text + length, user, user_length);
    return RedisModule_CreateString(NULL, text, (size_t)length + user_length);
}

/* Adds to a write the time by which it is judged (`at`), to a read the last write that it has to see (`after`). */
static int add_moment(RedisModuleCtx *ctx, RedisModuleString **fields, int n, const Request *request) {
    if (request->command->writes)
        return add_field(fields, n, "at", RedisModule_CreateStringFromLongLong(NULL, RedisModule_Milliseconds()));
    if (!request->has_log || request->is_on_replica) return n;
    RedisModuleString *end = stream_end_of_log(ctx, request->log);
    return end == NULL ? n : add_field(fields, n, "after", end);
}

/* Of a proven write the position of the proof: behind cmd, at, and client where there is one. */
static int proof_position(const Request *request) {
    return request->client != 0 ? 7 : 5;
}

/* The proof of a write: of stream, id, name, time and arguments. */
static RedisModuleString *write_proof(const RequestId *entry, RedisModuleString **fields, const Request *request) {
    char digits[PROOF_DIGITS];
    Proof proof;
    RedisModuleString *id = id_as_string(entry->id);
    proof_begin(&proof);
    proof_add(&proof, entry->stream);
    proof_add(&proof, id);
    proof_add(&proof, fields[1]);
    proof_add(&proof, fields[proof_position(request) - 2]);
    for (int i = 0; i < request->count; i++) proof_add(&proof, request->arguments[i]);
    proof_end(&proof, digits);
    RedisModule_FreeString(NULL, id);
    return RedisModule_CreateString(NULL, digits, PROOF_DIGITS);
}

/* The fields of an entry, names and values in turn, each with a reference of its own. Returns how many strings. */
static int build_fields(RedisModuleCtx *ctx, RedisModuleString **fields, const Request *request, const RequestId *entry) {
    int n = add_field(fields, 0, "cmd", kept_word(request->command->name));
    if (request->client != 0) n = add_field(fields, n, "client", waiter_name(request, entry->id));
    n = add_moment(ctx, fields, n, request);
    if (request->is_proven) n = add_field(fields, n, "proof", write_proof(entry, fields, request));
    for (int i = 0; i < request->count; i++) {
        fields[n++] = position_name(i);
        fields[n++] = request->arguments[i];
        RedisModule_RetainString(NULL, request->arguments[i]);
    }
    return n;
}

static const char *append_error(int code) {
    switch (code) {
    case ENOTSUP: return "WRONGTYPE the key of the request stream holds the wrong kind of value";
    case ERANGE: return "LIMIT the request is larger than a stream entry can be";
    default: return "ERR the request stream cannot take another entry";
    }
}

/*
 * Adds a read under the id after the stream's last one. That is known only once an entry has it, and the proof is of
 * the entry's own id: so one entry comes and goes first. No replica and no count has heard of it.
 */
static int add_read_behind(RedisModuleKey *key, RedisModuleStreamID *id, RedisModuleString **fields, int n,
                           const Request *request) {
    if (RedisModule_StreamAdd(key, REDISMODULE_STREAM_ADD_AUTOID, id, fields, n / 2) != REDISMODULE_OK)
        return REDISMODULE_ERR;
    RedisModule_StreamDelete(key, id);
    if (++id->seq == 0) id->ms++;
    RedisModule_FreeString(NULL, fields[WAITER_POSITION]);
    fields[WAITER_POSITION] = waiter_name(request, *id);
    return RedisModule_StreamAdd(key, 0, id, fields, n / 2);
}

/* The id after the stream's last one; false where the stream does not tell. */
static bool next_of_stream(RedisModuleCtx *ctx, RequestId *entry) {
    static const char last_id[] = "last-generated-id";
    bool found = false;
    RedisModuleCallReply *all = RedisModule_Call(ctx, "XINFO", "cs", "STREAM", entry->stream);
    if (all == NULL) return false;
    for (size_t i = 0; !found && i + 1 < RedisModule_CallReplyLength(all); i += 2) {
        size_t length;
        const char *name = RedisModule_CallReplyStringPtr(RedisModule_CallReplyArrayElement(all, i), &length);
        if (name == NULL || length != strlen(last_id) || memcmp(name, last_id, length) != 0) continue;
        const char *text = RedisModule_CallReplyStringPtr(RedisModule_CallReplyArrayElement(all, i + 1), &length);
        RedisModuleString *last = RedisModule_CreateString(NULL, text, length);
        found = RedisModule_StringToStreamID(last, &entry->id) == REDISMODULE_OK;
        RedisModule_FreeString(NULL, last);
    }
    RedisModule_FreeCallReply(all);
    if (found && ++entry->id.seq == 0) entry->id.ms++;
    return found;
}

/* The same for a proven write. Its log must not count an entry that comes and goes, so the stream is asked. */
static int add_write_behind(RedisModuleCtx *ctx, RedisModuleKey *key, RequestId *entry, RedisModuleString **fields, int n,
                            const Request *request) {
    if (!next_of_stream(ctx, entry)) return REDISMODULE_ERR;
    RedisModuleString **proof = &fields[proof_position(request)];
    RedisModule_FreeString(NULL, *proof);
    *proof = write_proof(entry, fields, request);
    errno = 0;
    return RedisModule_StreamAdd(key, 0, &entry->id, fields, n / 2);
}

static int add_behind(RedisModuleCtx *ctx, RedisModuleKey *key, RequestId *entry, RedisModuleString **fields, int n,
                      const Request *request) {
    if (request->is_proven) return add_write_behind(ctx, key, entry, fields, n, request);
    if (request->client != 0 && request->command->route == ROUTE_QUERIES)
        return add_read_behind(key, &entry->id, fields, n, request);
    return RedisModule_StreamAdd(key, REDISMODULE_STREAM_ADD_AUTOID, &entry->id, fields, n / 2);
}

/*
 * Adds the entry under an id of our clock. A stream that is ahead of it (a producer chose an id, a clock was set back)
 * goes on with its own next id: the ids of one stream say nothing about another.
 */
static const char *add_entry(RedisModuleCtx *ctx, RedisModuleKey *key, RequestId *entry, RedisModuleString **fields,
                             int n, const Request *request) {
    errno = 0;
    int added = RedisModule_StreamAdd(key, 0, &entry->id, fields, n / 2);
    if (added != REDISMODULE_OK && errno == EDOM) added = add_behind(ctx, key, entry, fields, n, request);
    return added == REDISMODULE_OK ? NULL : append_error(errno);
}

static void replicate(RedisModuleCtx *ctx, const RequestId *entry, RedisModuleString **fields, int n) {
    RedisModuleString *id = id_as_string(entry->id);
    RedisModule_Replicate(ctx, "XADD", "ssv", entry->stream, id, fields, (size_t)n);
    RedisModule_FreeString(NULL, id);
}

/*
 * While writes are paused an expired key stays in memory, and Redis reports it as missing. Adding another key of that
 * name would end the Redis process.
 */
static bool is_hidden(RedisModuleCtx *ctx, RedisModuleKey *key, RedisModuleString *stream) {
    return RedisModule_KeyType(key) == REDISMODULE_KEYTYPE_EMPTY && RedisModule_AvoidReplicaTraffic() &&
           stream_memory(ctx, stream) > 0;
}

const char *stream_append(RedisModuleCtx *ctx, RequestId *entry, const Request *request) {
    entry->id = stream_next_id();
    return stream_append_as(ctx, entry, request);
}

const char *stream_append_as(RedisModuleCtx *ctx, RequestId *entry, const Request *request) {
    RedisModuleString **fields = RedisModule_Alloc(sizeof(*fields) * 2 * (size_t)(request->count + HEAD_FIELDS));
    int n = build_fields(ctx, fields, request, entry);
    RedisModuleKey *key = RedisModule_OpenKey(ctx, entry->stream, REDISMODULE_READ | REDISMODULE_WRITE);
    const char *error = is_hidden(ctx, key, entry->stream)
                            ? "TRYAGAIN the request stream has expired, and writes are paused"
                            : add_entry(ctx, key, entry, fields, n, request);
    RedisModule_CloseKey(key);
    if (error == NULL) stream_waits_hear(entry->stream);
    if (error == NULL && request->command->writes) replicate(ctx, entry, fields, n);
    for (int i = 0; i < n; i++) RedisModule_FreeString(NULL, fields[i]);
    RedisModule_Free(fields);
    return error;
}

/* Greater than all before, as in a stream: the clock may be set back. */
static RedisModuleStreamID next_id_of_reads(void) {
    static RedisModuleStreamID last;
    RedisModuleStreamID next = stream_next_id();
    if (next.ms < last.ms) next.ms = last.ms;
    last = next;
    return next;
}

int stream_entry_of_read(RedisModuleCtx *ctx, RequestId *entry, RedisModuleString **fields, const Request *request) {
    entry->id = next_id_of_reads();
    entry->stream = stream_of_reads(NULL);
    return build_fields(ctx, fields, request, entry);
}

void stream_delete(RedisModuleCtx *ctx, const RequestId *request) {
    RedisModuleStreamID id = request->id;
    RedisModuleKey *key = RedisModule_OpenKey(ctx, request->stream, REDISMODULE_READ | REDISMODULE_WRITE);
    RedisModule_StreamDelete(key, &id); /* an error when the entry or the stream is gone already */
    RedisModule_CloseKey(key);
}

bool stream_has(RedisModuleCtx *ctx, const RequestId *request) {
    RedisModuleKey *key = RedisModule_OpenKey(ctx, request->stream, REDISMODULE_READ | REDISMODULE_OPEN_KEY_NOTOUCH);
    RedisModuleStreamID id = request->id;
    long fields;
    bool has = key != NULL && RedisModule_StreamIteratorStart(key, 0, &id, &id) == REDISMODULE_OK &&
               RedisModule_StreamIteratorNextID(key, &id, &fields) == REDISMODULE_OK;
    RedisModule_CloseKey(key); /* stops the iterator too */
    return has;
}

static bool is_queries_stream(const RedisModuleString *stream) {
    size_t length, suffix = strlen(QUERIES_SUFFIX), prefix = strlen(PREFIX);
    const char *name = RedisModule_StringPtrLen(stream, &length);
    if (is_own_key(stream, OWN_QUERIES)) return true;
    return length > prefix + suffix && memcmp(name, PREFIX, prefix) == 0 &&
           memcmp(name + length - suffix, QUERIES_SUFFIX, suffix) == 0;
}

/* Whether the value of an entry's first field, `cmd`, names a command that reads. */
static bool is_read_entry(RedisModuleKey *key) {
    RedisModuleString *field, *value;
    if (RedisModule_StreamIteratorNextField(key, &field, &value) != REDISMODULE_OK) return false;
    const VstoreCommand *command = command_find(RedisModule_StringPtrLen(value, NULL));
    RedisModule_FreeString(NULL, field);
    RedisModule_FreeString(NULL, value);
    return command != NULL && !command->writes;
}

/* Whether the entry of the control stream is there and is a read; a write stays, as it was propagated. */
static bool is_control_read(RedisModuleCtx *ctx, const RequestId *request) {
    RedisModuleKey *key = RedisModule_OpenKey(ctx, request->stream, REDISMODULE_READ);
    if (key == NULL) return false;
    RedisModuleStreamID id = request->id;
    long fields;
    bool is_read = RedisModule_StreamIteratorStart(key, 0, &id, &id) == REDISMODULE_OK &&
                   RedisModule_StreamIteratorNextID(key, &id, &fields) == REDISMODULE_OK && is_read_entry(key);
    RedisModule_CloseKey(key); /* stops the iterator too */
    return is_read;
}

void stream_delete_unknown(RedisModuleCtx *ctx, const RequestId *request) {
    bool is_control = is_own_key(request->stream, OWN_CONTROL);
    if (is_queries_stream(request->stream) || (is_control && is_control_read(ctx, request))) stream_delete(ctx, request);
}
