/* The writes of acknowledgement.h, by stream and id, in order. */
#include "waits/acknowledgement.h"
#include "sidecar/followers.h"
#include "waits/waits.h"
#include <string.h>

#define ID_BYTES 16

static RedisModuleDict *awaiting;

void acknowledgement_open(void) {
    awaiting = RedisModule_CreateDict(NULL);
}

void acknowledgement_close(void) {
    RedisModule_FreeDict(NULL, awaiting);
}

static void put_big_endian(unsigned char *at, uint64_t number) {
    for (int i = 0; i < 8; i++) at[i] = (unsigned char)(number >> (8 * (7 - i)));
}

/* The stream's name, and the id so that it sorts as a number. The caller frees it. */
static unsigned char *key_of(const RedisModuleString *stream, RedisModuleStreamID id, size_t *length) {
    size_t name_length;
    const char *name = RedisModule_StringPtrLen(stream, &name_length);
    unsigned char *key = RedisModule_Alloc(name_length + ID_BYTES);
    memcpy(key, name, name_length);
    put_big_endian(key + name_length, id.ms);
    put_big_endian(key + name_length + 8, id.seq);
    *length = name_length + ID_BYTES;
    return key;
}

void acknowledgement_expect(Pending *pending) {
    size_t length;
    unsigned char *key = key_of(pending->request.stream, pending->request.id, &length);
    RedisModule_DictSetC(awaiting, key, length, pending);
    RedisModule_Free(key);
    pending->awaits_followers = true;
}

void acknowledgement_forget(Pending *pending) {
    if (!pending->awaits_followers) return;
    pending->awaits_followers = false;
    size_t length;
    unsigned char *key = key_of(pending->request.stream, pending->request.id, &length);
    /* A stream that was deleted may have given the id again. */
    if (RedisModule_DictGetC(awaiting, key, length, NULL) == pending)
        RedisModule_DictDelC(awaiting, key, length, NULL);
    RedisModule_Free(key);
}

int acknowledgement_count(const Pending *pending) {
    return __builtin_popcount(pending->acknowledged & followers_in_step());
}

bool acknowledgement_is_awaited(const Pending *pending) {
    return pending->awaits_followers && acknowledgement_count(pending) < followers_needed();
}

/* Those of one stream up to an id, or with NULL all, in an array that the caller frees. */
static Pending **list(const RequestId *position, size_t *count) {
    Pending **all = RedisModule_Calloc((size_t)RedisModule_DictSize(awaiting) + 1, sizeof(*all));
    size_t length = 0, end_length = 0;
    unsigned char *begin = NULL, *end = NULL;
    if (position != NULL) {
        begin = key_of(position->stream, (RedisModuleStreamID){0, 0}, &length);
        end = key_of(position->stream, position->id, &end_length);
    }
    RedisModuleDictIter *each = RedisModule_DictIteratorStartC(awaiting, begin == NULL ? "^" : ">=", begin, length);
    const void *key;
    void *pending;
    *count = 0;
    while ((key = RedisModule_DictNextC(each, &length, &pending)) != NULL) {
        if (end != NULL && memcmp(key, end, length < end_length ? length : end_length) > 0) break;
        all[(*count)++] = pending;
    }
    RedisModule_DictIteratorStop(each);
    RedisModule_Free(begin);
    RedisModule_Free(end);
    return all;
}

void acknowledgement_note(RedisModuleCtx *ctx, int follower, const RequestId *position) {
    if (RedisModule_DictSize(awaiting) == 0) return;
    size_t count;
    Pending **all = list(position, &count);
    for (size_t i = 0; i < count; i++) {
        Pending *pending = all[i];
        if (RedisModule_StringCompare(pending->request.stream, position->stream) != 0) continue;
        pending->acknowledged |= 1u << follower;
        if (pending->is_held && !acknowledgement_is_awaited(pending)) request_release(ctx, pending);
    }
    RedisModule_Free(all);
}

void acknowledgement_forget_follower(int follower) {
    size_t count;
    Pending **all = list(NULL, &count);
    for (size_t i = 0; i < count; i++) all[i]->acknowledged &= ~(1u << follower);
    RedisModule_Free(all);
}

void acknowledgement_review(RedisModuleCtx *ctx) {
    size_t count;
    Pending **all = list(NULL, &count);
    for (size_t i = 0; i < count; i++)
        if (all[i]->is_held && !acknowledgement_is_awaited(all[i])) request_release(ctx, all[i]);
    RedisModule_Free(all);
}
