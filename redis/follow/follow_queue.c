/* The list of follow_queue.h. Only this file writes it. */
#include "follow/follow_queue.h"
#include <string.h>

/* Beyond it the collection has to look at all its keys. */
#define ENTRIES_MAX 65536

static FollowEntry *first, *last;
static int entries;

bool follow_queue_add(const VstoreCommand *command, RedisModuleString **arguments, int count) {
    if (entries == ENTRIES_MAX) return false;
    entries++;
    FollowEntry *entry = RedisModule_Calloc(1, sizeof(*entry));
    size_t size = sizeof(*arguments) * (size_t)count;
    *entry = (FollowEntry){command, RedisModule_Alloc(size), count, NULL};
    memcpy(entry->arguments, arguments, size);
    for (int i = 0; i < count; i++) RedisModule_RetainString(NULL, arguments[i]);
    if (last == NULL)
        first = entry;
    else
        last->next = entry;
    last = entry;
    return true;
}

bool follow_queue_is_empty(void) {
    return first == NULL;
}

FollowEntry *follow_queue_take(const RedisModuleString *collection) {
    FollowEntry *before = NULL, *entry = first;
    while (entry != NULL && collection != NULL && RedisModule_StringCompare(entry->arguments[0], collection) != 0) {
        before = entry;
        entry = entry->next;
    }
    if (entry == NULL) return NULL;
    if (before == NULL)
        first = entry->next;
    else
        before->next = entry->next;
    if (last == entry) last = before;
    entries--;
    return entry;
}

void follow_queue_free(FollowEntry *entry) {
    for (int i = 0; i < entry->count; i++) RedisModule_FreeString(NULL, entry->arguments[i]);
    RedisModule_Free(entry->arguments);
    RedisModule_Free(entry);
}
