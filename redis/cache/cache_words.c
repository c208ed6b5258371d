/* The words of cache_words.h. */
#include "cache/cache_words.h"
#include "cache/digest.h"
#include "commands/command_table.h"
#include "prompts/prompts.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct {
    const char *bytes;
    size_t length;
} Part;

static Part part_of(const RedisModuleString *string) {
    Part part;
    part.bytes = RedisModule_StringPtrLen(string, &part.length);
    return part;
}

static bool is_word(const RedisModuleString *argument, const char *word) {
    Part part = part_of(argument);
    return part.length == strlen(word) && strcasecmp(part.bytes, word) == 0;
}

/* Reads the number of values at `at`, each of so many words, that the arguments must have. */
static bool read_count(RedisModuleString **arguments, int count, int at, int width, int *values) {
    long long number;
    if (at >= count || RedisModule_StringToLongLong(arguments[at], &number) != REDISMODULE_OK) return false;
    if (number < 1 || number > (count - at - 1) / width) return false;
    *values = (int)number;
    return true;
}

/* Returns the position after the vector, or 0. */
static int read_vector(RedisModuleString **arguments, int count, CacheWords *words) {
    if (count < 3) return 0;
    if (is_word(arguments[1], "FP32")) {
        words->vector = 2;
        words->vector_count = 1;
        return 3;
    }
    if (!is_word(arguments[1], "VALUES") || !read_count(arguments, count, 2, 1, &words->vector_count)) return 0;
    words->vector = 3;
    return 3 + words->vector_count;
}

static bool read_ttl(const RedisModuleString *argument, CacheWords *words) {
    long long seconds;
    if (RedisModule_StringToLongLong(argument, &seconds) != REDISMODULE_OK) return false;
    if (seconds < 1 || seconds > ttl_seconds_max) return false;
    words->ttl_ms = seconds * 1000;
    return true;
}

static bool take_once(int *position, int at) {
    if (*position != 0) return false;
    *position = at;
    return true;
}

static bool is_id(const RedisModuleString *argument) {
    size_t length = part_of(argument).length;
    return length > 0 && length <= cache_id_bytes_max;
}

/* Returns the position after the option, or 0. */
static int read_option(RedisModuleString **arguments, int count, int at, CacheWords *words) {
    const RedisModuleString *word = arguments[at];
    int ignored;
    if (is_word(word, "SCOPE")) {
        if (words->scope != 0 || !read_count(arguments, count, at + 1, 2, &words->scope_fields)) return 0;
        words->scope = at + 2;
        return words->scope + 2 * words->scope_fields;
    }
    if (is_word(word, "TAGS"))
        return read_count(arguments, count, at + 1, 1, &ignored) ? at + 2 + ignored : 0;
    if (at + 1 >= count) return 0;
    if (is_word(word, "VALUE")) return take_once(&words->value, at + 1) ? at + 2 : 0;
    if (is_word(word, "PROMPT") && part_of(arguments[at + 1]).length > cache_prompt_bytes_max) return 0;
    if (is_word(word, "PROMPT")) return take_once(&words->prompt, at + 1) ? at + 2 : 0;
    if (is_word(word, "ID")) return is_id(arguments[at + 1]) && take_once(&words->id, at + 1) ? at + 2 : 0;
    if (is_word(word, "EX")) return words->ttl_ms == 0 && read_ttl(arguments[at + 1], words) ? at + 2 : 0;
    if (is_word(word, "WITHIN") || is_word(word, "VERIFY") || is_word(word, "COST")) return at + 2;
    return 0;
}

bool cache_words_read(RedisModuleString **arguments, int count, CacheWords *words) {
    *words = (CacheWords){0};
    int at = read_vector(arguments, count, words);
    while (at > 0 && at < count) at = read_option(arguments, count, at, words);
    return at == count;
}

static int by_bytes(const void *a, const void *b) {
    return RedisModule_StringCompare(**(RedisModuleString ***)a, **(RedisModuleString ***)b);
}

/* The fields of a scope count in the order of their names: a client may give them in any. */
static void add_scope(KeyDigest *digest, RedisModuleString **arguments, const CacheWords *words) {
    RedisModuleString ***fields = RedisModule_Alloc(sizeof(*fields) * (size_t)(words->scope_fields + 1));
    for (int i = 0; i < words->scope_fields; i++) fields[i] = &arguments[words->scope + 2 * i];
    qsort(fields, (size_t)words->scope_fields, sizeof(*fields), by_bytes);
    for (int i = 0; i < words->scope_fields; i++) {
        Part field = part_of(fields[i][0]), value = part_of(fields[i][1]);
        key_digest_add_part(digest, field.bytes, field.length);
        key_digest_add_part(digest, value.bytes, value.length);
    }
    RedisModule_Free(fields);
}

static RedisModuleString *text_of(KeyDigest *digest) {
    char text[KEY_DIGEST_CHARS + 1];
    key_digest_end(digest, text);
    return RedisModule_CreateString(NULL, text, KEY_DIGEST_CHARS);
}

RedisModuleString *cache_words_digest(RedisModuleString **arguments, const CacheWords *words, RedisModuleString **former) {
    KeyDigest digest, formerly;
    key_digest_begin(&digest);
    add_scope(&digest, arguments, words);
    key_digest_add_part(&digest, words->prompt != 0 ? "prompt" : "vector", strlen("prompt"));
    *former = NULL;
    for (int i = 0; words->prompt == 0 && i < words->vector_count; i++) {
        Part number = part_of(arguments[words->vector + i]);
        key_digest_add_part(&digest, number.bytes, number.length);
    }
    if (words->prompt == 0) return text_of(&digest);
    Part prompt = part_of(arguments[words->prompt]);
    formerly = digest;
    bool may_differ = prompt_add(&digest, prompt.bytes, prompt.length);
    RedisModuleString *text = text_of(&digest);
    if (!may_differ) return text;
    prompt_add_formerly(&formerly, prompt.bytes, prompt.length);
    *former = text_of(&formerly);
    if (RedisModule_StringCompare(text, *former) != 0) return text;
    RedisModule_FreeString(NULL, *former);
    *former = NULL;
    return text;
}
