/* The characters of unicode.h. The tables are from the standard (UAX #15); so is the arithmetic of Hangul (3.12). */
#include "prompts/unicode.h"
#include <stdlib.h>

typedef struct {
    uint32_t code, first, second;
} Mapping;
typedef struct {
    uint32_t first, last, class;
} Run;

#include "prompts/unicode_tables.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
/* Characters before the one and from the other on are steady. */
#define TABLED_MIN 0x300u
#define TABLED_MAX 0x30000u

enum { hangul_base = 0xac00, lead_base = 0x1100, vowel_base = 0x1161, tail_base = 0x11a7 };
enum { leads = 19, vowels = 21, tails = 28, hanguls = leads * vowels * tails };

/* Made of the tables when the first of them is needed: by the two parts, and which characters are not steady. */
static Mapping by_parts[COUNT(composed)];
static unsigned char unsteady[TABLED_MAX / 8];
static bool is_ready;

Character unicode_read(const char *bytes, size_t length) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)bytes;
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf8 ? 4 : 0;
    if (size == 1) return (Character){at[0], 1};
    if (size == 0 || size > length) return (Character){0, 0};
    uint32_t code = at[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) return (Character){0, 0};
        code = code << 6 | (at[i] & 0x3fu);
    }
    bool is_sound = code >= least[size] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return (Character){code, is_sound ? size : 0};
}

size_t unicode_write(uint32_t code, char *bytes) {
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(marks[size] | code);
    return size;
}

static int parts_compared(const void *a, const void *b) {
    const Mapping *one = a, *other = b;
    if (one->first != other->first) return one->first < other->first ? -1 : 1;
    return one->second == other->second ? 0 : one->second < other->second ? -1 : 1;
}

static int codes_compared(const void *a, const void *b) {
    const Mapping *one = a, *other = b;
    return one->code == other->code ? 0 : one->code < other->code ? -1 : 1;
}

static int run_compared(const void *code, const void *run) {
    const Run *range = run;
    uint32_t wanted = *(const uint32_t *)code;
    return wanted < range->first ? -1 : wanted > range->last ? 1 : 0;
}

static void mark_unsteady(uint32_t first, uint32_t last) {
    for (uint32_t code = first; code <= last && code < TABLED_MAX; code++)
        unsteady[code / 8] |= (unsigned char)(1 << code % 8);
}

static void prepare(void) {
    for (size_t i = 0; i < COUNT(composed); i++) {
        by_parts[i] = composed[i];
        mark_unsteady(composed[i].second, composed[i].second);
    }
    qsort(by_parts, COUNT(by_parts), sizeof(*by_parts), parts_compared);
    for (size_t i = 0; i < COUNT(replaced); i++) mark_unsteady(replaced[i].code, replaced[i].code);
    for (size_t i = 0; i < COUNT(runs); i++) mark_unsteady(runs[i].first, runs[i].last);
    mark_unsteady(vowel_base, vowel_base + vowels - 1);
    mark_unsteady(tail_base + 1, tail_base + tails - 1);
    is_ready = true;
}

bool unicode_is_steady(uint32_t code) {
    if (code < TABLED_MIN || code >= TABLED_MAX) return true;
    if (!is_ready) prepare();
    return (unsteady[code / 8] & 1 << code % 8) == 0;
}

unsigned unicode_class(uint32_t code) {
    const Run *run = bsearch(&code, runs, COUNT(runs), sizeof(*runs), run_compared);
    return run != NULL ? run->class : 0;
}

bool unicode_parts(uint32_t code, uint32_t *first, uint32_t *second) {
    if (code >= hangul_base && code < hangul_base + hanguls) {
        uint32_t at = code - hangul_base, tail = at % tails;
        *first = tail != 0 ? code - tail : lead_base + at / (vowels * tails);
        *second = tail != 0 ? tail_base + tail : vowel_base + at % (vowels * tails) / tails;
        return true;
    }
    Mapping wanted = {.code = code};
    const Mapping *found = bsearch(&wanted, composed, COUNT(composed), sizeof(*composed), codes_compared);
    if (found == NULL) found = bsearch(&wanted, replaced, COUNT(replaced), sizeof(*replaced), codes_compared);
    if (found == NULL) return false;
    *first = found->first;
    *second = found->second;
    return true;
}

uint32_t unicode_composed(uint32_t first, uint32_t second) {
    if (first - lead_base < leads && second - vowel_base < vowels)
        return hangul_base + ((first - lead_base) * vowels + second - vowel_base) * tails;
    bool is_open = first - hangul_base < hanguls && (first - hangul_base) % tails == 0;
    if (is_open && second > tail_base && second < tail_base + tails) return first + second - tail_base;
    if (!is_ready) prepare();
    Mapping wanted = {.first = first, .second = second};
    const Mapping *found = bsearch(&wanted, by_parts, COUNT(by_parts), sizeof(*by_parts), parts_compared);
    return found != NULL ? found->code : 0;
}

bool unicode_is_space(uint32_t code) {
    if (code < 0x80) return code == ' ' || (code >= '\t' && code <= '\r');
    if (code >= 0x2000 && code <= 0x200a) return true;
    return code == 0x85 || code == 0xa0 || code == 0x1680 || code == 0x2028 || code == 0x2029 || code == 0x202f ||
           code == 0x205f || code == 0x3000;
}
