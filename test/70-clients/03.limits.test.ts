/**
 * Each limit of src/limits.ts as a client meets it: what is just inside works and comes back whole, what is just
 * outside is refused by name and leaves nothing behind.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { collectionDirectory } from "../../src/engine/disk/names.ts";
import { limits } from "../../src/limits.ts";
import { fp32 } from "../harness/fp32.ts";

type Word = string | number | Buffer;

/** The graph is not what is tested here: the cheapest one there is. */
const cheapIndex = ["M", limits.mMin, "EF_CONSTRUCTION", limits.efConstructionMin];

/** What takes the default 5 s on a busy machine is still inside its limit. */
const answerMillisecondsMax = 30_000;

let vstore: Vstore;
let redis: Redis;

beforeAll(async () => {
  vstore = await startVstore({ args: ["--vstore.timeout", String(answerMillisecondsMax)] });
  redis = new Redis(vstore.url, { protocol: 2 });
});

afterAll(async () => {
  redis?.disconnect();
  await vstore?.stop();
});

const ask = (name: string, ...args: Word[]): Promise<unknown> => redis.callBuffer(`VSTORE.${name}`, ...args);

beforeEach(() => ask("CREATE", "c", "DIM", 1, "METRIC", "L2", ...cheapIndex));

afterEach(async () => {
  for (const name of (await redis.call("VSTORE.LIST")) as string[]) await ask("DROP", name);
});

/** The line of the error that refuses the request. */
async function refusal(name: string, ...args: Word[]): Promise<string> {
  const answer = await ask(name, ...args).catch((error: Error) => error.message);
  expect(answer).toBeTypeOf("string");
  return answer as string;
}

describe("numbers", () => {
  const vector = ["FP32", fp32(1)] as const;
  const create = (option: string) => (value: number) => [
    "CREATE",
    `${option}${value}`,
    "DIM",
    1,
    option,
    value,
  ];
  const insert = (option: string) => (value: number) => ["INSERT", "c", "k", ...vector, option, value];
  const search = (option: string) => (value: number) => ["SEARCH", "c", ...vector, option, value];
  const scan = (option: string) => (value: number) => ["SCAN", "c", 0, option, value];

  test.each<[string, string, number, number, (value: number) => Word[]]>([
    [
      "the dimensions of CREATE",
      "DIM",
      limits.dimensionsMin,
      limits.dimensionsMax,
      (n) => ["CREATE", `d${n}`, "DIM", n],
    ],
    ["M of CREATE", "M", limits.mMin, limits.mMax, create("M")],
    ["EF of CREATE", "EF", limits.efMin, limits.efMax, create("EF")],
    [
      "EF_CONSTRUCTION of CREATE",
      "EF_CONSTRUCTION",
      limits.efConstructionMin,
      limits.efConstructionMax,
      create("EF_CONSTRUCTION"),
    ],
    ["COUNT of SEARCH", "COUNT", limits.countMin, limits.countMax, search("COUNT")],
    ["EF of SEARCH", "EF", limits.efMin, limits.efMax, search("EF")],
    ["EX of INSERT", "EX", 1, limits.ttlSecondsMax, insert("EX")],
    ["PX of INSERT", "PX", 1, limits.ttlMsMax, insert("PX")],
    [
      "the seconds of EXPIRE",
      "seconds",
      -limits.ttlSecondsMax,
      limits.ttlSecondsMax,
      (n) => ["EXPIRE", "c", "k", n],
    ],
    ["COUNT of SCAN", "COUNT", limits.scanCountMin, limits.scanCountMax, scan("COUNT")],
    ["the cursor of SCAN", "cursor", 0, Number.MAX_SAFE_INTEGER, (n) => ["SCAN", "c", n]],
  ])("%s", async (_, argument, min, max, request) => {
    const send = (value: number) => request(value) as [string, ...Word[]];
    for (const inside of [min, max]) await ask(...send(inside));
    for (const outside of [min - 1, max + 1]) {
      const message = `ERR '${argument}' must be an integer from ${min} to ${max}, got ${outside}`;
      expect(await refusal(...send(outside))).toBe(message);
    }
  });

  test("a refused CREATE creates nothing", async () => {
    await refusal("CREATE", "x", "DIM", limits.dimensionsMax + 1);
    await refusal("CREATE", "x", "DIM", 1, "M", limits.mMax + 1);
    expect(await redis.call("VSTORE.LIST")).toEqual(["c"]);
  });
});

describe("dimensions", () => {
  test("one", async () => {
    expect(await ask("INSERT", "c", "a", "VALUES", 1, 7)).toBe(1);
    expect(await ask("SEARCH", "c", "FP32", fp32(7))).toEqual([Buffer.from("a")]);
    expect(await refusal("INSERT", "c", "b", "VALUES", 0)).toMatch(
      /^ERR 'VALUES' must be an integer from 1 /,
    );
  });

  test("as many as there may be", async () => {
    const components = Array.from({ length: limits.dimensionsMax }, (_, i) => i + 1);
    await ask("CREATE", "wide", "DIM", limits.dimensionsMax);
    expect(await ask("INSERT", "wide", "blob", "FP32", fp32(...components))).toBe(1);
    expect(await ask("INSERT", "wide", "values", "VALUES", components.length, ...components)).toBe(1);
    for (const key of ["blob", "values"])
      expect(await ask("GET", "wide", key, "RAW")).toEqual(fp32(...components));
    expect(await redis.call("VSTORE.GET", "wide", "values")).toEqual(components.map(String));
    expect(await ask("SEARCH", "wide", "KEY", "blob", "COUNT", 2)).toHaveLength(2);
  });

  test("one more", async () => {
    const components = Array.from({ length: limits.dimensionsMax + 1 }, () => 1);
    await ask("CREATE", "wide", "DIM", limits.dimensionsMax);
    expect(await refusal("INSERT", "wide", "k", "VALUES", components.length, ...components)).toMatch(
      /^ERR 'VALUES' /,
    );
    expect(await refusal("INSERT", "wide", "k", "FP32", fp32(...components))).toMatch(
      /^ERR 'vector' must be 65536 bytes/,
    );
    expect(await ask("CARD", "wide")).toBe(0);
  });
});

describe("sizes", () => {
  test("a key", async () => {
    for (const key of [Buffer.alloc(limits.keyBytesMin), Buffer.alloc(limits.keyBytesMax, "\r\n\0")]) {
      expect(await ask("INSERT", "c", key, "FP32", fp32(1))).toBe(1);
      expect(await ask("SEARCH", "c", "KEY", key, "COUNT", 1)).toEqual([key]);
      expect(await ask("DEL", "c", key)).toBe(1);
    }
    for (const length of [limits.keyBytesMin - 1, limits.keyBytesMax + 1]) {
      const message = await refusal("INSERT", "c", Buffer.alloc(length, "k"), "FP32", fp32(1));
      expect(message).toMatch(/^ERR 'key' must be 1 to 1024 bytes, got /);
    }
    expect(await ask("CARD", "c")).toBe(0);
  });

  test("a collection's name", async () => {
    const longest = "n".repeat(limits.collectionNameBytesMax);
    const encodedLongest = ":".repeat(limits.collectionNameBytesMax);
    for (const name of ["n", longest, encodedLongest]) {
      await ask("CREATE", name, "DIM", 1);
      expect(await ask("INSERT", name, "a", "FP32", fp32(1))).toBe(1);
      await ask("CHECKPOINT", name);
    }
    for (const name of ["", `${longest}n`]) {
      expect(await refusal("CREATE", name, "DIM", 1)).toMatch(
        /^ERR 'collection' must be 1 to 80 characters /,
      );
    }
    expect(await redis.call("VSTORE.LIST")).toEqual([encodedLongest, "c", "n", longest]);
  });

  test("attributes", async () => {
    const json = (bytes: number) => `{"a":"${"x".repeat(bytes - 8)}"}`;
    const [inside, outside] = [json(limits.attributesBytesMax), json(limits.attributesBytesMax + 1)];
    expect(await ask("INSERT", "c", "a", "FP32", fp32(1), "SETATTR", inside)).toBe(1);
    expect(await redis.call("VSTORE.SEARCH", "c", "KEY", "a", "WITHATTRS")).toEqual(["a", inside]);
    for (const [command, ...args] of [
      ["SETATTR", "c", "a", outside],
      ["INSERT", "c", "b", "FP32", fp32(1), "SETATTR", outside],
      ["MINSERT", "c", 1, "b", "FP32", fp32(1), "SETATTR", outside],
    ] as [string, ...Word[]][]) {
      expect(await refusal(command, ...args)).toMatch(
        /^ERR '(json|SETATTR)' must be at most 65536 bytes of JSON, got /,
      );
    }
    expect(await redis.call("VSTORE.GETATTR", "c", "a")).toBe(inside);
    expect(await ask("EXISTS", "c", "b")).toBe(0);
  });

  test("attributes count as UTF-8 bytes", async () => {
    await ask("INSERT", "c", "a", "FP32", fp32(1));
    const characters = Math.ceil(limits.attributesBytesMax / 2);
    expect(await refusal("SETATTR", "c", "a", `{"a":"${"é".repeat(characters)}"}`)).toMatch(
      /^ERR 'json' must be at most /,
    );
  });
});

test("a search gives as many results as COUNT may ask for, and no more", async () => {
  const keys = Array.from({ length: limits.countMax + 1 }, (_, i) => `key:${i}`);
  for (const [from, to] of [
    [0, limits.keysMax],
    [limits.keysMax, keys.length],
  ]) {
    const some = keys.slice(from, to);
    const vectors = fp32(...some.map((_, i) => from! + i));
    expect(await ask("MINSERT", "c", some.length, ...some, "FP32", vectors)).toBe(some.length);
  }
  const search = ["SEARCH", "c", "VALUES", 1, 0, "COUNT", limits.countMax] as const;
  expect(await redis.call("VSTORE.SEARCH", ...search.slice(1), "EXACT")).toEqual(keys.slice(0, -1));
  expect(await ask(...search, "EF", limits.efMax, "WITHDISTANCES")).toHaveLength(2 * limits.countMax);
});

test.each(["DEL", "EXISTS", "MGET"])("keys of %s", async (command) => {
  const keys = Array.from({ length: limits.keysMax }, (_, i) => `key:${i}`);
  const reply = await ask(command, "c", ...keys);
  expect(Array.isArray(reply) ? reply.length : reply).toBe(command === "MGET" ? keys.length : 0);
  expect(await refusal(command, "c", ...keys, "one-more")).toBe(
    `ERR 'key' takes at most ${limits.keysMax} values, got ${limits.keysMax + 1}`,
  );
});

test("the pattern of SCAN", async () => {
  await ask("INSERT", "c", "a", "FP32", fp32(1));
  const scan = ["SCAN", "c", 0, "MATCH"] as const;
  expect(await redis.call(`VSTORE.SCAN`, "c", 0, "MATCH", "*".repeat(limits.patternBytesMax))).toEqual([
    "0",
    ["a"],
  ]);
  expect(await refusal(...scan, "*".repeat(limits.patternBytesMax + 1))).toMatch(
    /^ERR 'MATCH' must be a glob pattern of at most 1024 bytes/,
  );
});

test("arguments of one command", async () => {
  const refused = async (count: number) => {
    const words = ["c", ...Array<string>(count - 1).fill("k")];
    const answer = redis.sendCommand(new Command("VSTORE.EXISTS", words)) as Promise<unknown>;
    return answer.then(String, (error: Error) => error.message);
  };
  expect(await refused(limits.argumentsMax)).toMatch(/^ERR 'key' takes at most /);
  const message = `LIMIT one command must not have more than ${limits.argumentsMax} arguments`;
  expect(await refused(limits.argumentsMax + 1)).toBe(message);
});

describe("an answer", () => {
  test("as large as it may be is given, and a larger one is refused before anything of it is made", async () => {
    const dimensions = limits.dimensionsMax;
    await ask("CREATE", "wide", "DIM", dimensions, "METRIC", "L2", ...cheapIndex);
    await ask("INSERT", "wide", "k", "FP32", Buffer.alloc(dimensions * 4));
    const inside = Math.floor(limits.answerBytesMax / (dimensions * 4 + 16));
    const ofKeys = (count: number) => Array<string>(count).fill("k");
    const raw = (await ask("MGET", "wide", "RAW", inside, ...ofKeys(inside))) as Buffer[];
    expect(raw.map((each) => each.length)).toEqual(Array(inside).fill(dimensions * 4));
    const start = performance.now();
    expect(await refusal("MGET", "wide", "RAW", inside + 1, ...ofKeys(inside + 1))).toMatch(
      /^LIMIT the answer would have up to \d+ bytes, more than 67108864/,
    );
    expect(await refusal("MGET", "wide", ...ofKeys(inside))).toMatch(/^LIMIT the answer would have up to /);
    expect(performance.now() - start).toBeLessThan(answerMillisecondsMax);
  });

  test("many large ones at the same time all arrive", async () => {
    await ask("CREATE", "texts", "DIM", 1, "METRIC", "L2", ...cheapIndex);
    const keys = Array.from({ length: 900 }, (_, i) => `k${i}`);
    const json = `{"a":"${"x".repeat(60_000)}"}`;
    await ask(
      "MINSERT",
      "texts",
      keys.length,
      ...keys,
      "FP32",
      Buffer.alloc(4 * keys.length),
      "SETATTR",
      ...keys.map(() => json),
    );
    const search = () =>
      ask("SEARCH", "texts", "VALUES", 1, 0, "COUNT", keys.length, "EF", keys.length, "WITHATTRS");
    for (const answer of await Promise.all([search(), search(), search(), search()])) {
      const texts = (answer as Buffer[]).filter((_, i) => i % 2 === 1);
      expect(texts).toHaveLength(keys.length);
      expect(texts.every((text) => text.toString() === json)).toBe(true);
    }
    await ask(
      "MINSERT",
      "texts",
      300,
      ...keys.slice(0, 300).map((key) => `more ${key}`),
      "FP32",
      Buffer.alloc(1_200),
      "SETATTR",
      ...keys.slice(0, 300).map(() => json),
    );
    expect(
      await refusal("SEARCH", "texts", "VALUES", 1, 0, "COUNT", 1_200, "EF", 1_200, "WITHATTRS"),
    ).toMatch(/^LIMIT the answer would have up to /);
  });
});

describe("the payload of one command", () => {
  const dimensions = limits.dimensionsMax;
  const vectorBytes = dimensions * Float32Array.BYTES_PER_ELEMENT;
  /** One vector less than the payload would hold leaves room for the other words. */
  const count = limits.payloadBytesMax / vectorBytes - 1;
  const vectors = Buffer.alloc(count * vectorBytes, fp32(1));

  /** Exactly so many bytes: the keys, all of them different, take up what is left. */
  function request(bytes: number): Word[] {
    const words = ["wide", String(count), "FP32"];
    const left = bytes - vectors.length - words.join("").length;
    const width = Math.floor(left / count);
    const last = left - width * (count - 1);
    const keys = Array.from({ length: count }, (_, i) =>
      String(i).padStart(i < count - 1 ? width : last, "k"),
    );
    return ["wide", count, ...keys, "FP32", vectors];
  }

  beforeEach(() => ask("CREATE", "wide", "DIM", dimensions, "METRIC", "L2", ...cheapIndex));

  test("64 MiB are written and found", async () => {
    const [, , ...keys] = request(limits.payloadBytesMax);
    expect(await ask("MINSERT", ...request(limits.payloadBytesMax))).toBe(count);
    expect(await ask("CARD", "wide")).toBe(count);
    const key = keys[count - 1]!;
    expect(await ask("GET", "wide", key, "RAW")).toEqual(vectors.subarray(0, vectorBytes));
  });

  test("one byte more is refused by Redis and not appended", async () => {
    const appended = await redis.xlen("vstore:{wide}:log");
    const message = await refusal("MINSERT", ...request(limits.payloadBytesMax + 1));
    expect(message).toBe("LIMIT the arguments of one command must not exceed 64 MiB in total");
    expect(await redis.xlen("vstore:{wide}:log")).toBe(appended);
    expect(await ask("CARD", "wide")).toBe(0);
  });

  test("a transaction may have more than that in several commands", async () => {
    const half = vectors.subarray(0, Math.floor(count / 2) * vectorBytes);
    const keys = Array.from({ length: half.length / vectorBytes }, (_, i) => `k${i}`);
    const multi = redis.multi();
    for (let i = 0; i < 3; i++) multi.call("VSTORE.MINSERT", "wide", keys.length, ...keys, "FP32", half);
    await multi.exec();
    expect(await ask("CARD", "wide")).toBe(keys.length);
  });
});

/** Directories of damaged collections stand in for most of them: they count, and cost nothing. */
test("collections", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "vstore-data-"));
  onTestFinished(() => rmSync(dataDir, { recursive: true }));
  for (let n = 1; n < limits.collectionsMax; n++) mkdirSync(join(dataDir, collectionDirectory(`n${n}`)));
  const crowded = await startVstore({}, { dataDir });
  onTestFinished(() => crowded.stop());
  const client = new Redis(crowded.url, { protocol: 2 });
  onTestFinished(() => client.disconnect());
  expect(await client.call("VSTORE.CREATE", "last", "DIM", 1)).toBe("OK");
  await expect(client.call("VSTORE.CREATE", "one-more", "DIM", 1)).rejects.toThrow(/^LIMIT .*1000/);
  expect(await client.call("VSTORE.LIST")).toHaveLength(limits.collectionsMax);
});
