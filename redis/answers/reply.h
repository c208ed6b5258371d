/* Answers a client with one RESP3 value. */
#ifndef VSTORE_REPLY_H
#define VSTORE_REPLY_H

#include "module_api.h"
#include "answers/resp3.h"
#include <stdbool.h>

/*
 * Where an answer is being written. Redis translates it for a RESP2 client, as it does a map into a flat array.
 * `pairs_depth` says at which level an array of pairs becomes such a flat array too; 0: at none.
 */
typedef struct {
    Resp3Cursor cursor;
    int pairs_depth;
    bool to_resp3;
    bool holds_pairs; /* the array at the level above that of the pairs does */
    int depth;
    size_t missing[RESP3_DEPTH_MAX + 1]; /* values still to come, per level */
} ReplyWriter;

/* The cursor is at a value that resp3_is_answer() has accepted. */
void reply_begin(ReplyWriter *writer, Resp3Cursor cursor, int pairs_depth, bool to_resp3);
bool reply_is_over(const ReplyWriter *writer);
/* Writes one token. Returns false where it is `@`: the caller puts the value there. */
bool reply_next(RedisModuleCtx *ctx, ReplyWriter *writer);

/* Writes all of an answer without values. */
void reply_with_resp3(RedisModuleCtx *ctx, RedisModuleString *value, int pairs_depth);

#endif
