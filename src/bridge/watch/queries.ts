/**
 * Reads of the HTTP server. They take the way of every read, except through Redis: the same grammar, the same checks,
 * the same search. Nothing here writes. Work is bounded before it starts.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Context } from "../../commands/command.ts";
import { parseArguments } from "../../commands/grammar/arguments.ts";
import { commands } from "../../commands/registry.ts";
import type { Reply } from "../../commands/wire/reply.ts";
import type { Collection } from "../../engine/collection.ts";

/** Of one sample: vectors, and bytes of their components. */
export const sampleVectorsMax = 500;
export const sampleBytesMax = 2 * 1024 * 1024;
/** Rows of mapped files that are read within one turn of the event loop; each may have to come from the disk. */
const rowsPerTurn = 16;

/** @throws VstoreError, as the command would answer it */
export async function query(context: Context, name: "SEARCH" | "INFO", words: string[]): Promise<Reply> {
  const command = commands.get(name)!;
  return command.run(
    context,
    parseArguments(
      command.args,
      words.map((word) => Buffer.from(word)),
    ),
  );
}

export interface Sample {
  readonly keys: readonly Uint8Array[];
  /** Shape (keys.length x dimensions). */
  readonly vectors: Float32Array;
}

/** Some of the vectors, from everywhere in the collection. */
export async function sample(collection: Collection): Promise<Sample> {
  const { dimensions } = collection.options;
  const most = Math.min(sampleVectorsMax, Math.floor(sampleBytesMax / (4 * dimensions)));
  const keys = collection.sampling.spreadKeys(most);
  const vectors = new Float32Array(keys.length * dimensions);
  const found: Uint8Array[] = [];
  for (const [i, key] of keys.entries()) {
    if (i % rowsPerTurn === 0) await nextTurn();
    const vector = collection.get(key);
    if (vector === undefined) continue; // removed meanwhile
    vectors.set(vector, found.length * dimensions);
    found.push(key);
  }
  return { keys: found, vectors: vectors.subarray(0, found.length * dimensions) };
}
