/* The list of later.h: the oldest first. Only later() and on_timer() write it. */
#include "slots/later.h"
#include <stdbool.h>

#define PAUSED_MS 10 /* how often to look whether writes go on */

typedef struct Task Task;

struct Task {
    LaterFunc run;
    void *data;
    int database;
    Task *next;
};

static Task *first, *last;
static bool is_timer_set;

static void on_timer(RedisModuleCtx *ctx, void *data);

static void set_timer(RedisModuleCtx *ctx, long long ms) {
    if (!is_timer_set) RedisModule_CreateTimer(ctx, ms, on_timer, NULL);
    is_timer_set = true;
}

static Task *take(void) {
    Task *task = first;
    first = task->next;
    if (first == NULL) last = NULL;
    return task;
}

static void on_timer(RedisModuleCtx *ctx, void *data) {
    (void)data;
    is_timer_set = false;
    bool is_replica = RedisModule_GetContextFlags(ctx) & REDISMODULE_CTX_FLAGS_SLAVE;
    if (RedisModule_AvoidReplicaTraffic() && !is_replica) {
        set_timer(ctx, PAUSED_MS);
        return;
    }
    int database = RedisModule_GetSelectedDb(ctx);
    while (first != NULL) {
        Task *task = take();
        RedisModule_SelectDb(ctx, task->database);
        task->run(ctx, task->data);
        RedisModule_Free(task);
    }
    RedisModule_SelectDb(ctx, database);
}

void later(RedisModuleCtx *ctx, LaterFunc run, void *data) {
    Task *task = RedisModule_Calloc(1, sizeof(*task));
    *task = (Task){run, data, RedisModule_GetSelectedDb(ctx), NULL};
    if (last == NULL)
        first = task;
    else
        last->next = task;
    last = task;
    set_timer(ctx, 0);
}
