/* The digests of digest.h. */
#include "cache/digest.h"
#include <stdio.h>
#include <string.h>

#define ROUNDS 64
#define BLOCK_BYTES 64
/* Of a block: what is left of it for the message's length. */
#define LENGTH_AT 56

static const uint32_t round_constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turned(uint32_t word, int bits) {
    return word >> bits | word << (32 - bits);
}

static void expand(const unsigned char *block, uint32_t words[ROUNDS]) {
    for (int i = 0; i < 16; i++)
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
                   block[4 * i + 3];
    for (int i = 16; i < ROUNDS; i++) {
        uint32_t near = words[i - 2], far = words[i - 15];
        uint32_t small = turned(far, 7) ^ turned(far, 18) ^ far >> 3;
        uint32_t large = turned(near, 17) ^ turned(near, 19) ^ near >> 10;
        words[i] = words[i - 16] + small + words[i - 7] + large;
    }
}

static void take_block(KeyDigest *digest, const unsigned char *block) {
    uint32_t words[ROUNDS], v[8];
    expand(block, words);
    memcpy(v, digest->state, sizeof(v));
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t chosen = (v[4] & v[5]) ^ (~v[4] & v[6]), most = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        uint32_t first = v[7] + (turned(v[4], 6) ^ turned(v[4], 11) ^ turned(v[4], 25)) + chosen + round_constants[i] + words[i];
        uint32_t second = (turned(v[0], 2) ^ turned(v[0], 13) ^ turned(v[0], 22)) + most;
        memmove(v + 1, v, 7 * sizeof(*v));
        v[4] += first;
        v[0] = first + second;
    }
    for (int i = 0; i < 8; i++) digest->state[i] += v[i];
}

void key_digest_begin(KeyDigest *digest) {
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(digest->state, start, sizeof(start));
    digest->bytes = 0;
}

void key_digest_add(KeyDigest *digest, const void *bytes, size_t length) {
    const unsigned char *at = bytes;
    size_t used = digest->bytes % BLOCK_BYTES;
    digest->bytes += length;
    while (length > 0) {
        size_t taken = length < BLOCK_BYTES - used ? length : BLOCK_BYTES - used;
        memcpy(digest->block + used, at, taken);
        at += taken;
        length -= taken;
        used += taken;
        if (used < BLOCK_BYTES) return;
        take_block(digest, digest->block);
        used = 0;
    }
}

void key_digest_add_part(KeyDigest *digest, const void *bytes, size_t length) {
    uint64_t size = length;
    key_digest_add(digest, &size, sizeof(size));
    key_digest_add(digest, bytes, length);
}

void key_digest_end(KeyDigest *digest, char text[KEY_DIGEST_CHARS + 1]) {
    uint64_t bits = digest->bytes * 8;
    unsigned char length[8], byte = 0x80;
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)(bits >> (56 - 8 * i));
    do {
        key_digest_add(digest, &byte, 1);
        byte = 0;
    } while (digest->bytes % BLOCK_BYTES != LENGTH_AT);
    key_digest_add(digest, length, sizeof(length));
    for (int i = 0; i < KEY_DIGEST_CHARS / 8; i++) snprintf(text + 8 * i, 9, "%08x", digest->state[i]);
}

/* Each word is multiplied before the next one comes, so that no two orders of the same words are alike. */
static uint64_t mixed(uint64_t sum, uint64_t word) {
    sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
    return sum ^ sum >> 29;
}

void value_digest(const char *bytes, size_t length, char text[VALUE_DIGEST_CHARS + 1]) {
    uint64_t sum = mixed(0x6a09e667f3bcc909ULL, length), word = 0;
    for (; length >= sizeof(word); bytes += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        sum = mixed(sum, word);
    }
    word = 0;
    memcpy(&word, bytes, length);
    sum = mixed(mixed(sum, word), 0);
    snprintf(text, VALUE_DIGEST_CHARS + 1, "%016llx", (unsigned long long)sum);
}
