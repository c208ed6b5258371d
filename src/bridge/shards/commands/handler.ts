/** How one command is answered where the collection has parts. */
import type { Context } from "../../../commands/command.ts";
import type { Reply } from "../../../commands/wire/reply.ts";
import type { Parts } from "../parts.ts";

/**
 * Must send its first requests to the parts before it awaits anything: so they leave in the order in which requests
 * came.
 *
 * @param args of the request, the collection's name first
 */
export type Handler = (parts: Parts, args: readonly Buffer[], context: Context) => Promise<Reply>;
