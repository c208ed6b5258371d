/* The accounts of stream_memory.h. They are a cache: what is forgotten is measured again. */
#include "streams/stream_memory.h"

/* Forgets the streams of collections that were dropped; twice the streams of the most collections there can be. */
#define ACCOUNTS_MAX 4096
/* Measuring a stream may take one part in so many of Redis' time. */
#define MEASURE_SHARE 20
/* Estimated on the high side, which only means that a stream is measured sooner. */
#define ENTRY_BYTES 128
#define ARGUMENT_BYTES 16
#define ALLOCATOR_SHARE 4 /* jemalloc rounds up by at most one part in so many */

typedef struct {
    long long bytes;       /* as measured, and what was appended since */
    uint64_t measured_at;  /* monotonic microseconds */
    uint64_t measuring_us; /* how long that took */
} Account;

long long stream_bytes_max;

static RedisModuleDict *accounts;

void stream_memory_open(void) {
    accounts = RedisModule_CreateDict(NULL);
}

void stream_memory_close(void) {
    void *account;
    RedisModuleDictIter *all = RedisModule_DictIteratorStartC(accounts, "^", NULL, 0);
    while (RedisModule_DictNextC(all, NULL, &account) != NULL) RedisModule_Free(account);
    RedisModule_DictIteratorStop(all);
    RedisModule_FreeDict(NULL, accounts);
}

/* SAMPLES 0 counts all nodes. A sample would miss a few large requests among many small ones. */
long long stream_memory(RedisModuleCtx *ctx, RedisModuleString *stream) {
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "MEMORY", "cscl", "USAGE", stream, "SAMPLES", 0LL);
    long long bytes = reply == NULL ? 0 : RedisModule_CallReplyInteger(reply);
    if (reply != NULL) RedisModule_FreeCallReply(reply);
    return bytes > 0 ? bytes : 0; /* no integer: there is no such stream */
}

static void measure(RedisModuleCtx *ctx, RedisModuleString *stream, Account *account) {
    uint64_t start = RedisModule_MonotonicMicroseconds();
    account->bytes = stream_memory(ctx, stream);
    account->measured_at = RedisModule_MonotonicMicroseconds();
    account->measuring_us = account->measured_at - start;
}

static bool may_measure(const Account *account) {
    uint64_t age_us = RedisModule_MonotonicMicroseconds() - account->measured_at;
    return age_us >= MEASURE_SHARE * account->measuring_us;
}

static Account *find_account(RedisModuleString *stream) {
    size_t length;
    const char *name = RedisModule_StringPtrLen(stream, &length);
    return RedisModule_DictGetC(accounts, (void *)name, length, NULL);
}

static Account *open_account(RedisModuleCtx *ctx, RedisModuleString *stream) {
    if (RedisModule_DictSize(accounts) >= ACCOUNTS_MAX) {
        stream_memory_close();
        stream_memory_open();
    }
    size_t length;
    const char *name = RedisModule_StringPtrLen(stream, &length);
    Account *account = RedisModule_Calloc(1, sizeof(*account));
    RedisModule_DictSetC(accounts, (void *)name, length, account);
    measure(ctx, stream, account);
    return account;
}

bool stream_is_full(RedisModuleCtx *ctx, RedisModuleString *stream) {
    Account *account = find_account(stream);
    if (account == NULL) account = open_account(ctx, stream);
    if (account->bytes >= stream_bytes_max && may_measure(account)) measure(ctx, stream, account);
    return account->bytes >= stream_bytes_max;
}

void stream_has_grown(RedisModuleString *stream, RedisModuleString **arguments, int count) {
    Account *account = find_account(stream);
    long long bytes = ENTRY_BYTES;
    for (int i = 0; i < count; i++) {
        size_t length;
        RedisModule_StringPtrLen(arguments[i], &length);
        bytes += ARGUMENT_BYTES + (long long)length;
    }
    account->bytes += bytes + bytes / ALLOCATOR_SHARE;
}
