/*
 * What counts of a prompt: its characters in the form NFC, without white space at its ends, and with one space for any
 * other white space. So a question is the same whichever system it was typed on; every client has the one rule.
 */
#ifndef VSTORE_PROMPTS_H
#define VSTORE_PROMPTS_H

#include "cache/digest.h"
#include <stdbool.h>

/*
 * Adds what counts of it. Bytes that are no UTF-8, or have more marks on one character than any language, count by the
 * rule of earlier versions. Returns whether that one may make another digest.
 */
bool prompt_add(KeyDigest *digest, const char *bytes, size_t length);
/* The rule of earlier versions: only white space of ASCII counts as such, and characters as their bytes. */
void prompt_add_formerly(KeyDigest *digest, const char *bytes, size_t length);

#endif
