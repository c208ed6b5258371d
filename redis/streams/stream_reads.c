/*
 * The command of stream_reads.h. Each stream is read by Redis' own XREAD, so the answer is the same to the byte. A wait
 * is for the keys, of which Redis says itself when one of them has an entry; where slots are apart see stream_waits.h.
 */
#include "streams/stream_reads.h"
#include "requests/read_queue.h"
#include "sidecar/leadership.h"
#include "slots/slots.h"
#include "slots/stream_waits.h"
#include "streams/own_keys.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define WAIT_MS_MAX 60000
#define WORDS_UNBLOCKED 4 /* the command's name, COUNT, n, STREAMS */
#define WORDS_BLOCKED 6

/* What one stream has: the reply of XREAD, or of the reads that are kept in memory how many there are. */
typedef struct {
    RedisModuleCallReply *reply;
    RedisModuleStreamID after;
    long long kept;
} Answer;

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

static void free_answers(Answer *answers, int n) {
    for (int i = 0; i < n; i++)
        if (answers[i].reply != NULL) RedisModule_FreeCallReply(answers[i].reply);
    RedisModule_Free(answers);
}

static int reply_with_failure(RedisModuleCtx *ctx, int why) {
    if (why == EPERM)
        return RedisModule_ReplyWithError(ctx, "ELSEWHERE the slot of a stream is not of this node of the cluster");
    return RedisModule_ReplyWithError(ctx, "CLUSTERDOWN the cluster is down");
}

/* Where slots are apart, vstore:queries is not in its key: see requests/read_queue.h. */
static bool is_kept(RedisModuleCtx *ctx, const RedisModuleString *stream) {
    return slots_are_apart(ctx) && is_own_key(stream, OWN_QUERIES);
}

/* Returns false, and replies, where the stream cannot be read. */
static bool ask_one(RedisModuleCtx *ctx, const Xread *read, int at, Answer *answer) {
    if (is_kept(ctx, read->streams[at])) {
        long long count = 1;
        RedisModule_StringToLongLong(read->count, &count);
        if (RedisModule_StringToStreamID(read->ids[at], &answer->after) == REDISMODULE_OK)
            answer->kept = read_queue_count_after(answer->after, count);
        return true;
    }
    errno = 0;
    answer->reply = RedisModule_Call(ctx, "XREAD", "cscss", "COUNT", read->count, "STREAMS", read->streams[at], read->ids[at]);
    if (answer->reply == NULL) reply_with_failure(ctx, errno);
    else if (RedisModule_CallReplyType(answer->reply) == REDISMODULE_REPLY_ERROR)
        RedisModule_ReplyWithCallReply(ctx, answer->reply);
    else
        return true;
    return false;
}

static bool has_entries(const Answer *answer) {
    return answer->kept > 0 || (answer->reply != NULL && RedisModule_CallReplyType(answer->reply) == REDISMODULE_REPLY_ARRAY);
}

static void reply_one(RedisModuleCtx *ctx, const Answer *answer) {
    if (answer->kept > 0)
        read_queue_reply_after(ctx, answer->after, answer->kept);
    else
        RedisModule_ReplyWithCallReply(ctx, RedisModule_CallReplyArrayElement(answer->reply, 0));
}

/* Replies with what the streams have and returns true; or, where they have nothing, returns false. */
static bool reply_with_entries(RedisModuleCtx *ctx, const Xread *read) {
    Answer *answers = RedisModule_Calloc((size_t)read->n, sizeof(*answers));
    int found = 0;
    bool is_whole = true;
    for (int i = 0; i < read->n && is_whole; i++) {
        is_whole = ask_one(ctx, read, i, &answers[i]);
        found += is_whole && has_entries(&answers[i]);
    }
    if (is_whole && found > 0) {
        RedisModule_ReplyWithArray(ctx, found);
        for (int i = 0; i < read->n; i++)
            if (has_entries(&answers[i])) reply_one(ctx, &answers[i]);
    }
    free_answers(answers, read->n);
    return !is_whole || found > 0;
}

/* One of the streams has changed. With REDISMODULE_ERR the client goes on waiting. */
static int on_changed(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    Xread read;
    return parse(argv, argc, &read) && reply_with_entries(ctx, &read) ? REDISMODULE_OK : REDISMODULE_ERR;
}

/* What one of the streams has got may be gone again. */
static int on_woken(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    return on_changed(ctx, argv, argc) == REDISMODULE_OK ? REDISMODULE_OK : RedisModule_ReplyWithNullArray(ctx);
}

static int on_time_over(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    stream_waits_end(ctx);
    return RedisModule_ReplyWithNullArray(ctx);
}

static void wait_for_streams(RedisModuleCtx *ctx, const Xread *read) {
    if (slots_are_apart(ctx))
        stream_waits_begin(ctx, on_woken, on_time_over, read->wait_ms, read->streams, read->n);
    else
        RedisModule_BlockClientOnKeys(ctx, on_changed, on_time_over, NULL, read->wait_ms, read->streams, read->n, NULL);
}

int xread_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    Xread read;
    if (!leadership_is_for(ctx)) return RedisModule_ReplyWithError(ctx, "NOPERM only a user that may lead may read logs");
    if (!parse(argv, argc, &read))
        return RedisModule_ReplyWithError(ctx, "ERR expected COUNT <n> [BLOCK <ms>] STREAMS <stream> ... <id> ...");
    if (reply_with_entries(ctx, &read)) return REDISMODULE_OK;
    int forbidden = REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_LUA | REDISMODULE_CTX_FLAGS_DENY_BLOCKING;
    if (read.wait_ms == 0 || RedisModule_GetContextFlags(ctx) & forbidden) return RedisModule_ReplyWithNullArray(ctx);
    wait_for_streams(ctx, &read);
    return REDISMODULE_OK;
}
