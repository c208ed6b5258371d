/*
 * The answer of CACHE.GET. The sidecar names some entries, the best one first. The module answers with the first whose
 * value is still the one that was stored, as the caller's ACL has it, and otherwise with nil: a miss.
 */
#ifndef VSTORE_CACHE_ANSWERS_H
#define VSTORE_CACHE_ANSWERS_H

#include "module_api.h"

/* Entries whose value had gone or changed; for INFO. */
extern long long cache_values_gone;

/* Answers with what the sidecar has sent: bytes that resp3_is_answer() has accepted. `user` may be NULL. */
int cache_answer(RedisModuleCtx *ctx, RedisModuleString *bytes, RedisModuleString *user);

/* The string that the key holds, if it has the digest; NULL otherwise. The caller frees it. */
RedisModuleCallReply *cache_read_value(RedisModuleCtx *ctx, RedisModuleString *key, const char *digest);

#endif
