/**
 * One request from bytes to bytes: find the command, parse and check its arguments, make room, run it, encode the reply
 * or the error. Never throws: every error is the answer to that one request. Answers in the same tick when it need not
 * wait, which keeps a stream of small writes fast.
 */
import { VstoreError } from "../errors.ts";
import type { Context } from "./command.ts";
import { parseArguments } from "./grammar/arguments.ts";
import { echo, latin1 } from "./grammar/bytes.ts";
import { commands } from "./registry.ts";
import { assertReached } from "./token.ts";
import type { Reply } from "./wire/reply.ts";
import { encodeError, encodeInSlices, encodeReply, isLong } from "./wire/resp3.ts";
import { toWireError } from "./wire/wire-error.ts";

export interface Outcome {
  /** One RESP3 value. */
  readonly bytes: Buffer;
  /** Set when the request was refused. */
  readonly error?: Error;
}

/** The rest of a request after all waiting: it returns the encoded reply. */
type LastStep = () => Buffer;

/**
 * @param name the command's name in upper case, without VSTORE.
 * @param onApplied called in the same tick in which the request took effect or was refused, so that no
 *   checkpoint can come between a write and the note that it was applied
 */
export function execute(
  context: Context,
  name: string,
  args: readonly Uint8Array[],
  onApplied?: (outcome: Outcome) => void,
): Outcome | Promise<Outcome> {
  const finish = (last: LastStep): Outcome => {
    const outcome = attempt(context, name, last);
    onApplied?.(outcome);
    return outcome;
  };
  const refuse = (error: unknown): Outcome => finish(() => raise(error));
  const started = start(context, name, args);
  return started instanceof Promise ? started.then(finish, refuse) : finish(started);
}

/** The part of a request that may wait. An error of this part becomes the last step's error. */
function start(context: Context, name: string, args: readonly Uint8Array[]): LastStep | Promise<LastStep> {
  try {
    return startOrThrow(context, name, args);
  } catch (error) {
    return () => raise(error);
  }
}

function startOrThrow(
  context: Context,
  name: string,
  args: readonly Uint8Array[],
): LastStep | Promise<LastStep> {
  const command = commands.get(name) ?? raise(unknownCommand(name));
  const input = parseArguments(command.args, args);
  if (command.route !== "control" && args.length > 0) assertHasNoParts(context, args[0]!, name);
  if (command.route === "log") {
    if (command.caches === undefined) assertNoCache(context, args, name);
    const staged = command.stage?.(context, input);
    if (staged !== undefined) return staged.then((apply) => () => encodeReply(apply()));
    const run = () => encodeReply(command.run(context, input));
    return command.reserve?.(context, input)?.then(() => run) ?? run;
  }
  const asOf = command.args.asOf?.(args);
  if (asOf !== undefined) assertReached(context.catalog, args[0]!, asOf, context.timelines);
  const reply = command.run(context, input);
  return reply instanceof Promise ? reply.then(encode) : encode(reply);
}

/** Parsing has made sure that the first argument is the name of a collection. */
function assertNoCache({ catalog }: Context, [collection]: readonly Uint8Array[], name: string): void {
  const target = catalog.find(latin1(collection!));
  if (target?.options.cache === undefined) return;
  throw new VstoreError(
    "ERR",
    `VSTORE.${name} is not for caches, and '${target.name}' is one; see VSTORE.CACHE.SET`,
  );
}

/** What has come here all the same found no sidecar, or no mark, that would have passed it on to the parts. */
function assertHasNoParts({ catalog }: Context, collection: Uint8Array, name: string): void {
  const target = catalog.find(latin1(collection));
  if (target?.options.shards === undefined) return;
  const what = `VSTORE.${name} of '${target.name}', a collection with SHARDS, was not passed on to its parts`;
  throw new VstoreError("TRYAGAIN", `${what}; nothing was changed`);
}

/** A long reply is encoded while other requests have their turn. */
function encode(reply: Reply): LastStep | Promise<LastStep> {
  if (!isLong(reply)) return () => encodeReply(reply);
  return encodeInSlices(reply).then((bytes) => () => bytes);
}

function unknownCommand(name: string): VstoreError {
  return new VstoreError("ERR", `unknown command ${echo(Buffer.from(`VSTORE.${name}`))}`);
}

function attempt(context: Context, name: string, last: LastStep): Outcome {
  try {
    return { bytes: last() };
  } catch (cause) {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    if (!(error instanceof VstoreError)) context.onUnexpectedError?.(error, name);
    return { bytes: encodeError(toWireError(error)), error };
  }
}

function raise(error: unknown): never {
  throw error;
}
