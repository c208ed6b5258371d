/*
 * What a key of the application holds, for SEARCH … WITHVALUES: a string, a hash, or nil for anything else.
 *
 * The module reads it for the caller, so it reads what the caller could: a key that the user may not read gives nil,
 * like one that is not there; a user that may read the key, but not send the command (GET, HGETALL, or HMGET with
 * fields), is told so instead of any value. A value is read within one turn of Redis, so it was whole at that moment.
 */
#ifndef VSTORE_VALUES_H
#define VSTORE_VALUES_H

#include "module_api.h"
#include <stdbool.h>
#include <stddef.h>

/* Both NULL: nil. */
typedef struct {
    RedisModuleCallReply *whole; /* in the protocol of the caller */
    RedisModuleString **fields;  /* the values of the wanted fields; NULL where the hash has none of that name */
} Value;

/* Who reads, what is wanted, and how much it may be. */
typedef struct {
    RedisModuleString *user_name;
    bool to_resp3;
    RedisModuleString **fields; /* of hashes; none: all */
    size_t field_count;
    long long bytes_left; /* of strings, fields and their values */
    char refusal[192];    /* why there is no answer; "" when there is one */
    RedisModuleUser *user; /* between values_begin() and values_end() */
} ValueReader;

/* Called before and after all reading of one turn: users may be changed and deleted in between. */
void values_begin(ValueReader *reader);
void values_end(ValueReader *reader);

/* Sets `value`, or `reader->refusal`. The context must live as long as the value. */
void value_read(RedisModuleCtx *ctx, ValueReader *reader, RedisModuleString *key, Value *value);
void value_reply(RedisModuleCtx *reply, const ValueReader *reader, const Value *value);
void value_free(const ValueReader *reader, Value *value);

#endif
