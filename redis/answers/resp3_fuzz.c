/*
 * Throws damaged values at the reader of resp3.h. Not part of the module: the tests compile it with the address and
 * undefined behaviour sanitizers, which do the judging. Every input lies in a block of exactly its size.
 */
#include "answers/resp3.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUTATIONS_PER_SEED 20000
#define CHANGES_MAX 4

static const char *const seeds[] = {
    "+OK\r\n",
    "-ERR no\r\n",
    ":-9223372036854775808\r\n",
    ",-1.25e-300\r\n",
    ",inf\r\n",
    "#t\r\n",
    "_\r\n",
    "(-123456789012345678901234567890\r\n",
    "$5\r\nab\r\nc\r\n",
    "=7\r\ntxt:abc\r\n",
    "%2\r\n$1\r\na\r\n*3\r\n:1\r\n,2.5\r\n_\r\n+b\r\n~2\r\n#f\r\n*0\r\n",
    "^2\r\n$1\r\na\r\n$0\r\n\r\n*2\r\n$3\r\nkey\r\n@3\r\nkey\r\n",
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*2\r\n$3\r\nxyz\r\n%0\r\n",
};

static uint64_t state = 0x9e3779b97f4a7c15;

/* xorshift64: the same inputs in every run. */
static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Returns whether the reader accepts the bytes; a value that it accepts must also be walked to its very end. */
static bool read_value(const char *bytes, size_t length) {
    char *exact = malloc(length > 0 ? length : 1);
    memcpy(exact, bytes, length);
    Resp3Shape shape;
    bool accepted = resp3_is_answer(exact, length, &shape);
    Resp3Cursor cursor = {exact, exact + length};
    Resp3Token token;
    while (cursor.at < cursor.end && resp3_next(&cursor, &token)) continue;
    if (accepted && cursor.at != cursor.end) abort();
    free(exact);
    return accepted;
}

static void truncate_everywhere(const char *seed, size_t length) {
    if (!read_value(seed, length)) abort();
    for (size_t shorter = 0; shorter < length; shorter++)
        if (read_value(seed, shorter)) abort();
}

static long mutate(const char *seed, size_t length) {
    static const char interesting[] = "+-:,#_$*%~(=@^>|\r\n0123456789et";
    long accepted = 0;
    char copy[256];
    for (int i = 0; i < MUTATIONS_PER_SEED; i++) {
        memcpy(copy, seed, length);
        for (uint64_t changes = 1 + next_random() % CHANGES_MAX; changes > 0; changes--) {
            uint64_t random = next_random();
            char byte = random & 1 ? interesting[(random >> 8) % (sizeof(interesting) - 1)] : (char)(random >> 16);
            copy[(random >> 32) % length] = byte;
        }
        accepted += read_value(copy, length);
    }
    return accepted;
}

int main(void) {
    long accepted = 0;
    for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
        truncate_everywhere(seeds[i], strlen(seeds[i]));
        accepted += mutate(seeds[i], strlen(seeds[i]));
    }
    printf("%zu mutations, %ld accepted\n", sizeof(seeds) / sizeof(*seeds) * MUTATIONS_PER_SEED, accepted);
    return 0;
}
