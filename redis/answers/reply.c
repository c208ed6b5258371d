/* Passes the tokens of resp3.h to Redis' reply functions. */
#include "answers/reply.h"

/* For the two functions that want a C string. */
static void reply_with_line(RedisModuleCtx *ctx, const Resp3Token *token,
                            int (*reply)(RedisModuleCtx *, const char *)) {
    RedisModuleString *line = RedisModule_CreateString(ctx, token->text, token->length);
    reply(ctx, RedisModule_StringPtrLen(line, NULL));
    RedisModule_FreeString(ctx, line);
}

/*
 * A RESP2 client gets the digits that the sidecar wrote, as Redis 7.0 would print 0.232 as 0.23200000000000001; in
 * RESP3 it is a number all the same.
 */
static void reply_with_double(RedisModuleCtx *ctx, const Resp3Token *token, bool to_resp3) {
    if (to_resp3)
        RedisModule_ReplyWithDouble(ctx, token->real);
    else
        RedisModule_ReplyWithStringBuffer(ctx, token->text, token->length);
}

/* The text of a verbatim string follows three letters of format and a colon. */
static void reply_with_verbatim(RedisModuleCtx *ctx, const Resp3Token *token) {
    RedisModule_ReplyWithVerbatimStringType(ctx, token->text + 4, token->length - 4, token->text);
}

static void reply_with_token(RedisModuleCtx *ctx, const Resp3Token *token, bool to_resp3) {
    switch (token->type) {
    case '+': reply_with_line(ctx, token, RedisModule_ReplyWithSimpleString); break;
    case '-': reply_with_line(ctx, token, RedisModule_ReplyWithError); break;
    case ':': RedisModule_ReplyWithLongLong(ctx, token->integer); break;
    case ',': reply_with_double(ctx, token, to_resp3); break;
    case '#': RedisModule_ReplyWithBool(ctx, token->integer != 0); break;
    case '_': RedisModule_ReplyWithNull(ctx); break;
    case '(': RedisModule_ReplyWithBigNumber(ctx, token->text, token->length); break;
    case '$': RedisModule_ReplyWithStringBuffer(ctx, token->text, token->length); break;
    case '=': reply_with_verbatim(ctx, token); break;
    case '*': RedisModule_ReplyWithArray(ctx, (long)token->integer); break;
    case '%': RedisModule_ReplyWithMap(ctx, (long)token->integer); break;
    case '~': RedisModule_ReplyWithSet(ctx, (long)token->integer); break;
    }
}

/* Pairs are either all there or none is: results without details are no pairs. */
static bool holds_pairs(const Resp3Token *token, const Resp3Cursor *rest) {
    return token->type == '*' && rest->at < rest->end && *rest->at == '*';
}

void reply_begin(ReplyWriter *writer, Resp3Cursor cursor, int pairs_depth, bool to_resp3) {
    *writer = (ReplyWriter){.cursor = cursor, .pairs_depth = pairs_depth, .to_resp3 = to_resp3, .missing = {1}};
}

bool reply_is_over(const ReplyWriter *writer) {
    return writer->cursor.at >= writer->cursor.end;
}

bool reply_next(RedisModuleCtx *ctx, ReplyWriter *writer) {
    Resp3Token token;
    resp3_next(&writer->cursor, &token);
    while (writer->missing[writer->depth] == 0) writer->depth--;
    writer->missing[writer->depth]--;
    if (token.type == '@') return false;
    /* A map tells what its arrays are, and their pairs stay pairs. */
    if (writer->depth == 0 && token.type == '%') writer->pairs_depth = 0;
    bool flattens = !writer->to_resp3 && writer->pairs_depth > 0;
    bool is_above = flattens && writer->depth == writer->pairs_depth - 1;
    bool is_pair = flattens && writer->depth == writer->pairs_depth && writer->holds_pairs && token.type == '*';
    if (is_above) writer->holds_pairs = holds_pairs(&token, &writer->cursor);
    if (is_above && writer->holds_pairs)
        RedisModule_ReplyWithArray(ctx, (long)token.integer * 2);
    else if (!is_pair)
        reply_with_token(ctx, &token, writer->to_resp3);
    if (resp3_children(&token) > 0) writer->missing[++writer->depth] = resp3_children(&token);
    return true;
}

void reply_with_resp3(RedisModuleCtx *ctx, RedisModuleString *value, int pairs_depth) {
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(value, &length);
    bool to_resp3 = RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_RESP3;
    ReplyWriter writer;
    reply_begin(&writer, (Resp3Cursor){bytes, bytes + length}, pairs_depth, to_resp3);
    while (!reply_is_over(&writer)) reply_next(ctx, &writer);
}
