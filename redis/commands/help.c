#include "commands/help.h"
#include <string.h>
#include <strings.h>

#define PREFIX "VSTORE."

static RedisModuleCommandArg help_arguments[] = {
    {.name = "command", .type = REDISMODULE_ARG_TYPE_STRING, .flags = REDISMODULE_CMD_ARG_OPTIONAL},
    {0}};

const VstoreCommand help_declaration = {
    .name = "HELP",
    .summary = "Returns what the commands are, or everything about one of them, in lines of text.",
    .complexity = "O(1)",
    .since = "0.2.0",
    .arity = -1,
    .arguments = help_arguments};

static int reply_lines(RedisModuleCtx *ctx, const char *const *lines) {
    long count = 0;
    while (lines[count] != NULL) count++;
    RedisModule_ReplyWithArray(ctx, count);
    for (long i = 0; i < count; i++) RedisModule_ReplyWithSimpleString(ctx, lines[i]);
    return REDISMODULE_OK;
}

/* Of each command the first two lines: its syntax, and what it does. */
static int reply_overview(RedisModuleCtx *ctx) {
    long commands = 0;
    while (command_table[commands].name != NULL) commands++;
    RedisModule_ReplyWithArray(ctx, 1 + 2 * commands + 2);
    RedisModule_ReplyWithSimpleString(ctx, "VSTORE.<command> [<arg> ...]. Commands are:");
    for (const VstoreCommand *command = command_table; command->name != NULL; command++)
        for (int line = 0; line < 2; line++) RedisModule_ReplyWithSimpleString(ctx, command->help[line]);
    RedisModule_ReplyWithSimpleString(ctx, "VSTORE.HELP [command]");
    return RedisModule_ReplyWithSimpleString(ctx, "    Prints this help, or everything about one command.");
}

int help_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc) {
    if (argc > 2) return RedisModule_WrongArity(ctx);
    if (argc == 1) return reply_overview(ctx);
    const char *name = RedisModule_StringPtrLen(argv[1], NULL);
    if (strncasecmp(name, PREFIX, strlen(PREFIX)) == 0) name += strlen(PREFIX);
    const VstoreCommand *command = command_find(name);
    if (command == NULL) return RedisModule_ReplyWithError(ctx, "ERR 'command' is unknown, see VSTORE.HELP");
    return reply_lines(ctx, command->help);
}
