/** VSTORE.CACHE.*: what is stored, what is found, what is refused, what is deleted. */
import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startVstore, type Vstore } from "../../harness/sidecar.ts";
import { limits } from "../../src/limits.ts";
import { cacheGet, scopeWords, type Word } from "../harness/caches.ts";
import { fp32 } from "../harness/fp32.ts";
import { connectClient, until } from "../harness/serving.ts";

let vstore: Vstore;
let redis: Redis;
let cache: string;
let number = 0;

beforeAll(async () => {
  vstore = await startVstore();
  redis = connectClient(vstore.url);
});
afterAll(async () => {
  redis.disconnect();
  await vstore.stop();
});
beforeEach(async () => {
  cache = await create("SCOPE", 2, "tenant", "model", "WITHIN", 0.05);
});

async function create(...options: Word[]): Promise<string> {
  const name = `answers${++number}`;
  expect(await redis.call("VSTORE.CACHE.CREATE", name, "DIM", 3, ...options)).toBe("OK");
  return name;
}

const acme = scopeWords({ tenant: "acme", model: "m1" });
const globex = scopeWords({ tenant: "globex", model: "m1" });
const east = fp32(1, 0, 0);
/** 0.005 from the east. */
const nearEast = fp32(1, 0.1, 0);
/** 0.29 from the east. */
const northEast = fp32(1, 1, 0);

const set = (...words: Word[]) => redis.call("VSTORE.CACHE.SET", cache, ...words) as Promise<string>;
const get = (...words: Word[]) => cacheGet(redis, cache, ...words);
const valueKeys = async (name = cache) => (await redis.keys(`{${name}}:*`)).sort();

describe("SET and GET", () => {
  test("an entry answers the nearest question of its scope, with value, distance, id and age", async () => {
    const id = await set("FP32", east, "VALUE", "Paris", ...acme);
    const answer = await get("FP32", nearEast, ...acme);
    expect(answer).toMatchObject({ status: "hit", id, value: "Paris" });
    expect(answer!.distance).toBeCloseTo(0.00496, 4);
    expect(answer!.age).toBeGreaterThanOrEqual(0);
    expect(await valueKeys()).toEqual([`{${cache}}:${id}`]);
    expect(await redis.get(`{${cache}}:${id}`)).toBe("Paris");
  });

  test("VALUES takes the place of FP32, and a value is any bytes", async () => {
    const value = Buffer.from([0, 0xff, 0x0d, 0x0a, 0x24]);
    await set("VALUES", 3, 1, 0, 0, "VALUE", value, ...acme);
    const words: Word[] = ["VALUES", 3, 1, 0, 0, ...acme];
    const reply = (await redis.callBuffer("VSTORE.CACHE.GET", cache, ...words)) as Buffer[];
    expect(reply.at(-1)).toEqual(value);
  });

  test("another scope finds nothing, in whatever order its fields come", async () => {
    await set("FP32", east, "VALUE", "Paris", "PROMPT", "capital of France?", ...acme);
    expect(await get("FP32", east, "PROMPT", "capital of France?", ...globex)).toBeUndefined();
    const turned = ["SCOPE", "2", "model", "m1", "tenant", "acme"];
    expect(await get("FP32", northEast, "PROMPT", "capital of France?", ...turned)).toMatchObject({
      status: "exact",
    });
    expect(await get("FP32", east, ...turned)).toMatchObject({ status: "hit" });
  });

  test("the same prompt is found whatever its vector, and whatever white space it has", async () => {
    await set("FP32", east, "VALUE", "Paris", "PROMPT", "capital of France?", ...acme);
    const prompt = "\n capital\t of  France? ";
    const away = await get("FP32", fp32(0, 0, 1), "PROMPT", prompt, "WITHIN", 0, ...acme);
    expect(away).toMatchObject({ status: "exact", value: "Paris", distance: 1 });
    expect(await get("FP32", fp32(0, 0, 1), "PROMPT", "Capital of France?", ...acme)).toBeUndefined();
  });

  test("an entry set with an ID is found by its prompt's vector", async () => {
    expect(await set("FP32", east, "VALUE", "Paris", "PROMPT", "q", "ID", "mine", ...acme)).toBe("mine");
    expect(await get("FP32", east, "PROMPT", "q", ...acme)).toMatchObject({ id: "mine", value: "Paris" });
  });

  test("WITHIN 0 means 0", async () => {
    await set("FP32", east, "VALUE", "Paris", ...acme);
    expect(await get("FP32", east, "WITHIN", 0, ...acme)).toMatchObject({ status: "hit", distance: 0 });
    expect(await get("FP32", nearEast, "WITHIN", 0, ...acme)).toBeUndefined();
    await set("FP32", fp32(0, 0, 1), "VALUE", "strict", "WITHIN", 0, ...acme);
    expect(await get("FP32", fp32(0, 0.01, 1), "WITHIN", 0.5, ...acme)).toBeUndefined();
  });

  test("an entry's own WITHIN is never exceeded, and one without follows the call or the cache", async () => {
    await set("FP32", east, "VALUE", "wide", "WITHIN", 0.5, ...acme);
    expect(await get("FP32", northEast, ...acme)).toMatchObject({ value: "wide" });
    expect(await get("FP32", northEast, "WITHIN", 0.1, ...acme)).toBeUndefined();
    await set("FP32", east, "VALUE", "plain", ...acme);
    expect(await get("FP32", northEast, ...acme)).toBeUndefined();
    expect(await get("FP32", northEast, "WITHIN", 0.4, ...acme)).toMatchObject({ value: "plain" });
  });

  test("a farther entry answers where the nearest one is not near enough for itself", async () => {
    await set("FP32", nearEast, "VALUE", "narrow", "WITHIN", 0, ...acme);
    await set("FP32", northEast, "VALUE", "wide", "WITHIN", 0.5, ...acme);
    expect(await get("FP32", east, ...acme)).toMatchObject({ value: "wide" });
  });

  test("between an entry's distance and VERIFY the candidate is to be verified", async () => {
    await set("FP32", east, "VALUE", "Paris", ...acme);
    expect(await get("FP32", northEast, "VERIFY", 0.3, ...acme)).toMatchObject({
      status: "verify",
      value: "Paris",
    });
    expect(await get("FP32", northEast, "VERIFY", 0.2, ...acme)).toBeUndefined();
    expect(await get("FP32", nearEast, "VERIFY", 0.3, ...acme)).toMatchObject({ status: "hit" });
  });

  test("a second SET of the same question replaces value and vector", async () => {
    const first = await set("FP32", east, "VALUE", "old", "PROMPT", "q", ...acme);
    const second = await set("FP32", northEast, "VALUE", "new", "PROMPT", "q", ...acme);
    expect(second).toBe(first);
    expect(await get("FP32", northEast, ...acme)).toMatchObject({ value: "new", distance: 0 });
    expect(await get("FP32", east, "WITHIN", 0, ...acme)).toBeUndefined();
    expect(await redis.call("VSTORE.CARD", cache)).toBe(1);
  });

  test("EX of the entry, or of the cache, ends both; the value's time to live shows it", async () => {
    const timed = await create("EX", 100);
    await redis.call("VSTORE.CACHE.SET", timed, "FP32", east, "VALUE", "a", "ID", "1");
    await redis.call("VSTORE.CACHE.SET", timed, "FP32", east, "VALUE", "b", "ID", "2", "EX", 50);
    expect(await redis.ttl(`{${timed}}:1`)).toBeGreaterThan(90);
    expect(await redis.ttl(`{${timed}}:2`)).toBeLessThanOrEqual(50);
    expect(await redis.call("VSTORE.TTL", timed, `{${timed}}:2`)).toBeGreaterThan(40);
    await redis.pexpire(`{${timed}}:1`, 1);
    await until(
      () => redis.call("VSTORE.CARD", timed),
      (count) => count === 1,
    );
  });
});

describe("refused", () => {
  test.each<[string, Word[], RegExp]>([
    ["no scope", [], /'SCOPE' must give tenant, model: 'tenant' is missing/],
    ["half of the scope", ["SCOPE", 1, "tenant", "a"], /'model' is missing/],
    [
      "another field",
      scopeWords({ tenant: "a", model: "b", user: "c" }),
      /'user' is no field of the cache's scope/,
    ],
    ["a field twice", ["SCOPE", 3, "tenant", "a", "model", "b", "tenant", "c"], /gives 'tenant' twice/],
    ["an unknown option", [...acme, "WITHING", 1], /unknown option 'WITHING', did you mean 'WITHIN'/],
    ["a distance that is none", [...acme, "WITHIN", "near"], /'WITHIN' must be a finite number/],
  ])("%s", async (_, words, error) => {
    await expect(set("FP32", east, "VALUE", "v", ...words)).rejects.toThrow(error);
    await expect(get("FP32", east, ...words)).rejects.toThrow(error);
    await until(valueKeys, (keys) => keys.length === 0);
  });

  test.each<[string, Word[], RegExp]>([
    ["no value", ["FP32", east, ...acme], /'VALUE' is missing/],
    ["another dimension", ["FP32", fp32(1), "VALUE", "v", ...acme], /'vector' must be 12 bytes/],
    ["no direction", ["FP32", fp32(0, 0, 0), "VALUE", "v", ...acme], /must not be all zeros/],
    ["EX 0", ["FP32", east, "VALUE", "v", ...acme, "EX", 0], /'EX' must be an integer from 1/],
    [
      "an id too long",
      ["FP32", east, "VALUE", "v", ...acme, "ID", "x".repeat(limits.cacheIdBytesMax + 1)],
      /'ID' must be/,
    ],
    [
      "a tag too long",
      ["FP32", east, "VALUE", "v", ...acme, "TAGS", 1, "x".repeat(limits.cacheTagBytesMax + 1)],
      /'tag' must be at most 128 bytes/,
    ],
    [
      "a prompt too long",
      ["FP32", east, "VALUE", "v", ...acme, "PROMPT", "x".repeat(limits.cachePromptBytesMax + 1)],
      /'PROMPT' must be at most 1048576 bytes/,
    ],
    [
      "a value too long",
      ["FP32", east, "VALUE", "x".repeat(limits.cacheValueBytesMax + 1), ...acme],
      /LIMIT 'VALUE' must be at most 4194304 bytes/,
    ],
  ])("SET with %s, and nothing stays", async (_, words, error) => {
    await expect(set(...words)).rejects.toThrow(error);
    await until(valueKeys, (keys) => keys.length === 0);
    expect(await redis.call("VSTORE.CARD", cache)).toBe(0);
  });

  test("the largest value, prompt, id, tags and scope are taken", async () => {
    const scope = scopeWords({ tenant: "t".repeat(limits.cacheScopeValueBytesMax), model: "m" });
    const tags = Array.from({ length: limits.cacheTagsMax }, (_, i) =>
      `${i}`.padEnd(limits.cacheTagBytesMax, "t"),
    );
    const value = "v".repeat(limits.cacheValueBytesMax);
    const prompt = "p".repeat(limits.cachePromptBytesMax);
    const id = "i".repeat(limits.cacheIdBytesMax);
    await set(
      "FP32",
      east,
      "VALUE",
      value,
      "PROMPT",
      prompt,
      "ID",
      id,
      ...scope,
      "TAGS",
      tags.length,
      ...tags,
    );
    expect((await get("FP32", east, "PROMPT", prompt, ...scope))!.value).toBe(value);
  });

  test("a refused SET ends the entry that it was to replace", async () => {
    await set("FP32", east, "VALUE", "old", "ID", "1", ...acme);
    await expect(set("FP32", fp32(1), "VALUE", "new", "ID", "1", ...acme)).rejects.toThrow("12 bytes");
    await until(valueKeys, (keys) => keys.length === 0);
    expect(await get("FP32", east, ...acme)).toBeUndefined();
  });

  test("other commands that write, on a cache; and those of caches, on another collection", async () => {
    await set("FP32", east, "VALUE", "v", "ID", "1", ...acme);
    const key = `{${cache}}:1`;
    for (const words of [
      ["INSERT", cache, key, "FP32", northEast],
      ["MINSERT", cache, 1, key, "FP32", northEast],
      ["SETATTR", cache, key, "{}"],
      ["EXPIRE", cache, key, 100],
      ["PERSIST", cache, key],
    ] as Word[][])
      await expect(redis.call(`VSTORE.${words[0]}`, ...words.slice(1))).rejects.toThrow("is not for caches");
    await redis.call("VSTORE.CREATE", `plain${number}`, "DIM", 3);
    for (const words of [
      ["CACHE.SET", "FP32", east, "VALUE", "v"],
      ["CACHE.GET", "FP32", east],
      ["CACHE.DEL", "ID", "1"],
    ] as Word[][])
      await expect(redis.call(`VSTORE.${words[0]}`, `plain${number}`, ...words.slice(1))).rejects.toThrow(
        "is no cache",
      );
  });

  test.each<[string, Word[], RegExp]>([
    ["L2 without WITHIN", ["METRIC", "L2"], /'WITHIN' must be given with METRIC L2/],
    ["a field of the scope twice", ["SCOPE", 2, "a", "a"], /gives 'a' twice/],
    ["a field that no filter can name", ["SCOPE", 1, "a.b"], /'field' must be 1 to 64 characters/],
    ["too many fields", ["SCOPE", 9, ..."abcdefghi"], /'SCOPE' must be an integer from 1 to 8/],
  ])("CREATE with %s", async (_, words, error) => {
    await expect(redis.call("VSTORE.CACHE.CREATE", "other", "DIM", 3, ...words)).rejects.toThrow(error);
  });
});

describe("a value that is not the entry's any more is a miss", () => {
  test.each<[string, (key: string) => Promise<unknown>]>([
    ["it was overwritten", (key) => redis.set(key, "Rome")],
    ["it was deleted", (key) => redis.del(key)],
    ["it was changed in place", (key) => redis.append(key, "!")],
    ["it is another type", (key) => redis.multi().del(key).rpush(key, "Paris").exec()],
  ])("%s", async (_, change) => {
    const id = await set("FP32", east, "VALUE", "Paris", "PROMPT", "q", ...acme);
    await change(`{${cache}}:${id}`);
    expect(await get("FP32", east, ...acme)).toBeUndefined();
    expect(await get("FP32", east, "PROMPT", "q", ...acme)).toBeUndefined();
  });

  test("and hides no other entry that is near enough", async () => {
    const id = await set("FP32", east, "VALUE", "Paris", ...acme);
    await set("FP32", nearEast, "VALUE", "still", ...acme);
    await redis.set(`{${cache}}:${id}`, "Rome");
    expect(await get("FP32", east, ...acme)).toMatchObject({ value: "still" });
  });
});

describe("DEL", () => {
  beforeEach(async () => {
    await set("FP32", east, "VALUE", "1", "ID", "1", "TAGS", 2, "faq", "geo", ...acme);
    await set("FP32", nearEast, "VALUE", "2", "ID", "2", "TAGS", 1, "faq", ...globex);
    await set("FP32", northEast, "VALUE", "3", "ID", "3", "TAGS", 1, 'a "quoted" tag', ...acme);
  });

  test.each<[string, Word[], number, string[]]>([
    ["ID", ["ID", "1", "9", "2"], 2, ["3"]],
    ["TAG", ["TAG", "faq"], 2, ["3"]],
    ["TAG with quotes", ["TAG", 'a "quoted" tag'], 1, ["1", "2"]],
    ["TAG that none has", ["TAG", "fa"], 0, ["1", "2", "3"]],
    ["SCOPE", globex, 1, ["1", "3"]],
    ["SCOPE in part", scopeWords({ tenant: "acme" }), 2, ["2"]],
  ])("%s", async (_, words, count, left) => {
    expect(await redis.call("VSTORE.CACHE.DEL", cache, ...words)).toBe(count);
    expect(await redis.call("VSTORE.CARD", cache)).toBe(left.length);
    await until(valueKeys, (keys) => keys.length === left.length);
    expect(await valueKeys()).toEqual(left.map((id) => `{${cache}}:${id}`));
  });

  test("takes no value that was set again meanwhile", async () => {
    await redis
      .multi()
      .call("VSTORE.CACHE.DEL", cache, "TAG", "faq")
      .call("VSTORE.CACHE.SET", cache, "FP32", east, "VALUE", "again", "ID", "1", ...acme)
      .exec();
    await until(valueKeys, (keys) => keys.length === 2);
    expect(await get("FP32", east, ...acme)).toMatchObject({ value: "again", id: "1" });
  });

  test("refuses a field that the scope has not", async () => {
    await expect(redis.call("VSTORE.CACHE.DEL", cache, "SCOPE", 1, "user", "x")).rejects.toThrow(
      "'user' is no field",
    );
  });
});
