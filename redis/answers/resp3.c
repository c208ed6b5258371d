/* The reader of resp3.h. Grammar: the RESP3 specification, without its streamed and pushed types and attributes. */
#include "answers/resp3.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the longest number that is read: no int64 or double needs more. */
#define NUMBER_BYTES_MAX 63
#define PLAIN_DIGITS_MAX 18

/* The shortest value, "_\r\n". An aggregate that promises more than the rest can hold is refused at its header. */
#define VALUE_BYTES_MIN 3

/* Copies a number to where strtoll and strtod find an end. */
static bool copy_number(const Resp3Token *token, char copy[NUMBER_BYTES_MAX + 1], const char *allowed) {
    if (token->length == 0 || token->length > NUMBER_BYTES_MAX) return false;
    memcpy(copy, token->text, token->length);
    copy[token->length] = '\0';
    return strspn(copy, allowed) == token->length;
}

/* Digits alone, few enough for any int64: nearly all numbers of an answer are such lengths, and strtoll is slow. */
static bool parse_plain(Resp3Token *token) {
    if (token->length == 0 || token->length > PLAIN_DIGITS_MAX) return false;
    long long value = 0;
    for (size_t i = 0; i < token->length; i++) {
        if (token->text[i] < '0' || token->text[i] > '9') return false;
        value = value * 10 + (token->text[i] - '0');
    }
    token->integer = value;
    return true;
}

static bool parse_integer(Resp3Token *token) {
    if (parse_plain(token)) return true;
    char copy[NUMBER_BYTES_MAX + 1], *end;
    if (!copy_number(token, copy, "+-0123456789")) return false;
    errno = 0;
    token->integer = strtoll(copy, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool parse_size(Resp3Token *token) {
    return token->text[0] != '+' && parse_integer(token) && token->integer >= 0;
}

static bool parse_double(Resp3Token *token) {
    char copy[NUMBER_BYTES_MAX + 1], *end;
    /* The letters of "inf" and "nan" beside those of a number: strtod refuses whatever else they spell. */
    if (!copy_number(token, copy, "+-.0123456789eEinfa")) return false;
    token->real = strtod(copy, &end);
    return *end == '\0';
}

static bool parse_bool(Resp3Token *token) {
    token->integer = token->text[0] == 't';
    return token->length == 1 && (token->text[0] == 't' || token->text[0] == 'f');
}

static bool is_big_number(const Resp3Token *token) {
    size_t at = token->length > 0 && (token->text[0] == '-' || token->text[0] == '+');
    if (at == token->length) return false;
    for (; at < token->length; at++)
        if (token->text[at] < '0' || token->text[at] > '9') return false;
    return true;
}

/* A line goes into a C string: it holds neither a NUL nor half a line end. */
static bool is_plain(const Resp3Token *token) {
    return memchr(token->text, '\0', token->length) == NULL && memchr(token->text, '\r', token->length) == NULL;
}

/* Reads the payload that a `$`, `=` or `@` header announces. */
static bool read_payload(Resp3Cursor *cursor, Resp3Token *token) {
    if (!parse_size(token)) return false;
    size_t rest = (size_t)(cursor->end - cursor->at);
    if (rest < 2 || (unsigned long long)token->integer > rest - 2) return false;
    token->text = cursor->at;
    token->length = (size_t)token->integer;
    cursor->at += token->length + 2;
    return memcmp(token->text + token->length, "\r\n", 2) == 0;
}

/* Reads a line without its end, which a type of one byte precedes. */
static bool read_line(Resp3Cursor *cursor, Resp3Token *token) {
    if (cursor->at == cursor->end) return false;
    token->type = *cursor->at++;
    token->text = cursor->at;
    const char *feed = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
    if (feed == NULL || feed == token->text || feed[-1] != '\r') return false;
    token->length = (size_t)(feed - 1 - token->text);
    cursor->at = feed + 1;
    return true;
}

bool resp3_next(Resp3Cursor *cursor, Resp3Token *token) {
    if (!read_line(cursor, token)) return false;
    switch (token->type) {
    case '+': return is_plain(token);
    case '-': return token->length > 0 && is_plain(token);
    case ':': return parse_integer(token);
    case ',': return parse_double(token);
    case '#': return parse_bool(token);
    case '_': return token->length == 0;
    case '(': return is_big_number(token);
    case '$':
    case '@': return read_payload(cursor, token);
    /* "txt:" or the like stands before the text. */
    case '=': return read_payload(cursor, token) && token->length >= 4 && token->text[3] == ':';
    case '*':
    case '%':
    case '~':
    case '^': return parse_size(token);
    default: return false;
    }
}

static bool is_aggregate(const Resp3Token *token) {
    return strchr("*%~", token->type) != NULL;
}

size_t resp3_children(const Resp3Token *token) {
    if (!is_aggregate(token)) return 0;
    return (size_t)token->integer * (token->type == '%' ? 2 : 1);
}

/* Whether `rest` bytes can hold as many values as the header promises. */
static bool can_hold_children(const Resp3Token *token, size_t rest) {
    return !is_aggregate(token) || (unsigned long long)token->integer <= rest / VALUE_BYTES_MIN / (token->type == '%' ? 2 : 1);
}

/* Moves the cursor behind the fields that may come first. Returns whether they are whole. */
static bool skip_fields(Resp3Cursor *cursor, size_t *fields) {
    Resp3Token token;
    *fields = 0;
    if (cursor->at == cursor->end || *cursor->at != '^') return true;
    if (!resp3_next(cursor, &token)) return false;
    for (long long i = 0; i < token.integer; i++, (*fields)++) {
        Resp3Token field;
        if (!resp3_next(cursor, &field) || field.type != '$') return false;
    }
    return true;
}

bool resp3_is_answer(const char *bytes, size_t length, Resp3Shape *shape) {
    Resp3Cursor cursor = {bytes, bytes + length};
    size_t missing[RESP3_DEPTH_MAX + 1] = {1}; /* values still to come, per level */
    int depth = 0;
    *shape = (Resp3Shape){0};
    if (!skip_fields(&cursor, &shape->fields)) return false;
    while (depth > 0 || missing[0] > 0) {
        if (missing[depth] == 0) {
            depth--;
            continue;
        }
        Resp3Token token;
        if (!resp3_next(&cursor, &token) || token.type == '^') return false;
        if (!can_hold_children(&token, (size_t)(cursor.end - cursor.at))) return false;
        shape->tokens++;
        shape->values += token.type == '@';
        missing[depth]--;
        bool aggregate = is_aggregate(&token);
        if (aggregate && ++depth > RESP3_DEPTH_MAX) return false;
        if (aggregate) missing[depth] = resp3_children(&token);
    }
    return cursor.at == cursor.end;
}
