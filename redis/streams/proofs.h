/*
 * Proofs that an entry is the module's own: any client that may XADD to the stream of reads can claim that another one
 * waits, and name its user. A proof is a code of the entry's id, by a key that only this process and the sidecar that
 * leads know. An id occurs once in a stream and an entry never changes, so the proof of one entry is of no use in
 * another.
 */
#ifndef VSTORE_PROOFS_H
#define VSTORE_PROOFS_H

#include "module_api.h"

#define PROOF_DIGITS 16

/* Draws the key. It lives as long as the clients that can wait: no restart and no other server knows it. */
void proofs_open(void);

/* The key in hexadecimal digits, for the sidecar. */
const char *proofs_key(void);

/* Writes the digits of the proof for this id, without an end. */
void proof_of(RedisModuleStreamID id, char digits[PROOF_DIGITS]);

#endif
