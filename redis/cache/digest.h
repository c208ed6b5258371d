/*
 * Two digests. That of a key names an entry of a cache by its scope and its question, so nobody may be able to find
 * another question with the same one: half of a SHA-256 (FIPS 180-4). That of a value only tells whether a string is
 * still the one that was stored, and is taken of every answer, so it is fast and 64 bits long.
 */
#ifndef VSTORE_DIGEST_H
#define VSTORE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define KEY_DIGEST_CHARS 32
#define VALUE_DIGEST_CHARS 16

typedef struct {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} KeyDigest;

void key_digest_begin(KeyDigest *digest);
void key_digest_add(KeyDigest *digest, const void *bytes, size_t length);
/* The length comes first, so that no two lists of parts are alike. */
void key_digest_add_part(KeyDigest *digest, const void *bytes, size_t length);
/* Lower-case hexadecimal digits and a NUL. */
void key_digest_end(KeyDigest *digest, char text[KEY_DIGEST_CHARS + 1]);

void value_digest(const char *bytes, size_t length, char text[VALUE_DIGEST_CHARS + 1]);

#endif
