/*
 * The names of own_keys.h. The tag is a number, the smallest one that hashes into its slot, so a slot has one tag. Only
 * set_tag() writes this file's state.
 *
 * Which slot: the one where this node has marked its keys before (OWN_NODE holds its id). After a fail-over that mark
 * names the node that was primary before, which has no slots any more. A mark of another node that has some came with a
 * slot that was moved here, and is passed over. Without a mark it is the highest slot of the node: those who move slots
 * begin with the lowest.
 */
#include "streams/own_keys.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 16384
#define TAG_BYTES_MAX 10
#define NAME_BYTES_MAX 48
#define NODE_ID_BYTES 40
/* Numbers below this one hash into every slot; the last slot needs about a fifth of them. */
#define NUMBERS_MAX (1u << 20)
#define NO_SLOT (-1)

static const char *const words[OWN_COUNT] = {
    [OWN_CONTROL] = "vstore:control",   [OWN_QUERIES] = "vstore:queries",
    [OWN_LEADER] = "vstore:leader",     [OWN_EPOCH] = "vstore:epoch",
    [OWN_COLLECTIONS] = "vstore:collections", [OWN_STORE] = "vstore:store",
    [OWN_LOGS] = "vstore:logs",         [OWN_FOLLOWS] = "vstore:follows",
    [OWN_SYNCED] = "vstore:synced",     [OWN_NODE] = "vstore:node",
};

static char tag[TAG_BYTES_MAX + 1];
static char names[OWN_COUNT][NAME_BYTES_MAX + 1]; /* with the tag; unused while there is none */

/* What CLUSTER SLOTS says, for one choice. */
typedef struct {
    RedisModuleCallReply *ranges;
    char node[NODE_ID_BYTES + 1];
    uint32_t *numbers; /* by slot: the tag's number; 0 where the slot is another node's */
} Ownership;

const char *own_key(OwnKey key) {
    return tag[0] == '\0' ? words[key] : names[key];
}

RedisModuleString *own_key_string(RedisModuleCtx *ctx, OwnKey key) {
    return RedisModule_CreateString(ctx, own_key(key), strlen(own_key(key)));
}

bool is_own_key(const RedisModuleString *name, OwnKey key) {
    size_t length;
    const char *bytes = RedisModule_StringPtrLen(name, &length), *own = own_key(key);
    return length == strlen(own) && memcmp(bytes, own, length) == 0;
}

const char *own_keys_tag(void) {
    return tag;
}

bool is_cluster_node(RedisModuleCtx *ctx) {
    static bool is_known, is_node; /* for as long as the process lives */
    if (!is_known) is_node = RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_CLUSTER;
    is_known = true;
    return is_node;
}

static void set_tag(uint32_t number) {
    snprintf(tag, sizeof(tag), "%u", number);
    for (int i = 0; i < OWN_COUNT; i++) snprintf(names[i], sizeof(names[i]), "%s{%s}", words[i], tag);
}

/* CRC-16 (XMODEM) of the bytes, half a byte at a time: what Redis Cluster hashes tags with. */
static unsigned slot_of(const char *bytes, size_t length) {
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
                                       0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    uint16_t crc = 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)bytes[i];
        crc = (uint16_t)(crc << 4) ^ table[(crc >> 12) ^ (byte >> 4)];
        crc = (uint16_t)(crc << 4) ^ table[(crc >> 12) ^ (byte & 15)];
    }
    return crc % SLOTS;
}

/*
 * Redis refuses a command on a key of another node's slot, and one on a missing key of a slot that is being moved away.
 * No key has this name.
 */
static bool is_slot_lost(RedisModuleCtx *ctx) {
    char absent[NAME_BYTES_MAX + 1];
    snprintf(absent, sizeof(absent), "vstore:absent{%s}", tag);
    errno = 0;
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "EXISTS", "c", absent);
    if (reply == NULL) return errno == EPERM;
    RedisModule_FreeCallReply(reply);
    return false;
}

/* The id of the primary that has this range of slots. */
static const char *owner_of(RedisModuleCallReply *range) {
    size_t length = 0;
    RedisModuleCallReply *primary = RedisModule_CallReplyArrayElement(range, 2);
    const char *id = RedisModule_CallReplyStringPtr(RedisModule_CallReplyArrayElement(primary, 2), &length);
    return length == NODE_ID_BYTES ? id : NULL;
}

static bool has_slots(const Ownership *ownership, const char *node) {
    for (size_t i = 0; i < RedisModule_CallReplyLength(ownership->ranges); i++) {
        const char *owner = owner_of(RedisModule_CallReplyArrayElement(ownership->ranges, i));
        if (owner != NULL && memcmp(owner, node, NODE_ID_BYTES) == 0) return true;
    }
    return false;
}

/* Marks the slots of this node with `unnamed`. Returns how many they are. */
static int find_slots(Ownership *ownership, uint32_t unnamed) {
    int count = 0;
    for (size_t i = 0; i < RedisModule_CallReplyLength(ownership->ranges); i++) {
        RedisModuleCallReply *range = RedisModule_CallReplyArrayElement(ownership->ranges, i);
        const char *owner = owner_of(range);
        if (owner == NULL || memcmp(owner, ownership->node, NODE_ID_BYTES) != 0) continue;
        long long first = RedisModule_CallReplyInteger(RedisModule_CallReplyArrayElement(range, 0));
        long long last = RedisModule_CallReplyInteger(RedisModule_CallReplyArrayElement(range, 1));
        for (long long slot = first; slot <= last && slot < SLOTS; slot++, count++) ownership->numbers[slot] = unnamed;
    }
    return count;
}

static void find_numbers(Ownership *ownership) {
    int missing = find_slots(ownership, NUMBERS_MAX);
    char text[TAG_BYTES_MAX + 1];
    for (uint32_t number = 1; missing > 0 && number < NUMBERS_MAX; number++) {
        int length = snprintf(text, sizeof(text), "%u", number);
        uint32_t *found = &ownership->numbers[slot_of(text, (size_t)length)];
        if (*found != NUMBERS_MAX) continue;
        *found = number;
        missing--;
    }
}

/* The node id that OWN_NODE has in the slot of this number, or "". */
static void read_mark(RedisModuleCtx *ctx, uint32_t number, char node[NODE_ID_BYTES + 1]) {
    RedisModuleString *name = RedisModule_CreateStringPrintf(ctx, "%s{%u}", words[OWN_NODE], number);
    RedisModuleKey *key = RedisModule_OpenKey(ctx, name, REDISMODULE_READ | REDISMODULE_OPEN_KEY_NOTOUCH);
    size_t length = 0;
    const char *bytes = NULL;
    if (key != NULL && RedisModule_KeyType(key) == REDISMODULE_KEYTYPE_STRING)
        bytes = RedisModule_StringDMA(key, &length, REDISMODULE_READ);
    if (bytes == NULL || length != NODE_ID_BYTES) length = 0;
    if (length > 0) memcpy(node, bytes, length);
    node[length] = '\0';
    RedisModule_CloseKey(key);
    RedisModule_FreeString(ctx, name);
}

/* The highest slot that this node has marked; else one that a node without slots has; NO_SLOT where there is none. */
static int find_marked(RedisModuleCtx *ctx, const Ownership *ownership) {
    int inherited = NO_SLOT;
    char node[NODE_ID_BYTES + 1];
    for (int slot = SLOTS - 1; slot >= 0; slot--) {
        if (ownership->numbers[slot] == 0) continue;
        read_mark(ctx, ownership->numbers[slot], node);
        if (strcmp(node, ownership->node) == 0) return slot;
        if (node[0] != '\0' && inherited == NO_SLOT && !has_slots(ownership, node)) inherited = slot;
    }
    return inherited;
}

static bool try_slot(RedisModuleCtx *ctx, const Ownership *ownership, int slot) {
    if (slot == NO_SLOT || ownership->numbers[slot] == 0) return false;
    set_tag(ownership->numbers[slot]);
    return !is_slot_lost(ctx);
}

static bool choose_slot(RedisModuleCtx *ctx, const Ownership *ownership) {
    if (try_slot(ctx, ownership, find_marked(ctx, ownership))) return true;
    for (int slot = SLOTS - 1; slot >= 0; slot--)
        if (try_slot(ctx, ownership, slot)) return true;
    tag[0] = '\0';
    return false;
}

static bool read_node_id(RedisModuleCtx *ctx, char node[NODE_ID_BYTES + 1]) {
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "CLUSTER", "c", "MYID");
    size_t length = 0;
    const char *bytes = reply == NULL ? NULL : RedisModule_CallReplyStringPtr(reply, &length);
    bool is_id = bytes != NULL && length == NODE_ID_BYTES;
    if (is_id) memcpy(node, bytes, length);
    node[is_id ? length : 0] = '\0';
    if (reply != NULL) RedisModule_FreeCallReply(reply);
    return is_id;
}

const char *own_keys_choose(RedisModuleCtx *ctx) {
    if (!is_cluster_node(ctx) || (tag[0] != '\0' && !is_slot_lost(ctx))) return NULL;
    Ownership ownership = {.ranges = RedisModule_Call(ctx, "CLUSTER", "c", "SLOTS")};
    if (ownership.ranges == NULL || !read_node_id(ctx, ownership.node))
        return "ERR CLUSTER SLOTS and MYID gave no answer";
    ownership.numbers = RedisModule_Calloc(SLOTS, sizeof(*ownership.numbers));
    find_numbers(&ownership);
    bool found = choose_slot(ctx, &ownership);
    RedisModule_Free(ownership.numbers);
    RedisModule_FreeCallReply(ownership.ranges);
    return found ? NULL : "CLUSTERDOWN this node of the cluster has no slots: there is no place for vstore's own keys";
}

const char *own_keys_fault(RedisModuleCtx *ctx) {
    if (tag[0] == '\0' || !is_slot_lost(ctx)) return NULL;
    return "TRYAGAIN the slot of vstore's own keys is moving to another node of the cluster";
}

void own_keys_forget(void) {
    tag[0] = '\0';
}

void own_keys_mark(RedisModuleCtx *ctx) {
    char node[NODE_ID_BYTES + 1];
    if (tag[0] == '\0' || !read_node_id(ctx, node)) return;
    RedisModuleCallReply *reply = RedisModule_Call(ctx, "SET", "!cc", own_key(OWN_NODE), node);
    if (reply != NULL) RedisModule_FreeCallReply(reply);
}

int node_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    (void)argv;
    if (argc != 1) return RedisModule_WrongArity(ctx);
    if (is_cluster_node(ctx) && RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE)
        return RedisModule_ReplyWithError(ctx, "READONLY a sidecar works on a primary and this node is a replica");
    const char *fault = own_keys_choose(ctx);
    if (fault != NULL) return RedisModule_ReplyWithError(ctx, fault);
    return RedisModule_ReplyWithStringBuffer(ctx, tag, strlen(tag));
}
