/** `vstore import` and `vstore export`: what goes into a file of each format comes back bit by bit. */
import * as fs from "node:fs";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { runExport } from "../../src/cli/transfer/export.ts";
import { runImport } from "../../src/cli/transfer/import.ts";
import { temporaryDirectory } from "../harness/directory.ts";
import { connectClient } from "../harness/serving.ts";

const dimensions = 6;
/** Zero below zero, the smallest and the largest float32, thirds, and what no short text holds. */
const components = [-0, 1.401298464324817e-45, -3.4028234663852886e38, Math.fround(1 / 3), 16_777_217, 1e-7];

let server: Vstore;
let redis: Redis;
let place: string;
let stderr = "";
let stdout: string[] = [];

beforeAll(async () => {
  server = await startVstore();
  redis = connectClient(server.url);
  await redis.call("VSTORE.CREATE", "from", "DIM", dimensions, "METRIC", "L2");
  for (let i = 0; i < 40; i++) {
    const vector = Float32Array.from(components, (value, at) => (at === i % dimensions ? i - 20 : value));
    await insert("from", nameOf(i), vector, i % 3 === 0 ? undefined : attributesOf(i));
  }
});

afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});

beforeEach(() => {
  place = temporaryDirectory();
  [stderr, stdout] = ["", []];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    stderr += text;
    return true;
  });
  vi.spyOn(console, "log").mockImplementation((line) => void stdout.push(line));
  return () => vi.restoreAllMocks();
});

const nameOf = (i: number) => (i % 2 === 0 ? `key:${i}` : `"schlüssel", ${i} 🗝`);
const attributesOf = (i: number) =>
  `{"id": 12345678901234567${i},\n "text": "a \\"comma\\", ${i}", "list": [1.0, {}]}`;

async function insert(to: string, key: string | Buffer, vector: Float32Array, attributes?: string) {
  const set = attributes === undefined ? [] : ["SETATTR", attributes];
  await redis.call("VSTORE.INSERT", to, key, "FP32", Buffer.from(vector.buffer), ...set);
}

/** Every key with the bytes of its vector and the text of its attributes. */
async function contents(collection: string): Promise<Record<string, [string, string | null]>> {
  const [, keys] = (await redis.callBuffer("VSTORE.SCAN", collection, 0, "COUNT", 1_000)) as [
    Buffer,
    Buffer[],
  ];
  const found: Record<string, [string, string | null]> = {};
  for (const key of keys) {
    const vector = (await redis.callBuffer("VSTORE.GET", collection, key, "RAW")) as Buffer;
    const attributes = (await redis.call("VSTORE.GETATTR", collection, key)) as string | null;
    found[key.toString()] = [vector.toString("hex"), attributes?.replaceAll("\n", " ") ?? null];
  }
  return found;
}

const url = () => ({ redisUrl: server.url });
let collections = 0;
const fresh = () => `to:${collections++}`;

describe("what is exported and imported is the same, bit by bit:", () => {
  test.each(["jsonl", "csv", "parquet", "arrow", "npz"])("%s, with keys and attributes", async (format) => {
    const [file, to] = [`${place}/all.${format}`, fresh()];
    expect(await runExport("from", file, { ...url(), attributes: true })).toBe(0);
    expect(await runImport(to, file, { ...url(), create: true, metric: "L2" })).toBe(0);
    expect(await contents(to)).toEqual(await contents("from"));
    expect(fs.readdirSync(place)).toEqual([`all.${format}`]);
  });

  test.each(["npy", "fvecs"])("%s, with its keys in a file of their own", async (format) => {
    const [file, keys, to] = [`${place}/all.${format}`, `${place}/keys.txt`, fresh()];
    await runExport("from", file, { ...url(), keys, attributes: true });
    await runImport(to, file, { ...url(), keys, create: true, metric: "L2" });
    const withoutAttributes = Object.entries(await contents("from")).map(([key, [vector]]) => [
      key,
      [vector, null],
    ]);
    expect(await contents(to)).toEqual(Object.fromEntries(withoutAttributes));
  });

  test.each([
    ["bvecs", [0, 255, 7]],
    ["ivecs", [-(2 ** 24), 2 ** 24, 0]],
  ])("%s, where all components are in its range", async (format, values) => {
    const [from, to, file] = [fresh(), fresh(), `${place}/whole.${format}`];
    await redis.call("VSTORE.CREATE", from, "DIM", values.length, "METRIC", "L2");
    for (let i = 0; i < 5; i++) await insert(from, `n${i}`, Float32Array.from(values));
    await insert(
      from,
      "half",
      Float32Array.from(values, (_, at) => at + 0.5),
    );
    await runExport(from, file, { ...url(), attributes: true, maxErrors: "1" });
    expect(stderr).toContain('"half": 0.5 is no whole number');
    await runImport(to, file, { ...url(), create: true, metric: "L2", keyPrefix: "n" });
    const { half, ...others } = await contents(from);
    expect(half).toBeDefined();
    expect(await contents(to)).toEqual(others);
  });
});
