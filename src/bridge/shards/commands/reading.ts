/** Reads of keys, and of figures that add up. */

import { parseArguments } from "../../../commands/grammar/arguments.ts";
import { toBlob } from "../../../commands/grammar/vector.ts";
import { exists } from "../../../commands/vectors/exists.ts";
import { get } from "../../../commands/vectors/get.ts";
import { mget } from "../../../commands/vectors/mget.ts";
import { roomFor, vectorsBytes } from "../../../commands/wire/answer-size.ts";
import type { Reply } from "../../../commands/wire/reply.ts";
import type { Parts } from "../parts.ts";
import type { Handler } from "./handler.ts";

export const readGet: Handler = async (parts, args) => {
  const { key, options } = parseArguments(get.args, args);
  const [vector] = await vectorsOf(parts, [key]);
  if (vector === undefined) return null;
  return options.raw ? toBlob(vector) : vector;
};

export const readMget: Handler = async (parts, args, context) => {
  const { keys, raw } = parseArguments(mget.args, args);
  await roomFor(context, vectorsBytes(keys.length, parts.home.options.dimensions, raw));
  const vectors = await vectorsOf(parts, keys);
  return vectors.map((vector) => (vector !== undefined && raw ? toBlob(vector) : (vector ?? null)));
};

export const readExists: Handler = async (parts, args) => {
  const { keys } = parseArguments(exists.args, args);
  const counts = await askOfKeys(parts, keys, (part, group) => parts.ask(part, "EXISTS", group));
  return sum(counts.map(({ reply }) => Number(reply)));
};

/** The parts check what follows the name. */
export const readCard: Handler = async (parts, args) =>
  sum((await parts.askAll("CARD", parts.wordsOf(args))).map(Number));

/** The vectors of keys, in their order; undefined where there is no such key. */
export async function vectorsOf(
  parts: Parts,
  keys: readonly Uint8Array[],
): Promise<(Float32Array | undefined)[]> {
  const vectors = new Array<Float32Array | undefined>(keys.length).fill(undefined);
  const read = (part: number, group: Buffer[]) => parts.ask(part, "MGET", ["RAW", group.length, ...group]);
  for (const { positions, reply } of await askOfKeys(parts, keys, read)) {
    for (const [i, blob] of (reply as (Buffer | null)[]).entries())
      if (blob !== null) vectors[positions[i]!] = floatsOf(blob);
  }
  return vectors;
}

interface GroupReply {
  readonly positions: readonly number[];
  readonly reply: unknown;
}

/**
 * Asks each part about its keys. A key that reads like an option goes alone: behind others of its part, or before them,
 * it would be one.
 */
export async function askOfKeys(
  parts: Parts,
  keys: readonly Uint8Array[],
  ask: (part: number, group: Buffer[]) => Promise<unknown>,
): Promise<GroupReply[]> {
  const groups = [...parts.group(keys)].flatMap(([part, positions]) => {
    const plain = positions.filter((i) => !readsLikeOption(keys[i]!));
    const others = positions.filter((i) => readsLikeOption(keys[i]!)).map((i) => [i]);
    return [...(plain.length > 0 ? [plain] : []), ...others].map((each) => ({ part, positions: each }));
  });
  return Promise.all(
    groups.map(async ({ part, positions }) => ({
      positions,
      reply: await ask(
        part,
        positions.map((i) => bufferOf(keys[i]!)),
      ),
    })),
  );
}

const optionWords = new Set(["FILTER", "NOWAIT", "ASOF", "RAW"]);
const optionLengthMax = 6;

function readsLikeOption(key: Uint8Array): boolean {
  return key.length <= optionLengthMax && optionWords.has(bufferOf(key).toString("latin1").toUpperCase());
}

export function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

/** A copy, as the bytes of a reply lie anywhere. */
function floatsOf(blob: Buffer): Float32Array {
  return new Float32Array(new Uint8Array(blob).buffer);
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Figures of INFO that add up over the parts. */
const summed = [
  "vectors expiring expired slots dead_slots compactions keys_bytes attributes_bytes segments tail_slots",
]
  .join(" ")
  .split(" ");

/** Figures of the whole, then of each part: its name, its node, its vectors. */
export const readInfo: Handler = async (parts) => {
  const all = (await parts.askAll("INFO", [])).map(factsOf);
  const { dimensions, metric, quantization, M, efConstruction, ef } = parts.home.options;
  const facts = new Map<string, Reply>([
    ["dimensions", dimensions],
    ["metric", metric],
    ["quantization", quantization],
    ["m", M],
    ["ef_construction", efConstruction],
    ["ef", ef],
    ["shards", parts.names.length],
  ]);
  for (const name of summed)
    if (all.every((each) => each.has(name))) facts.set(name, sum(all.map((each) => Number(each.get(name)))));
  facts.set("created_id", parts.home.createdId);
  for (const [i, each] of all.entries())
    facts.set(`shard_${i}`, `${parts.names[i]} on ${parts.placeOf(i)}, ${each.get("vectors")} vectors`);
  return facts;
};

function factsOf(reply: unknown): Map<string, string> {
  const words = (reply as unknown[]).map(String);
  return new Map(Array.from({ length: words.length / 2 }, (_, i) => [words[2 * i]!, words[2 * i + 1]!]));
}
