/* The followers of followers.h. Only this file writes its state, on Redis' one thread. */
#include "sidecar/followers.h"
#include "sidecar/leadership.h"
#include "streams/own_keys.h"
#include "waits/acknowledgement.h"
#include <stdio.h>
#include <string.h>

#define ID_BYTES_MAX 128
#define WAIT_MS_MAX 10000
#define US_PER_MS 1000
/* A follower that is silent for so long is not in step: it says something every second. */
#define SILENCE_US_MAX (5000ULL * US_PER_MS)
/* Streams of which it is kept how far they are told. Beyond that followers hear of them within a second all the same. */
#define TOLD_MAX 4096
#define FIXED_ARGUMENTS 5

typedef enum { STATE_OUT, STATE_FOLLOWS, STATE_READY } FollowerState;

/* A VSTORE.FOLLOW that is not answered yet. */
typedef struct {
    RedisModuleBlockedClient *client;
    RedisModuleTimerID timer; /* 0 once it has fired */
    uint64_t serial;
    int slot;
} Wait;

typedef struct {
    char id[ID_BYTES_MAX + 1];
    unsigned long long connection; /* 0: the slot is free */
    uint64_t heard_at;
    FollowerState state;
    Wait *wait;
} Follower;

typedef struct {
    RedisModuleStreamID id;
    uint64_t serial;
} Told;

static Follower followers[FOLLOWERS_MAX];
static RedisModuleDict *told; /* by the stream's name */
static uint64_t serial;       /* rises with all that is told */
static int needed_count;

static uint64_t now_us(void) {
    return RedisModule_MonotonicMicroseconds();
}

static bool is_connected(const Follower *follower) {
    return follower->connection != 0 && RedisModule_GetClientInfoById(NULL, follower->connection) == REDISMODULE_OK;
}

static bool is_in_step(const Follower *follower) {
    return follower->state != STATE_OUT && is_connected(follower) && now_us() - follower->heard_at < SILENCE_US_MAX;
}

uint32_t followers_in_step(void) {
    uint32_t mask = 0;
    for (int i = 0; i < FOLLOWERS_MAX; i++)
        if (is_in_step(&followers[i])) mask |= 1u << i;
    return mask;
}

int followers_ready(void) {
    int count = 0;
    for (int i = 0; i < FOLLOWERS_MAX; i++) count += followers[i].state == STATE_READY && is_in_step(&followers[i]);
    return count;
}

int followers_needed(void) {
    return needed_count;
}

void followers_set_needed(long long needed) {
    needed_count = (int)needed;
}

void followers_open(void) {
    told = RedisModule_CreateDict(NULL);
}

void followers_forget_told(void) {
    void *each;
    RedisModuleDictIter *iterator = RedisModule_DictIteratorStartC(told, "^", NULL, 0);
    while (RedisModule_DictNextC(iterator, NULL, &each) != NULL) RedisModule_Free(each);
    RedisModule_DictIteratorStop(iterator);
    RedisModule_FreeDict(NULL, told);
    told = RedisModule_CreateDict(NULL);
}

void followers_close(void) {
    followers_forget_told();
    RedisModule_FreeDict(NULL, told);
}

static int count_told_since(uint64_t since) {
    int count = 0;
    void *each;
    RedisModuleDictIter *iterator = RedisModule_DictIteratorStartC(told, "^", NULL, 0);
    while (RedisModule_DictNextC(iterator, NULL, &each) != NULL) count += ((Told *)each)->serial > since;
    RedisModule_DictIteratorStop(iterator);
    return count;
}

static int reply_told(RedisModuleCtx *ctx, uint64_t since) {
    RedisModule_ReplyWithArray(ctx, 2 + 2 * count_told_since(since));
    RedisModule_ReplyWithLongLong(ctx, (long long)serial);
    RedisModule_ReplyWithLongLong(ctx, leadership_was_given_up());
    void *each;
    size_t length;
    const char *name;
    RedisModuleDictIter *iterator = RedisModule_DictIteratorStartC(told, "^", NULL, 0);
    while ((name = RedisModule_DictNextC(iterator, &length, &each)) != NULL) {
        const Told *one = each;
        if (one->serial <= since) continue;
        char id[48];
        int bytes = snprintf(id, sizeof(id), "%llu-%llu", (unsigned long long)one->id.ms, (unsigned long long)one->id.seq);
        RedisModule_ReplyWithStringBuffer(ctx, name, length);
        RedisModule_ReplyWithStringBuffer(ctx, id, (size_t)bytes);
    }
    RedisModule_DictIteratorStop(iterator);
    return REDISMODULE_OK;
}

static int on_woken(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv, (void)argc;
    const Wait *wait = RedisModule_GetBlockedClientPrivateData(ctx);
    return reply_told(ctx, wait->serial);
}

static void free_wait(RedisModuleCtx *ctx, void *wait) {
    (void)ctx;
    RedisModule_Free(wait);
}

static void end_wait(RedisModuleCtx *ctx, Wait *wait) {
    if (wait->timer != 0) RedisModule_StopTimer(ctx, wait->timer, NULL);
    followers[wait->slot].wait = NULL;
    RedisModule_UnblockClient(wait->client, wait);
}

void followers_wake(RedisModuleCtx *ctx) {
    serial++; /* one that is busy now hears of it with its next call */
    for (int i = 0; i < FOLLOWERS_MAX; i++)
        if (followers[i].wait != NULL) end_wait(ctx, followers[i].wait);
}

static void on_wait_over(RedisModuleCtx *ctx, void *data) {
    Wait *wait = data;
    wait->timer = 0;
    end_wait(ctx, wait);
}

static void on_disconnected(RedisModuleCtx *ctx, RedisModuleBlockedClient *client) {
    for (int i = 0; i < FOLLOWERS_MAX; i++)
        if (followers[i].wait != NULL && followers[i].wait->client == client) end_wait(ctx, followers[i].wait);
}

static void wait_for_leader(RedisModuleCtx *ctx, int slot, uint64_t since, long long ms) {
    Wait *wait = RedisModule_Calloc(1, sizeof(*wait));
    wait->serial = since;
    wait->slot = slot;
    /* No timeout of Redis' own: see pending.h. */
    wait->client = RedisModule_BlockClient(ctx, on_woken, NULL, free_wait, 0);
    RedisModule_SetDisconnectCallback(wait->client, on_disconnected);
    wait->timer = RedisModule_CreateTimer(ctx, ms, on_wait_over, wait);
    followers[slot].wait = wait;
}

/* The slot of this follower, or a free one; -1 when all are taken. */
static int slot_of(const char *id) {
    int free_slot = -1;
    for (int i = 0; i < FOLLOWERS_MAX; i++) {
        if (followers[i].connection != 0 && strcmp(followers[i].id, id) == 0) return i;
        if (free_slot < 0 && !is_connected(&followers[i])) free_slot = i;
    }
    return free_slot;
}

/* What another process, or another connection, has acknowledged does not count for this one. */
static void begin(RedisModuleCtx *ctx, int slot, const char *id) {
    Follower *follower = &followers[slot];
    if (follower->wait != NULL) end_wait(ctx, follower->wait);
    acknowledgement_forget_follower(slot);
    strcpy(follower->id, id);
    follower->connection = RedisModule_GetClientId(ctx);
}

static bool parse_state(const RedisModuleString *text, FollowerState *state) {
    static const char *const names[] = {[STATE_OUT] = "OUT", [STATE_FOLLOWS] = "FOLLOWS", [STATE_READY] = "READY"};
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(text, &length);
    for (int i = STATE_OUT; i <= STATE_READY; i++) {
        if (length != strlen(names[i]) || memcmp(bytes, names[i], length) != 0) continue;
        *state = (FollowerState)i;
        return true;
    }
    return false;
}

static bool are_positions(RedisModuleString **pairs, int count) {
    RedisModuleStreamID id;
    for (int i = 0; i < count; i += 2)
        if (RedisModule_StringToStreamID(pairs[i + 1], &id) != REDISMODULE_OK) return false;
    return true;
}

/* NULL, or the error that refuses the call. */
static const char *follow_fault(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    int flags = RedisModule_GetContextFlags(ctx);
    FollowerState state;
    size_t length;
    const char *id = RedisModule_StringPtrLen(argv[1], &length);
    long long since, ms;
    if (flags & REDISMODULE_CTX_FLAGS_SLAVE) return "READONLY a follower attaches to a primary and this Redis is a replica";
    if (flags & (REDISMODULE_CTX_FLAGS_MULTI | REDISMODULE_CTX_FLAGS_DENY_BLOCKING))
        return "ERR VSTORE.FOLLOW cannot be used inside MULTI";
    if (!leadership_is_for(ctx)) return "NOPERM only a user that may lead may follow";
    if (length == 0 || length > ID_BYTES_MAX || memchr(id, '\0', length) != NULL)
        return "ERR 'follower id' must have 1 to 128 bytes";
    if (!parse_state(argv[2], &state)) return "ERR 'state' must be OUT, FOLLOWS or READY";
    if (RedisModule_StringToLongLong(argv[3], &since) != REDISMODULE_OK || since < 0)
        return "ERR 'serial' must be a number of VSTORE.FOLLOW, or 0";
    if (RedisModule_StringToLongLong(argv[4], &ms) != REDISMODULE_OK || ms < 0 || ms > WAIT_MS_MAX)
        return "ERR 'wait' must be 0 to 10000 milliseconds";
    if (!are_positions(argv + FIXED_ARGUMENTS, argc - FIXED_ARGUMENTS)) return "ERR expected a stream and an id of it";
    return own_keys_fault(ctx);
}

int follow_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < FIXED_ARGUMENTS || (argc - FIXED_ARGUMENTS) % 2 != 0) return RedisModule_WrongArity(ctx);
    const char *fault = follow_fault(ctx, argv, argc);
    if (fault != NULL) return RedisModule_ReplyWithError(ctx, fault);
    const char *id = RedisModule_StringPtrLen(argv[1], NULL);
    int slot = slot_of(id);
    if (slot < 0) return RedisModule_ReplyWithError(ctx, "LIMIT 16 followers are connected already");
    Follower *follower = &followers[slot];
    if (follower->connection != RedisModule_GetClientId(ctx) || strcmp(follower->id, id) != 0) begin(ctx, slot, id);
    parse_state(argv[2], &follower->state);
    follower->heard_at = now_us();
    for (int i = FIXED_ARGUMENTS; i < argc; i += 2) {
        RequestId position = {.stream = argv[i]};
        RedisModule_StringToStreamID(argv[i + 1], &position.id);
        acknowledgement_note(ctx, slot, &position);
    }
    long long since, ms;
    RedisModule_StringToLongLong(argv[3], &since);
    RedisModule_StringToLongLong(argv[4], &ms);
    if (ms == 0 || (uint64_t)since != serial) return reply_told(ctx, (uint64_t)since > serial ? 0 : (uint64_t)since);
    wait_for_leader(ctx, slot, (uint64_t)since, ms);
    return REDISMODULE_OK;
}

static void tell(RedisModuleString *stream, RedisModuleStreamID id) {
    Told *one = RedisModule_DictGet(told, stream, NULL);
    if (one == NULL) {
        if (RedisModule_DictSize(told) >= TOLD_MAX) followers_forget_told();
        one = RedisModule_Calloc(1, sizeof(*one));
        RedisModule_DictSet(told, stream, one);
    }
    *one = (Told){.id = id, .serial = serial + 1};
}

int tell_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc < 3 || (argc - 1) % 2 != 0) return RedisModule_WrongArity(ctx);
    if (!leadership_is_callers(ctx)) return reply_not_leader(ctx);
    if (!are_positions(argv + 1, argc - 1)) return RedisModule_ReplyWithError(ctx, "ERR expected a stream and an id of it");
    for (int i = 1; i < argc; i += 2) {
        RedisModuleStreamID id;
        RedisModule_StringToStreamID(argv[i + 1], &id);
        tell(argv[i], id);
    }
    followers_wake(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}
