/* The answers in pieces of answering.h. Only this file writes the list. */
#include "answers/answering.h"
#include "commands/command_table.h"
#include "answers/reply.h"
#include "answers/values.h"

/* How long Redis does nothing else, and how many tokens are written between two looks at the clock. */
#define PIECE_US 1000
#define TOKENS_PER_LOOK 64
/* An answer without values is written at once up to this size. */
#define TOKENS_AT_ONCE_MAX 5000
/* Answers whose values are in memory. */
#define UNDER_WAY_MAX 4

typedef struct Answering {
    Pending *pending;
    /*
     * Writes into the buffer of the blocked client, and reads in its database. A CallReply must not outlive its
     * context.
     */
    RedisModuleCtx *context;
    ValueReader reader;
    Value *values; /* in the order of the `@` */
    size_t value_count, values_read, values_written;
    Resp3Cursor reading;
    ReplyWriter writer;
    struct Answering *next;
} Answering;

static Answering *first, *last;
static bool is_timer_set;

bool answering_is_long(const Resp3Shape *shape) {
    return shape->values > 0 || shape->tokens > TOKENS_AT_ONCE_MAX;
}

static void append(Answering *answering) {
    answering->next = NULL;
    if (first == NULL)
        first = answering;
    else
        last->next = answering;
    last = answering;
}

static void take_fields(Answering *answering, size_t count) {
    ValueReader *reader = &answering->reader;
    Resp3Token token;
    if (*answering->reading.at == '^') resp3_next(&answering->reading, &token);
    reader->field_count = count;
    reader->fields = RedisModule_Calloc(count, sizeof(*reader->fields));
    for (size_t i = 0; i < count; i++) {
        resp3_next(&answering->reading, &token);
        reader->fields[i] = RedisModule_CreateString(NULL, token.text, token.length);
    }
}

void answering_add(Pending *pending, const Resp3Shape *shape) {
    Answering *answering = RedisModule_Calloc(1, sizeof(*answering));
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(pending->answer, &length);
    answering->pending = pending;
    answering->context = RedisModule_GetThreadSafeContext(pending->client);
    answering->reading = (Resp3Cursor){bytes, bytes + length};
    take_fields(answering, shape->fields);
    reply_begin(&answering->writer, answering->reading, pending->command->pairs_depth, pending->to_resp3);
    answering->value_count = shape->values;
    answering->values = RedisModule_Calloc(shape->values, sizeof(*answering->values));
    answering->reader.user_name = pending->user;
    answering->reader.to_resp3 = pending->to_resp3;
    answering->reader.bytes_left = values_bytes_max;
    pending->is_answering = true;
    append(answering);
}

static void release(Answering *answering) {
    ValueReader *reader = &answering->reader;
    for (size_t i = 0; i < answering->value_count; i++) value_free(reader, &answering->values[i]);
    for (size_t i = 0; i < reader->field_count; i++) RedisModule_FreeString(NULL, reader->fields[i]);
    RedisModule_Free(reader->fields);
    RedisModule_Free(answering->values);
    RedisModule_FreeThreadSafeContext(answering->context);
    RedisModule_Free(answering);
}

void answering_cancel(Pending *pending) {
    Answering *before = NULL, *answering = first;
    for (; answering != NULL && answering->pending != pending; answering = answering->next) before = answering;
    if (answering == NULL) return;
    if (before == NULL)
        first = answering->next;
    else
        before->next = answering->next;
    if (last == answering) last = before;
    pending->is_answering = false;
    release(answering);
}

static bool is_over(uint64_t end) {
    return RedisModule_MonotonicMicroseconds() >= end;
}

/* Reads values until the time is over. Returns whether there is nothing left to read. */
static bool read_values(Answering *answering, uint64_t end) {
    ValueReader *reader = &answering->reader;
    Resp3Token token;
    values_begin(reader);
    while (answering->values_read < answering->value_count && reader->refusal[0] == '\0' && !is_over(end)) {
        do resp3_next(&answering->reading, &token);
        while (token.type != '@');
        RedisModuleString *key = RedisModule_CreateString(NULL, token.text, token.length);
        value_read(answering->context, reader, key, &answering->values[answering->values_read++]);
        RedisModule_FreeString(NULL, key);
    }
    values_end(reader);
    return answering->values_read == answering->value_count || reader->refusal[0] != '\0';
}

/* Returns whether it was a value. */
static bool write_token(Answering *answering) {
    if (reply_next(answering->context, &answering->writer)) return false;
    Value *value = &answering->values[answering->values_written++];
    value_reply(answering->context, &answering->reader, value);
    value_free(&answering->reader, value);
    return true;
}

/* Writes until the time is over. Returns whether the whole answer is written. */
static bool write_tokens(Answering *answering, uint64_t end) {
    if (answering->reader.refusal[0] != '\0') {
        RedisModule_ReplyWithError(answering->context, answering->reader.refusal);
        return true;
    }
    for (int i = 1; !reply_is_over(&answering->writer); i++) {
        bool was_value = write_token(answering);
        if ((was_value || i % TOKENS_PER_LOOK == 0) && is_over(end)) return false;
    }
    return true;
}

static void finish(RedisModuleCtx *ctx, Answering *answering) {
    Pending *pending = answering->pending;
    release(answering);
    pending_take(ctx, pending);
    RedisModule_UnblockClient(pending->client, pending);
}

/* Moves the first one behind those that are under way: the next piece is another's. */
static void rotate(void) {
    Answering *moved = first, *before = first;
    for (int i = 1; i < UNDER_WAY_MAX && before->next != NULL; i++) before = before->next;
    if (before == moved) return;
    first = moved->next;
    moved->next = before->next;
    before->next = moved;
    if (last == before) last = moved;
}

/* Gives a piece of the first one. When that finishes it, it leaves the list. */
static void give_piece(RedisModuleCtx *ctx, uint64_t end) {
    Answering *answering = first;
    if (!read_values(answering, end) || !write_tokens(answering, end)) {
        rotate();
        return;
    }
    first = answering->next;
    if (first == NULL) last = NULL;
    finish(ctx, answering);
}

static void on_timer(RedisModuleCtx *ctx, void *data) {
    (void)data;
    is_timer_set = false;
    answering_run(ctx);
}

void answering_run(RedisModuleCtx *ctx) {
    if (first == NULL || is_timer_set) return;
    uint64_t end = RedisModule_MonotonicMicroseconds() + PIECE_US;
    do give_piece(ctx, end);
    while (first != NULL && !is_over(end));
    if (first == NULL) return;
    is_timer_set = true;
    RedisModule_CreateTimer(ctx, 1, on_timer, NULL);
}
