/* The one place that compiles the generated table. */
#include "commands/command_table.h"
#include "commands/commands.h"
#include <stddef.h>
#include <strings.h>

const VstoreCommand *const command_table = vstore_commands;
const size_t command_payload_bytes_max = VSTORE_PAYLOAD_BYTES_MAX;
const long long values_bytes_max = VSTORE_VALUES_BYTES_MAX;
const size_t value_hash_fields_max = VSTORE_VALUE_HASH_FIELDS_MAX;
const size_t cache_value_bytes_max = VSTORE_CACHE_VALUE_BYTES_MAX;
const size_t cache_prompt_bytes_max = VSTORE_CACHE_PROMPT_BYTES_MAX;
const size_t cache_id_bytes_max = VSTORE_CACHE_ID_BYTES_MAX;
const long long ttl_seconds_max = VSTORE_TTL_SECONDS_MAX;
const int command_arguments_max = VSTORE_ARGUMENTS_MAX;
const size_t key_bytes_max = VSTORE_KEY_BYTES_MAX;
const size_t attributes_bytes_max = VSTORE_ATTRIBUTES_BYTES_MAX;

#define CASE_BIT 0x20

const VstoreCommand *command_find(const char *name) {
    char first = name[0] & ~CASE_BIT;
    for (const VstoreCommand *command = vstore_commands; command->name != NULL; command++)
        if (command->name[0] == first && strcasecmp(command->name, name) == 0) return command;
    return NULL;
}

#define COMMANDS (sizeof(vstore_commands) / sizeof(vstore_commands[0]))

/* By their place in the table; each is made when it is first asked for. Only command_passed_on() writes it. */
static VstoreCommand passed_on[COMMANDS];

const VstoreCommand *command_passed_on(const VstoreCommand *command) {
    if (command->is_passed_on) return command;
    ptrdiff_t place = command - vstore_commands;
    VstoreCommand *copy = &passed_on[place];
    *copy = *command;
    copy->route = ROUTE_QUERIES;
    copy->writes = false;
    copy->is_passed_on = true;
    return copy;
}
