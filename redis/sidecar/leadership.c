/* The lease of leadership.h. take(), renew_command(), give_up() and on_role() alone change it. */
#include "sidecar/leadership.h"
#include "callers.h"
#include "sidecar/followers.h"
#include "follow/follow_events.h"
#include "sidecar/reader.h"
#include "requests/existence.h"
#include "streams/own_keys.h"
#include "streams/proofs.h"
#include <stdio.h>
#include <string.h>

#define SIDECAR_ID_BYTES_MAX 64
#define SECRET_HEX_DIGITS 32
#define TTL_MS_MAX 3600000
#define US_PER_MS 1000
#define JOINED_MAX 3
/* On a replica that was promoted, the record's sidecar may come first for so long, if it lives: it hears of that too. */
#define PROMOTED_WAIT_US (1000ULL * US_PER_MS)
/* "<sidecar id>:<epoch>", and that with ":<secret>" behind it. */
#define RECORD_BYTES_MAX (SIDECAR_ID_BYTES_MAX + 24)
#define LEASE_BYTES_MAX (RECORD_BYTES_MAX + 1 + SECRET_HEX_DIGITS)

static struct {
    unsigned long long connection; /* id of the client that leads; 0 before the first. Redis never gives an id twice */
    unsigned long long joined[JOINED_MAX]; /* those of its other connections that may answer, oldest first; 0: none */
    char sidecar[SIDECAR_ID_BYTES_MAX + 1];
    char record[RECORD_BYTES_MAX + 1]; /* what OWN_LEADER says of it */
    char lease[LEASE_BYTES_MAX + 1];   /* known to the sidecar alone: the secret is in no key */
    uint64_t held_until;               /* monotonic microseconds */
    uint64_t recorded_until;           /* until then only the record's sidecar may lead; 0: no other has asked yet */
    bool was_promoted;                 /* the record is of a leader on the primary of which this was a replica */
} lead;

/* vstore.user: the only user that may lead; "" allows every user that may change OWN_LEADER. CONFIG SET writes it. */
static RedisModuleString *leading_user;

static uint64_t now_us(void) {
    return RedisModule_MonotonicMicroseconds();
}

static bool is_held(void) {
    return now_us() < lead.held_until;
}

bool leadership_was_given_up(void) {
    return lead.lease[0] != '\0' && lead.held_until == 0;
}

const char *leadership_sidecar(void) {
    return lead.sidecar;
}

bool leadership_is_lease(const RedisModuleString *lease, bool is_live) {
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(lease, &length);
    if (length == 0 || length != strlen(lead.lease) || memcmp(bytes, lead.lease, length) != 0) return false;
    return !is_live || is_held();
}

bool leadership_is_callers(RedisModuleCtx *ctx) {
    unsigned long long client = RedisModule_GetClientId(ctx);
    if (client == 0) return false;
    if (client == lead.connection) return true;
    for (int i = 0; i < JOINED_MAX; i++)
        if (client == lead.joined[i]) return true;
    return false;
}

int reply_not_leader(RedisModuleCtx *ctx) {
    return RedisModule_ReplyWithError(ctx, "NOPERM this command is for the sidecar that holds the lease (VSTORE.LEAD)");
}

bool leadership_parse_ttl(const RedisModuleString *text, long long *ttl_ms) {
    return RedisModule_StringToLongLong(text, ttl_ms) == REDISMODULE_OK && *ttl_ms >= 0 && *ttl_ms <= TTL_MS_MAX;
}

/* Printable, as INFO shows it. */
bool leadership_is_sidecar_id(const RedisModuleString *text) {
    size_t length;
    const char *id = RedisModule_StringPtrLen(text, &length);
    if (length == 0 || length > SIDECAR_ID_BYTES_MAX) return false;
    for (size_t i = 0; i < length; i++)
        if (id[i] <= ' ' || id[i] > '~') return false;
    return true;
}

/*
 * A user that may change OWN_LEADER could take the lead by hand: other users must not, whatever commands they may send.
 */
bool leadership_is_for(RedisModuleCtx *ctx) {
    RedisModuleString *user = caller_name(ctx);
    bool may;
    if (RedisModule_StringPtrLen(leading_user, NULL)[0] != '\0') {
        may = user != NULL && RedisModule_StringCompare(user, leading_user) == 0;
    } else {
        RedisModuleString *key = own_key_string(ctx, OWN_LEADER);
        may = caller_may_change(user, key);
        RedisModule_FreeString(ctx, key);
    }
    if (user != NULL) RedisModule_FreeString(ctx, user);
    return may;
}

/* What OWN_LEADER says; "" when it is missing or has another form. */
static void read_record(RedisModuleCtx *ctx, char record[RECORD_BYTES_MAX + 1]) {
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "GET", "c", own_key(OWN_LEADER));
    size_t length = 0;
    const char *bytes = NULL;
    if (reply != NULL && RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_STRING)
        bytes = RedisModule_CallReplyStringPtr(reply, &length);
    if (bytes == NULL || length > RECORD_BYTES_MAX || memchr(bytes, '\0', length) != NULL) length = 0;
    if (length > 0) memcpy(record, bytes, length);
    record[length] = '\0';
    if (strrchr(record, ':') == NULL) record[0] = '\0';
    if (reply != NULL) RedisModule_FreeCallReply(reply);
}

static bool is_record_of(const char *record, const char *id) {
    size_t length = strlen(id);
    return strncmp(record, id, length) == 0 && strrchr(record, ':') == record + length;
}

/*
 * After a restart, and on a new primary, the module knows only the holder's record. That sidecar may come back first,
 * because its files may have what the log here lacks. No harm is done where it comes later: it has no connection that
 * leads here. After a restart it may be slow to come, as all connect anew and none knows when.
 */
static bool is_waited_for(const char *record, const char *id, uint64_t ttl_us) {
    if (record[0] == '\0' || is_record_of(record, id)) return false;
    uint64_t wait_us = lead.was_promoted && ttl_us > PROMOTED_WAIT_US ? PROMOTED_WAIT_US : ttl_us;
    if (lead.recorded_until == 0) lead.recorded_until = now_us() + wait_us;
    return now_us() < lead.recorded_until;
}

/*
 * Whether another sidecar leads. The same one takes over from its own earlier session at once. Deleting the record
 * gives up the lease of a sidecar whose connection has gone: an administrator need not wait.
 */
static bool is_taken(RedisModuleCtx *ctx, const char *id, uint64_t ttl_us) {
    char record[RECORD_BYTES_MAX + 1];
    read_record(ctx, record);
    if (lead.lease[0] == '\0') return is_waited_for(record, id, ttl_us);
    if (!is_held() || strcmp(lead.sidecar, id) == 0) return false;
    bool is_connected = RedisModule_GetClientInfoById(NULL, lead.connection) == REDISMODULE_OK;
    return is_connected || strcmp(record, lead.record) == 0;
}

static void close_connection(RedisModuleCtx *ctx, unsigned long long client) {
    RedisModuleCallReply *killed = RedisModule_Call(ctx, "CLIENT", "ccl", "KILL", "ID", (long long)client);
    if (killed == NULL) return;
    if (RedisModule_CallReplyInteger(killed) > 0)
        RedisModule_Log(ctx, "notice", "closed the connection of the sidecar that led before");
    RedisModule_FreeCallReply(killed);
}

/* The number of this leader; -1 when OWN_EPOCH holds something else. */
static long long next_epoch(RedisModuleCtx *ctx) {
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "INCR", "!c", own_key(OWN_EPOCH));
    bool is_number = reply != NULL && RedisModule_CallReplyType(reply) == REDISMODULE_REPLY_INTEGER;
    long long epoch = is_number ? RedisModule_CallReplyInteger(reply) : -1;
    if (reply != NULL) RedisModule_FreeCallReply(reply);
    return epoch;
}

static void write_record(RedisModuleCtx *ctx) {
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "SET", "!cc", own_key(OWN_LEADER), lead.record);
    if (reply != NULL) RedisModule_FreeCallReply(reply);
}

static int reply_with_epoch_error(RedisModuleCtx *ctx) {
    char error[128];
    snprintf(error, sizeof(error), "ERR %s should be a number and is not; delete or rename that key", own_key(OWN_EPOCH));
    return RedisModule_ReplyWithError(ctx, error);
}

static int take(RedisModuleCtx *ctx, const char *id, uint64_t ttl_us) {
    long long epoch = next_epoch(ctx);
    if (epoch < 0) return reply_with_epoch_error(ctx);
    unsigned long long client = RedisModule_GetClientId(ctx);
    if (lead.connection != 0 && lead.connection != client) close_connection(ctx, lead.connection);
    for (int i = 0; i < JOINED_MAX; i++)
        if (lead.joined[i] != 0) close_connection(ctx, lead.joined[i]);
    memset(lead.joined, 0, sizeof(lead.joined));
    char secret[SECRET_HEX_DIGITS + 1] = {0};
    RedisModule_GetRandomHexChars(secret, SECRET_HEX_DIGITS);
    lead.connection = client;
    strcpy(lead.sidecar, id);
    snprintf(lead.record, sizeof(lead.record), "%s:%lld", id, epoch);
    snprintf(lead.lease, sizeof(lead.lease), "%s:%s", lead.record, secret);
    lead.held_until = now_us() + ttl_us;
    followers_forget_told();
    write_record(ctx);
    own_keys_mark(ctx);
    existence_learn(ctx);
    follow_events_review(ctx);
    return RedisModule_ReplyWithStringBuffer(ctx, lead.lease, strlen(lead.lease));
}

/* The record goes too, so that the next sidecar does not wait after a restart. */
static int give_up(RedisModuleCtx *ctx) {
    char record[RECORD_BYTES_MAX + 1];
    read_record(ctx, record);
    lead.held_until = 0;
    if (strcmp(record, lead.record) == 0) {
        RedisModuleCallReply *reply = RedisModule_Call(ctx, "DEL", "!c", own_key(OWN_LEADER));
        if (reply != NULL) RedisModule_FreeCallReply(reply);
    }
    followers_wake(ctx);
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

static int reply_with_protocol_error(RedisModuleCtx *ctx, long long protocol) {
    char error[128];
    snprintf(error, sizeof(error),
             "ERR the sidecar speaks protocol %lld and this module protocol %d: they must be of one release", protocol,
             PROTOCOL_VERSION);
    return RedisModule_ReplyWithError(ctx, error);
}

int lead_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc == 2) return reply_with_protocol_error(ctx, 1);
    if (argc != 4) return RedisModule_WrongArity(ctx);
    long long protocol, ttl_ms;
    const char *id = RedisModule_StringPtrLen(argv[2], NULL);
    if (RedisModule_StringToLongLong(argv[1], &protocol) != REDISMODULE_OK)
        return RedisModule_ReplyWithError(ctx, "ERR 'protocol' must be an integer");
    if (protocol != PROTOCOL_VERSION) return reply_with_protocol_error(ctx, protocol);
    if (!leadership_is_sidecar_id(argv[2])) return RedisModule_ReplyWithError(ctx, SIDECAR_ID_FAULT);
    if (!leadership_parse_ttl(argv[3], &ttl_ms)) return RedisModule_ReplyWithError(ctx, TTL_FAULT);
    if (ttl_ms == 0) return leadership_is_callers(ctx) ? give_up(ctx) : reply_not_leader(ctx);
    const char *fault = own_keys_choose(ctx);
    if (fault != NULL) return RedisModule_ReplyWithError(ctx, fault);
    if (!leadership_is_for(ctx))
        return RedisModule_ReplyWithError(
            ctx, "NOPERM only the user of vstore.user, or without that setting a user that may change vstore:leader, may lead");
    uint64_t ttl_us = (uint64_t)ttl_ms * US_PER_MS;
    if (is_taken(ctx, id, ttl_us)) return RedisModule_ReplyWithNull(ctx);
    return take(ctx, id, ttl_us);
}

int renew_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc != 3) return RedisModule_WrongArity(ctx);
    long long ttl_ms;
    if (!leadership_parse_ttl(argv[2], &ttl_ms)) return RedisModule_ReplyWithError(ctx, TTL_FAULT);
    if (RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE)
        return RedisModule_ReplyWithError(ctx, "READONLY a sidecar leads on a primary and this Redis is a replica");
    if (!leadership_is_lease(argv[1], true)) return reply_not_leader(ctx);
    const char *fault = own_keys_fault(ctx);
    if (fault != NULL) return RedisModule_ReplyWithError(ctx, fault);
    lead.held_until = now_us() + (uint64_t)ttl_ms * US_PER_MS;
    return RedisModule_ReplyWithSimpleString(ctx, "OK");
}

/* A sidecar has no more of them than there is room for, so the oldest one is of no use to it any more. */
static void join(RedisModuleCtx *ctx, unsigned long long client) {
    if (lead.joined[0] != 0) close_connection(ctx, lead.joined[0]);
    memmove(lead.joined, lead.joined + 1, (JOINED_MAX - 1) * sizeof(lead.joined[0]));
    lead.joined[JOINED_MAX - 1] = client;
}

int join_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc != 2) return RedisModule_WrongArity(ctx);
    if (!leadership_is_lease(argv[1], true)) return reply_not_leader(ctx);
    if (!leadership_is_callers(ctx)) join(ctx, RedisModule_GetClientId(ctx));
    return RedisModule_ReplyWithStringBuffer(ctx, proofs_key(), strlen(proofs_key()));
}

/* A replica has no leader, and what it knew is of no use once it is a primary again. */
static void on_role(RedisModuleCtx *ctx, RedisModuleEvent event, uint64_t role, void *data) {
    (void)event, (void)data;
    reader_end(ctx);
    lead.was_promoted = role != REDISMODULE_EVENT_REPLROLECHANGED_NOW_REPLICA;
    if (lead.was_promoted) return;
    memset(&lead, 0, sizeof(lead));
    own_keys_forget();
    followers_forget_told();
    followers_wake(ctx);
}

int leadership_open(RedisModuleCtx *ctx) {
    const RedisModuleEvent role_changed = {REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED, 1};
    return RedisModule_SubscribeToServerEvent(ctx, role_changed, on_role);
}

static RedisModuleString *get_user(const char *name, void *data) {
    (void)name, (void)data;
    return leading_user;
}

static int set_user(const char *name, RedisModuleString *value, void *data, RedisModuleString **error) {
    (void)name, (void)data, (void)error;
    RedisModule_RetainString(NULL, value);
    leadership_close();
    leading_user = value;
    return REDISMODULE_OK;
}

int leadership_register_settings(RedisModuleCtx *ctx) {
    return RedisModule_RegisterStringConfig(ctx, "user", "", REDISMODULE_CONFIG_DEFAULT, get_user, set_user, NULL, NULL);
}

void leadership_close(void) {
    if (leading_user != NULL) RedisModule_FreeString(NULL, leading_user);
    leading_user = NULL;
}
