/*
 * What has happened to followed keys of other slots than the log's, where a command must not touch that slot: see
 * slots/slots.h. Such an entry is made in the command that changed the key, and appended later, or sooner when a
 * request of its collection comes: the log has the order in which things happened.
 */
#ifndef VSTORE_FOLLOW_QUEUE_H
#define VSTORE_FOLLOW_QUEUE_H

#include "commands/command_table.h"
#include "module_api.h"
#include <stdbool.h>

typedef struct FollowEntry FollowEntry;

struct FollowEntry {
    const VstoreCommand *command;
    RedisModuleString **arguments; /* the collection comes first */
    int count;
    FollowEntry *next;
};

/* Copies the arguments, not the strings. Returns false where 65,536 entries wait already. */
bool follow_queue_add(const VstoreCommand *command, RedisModuleString **arguments, int count);

bool follow_queue_is_empty(void);

/* The oldest entry, of this collection or, with NULL, of any; NULL where there is none. */
FollowEntry *follow_queue_take(const RedisModuleString *collection);

void follow_queue_free(FollowEntry *entry);

#endif
