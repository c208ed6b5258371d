/**
 * The shape of a command's declaration. All other descriptions of a command (the module's C table, COMMAND DOCS,
 * docs/commands.md, the README's table) are generated from these fields; see scripts/generate.ts.
 */
import type { Catalog } from "../engine/catalog.ts";
import { type Arguments, notWaitedFor } from "./grammar/arguments.ts";
import { endingAsOf } from "./grammar/as-of.ts";
import type { Timelines } from "./token.ts";
import type { Reply } from "./wire/reply.ts";

/** What a command may touch while it runs. */
export interface Context {
  readonly catalog: Catalog;
  /** The stream id of the request: a name and nothing else. */
  readonly id: string;
  /** When the request was made, in ms since 1970; the same in every replay. */
  readonly time: number;
  /** Number of the Redis database that the logs are in; undefined without a Redis. */
  readonly database?: number;
  /** What the bridge knows of one write-ahead log, or of all; for INFO. */
  readonly logFacts?: (collection?: string) => Record<string, string | number>;
  /** Whether the reply goes to the module, which puts the values of Redis keys into it. */
  readonly canShowValues?: boolean;
  /** The writes of a collection that were refused without a client waiting, the oldest first; for WAIT. */
  readonly refusals?: (collection: string) => Promise<readonly Refusal[]>;
  /**
   * Has the value of an entry that has ended deleted, while it still has the digest. Undefined on a follower, and where
   * the request may end none.
   */
  readonly release?: ((cache: string, key: Uint8Array, digest: string) => void) | undefined;
  /** Has the value of an entry of a cache live until `deadline`, while it still has the digest. */
  readonly renew?: (cache: string, key: Uint8Array, digest: string, deadline: number) => void;
  /** Resolves when an answer of so many bytes may be built. The bytes count until the answer has left. */
  readonly answerRoom?: ((bytes: number) => Promise<void>) | undefined;
  /** Of the logs; there is only one without a Redis. */
  readonly timelines?: Timelines;
  /** Of a CREATE with SHARDS: the parts, which are there already. */
  readonly shards?: readonly string[] | undefined;
  /** Hears of every error that was not raised on purpose, so that it is logged. */
  readonly onUnexpectedError?: (error: unknown, command: string) => void;
}

/** A write that was refused when its client did not wait any more. */
export interface Refusal {
  /** Of its entry in the log. */
  readonly id: string;
  /** Code and message, as a client would have got them. */
  readonly reason: string;
}

/** Which stream carries the command; see PROTOCOL.md. */
export type Route = "log" | "queries" | "control";

interface Declaration<Input> {
  /** Upper case, without the VSTORE. prefix. */
  readonly name: string;
  /** One sentence, for COMMAND DOCS and the tables. */
  readonly summary: string;
  /** Big-O, in the words of COMMAND DOCS. */
  readonly complexity: string;
  /** Grammar, documentation and zod schema of the arguments in one value. */
  readonly args: Arguments<Input>;
  /** The reply, in words and as the TypeScript type that a RESP3 client gets. */
  readonly reply: string;
  readonly replyType: string;
  /** The level of the reply at which a RESP2 client gets an array of pairs as one flat array. */
  readonly pairsDepth?: number;
  /** May take longer than vstore.timeout (BUILD WAIT, CHECKPOINT). */
  readonly long?: true;
  /** An entry of a log that no client sends: in no table and no documentation. */
  readonly internal?: true;
}

/**
 * A write of an existing collection. `reserve` is the only part that may wait (for disk space); `run` is
 * synchronous, so that the request is applied between two checkpoints and never across one.
 *
 * `stage` takes the place of both for a request that is too large for one turn of the event loop: it resolves to the
 * synchronous part.
 */
export interface LogCommand<Input> extends Declaration<Input> {
  readonly route: "log";
  /**
   * Whether it writes only caches, or also caches. All others are refused there: value and vector of an entry must not
   * change apart.
   */
  readonly caches?: "only" | "also";
  reserve?(context: Context, input: Input): Promise<void> | undefined;
  stage?(context: Context, input: Input): Promise<() => Reply> | undefined;
  run(context: Context, input: Input): Reply;
}

/** A read, or a request about a collection that changes none of its vectors. */
export interface QueryCommand<Input> extends Declaration<Input> {
  readonly route: "queries";
  /** Set where the answer is about the sidecar, or about how far it is. All others take ASOF. */
  readonly aboutSidecar?: true;
  run(context: Context, input: Input): Reply | Promise<Reply>;
}

/** CREATE, DROP (`writes`) and LIST: they change or list the catalog itself. */
export interface ControlCommand<Input> extends Declaration<Input> {
  readonly route: "control";
  readonly writes: boolean;
  run(context: Context, input: Input): Reply | Promise<Reply>;
}

export type Command<Input = unknown> = LogCommand<Input> | QueryCommand<Input> | ControlCommand<Input>;

/** Gives `run` the type of what `args` parses, NOWAIT to every write of a collection, and ASOF to every read of one. */
export function define<Input>(command: Command<Input>): Command<Input> {
  if (command.internal) return command;
  if (command.route === "log") return { ...command, args: notWaitedFor(command.args) };
  if (command.route === "queries" && !command.aboutSidecar)
    return { ...command, args: endingAsOf(command.args) };
  return command;
}
