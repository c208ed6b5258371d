/* VSTORE.HELP: describes the commands, from their declarations. It needs no sidecar. */
#ifndef VSTORE_HELP_H
#define VSTORE_HELP_H

#include "commands/command_table.h"

/* For COMMAND DOCS. */
extern const VstoreCommand help_declaration;

/* VSTORE.HELP [command] */
int help_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

#endif
