/**
 * Two hundred clients at once, each with keys of its own that it inserts, replaces and deletes in a seeded order: what
 * it wrote is what its next search finds, and in the end the store holds what all of them remember.
 */
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";

const CLIENTS = 200;
const STEPS = 40;
const DIMENSIONS = 8;
/** Few, so that many steps meet a key that exists. */
const KEYS_PER_CLIENT = 5;

type Model = Map<string, Float32Array>;

let vstore: Vstore;

beforeAll(async () => {
  vstore = await startVstore();
});

afterAll(() => vstore?.stop());

test("every client sees its own writes, and nothing is lost or left over", async () => {
  const seed = testSeed();
  const clients = Array.from({ length: CLIENTS }, () => new Redis(vstore.url, { protocol: 2 }));
  const [first] = clients as [Redis];
  try {
    await first.call("VSTORE.CREATE", "many", "DIM", DIMENSIONS, "METRIC", "L2");
    const models = await Promise.all(
      clients.map((client, i) => work(client, `client:${i}`, generator(seed + i))),
    );
    await expectHeld(first, new Map(models.flatMap((model) => [...model])));
  } finally {
    for (const client of clients) client.disconnect();
  }
});

/** @returns what the client's keys hold when it is done. */
async function work(client: Redis, name: string, random: () => number): Promise<Model> {
  const model: Model = new Map();
  for (let step = 0; step < STEPS; step++) {
    const key = `${name}:${Math.floor(random() * KEYS_PER_CLIENT)}`;
    if (random() < 0.2) await remove(client, model, key);
    else await put(client, model, key, randomVector(random, DIMENSIONS));
  }
  return model;
}

async function put(client: Redis, model: Model, key: string, vector: Float32Array): Promise<void> {
  const blob = Buffer.from(vector.buffer);
  expect(await client.call("VSTORE.INSERT", "many", key, "FP32", blob)).toBe(model.has(key) ? 0 : 1);
  model.set(key, vector);
  const found = await client.call("VSTORE.SEARCH", "many", "FP32", blob, "COUNT", 1, "WITHDISTANCES");
  expect(found).toEqual([key, "0"]);
}

async function remove(client: Redis, model: Model, key: string): Promise<void> {
  const vector = model.get(key);
  expect(await client.call("VSTORE.DEL", "many", key)).toBe(vector ? 1 : 0);
  model.delete(key);
  if (!vector) return;
  const search = ["FP32", Buffer.from(vector.buffer), "COUNT", 1, "WITHIN", 0];
  expect(await client.call("VSTORE.SEARCH", "many", ...search)).toEqual([]);
}

async function expectHeld(client: Redis, model: Model): Promise<void> {
  expect(await client.call("VSTORE.CARD", "many")).toBe(model.size);
  const keys = await scanAll(client);
  expect(keys.toSorted()).toEqual([...model.keys()].sort());
  const held = (await client.call("VSTORE.MGET", "many", ...keys)) as string[][];
  expect(held.map((components) => Float32Array.from(components, Number))).toEqual(
    keys.map((key) => model.get(key)),
  );
}

async function scanAll(client: Redis): Promise<string[]> {
  const found: string[] = [];
  let cursor = "0";
  do {
    const [next, keys] = (await client.call("VSTORE.SCAN", "many", cursor, "COUNT", 50)) as [
      string,
      string[],
    ];
    found.push(...keys);
    cursor = next;
  } while (cursor !== "0");
  return found;
}
