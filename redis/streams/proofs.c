/*
 * The proofs of proofs.h: HalfSipHash-2-4 (Aumasson and Bernstein, https://github.com/veorq/SipHash) with a result of
 * 64 bits. Its words have 32 bits, so that the sidecar computes it as cheaply in JavaScript.
 */
#include "streams/proofs.h"
#include <stdio.h>

#define KEY_DIGITS 16

static char key_digits[KEY_DIGITS + 1];
static uint32_t key[2];

static uint32_t rotated(uint32_t word, int bits) {
    return word << bits | word >> (32 - bits);
}

static void mix(Proof *s, int rounds) {
    while (rounds-- > 0) {
        s->a += s->b;
        s->c += s->d;
        s->b = rotated(s->b, 5) ^ s->a;
        s->d = rotated(s->d, 8) ^ s->c;
        s->a = rotated(s->a, 16) + s->d;
        s->c += s->b;
        s->d = rotated(s->d, 7) ^ s->a;
        s->b = rotated(s->b, 13) ^ s->c;
        s->c = rotated(s->c, 16);
    }
}

static void take(Proof *s, uint32_t word) {
    s->d ^= word;
    mix(s, 2);
    s->a ^= word;
}

static void begin(Proof *s) {
    *s = (Proof){key[0], key[1] ^ 0xee, key[0] ^ 0x6c796765, key[1] ^ 0x74656462, 0};
}

/* The last word, and the digits of the result. */
static void end(Proof *s, uint32_t last, char digits[PROOF_DIGITS]) {
    uint32_t result[2];
    take(s, last);
    s->c ^= 0xee;
    mix(s, 4);
    result[0] = s->b ^ s->d;
    s->b ^= 0xdd;
    mix(s, 4);
    result[1] = s->b ^ s->d;
    for (int i = 0; i < PROOF_DIGITS; i++) digits[i] = "0123456789abcdef"[result[i / 8] >> (28 - 4 * (i % 8)) & 15];
}

void proofs_open(void) {
    RedisModule_GetRandomHexChars(key_digits, KEY_DIGITS);
    sscanf(key_digits, "%8x%8x", &key[0], &key[1]);
}

const char *proofs_key(void) {
    return key_digits;
}

/* Of the id's 16 bytes, least significant first. */
void proof_of(RedisModuleStreamID id, char digits[PROOF_DIGITS]) {
    Proof s;
    begin(&s);
    take(&s, (uint32_t)id.ms);
    take(&s, (uint32_t)(id.ms >> 32));
    take(&s, (uint32_t)id.seq);
    take(&s, (uint32_t)(id.seq >> 32));
    end(&s, (uint32_t)sizeof(id) << 24, digits);
}

void proof_begin(Proof *proof) {
    begin(proof);
}

static void add_word(Proof *proof, uint32_t word) {
    take(proof, word);
    proof->words++;
}

/* Its length, and then its bytes in words, the last one filled up with zeros. */
void proof_add(Proof *proof, const RedisModuleString *part) {
    size_t length;
    const unsigned char *bytes = (const unsigned char *)RedisModule_StringPtrLen(part, &length);
    add_word(proof, (uint32_t)length);
    if (length > PROVEN_BYTES_MAX) length = PROVEN_BYTES_MAX;
    for (size_t at = 0; at < length; at += 4) {
        uint32_t word = 0;
        for (size_t i = at; i < at + 4 && i < length; i++) word |= (uint32_t)bytes[i] << 8 * (i - at);
        add_word(proof, word);
    }
}

void proof_end(Proof *proof, char digits[PROOF_DIGITS]) {
    end(proof, proof->words << 24, digits);
}
