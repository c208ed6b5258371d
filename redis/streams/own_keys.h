/*
 * The names of the keys that vstore makes for itself, of which there is one each: `vstore:control` and so on. On a node
 * of a cluster a hash tag stands behind the word, `vstore:control{812}`, so that all of them lie in one slot of that
 * node. See PROTOCOL.md, "On a cluster".
 */
#ifndef VSTORE_OWN_KEYS_H
#define VSTORE_OWN_KEYS_H

#include "module_api.h"
#include <stdbool.h>

typedef enum {
    OWN_CONTROL,
    OWN_QUERIES,
    OWN_LEADER,
    OWN_EPOCH,
    OWN_COLLECTIONS,
    OWN_STORE,
    OWN_LOGS,
    OWN_FOLLOWS,
    OWN_SYNCED,
    OWN_NODE, /* on a cluster: the id of the node whose keys these are */
    OWN_COUNT
} OwnKey;

/* The name, until the next own_keys_choose(). */
const char *own_key(OwnKey key);

/* The same as a string, which the caller frees. */
RedisModuleString *own_key_string(RedisModuleCtx *ctx, OwnKey key);

bool is_own_key(const RedisModuleString *name, OwnKey key);

/* The tag; "" on a server that is no node of a cluster, and before one was chosen. */
const char *own_keys_tag(void);

bool is_cluster_node(RedisModuleCtx *ctx);

/*
 * Chooses the tag, unless there is one whose slot is this node's. Returns NULL, or the error that says why there is
 * none. Without effect on a server that is no node of a cluster.
 */
const char *own_keys_choose(RedisModuleCtx *ctx);

/* NULL, or the error where the slot of the keys belongs to another node by now, or is on its way there. */
const char *own_keys_fault(RedisModuleCtx *ctx);

/* On a replica: its primary may choose another tag. */
void own_keys_forget(void);

/* Writes down that the keys are this node's. */
void own_keys_mark(RedisModuleCtx *ctx);

/* VSTORE.NODE: chooses the tag and answers it. */
int node_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
