/*
 * A reader of RESP3, for the one value that answers a request. It allocates nothing, knows nothing of Redis and
 * trusts nothing: the bytes come from another process.
 *
 * A value is a flat sequence of tokens (a map of two pairs is its header and four values), and Redis' reply functions
 * take just such a sequence. So a value is checked as a whole by resp3_is_answer(), then walked with resp3_next(),
 * which needs no recursion.
 *
 * Two tokens are not RESP3's. `@<length>` and the bytes of a key stand for what that key holds in Redis: the module
 * puts it there. `^<n>` and n bulk strings may come before the value: the wanted fields of hashes. Without them all
 * fields are.
 */
#ifndef VSTORE_RESP3_H
#define VSTORE_RESP3_H

#include <stdbool.h>
#include <stddef.h>

/* Aggregates (arrays, maps, sets) inside one another. */
#define RESP3_DEPTH_MAX 32

typedef struct {
    const char *at;
    const char *end;
} Resp3Cursor;

typedef struct {
    char type;         /* one of + - : , # _ $ * % ~ ( = @ ^ */
    const char *text;  /* what follows the type or, for $, = and @, the payload; not terminated */
    size_t length;     /* bytes of text */
    long long integer; /* : the number, # 0 or 1, * % ~ ^ the number of elements (a pair counts as one) */
    double real;       /* , */
} Resp3Token;

/* Reads one token and moves the cursor behind it. Returns false when the bytes at the cursor are not a whole one. */
bool resp3_next(Resp3Cursor *cursor, Resp3Token *token);

/* How many values follow the token and belong to it: those of an aggregate; a pair of a map counts as two. */
size_t resp3_children(const Resp3Token *token);

/* How much there is of an answer. */
typedef struct {
    size_t tokens; /* of the value, headers included */
    size_t values; /* `@` among them */
    size_t fields; /* of the `^` before it */
} Resp3Shape;

/* Whether the bytes are exactly one value, nested at most RESP3_DEPTH_MAX levels, with or without fields before it. */
bool resp3_is_answer(const char *bytes, size_t length, Resp3Shape *shape);

#endif
