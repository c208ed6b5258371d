/*
 * The command of stream_reads.h. Each stream is read by Redis' own XREAD, so the answer is the same to the byte. A wait
 * is for the keys, of which Redis says itself when one of them has an entry.
 */
#include "streams/stream_reads.h"
#include "sidecar/leadership.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define WAIT_MS_MAX 60000
#define WORDS_UNBLOCKED 4 /* the command's name, COUNT, n, STREAMS */
#define WORDS_BLOCKED 6

typedef struct {
    RedisModuleString *count, **streams, **ids;
    int n;
    long long wait_ms; /* 0: not at all */
} Xread;

static bool is_word(const RedisModuleString *argument, const char *word) {
    return strcasecmp(RedisModule_StringPtrLen(argument, NULL), word) == 0;
}

static bool parse(RedisModuleString **argv, int argc, Xread *read) {
    memset(read, 0, sizeof(*read));
    if (argc < WORDS_UNBLOCKED || !is_word(argv[1], "COUNT")) return false;
    bool waits = argc > WORDS_BLOCKED && is_word(argv[3], "BLOCK");
    int first = waits ? WORDS_BLOCKED : WORDS_UNBLOCKED;
    if (waits && (RedisModule_StringToLongLong(argv[4], &read->wait_ms) != REDISMODULE_OK || read->wait_ms < 1 ||
                  read->wait_ms > WAIT_MS_MAX))
        return false;
    if (!is_word(argv[first - 1], "STREAMS") || argc == first || (argc - first) % 2 != 0) return false;
    read->count = argv[2];
    read->n = (argc - first) / 2;
    read->streams = argv + first;
    read->ids = argv + first + read->n;
    return true;
}

static void free_answers(RedisModuleCallReply **answers, int n) {
    for (int i = 0; i < n; i++)
        if (answers[i] != NULL) RedisModule_FreeCallReply(answers[i]);
    RedisModule_Free(answers);
}

static int reply_with_failure(RedisModuleCtx *ctx, int why) {
    if (why == EPERM)
        return RedisModule_ReplyWithError(ctx, "ELSEWHERE the slot of a stream is not of this node of the cluster");
    return RedisModule_ReplyWithError(ctx, "CLUSTERDOWN the cluster is down");
}

/* Replies with what the streams have and returns true; or, where they have nothing, returns false. */
static bool reply_with_entries(RedisModuleCtx *ctx, const Xread *read) {
    RedisModuleCallReply **answers = RedisModule_Calloc((size_t)read->n, sizeof(*answers));
    int found = 0, at = 0;
    bool is_done = false;
    for (; at < read->n && !is_done; at++) {
        errno = 0;
        answers[at] = RedisModule_Call(ctx, "XREAD", "cscss", "COUNT", read->count, "STREAMS", read->streams[at],
                                       read->ids[at]);
        int type = answers[at] == NULL ? REDISMODULE_REPLY_ERROR : RedisModule_CallReplyType(answers[at]);
        found += type == REDISMODULE_REPLY_ARRAY;
        is_done = type == REDISMODULE_REPLY_ERROR;
        if (answers[at] == NULL) reply_with_failure(ctx, errno);
        else if (is_done) RedisModule_ReplyWithCallReply(ctx, answers[at]);
    }
    if (!is_done && found > 0) {
        is_done = true;
        RedisModule_ReplyWithArray(ctx, found);
        for (int i = 0; i < at; i++)
            if (RedisModule_CallReplyType(answers[i]) == REDISMODULE_REPLY_ARRAY)
                RedisModule_ReplyWithCallReply(ctx, RedisModule_CallReplyArrayElement(answers[i], 0));
    }
    free_answers(answers, read->n);
    return is_done;
}

/* One of the streams has changed. With REDISMODULE_ERR the client goes on waiting. */
static int on_changed(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    Xread read;
    return parse(argv, argc, &read) && reply_with_entries(ctx, &read) ? REDISMODULE_OK : REDISMODULE_ERR;
}

static int on_time_over(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    return RedisModule_ReplyWithNullArray(ctx);
}

int xread_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    Xread read;
    if (!leadership_is_for(ctx)) return RedisModule_ReplyWithError(ctx, "NOPERM only a user that may lead may read logs");
    if (!parse(argv, argc, &read))
        return RedisModule_ReplyWithError(ctx, "ERR expected COUNT <n> [BLOCK <ms>] STREAMS <stream> ... <id> ...");
    if (reply_with_entries(ctx, &read)) return REDISMODULE_OK;
    int forbidden = REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_LUA | REDISMODULE_CTX_FLAGS_DENY_BLOCKING;
    if (read.wait_ms == 0 || RedisModule_GetContextFlags(ctx) & forbidden) return RedisModule_ReplyWithNullArray(ctx);
    RedisModule_BlockClientOnKeys(ctx, on_changed, on_time_over, NULL, read.wait_ms, read.streams, read.n, NULL);
    return REDISMODULE_OK;
}
