/**
 * Writes: each goes to the parts of its keys, and is acknowledged once they have acknowledged it. All or none holds
 * within a part.
 */
import { parseArguments } from "../../../commands/grammar/arguments.ts";
import { vectorReader } from "../../../commands/grammar/vector.ts";
import { del } from "../../../commands/vectors/del.ts";
import { minsert } from "../../../commands/vectors/minsert.ts";
import { VstoreError } from "../../../errors.ts";
import { limits } from "../../../limits.ts";
import type { Word } from "../nodes/connection.ts";
import type { Handler } from "./handler.ts";
import { askOfKeys, bufferOf, sum } from "./reading.ts";

const bytesPerComponent = 4;

export const writeMinsert: Handler = async (parts, args) => {
  const { keys, blob, options } = parseArguments(minsert.args, args);
  const { ttl, attributes } = options;
  const { dimensions } = parts.home.options;
  if (attributes !== undefined && attributes.length !== keys.length)
    throw new VstoreError("ERR", `'SETATTR' must be ${keys.length} JSON texts, got ${attributes.length}`);
  if (blob.length > limits.shardedBlobBytesMax) {
    const what = "the vectors of one MINSERT of a collection with SHARDS must not exceed";
    throw new VstoreError("LIMIT", `${what} ${limits.shardedBlobBytesMax} bytes`);
  }
  vectorReader(blob, keys.length, dimensions);
  const rowBytes = dimensions * bytesPerComponent;
  const groups = [...parts.group(keys)].map(async ([part, positions]) => {
    const rows = Buffer.allocUnsafe(positions.length * rowBytes);
    for (const [to, from] of positions.entries())
      rows.set(blob.subarray(from * rowBytes, (from + 1) * rowBytes), to * rowBytes);
    const words: Word[] = [positions.length, ...positions.map((i) => bufferOf(keys[i]!)), "FP32", rows];
    words.push(...lifetimeWords(ttl));
    if (attributes !== undefined) words.push("SETATTR", ...positions.map((i) => bufferOf(attributes[i]!)));
    return Number(await parts.tell(part, "MINSERT", words));
  });
  return sum(await Promise.all(groups));
};

type Ttl = { seconds: number } | { milliseconds: number } | { keep: true } | undefined;

function lifetimeWords(ttl: Ttl): Word[] {
  if (ttl === undefined) return [];
  if ("keep" in ttl) return ["KEEPTTL"];
  return "seconds" in ttl ? ["EX", ttl.seconds] : ["PX", ttl.milliseconds];
}

export const writeDel: Handler = async (parts, args) => {
  const { selection } = parseArguments(del.args, args);
  if ("keys" in selection) {
    const counts = await askOfKeys(parts, selection.keys, (part, group) => parts.tell(part, "DEL", group));
    return sum(counts.map(({ reply }) => Number(reply)));
  }
  if (parts.isInLogs)
    throw new VstoreError(
      "ERR",
      "'FILTER' cannot be used with 'NOWAIT' where the collection has SHARDS: each part may delete what others left of COUNT",
    );
  let left = selection.count;
  for (let part = 0; part < parts.names.length && left > 0; part++)
    left -= Number(await parts.tell(part, "DEL", ["FILTER", selection.filter, "COUNT", left]));
  return selection.count - left;
};
