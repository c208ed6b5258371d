/*
 * Proofs that an entry is the module's own, by a key that only this process and the sidecar that leads know.
 *
 * Any client that may XADD to the stream of reads can claim that another one waits, and name its user. The proof of a
 * read is a code of the entry's id. An id occurs once in a stream and an entry never changes, so the proof of one entry
 * is of no use in another.
 *
 * Any client that may XADD to the log of a cache can name values of it. The proof of a write of a cache is a code of
 * stream, id, time and words: a log may lose its last entries in a crash, and then gives their ids again.
 */
#ifndef VSTORE_PROOFS_H
#define VSTORE_PROOFS_H

#include "module_api.h"
#include <stdint.h>

#define PROOF_DIGITS 16
/* Of each word of a write: the words that name values are not longer. */
#define PROVEN_BYTES_MAX 1024

/* The proof of a write, while it is made. */
typedef struct {
    uint32_t a, b, c, d, words;
} Proof;

/* Draws the key. It lives as long as the clients that can wait: no restart and no other server knows it. */
void proofs_open(void);

/* The key in hexadecimal digits, for the sidecar. */
const char *proofs_key(void);

/* Writes the digits of the proof for this id, without an end. */
void proof_of(RedisModuleStreamID id, char digits[PROOF_DIGITS]);

/* The same for a write: its parts are added one after the other. */
void proof_begin(Proof *proof);
void proof_add(Proof *proof, const RedisModuleString *part);
void proof_end(Proof *proof, char digits[PROOF_DIGITS]);

#endif
