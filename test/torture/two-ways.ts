/**
 * Searches and small reads on their short way beside the way of all other requests: whatever the short way answers, the
 * other one has to answer to the byte. Requests are of every form that the short way takes, and of many that it must
 * leave.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generator, randomVector } from "../../harness/random.ts";
import { execute } from "../../src/commands/execute.ts";
import { answerMsearchPlainly, readPlainMsearch } from "../../src/commands/search/plain-msearch.ts";
import { answerPlainly, readPlainSearch } from "../../src/commands/search/plain-search.ts";
import {
  answerPlainCard,
  answerPlainGet,
  isPlainCard,
  readPlainGet,
} from "../../src/commands/vectors/plain-reads.ts";
import { Catalog } from "../../src/engine/catalog.ts";

type Random = () => number;
type Word = string | number | Uint8Array;

/** Asked at once, so that the index gets several together. */
const togetherMax = 6;
/** Keys of each collection that a GET may name: `known 0`, `known 1`, … */
const knownKeys = 20;
const dimensions = { l2: 3, cosine: 20, ip: 7, empty: 2, lives: 3 } as const;
type Name = keyof typeof dimensions;
const names = Object.keys(dimensions) as Name[];

const below = (random: Random, n: number) => Math.floor(random() * n);
const pick = <T>(random: Random, of: readonly T[]): T => of[below(random, of.length)]!;
const bytesOf = (vector: Float32Array) => Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
const wordsOf = (words: readonly Word[]) =>
  words.map((word) => (typeof word === "object" ? word : Buffer.from(String(word))));

/** Arguments of a SEARCH, of those collections or of none. */
export function randomSearch(random: Random): Uint8Array[] {
  const name =
    below(random, 50) === 0
      ? pick(random, ["none", "", "l2 ", "L2", "x".repeat(90), "parts", "parts"])
      : pick(random, names);
  const words: Word[] = [
    name,
    pick(random, ["FP32", "FP32", "FP32", "FP32", "FP32", "fp32", below(random, 5) === 0 ? "KEY" : "Fp32"]),
  ];
  words.push(randomBlob(random, name as Name));
  for (let options = below(random, 4); options > 0; options--) words.push(...randomOption(random));
  if (below(random, 40) === 0) words.splice(below(random, words.length), 1);
  return wordsOf(words);
}

function randomBlob(random: Random, name: Name): Uint8Array {
  const components = dimensions[name] ?? 3;
  const vector = randomVector(random, components);
  const kind = below(random, 60);
  if (kind === 0) vector[below(random, components)] = pick(random, [Number.NaN, 1 / 0, -1 / 0, 3e38, -0]);
  if (kind === 1) vector.fill(0);
  if (kind === 2) return Buffer.from("word");
  if (kind === 3) return bytesOf(vector).subarray(below(random, components * 4));
  if (kind === 4) return Buffer.concat([bytesOf(vector), Buffer.alloc(4)]);
  // Pieces of a socket's bytes begin anywhere.
  const room = Buffer.alloc(components * 4 + 8);
  const start = below(random, 8);
  bytesOf(vector).copy(room, start);
  return room.subarray(start, start + components * 4);
}

/** One of the usual ones, or rarely an odd one. */
const mostly = <T>(random: Random, usual: readonly T[], odd: readonly T[]) =>
  pick(random, below(random, 10) === 0 ? odd : usual);

const counts = [1, 2, 5, 10, 10, 10, 63, 64];
const oddCounts = [65, 300, 10_000, 10_001, 0, -1, "01", "+1", "1e1", " 1", "", "x", 99_999_999];
const efs = [1, 10, 10, 10, 64, 100, 200, 10_000];
const oddEfs = [10_001, 0, "ten", "1.0"];
const distances = [0, 1, 0.5, "1e-3", ".5", "5.", -1, "-0", "+2"];
const oddDistances = ["inf", "nan", "1e999", "0x1", ""];

function randomOption(random: Random): Word[] {
  const kind = below(random, 40);
  if (kind < 12) return [pick(random, ["COUNT", "COUNT", "count"]), mostly(random, counts, oddCounts)];
  if (kind < 22) return [pick(random, ["EF", "EF", "ef"]), mostly(random, efs, oddEfs)];
  if (kind < 28) return [pick(random, ["WITHIN", "within"]), mostly(random, distances, oddDistances)];
  if (kind < 36) return [pick(random, ["WITHDISTANCES", "WithDistances"])];
  if (kind === 36) return ["OFFSET", below(random, 5)];
  if (kind === 37)
    return [pick(random, ["EXACT", "WITHATTRS", "WITHVALUES", "WITHSELF", "FILTER", "COUNT", "E"])];
  if (kind === 38) return ["ASOF", pick(random, ["", "token"])];
  return [bytesOf(randomVector(random, 2))];
}

/** Collections of `dimensions`, filled the same for the same seed. @param builds one of them has an index */
export async function fill(
  random: Random,
  run: (name: string, ...words: Uint8Array[]) => Promise<unknown>,
  builds = true,
): Promise<void> {
  const send = (name: string, ...words: Word[]) => run(name, ...wordsOf(words));
  const metrics = { l2: "L2", cosine: "COSINE", ip: "IP", empty: "L2", lives: "L2" } as const;
  for (const name of names) await send("CREATE", name, "DIM", dimensions[name], "METRIC", metrics[name]);
  for (const name of ["l2", "cosine", "ip", "lives"] as const) {
    for (let i = 0; i < 300; i++) {
      const key = Buffer.alloc(pick(random, [2, 4, 9, 10, 99, 130, 1_024]), below(random, 256));
      key.writeUInt16BE(i);
      await send("INSERT", name, key, "FP32", bytesOf(randomVector(random, dimensions[name])));
      if (below(random, 5) === 0) await send("DEL", name, key);
    }
    for (let i = 0; i < knownKeys; i++)
      await send("INSERT", name, `known ${i}`, "FP32", bytesOf(randomVector(random, dimensions[name])));
    if (builds && name === "cosine") await send("BUILD", name, "WAIT");
  }
  await send("INSERT", "lives", "mortal", "FP32", bytesOf(randomVector(random, 3)), "EX", 1_000_000);
}

/** @returns how many of them the short way has answered. @throws Error that names the round where the two differ */
export async function compareWays(seed: number, rounds: number, counted: () => void): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "vstore-two-ways-"));
  const catalog = await Catalog.open(directory);
  let requests = 0;
  const run = async (name: string, ...args: Uint8Array[]) => {
    const { bytes } = await execute({ catalog, id: `${++requests}-0`, time: Date.now() }, name, args);
    return bytes;
  };
  try {
    await fill(generator(seed), run);
    // Its vectors are elsewhere.
    const context = { catalog, id: `${++requests}-0`, time: 0, shards: ["part 1", "part 2"] };
    await execute(context, "CREATE", wordsOf(["parts", "DIM", 3, "SHARDS", 2]));
    assert(catalog.has("parts"));
    let short = 0;
    for (let round = 0; round < rounds; ) {
      const random = generator(seed + round);
      const together = Array.from({ length: 1 + below(random, togetherMax) }, () => randomRequest(random));
      const answers = await Promise.all(together.map((request) => answerOf(catalog, request)));
      for (const [i, { name, args }] of together.entries()) {
        const answer = answers[i];
        const other = await run(name, ...args);
        if (answer !== undefined)
          assert.deepEqual(
            answer.toString("latin1"),
            other.toString("latin1"),
            `seed ${seed + round}: ${name} ${args.map(String).join(" ")}`,
          );
        if (answer !== undefined) short++;
        counted();
      }
      round += together.length;
    }
    return short;
  } finally {
    await catalog.close();
    rmSync(directory, { recursive: true });
  }
}

interface Request {
  readonly name: "SEARCH" | "MSEARCH" | "CARD" | "GET";
  readonly args: readonly Uint8Array[];
}

/** A SEARCH, an MSEARCH of several such vectors, a CARD or a GET. */
function randomRequest(random: Random): Request {
  const args = randomSearch(random);
  if (below(random, 6) === 0) return randomSmallRead(random, args[0]!);
  if (below(random, 3) > 0 || args.length < 3) return { name: "SEARCH", args };
  const [collection, form, blob, ...options] = args;
  const name = Buffer.from(collection!).toString("latin1") as Name;
  const count = mostly(random, [1, 2, 3, 5], [0, 33, "two"]);
  const more = Array.from({ length: Math.max(0, Number(count) - 1) || 0 }, () => randomBlob(random, name));
  const blobs = Buffer.concat([blob!, ...more]);
  return { name: "MSEARCH", args: [...wordsOf([collection!, count, form!, blobs]), ...options] };
}

function randomSmallRead(random: Random, collection: Uint8Array): Request {
  if (below(random, 2) === 0)
    return {
      name: "CARD",
      args: wordsOf(mostly(random, [[collection]], [[], [collection, "RAW"], [collection, "ASOF", "token"]])),
    };
  const key = mostly(random, [`known ${below(random, knownKeys + 5)}`], ["", "mortal", Buffer.alloc(1_025)]);
  const options = mostly(random, [[], ["RAW"], ["raw"]], [["RAW", "RAW"], ["R"], ["ASOF", "token"]]);
  return { name: "GET", args: wordsOf([collection, key, ...options]) };
}

/** Undefined where the short way leaves it to the other. */
function answerOf(catalog: Catalog, { name, args }: Request): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error("the short way has failed"));
    const collection = Buffer.from(args[0] ?? "").toString("latin1");
    const one = name === "SEARCH" ? readPlainSearch(args) : undefined;
    const many = name === "MSEARCH" ? readPlainMsearch(args) : undefined;
    const got = name === "GET" ? readPlainGet(args) : undefined;
    if (got) return resolve(answerPlainGet(catalog, collection, got));
    if (name === "CARD" && isPlainCard(args)) return resolve(answerPlainCard(catalog, collection));
    const isTaken =
      (one && answerPlainly(catalog, collection, one, resolve, fail)) ??
      (many && answerMsearchPlainly(catalog, collection, many, resolve, fail));
    if (!isTaken) resolve(undefined);
  });
}
