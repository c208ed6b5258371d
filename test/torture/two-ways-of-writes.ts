/**
 * Inserts on their short way beside the way of all other requests, in two stores that get the same requests: they have
 * to answer the same to the byte, and to hold the same afterwards.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generator, randomVector } from "../../harness/random.ts";
import { execute } from "../../src/commands/execute.ts";
import { insertPlainly } from "../../src/commands/vectors/plain-insert.ts";
import { Catalog } from "../../src/engine/catalog.ts";

type Random = () => number;

const dimensions = { l2: 3, cosine: 20, attributed: 4 } as const;
type Name = keyof typeof dimensions;
const names = Object.keys(dimensions) as Name[];
const startedAt = 1_700_000_000_000;

const below = (random: Random, n: number) => Math.floor(random() * n);
const pick = <T>(random: Random, of: readonly T[]): T => of[below(random, of.length)]!;
const bytes = (...words: (string | number | Uint8Array)[]) =>
  words.map((word) => (typeof word === "object" ? word : Buffer.from(String(word))));

interface Request {
  readonly name: string;
  readonly args: readonly Uint8Array[];
  readonly time: number;
}

interface Store {
  readonly catalog: Catalog;
  readonly directory: string;
}

/** @returns how many of them the short way has answered. @throws Error that names the round where the two differ */
export async function compareWrites(seed: number, rounds: number): Promise<number> {
  const [short, long] = [await open(), await open()];
  let taken = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      const request = randomWrite(generator(seed + round), startedAt + round * 10);
      const answer = answerPlainly(short.catalog, request);
      if (answer !== undefined) taken++;
      const [ours, other] = [answer ?? (await answerOf(short, request)), await answerOf(long, request)];
      assert.equal(ours.toString("latin1"), other.toString("latin1"), `seed ${seed + round}`);
    }
    for (const name of names) assert.deepEqual(await contentsOf(short, name), await contentsOf(long, name));
    return taken;
  } finally {
    for (const { catalog, directory } of [short, long]) {
      await catalog.close();
      rmSync(directory, { recursive: true });
    }
  }
}

async function open(): Promise<Store> {
  const directory = mkdtempSync(join(tmpdir(), "vstore-two-ways-"));
  const store = { catalog: await Catalog.open(directory), directory };
  for (const name of names) {
    const metric = name === "cosine" ? "COSINE" : "L2";
    const args = bytes(name, "DIM", dimensions[name], "METRIC", metric);
    await answerOf(store, { name: "CREATE", args, time: startedAt });
  }
  const cache = bytes("cache", "DIM", 3, "THRESHOLD", 0.1);
  await answerOf(store, { name: "CACHE.CREATE", args: cache, time: startedAt });
  return store;
}

function answerPlainly(catalog: Catalog, { name, args, time }: Request): Buffer | undefined {
  const collection = catalog.find(Buffer.from(args[0]!).toString("latin1"));
  return collection && insertPlainly(collection, name, args, time);
}

async function answerOf({ catalog }: Store, { name, args, time }: Request): Promise<Buffer> {
  return (await execute({ catalog, id: `${time}-0`, time }, name, args)).bytes;
}

/** All that the files would say, and every vector. */
async function contentsOf(store: Store, name: Name): Promise<unknown> {
  const ask = async (command: string, ...words: (string | number | Uint8Array)[]) =>
    (await answerOf(store, { name: command, args: bytes(name, ...words), time: startedAt })).toString(
      "latin1",
    );
  const collection = store.catalog.get(name);
  // Each table has hashes of its own, and so its own order.
  const keys = collection.scan(0, 10_000).keys.sort(Buffer.compare);
  const all = await Promise.all(
    keys.map((key) => Promise.all([ask("GET", key, "RAW"), ask("GETATTR", key)])),
  );
  return [collection.rows, collection.length, keys.map((key) => Buffer.from(key).toString("hex")), all];
}

function randomWrite(random: Random, time: number): Request {
  const target = below(random, 40) === 0 ? pick(random, ["none", "", "cache", "L2"]) : pick(random, names);
  const name = target as Name;
  const kind = below(random, 10);
  if (kind === 0) return { name: "DEL", args: bytes(target, randomKey(random)), time };
  const isMany = kind < 5;
  const count = isMany ? 1 + below(random, 6) : 1;
  const keys = Array.from({ length: count }, () => randomKey(random));
  const blob = randomBlob(random, dimensions[name] ?? 3, count);
  const told = isMany ? [below(random, 30) === 0 ? pick(random, ["0", "01", "7", "x"]) : count] : [];
  const form = pick(random, ["FP32", "FP32", "FP32", "fp32", below(random, 9) === 0 ? "VALUES" : "Fp32"]);
  const args = bytes(target, ...told, ...keys, form, blob, ...randomOptions(random, name, count));
  if (below(random, 50) === 0) args.splice(1 + below(random, args.length - 1), 1);
  return { name: isMany ? "MINSERT" : "INSERT", args, time };
}

/** Few, so that one often replaces another; rarely one that is no key. */
function randomKey(random: Random): Buffer {
  if (below(random, 60) === 0) return Buffer.alloc(pick(random, [0, 1_025]), 1);
  return Buffer.alloc(pick(random, [1, 8, 8, 8, 1_024]), below(random, 40));
}

function randomOptions(random: Random, name: Name, count: number): (string | number)[] {
  const texts = () => Array.from({ length: count }, (_, i) => randomText(random, i));
  if (name === "attributed" && below(random, 2) === 0) return ["SETATTR", ...texts()];
  const kind = below(random, 30);
  if (kind === 0) return ["EX", 1 + below(random, 3)];
  if (kind === 1) return ["KEEPTTL"];
  if (kind === 2) return [pick(random, ["NX", "XX", "NOSUCH"])];
  return [];
}

/** Mostly plain; some that JSON.parse has to read, and a few that are refused. */
function randomText(random: Random, i: number): string {
  const kind = below(random, 40);
  if (kind === 0) return pick(random, ["", "[]", "{", "EX", `{"a":"${"x".repeat(65_536)}"}`]);
  if (kind < 8)
    return pick(random, [
      `{"a":{"b":[1,"\\u00e9"]}}`,
      '{"a":1,"a":2}',
      `{ "i" : ${i}e-3 }`,
      '{"\u00e9":null}',
    ]);
  return `{"i":${i},"word":"w${i}"}`;
}

function randomBlob(random: Random, components: number, count: number): Uint8Array {
  const vectors = count * components;
  const floats = randomVector(random, vectors);
  const kind = below(random, 60);
  if (kind === 0) floats[below(random, vectors)] = pick(random, [Number.NaN, 1 / 0, 3e38, -0]);
  if (kind === 1) floats.fill(0);
  // Pieces of a socket's bytes begin anywhere.
  const room = Buffer.alloc(vectors * 4 + 8);
  const start = below(random, 8);
  Buffer.from(floats.buffer).copy(room, start);
  return room.subarray(start, start + vectors * 4 - (kind === 2 ? 1 : 0));
}
