/* What Unicode says of a character, as far as its canonical forms and white space need it; Hangul by arithmetic. */
#ifndef VSTORE_UNICODE_H
#define VSTORE_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The character at the beginning of the bytes, and how many it takes; of 0 bytes where they are no well-formed UTF-8.
 */
typedef struct {
    uint32_t code;
    size_t bytes;
} Character;

/* There must be one byte at least. */
Character unicode_read(const char *bytes, size_t length);
/* Returns how many bytes it has written, 4 at most. */
size_t unicode_write(uint32_t code, char *bytes);

/* Canonical combining class: 0 for every character that begins a new one for the reader. */
unsigned unicode_class(uint32_t code);
/* The one or two characters that it is made of; false where it is made of itself alone. `second` is 0 for none. */
bool unicode_parts(uint32_t code, uint32_t *first, uint32_t *second);
/* The character that NFC has for these two, or 0. */
uint32_t unicode_composed(uint32_t first, uint32_t second);
/* Whether NFC keeps it, and puts it on no character before it (NFC_Quick_Check and class 0 in the standard's words). */
bool unicode_is_steady(uint32_t code);
/* Of the property White_Space. */
bool unicode_is_space(uint32_t code);

#endif
