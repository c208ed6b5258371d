/*
 * The prompts of prompts.h. A character and the marks on it are taken apart, the marks sorted, and put together again,
 * as UAX #15 has it; what cannot change goes on as it is.
 */
#include "prompts/prompts.h"
#include "prompts/unicode.h"
#include <string.h>

/* On one character, taken apart. Sorting them takes the square of it; the standard's own bound for streams is 30. */
#define MARKS_MAX 32
#define OUT_BYTES 256

typedef struct {
    uint32_t code;
    unsigned class;
} Mark;

typedef struct {
    KeyDigest *digest;
    char out[OUT_BYTES];
    size_t out_bytes;
    bool is_begun;      /* a word was written */
    bool is_after_space;
    bool has_starter;
    uint32_t starter;   /* not written yet: marks may change it */
    Mark marks[MARKS_MAX];
    int mark_count;
} Writer;

static void write_out(Writer *writer) {
    key_digest_add(writer->digest, writer->out, writer->out_bytes);
    writer->out_bytes = 0;
}

static void write_code(Writer *writer, uint32_t code) {
    if (unicode_is_space(code)) {
        writer->is_after_space = writer->is_begun;
        return;
    }
    if (writer->out_bytes + 5 > OUT_BYTES) write_out(writer);
    if (writer->is_after_space) writer->out[writer->out_bytes++] = ' ';
    writer->is_after_space = false;
    writer->is_begun = true;
    writer->out_bytes += unicode_write(code, writer->out + writer->out_bytes);
}

/* Puts the marks into their order and on the character before them. Those that stay go on beside it. */
static void settle_marks(Writer *writer) {
    Mark *marks = writer->marks;
    int kept = 0;
    for (int i = 1; i < writer->mark_count; i++) {
        Mark mark = marks[i];
        int to = i;
        for (; to > 0 && marks[to - 1].class > mark.class; to--) marks[to] = marks[to - 1];
        marks[to] = mark;
    }
    for (int i = 0; i < writer->mark_count; i++) {
        bool is_blocked = !writer->has_starter || (kept > 0 && marks[kept - 1].class >= marks[i].class);
        uint32_t both = is_blocked ? 0 : unicode_composed(writer->starter, marks[i].code);
        if (both != 0) writer->starter = both;
        else marks[kept++] = marks[i];
    }
    writer->mark_count = kept;
}

static void write_settled(Writer *writer) {
    if (writer->has_starter) write_code(writer, writer->starter);
    for (int i = 0; i < writer->mark_count; i++) write_code(writer, writer->marks[i].code);
    writer->has_starter = false;
    writer->mark_count = 0;
}

/* Of settled marks: settling them twice could put one on a character that another has made. */
static void begin_with(Writer *writer, uint32_t code) {
    write_settled(writer);
    writer->has_starter = true;
    writer->starter = code;
}

/* A character that has no parts. False where there are too many marks. */
static bool take_whole(Writer *writer, uint32_t code) {
    unsigned class = unicode_class(code);
    if (class != 0) {
        if (writer->mark_count == MARKS_MAX) return false;
        writer->marks[writer->mark_count++] = (Mark){code, class};
        return true;
    }
    settle_marks(writer);
    bool is_next = writer->has_starter && writer->mark_count == 0;
    uint32_t both = is_next ? unicode_composed(writer->starter, code) : 0;
    if (both != 0) writer->starter = both;
    else begin_with(writer, code);
    return true;
}

static bool take(Writer *writer, uint32_t code) {
    uint32_t first, second;
    if (!unicode_parts(code, &first, &second)) return take_whole(writer, code);
    return take(writer, first) && (second == 0 || take(writer, second));
}

/* `is_steady`: it and the character behind it. It is what it is then; any other is taken apart. */
static bool take_next(Writer *writer, uint32_t code, bool is_steady) {
    if (!is_steady) return take(writer, code);
    settle_marks(writer);
    begin_with(writer, code);
    return true;
}

/* Returns false where the bytes are no text that can be taken. `differs` tells whether the earlier rule may differ. */
static bool take_all(Writer *writer, const char *bytes, size_t length, bool *differs) {
    uint32_t code = ' '; /* counts for nothing at the beginning */
    bool is_steady = true;
    for (size_t at = 0; at < length;) {
        Character next = unicode_read(bytes + at, length - at);
        if (next.bytes == 0) return false;
        at += next.bytes;
        bool is_next_steady = unicode_is_steady(next.code);
        if (!is_next_steady || (next.code >= 0x80 && unicode_is_space(next.code))) *differs = true;
        if (!take_next(writer, code, is_steady && is_next_steady)) return false;
        code = next.code;
        is_steady = is_next_steady;
    }
    if (!take_next(writer, code, is_steady)) return false;
    settle_marks(writer);
    write_settled(writer);
    write_out(writer);
    return true;
}

bool prompt_add(KeyDigest *digest, const char *bytes, size_t length) {
    KeyDigest before = *digest;
    Writer writer = {.digest = digest};
    bool differs = false;
    if (take_all(&writer, bytes, length, &differs)) return differs;
    *digest = before;
    prompt_add_formerly(digest, bytes, length);
    return false;
}

static bool is_space(char byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

void prompt_add_formerly(KeyDigest *digest, const char *bytes, size_t length) {
    const char *at = bytes, *end = at + length;
    while (at < end && is_space(*at)) at++;
    while (at < end) {
        const char *word = at;
        while (at < end && !is_space(*at)) at++;
        key_digest_add(digest, word, (size_t)(at - word));
        while (at < end && is_space(*at)) at++;
        if (at < end) key_digest_add(digest, " ", 1);
    }
}
