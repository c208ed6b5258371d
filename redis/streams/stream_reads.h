/* VSTORE.XREAD: what XREAD does, over streams of several slots, which a node of a cluster refuses there. */
#ifndef VSTORE_STREAM_READS_H
#define VSTORE_STREAM_READS_H

#include "module_api.h"

/* VSTORE.XREAD COUNT <n> [BLOCK <ms>] STREAMS <stream> … <id> … */
int xread_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
