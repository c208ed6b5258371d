/* The queue of read_queue.h: a list, the oldest first. Only this file writes it, on Redis' one thread. */
#include "requests/read_queue.h"
#include "sidecar/leadership.h"
#include "sidecar/reader.h"
#include "slots/stream_waits.h"
#include "streams/own_keys.h"
#include "waits/waits.h"
#include <stdio.h>

/* Entries are as many as clients that wait (PENDING_MAX). One more of any size is taken below this limit. */
#ifndef QUEUE_BYTES_MAX /* a test compiles the module with a smaller one */
#define QUEUE_BYTES_MAX (256LL * 1024 * 1024)
#endif
#define FETCH_COUNT_MAX 1024
#define FETCH_WAIT_MS_MAX 10000
#define FIELDS_MAX(count) (2 * ((count) + 4))

struct QueuedRead {
    RequestId id;
    RedisModuleString **fields;
    int count;
    long long bytes;
    Pending *pending;
    QueuedRead *before, *after;
};

/* A VSTORE.FETCH that is not answered yet. */
typedef struct {
    RedisModuleBlockedClient *client;
    RedisModuleTimerID timer; /* 0 once it has fired */
    long long count, bytes;
} Fetch;

static QueuedRead *first, *last;
static long long queued_count, queued_bytes;
static Fetch *waiting;

long long read_queue_count(void) {
    return queued_count;
}

long long read_queue_bytes(void) {
    return queued_bytes;
}

static void append(QueuedRead *read) {
    read->before = last;
    if (last == NULL)
        first = read;
    else
        last->after = read;
    last = read;
    queued_count++;
    queued_bytes += read->bytes;
}

static void take_out(QueuedRead *read) {
    if (read->before == NULL)
        first = read->after;
    else
        read->before->after = read->after;
    if (read->after == NULL)
        last = read->before;
    else
        read->after->before = read->before;
    queued_count--;
    queued_bytes -= read->bytes;
    if (read->pending != NULL) read->pending->queued = NULL;
    for (int i = 0; i < read->count; i++) RedisModule_FreeString(NULL, read->fields[i]);
    RedisModule_Free(read->fields);
    RedisModule_FreeString(NULL, read->id.stream);
    RedisModule_Free(read);
}

static long long bytes_of(const QueuedRead *read) {
    long long bytes = 0;
    for (int i = 0; i < read->count; i++) {
        size_t length;
        RedisModule_StringPtrLen(read->fields[i], &length);
        bytes += (long long)length;
    }
    return bytes;
}

static void reply_string(RedisModuleCtx *ctx, const RedisModuleString *text) {
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(text, &length);
    RedisModule_ReplyWithStringBuffer(ctx, bytes, length);
}

static void reply_read(RedisModuleCtx *ctx, const QueuedRead *read) {
    char id[48];
    int length = snprintf(id, sizeof(id), "%llu-%llu", (unsigned long long)read->id.id.ms,
                          (unsigned long long)read->id.id.seq);
    RedisModule_ReplyWithArray(ctx, 2);
    RedisModule_ReplyWithStringBuffer(ctx, id, (size_t)length);
    RedisModule_ReplyWithArray(ctx, read->count);
    for (int i = 0; i < read->count; i++) reply_string(ctx, read->fields[i]);
}

/* The oldest ones within the limits, at least one; they leave the queue. */
static int reply_reads(RedisModuleCtx *ctx, long long count_max, long long bytes_max) {
    if (first == NULL) return RedisModule_ReplyWithNull(ctx);
    long long count = 0, bytes = 0;
    for (const QueuedRead *each = first; each != NULL && count < count_max; each = each->after, count++) {
        bytes += each->bytes;
        if (count > 0 && bytes > bytes_max) break;
    }
    RedisModule_ReplyWithArray(ctx, 1);
    RedisModule_ReplyWithArray(ctx, 2);
    reply_string(ctx, first->id.stream);
    RedisModule_ReplyWithArray(ctx, (long)count);
    for (long long i = 0; i < count; i++) {
        reply_read(ctx, first);
        take_out(first);
    }
    return REDISMODULE_OK;
}

static bool is_after(const QueuedRead *read, RedisModuleStreamID id) {
    return read->id.id.ms > id.ms || (read->id.id.ms == id.ms && read->id.id.seq > id.seq);
}

/* Entries of a name that vstore:queries had before belong to no stream that is read. */
static bool is_current(const QueuedRead *read) {
    return is_own_key(read->id.stream, OWN_QUERIES);
}

/* From the newest one back, as a sidecar asks for what is new. */
static const QueuedRead *first_after(RedisModuleStreamID id) {
    const QueuedRead *found = NULL;
    for (const QueuedRead *each = last; each != NULL && is_after(each, id); each = each->before)
        if (is_current(each)) found = each;
    return found;
}

long long read_queue_count_after(RedisModuleStreamID id, long long count_max) {
    long long count = 0;
    for (const QueuedRead *each = first_after(id); each != NULL && count < count_max; each = each->after)
        count += is_current(each);
    return count;
}

void read_queue_reply_after(RedisModuleCtx *ctx, RedisModuleStreamID id, long long count) {
    const QueuedRead *each = first_after(id);
    RedisModule_ReplyWithArray(ctx, 2);
    reply_string(ctx, each->id.stream);
    RedisModule_ReplyWithArray(ctx, (long)count);
    for (; count > 0; each = each->after) {
        if (!is_current(each)) continue;
        reply_read(ctx, each);
        count--;
    }
}

static int on_woken(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    const Fetch *fetch = RedisModule_GetBlockedClientPrivateData(ctx);
    return reply_reads(ctx, fetch->count, fetch->bytes);
}

static void free_fetch(RedisModuleCtx *ctx, void *fetch) {
    (void)ctx;
    RedisModule_Free(fetch);
}

static void wake(RedisModuleCtx *ctx) {
    Fetch *fetch = waiting;
    if (fetch == NULL) return;
    waiting = NULL;
    if (fetch->timer != 0) RedisModule_StopTimer(ctx, fetch->timer, NULL);
    RedisModule_UnblockClient(fetch->client, fetch);
}

static void on_wait_over(RedisModuleCtx *ctx, void *data) {
    ((Fetch *)data)->timer = 0;
    if (waiting == data) wake(ctx);
}

static void on_disconnected(RedisModuleCtx *ctx, RedisModuleBlockedClient *client) {
    if (waiting != NULL && waiting->client == client) wake(ctx);
}

static void wait_for_read(RedisModuleCtx *ctx, long long count, long long bytes, long long ms) {
    wake(ctx); /* an earlier connection of the same sidecar */
    Fetch *fetch = RedisModule_Calloc(1, sizeof(*fetch));
    fetch->count = count;
    fetch->bytes = bytes;
    /* No timeout of Redis' own: see pending.h. */
    fetch->client = RedisModule_BlockClient(ctx, on_woken, NULL, free_fetch, 0);
    RedisModule_SetDisconnectCallback(fetch->client, on_disconnected);
    fetch->timer = RedisModule_CreateTimer(ctx, ms, on_wait_over, fetch);
    waiting = fetch;
}

static bool is_number(const RedisModuleString *text, long long *number, long long min, long long max) {
    return RedisModule_StringToLongLong(text, number) == REDISMODULE_OK && *number >= min && *number <= max;
}

/* Whether a client waits for the answer to this read. */
static int reply_wanted(RedisModuleCtx *ctx, const RedisModuleString *entry) {
    RequestId id;
    if (RedisModule_StringToStreamID(entry, &id.id) != REDISMODULE_OK)
        return RedisModule_ReplyWithError(ctx, "ERR 'entry' must be an id of VSTORE.FETCH");
    id.stream = stream_of_reads(ctx);
    const Pending *pending = pending_of_request(&id);
    RedisModule_FreeString(ctx, id.stream);
    return RedisModule_ReplyWithLongLong(ctx, pending != NULL);
}

int fetch_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc != 5 && argc != 4) return RedisModule_WrongArity(ctx);
    long long count, bytes, ms;
    if (RedisModule_GetContextFlags(ctx) & (REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_DENY_BLOCKING))
        return RedisModule_ReplyWithError(ctx, "ERR VSTORE.FETCH cannot be used inside MULTI");
    if (argc == 4 && leadership_is_callers(ctx)) return reply_wanted(ctx, argv[3]);
    if (!leadership_is_for(ctx) || !reader_has_id(argv[1]))
        return RedisModule_ReplyWithError(ctx, "NOPERM this command is for the sidecar that reads (VSTORE.ATTACH READER)");
    if (argc == 4) return reply_wanted(ctx, argv[3]);
    if (!is_number(argv[2], &count, 1, FETCH_COUNT_MAX))
        return RedisModule_ReplyWithError(ctx, "ERR 'count' must be 1 to 1024");
    if (!is_number(argv[3], &bytes, 1, QUEUE_BYTES_MAX))
        return RedisModule_ReplyWithError(ctx, "ERR 'bytes' must be 1 to 268435456");
    if (!is_number(argv[4], &ms, 0, FETCH_WAIT_MS_MAX))
        return RedisModule_ReplyWithError(ctx, "ERR 'wait' must be 0 to 10000 milliseconds");
    if (first != NULL || ms == 0) return reply_reads(ctx, count, bytes);
    wait_for_read(ctx, count, bytes, ms);
    return REDISMODULE_OK;
}

const char *read_queue_add(RedisModuleCtx *ctx, RequestId *entry, const Request *request) {
    if (queued_bytes >= QUEUE_BYTES_MAX) return "BUSY the vstore sidecar is behind: 256 MiB of reads wait for it already";
    QueuedRead *read = RedisModule_Calloc(1, sizeof(*read));
    read->fields = RedisModule_Alloc(sizeof(*read->fields) * FIELDS_MAX((size_t)request->count));
    read->count = stream_entry_of_read(ctx, &read->id, read->fields, request);
    read->bytes = bytes_of(read);
    append(read);
    *entry = read->id;
    RedisModule_RetainString(NULL, entry->stream);
    return NULL;
}

void read_queue_awaits(RedisModuleCtx *ctx, Pending *pending) {
    last->pending = pending;
    pending->queued = last;
    wake(ctx);
    stream_waits_hear(last->id.stream);
}

void read_queue_forget(Pending *pending) {
    if (pending->queued != NULL) take_out(pending->queued);
}

void read_queue_end(RedisModuleCtx *ctx) {
    size_t count;
    Pending **all = pending_all(&count);
    for (size_t i = 0; i < count; i++)
        if (all[i]->is_local && !all[i]->is_answering) request_strand(ctx, all[i], PENDING_DOWN);
    RedisModule_Free(all);
    wake(ctx);
}
